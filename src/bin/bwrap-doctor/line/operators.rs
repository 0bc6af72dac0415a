//! What a shell makes of a line beside its words: where the line ends, what is redirected, and which words it expands.

/// Put into words that a shell would expand. None of a shell's has a NUL.
pub(super) const OPEN: u8 = 0;

/// The words of the bwrap line alone, quoted as they were, without redirections and what another command begins. Those that a shell
/// would make something else of have an [`OPEN`] in them. What stands before bwrap (a prompt, sudo) is left as it is.
///
/// A line that ends without a backslash goes on all the same: people paste words on lines of their own.
pub(super) fn line_alone(text: &[u8]) -> Vec<u8> {
    let mut reader = Reader { rest: text, out: Vec::with_capacity(text.len()), word: 0, document: false };
    let mut live = text.trim_ascii_start().starts_with(b"-");
    while let Some((&byte, after)) = reader.rest.split_first() {
        if !live && byte.is_ascii_whitespace() && is_bwrap(reader.word()) && goes_on(after) {
            live = true;
        } else if !live && b"(;&|`".contains(&byte) && begins_with_bwrap(after) {
            reader.out.extend([byte, b' ']);
            reader.word = reader.out.len();
            reader.rest = after;
            continue;
        }
        if !reader.step(live) {
            break;
        }
    }
    reader.out
}

/// Whether a word, with marks around it or without, is bwrap's name.
fn is_bwrap(word: &[u8]) -> bool {
    let mark = |byte: &u8| b"'\"".contains(byte);
    let begin = word.iter().take_while(|byte| mark(byte)).count();
    let end = word.iter().rposition(|byte| !mark(byte)).map_or(0, |last| last + 1);
    let name = word.get(begin..end).unwrap_or_default();
    name == b"bwrap" || name.ends_with(b"/bwrap")
}

/// Whether a word of bwrap's line follows: `command -v bwrap || exit` is none.
fn goes_on(after: &[u8]) -> bool {
    let next = after.trim_ascii_start();
    !next.is_empty() && !next.starts_with(b"|") && !next.starts_with(b"&") && !next.starts_with(b";")
}

fn begins_with_bwrap(text: &[u8]) -> bool {
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    is_bwrap(text.get(..end).unwrap_or_default()) && text.get(end..).is_some_and(goes_on)
}

struct Reader<'a> {
    rest: &'a [u8],
    out: Vec<u8>,
    /// Where the word begins that is being written.
    word: usize,
    /// A here-document follows: there the line's end is one.
    document: bool,
}

impl Reader<'_> {
    fn word(&self) -> &[u8] {
        self.out.get(self.word..).unwrap_or_default()
    }

    /// Takes so many bytes as they stand.
    fn copy(&mut self, count: usize) {
        let (taken, rest) = self.rest.split_at_checked(count).unwrap_or((self.rest, &[]));
        self.out.extend(taken);
        self.rest = rest;
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    /// Reads what comes next; whether the line goes on.
    fn step(&mut self, live: bool) -> bool {
        let Some(&byte) = self.rest.first() else { return false };
        let expands = live && self.is_expanded();
        match byte {
            b'\\' => self.copy(2),
            b'\'' => self.copy(quoted(self.rest)),
            b'"' => {
                let end = quoted(self.rest);
                let inside = self.rest.get(..end).unwrap_or_default();
                let expands = (0..end).any(|at| is_substitution(inside, at));
                self.copy(end);
                self.out.extend((live && expands).then_some(OPEN));
            }
            b'#' if self.word().is_empty() => {
                self.copy(self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len()));
            }
            b'\n' if self.document => return false,
            _ if byte.is_ascii_whitespace() => {
                self.copy(1);
                self.word = self.out.len();
            }
            _ if !live => self.copy(1),
            b'<' | b'>' => return self.redirection(),
            b'&' if self.rest.get(1) == Some(&b'>') => return self.redirection(),
            b';' | b'&' | b'|' | b'(' | b')' => return false,
            _ if expands => {
                // a command's output is one word of this line, whatever is in it
                let whole = substitution(self.rest);
                self.out.push(OPEN);
                self.out.extend(whole.iter().flat_map(|byte| [b'\\', *byte]));
                self.skip(whole.len());
                self.copy(usize::from(whole.is_empty()));
            }
            _ => self.copy(1),
        }
        true
    }

    /// Whether a shell expands what begins here, outside of marks.
    fn is_expanded(&self) -> bool {
        let has =
            |byte| self.rest.iter().take_while(|byte| !byte.is_ascii_whitespace()).any(|one| *one == byte);
        match self.rest.first() {
            Some(b'~') => self.word().is_empty(),
            Some(b'*' | b'?') => true,
            Some(b'[') => has(b']') && self.rest.get(1) != Some(&b']'),
            Some(b'{') => {
                let end = self.rest.iter().position(|byte| *byte == b'}' || byte.is_ascii_whitespace());
                let within = end.and_then(|end| self.rest.get(..end)).unwrap_or_default();
                has(b'}') && (within.contains(&b',') || within.windows(2).any(|pair| pair == b".."))
            }
            _ => is_substitution(self.rest, 0),
        }
    }

    /// Leaves out a redirection with its number and its word. `<DIR>` in a manual is none: it stands for a word.
    fn redirection(&mut self) -> bool {
        let end = self.rest.iter().position(u8::is_ascii_whitespace).unwrap_or(self.rest.len());
        let whole = self.rest.get(..end).unwrap_or_default();
        if whole.first() == Some(&b'<')
            && whole.len() > 2
            && whole.iter().position(|byte| *byte == b'>') == Some(end - 1)
        {
            self.out.push(OPEN);
            self.copy(end);
            return true;
        }
        // in place of a word a process' output is one
        if whole.starts_with(b"<(") || whole.starts_with(b">(") {
            let whole = 1 + parenthesised(self.rest.get(1..).unwrap_or_default());
            self.out.push(OPEN);
            let text: Vec<u8> = self.rest.iter().take(whole).flat_map(|byte| [b'\\', *byte]).collect();
            self.out.extend(text);
            self.skip(whole);
            return true;
        }
        let word = self.word();
        let variable = word.starts_with(b"{") && word.ends_with(b"}");
        if variable || word.iter().all(u8::is_ascii_digit) {
            self.out.truncate(self.word);
        }
        let operator = self.rest.iter().take_while(|byte| b"<>&".contains(byte)).count();
        self.document |= operator == 2 && self.rest.starts_with(b"<<");
        self.skip(operator);
        if self.rest.starts_with(b"|") || self.rest.starts_with(b"-") {
            self.skip(1);
        }
        let blanks = self.rest.iter().take_while(|byte| b" \t".contains(byte)).count();
        self.skip(blanks);
        self.skip_word();
        self.out.push(b' ');
        self.word = self.out.len();
        true
    }

    fn skip_word(&mut self) {
        while let Some(&byte) = self.rest.first() {
            let count = match byte {
                b'\\' => 2,
                b'\'' | b'"' => quoted(self.rest),
                b'<' | b'>' if self.rest.get(1) == Some(&b'(') => {
                    1 + parenthesised(self.rest.get(1..).unwrap_or_default())
                }
                b'$' | b'`' if is_substitution(self.rest, 0) => substitution(self.rest).len().max(1),
                b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => return,
                _ if byte.is_ascii_whitespace() => return,
                _ => 1,
            };
            self.skip(count);
        }
    }
}

/// How far what begins with a mark goes, with both.
fn quoted(text: &[u8]) -> usize {
    let mark = text.first();
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        at += 1;
        if Some(byte) == mark {
            return at;
        }
        if *byte == b'\\' && mark == Some(&b'"') {
            at += 1;
        }
    }
    text.len()
}

/// How far what begins with a parenthesis goes.
fn parenthesised(text: &[u8]) -> usize {
    let (mut at, mut open) = (0, 0_usize);
    while let Some(byte) = text.get(at) {
        let count = match byte {
            b'\\' => 2,
            b'\'' | b'"' => quoted(text.get(at..).unwrap_or_default()),
            _ => 1,
        };
        open = match byte {
            b'(' => open + 1,
            b')' => open.saturating_sub(1),
            _ => open,
        };
        at += count;
        if open == 0 {
            return at;
        }
    }
    text.len()
}

/// Whether a variable's value, or a command's output, is put there.
fn is_substitution(text: &[u8], at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default().iter().rev().take_while(|byte| **byte == b'\\').count();
    let next = text.get(at + 1);
    before % 2 == 0
        && match text.get(at) {
            Some(b'`') => true,
            Some(b'$') => {
                next.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_{(@*#?$!-".contains(byte))
            }
            _ => false,
        }
}

/// What a substitution with blanks in it is, whole: `$(...)`, `${...}` and what is in backquotes. Empty for others.
fn substitution(text: &[u8]) -> &[u8] {
    let end = match text {
        [b'`', ..] => quoted(text),
        [b'$', b'(', ..] => 1 + parenthesised(text.get(1..).unwrap_or_default()),
        [b'$', b'{', ..] => text.iter().position(|byte| *byte == b'}').map_or(0, |end| end + 1),
        _ => 0,
    };
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a line from bwrap on; those that a shell would expand with a `?` in front.
    fn words(line: &str) -> String {
        let alone = line_alone(line.as_bytes());
        let words: Vec<String> = shlex::bytes::Shlex::new(&alone)
            .map(|word| {
                let open = if word.contains(&OPEN) { "?" } else { "" };
                let text: Vec<u8> = word.into_iter().filter(|byte| *byte != OPEN).collect();
                format!("{open}{}", String::from_utf8_lossy(&text))
            })
            .collect();
        words.join("|")
    }

    #[test]
    fn a_line_ends_where_another_command_begins() {
        for line in [
            "bwrap --dir /a true; echo done",
            "bwrap --dir /a true ; then echo; fi",
            "bwrap --dir /a true&",
            "bwrap --dir /a true|cat",
            "bwrap --dir /a true||exit 1",
            "bwrap --dir /a true && echo",
            "bwrap --dir /a true)",
            "bwrap --dir /a true # a comment; of two",
        ] {
            assert_eq!(words(line), "bwrap|--dir|/a|true", "{line}");
        }
        assert_eq!(words("if bwrap --dir /a true; then echo; fi"), "if|bwrap|--dir|/a|true");
        assert_eq!(words("(bwrap --dir /a true)"), "(|bwrap|--dir|/a|true");
        assert_eq!(words("cd /x;bwrap --dir /a true"), "cd|/x;|bwrap|--dir|/a|true");
        assert_eq!(words("--dir /a true; x"), "--dir|/a|true");
    }

    #[test]
    fn redirections_are_no_words() {
        for line in [
            "bwrap --dir /a true>/dev/null",
            "bwrap --dir /a 2>/dev/null true",
            "bwrap --dir /a true 2>&1",
            "bwrap --dir /a true 2>&1 >/dev/null",
            "bwrap --dir /a true &>log",
            "bwrap --dir /a true >> log",
            "bwrap --dir /a 9</etc/passwd true",
            "bwrap --dir /a 9< '/etc/x y' true",
            "bwrap --dir /a true 9< <(printf 'a;b')",
            "bwrap --dir /a true 3<&- 4>|x",
            "bwrap --dir /a true {fd}>x",
            "bwrap --dir /a true <<<\"x y\"",
            "bwrap --dir /a true <<EOF\nbody; of it\nEOF\n",
        ] {
            assert_eq!(words(line), "bwrap|--dir|/a|true", "{line}");
        }
        assert_eq!(words("bwrap --dir /a12>x true"), "bwrap|--dir|/a12|true");
    }

    #[test]
    fn what_is_quoted_or_before_bwrap_is_left_alone() {
        for (line, read) in [
            ("bwrap sh -c 'a; b' \"c | d\" e\\;f", "bwrap|sh|-c|a; b|c | d|e;f"),
            ("bwrap find / -exec x \\; '*.txt' \\*", "bwrap|find|/|-exec|x|;|*.txt|*"),
            ("host> bwrap --dir /a", "host>|bwrap|--dir|/a"),
            ("(venv) me@host:~$ bwrap --dir /a", "(venv)|me@host:~$|bwrap|--dir|/a"),
            ("command -v bwrap || exit; bwrap --dir /a; x", "command|-v|bwrap||||exit;|bwrap|--dir|/a"),
            ("bwrap\n--dir /a\ntrue\n", "bwrap|--dir|/a|true"),
            ("bwrap '~' /a~ '$x' \"\\$x\" a$ '`x`' [ {} {a}", "bwrap|~|/a~|$x|$x|a$|`x`|[|{}|{a}"),
        ] {
            assert_eq!(words(line), read, "{line}");
        }
    }

    #[test]
    fn what_a_shell_expands_is_marked() {
        for word in [
            "~",
            "~/x",
            "~me",
            "/us*",
            "/a?",
            "/[ab]",
            "{/usr,/mnt}",
            "/{1..3}",
            "$x",
            "a$x",
            "${x}",
            "<dir>",
            "$1",
        ] {
            assert_eq!(
                words(&format!("bwrap --dir {word} true")),
                format!("bwrap|--dir|?{word}|true"),
                "{word}"
            );
        }
        for (word, read) in [
            ("\"$x\"", "$x"),
            ("\"${a[@]}\"", "${a[@]}"),
            ("$(id -u)", "$(id -u)"),
            ("`id -u`", "`id -u`"),
            ("\"$(id -u; x)\"", "$(id -u; x)"),
            ("<(printf 'a b')", "<(printf 'a b')"),
            ("${x:-a b}", "${x:-a b}"),
        ] {
            assert_eq!(
                words(&format!("bwrap --dir {word} true")),
                format!("bwrap|--dir|?{read}|true"),
                "{word}"
            );
        }
    }
}
