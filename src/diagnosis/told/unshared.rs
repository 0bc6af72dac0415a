//! Whether a text shows that unshare(1) could make no user namespace in the same place.

/// How sentences name it, in small letters.
const ASKS: &[&str] = &["unshare --user", "unshare -ur", "unshare -ru", "unshare --map-root-user"];

/// What it answers where that is denied.
const DENIED: &str = "unshare: unshare failed: operation not permitted";

/// What is shown so far.
#[derive(Debug, Default)]
pub(super) struct Unshared {
    /// It was typed in the line before.
    asked: bool,
    pub(super) refused: bool,
}

impl Unshared {
    /// A line, as it stands and in small letters.
    pub(super) fn read(&mut self, line: &str, lower: &str) {
        let answered = std::mem::take(&mut self.asked) && lower.trim_start().starts_with(DENIED);
        self.asked = is_typed(line);
        self.refused |= answered || is_said(lower);
    }
}

/// Whether a line is that command at a prompt: -u, in small letters, is for another kind of namespaces.
fn is_typed(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '>', '`']);
    let Some((prompt, _)) = line.split_once("unshare ") else { return false };
    let at_prompt = prompt.is_empty() || prompt.ends_with("$ ") || prompt.ends_with("# ");
    at_prompt && asks(line)
}

/// Whether an option for a user namespace is the first, alone or among others.
fn asks(line: &str) -> bool {
    let Some((_, options)) = line.split_once("unshare ") else { return false };
    let first = options.split_whitespace().next().unwrap_or_default();
    let short = first.strip_prefix('-').filter(|letters| !letters.starts_with('-'));
    ["--user", "--map-root-user"].contains(&first)
        || short.is_some_and(|letters| letters.contains(['U', 'r']))
}

/// Whether a sentence in small letters says so: "`unshare --user echo` fails".
fn is_said(line: &str) -> bool {
    const FAILS: &[&str] =
        &["` fails", "` failed", "` does not work", "` is denied", "` also fails", "` fails too"];
    const ELSEWHERE: &[&str] = &["as root", "on the host", "outside", "if ", "?"];
    ASKS.iter().any(|ask| {
        line.split_once(ask).is_some_and(|(_, rest)| {
            let end = rest.find('`').and_then(|at| rest.get(at..)).unwrap_or_default();
            FAILS.iter().any(|fails| end.starts_with(fails))
                && !ELSEWHERE.iter().any(|words| line.contains(words))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> bool {
        let mut unshared = Unshared::default();
        text.lines().for_each(|line| unshared.read(line, &line.to_ascii_lowercase()));
        unshared.refused
    }

    #[test]
    fn what_unshare_answers_is_read() {
        for text in [
            "$ unshare --user echo\nunshare: unshare failed: Operation not permitted",
            "root@box:/# unshare -Ur true\nunshare: unshare failed: Operation not permitted",
            "`unshare --user echo` fails, unable to create a user namespace.",
        ] {
            assert!(refused(text), "{text}");
        }
        for text in [
            "$ unshare --pid true\nunshare: unshare failed: Operation not permitted",
            "$ unshare -u true\nunshare: unshare failed: Operation not permitted",
            "$ unshare --user echo\n$ unshare --pid true\nunshare: unshare failed: Operation not permitted",
            "if `unshare --user true` fails, it is the kernel",
            "`unshare --user true` fails on the host",
            "`unshare --user true` works",
        ] {
            assert!(!refused(text), "{text}");
        }
    }
}
