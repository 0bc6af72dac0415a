//! Finding the row of the table that a message was printed from.
//!
//! A pattern is literal text with holes. It fits if the literal text stands in the message in that
//! order and nothing is left over; a hole ends where the next literal text first stands.

use super::errno::{self, find};
use super::stage::Stage;
use super::table::{NODES, REASONS, Row, TABLE, Tail, Wording};

/// A message of the table, and what stands in its holes.
pub(super) struct Found<'t> {
    pub(super) stage: Stage,
    pub(super) row: &'static Row,
    pub(super) reason: Option<&'static Row>,
    pub(super) holes: Vec<(char, &'t [u8])>,
    pub(super) errno: Option<&'t [u8]>,
    /// A hole ends it, with nothing behind: whatever else stands there is taken for its content.
    pub(super) open: bool,
    /// How much of the text is the row's own.
    pub(super) literal: usize,
}

/// Finds the row that fits `text` best: the one with the longest text before its first hole, and
/// among these the one with the most text around its holes.
pub(super) fn recognise(text: &[u8]) -> Option<Found<'_>> {
    let mut best: Option<((usize, usize), Found<'_>)> = None;
    for &(stage, rows) in TABLE {
        for row in rows {
            for &wording in row.wordings() {
                let first = wording.0.as_bytes().first();
                if first != text.first() && first != Some(&b'%') {
                    continue;
                }
                let lead = split_hole(wording.0).0;
                if !text.starts_with(lead.as_bytes()) {
                    continue;
                }
                for (reason, (pattern, holes)) in with_reasons(row, wording) {
                    let score = (lead.len(), literal_len(&pattern));
                    if best.as_ref().is_some_and(|(other, _)| *other >= score) {
                        continue;
                    }
                    let tail = reason.map_or(row.tail, |reason| reason.tail);
                    if let Some((holes, errno)) = capture_with_tail(&pattern, &holes, tail, text) {
                        let open = errno.is_none() && is_open(&pattern);
                        best =
                            Some((score, Found { stage, row, reason, holes, errno, open, literal: score.1 }));
                    }
                }
            }
        }
    }
    best.map(|(_, found)| found)
}

/// Whether a text of at least so many bytes is the beginning of a message, and no more: it was broken within its words.
pub(super) fn is_begun(text: &[u8], least: usize) -> bool {
    let text = text.trim_ascii_end();
    let rows = TABLE.iter().flat_map(|(_, rows)| *rows).flat_map(Row::wordings);
    let mut leads = rows.map(|(text, _)| split_hole(text).0.as_bytes());
    text.len() >= least && leads.any(|lead| lead.get(text.len()) == Some(&b' ') && lead.starts_with(text))
}

/// The wording alone and, if reasons may follow it, with each of them.
pub(super) fn with_reasons(
    row: &Row,
    (text, holes): Wording,
) -> impl Iterator<Item = (Option<&'static Row>, (String, String))> {
    let reasons = if row.tail == Tail::Result { REASONS } else { &[] };
    let with = move |&(reason, kinds): &Wording| (format!("{text}: {reason}"), format!("{holes}{kinds}"));
    std::iter::once((None, (text.to_owned(), holes.to_owned()))).chain(
        reasons.iter().flat_map(move |row| row.wordings().map(move |wording| (Some(row), with(wording)))),
    )
}

/// The holes of a pattern with their kinds, and the error text that follows the pattern.
type Captured<'t> = (Vec<(char, &'t [u8])>, Option<&'t [u8]>);

/// Matches `text` against a pattern and what is printed after it.
fn capture_with_tail<'t>(pattern: &str, holes: &str, tail: Tail, text: &'t [u8]) -> Option<Captured<'t>> {
    let whole = Some((text, None));
    let known = || errno::cut_known(text).map(|(head, errno)| (head, Some(errno)));
    let last = || errno::cut_last(text).map(|(head, errno)| (head, Some(errno)));
    // try last: some versions lack the error text that others print, or print one more
    let cuts = match tail {
        Tail::Plain => [whole, known(), None],
        Tail::Errno | Tail::Stale | Tail::Result => [known(), last(), whole],
    };
    cuts.into_iter().flatten().find_map(|(head, errno)| Some((capture(pattern, holes, head)?, errno)))
}

/// Matches the whole of `text` against `pattern`; returns what stands in the holes.
pub(super) fn capture<'t>(
    mut pattern: &str,
    holes: &str,
    mut text: &'t [u8],
) -> Option<Vec<(char, &'t [u8])>> {
    let mut kinds = holes.chars();
    let mut values = Vec::new();
    loop {
        let (literal, hole) = split_hole(pattern);
        text = text.strip_prefix(literal.as_bytes())?;
        let Some((numeric, rest)) = hole else {
            return text.is_empty().then_some(values);
        };
        let kind = kinds.next().unwrap_or('-');
        let end = match (kind, split_hole(rest)) {
            _ if numeric => run(text, |byte| byte.is_ascii_hexdigit() || matches!(byte, b'x' | b'-'))?,
            ('o', _) if text.starts_with(b"--") => run(text, |byte| !byte.is_ascii_whitespace())?,
            ('o', _) => return None,
            (_, (next, None)) => text.len().checked_sub(next.len())?,
            ('q', (next, _)) => source_end(text, next)?,
            (_, ("/", _)) => text.iter().rposition(|&byte| byte == b'/')?,
            (_, (next, _)) => find(text, next.as_bytes())?,
        };
        let (value, after) = text.split_at_checked(end)?;
        if kind == 'n' && !NODES.iter().any(|node| node.as_bytes() == value) {
            return None;
        }
        values.push((kind, value));
        (text, pattern) = (after, rest);
    }
}

/// Parts a pattern at its first hole: the text before, whether the hole is for a number, and the
/// pattern after.
pub(super) fn split_hole(pattern: &str) -> (&str, Option<(bool, &str)>) {
    let Some((literal, rest)) = pattern.split_once('%') else {
        return (pattern, None);
    };
    let conversion = rest.find(['s', 'd', 'o', 'u']).unwrap_or(0);
    let after = rest.get(conversion + 1..).unwrap_or_default();
    (literal, Some((!rest.starts_with('s'), after)))
}

/// Whether a hole ends a pattern.
pub(super) fn is_open(mut pattern: &str) -> bool {
    let mut open = false;
    while let (_, Some((_, rest))) = split_hole(pattern) {
        open = rest.is_empty();
        pattern = rest;
    }
    open
}

pub(super) fn literal_len(mut pattern: &str) -> usize {
    let mut length = 0;
    loop {
        let (literal, hole) = split_hole(pattern);
        length += literal.len();
        match hole {
            Some((_, rest)) => pattern = rest,
            None => return length,
        }
    }
}

/// How many bytes at the start of `text` are `wanted`; `None` if there are none.
fn run(text: &[u8], wanted: impl Fn(u8) -> bool) -> Option<usize> {
    Some(text.iter().take_while(|&&byte| wanted(byte)).count()).filter(|&length| length > 0)
}

/// Where the source of a bind mount ends and `separator` begins.
fn source_end(text: &[u8], separator: &str) -> Option<usize> {
    let below = |root: &str| find(text, format!("{separator}{root}").as_bytes());
    let newroot = if text.starts_with(b"/oldroot") { below("/newroot") } else { None };
    newroot.or_else(|| below("/")).or_else(|| below(""))
}
