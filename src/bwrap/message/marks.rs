//! What stands around words in what people paste: colours, quotation marks, ends of strings and sentences; and bwrap's name.

use super::errno::{ends_in_error, find};
use super::spelling::respelt;

/// A line as it was before it was shown: without what a terminal obeys (colours, the end that DOS gives it) and what frames it.
pub(super) fn plain(line: &[u8]) -> Vec<u8> {
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
    respelt(unframed(&kept).to_vec())
}

/// A line without the sides of the box or the table that it stands in.
fn unframed(line: &[u8]) -> &[u8] {
    const SIDES: [&str; 4] = ["|", "\u{2502}", "\u{2503}", "\u{2551}"];
    let within = |side: &str| line.trim_ascii().strip_prefix(side.as_bytes())?.strip_suffix(side.as_bytes());
    SIDES.into_iter().find_map(within).map_or(line, <[u8]>::trim_ascii)
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
pub(super) struct Start {
    pub(super) name: usize,
    pub(super) words: usize,
    pub(super) colon: bool,
}

/// Every place of a line where bwrap's name stands.
pub(super) fn named(line: &[u8]) -> impl Iterator<Item = Start> {
    const NAMES: &[&[u8]] = &[b"bwrap", b"bubblewrap"];
    let candidates = (0..line.len()).filter(|at| matches!(line.get(*at), Some(b'b' | b'B')));
    candidates.filter_map(|name| {
        let rest = line.get(name..)?;
        if goes_on(line.get(..name)?) {
            return None;
        }
        let length = NAMES
            .iter()
            .find(|known| rest.get(..known.len()).is_some_and(|word| word.eq_ignore_ascii_case(known)))?
            .len();
        let (mut words, mut colon) = (name + length, false);
        words += match line.get(words..)? {
            [b'[', rest @ ..] => rest.iter().position(|byte| *byte == b']')? + 2,
            [b'(', rest @ ..] => numbered(rest).map_or(0, |length| length + 2),
            _ => 0,
        };
        words += announced(line.get(words..)?);
        for mark in line.get(words..)? {
            match mark {
                b':' => colon = true,
                // as it is mistyped
                b';' if !colon && line.get(words + 1) == Some(&b' ') => {}
                // within quotation marks: `msg="exec: \"bwrap\": executable file not found"`
                b'\\' if matches!(line.get(words + 1), Some(b'"' | b'\'')) => {}
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

/// The length of a process's number, up to its parenthesis.
fn numbered(text: &[u8]) -> Option<usize> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (length > 0 && text.get(length) == Some(&b')')).then_some(length)
}

/// The length of what launchers put between bwrap's name and its words: `bwrap error: `, `bwrap => `.
fn announced(text: &[u8]) -> usize {
    const WORDS: &[&[u8]] = &[
        b" error",
        b" fatal error",
        b" failed",
        b" failure",
        b" stderr",
        b" said",
        b" says",
        b" output",
        b" reported",
    ];
    const SIGNS: &[&[u8]] =
        &[b" - ", b" -> ", b" => ", b" > ", b" >> ", b" | ", b" \xe2\x80\x94 ", b" \xe2\x80\x93 "];
    let begins =
        |words: &&&[u8]| text.get(..words.len()).is_some_and(|head| head.eq_ignore_ascii_case(words));
    if let Some(sign) = SIGNS.iter().find(|sign| text.starts_with(sign)) {
        return sign.len();
    }
    let lengths = WORDS.iter().filter(begins).map(|words| words.len());
    lengths.filter(|length| text.get(*length) == Some(&b':')).max().map_or(0, |length| length + 1)
}

/// A text whose end nothing but decoration tells, without that.
pub(super) fn trimmed(text: &[u8], quote: Option<u8>) -> &[u8] {
    let [most, ..] = trims(text, quote);
    most
}

/// The same, the most that could be decoration first.
pub(super) fn trims(text: &[u8], quote: Option<u8>) -> [&[u8]; 3] {
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
pub(super) fn without_marks(mut text: &[u8], quote: Option<u8>) -> &[u8] {
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

/// Whether a text ends within a word. What JSON and source code write for a new line or a tab is none.
fn goes_on(text: &[u8]) -> bool {
    let escaped = matches!(text, [.., b'\\', b'n' | b'r' | b't']);
    // nor is what ran into the message before
    !escaped && text.last().is_some_and(u8::is_ascii_alphanumeric) && !ends_in_error(text)
}
