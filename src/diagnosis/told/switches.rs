//! What sentences say of kernel parameters and of trials: `kernel.unprivileged_userns_clone` is actually `1`, `unshare -U true` works.

use super::words::{around, clause, sentences};

/// Parameters that people speak of by their last name, or by their file, and whether they are on or off.
const SWITCHES: &[(&str, &str)] = &[
    ("unprivileged_userns_clone", "kernel.unprivileged_userns_clone"),
    ("apparmor_restrict_unprivileged_userns", "kernel.apparmor_restrict_unprivileged_userns"),
];

/// What says that it is so here, before the value.
const IS: &[&str] = &[
    "is",
    "is actually",
    "is already",
    "is indeed",
    "is set to",
    "is already set to",
    "was already",
    "shows",
    "reads",
    "returns",
];

/// What says so without a number.
const STATES: &[(&str, &str)] = &[
    ("is enabled", "1"),
    ("is already enabled", "1"),
    ("is on", "1"),
    ("is disabled", "0"),
    ("is already disabled", "0"),
    ("is off", "0"),
];

/// What makes of it a guess, a rule, an order or a memory.
const DOUBTS: &[&str] = &[
    "?",
    "if ",
    "should",
    "must",
    "need",
    "require",
    "default",
    "unless",
    "try ",
    "tried",
    "when ",
    "e.g.",
    "can be",
    "set it",
    "guide",
    "says",
    "workaround",
    "fix",
    "make sure",
    "ensure",
    "check ",
    "elsewhere",
    "other ",
    "was off",
    "before",
    "after ",
    "would",
    "once ",
    "unlike",
    "works with",
    "on debian",
    "on arch",
];

/// The parameter that a line in small letters says the value of, if it is said of here.
pub(super) fn switch(line: &str) -> Option<(String, String)> {
    sentences(line).into_iter().find_map(|sentence| {
        let doubtful = DOUBTS.iter().any(|words| sentence.contains(words));
        let mut found = SWITCHES.iter().filter(|_| !doubtful).filter_map(|(short, name)| {
            // the longer name has the same end
            let at =
                sentence.find(short).filter(|at| !sentence.get(..*at).unwrap_or_default().ends_with('_'))?;
            Some((*name, around(sentence, at, short)))
        });
        let (name, (before, after)) = found.next()?;
        Some((name.to_owned(), state(before, after)?.to_owned()))
    })
}

/// The value behind a name: `` ` is actually `1` (permissive) ``, ` is enabled`, or `have ... enabled`.
fn state<'l>(before: &str, after: &'l str) -> Option<&'l str> {
    let rest = unquoted(after);
    if let Some((_, value)) = STATES.iter().find(|(words, _)| rest.starts_with(words)) {
        return Some(value);
    }
    if rest.starts_with("enabled") && ["have ", "has "].iter().any(|has| before.contains(has)) {
        // and not `I don't have`
        return (!before.contains("n't ") && !before.contains("not ")).then_some("1");
    }
    IS.iter().find_map(|is| {
        let value = unquoted(rest.strip_prefix(is)?);
        let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
        let (digits, rest) = value.split_at_checked(end)?;
        // and not `is 10 years old`
        let whole = !rest.trim_start_matches(['`', '"', '\'', '*']).starts_with(char::is_alphanumeric);
        (["0", "1"].contains(&digits) && whole).then_some(digits)
    })
}

fn unquoted(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_whitespace() || "`\"'*".contains(c))
}

/// How a namespace is made by hand, which bwrap does next.
const TRIALS: &[&str] = &["unshare -u", "unshare --user"];

/// Whether a line in small letters says that a user namespace can be made by hand, in the place that it is about.
pub(super) fn makes_namespaces(line: &str) -> bool {
    const WORKS: &[&str] = &["succeeds", "succeeded", "works", "worked", "is fine", "does work"];
    const NOT: &[&str] = &[
        "n't ",
        "not ",
        "never",
        "no longer",
        "only ",
        "?",
        "if ",
        "should",
        "host",
        "root",
        "sudo",
        "outside",
        "before",
        "until",
        "machine",
        "laptop",
        "fails",
        "denied",
        "when ",
        "with ",
        "without",
        "after ",
    ];
    sentences(line).into_iter().any(|sentence| {
        let Some((before, rest)) = TRIALS.iter().find_map(|trial| sentence.split_once(trial)) else {
            return false;
        };
        // what follows from it is said after that
        let [before, rest] = clause(before, rest);
        // `unshare -unmp` is more than that
        let alone = !rest.starts_with(|c: char| c.is_ascii_alphabetic() && c != 'r');
        let works = WORKS.iter().any(|words| rest.contains(words));
        alone && works && !NOT.iter().any(|words| before.contains(words) || rest.contains(words))
    })
}

/// Whether a line in small letters says that it fails within another sandbox, whose nobody knows the name of.
pub(super) fn nests(line: &str) -> bool {
    const WITHIN: &[&str] = &[
        "nested sandbox",
        "nested inside another sandbox",
        "inside another sandbox",
        "within another sandbox",
        "sandbox inside a sandbox",
        "sandbox within a sandbox",
        "already in a sandbox",
        "already inside a sandbox",
        "already sandboxed",
    ];
    const NOT: &[&str] = &["not a", "n't", "no nested", "weaker", "?", "if ", "should", "would"];
    sentences(line).into_iter().any(|sentence| {
        let denied = NOT.iter().any(|words| sentence.contains(words));
        WITHIN.iter().any(|words| sentence.contains(words)) && !denied
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sentences_say_of_switches_is_read() {
        for (line, value) in [
            (
                "the thing is, my system does have `unprivileged_userns_clone` enabled. i use it regularly",
                "1",
            ),
            ("`/proc/sys/kernel/unprivileged_userns_clone` is `1` and `unshare -u echo test` succeeds", "1"),
            ("`kernel.unprivileged_userns_clone` is actually `1` (permissive) on this host", "1"),
            ("kernel.unprivileged_userns_clone is 0.", "0"),
            ("unprivileged_userns_clone is enabled, too", "1"),
        ] {
            assert_eq!(switch(line), Some((SWITCHES[0].1.to_owned(), value.to_owned())), "{line}");
        }
        let restricts = "kernel.apparmor_restrict_unprivileged_userns is already disabled";
        assert_eq!(
            switch(restricts).map(|(name, value)| (name == SWITCHES[1].1, value)),
            Some((true, "0".into()))
        );
        for line in [
            "is kernel.unprivileged_userns_clone 1?",
            "if kernel.unprivileged_userns_clone is 0, bwrap fails",
            "kernel.unprivileged_userns_clone is 0 by default on debian 10",
            "i don't have unprivileged_userns_clone enabled",
            "make sure unprivileged_userns_clone is enabled",
            "kernel.unprivileged_userns_clone is 10 years old",
            "sysctl kernel.unprivileged_userns_clone=1",
            "kernel.unprivileged_userns_clone is not set",
        ] {
            assert_eq!(switch(line), None, "{line}");
        }
    }

    #[test]
    fn namespaces_made_by_hand_are_read() {
        for line in [
            "`unshare -u echo test` succeeds, so this is not the usual sysctl block",
            "unshare --user true works",
            "`unshare -ur true` works here",
        ] {
            assert!(makes_namespaces(line), "{line}");
        }
        for line in [
            "`unshare -u true` works on the host",
            "unshare -u true fails, too",
            "unshare --user does not work either",
            "sudo unshare --user true works",
            "unshare -unmp true works",
            "does unshare -u work?",
        ] {
            assert!(!makes_namespaces(line), "{line}");
        }
    }

    #[test]
    fn sandboxes_around_are_read() {
        assert!(nests("the agent-executor's own containment (nested sandbox) blocks it"));
        for line in ["this is not a nested sandbox", "enableweakernestedsandbox", "the sandbox fails"] {
            assert!(!nests(line), "{line}");
        }
    }
}
