//! How a text speaks of a message: as of what is said now, or of what is over, or is only thought of.

use super::errno::find;

/// How a text speaks of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Spoken {
    /// As of what would be said: a test expects it, code looks for it, a guide tells what to do about it.
    Supposed,
    /// As of what has been mended.
    Over,
    /// Of a text that is printed on demand, too.
    Asked,
    /// Without a word.
    #[default]
    Plain,
    /// As of what is said now, after something else.
    Now,
}

impl Spoken {
    /// Whether nothing takes it back.
    pub(super) fn stands(self) -> bool {
        self >= Self::Plain
    }
}

/// So much of what stands before a message is read, and after it.
const MOST_BYTES: usize = 4_000;

/// Words by which a text begins to tell of earlier failures.
const BEFORE: &[&str] = &[
    "before, ",
    "before i ",
    "before that",
    "before this",
    "yesterday",
    "previously",
    "earlier",
    "at first",
    "first i ",
    "initially",
    "originally",
    "formerly",
    "used to",
    "last week",
    "last month",
    "in the past",
    "until now",
    "until today",
    "until yesterday",
    "old error",
    "fr\u{fc}her",
    "gestern",
    "zuerst",
    "auparavant",
    "hier, ",
    "antes",
    "ayer",
];

/// Words by which it comes to those of today.
const NOW: &[&str] = &[
    "now",
    "today",
    "currently",
    "at the moment",
    "these days",
    "but this returns",
    "but then it",
    "different error",
    "another error",
    "new error",
    "next error",
    "jetzt",
    "heute",
    "maintenant",
    "aujourd'hui",
    "ahora",
    "hoy",
];

/// Words that say of what was told that it does not happen any more.
const OVER: &[&str] = &[
    "went away",
    "gone away",
    "goes away",
    "is gone",
    "was gone",
    "disappeared",
    "which i fixed",
    "which i solved",
    "which we fixed",
    "i fixed it",
    "i fixed this",
    "i fixed that",
    "i solved it",
    "i solved this",
    "i solved that",
    "that fixed it",
    "this fixed it",
    "fixed it for me",
    "fixed my problem",
    "fixed the problem",
    "fixed the issue",
    "solved my problem",
    "solved the problem",
    "solved the issue",
    "solved it for me",
    "no longer happens",
    "no longer occurs",
    "no longer appears",
    "has been fixed",
    "is fixed now",
    "is now fixed",
    "is solved",
    "everything works now",
    "all works now",
    "it works now",
    "now it works",
    "now everything works",
    "works again",
    "working again",
];

/// What takes that back.
const BACK: &[&str] = &[
    "came back",
    "is back",
    "comes back",
    "back again",
    "reappear",
    "and now i get",
    "but now",
    "still",
    "there again",
    "happens again",
    "fails again",
    "fails each",
    "fails every",
    "but not",
    "not as ",
    "for a day",
    "for a while",
    "users",
    "for others",
    "in version",
    "in release",
    " if i ",
    " if we ",
    " when i ",
];

/// What takes it back when it stands before it.
const UNSURE: &[&str] = &[
    "not ",
    "n't ",
    "never ",
    "until ",
    "when ",
    "if ",
    "how ",
    "whether ",
    "before ",
    "would be ",
    "should be ",
    "hope ",
    "only ",
    "briefly ",
];

/// What looks for a message in code.
const SEARCHES: &[&str] = &[
    "strstr",
    "strcasestr",
    "strcmp",
    "strncmp",
    "contains",
    "includes",
    "indexof",
    "startswith",
    "starts_with",
    "hasprefix",
    "has_prefix",
    "str_has_prefix",
    "match",
    "matches",
    "test",
    "search",
    "grep",
    "tohaveproperty",
    "tocontain",
    "tomatch",
];

/// Verbs after which a guide quotes what somebody may see.
const SAYING: &[&str] = &[
    "prints",
    "print",
    "says",
    "say",
    "shows",
    "reports",
    "outputs",
    "see",
    "sees",
    "get",
    "gets",
    "with",
    "error",
    "message",
    "gives",
    "logs",
    "complains",
];

/// How a message is spoken of, by what that stands since the message before it, on the line before its name, and after it up to the
/// next one.
pub(super) fn of(since: &[u8], before: &[u8], after: &[u8]) -> Spoken {
    let line = lower(before.get(before.len().saturating_sub(MOST_BYTES)..).unwrap_or_default());
    let after = lower(after);
    if is_passed(&line) || is_searched(&line) || is_guide(&line) || is_expected(&after) {
        return Spoken::Supposed;
    }
    if is_over(&after) {
        return Spoken::Over;
    }
    let tail = since.len().saturating_sub(MOST_BYTES);
    let intro = format!("{}\n{line}", lower(since.get(tail..).unwrap_or_default()));
    let last = |words: &[&str]| words.iter().filter_map(|word| last_whole(&intro, word)).max();
    match (last(BEFORE), last(NOW)) {
        (Some(before), Some(now)) if now < before => Spoken::Plain,
        (_, Some(_)) => Spoken::Now,
        _ => Spoken::Plain,
    }
}

/// In small letters, from the start on.
fn lower(text: &[u8]) -> String {
    String::from_utf8_lossy(text.get(..MOST_BYTES).unwrap_or(text)).to_lowercase()
}

/// Where words stand last in a text, none of them a part of another. Behind `until` it is not now.
fn last_whole(text: &str, words: &str) -> Option<usize> {
    let inner = |letter: char| letter.is_alphanumeric() || "_-/".contains(letter);
    let places = text.rmatch_indices(words).map(|(at, _)| at);
    places.take(64).find(|at| {
        let (before, after) =
            (text.get(..*at).unwrap_or_default(), text.get(*at + words.len()..).unwrap_or_default());
        let ends = words.ends_with(inner) && after.starts_with(inner);
        let other = ["until ", "by ", "retrying ", "trying ", "starting ", "running "];
        !before.ends_with(inner) && !ends && !other.iter().any(|words| before.ends_with(words))
    })
}

/// Whether it is said that it does not happen any more, and not taken back.
fn is_over(after: &str) -> bool {
    OVER.iter().any(|words| {
        after.match_indices(words).take(8).any(|(at, _)| {
            let (before, rest) = (after.get(..at).unwrap_or_default(), after.get(at..).unwrap_or_default());
            let clause = before.rsplit(['.', '!', '?', '\n', ',']).next().unwrap_or_default();
            let unsure = UNSURE.iter().any(|words| clause.contains(words));
            let asked = rest
                .find(['.', '!', '?', '\n'])
                .and_then(|end| rest.get(end..))
                .is_some_and(|end| end.starts_with('?'));
            !unsure && !asked && !BACK.iter().any(|words| rest.contains(words))
        })
    })
}

/// Whether a test that passed has it for its name: `ok 12 - bwrap: ...`.
fn is_passed(line: &str) -> bool {
    let line = line.trim_start();
    let number =
        line.strip_prefix("ok ").map(|rest| rest.trim_start_matches(|letter: char| letter.is_ascii_digit()));
    number.is_some_and(|rest| rest.starts_with(" - ") || rest.is_empty() || rest == " ")
        || line.starts_with("pass: ")
}

/// Whether code looks for it: `strstr(text, "bwrap: ..."`, `grep -q 'bwrap: ...'`.
fn is_searched(line: &str) -> bool {
    let Some(code) = line.strip_suffix(['"', '\'', '`', '/', '^']) else { return false };
    let code = code.trim_end_matches(['b', 'r', '"', '\'', '/', '^', '\\']);
    let call = code.rsplit_once('(').map_or("", |(head, _)| head);
    let name =
        call.rsplit(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default();
    let typed = code.rsplit(['|', ';', '&']).next().unwrap_or_default();
    SEARCHES.contains(&name)
        || (name.starts_with("assert") || name.starts_with("expect")) && !name.ends_with("error")
        || typed.split_whitespace().next() == Some("grep")
        || code.ends_with("== ")
        || code.ends_with("if ")
}

/// Whether a guide says what to do where it is seen: `If it prints "bwrap: ..."`. Who tells of himself tells what happened.
fn is_guide(line: &str) -> bool {
    let Some(sentence) = line.rsplit(['.', '!', '?', ';']).next() else { return false };
    let mut words = sentence.split(|letter: char| !letter.is_alphanumeric() && letter != '\'');
    let words: Vec<&str> = words.by_ref().filter(|word| !word.is_empty()).collect();
    let last = words.last().copied().unwrap_or_default();
    let own = words.iter().any(|word| ["i", "we", "i'm", "we're", "my"].contains(word));
    let supposes = ["if", "should"].contains(words.first().unwrap_or(&""));
    // what something writes of itself has happened
    supposes && !own && !sentence.contains(',') && SAYING.contains(&last) && !sentence.contains(" it logs")
}

/// Whether the same line says that it was to fail so.
fn is_expected(after: &str) -> bool {
    let line = after.lines().next().unwrap_or_default();
    [
        "(expected failure",
        "(expected error",
        "(expected)",
        "(as expected",
        "# expected failure",
        "# expected error",
        "(xfail",
        "# todo",
    ]
    .iter()
    .any(|words| line.contains(words))
}

/// Whether a text has what bwrap prints of its options, asked or not.
pub(super) fn is_help(text: &[u8]) -> bool {
    find(text, b"--help").is_some() && find(text, b"Print this help").is_some()
}

#[cfg(test)]
mod tests {
    use super::super::{Said, search};
    use super::*;

    fn spoken(text: &str) -> Spoken {
        let (before, said) = text.split_once("bwrap: ").unwrap_or((text, ""));
        let (since, line) = before.rsplit_once('\n').unwrap_or(("", before));
        of(since.as_bytes(), line.as_bytes(), said.as_bytes())
    }

    #[test]
    fn what_is_over_or_only_thought_of_is_no_failure_of_today() {
        for text in [
            "the error \"bwrap: x: Permission denied\" went away after a reboot. Everything works now.",
            "I had `bwrap: x`, which I fixed by an update",
            "bwrap: x\n\nEDIT: that fixed it",
        ] {
            assert_eq!(spoken(text), Spoken::Over, "{text}");
        }
        for text in [
            "If the launcher prints \"bwrap: x\" you must enable it",
            "ok 12 - bwrap: x: No such file or directory",
            "bwrap: x: No such file or directory (expected failure)",
            "if (strstr(buf, \"bwrap: x\")) {",
            "if \"bwrap: x\" in stderr:",
            "assert_contains(\"bwrap: x\")",
            "journalctl | grep -q 'bwrap: x'",
        ] {
            assert_eq!(spoken(text), Spoken::Supposed, "{text}");
        }
    }

    #[test]
    fn what_is_told_as_it_is_stands() {
        for text in [
            "bwrap: x\n#123 fixed the issue for Arch users; on Ubuntu it still fails.",
            "bwrap: x\nA reboot fixed the problem for a day. It fails each morning.",
            "bwrap: x\nit works now if I run it as root, but not as the service user",
            "bwrap: x\nThe issue is solved in version 0.12, we have 0.11.",
            "Whenever systemd starts the service it logs `bwrap: x`",
            "bwrap: x # expected no error here",
            "bwrap: x",
            "bwrap: x\nIt is not fixed by a reboot. If it went away I would close this.",
            "bwrap: x\nIt went away after a reboot, but came back.",
            "bwrap: x\nHow can I tell when this has been fixed?",
            "When I run it, it prints \"bwrap: x\"",
            "If I run codex it prints \"bwrap: x\"",
            "If you run it in docker, it prints \"bwrap: x\"",
            "not ok 12 - bwrap: x",
            "AssertionError(\"bwrap: x\")",
            "RuntimeError('bwrap: x')",
            "{\"msg\":\"bwrap: x\"}",
            "Previously it worked. Since the upgrade:\nbwrap: x",
            "Until now I had:\nbwrap: x",
            "nowhere: bwrap: x",
        ] {
            assert_eq!(spoken(text), Spoken::Plain, "{text}");
        }
        for text in
            ["Yesterday y. What I get today:\nbwrap: x", "Now, in the same container, it says\n\nbwrap: x"]
        {
            assert_eq!(spoken(text), Spoken::Now, "{text}");
        }
    }

    /// What was said last counts where a text says so; else the first of one launch.
    #[test]
    fn the_message_of_today_is_decisive() {
        let decisive = |text: &str| match search(text.as_bytes()) {
            Said::Bwrap(messages) => crate::bwrap::decisive(&messages).map(ToString::to_string),
            _ => None,
        };
        let (map, name) =
            ("setting up uid map: Permission denied", "No permissions to create a new namespace");
        let last = |text: &str| decisive(&text.replace("MAP", map).replace("NAME", name)).unwrap_or_default();
        for text in [
            "Before, I had `bwrap: NAME`, which I fixed. Now it says\n\nbwrap: MAP\n",
            "Yesterday it said \"bwrap: NAME\". What I get today:\nbwrap: MAP\n",
            "bwrap: NAME\nI changed it. But this returns a different one:\nbwrap: MAP\n",
            "bwrap: NAME went away.\nbwrap: MAP\n",
            // what its other processes say follows from it
            "Now it says:\nbwrap: MAP\nbwrap: NAME\n",
            "It worked until yesterday:\nbwrap: MAP\nbwrap: NAME\n",
            "bwrap: MAP\nwith --foo I get\nbwrap: NAME\n",
        ] {
            assert_eq!(last(text), map, "{text}");
        }
    }
}
