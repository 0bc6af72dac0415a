//! Text from elsewhere on one line, as a terminal can show it: labels, paths and messages may hold characters that a
//! terminal obeys, that nobody sees, or that begin a line which could pass for one to type.

use std::borrow::Cow;
use std::path::Path;

/// Text with every character that [does not show](is_hidden) as an escape, as in Rust: `\n`, `\u{202e}`.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown.into()
}

/// A path as a [`line()`].
pub(crate) fn path(path: &Path) -> String {
    line(&path.to_string_lossy()).into_owned()
}

/// Whether a character is one that a terminal obeys or leaves no mark for: control and format characters, ends of lines, what
/// turns the direction of writing, spaces that are not the space, and what no Unicode names yet.
pub(crate) fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    // fillers, joiners and selectors of variants, which count as letters and marks
    matches!(c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
        || !is_printable(c)
}

/// What the standard library leaves as it is in the debug form of a string. First in it, a mark has no letter to stand on.
fn is_printable(c: char) -> bool {
    format!("x{c}").escape_debug().nth(1) == Some(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        assert_eq!(line("/a\x1b[2J\x07b\n\tc\r"), "/a\\u{1b}[2J\\u{7}b\\n\\tc\\r");
        assert_eq!(line("\u{9b}2J\u{7f}"), "\\u{9b}2J\\u{7f}");
        assert_eq!(line("a\u{202e}b\u{2066}\u{200b}\u{feff}\u{2028}\u{a0}"), {
            "a\\u{202e}b\\u{2066}\\u{200b}\\u{feff}\\u{2028}\\u{a0}"
        });
        assert_eq!(line("\u{3164}\u{e0041}\u{e0101}\u{fe0f}"), "\\u{3164}\\u{e0041}\\u{e0101}\\u{fe0f}");
    }

    #[test]
    fn what_people_write_stays() {
        for text in ["/home/zoë/Zoe\u{308} 日本語 \u{5d0}\u{5d1} 🦀 it's \"a\" \\ b", ""] {
            assert!(matches!(line(text), Cow::Borrowed(same) if same == text), "{text}");
        }
        assert_eq!(path(Path::new("/a\nb")), "/a\\nb");
    }
}
