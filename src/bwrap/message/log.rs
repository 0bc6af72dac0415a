//! Finding what bwrap said in what people paste: logs, terminals, tickets, the JSON of a log driver.
//!
//! Everybody puts something around a message: a time and a name in front, a full stop, a quotation mark or the end of a JSON
//! string behind, colours between. So a message is looked for at each place of a line where one could begin, and read up to
//! each place where it could end; the reading that explains most is taken, the plain one first. What nobody knows is bwrap's
//! only if bwrap's name stands in front of it, as bwrap puts it there.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::LazyLock;

use super::errno::find;
use super::finder::Finder;
use super::folded::may_begin;
use super::marks::{Start, named, plain, trims, without_marks};
use super::packages::is_of_packages;
use super::reading::{Fit, is_telling, is_worded, read};
use super::recognise::{is_begun, recognise};
use super::retyped;
use super::spoken::{self, Spoken};
use super::status::is_status;
use super::table::{Row, TABLE};
use super::unstarted::{is_error, is_inside, not_started};
use super::wrapped::{in_sentence, over_lines};
use super::{Errno, MOST_BYTES, Message, PREFIX, split_level};

/// What a text turned out to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// Messages of bwrap's, and beside them others' words that bwrap could not be started.
    Bwrap(Vec<Message>),
    /// Somebody else's word that bwrap could not be started, and the reason.
    NotStarted(Errno),
    /// Nothing of the kind.
    Nothing,
}

/// So many bytes of a message's words are a beginning that is no other's.
const LEAST_BEGUN: usize = 24;
/// So many messages are looked at with all that could be around them.
const MOST_MESSAGES: usize = 64;
/// So many times in a line bwrap may be named.
const MOST_NAMES: usize = 64;
/// So many lines without bwrap's name are looked at for what could be around a message.
const MOST_LOOKED_AT: usize = 300;
/// So many lines are searched where no line has bwrap's name in it.
const MOST_SEARCHED: usize = 2_000;

/// Finds what bwrap said.
pub(crate) fn search(text: &[u8]) -> Said {
    let lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(plain).collect();
    let lines = traced(&lines).unwrap_or(lines);
    let lines: Vec<Vec<u8>> = lines.into_iter().flat_map(run_together).collect();
    let mut messages: Vec<Message> = Vec::new();
    let mut beside: Vec<Message> = Vec::new();
    let (mut looked, mut tried, mut since) = (0, 0, (0, 0));
    for (index, line) in lines.iter().enumerate() {
        if let Some(start) = named(line).next() {
            // a log can name bwrap in each of its lines, and have a message in none
            let may = may_hold_message(line);
            looked += usize::from(may);
            let after = lines.get(index + 1..).unwrap_or_default();
            let thorough = may && looked < MOST_MESSAGES;
            let retype = tried < MOST_MESSAGES && messages.len() < MOST_MESSAGES;
            tried += usize::from(!may);
            match in_line(line, start, after, thorough, retype) {
                Some(mut message) => {
                    if messages.len() < MOST_MESSAGES {
                        message.spoken = spoken_of(&lines, since, index, Some(start));
                    }
                    since = (index, start.words);
                    messages.push(message);
                }
                None if beside.len() < MOST_MESSAGES && not_started(line).is_some() => {
                    beside.push(Message::foreign(line.trim_ascii()));
                }
                None => {}
            }
        }
    }
    let mut messages = without_titles(messages);
    if messages.iter().all(|message| message.pattern().is_none()) {
        let single = lines.iter().filter(|line| !line.trim_ascii().is_empty()).count() == 1;
        let about = lines.iter().take(MOST_SEARCHED).any(|line| {
            // somebody started it here: that it is installed, or spoken of, says nothing of other lines
            let lower = line.to_ascii_lowercase();
            let has = |words: &[u8]| find(&lower, words).is_some();
            // of old, bwrap did not say its name
            let old = has(b"bubblewrap-shell") || has(b"bubblewrap 0.1.") || lower.starts_with(b"execvp \"");
            has(b"flatpak run") || old || has(b" --") && named(&lower).next().is_some()
        });
        // WebKit waits for the same number as bwrap does, and says the same of it
        let of_webkit = lines.iter().take(MOST_SEARCHED).any(|line| find(line, b"readPIDFromPeer").is_some());
        let known = lines.iter().enumerate().take(MOST_SEARCHED).filter(|(_, line)| may_hold_message(line));
        let known = known.take(MOST_LOOKED_AT);
        let known = known.filter_map(|(index, line)| {
            let message = unnamed(line, single, about)?;
            let peers = message.pattern() == Some("Unexpected short read from pid socket");
            if peers && (of_webkit || find(line, b"PID socket").is_some()) {
                return None;
            }
            let asked =
                message.operation().is_none() && message.text().as_encoded_bytes().starts_with(b"usage: ");
            let spoken = if asked && spoken::is_help(text) {
                Spoken::Asked
            } else {
                spoken_of(&lines, (0, 0), index, None)
            };
            Some(Message { spoken, ..message })
        });
        let known: Vec<Message> = known.collect();
        if !known.is_empty() {
            messages = known;
        }
    }
    if !messages.is_empty() {
        messages.append(&mut beside);
        return Said::Bwrap(messages);
    }
    if lines.iter().any(|line| is_inside(line)) {
        return Said::Nothing;
    }
    lines.iter().find_map(|line| not_started(line)).map_or(Said::Nothing, Said::NotStarted)
}

/// So many lines before a message tell how it is spoken of, and so many after it.
const MOST_TELLING: usize = 30;

/// How a text speaks of the message in a line, the last one before which began in line `since` and at that byte of it.
fn spoken_of(lines: &[Vec<u8>], since: (usize, usize), index: usize, start: Option<Start>) -> Spoken {
    let Some(line) = lines.get(index) else { return Spoken::Plain };
    let begun = since.0.max(index.saturating_sub(MOST_TELLING));
    let before = lines.get(begun..index).unwrap_or_default().iter().enumerate().map(|(at, line)| {
        let words = if begun + at == since.0 { since.1 } else { 0 };
        line.get(words..).unwrap_or_default()
    });
    let intro = before.collect::<Vec<_>>().join(&b'\n');
    let (before, said) = start.map_or((&[][..], &line[..]), |start| {
        (line.get(..start.name).unwrap_or_default(), line.get(start.words..).unwrap_or_default())
    });
    let next = lines.iter().skip(index + 1).take(MOST_TELLING);
    let next = next.take_while(|line| !named(line).any(|start| start.colon));
    let after: Vec<&[u8]> = std::iter::once(said).chain(next.map(Vec::as_slice)).collect();
    spoken::of(&intro, before, &after.join(&b'\n'))
}

/// The parts of a line in which several messages have run together: each ends where bwrap's name stands behind one that is whole.
fn run_together(line: Vec<u8>) -> Vec<Vec<u8>> {
    let speaks =
        |start: &Start| start.colon || line.get(..start.words).is_some_and(|head| head.ends_with(b": "));
    let names: Vec<Start> = named(&line).filter(speaks).take(MOST_MESSAGES).collect();
    if names.len() < 2 || !may_hold_message(&line) {
        return vec![line];
    }
    let ends = names.iter().zip(names.iter().skip(1)).filter_map(|(first, next)| {
        let said = line.get(first.words..next.name)?;
        let (fit, _) = read(said, true, quote_before(&line, first.name));
        let another = line.get(next.words..).is_some_and(may_hold_message);
        (fit == Fit::Known || fit == Fit::Whole && another).then_some(next.name)
    });
    let begins: Vec<usize> = std::iter::once(0).chain(ends).collect();
    let ends = begins.iter().skip(1).copied().chain(std::iter::once(line.len()));
    begins.iter().zip(ends).filter_map(|(begin, end)| line.get(*begin..end).map(<[u8]>::to_vec)).collect()
}

/// Whether a line has the first words of any message that is known, without a look at what is around them. Most lines have none.
fn may_hold_message(line: &[u8]) -> bool {
    static LEADS: LazyLock<Finder> = LazyLock::new(|| {
        let rows = TABLE.iter().flat_map(|(_, rows)| rows.iter());
        Finder::folded(rows.flat_map(Row::wordings).map(|(text, _)| lead(text)))
    });
    LEADS.may_find(line.get(..MOST_BYTES).unwrap_or(line))
}

/// The longest run of plain letters and blanks in a pattern's text: what quotation marks and escapes leave as it is.
fn lead(text: &str) -> String {
    let runs = text.split('%').enumerate().flat_map(|(index, part)| {
        // behind a hole comes what tells its kind: `#o`, `zu`
        let kind = part.trim_start_matches(['#', 'z', 'l']).get(1..).unwrap_or_default();
        let part = if index == 0 { part } else { kind };
        part.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != ' ')
    });
    runs.map(|run| run.trim().to_ascii_lowercase()).max_by_key(String::len).unwrap_or_default()
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

/// The message that a line with bwrap's name holds.
fn in_line(line: &[u8], first: Start, after: &[Vec<u8>], thorough: bool, retype: bool) -> Option<Message> {
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
    let own = named(line).take(MOST_NAMES).find(|start| start.colon && is_own(line, *start));
    let open = line.trim_ascii_end().ends_with(b":");
    // a sentence may have been broken behind any of its colons
    let broken = own.or_else(|| named(line).find(|start| start.colon).filter(|_| open && best.is_some()));
    let begun = own.is_some_and(|start| words(start).is_some_and(|words| is_begun(words, LEAST_BEGUN)));
    if best.as_ref().is_none_or(|(fit, _)| *fit < Fit::Whole || open || begun)
        && let Some(start) = broken
        && let Some(joined) = over_lines(words(start)?, after, best.is_some())
    {
        return Some(joined);
    }
    if best.as_ref().is_none_or(|(fit, _)| *fit < Fit::Whole)
        && let Some(joined) =
            named(line).filter(|start| start.colon).find_map(|start| in_sentence(words(start)?, after))
    {
        return Some(joined);
    }
    // words of a launcher's between its name and what it said
    if best.is_none() && thorough {
        let rest = line.get(first.words..)?;
        best = word_starts(rest).take(64).find_map(|at| {
            // up to the mark that closes it, where that makes a message
            let quote = quote_before(rest, at).filter(|quote| *quote != b'\'');
            let (fit, message) = match read(rest.get(at..)?, true, quote) {
                (Fit::No | Fit::Open, _) if quote.is_some() => read(rest.get(at..)?, true, None),
                closed => closed,
            };
            // without its error only where somebody quotes it
            let quoted =
                fit == Fit::Whole && rest.get(at.checked_sub(1)?).is_some_and(|byte| b"\"'`".contains(byte));
            ((fit == Fit::Known || quoted) && is_telling(&message)).then_some((fit, message))
        });
    }
    if best.as_ref().is_none_or(|(fit, _)| *fit <= Fit::Open)
        && retype
        && let Some(message) = words(first).and_then(retyped)
    {
        return Some(message);
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

/// A message that was typed off, its letters as they were typed.
fn retyped(text: &[u8]) -> Option<Message> {
    let text = trims(text, None)[1];
    let mended = retyped::mended(text)?;
    let (fit, message) = read(&mended, true, None);
    let known = fit == Fit::Known && is_worded(&message, 10);
    known.then(|| Message { text: OsString::from_vec(text.to_vec()), ..message })
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

/// The message in a line without bwrap's name. What others may say as well needs to be all there is, or the whole line among others
/// about bwrap or Flatpak.
fn unnamed(line: &[u8], single: bool, about: bool) -> Option<Message> {
    let line = line.get(..MOST_BYTES).unwrap_or(line).trim_ascii();
    if is_of_packages(line) {
        return None;
    }
    if let Some(usage) = line.strip_prefix(b"usage: ") {
        let name = usage.split(|byte| *byte == b' ').next()?;
        return name.ends_with(b"bwrap").then(|| Message::parse(line));
    }
    if single || about {
        let (fit, message) = read(line, true, None);
        let strict = recognise(line).is_some_and(|found| !found.row.bare || found.holes.is_empty());
        // `fork: ` and the like are too short to be bwrap's alone
        // no message of bwrap's ends in a comma and its error
        let strict = strict && (message.errno.is_none() || find(line, b": ").is_some());
        let strict = strict && (single || message.errno.is_some() && is_worded(&message, "execvp ".len()));
        let rooted = message.path().into_iter().chain(message.source()).all(std::path::Path::has_root);
        if fit == Fit::Known && rooted && (strict || is_telling(&message)) {
            return Some(message);
        }
    }
    let starts = word_starts(line).take(32);
    let starts = starts.filter(|at| line.get(*at..).is_some_and(may_begin));
    starts.into_iter().find_map(|at| {
        let (fit, message) = read(line.get(at..)?, true, quote_before(line, at));
        let rooted = message.path().into_iter().chain(message.source()).all(std::path::Path::has_root);
        (fit == Fit::Known && rooted && is_telling(&message)).then_some(message)
    })
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
    let line = line.get(..start.words + MOST_BYTES).unwrap_or(line);
    let Some(words) = line.get(start.words..) else { return false };
    if line.get(start.name..).is_none_or(|rest| !rest.starts_with(PREFIX))
        || is_error(words)
        || is_status(words)
    {
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
