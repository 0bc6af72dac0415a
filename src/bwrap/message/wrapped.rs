//! Messages over several lines: a terminal, a mail program or an agent broke them at its edge, or a path has newlines in it.

use super::marks::{named, without_marks};
use super::reading::{Fit, fit, is_telling, read, wording};
use super::recognise::{is_begun, recognise};
use super::{Errno, MOST_BYTES, Message, bare, errno};

/// A path may have newlines in it. Each line more is read once more.
const MOST_LINES: usize = 8;
/// A line of so many bytes may have ended at the edge of a terminal.
const EDGE: usize = 60;
/// So many lines more may a message be broken into.
const MOST_BROKEN: usize = 3;

/// Whether a line begins something of its own, so that no message of the line before goes on in it: a message of bwrap's, or what
/// was typed behind a prompt.
fn starts_anew(line: &[u8]) -> bool {
    let line = unquoted(line);
    let mut words = line.split(|byte| *byte == b' ');
    let prompt =
        |word: &[u8]| matches!(word, [.., b'$' | b'#' | b'%'] | [0xe2, 0x9d, 0xaf] | [0xe2, 0x9e, 0x9c]);
    let typed =
        words.next().is_some_and(prompt) || line.first() == Some(&b'[') && words.next().is_some_and(prompt);
    typed && line.contains(&b' ') || named(line).any(|start| start.colon)
}

/// Whether a text is one of bwrap's messages, in all its words.
fn is_known_whole(text: &[u8]) -> bool {
    recognise(text).is_some_and(|found| fit(&found) == Fit::Known)
}

/// A message of several lines, up to the one that ends it, and what somebody else said behind it. A path with a whole error and a
/// newline in it is likelier to be two lines.
pub(super) fn parted(lines: &[u8]) -> (&[u8], Option<&[u8]>) {
    let is_whole = |text: &[u8]| {
        let text = bare(text).1;
        recognise(text).map_or_else(|| errno::cut_known(text).is_some(), |found| fit(&found) == Fit::Known)
    };
    let ends = lines.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(end, _)| end);
    let mut parts = ends.take(MOST_LINES).filter_map(|end| lines.split_at_checked(end));
    match parts.find(|(own, _)| is_whole(own)) {
        Some((own, others)) => (own, Some(others.trim_ascii()).filter(|others| !others.is_empty())),
        None => (lines, None),
    }
}

/// A message whose path has newlines in it, or one that a terminal broke at its edge.
pub(super) fn over_lines(first: &[u8], after: &[Vec<u8>], is_known: bool) -> Option<Message> {
    let after = until_anew(after);
    let joined = |count: usize, by: &[u8]| {
        let mut text = first.to_vec();
        for line in after.get(..count)? {
            text.extend_from_slice(by);
            text.extend_from_slice(line);
        }
        Some(text).filter(|text| text.len() <= MOST_BYTES)
    };
    if is_known {
        // all that was pasted, if it makes sense as one
        let rest = after.iter().rposition(|line| !line.trim_ascii().is_empty()).map_or(0, |last| last + 1);
        let whole = (1..MOST_LINES).contains(&rest).then(|| joined(rest, b"\n")).flatten();
        // an edge in the middle of a path is likelier than a path with a newline
        let edge = first.len() >= EDGE || after.first().is_some_and(|line| line.starts_with(b"  "));
        let unbroken = (1..MOST_BROKEN).filter(|_| edge).find_map(|count| {
            // a blank was lost there if bwrap has more to say with one
            let [tight, spaced] = [&b""[..], b" "].map(|by| margined(first, after.get(..count)?, by));
            match (tight, spaced) {
                (Some(tight), Some(spaced)) if wording(&spaced) <= wording(&tight) => Some(tight),
                (tight, spaced) => spaced.or(tight),
            }
        });
        if unbroken.is_some() {
            return unbroken;
        }
        if let Some(text) = whole.filter(|text| is_known_whole(text)) {
            let whole = Message::parse(&text);
            // words that go on over an edge say more than a path with a newline
            let worded = filled(first, after, is_known).filter(|filled| wording(filled) > wording(&whole));
            return Some(worded.unwrap_or(whole));
        }
    } else {
        let texts = (1..MOST_LINES).map_while(|count| joined(count, b"\n"));
        if let Some(text) = texts.into_iter().find(|text| recognise(text).is_some()) {
            let whole = Message::parse(&text);
            return Some(within_path(first, after, &whole).unwrap_or(whole));
        }
    }
    let next = after.first()?.trim_ascii();
    let broken =
        joined(1, b"").into_iter().filter(|text| is_known_whole(text)).map(|text| Message::parse(&text));
    let mut broken = broken.filter(|message| {
        // the break is in the error's text: else what follows is a line of its own
        let error = message.errno().map_or("", Errno::text).as_bytes();
        !next.is_empty() && error.len() > next.len() && error.ends_with(next)
    });
    filled(first, after, is_known).or_else(|| broken.next())
}

/// A message with the lines behind it, without their margins, if that is all of one.
fn margined(first: &[u8], after: &[Vec<u8>], by: &[u8]) -> Option<Message> {
    let mut text = first.trim_ascii_end().to_vec();
    for line in after {
        text.extend_from_slice(by);
        text.extend_from_slice(unquoted(line));
    }
    (text.len() <= MOST_BYTES && is_known_whole(&text)).then(|| Message::parse(&text))
}

/// What a message with a newline in a path is without it, where an edge is likelier: both of its paths are one then, or what follows
/// is indented.
fn within_path(first: &[u8], after: &[Vec<u8>], whole: &Message) -> Option<Message> {
    let paths = [whole.path(), whole.source()].into_iter().flatten();
    if !paths.into_iter().any(|path| path.as_os_str().as_encoded_bytes().contains(&b'\n')) {
        return None;
    }
    let counts = || (1..MOST_BROKEN).filter_map(|count| after.get(..count));
    let broken = |by: &'static [u8]| {
        counts()
            .filter_map(move |lines| margined(first, lines, by))
            .find(|it| it.pattern() == whole.pattern())
    };
    let [spaced, tight] = [&b" "[..], b""].map(broken);
    let agrees = |message: &&Message| message.path().is_some() && message.path() == message.source();
    let same = spaced.as_ref().filter(agrees).or(tight.as_ref().filter(agrees)).cloned();
    let indented = after.first().is_some_and(|line| line.starts_with(b"  "));
    same.or(spaced.filter(|_| indented))
}

/// A message that somebody's sentence has, broken within bwrap's own words.
pub(super) fn in_sentence(first: &[u8], after: &[Vec<u8>]) -> Option<Message> {
    let after = until_anew(after);
    if after.is_empty() || !is_begun(first, 1) {
        return None;
    }
    filled(first, after, false).filter(is_telling).or_else(|| option(first, after.first()?))
}

/// A message that ends in the name of an option, on the next line.
fn option(first: &[u8], next: &[u8]) -> Option<Message> {
    const ASKED: &str = "Unknown option %s";
    let text = [first.trim_ascii_end(), b" ", unquoted(next)].concat();
    let message = Message::parse(without_marks(&text, None));
    let named = text.rsplit(|byte| *byte == b' ').next().is_some_and(|word| word.starts_with(b"-"));
    let whole = message.pattern() == Some(ASKED) && named;
    whole.then_some(message)
}

/// The lines in which a message may go on.
fn until_anew(after: &[Vec<u8>]) -> &[Vec<u8>] {
    let end = after.iter().position(|line| starts_anew(line));
    end.and_then(|end| after.get(..end)).unwrap_or(after)
}

/// A line without what mail and terminals put in front of it.
fn unquoted(line: &[u8]) -> &[u8] {
    let mark = |byte: &u8| byte.is_ascii_whitespace() || b">|".contains(byte);
    let begin = line.iter().position(|byte| !mark(byte)).unwrap_or(line.len());
    line.get(begin..).unwrap_or_default().trim_ascii_end()
}

/// Whether a path of it is another program's words: `ls: /foo` of a line that follows.
fn has_anothers(message: &Message) -> bool {
    let paths = [message.path(), message.source()].into_iter().flatten();
    paths.into_iter().any(|path| path.is_relative() && path.to_string_lossy().contains(": "))
}

/// A message in a paragraph that was filled and indented, quoted or not: with one blank for each break.
fn filled(first: &[u8], after: &[Vec<u8>], is_known: bool) -> Option<Message> {
    let mut text = first.trim_ascii_end().to_vec();
    let least = wording(&read(first, true, None).1);
    let mut best: Option<Message> = None;
    for line in after.iter().take(MOST_BROKEN) {
        let begun = text.len();
        let end = text.rsplit(|byte| *byte == b':').next().unwrap_or_default().trim_ascii().to_vec();
        text.push(b' ');
        text.extend_from_slice(unquoted(line));
        let (fit, message) = read(text.get(..MOST_BYTES).unwrap_or(&text), true, None);
        let error = message.errno().map_or("", Errno::text).as_bytes();
        // of a message that is known without it, only the error's text or bwrap's own words may go on: else what follows is a line
        // of its own
        let goes_on =
            !is_known || error.len() > end.len() && error.starts_with(&end) || wording(&message) > least;
        let more = best.as_ref().is_none_or(|best| wording(&message) > wording(best));
        if fit == Fit::Known && goes_on && more && message.text().len() > begun && !has_anothers(&message) {
            best = Some(message);
        }
    }
    best
}
