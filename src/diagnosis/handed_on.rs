//! The text as it was, of one that was handed on whole in another form: in UTF-16, as a string of JSON, quoted, with a time before
//! each line. What it tells stands in lines.

use std::borrow::Cow;

/// Takes away what stands before a line, if it does.
type Mark = fn(&[u8]) -> Option<&[u8]>;

/// A text in UTF-8 and lines.
pub(super) fn plain(text: &[u8]) -> Cow<'_, [u8]> {
    let text = decoded(text);
    let text = unescaped(&text).map_or(text, Cow::Owned);
    let lines = || text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let marks: [Mark; 2] = [unquoted, untimed];
    let mark = marks.into_iter().find(|mark| lines().count() > 1 && lines().all(|line| mark(line).is_some()));
    let Some(mark) = mark else { return text };
    let all = text.split(|byte| *byte == b'\n').map(|line| mark(line).unwrap_or(line));
    Cow::Owned(all.collect::<Vec<_>>().join(&b'\n'))
}

/// A text in UTF-8, of one in UTF-16 with a mark of its order, as PowerShell redirects it.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    let order: fn([u8; 2]) -> u16 = match text {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return Cow::Borrowed(text),
    };
    let units: Vec<u16> =
        text.chunks_exact(2).skip(1).filter_map(|pair| Some(order(pair.try_into().ok()?))).collect();
    // others' bytes make letters of every language at once
    let plain = units.iter().filter(|unit| **unit < 0x80).count();
    if plain * 2 < units.len() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(String::from_utf16_lossy(&units).into_bytes())
}

/// A line without the mark of what somebody quotes.
fn unquoted(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_prefix(b">")?;
    Some(line.strip_prefix(b" ").unwrap_or(line))
}

/// A line without the time before it, as services of CI write it: `2026-07-20T10:11:12.1234567Z `.
fn untimed(line: &[u8]) -> Option<&[u8]> {
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let (time, rest) = line.split_at_checked(end)?;
    let digits = |part: Option<&[u8]>| part.is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    let is = digits(time.get(..4)) && time.get(10) == Some(&b'T') && time.ends_with(b"Z");
    is.then(|| rest.strip_prefix(b" ").unwrap_or(rest))
}

/// A text with the strings of JSON that have several lines in them, each as these lines: a body that a tracker's interface gives.
fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut changed = false;
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if index > 0 {
            out.push(b'\n');
        }
        if !line.trim_ascii().starts_with(b"{") && !line.trim_ascii().starts_with(b"\"") {
            out.extend_from_slice(line);
            continue;
        }
        let mut rest = line;
        while let Some(begin) = rest.iter().position(|byte| *byte == b'"') {
            let (before, string) = rest.split_at_checked(begin + 1).unwrap_or((rest, &[]));
            let Some(end) = closing(string) else { break };
            let (inner, after) = string.split_at_checked(end).unwrap_or((string, &[]));
            out.extend_from_slice(before);
            match string_of(inner).filter(|_| has_lines(inner)) {
                Some(lines) => {
                    changed = true;
                    out.extend_from_slice(format!("\n{}\n", lines.replace('\r', "")).as_bytes());
                }
                None => out.extend_from_slice(inner),
            }
            let (mark, after) = after.split_at_checked(1).unwrap_or((after, &[]));
            out.extend_from_slice(mark);
            rest = after;
        }
        out.extend_from_slice(rest);
    }
    changed.then_some(out)
}

/// Where a string ends whose first mark was read.
fn closing(string: &[u8]) -> Option<usize> {
    let mut escaped = false;
    string.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    })
}

/// What a string of JSON says.
fn string_of(inner: &[u8]) -> Option<String> {
    serde_json::from_slice(&[b"\"", inner, b"\""].concat()).ok()
}

/// Whether a string has an end of a line within: one at its end has every line of a log.
fn has_lines(inner: &[u8]) -> bool {
    let mut inner = inner;
    while let Some(head) = inner.strip_suffix(b"\\n") {
        inner = head;
    }
    inner.windows(2).enumerate().any(|(at, pair)| {
        let before = inner.get(..at).unwrap_or_default();
        pair == b"\\n" && before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        String::from_utf8_lossy(&plain(text.as_bytes())).into_owned()
    }

    #[test]
    fn what_was_handed_on_whole_is_read_as_it_was() {
        for (text, lines) in [
            ("> docker run x\n> bwrap: y\n", "docker run x\nbwrap: y\n"),
            ("> docker run x\n>\n> bwrap: y", "docker run x\n\nbwrap: y"),
            ("2026-07-20T10:11:12.1234567Z a:\n2026-07-20T10:11:12.1234567Z   b\n", "a:\n  b\n"),
        ] {
            assert_eq!(read(text), lines, "{text}");
        }
        let issue = read(r#"{"title":"x","body":"say \"a\"\nbwrap: y\n\tz"}"#);
        assert!(issue.lines().any(|line| line == "say \"a\""), "{issue}");
        assert!(issue.lines().any(|line| line == "bwrap: y"), "{issue}");
    }

    #[test]
    fn what_is_quoted_in_part_stays_so() {
        for text in [
            "> docker run x\nbwrap: y\n",
            "> bwrap: y",
            "2026-07-20T10:11:12.1234567Z a\nb",
            r#"{"log":"bwrap: y\n","stream":"stderr"}"#,
            r#"{"path":"C:\\new","x":"y"}"#,
            r#"printf("bwrap: y\n in z\n");"#,
            r#"{"body":"never ends\nx"#,
        ] {
            assert_eq!(read(text), text, "{text}");
        }
    }
}
