//! Messages as people type them off a screen, or a program reads them off a picture: with a wrong letter here and there.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::errno;
use super::table::{REASONS, Row, TABLE};

/// The shortest word that is mended.
const SHORTEST: usize = 4;
/// From this length on two letters may be wrong.
const LONG: usize = 9;
/// So many words are mended: of more nobody knows what they were.
const MOST_WORDS: usize = 4;
/// What is longer was not typed.
const MOST_BYTES: usize = 400;

/// All words of messages and of errors, in small letters.
static WORDS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let rows = TABLE.iter().flat_map(|(_, rows)| rows.iter()).chain(REASONS);
    let texts = rows.flat_map(Row::wordings).map(|(text, _)| *text).chain(errno::texts());
    let words = texts.flat_map(|text| text.split(|letter: char| !is_inner(letter)));
    words.filter(|word| word.len() >= SHORTEST).map(str::to_ascii_lowercase).collect()
});

fn is_inner(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// A text with the words mended that are nearly bwrap's; `None` if there is none, or too many. Paths, options and what stands in
/// quotation marks are left as they are.
pub(super) fn mended(text: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(text.get(..MOST_BYTES).unwrap_or(text)).ok()?;
    let mut count = 0;
    let parts = text.split_inclusive(' ').map(|part| {
        let end = part.trim_end_matches(|letter: char| !is_inner(letter));
        let begin = end.len() - end.trim_start_matches(|letter: char| !is_inner(letter)).len();
        let word = end.get(begin..).unwrap_or_default();
        let plain = word.chars().all(is_inner) && !part.contains(['/', '-', '=', '$']);
        match nearest(word).filter(|_| plain) {
            Some(known) => {
                count += 1;
                let (head, tail) =
                    (part.get(..begin).unwrap_or_default(), part.get(end.len()..).unwrap_or_default());
                format!("{head}{known}{tail}")
            }
            None => part.to_owned(),
        }
    });
    let whole: String = parts.collect();
    (1..=MOST_WORDS).contains(&count).then(|| whole.into_bytes())
}

/// The one word of bwrap's that this nearly is.
fn nearest(word: &str) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase();
    if lower.len() < SHORTEST || lower.len() > 40 || WORDS.contains(&lower) {
        return None;
    }
    let most = if lower.len() >= LONG { 2 } else { 1 };
    let near = WORDS.iter().filter(|known| known.len().abs_diff(lower.len()) <= most);
    let mut near: Vec<(usize, &String)> = near
        // letters that are wrong, missing or too many; two that have changed places are one
        .map(|known| (strsim::osa_distance(&lower, known), known))
        .filter(|(far, _)| *far <= most)
        .collect();
    near.sort_unstable();
    match near.as_slice() {
        [(_, known)] => Some(known),
        // of two that are as near nobody knows which
        [(first, known), (second, _), ..] if first < second => Some(known),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::panic)]

    use std::path::Path;

    use super::super::{Message, Said, search};
    use super::*;

    #[test]
    fn a_long_message_goes_on_in_the_next_line_and_a_quoted_one_ends() {
        let read = |text: &str| match search(text.as_bytes()) {
            Said::Bwrap(messages) => {
                messages.first().map(|message| message.text().to_string_lossy().into_owned())
            }
            _ => None,
        };
        let wrapped = "bwrap: Creating new namespace failed, likely because the kernel does not\nsupport user namespaces.";
        assert!(read(wrapped).is_some_and(|text| text.contains("support user namespaces")));
        // another line is none of it
        let other = "bwrap: Creating new namespace failed, likely because the kernel does not\nDebian 12";
        assert_eq!(read(other).as_deref(), Some("Creating new namespace failed"));
        let quoted = "`bwrap` errors *\"No permissions to create a new namespace\"*, so it fails.";
        assert_eq!(read(quoted).as_deref(), Some("No permissions to create a new namespace"));
        assert_eq!(
            read("bwrap: Can't bind /oldroot/a on /newroot/a: Stale NFS file handle").as_deref(),
            Some("Can't bind mount /oldroot/a on /newroot/a: Stale NFS file handle")
        );
    }

    #[test]
    fn words_are_mended_and_names_are_not() {
        let mend =
            |text: &str| mended(text.as_bytes()).map(|text| String::from_utf8_lossy(&text).into_owned());
        assert_eq!(
            mend("Can't mount prac on /newroot/prac: Operati0n not permited").as_deref(),
            Some("Can't mount proc on /newroot/prac: operation not permitted")
        );
        for text in
            ["Can't mount proc on /newroot/proc: Operation not permitted", "--porc /prac", "xx yy", ""]
        {
            assert_eq!(mend(text), None, "{text}");
        }
    }

    #[test]
    fn what_was_typed_off_quoted_or_written_for_html_is_read() {
        let read = |text: &str| match search(text.as_bytes()) {
            Said::Bwrap(messages) => messages.first().and_then(Message::pattern),
            _ => None,
        };
        for (text, pattern) in [
            ("bwrap: Can't mount prac on /newroot/proc: Operati0n not permitted", "Can't mount proc on %s"),
            (
                "bwrap; No permisions to create new namespace likely",
                "No permissions to create a new namespace%s",
            ),
            ("bwrap: loopback: Faled RTM_NEWADDR: Operation not permitted", "loopback: Failed RTM_NEWADDR"),
            (
                "bwrap --unshare-net fails with \"loopback: Failed RTM_NEWADDR\".",
                "loopback: Failed RTM_NEWADDR",
            ),
            (
                "&lt;pre&gt;bwrap: Can&#39;t find source path /a&amp;b: No such file or directory",
                "Can't find source path %s",
            ),
            ("the error bwrap: pivot_root:\nInvalid argument", "pivot_root"),
        ] {
            assert_eq!(read(text), Some(pattern), "{text}");
        }
        for text in [
            "bwrap: something of the year 2030",
            "which bwrap; ls -l /usr/bin/bwrap",
            "bwrap; echo done",
            "** (App:1): ERROR **: readPIDFromPeer:\nUnexpected short read from PID socket.",
            "Unexpected short read from PID socket.",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        let Said::Bwrap(messages) =
            search(b"bwrap: Can&#39;t find source path /a&amp;b: No such file or directory")
        else {
            panic!()
        };
        assert_eq!(messages[0].path(), Some(Path::new("/a&b")));
        let Said::Bwrap(messages) =
            search(b"bwrap: Can't find source path /a&amp;b: No such file or directory")
        else {
            panic!()
        };
        assert_eq!(messages[0].path(), Some(Path::new("/a&amp;b")));
    }
}
