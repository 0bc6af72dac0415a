//! What JSON, build services and input methods write for a character.

use super::errno::find;

/// What was left out when it was retold, or never filled in when the program was built, and what is meant.
const RETOLD: &[(&[u8], &str)] =
    &[(b"Can't bind /oldroot/", "Can't bind mount /oldroot/"), (b"@BUBBLEWRAP_BIN@", "bwrap")];

/// A line with each character as it was before it was handed on.
pub(super) fn respelt(line: Vec<u8>) -> Vec<u8> {
    let line = if find(&line, b"##teamcity[").is_some() { of_teamcity(&line) } else { line };
    let line = if find(&line, b"\\u").is_some() { of_json(&line) } else { line };
    let line = if is_html(&line) { of_html(&line) } else { line };
    let line = RETOLD.iter().fold(line, |line, (told, meant)| {
        if find(&line, told).is_none() {
            return line;
        }
        replaced(&line, |rest| rest.starts_with(told).then(|| (told.len(), (*meant).to_owned())))
    });
    let named =
        find(&line, "bwrap\u{ff1a}".as_bytes()).or_else(|| find(&line, "bubblewrap\u{ff1a}".as_bytes()));
    if named.is_some() { narrow(&line) } else { line }
}

/// Replaces what `spelt` knows: how many bytes it takes, and what is meant.
fn replaced(line: &[u8], spelt: impl Fn(&[u8]) -> Option<(usize, String)>) -> Vec<u8> {
    let mut text = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        if let Some((length, meant)) = spelt(rest) {
            text.extend_from_slice(meant.as_bytes());
            rest = rest.get(length..).unwrap_or_default();
        } else {
            text.push(byte);
            rest = after;
        }
    }
    text
}

/// The character whose number is written so.
fn numbered(digits: Option<&[u8]>) -> Option<char> {
    let number = u32::from_str_radix(str::from_utf8(digits?).ok()?, 16).ok()?;
    char::from_u32(number).filter(|letter| !letter.is_control())
}

/// `\u0027`. A quotation mark stays escaped, for one that is not ends the string.
fn of_json(line: &[u8]) -> Vec<u8> {
    replaced(line, |rest| {
        let letter = numbered(rest.strip_prefix(b"\\u")?.get(..4))?;
        Some((6, if letter == '"' { "\\\"".to_owned() } else { letter.to_string() }))
    })
}

/// What HTML writes for characters that nobody needs to write so elsewhere.
const ENTITIES: &[(&str, &str)] =
    &[("&quot;", "\""), ("&apos;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", " "), ("&amp;", "&")];

/// Whether a line was written for HTML: a name may have an `&amp;` in it, but hardly beside a quotation mark of HTML's.
fn is_html(line: &[u8]) -> bool {
    let has = |mark: &[u8]| find(line, mark).is_some();
    has(b"&#") && has(b";") || ENTITIES.iter().any(|(name, _)| *name != "&amp;" && has(name.as_bytes()))
}

fn of_html(line: &[u8]) -> Vec<u8> {
    replaced(line, |rest| {
        if rest.first() != Some(&b'&') {
            return None;
        }
        if let Some((name, meant)) = ENTITIES.iter().find(|(name, _)| rest.starts_with(name.as_bytes())) {
            return Some((name.len(), (*meant).to_owned()));
        }
        let end = rest.get(..10).unwrap_or(rest).iter().position(|byte| *byte == b';')?;
        let digits = str::from_utf8(rest.get(2..end)?).ok().filter(|_| rest.starts_with(b"&#"))?;
        let number = match digits.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => digits.parse(),
        };
        let letter = char::from_u32(number.ok()?).filter(|letter| !letter.is_control())?;
        Some((end + 1, letter.to_string()))
    })
}

/// A service message, its values as JSON has its strings.
fn of_teamcity(line: &[u8]) -> Vec<u8> {
    replaced(line, |rest| {
        let meant = match rest {
            [b'|', b'0', b'x', digits @ ..] => return Some((7, numbered(digits.get(..4))?.to_string())),
            [b'|', letter @ (b'n' | b'r'), ..] => format!("\\{}", char::from(*letter)),
            [b'|', letter @ (b'\'' | b'|' | b'[' | b']'), ..] => char::from(*letter).to_string(),
            [b'\'', ..] => return Some((1, "\"".to_owned())),
            [b'"', ..] => return Some((1, "\\\"".to_owned())),
            _ => return None,
        };
        Some((2, meant))
    })
}

/// The colons of an input method, which has one behind bwrap's name: they take the room of a blank.
fn narrow(line: &[u8]) -> Vec<u8> {
    let colon = "\u{ff1a}".as_bytes();
    replaced(line, |rest| {
        let after = rest.strip_prefix(colon)?;
        Some((colon.len(), if after.first() == Some(&b' ') { ":" } else { ": " }.to_owned()))
    })
}
