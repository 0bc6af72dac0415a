//! What a shell reads and the lexer does not: `$'...'`, with which bash and `printf %q` quote what has no other form, and lines that
//! go on after a backslash.

/// The same text with each `$'...'` in plain marks, and in one line; `None` if a quotation mark is missing.
pub(super) fn plain(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    let (mut double, mut before) = (false, b' ');
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        // a line that goes on: outside of plain marks the shell takes both out
        if let (b'\\', Some(next)) = (byte, line_end(rest)) {
            rest = next;
            continue;
        }
        match byte {
            b'\\' => {
                out.push(byte);
                if let Some((&next, after)) = rest.split_first() {
                    out.push(next);
                    rest = after;
                }
            }
            b'"' => {
                double = !double;
                out.push(byte);
            }
            b'#' if !double && before.is_ascii_whitespace() => {
                let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                let (comment, after) = rest.split_at_checked(end)?;
                out.push(byte);
                out.extend(comment);
                rest = after;
            }
            b'\'' if !double => {
                let end = rest.iter().position(|byte| *byte == b'\'')?;
                let (word, after) = rest.split_at_checked(end + 1)?;
                out.push(byte);
                out.extend(word);
                rest = after;
            }
            b'$' if !double && rest.first() == Some(&b'\'') => {
                let (word, after) = unescaped(rest.get(1..)?)?;
                out.push(b'\'');
                for byte in word {
                    out.extend(if byte == b'\'' { &b"'\\''"[..] } else { std::slice::from_ref(&byte) });
                }
                out.push(b'\'');
                rest = after;
            }
            _ => out.push(byte),
        }
        before = byte;
    }
    Some(out)
}

/// What comes after the end of a line, if that is here. Windows ends lines with two bytes.
fn line_end(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"\n").or_else(|| text.strip_prefix(b"\r\n"))
}

/// What stands up to the closing mark, and what comes after that.
fn unescaped(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut rest = text;
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'\'' => return Some((word, rest)),
            b'\\' => {
                let (&letter, after) = rest.split_first()?;
                rest = escape(&mut word, letter, after)?;
            }
            _ => word.push(byte),
        }
    }
}

/// Letters that stand for one byte.
const LETTERS: &[(u8, u8)] = &[
    (b'a', 7),
    (b'b', 8),
    (b'e', 27),
    (b'E', 27),
    (b'f', 12),
    (b'n', b'\n'),
    (b'r', b'\r'),
    (b't', b'\t'),
    (b'v', 11),
    (b'\\', b'\\'),
    (b'\'', b'\''),
    (b'"', b'"'),
    (b'?', b'?'),
];

/// Reads what follows a backslash, the letter after it and maybe digits; returns the rest.
fn escape<'a>(word: &mut Vec<u8>, letter: u8, rest: &'a [u8]) -> Option<&'a [u8]> {
    if let Some((_, byte)) = LETTERS.iter().find(|(known, _)| *known == letter) {
        word.push(*byte);
        return Some(rest);
    }
    let (radix, most) = match letter {
        b'0'..=b'7' => (8, 2),
        b'x' => (16, 2),
        b'u' => (16, 4),
        b'U' => (16, 8),
        b'c' => {
            let (&control, rest) = rest.split_first()?;
            word.push(control & 0x1f);
            return Some(rest);
        }
        _ => {
            word.extend([b'\\', letter]);
            return Some(rest);
        }
    };
    let first = if radix == 8 { char::from(letter).to_digit(8)? } else { 0 };
    let is_digit = |byte: &&u8| char::from(**byte).is_digit(radix);
    let count = rest.iter().take(most).take_while(is_digit).count();
    if radix == 16 && count == 0 {
        word.extend([b'\\', letter]);
        return Some(rest);
    }
    let (digits, rest) = rest.split_at_checked(count)?;
    let value = digits.iter().filter_map(|digit| char::from(*digit).to_digit(radix));
    let value = value.fold(first, |value, digit| value.wrapping_mul(radix).wrapping_add(digit));
    if most > 2 {
        word.extend(char::from_u32(value)?.to_string().bytes());
    } else {
        word.push(value.to_le_bytes()[0]);
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a line, as they are read.
    fn words(line: &str) -> Option<Vec<String>> {
        let plain = plain(line.as_bytes())?;
        let words = shlex::bytes::Shlex::new(&plain);
        Some(words.map(|word| String::from_utf8_lossy(&word).into_owned()).collect())
    }

    #[test]
    fn what_bash_quotes_so_is_read() {
        for (line, word) in [
            (r"$'a\nb'", "a\nb"),
            (r"/x/$'a\tb'/c", "/x/a\tb/c"),
            (r"$'it\'s'", "it's"),
            (r"$'\x41\101\u00e9\cA\\'", "AA\u{e9}\u{1}\\"),
            (r"$''", ""),
            (r"$'\q'", r"\q"),
            (r"$'$x `y`'", "$x `y`"),
        ] {
            assert_eq!(words(line), Some(vec![word.to_owned()]), "{line}");
        }
    }

    #[test]
    fn a_line_goes_on_after_a_backslash() {
        let all = |line: &str| words(line).unwrap_or_default().join("|");
        assert_eq!(all("bwrap --dir /a \\\n  --dir /b \\\n    true\n"), "bwrap|--dir|/a|--dir|/b|true");
        assert_eq!(all("a \\\r\n b"), "a|b");
        assert_eq!(all("a\\\nb \"c\\\nd\" \\"), "ab|cd");
        // as they stand: in plain marks, and a backslash before a blank
        assert_eq!(all("'a\\\nb'"), "a\\\nb");
        assert_eq!(all("a\\ b c"), "a b|c");
    }

    #[test]
    fn other_marks_are_left_alone() {
        for (line, word) in [
            (r#""$'a'""#, "$'a'"),
            (r"'$'a", "$a"),
            (r"\$'a'", "$a"),
            (r"$HOME", "$HOME"),
            (r"'a\nb'", r"a\nb"),
            (r#""it's""#, "it's"),
        ] {
            assert_eq!(words(line), Some(vec![word.to_owned()]), "{line}");
        }
        assert_eq!(words("a # it's $'b"), Some(vec!["a".to_owned()]));
        assert!(words(r"$'a").is_none() && words(r"'a").is_none());
    }
}
