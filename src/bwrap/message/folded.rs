//! Messages as people hand them on: in another case, with other quotes or none, without colons.
//!
//! Both the text and the patterns of the table are folded to what survives that, and compared so; what stands in the holes is
//! taken from the text as it was.

use std::ops::Range;
use std::sync::OnceLock;

use super::errno;
use super::recognise::{Found, capture, is_open, literal_len, split_hole, with_reasons};
use super::stage::Stage;
use super::table::{Row, TABLE, Tail};

/// A text without what gets lost, and where each byte of it stood.
pub(super) struct Folded<'t> {
    text: &'t [u8],
    pub(super) bytes: Vec<u8>,
    at: Vec<usize>,
    /// The wordings that begin as it does.
    fitting: Vec<&'static Pattern>,
}

/// Quotation marks beyond ASCII, and what HTML makes of those within.
const MARKS: &[&[u8]] = &[
    "\u{2018}".as_bytes(),
    "\u{2019}".as_bytes(),
    "\u{201c}".as_bytes(),
    "\u{201d}".as_bytes(),
    // an acute accent, and the sign of feet
    "\u{b4}".as_bytes(),
    "\u{2032}".as_bytes(),
    b"&quot;",
    b"&#39;",
    b"&#34;",
    b"&apos;",
];

/// Hyphens of word processors.
const HYPHENS: &[&[u8]] = &["\u{2010}".as_bytes(), "\u{2011}".as_bytes()];

/// Whether a known message may begin as a text does: what is cheap to tell of most texts.
pub(super) fn may_begin(text: &[u8]) -> bool {
    /// Longer than what any message begins with.
    const MOST: usize = 120;
    let begin = Folded::new(text.get(..MOST).unwrap_or(text));
    // what begins with a hole begins with an option
    let option = begin.bytes.starts_with(b"-");
    patterns().iter().any(|known| match known.lead.as_bytes() {
        b"" => option,
        lead => begin.bytes.starts_with(lead),
    })
}

impl<'t> Folded<'t> {
    fn new(text: &'t [u8]) -> Self {
        let (mut bytes, mut at) = (Vec::with_capacity(text.len()), Vec::with_capacity(text.len()));
        let mut index = 0;
        while let Some((&byte, rest)) = text.get(index..).and_then(<[u8]>::split_first) {
            let mark = MARKS.iter().find(|mark| text.get(index..).is_some_and(|rest| rest.starts_with(mark)));
            let hyphen =
                HYPHENS.iter().find(|mark| text.get(index..).is_some_and(|rest| rest.starts_with(mark)));
            let (kept, length) = match (byte, mark.or(hyphen)) {
                (_, Some(mark)) => (hyphen.map(|_| b'-'), mark.len()),
                (b'\'' | b'"' | b'`' | b'*', _) => (None, 1),
                (b'\\', _) if rest.first().is_some_and(|next| b"'\"`\\".contains(next)) => (None, 1),
                (byte, _) if byte.is_ascii_whitespace() || byte == b':' => {
                    let gap = bytes.last().is_none_or(|last| *last == b' ');
                    (Some(b' ').filter(|_| !gap), 1)
                }
                (byte, _) => (Some(byte.to_ascii_lowercase()), 1),
            };
            if let Some(byte) = kept {
                bytes.push(byte);
                at.push(index);
            }
            index += length;
        }
        Self { text, bytes, at, fitting: Vec::new() }
    }

    /// A text to be recognised.
    pub(super) fn of(text: &'t [u8]) -> Self {
        let mut folded = Self::new(text);
        let fitting = patterns().iter().filter(|known| folded.bytes.starts_with(known.lead.as_bytes()));
        folded.fitting = fitting.collect();
        folded
    }

    /// What stood where this part of the folded text is.
    fn original(&self, part: Range<usize>) -> &'t [u8] {
        let start = self.at.get(part.start).copied();
        let end = part.end.checked_sub(1).filter(|_| !part.is_empty()).and_then(|last| self.at.get(last));
        match (start, end) {
            (Some(start), Some(last)) => self.text.get(start..=*last).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The original up to where the first `length` folded bytes end.
    pub(super) fn head(&self, length: usize) -> &'t [u8] {
        let end = length.checked_sub(1).and_then(|last| self.at.get(last)).map_or(0, |last| last + 1);
        self.text.get(..end).unwrap_or_default()
    }

    /// Finds the row that the first `length` bytes fit best, as [`recognise`](super::recognise::recognise) does.
    pub(super) fn recognise(&self, length: usize) -> Option<Found<'t>> {
        let text = self.bytes.get(..length)?;
        let text = text.strip_suffix(b" ").unwrap_or(text);
        let cut = errno::cut_folded(text);
        let found = self.fitting.iter().filter_map(|known| {
            let whole = (text, None);
            let with = cut.map(|(head, errno)| (head, Some(errno)));
            let ways = match known.tail {
                Tail::Plain => [Some(whole), with],
                _ => [with, Some(whole)],
            };
            ways.into_iter().flatten().find_map(|(head, errno)| {
                let holes = capture(&known.text, &known.holes, head)?;
                let offset = |part: &[u8]| part.as_ptr().addr().saturating_sub(head.as_ptr().addr());
                let range = |part: &[u8]| offset(part)..offset(part) + part.len();
                let hole = |(kind, part): (char, &[u8])| {
                    let original = self.original(range(part));
                    let known = errno::canonical(original).filter(|_| kind == 'e').map(str::as_bytes);
                    (kind, known.unwrap_or_else(|| without_root(kind, original)))
                };
                let holes = holes.into_iter().map(hole).collect();
                let found = Found {
                    stage: known.stage,
                    row: known.row,
                    reason: known.reason,
                    holes,
                    errno: errno.map(str::as_bytes),
                    open: errno.is_none() && is_open(&known.text),
                    literal: known.length,
                };
                Some(((known.lead.len(), known.length), found))
            })
        });
        let mut best: Option<((usize, usize), Found<'t>)> = None;
        for (score, found) in found {
            if best.as_ref().is_none_or(|(other, _)| score > *other) {
                best = Some((score, found));
            }
        }
        best.map(|(_, found)| found)
    }
}

/// A path without bwrap's name for the root it is below, in whatever case.
fn without_root(kind: char, path: &[u8]) -> &[u8] {
    let root = match kind {
        'p' | 'f' => "/newroot",
        'q' | 'b' => "/oldroot",
        _ => return path,
    };
    match path.split_at_checked(root.len()) {
        Some((head, b"")) if head.eq_ignore_ascii_case(root.as_bytes()) => b"/",
        Some((head, rest @ [b'/', ..])) if head.eq_ignore_ascii_case(root.as_bytes()) => rest,
        _ => path,
    }
}

/// A wording of the table, folded.
struct Pattern {
    stage: Stage,
    row: &'static Row,
    reason: Option<&'static Row>,
    tail: Tail,
    lead: String,
    text: String,
    holes: String,
    length: usize,
}

fn patterns() -> &'static [Pattern] {
    static PATTERNS: OnceLock<Vec<Pattern>> = OnceLock::new();
    PATTERNS.get_or_init(|| {
        let mut all = Vec::new();
        for &(stage, rows) in TABLE {
            for row in rows {
                for &wording in row.wordings() {
                    for (reason, (text, holes)) in with_reasons(row, wording) {
                        let pattern =
                            String::from_utf8_lossy(&Folded::new(text.as_bytes()).bytes).into_owned();
                        let lead = split_hole(&pattern).0.to_owned();
                        let tail = reason.map_or(row.tail, |reason| reason.tail);
                        let length = literal_len(&pattern);
                        all.push(Pattern { stage, row, reason, tail, lead, text: pattern, holes, length });
                    }
                }
            }
        }
        all
    })
}
