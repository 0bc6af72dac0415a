//! Words, files and strings for people to paste: into any shell of POSIX's (dash, bash, busybox) and, between quotes, into
//! YAML and TOML. What is made here stays on one line and shows what it is.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

use crate::visible::is_hidden;

/// A word, quoted only if it must be: `a`, `'a b'`, `'it'\''s'`. What cannot be shown is left to printf(1):
/// `"$(printf 'a\nb')"`.
///
/// A NUL, which no argument of a program can hold, is lost.
pub(crate) fn word(text: impl AsRef<OsStr>) -> String {
    let bytes = text.as_ref().as_bytes();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && text.chars().all(plain) => text.to_owned(),
        Ok(text) if !text.contains(is_hidden) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            // a substitution loses the newlines at its end; the third of the characters in IFS is one
            let end = bytes.iter().rev().take_while(|byte| **byte == b'\n').count();
            let start = bytes.get(..bytes.len() - end).unwrap_or_default();
            format!("\"$(printf '{}'){}\"", printf(start), "${IFS#??}".repeat(end))
        }
    }
}

/// A path as a [`word`] that is no option, whatever it begins with.
pub(crate) fn path_word(path: impl AsRef<OsStr>) -> String {
    let word = word(&path);
    if !path.as_ref().as_bytes().starts_with(b"-") {
        return word;
    }
    word.strip_prefix("\"$(printf '\\055").map_or_else(
        || word.strip_prefix('\'').map_or_else(|| format!("./{word}"), |rest| format!("'./{rest}")),
        |rest| format!("\"$(printf './-{rest}"),
    )
}

/// A name that is no option, whatever it begins with, for commands that know `--`.
pub(crate) fn operand(name: impl AsRef<OsStr>) -> String {
    let dash = if name.as_ref().as_bytes().starts_with(b"-") { "-- " } else { "" };
    format!("{dash}{}", word(name))
}

/// The format for printf(1), between single quotes, that writes exactly these bytes.
pub(crate) fn printf(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            // no option, no conversion, no escape, no end of the quotes
            b'-' if index == 0 => text.push_str("\\055"),
            b'%' => text.push_str("%%"),
            b'\\' => text.push_str("\\\\"),
            b'\'' => text.push_str("\\047"),
            b'\n' => text.push_str("\\n"),
            // within "$(...)", an interactive bash would look it up in the history
            b'!' => text.push_str("\\041"),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => {
                let _ = write!(text, "\\{byte:03o}");
            }
        }
    }
    text
}

/// The command that writes a text file, to a path that is a word already. A last line without an end gets one.
pub(crate) fn here_document(path: &str, content: &str) -> String {
    let newline = if content.ends_with('\n') { "" } else { "\n" };
    let mut end = "EOF".to_owned();
    while content.lines().any(|line| line == end) {
        end.push('F');
    }
    format!("cat > {path} <<'{end}'\n{content}{newline}{end}\n")
}

/// A string for YAML and TOML, in double quotes.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match u32::from(c) {
            0x22 | 0x5c => quoted.extend(['\\', c]),
            code if is_hidden(c) => {
                let _ = if code > 0xffff {
                    write!(quoted, "\\U{code:08X}")
                } else {
                    write!(quoted, "\\u{code:04X}")
                };
            }
            _ => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::process::Command;

    use super::*;

    const ODD: &[&[u8]] = &[
        b"",
        b"a",
        b"a b",
        b"it's",
        b"a\nb'%\\n",
        b"\n",
        b"a\n\n",
        b"-x",
        b"-x y",
        b"-x\ny\n",
        b"-n",
        b"%s%d\t",
        b"!a^b~*?[x]{a,b}",
        b"/a\xff\xfe",
        b"$(id)`id`$HOME\"",
        b"\\055\n",
        b"~/x",
        b"#a",
        b"a\x1b[2J",
        "a\u{202e}b".as_bytes(),
        "zo\u{eb}".as_bytes(),
        b"=x",
        b"--",
        b"\\",
        b"1\n2",
        b"\x017\n",
    ];

    /// The shells that are here.
    fn shells() -> Vec<Vec<&'static str>> {
        let known = [vec!["dash"], vec!["bash"], vec!["bash", "--posix"], vec!["busybox", "sh"]];
        let there = |shell: &&str| {
            std::env::split_paths("/bin:/usr/bin").any(|directory| directory.join(shell).exists())
        };
        known.into_iter().filter(|words| words.first().is_some_and(there)).collect()
    }

    fn run(shell: &[&str], script: &str) -> Vec<u8> {
        let output = Command::new(shell[0]).args(&shell[1..]).args(["-c", script]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{shell:?} {script}: {output:?}");
        output.stdout
    }

    #[test]
    fn words_are_read_back_by_every_shell() {
        assert!(shells().len() > 1);
        for shell in shells() {
            for odd in ODD {
                let written = word(OsStr::from_bytes(odd));
                assert!(!written.contains(is_hidden), "{written}");
                assert_eq!(
                    run(&shell, &format!("printf '%s.' {written}")),
                    [odd, &b"."[..]].concat(),
                    "{shell:?} {written}"
                );
                assert_eq!(run(&shell, &format!("printf '{}'", printf(odd))), *odd, "{shell:?}");
                let path = path_word(OsStr::from_bytes(odd));
                let expected = if odd.starts_with(b"-") { [b"./", *odd].concat() } else { odd.to_vec() };
                assert_eq!(
                    run(&shell, &format!("printf %s. {path}")),
                    [&expected, &b"."[..]].concat(),
                    "{shell:?} {path}"
                );
            }
        }
    }

    #[test]
    fn words_are_quoted_only_if_they_must_be() {
        assert_eq!(word("--user=1000"), "--user=1000");
        assert_eq!(word("unmask=/proc/*"), "'unmask=/proc/*'");
        assert_eq!(word("it's"), r"'it'\''s'");
        assert_eq!(word(""), "''");
        assert_eq!(word("a\nb'%"), r#""$(printf 'a\nb\047%%')""#);
        assert_eq!(word("a\n"), r#""$(printf 'a')${IFS#??}""#);
        assert_eq!(word(OsStr::from_bytes(b"/a\xff")), r#""$(printf '/a\377')""#);
        assert_eq!(path_word("-rf"), "./-rf");
        assert_eq!(path_word("-r f"), "'./-r f'");
        assert_eq!(path_word("/-rf"), "/-rf");
    }

    #[test]
    fn files_are_written_as_they_are() {
        let text = here_document("f", "a\nEOF\n$(id) \\ `id`");
        assert_eq!(text, "cat > f <<'EOFF'\na\nEOF\n$(id) \\ `id`\nEOFF\n");
        for shell in shells() {
            let script = here_document("/dev/stdout", "a\nEOF\n$(id) \\ `id`");
            assert_eq!(run(&shell, &script), b"a\nEOF\n$(id) \\ `id`\n");
        }
    }

    #[test]
    fn strings_are_quoted_for_yaml_and_toml() {
        assert_eq!(quoted("a \"b\" \\ \u{eb}"), "\"a \\\"b\\\" \\\\ \u{eb}\"");
        assert_eq!(quoted("a\nb\u{202e}\u{e0041}"), "\"a\\u000Ab\\u202E\\U000E0041\"");
    }
}
