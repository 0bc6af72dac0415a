//! Finding what bwrap said in what people paste: logs, terminals, tickets, the JSON of a log driver.
//!
//! Everybody puts something around a message: a time and a name in front, a full stop, a quotation mark or the end of a JSON
//! string behind, colours between. So a message is looked for at each place of a line where one could begin, and read up to
//! each place where it could end; the reading that explains most is taken, the plain one first. What nobody knows is bwrap's
//! only if bwrap's name stands in front of it, as bwrap puts it there.

use super::errno::find;
use super::folded::Folded;
use super::recognise::{Found, literal_len, recognise};
use super::table::Tail;
use super::{Errno, Message, PREFIX, errno, split_level};

/// What a text turned out to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// Messages of bwrap's.
    Bwrap(Vec<Message>),
    /// Somebody else's word that bwrap could not be started, and the reason.
    NotStarted(Errno),
    /// Nothing of the kind.
    Nothing,
}

/// A message has two paths at most: what is longer is none, and would take forever to read.
const MOST_BYTES: usize = 10_000;
/// A path may have newlines in it. Each line more is read once more.
const MOST_LINES: usize = 8;
/// So many lines more may a message be broken into.
const MOST_BROKEN: usize = 3;
/// So many messages are looked at with all that could be around them.
const MOST_MESSAGES: usize = 64;
/// So many lines are searched where no line has bwrap's name in it.
const MOST_SEARCHED: usize = 2_000;

/// Finds what bwrap said.
pub(crate) fn search(text: &[u8]) -> Said {
    let lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(plain).collect();
    let lines = traced(&lines).unwrap_or(lines);
    let mut messages: Vec<Message> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if let Some(start) = named(line).next() {
            let thorough = messages.len() < MOST_MESSAGES;
            let after = lines.get(index + 1..).unwrap_or_default();
            let goes_on = after.iter().position(|line| starts_anew(line)).and_then(|end| after.get(..end));
            messages.extend(in_line(line, start, goes_on.unwrap_or(after), thorough));
        }
    }
    let mut messages = without_titles(messages);
    if messages.iter().all(|message| message.pattern().is_none()) {
        let single = lines.iter().filter(|line| !line.trim_ascii().is_empty()).count() == 1;
        let about = lines.iter().take(MOST_SEARCHED).any(|line| {
            let lower = line.to_ascii_lowercase();
            find(&lower, b"flatpak").is_some() || named(&lower).next().is_some()
        });
        let known = lines.iter().take(MOST_SEARCHED).filter_map(|line| unnamed(line, single, about));
        let known: Vec<Message> = known.collect();
        if !known.is_empty() {
            messages = known;
        }
    }
    if !messages.is_empty() {
        return Said::Bwrap(messages);
    }
    lines.iter().find_map(|line| not_started(line)).map_or(Said::Nothing, Said::NotStarted)
}

/// Messages without those that only name another: a title has it without its error, or without its path.
fn without_titles(mut messages: Vec<Message>) -> Vec<Message> {
    let whole: Vec<Message> =
        messages.iter().filter(|message| message.errno.is_some()).take(MOST_MESSAGES).cloned().collect();
    messages.retain(|message| {
        let bare = without_marks(message.text().as_encoded_bytes(), None);
        let begins = |other: &Message| {
            let text = other.text().as_encoded_bytes();
            text.len() > bare.len()
                && text.get(..bare.len()).is_some_and(|head| head.eq_ignore_ascii_case(bare))
        };
        let titles =
            |other: &Message| begins(other) || message.pattern.is_some() && message.pattern == other.pattern;
        let answered = message.answered || message.stale;
        let shortened = message.errno.is_none() && (answered || message.pattern.is_none());
        !(shortened && whole.iter().any(titles))
    });
    messages
}

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

/// What strace(1) saw being written, in lines of its own, if that is what was pasted. It shows a part of a string at a time, and of a long
/// one the beginning.
fn traced(lines: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    const CALL: &[u8] = b"write(2, \"";
    let written = |line: &Vec<u8>| -> Option<Vec<u8>> {
        let begin = find(line, CALL)? + CALL.len();
        let mut text = Vec::new();
        let mut bytes = line.get(begin..)?.iter().copied();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => break,
                b'\\' => text.extend(match bytes.next() {
                    Some(b'n') => Some(b'\n'),
                    Some(b't') => Some(b'\t'),
                    other => other,
                }),
                byte => text.push(byte),
            }
        }
        // cut within a word
        if bytes.next() == Some(b'.') {
            let end = text.iter().rposition(|byte| *byte == b':').unwrap_or(text.len());
            text.truncate(end);
            text.push(b'\n');
        }
        Some(text)
    };
    let all: Vec<u8> = lines.iter().filter_map(written).flatten().collect();
    let others = lines.iter().filter(|line| find(line, CALL).is_none()).cloned();
    (!all.is_empty()).then(|| all.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).chain(others).collect())
}

/// A line without what a terminal obeys: colours, the end that DOS gives it, and what a progress bar writes over.
fn plain(line: &[u8]) -> Vec<u8> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut kept = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        if let Some(length) = escape(rest) {
            rest = rest.get(length..).unwrap_or_default();
        } else {
            kept.push(byte);
            rest = after;
        }
    }
    kept
}

/// The length of a sequence that sets a colour, or the title: as it is, or as JSON and source code spell it. Nothing else, for a
/// path may hold anything.
fn escape(text: &[u8]) -> Option<usize> {
    const STARTS: &[&[u8]] = &[b"\x1b[", b"\\u001b[", b"\\u001B[", b"\\x1b[", b"\\x1B[", b"\\033[", b"\\e["];
    let start = STARTS.iter().find(|start| text.starts_with(start))?.len();
    let parameters = text.get(start..)?;
    let length = parameters.iter().take_while(|byte| byte.is_ascii_digit() || b";:".contains(byte)).count();
    // m sets a colour, K clears the line's rest, as grep does beside it
    matches!(parameters.get(length), Some(b'm' | b'K')).then_some(start + length + 1)
}

/// Where bwrap's name may end and its words begin, and whether the name is followed by a colon, as bwrap prints it.
#[derive(Clone, Copy)]
struct Start {
    name: usize,
    words: usize,
    colon: bool,
}

/// Every place of a line where bwrap's name stands.
fn named(line: &[u8]) -> impl Iterator<Item = Start> {
    const NAMES: &[&[u8]] = &[b"bwrap", b"bubblewrap"];
    let candidates = (0..line.len()).filter(|at| matches!(line.get(*at), Some(b'b' | b'B')));
    candidates.filter_map(|name| {
        let rest = line.get(name..)?;
        if name.checked_sub(1).and_then(|before| line.get(before)).is_some_and(u8::is_ascii_alphanumeric) {
            return None;
        }
        let length = NAMES
            .iter()
            .find(|known| rest.get(..known.len()).is_some_and(|word| word.eq_ignore_ascii_case(known)))?
            .len();
        let (mut words, mut colon) = (name + length, false);
        if line.get(words) == Some(&b'[') {
            words += line.get(words..)?.iter().position(|byte| *byte == b']')? + 1;
        }
        for mark in line.get(words..)? {
            match mark {
                b':' => colon = true,
                b' ' | b'\t' | b'\'' | b'"' | b'`' | b']' | b')' | b'*'
                // curly quotation marks
                | 0xe2 | 0x80 | 0x98 | 0x99 | 0x9c | 0x9d => {}
                _ => break,
            }
            words += 1;
        }
        // `bwrap-1 |` and `bwrap.service` are other names
        let apart = words > name + length || words == line.len();
        apart.then_some(Start { name, words, colon })
    })
}

/// How well a reading of a text explains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// Not at all.
    No,
    /// A known message that ends in a path or the like, with nothing to say where that ends.
    Open,
    /// A known message to its last word, without the error that belongs to it.
    Whole,
    /// All of it.
    Known,
}

fn fit(found: &Found<'_>) -> Fit {
    let known = found.errno.is_some_and(|text| Errno::read(text).code().is_some());
    let tail = found.reason.map_or(found.row.tail, |reason| reason.tail);
    match tail {
        _ if known || found.row.implied.is_some() => Fit::Known,
        Tail::Plain if !found.open && found.errno.is_none() => Fit::Known,
        _ if found.open || found.errno.is_some() => Fit::Open,
        _ => Fit::Whole,
    }
}

/// The message that a line with bwrap's name holds.
fn in_line(line: &[u8], first: Start, after: &[Vec<u8>], thorough: bool) -> Option<Message> {
    let words = |start: Start| line.get(start.words..);
    let mut best: Option<(Fit, Message)> = None;
    for start in named(line).take(if thorough { 8 } else { 1 }) {
        let (fit, message) = read(words(start)?, thorough, quote_before(line, start.name));
        let (fit, message) = match level(line, start.name) {
            Some(level) if fit > Fit::No => (fit, message.of_level(level)),
            _ => (fit, message),
        };
        if fit > Fit::No && (start.colon || fit == Fit::Known || is_worded(&message, 12)) {
            if best.as_ref().is_none_or(|(other, _)| fit > *other) {
                best = Some((fit, message));
            }
            if fit == Fit::Known {
                break;
            }
        }
    }
    if let Some(message) = best.as_ref().and_then(|(_, message)| of_loader(line, message)) {
        return Some(message);
    }
    if let Some((Fit::Known, message)) = best {
        return Some(message);
    }
    let own = named(line).find(|start| start.colon && is_own(line, *start));
    if best.as_ref().is_none_or(|(fit, _)| *fit < Fit::Whole)
        && let Some(start) = own
        && let Some(joined) = over_lines(words(start)?, after, best.is_some())
    {
        return Some(joined);
    }
    // words of a launcher's between its name and what it said
    if best.is_none() && thorough {
        let rest = line.get(first.words..)?;
        best = word_starts(rest).take(64).find_map(|at| {
            let (fit, message) = read(rest.get(at..)?, true, None);
            (fit == Fit::Known && is_telling(&message)).then_some((fit, message))
        });
    }
    match (best, own) {
        (Some((_, message)), _) => Some(message),
        (None, Some(start)) => {
            let [_, text, _] = trims(words(start)?, quote_before(line, start.name));
            let text = text.get(..MOST_BYTES).unwrap_or(text);
            let message = Message::parse(text);
            Some(match level(line, start.name) {
                Some(level) => message.of_level(level),
                None => message,
            })
        }
        (None, None) => None,
    }
}

/// The loader's own message, which says whom it loads with the path, where that is bwrap.
fn of_loader(line: &[u8], message: &Message) -> Option<Message> {
    if message.stage() != super::Stage::Loader {
        return None;
    }
    let named = named(line).next()?;
    let word = line.get(..named.name)?.iter().rposition(u8::is_ascii_whitespace).map_or(0, |at| at + 1);
    let start = word + line.get(word..named.name)?.iter().position(|byte| *byte == b'/')?;
    let (fit, whole) = read(line.get(start..)?, true, quote_before(line, start));
    let same = fit > Fit::No && whole.stage() == super::Stage::Loader;
    same.then_some(whole)
}

/// A message whose path has newlines in it, or one that a terminal broke at its edge.
fn over_lines(first: &[u8], after: &[Vec<u8>], is_known: bool) -> Option<Message> {
    let joined = |count: usize, by: &[u8]| {
        let mut text = first.to_vec();
        for line in after.get(..count)? {
            text.extend_from_slice(by);
            text.extend_from_slice(line);
        }
        Some(text).filter(|text| text.len() <= MOST_BYTES)
    };
    let known = |text: &[u8]| recognise(text).is_some_and(|found| fit(&found) == Fit::Known);
    if is_known {
        // all that was pasted, if it makes sense as one
        let rest = after.iter().rposition(|line| !line.trim_ascii().is_empty()).map_or(0, |last| last + 1);
        let whole = joined(rest, b"\n").filter(|_| (1..MOST_LINES).contains(&rest));
        if let Some(text) = whole.filter(|text| known(text)) {
            let whole = Message::parse(&text);
            // words that go on over an edge say more than a path with a newline
            let worded = filled(first, after, is_known).filter(|filled| wording(filled) > wording(&whole));
            return Some(worded.unwrap_or(whole));
        }
    } else {
        let texts = (1..MOST_LINES).map_while(|count| joined(count, b"\n"));
        if let Some(text) = texts.into_iter().find(|text| recognise(text).is_some()) {
            return Some(Message::parse(&text));
        }
    }
    let next = after.first()?.trim_ascii();
    let broken = joined(1, b"").into_iter().filter(|text| known(text)).map(|text| Message::parse(&text));
    let mut broken = broken.filter(|message| {
        // the break is in the error's text: else what follows is a line of its own
        let error = message.errno().map_or("", Errno::text).as_bytes();
        !next.is_empty() && error.len() > next.len() && error.ends_with(next)
    });
    filled(first, after, is_known).or_else(|| broken.next())
}

/// A line without what mail and terminals put in front of it.
fn unquoted(line: &[u8]) -> &[u8] {
    let mark = |byte: &u8| byte.is_ascii_whitespace() || b">|".contains(byte);
    let begin = line.iter().position(|byte| !mark(byte)).unwrap_or(line.len());
    line.get(begin..).unwrap_or_default().trim_ascii_end()
}

/// A message in a paragraph that was filled and indented, quoted or not: with one blank for each break.
fn filled(first: &[u8], after: &[Vec<u8>], is_known: bool) -> Option<Message> {
    let mut text = first.trim_ascii_end().to_vec();
    let least = wording(&read(first, true, None).1);
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
        if fit == Fit::Known && goes_on && message.text().len() > begun {
            return Some(message);
        }
    }
    None
}

/// The message in a line without bwrap's name. What others may say as well needs to be all there is, or the whole line among others
/// about bwrap or Flatpak.
fn unnamed(line: &[u8], single: bool, about: bool) -> Option<Message> {
    let line = line.get(..MOST_BYTES).unwrap_or(line).trim_ascii();
    if let Some(usage) = line.strip_prefix(b"usage: ") {
        let name = usage.split(|byte| *byte == b' ').next()?;
        return name.ends_with(b"bwrap").then(|| Message::parse(line));
    }
    if single || about {
        let (fit, message) = read(line, true, None);
        let strict = recognise(line).is_some_and(|found| !found.row.bare || found.holes.is_empty());
        // `fork: ` and the like are too short to be bwrap's alone
        let strict = strict && (single || message.errno.is_some() && is_worded(&message, "execvp ".len()));
        let rooted = message.path().into_iter().chain(message.source()).all(std::path::Path::has_root);
        if fit == Fit::Known && rooted && (strict || is_telling(&message)) {
            return Some(message);
        }
    }
    let starts = word_starts(line).take(32);
    starts.into_iter().find_map(|at| {
        let (fit, message) = read(line.get(at..)?, true, quote_before(line, at));
        let rooted = message.path().into_iter().chain(message.source()).all(std::path::Path::has_root);
        (fit == Fit::Known && rooted && is_telling(&message)).then_some(message)
    })
}

/// Whether so much of a message is bwrap's own that nothing else is worded alike by chance.
fn is_worded(message: &Message, least: usize) -> bool {
    wording(message) >= least
}

/// How much of a message is bwrap's own.
fn wording(message: &Message) -> usize {
    let text = |pattern: Option<&str>| pattern.map_or(0, literal_len);
    text(message.pattern()) + text(message.reason())
}

/// Whether nobody but bwrap words it like that.
fn is_telling(message: &Message) -> bool {
    let root = |name: &[u8]| find(message.text().as_encoded_bytes(), name).is_some();
    message.stage() != super::Stage::Loader
        && (is_worded(message, 15) || root(b"/newroot") || root(b"/oldroot"))
}

/// Reads a text up to where its message ends.
fn read(text: &[u8], thorough: bool, quote: Option<u8>) -> (Fit, Message) {
    let text = text.get(..MOST_BYTES).unwrap_or(text);
    let strict = recognise(text);
    // what follows it is bwrap's advice, and says nothing more; the end of a string is none
    if let Some(found) = strict.as_ref().filter(|found| found.open && found.row.implied.is_some()) {
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

/// A text whose end nothing but decoration tells, without that.
fn trimmed(text: &[u8], quote: Option<u8>) -> &[u8] {
    let [most, ..] = trims(text, quote);
    most
}

/// The same, the most that could be decoration first.
fn trims(text: &[u8], quote: Option<u8>) -> [&[u8]; 3] {
    fn cut(text: &[u8], at: Option<usize>) -> &[u8] {
        at.and_then(|at| text.get(..at)).unwrap_or(text)
    }
    // the string that it stands in
    let mut text = cut(text, find(text, b"\\n").or_else(|| find(text, b"\\r")));
    match quote {
        // one may be an apostrophe
        Some(b'\'') => text = cut(text, text.iter().rposition(|byte| *byte == b'\'')),
        Some(quote) => text = cut(text, text.iter().position(|byte| *byte == quote)),
        None => {}
    }
    for end in [&b"\",\""[..], b"\"}", b"\" }", b"%0A", b", falling back", b"; falling back", b"</"] {
        text = cut(text, find(text, end));
    }
    // what is said after it
    let said = (0..text.len()).find(|at| {
        let Some(rest) = text.get(*at..) else { return false };
        let aside =
            [&b" (os error"[..], b" (exit", b" (code", b" (errno", b" (status", b" [exit", b" - falling"];
        let clause = |rest: &[u8]| {
            matches!(rest, [b',' | b';', b' ', letter, ..] if letter.is_ascii_alphabetic())
                || rest.starts_with(b" \xe2\x80\x94 ")
        };
        aside.iter().any(|mark| rest.starts_with(mark)) || clause(rest)
    });
    let short = cut(text, said);
    [without_marks(short, quote), without_marks(text, quote), text]
}

/// A text without the marks that end it: those of a sentence, and those that nothing in it opens.
fn without_marks(mut text: &[u8], quote: Option<u8>) -> &[u8] {
    let count = |text: &[u8], mark: u8| text.split(|byte| *byte == mark).count() - 1;
    let opens = |text: &[u8], open: u8, close: u8| count(text, open) > count(text, close);
    loop {
        let shorter = match text {
            [rest @ .., b')'] if !opens(rest, b'(', b')') => rest,
            [rest @ .., b']'] if !opens(rest, b'[', b']') => rest,
            [rest @ .., b'}'] if !opens(rest, b'{', b'}') => rest,
            [rest @ .., mark @ (b'"' | b'`')] if count(rest, *mark) % 2 == 0 => rest,
            [rest @ .., b'.' | b',' | b';' | b':' | b'!' | b'?' | b'\\' | b' ' | b'\t' | b'\r' | b'*'] => {
                rest
            }
            [rest @ .., b'\''] if !rest.contains(&b'\'') || quote == Some(b'\'') => rest,
            [rest @ .., 0xe2, 0x80, 0x99 | 0x9d] => rest,
            _ => return text,
        };
        text = shorter;
    }
}

/// The quotation mark that a message stands in.
fn quote_before(line: &[u8], at: usize) -> Option<u8> {
    let before = line.get(..at)?;
    before.last().copied().filter(|byte| b"'\"`".contains(byte))
}

/// The level in front of bwrap's name.
fn level(line: &[u8], name: usize) -> Option<u8> {
    split_level(line.get(name.checked_sub(3)?..)?).0
}

/// Where words begin.
fn word_starts(line: &[u8]) -> impl Iterator<Item = usize> {
    let word = |at: usize| line.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    (0..line.len()).filter(move |at| word(*at) && at.checked_sub(1).is_none_or(|before| !word(before)))
}

/// Whether it is bwrap itself that speaks, where its words are none that are known: what a log puts in front ends otherwise than
/// a sentence about bwrap does, and a shell's or a launcher's words are about bwrap, not its own.
fn is_own(line: &[u8], start: Start) -> bool {
    let Some(words) = line.get(start.words..) else { return false };
    if line.get(start.name..).is_none_or(|rest| !rest.starts_with(PREFIX)) || is_error(words) {
        return false;
    }
    if start.name > "<3>".len() && not_started(line).is_some() {
        return false;
    }
    let others = [
        &b"exit"[..],
        b"signal",
        b"not found",
        b"command not found",
        b"failed",
        b"error code",
        b"Child process",
        b"child process",
    ];
    if others.iter().any(|mark| words.starts_with(mark)) {
        return false;
    }
    let before = line.get(..start.name).unwrap_or_default().trim_ascii_end();
    let word = before.rsplit(|byte| byte.is_ascii_whitespace() || *byte == b'"').next().unwrap_or_default();
    let (first, rest) = word.split_first().map_or((None, word), |(first, rest)| (Some(*first), rest));
    // `Executing bwrap: ...`, and not `Warning bwrap: ...`
    let doing =
        first.is_some_and(|first| first.is_ascii_uppercase()) && word.ends_with(b"ing") && word != b"Warning";
    let lower = first.is_some_and(|first| first.is_ascii_lowercase());
    let sentence = (lower || doing) && rest.iter().all(u8::is_ascii_lowercase);
    // as Docker and its kin name a stream
    !sentence || [&b"stderr"[..], b"stdout"].contains(&word)
}

/// Whether a text is an error and nothing else.
fn is_error(text: &[u8]) -> bool {
    let text = trimmed(text, None);
    if errno::translated_in(text).is_some_and(|error| error.text().len() == text.len()) {
        return true;
    }
    let text = [b": ", text].concat();
    errno::cut_folded(&text).is_some_and(|(head, _)| head.is_empty())
}

/// What launchers refuse by themselves, without starting anything.
const REFUSED: &[&str] = &[
    "building bubblewrap command",
    "build bubblewrap command",
    "building bwrap command",
    "build bwrap command",
];

/// What launchers say of a program that is not there.
const MISSING: &[&str] = &["not installed"];

/// What shells say, in some languages, and those that search PATH as they do.
const BY_SHELL: &[&str] = &[
    "command not found",
    "executable file not found",
    "unknown command",
    "befehl nicht gefunden",
    "kommando nicht gefunden",
    "commande introuvable",
    "orden no encontrada",
    "comando non trovato",
    "comando n\u{e3}o encontrado",
    "\u{43a}\u{43e}\u{43c}\u{430}\u{43d}\u{434}\u{430} \u{43d}\u{435} \u{43d}\u{430}\u{439}\u{434}\u{435}\u{43d}\u{430}",
    "nie znaleziono polecenia",
    "\u{672a}\u{627e}\u{5230}\u{547d}\u{4ee4}",
];

/// What a launcher says of bwrap before its name, where it finds none.
const NONE_BEFORE: &[&[u8]] = &[
    b"could not find",
    b"couldn't find",
    b"cannot find",
    b"can't find",
    b"can not find",
    b"unable to find",
    b"failed to find",
    b"failed to locate",
    b"could not locate",
    b"did not find",
    b"not find",
    b"no",
    b"missing",
];

/// The same behind it.
const NONE_BEHIND: &[&[u8]] = &[
    b"not found",
    b"not be found",
    b"not present",
    b"not available",
    b"unavailable",
    b"not on path",
    b"not on your path",
    b"not on the path",
    b"not in path",
    b"not in your path",
    b"not in the path",
    b"missing",
    b"does not exist",
    b"doesn't exist",
    b"couldn't be found",
];

/// Words that may stand between the name and these.
const BETWEEN: &[&[u8]] = &[
    b"the",
    b"a",
    b"an",
    b"any",
    b"usable",
    b"system",
    b"is",
    b"was",
    b"are",
    b"but",
    b"required",
    b"needed",
    b"and",
    b"could",
    b"can",
    b"command",
    b"binary",
    b"executable",
    b"program",
    b"package",
    b"tool",
    b"sandbox",
    b"helper",
    b"which",
];

/// Whether a line in small letters says of bwrap that it is not there.
fn says_none(line: &[u8]) -> bool {
    let mark = |byte: &u8| byte.is_ascii_whitespace() || b"'\"`()[]:,;.*".contains(byte);
    let behind = |mut rest: &[u8]| {
        for _ in 0..6 {
            let begin = rest.iter().position(|byte| !mark(byte)).unwrap_or(rest.len());
            rest = rest.get(begin..).unwrap_or_default();
            if NONE_BEHIND.iter().any(|words| rest.starts_with(words)) {
                return true;
            }
            let end = rest.iter().position(mark).unwrap_or(rest.len());
            if !rest.get(..end).is_some_and(|word| BETWEEN.contains(&word)) {
                return false;
            }
            rest = rest.get(end..).unwrap_or_default();
        }
        false
    };
    let before = |mut rest: &[u8]| {
        for _ in 0..4 {
            let end = rest.iter().rposition(|byte| !mark(byte)).map_or(0, |last| last + 1);
            rest = rest.get(..end).unwrap_or_default();
            let ends = |words: &&&[u8]| {
                let head = rest.strip_suffix(**words);
                head.is_some_and(|head| head.last().is_none_or(mark))
            };
            if NONE_BEFORE.iter().any(|words| ends(&words)) {
                return true;
            }
            let begin = rest.iter().rposition(mark).map_or(0, |at| at + 1);
            if !rest.get(begin..).is_some_and(|word| BETWEEN.contains(&word)) {
                return false;
            }
            rest = rest.get(..begin).unwrap_or_default();
        }
        false
    };
    let told = |start: Start| {
        let length = line
            .get(start.name..)
            .map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count());
        behind(line.get(start.name + length..).unwrap_or_default())
            || before(line.get(..start.name).unwrap_or_default())
    };
    named(line).take(8).any(told)
}

/// Whether a line in small letters tells people to install bwrap, for want of it or of one that works.
fn asks_for_it(line: &[u8]) -> bool {
    let has = |words: &[&[u8]]| words.iter().any(|word| find(line, word).is_some());
    has(&[
        b"install bubblewrap",
        b"install bwrap",
        b"install 'bubblewrap'",
        b"install `bubblewrap`",
        b"install the bubblewrap",
    ]) && has(&[b"no ", b"not ", b"unavailable", b"missing", b"require", b"needs "])
}

/// Whether a line says that bwrap could not be started, and why: a shell's words, or a launcher's.
fn not_started(line: &[u8]) -> Option<Errno> {
    let lower = line.get(..MOST_BYTES).unwrap_or(line).to_ascii_lowercase();
    let has = |text: &str| find(&lower, text.as_bytes()).is_some();
    let starts = ["spawn", "exec", "fork"].iter().any(|word| has(word));
    let about = named(line).next().is_some() || has("/bwrap");
    if !about {
        // too many words for whatever it is: those that are meant for bwrap are among them
        let error = errno::named_in(&lower).filter(|error| error.code() == Some(libc::E2BIG));
        return error.filter(|_| starts);
    }
    if REFUSED.iter().any(|words| has(words)) {
        return None;
    }
    let ends = lower.trim_ascii_end().ends_with(b"not found");
    if ends
        || MISSING.iter().chain(BY_SHELL).any(|words| has(words))
        || says_none(&lower)
        || asks_for_it(&lower)
    {
        return Some(Errno::implied(libc::ENOENT));
    }
    let error = errno::named_in(&lower).or_else(|| errno::translated_in(line))?;
    // `bash: /usr/bin/bwrap: Permission denied`: the name, and the error alone
    let alone = named(line).any(|start| start.colon && is_error(line.get(start.words..).unwrap_or_default()));
    // `[Errno 2] No such file or directory: 'bwrap'`, and `spawn bwrap ENOENT`
    let last = lower.trim_ascii_end();
    let last = last.trim_ascii_end().strip_suffix(b"'").or(last.strip_suffix(b"\"")).unwrap_or(last);
    (alone || starts || last.ends_with(b"bwrap")).then_some(error)
}

/// Whose word it is that bwrap could not be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The system's answer is in it.
    System,
    /// A shell's, which looked for it in its PATH.
    Shell,
    /// A launcher's, which may have tried it in its own way.
    Launcher,
}

/// A line that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotStarted {
    pub(crate) line: String,
    pub(crate) heard: Heard,
}

/// The first line of a text in which a shell or a launcher says that bwrap could not be started.
pub(crate) fn not_started_in(text: &[u8]) -> Option<NotStarted> {
    let line = text.split(|byte| *byte == b'\n').map(plain).find(|line| not_started(line).is_some())?;
    let lower = line.to_ascii_lowercase();
    let shells = BY_SHELL.iter().any(|words| find(&lower, words.as_bytes()).is_some());
    let heard = if errno::named_in(&line).or_else(|| errno::translated_in(&line)).is_some() {
        Heard::System
    } else if shells || lower.trim_ascii_end().ends_with(b": not found") {
        Heard::Shell
    } else {
        Heard::Launcher
    };
    Some(NotStarted { line: String::from_utf8_lossy(line.trim_ascii()).into_owned(), heard })
}

/// The path of a bwrap that stands on a line of its own, as `command -v bwrap` prints it, or in one that tells what bwrap is.
pub(crate) fn path_shown(text: &[u8]) -> Option<String> {
    let lines = text.split(|byte| *byte == b'\n').map(plain);
    lines.filter_map(|line| String::from_utf8(line).ok()).find_map(|line| {
        let line = line.trim();
        let path = line.strip_prefix("bwrap is ").or(line.strip_prefix("bwrap: ")).unwrap_or(line);
        let path = path.split(' ').next().filter(|first| *first == path || line.starts_with("bwrap: "))?;
        (path.starts_with('/') && path.ends_with("/bwrap")).then(|| path.to_owned())
    })
}
