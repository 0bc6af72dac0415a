//! Reading a text up to where a message ends in it, and how well that explains it.

use super::errno::{self, find};
use super::folded::Folded;
use super::marks::trims;
use super::recognise::{Found, literal_len, recognise};
use super::table::Tail;
use super::{Errno, MOST_BYTES, Message, Stage};

/// How well a reading of a text explains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// Not at all.
    No,
    /// A known message that ends in a path or the like, with nothing to say where that ends.
    Open,
    /// A known message to its last word, without the error that belongs to it.
    Whole,
    /// All of it.
    Known,
}

pub(super) fn fit(found: &Found<'_>) -> Fit {
    let known = found.errno.is_some_and(|text| Errno::read(text).code().is_some());
    let tail = found.reason.map_or(found.row.tail, |reason| reason.tail);
    match tail {
        _ if known || found.row.implied.is_some() => Fit::Known,
        Tail::Plain if !found.open && found.errno.is_none() => Fit::Known,
        _ if found.open || found.errno.is_some() => Fit::Open,
        _ => Fit::Whole,
    }
}

/// Whether so much of a message is bwrap's own that nothing else is worded alike by chance.
pub(super) fn is_worded(message: &Message, least: usize) -> bool {
    wording(message) >= least
}

/// How much of a message is bwrap's own.
pub(super) fn wording(message: &Message) -> usize {
    let text = |pattern: Option<&str>| pattern.map_or(0, literal_len);
    text(message.pattern()) + text(message.reason())
}

/// Whether nobody but bwrap words it like that.
pub(super) fn is_telling(message: &Message) -> bool {
    let root = |name: &[u8]| find(message.text().as_encoded_bytes(), name).is_some();
    message.stage() != Stage::Loader && (is_worded(message, 15) || root(b"/newroot") || root(b"/oldroot"))
}

/// Reads a text up to where its message ends.
pub(super) fn read(text: &[u8], thorough: bool, quote: Option<u8>) -> (Fit, Message) {
    let text = text.get(..MOST_BYTES).unwrap_or(text);
    let strict = recognise(text);
    // what follows it is bwrap's advice, and says nothing more; the end of a string is none
    if let Some(found) = strict.as_ref().filter(|found| found.open && found.row.implied.is_some()) {
        // a quotation ends where it is closed; in bwrap's own words are apostrophes only
        let mark = quote.filter(|quote| b"\"`".contains(quote));
        let closed = mark.and_then(|quote| text.get(..text.iter().position(|byte| *byte == quote)?));
        if let Some((closed, found)) = closed.and_then(|closed| Some((closed, recognise(closed)?)))
            && fit(&found) == Fit::Known
        {
            return (Fit::Known, Message::of(closed, Some(found)));
        }
        let [.., whole] = trims(text, quote);
        let whole = whole.strip_suffix(b"\"").or(whole.strip_suffix(b"`")).unwrap_or(whole);
        if fit(found) == Fit::Known
            && let Some(found) = recognise(whole)
        {
            return (Fit::Known, Message::of(whole, Some(found)));
        }
    }
    if !thorough || strict.as_ref().is_some_and(|found| fit(found) == Fit::Known && !found.open) {
        // a string of JSON has its quotation marks escaped
        if let Some(message) = thorough.then(|| unescaped(text)).flatten() {
            return (Fit::Known, message);
        }
        return (strict.as_ref().map_or(Fit::No, fit), Message::of(text, strict));
    }
    if let Some(message) = unescaped(text) {
        return (Fit::Known, message);
    }
    if let Some(message) = reworded(text, quote) {
        return message;
    }
    let mut best: Option<((Fit, usize), Message)> = None;
    let mut weigh = |found: Found<'_>, text: &[u8]| {
        let rank = (fit(&found), found.literal);
        if best.as_ref().is_none_or(|(other, _)| rank > *other) {
            best = Some((rank, Message::of(text, Some(found))));
        }
        rank.0 == Fit::Known
    };
    for head in ends(text).filter_map(|end| text.get(..end)) {
        let Some(found) = recognise(head).filter(|found| !found.open) else { continue };
        if fit(&found) == Fit::Known {
            return (Fit::Known, Message::of(head, Some(found)));
        }
        if fit(&found) == Fit::Whole {
            weigh(found, head);
        }
    }
    let trims = trims(text, quote);
    for trimmed in trims {
        recognise(trimmed).map(|found| weigh(found, trimmed));
        let folded = Folded::of(trimmed);
        folded.recognise(folded.bytes.len()).map(|found| weigh(found, trimmed));
    }
    let folded = Folded::of(text);
    let whole = std::iter::once(folded.bytes.len());
    for end in whole.chain(ends(&folded.bytes)) {
        if let Some(found) = folded.recognise(end).filter(|found| fit(found) >= Fit::Whole && !found.open)
            && weigh(found, folded.head(end))
        {
            break;
        }
    }
    match best {
        Some(((fit, _), message)) => (fit, message),
        None => (Fit::No, Message::parse(text)),
    }
}

/// A message whose error was cut within or translated, if it is a known one with the whole error.
fn reworded(text: &[u8], quote: Option<u8>) -> Option<(Fit, Message)> {
    let [.., within] = trims(text, quote);
    let reworded = errno::reworded(within)?;
    let error = reworded.error.map(|error| [b": ", error.as_bytes()].concat());
    let whole = [reworded.head, &error.unwrap_or_default()].concat();
    let found = recognise(&whole)?;
    Some((fit(&found), Message::of(reworded.shown, Some(found))))
}

/// The message in a string of JSON or source code, up to where that ends, if it makes sense without the escapes. A log driver
/// may have escaped what was escaped before.
fn unescaped(text: &[u8]) -> Option<Message> {
    let mut text = text.to_vec();
    for _ in 0..3 {
        find(&text, b"\\\"").or_else(|| find(&text, b"\\'"))?;
        let mut plain = Vec::with_capacity(text.len());
        let mut bytes = text.iter().copied();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => break,
                b'\\' => match bytes.next() {
                    Some(b'n' | b'r') | None => break,
                    Some(b't') => plain.push(b'\t'),
                    Some(other) => plain.push(other),
                },
                byte => plain.push(byte),
            }
        }
        if let Some(found) = recognise(&plain).filter(|found| fit(found) == Fit::Known) {
            return Some(Message::of(&plain, Some(found)));
        }
        text = plain;
    }
    None
}

/// Where a message may end: before anything that is not part of a word or a path.
fn ends(text: &[u8]) -> impl Iterator<Item = usize> {
    const MOST: usize = 512;
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"/_-%".contains(byte);
    let at = (1..text.len()).filter(move |at| text.get(*at).is_some_and(|byte| !inner(byte)));
    at.chain(std::iter::once(text.len())).take(MOST)
}
