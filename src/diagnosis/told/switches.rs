//! What sentences say of kernel parameters and of trials: `kernel.unprivileged_userns_clone` is actually `1`, `unshare -U true` works.

use super::mood::{self, Mood};
use super::words::{around, clause, sentences};

/// What stands around words that are quoted.
const QUOTES: &[char] = &['`', '"', '\'', '*'];

/// Parameters that people speak of by their last name, or by their file, and whether they are on or off.
const SWITCHES: &[(&str, &str)] = &[
    ("unprivileged_userns_clone", "kernel.unprivileged_userns_clone"),
    ("apparmor_restrict_unprivileged_userns", "kernel.apparmor_restrict_unprivileged_userns"),
    (LIMIT, "user.max_user_namespaces"),
];

/// The one whose value is a number.
const LIMIT: &str = "max_user_namespaces";

/// The whole name of one that is called by its last.
pub(super) fn whole(short: &str) -> Option<&'static str> {
    SWITCHES.iter().find(|(name, _)| *name == short).map(|(_, whole)| *whole)
}

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

/// What else makes of it a guess, or is about another place.
const DOUBTS: &[&str] =
    &["works with", "on debian", "on arch", "no ", "wrong", "mine is", "i am on", "i'm on"];

/// What stands before the name of a parameter whose value is told, and no other's.
const HERE: &[&str] = &[
    "",
    "and",
    "here",
    "my",
    "the",
    "sysctl",
    "the sysctl",
    "cat",
    "on this host",
    "on this machine",
    "on this system",
    "on my machine",
    "on my system",
];

/// Who has it enabled.
const OWNERS: &[&str] = &[
    "i",
    "we",
    "my system",
    "my machine",
    "my kernel",
    "my host",
    "this system",
    "this machine",
    "this kernel",
    "this host",
];

/// The parameter that a line in small letters says the value of, if it is said of here.
pub(super) fn switch(line: &str) -> Option<(String, String)> {
    sentences(line).into_iter().find_map(|sentence| {
        let doubtful = mood::of(sentence).intersects(!Mood::CHANGES)
            || DOUBTS.iter().any(|words| sentence.contains(words));
        let mut found = SWITCHES.iter().filter(|_| !doubtful).filter_map(|(short, name)| {
            // the longer name has the same end
            let at =
                sentence.find(short).filter(|at| !sentence.get(..*at).unwrap_or_default().ends_with('_'))?;
            let (before, after) = around(sentence, at, short);
            Some((*name, *short == LIMIT, clause(before, after)))
        });
        let (name, counts, [before, after]) = found.next()?;
        let value = state(before, after)?;
        // and that one is not on or off
        let fits = if counts { after.contains(value) } else { ["0", "1"].contains(&value) };
        fits.then(|| (name.to_owned(), value.to_owned()))
    })
}

/// The switch that a sentence in small letters says to have been set here, in vain: `i already ran sysctl -w ..._clone=1, still`.
pub(super) fn set(line: &str) -> Option<(String, String)> {
    const DONE: &[&str] = &["already", "i ran", "i set", "i've set", "i have set"];
    const VAIN: &[&str] = &["still", "no effect", "no luck", "not help", "n't help", "no difference"];
    const DOUBTS: &[&str] = &[
        "?",
        "should",
        "if ",
        "would",
        "n't set",
        "not set",
        "works",
        "until",
        "reboot",
        // or not now, or in another place than what fails
        "back to",
        "not loaded",
        "sysctl.d",
        "in the container",
    ];
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    if !has(DONE) || !has(VAIN) || has(DOUBTS) {
        return None;
    }
    SWITCHES.iter().filter(|(short, _)| *short != LIMIT).find_map(|(short, name)| {
        let at = line.find(short).filter(|at| !line.get(..*at).unwrap_or_default().ends_with('_'))?;
        let (_, after) = around(line, at, short);
        let value = after.trim_start().strip_prefix('=')?.trim_start().get(..1)?;
        ["0", "1"].contains(&value).then(|| ((*name).to_owned(), value.to_owned()))
    })
}

/// The value behind a name: `` ` is actually `1` (permissive) ``, ` is enabled`, or `have ... enabled`.
fn state<'l>(before: &str, after: &'l str) -> Option<&'l str> {
    let rest = unquoted(after);
    let before = ["kernel.", "/proc/sys/kernel/", "user.", "/proc/sys/user/"]
        .iter()
        .find_map(|head| before.strip_suffix(head))
        .unwrap_or(before);
    let before = bare(before);
    if let Some(tail) = rest.strip_prefix("enabled") {
        let owner =
            ["does have", "do have", "have", "has"].iter().find_map(|has| before.strip_suffix(has))?;
        return (OWNERS.contains(&owner.trim_end()) && ends(tail)).then_some("1");
    }
    if !HERE.contains(&before) {
        return None;
    }
    let stated = STATES.iter().find(|(words, _)| rest.strip_prefix(words).is_some_and(ends));
    stated.map(|(_, value)| *value).or_else(|| {
        IS.iter().find_map(|is| {
            let value = unquoted(rest.strip_prefix(is)?);
            let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
            let (digits, tail) = value.split_at_checked(end)?;
            // and not `is 10 years old`
            let number = !digits.is_empty() && digits.len() < 10;
            (number && ends(tail)).then_some(digits)
        })
    })
}

/// Whether what stands behind a value or a verb leaves it as it is: nothing, a word in parentheses, or that it is so here.
fn ends(tail: &str) -> bool {
    const HERE: &[&str] = &[
        "here",
        "already",
        "too",
        "fine",
        "on this host",
        "on this machine",
        "on this system",
        "on my machine",
        "on my system",
        "in the same place",
        "in the same container",
        "by hand",
    ];
    let Some(tail) =
        Some(tail.trim_start_matches(QUOTES)).filter(|tail| !tail.starts_with(char::is_alphanumeric))
    else {
        return false;
    };
    let tail = tail.trim();
    let aside = tail.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let aside = aside.filter(|(word, _)| word.chars().all(|c| c.is_ascii_alphanumeric()));
    let tail = aside.map_or(tail, |(_, rest)| rest.trim_start());
    let end = tail.trim_end_matches(['.', ',', '!', ')', ':']);
    end.is_empty() || HERE.contains(&end) || tail.starts_with("and ")
}

fn unquoted(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_whitespace() || QUOTES.contains(&c))
}

/// Without the mark of a list's item before it, and quotes around it.
fn bare(text: &str) -> &str {
    unquoted(text.trim().trim_start_matches("- ")).trim_end_matches(QUOTES).trim_matches(['-', ' '])
}

/// How a namespace is made by hand, which bwrap does next; a small `-u` is another kind.
const TRIALS: &[&str] = &["unshare -Ur", "unshare -rU", "unshare -U", "unshare --user"];

/// What is started in it.
const PROGRAMS: &[&str] = &["true", "/bin/true", "id", "whoami", "echo", "test", "ls", "sh", "bash", "-r"];

/// Whether a line says that a user namespace can be made by hand, in the place that it is about: as it stands there, since others
/// speak of other places.
pub(super) fn makes_namespaces(line: &str) -> bool {
    const WORKS: &[&str] = &["succeeds", "succeeded", "works", "is fine", "does work"];
    // who else, or where, behind a comma
    const NOT: &[&str] = &[
        "only ", "host", "root", "sudo", "outside", "machine", "laptop", "fails", "denied", "without",
        ", in ", ", as ",
    ];
    sentences(line).into_iter().any(|sentence| {
        let Some((before, rest)) = TRIALS.iter().find_map(|trial| sentence.split_once(trial)) else {
            return false;
        };
        let sentence = sentence.to_ascii_lowercase();
        // what follows from it is said after that
        let [before, rest] = clause(before, rest);
        let before = before.rsplit_once(" and ").map_or(before, |(_, last)| last);
        let before = bare(before);
        let quoted =
            rest.split_once('`').filter(|(command, _)| command.is_empty() || command.starts_with(' '));
        let verb = quoted.map_or(rest, |(_, behind)| behind);
        let verb = PROGRAMS.iter().fold(verb.trim_start(), |verb, program| {
            // the words of the command
            verb.strip_prefix(program).and_then(|rest| rest.strip_prefix(' ')).map_or(verb, str::trim_start)
        });
        let works = WORKS.iter().any(|words| verb.strip_prefix(words).is_some_and(ends));
        let here = ["", "here", "by hand", "and", "in the same place", "in the same container"];
        let before = before.to_ascii_lowercase();
        let doubtful = mood::of(&sentence).intersects(!Mood::CHANGES)
            || NOT.iter().any(|words| sentence.contains(words));
        works && here.contains(&before.as_str()) && !doubtful
    })
}

/// What says of a place that something is in another sandbox.
const WITHIN: &[&str] = &[
    "nested inside another sandbox",
    "inside another sandbox",
    "within another sandbox",
    "already in a sandbox",
    "already inside a sandbox",
    "already sandboxed",
];

/// Whether a line in small letters says that it fails within another sandbox, whose nobody knows the name of: that this one denies
/// something, or that something runs there. Others plan it, or test it.
pub(super) fn nests(line: &str) -> bool {
    const OUTER: &[&str] =
        &["nested sandbox", "sandbox inside a sandbox", "sandbox within a sandbox", "outer sandbox"];
    const DENIES: &[&str] = &["blocks ", "forbids ", "denies ", "prevents ", "refuses "];
    const RUNS: &[&str] =
        &["it runs", "is running", "am running", "are running", "it is", "it's", "i am", "i'm", "is", "are"];
    const NOT: &[&str] = &["not ", "no nested", "weaker", "test", "will ", "feature", "macos", "[ ]"];
    sentences(line).into_iter().any(|sentence| {
        let denies = OUTER.iter().filter_map(|words| sentence.split_once(words)).any(|(_, rest)| {
            let rest = rest.trim_start_matches([')', '`', '"', '*', ' ']);
            DENIES.iter().any(|verb| rest.starts_with(verb))
        });
        let runs = WITHIN.iter().filter_map(|words| sentence.split_once(words)).any(|(before, rest)| {
            let head = before.trim_end();
            let ran = RUNS.iter().filter_map(|verb| head.strip_suffix(verb));
            let ran = ran.into_iter().any(|head| !head.ends_with(char::is_alphanumeric));
            ran && (rest.starts_with(", ") || rest.trim_end_matches(['.', ':', '!', ' ']).is_empty())
        });
        let agents = is_within_agents(sentence);
        // of those it is the failure that is told: "bwrap cannot create namespaces when nested inside ..."
        let moods = Mood::ASKS | Mood::SUPPOSES | Mood::DENIES | Mood::GENERALISES;
        let moods = if agents && !sentence.contains("if ") { Mood::ASKS } else { moods };
        let plain = if agents { sentence.replace("cannot ", "") } else { sentence.to_owned() };
        let doubtful = mood::of(sentence).intersects(moods) || NOT.iter().any(|words| plain.contains(words));
        (denies || runs || agents) && !doubtful
    })
}

/// Whether a sentence says that something runs in the sandbox of a coding agent, or of a bwrap that is another one.
fn is_within_agents(sentence: &str) -> bool {
    const WHOSE: &[&str] = &[
        "claude code's own sandbox",
        "claude code's sandbox",
        "the claude code sandbox",
        "codex's own sandbox",
        "codex's sandbox",
        "the codex sandbox",
        "another bwrap sandbox",
        "a bwrap sandbox of",
        "the sandbox of claude code",
        "the sandbox of codex",
    ];
    const BEFORE: &[&str] = &[" inside ", " inside of ", " within ", " in "];
    const RUNS: &[&str] = &["run", "nested", "start", "launch", "call"];
    WHOSE.iter().filter_map(|whose| sentence.split_once(whose)).any(|(before, _)| {
        BEFORE.iter().any(|word| before.ends_with(word)) && RUNS.iter().any(|verb| before.contains(verb))
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
            // of other places and times, or of nothing
            "on the server kernel.unprivileged_userns_clone is 0, my desktop has 1",
            "bwrap claims unprivileged_userns_clone is disabled",
            "readme: kernel.unprivileged_userns_clone is set to 0 on hardened kernels",
            "our sysctl.conf had kernel.unprivileged_userns_clone is 0, i removed that line years ago",
            "kernel.unprivileged_userns_clone is 1 in the initramfs, then 99-hard.conf sets it to 0",
            "see whether unprivileged_userns_clone is enabled",
            "my colleague has unprivileged_userns_clone enabled and doesn't see this",
            "i never have unprivileged_userns_clone enabled",
            "no distro i know has unprivileged_userns_clone enabled out of the box",
            "people say unprivileged_userns_clone is enabled since bullseye",
            "unprivileged_userns_clone is on its way out upstream",
            "unprivileged_userns_clone is one of debian's patches",
            "apparmor_restrict_unprivileged_userns is 1 on ubuntu 24.04 hosts, mine is fedora 41",
            "apparmor_restrict_unprivileged_userns is enabled in 24.04, i am on 22.04",
        ] {
            assert_eq!(switch(line), None, "{line}");
        }
    }

    #[test]
    fn limits_and_what_was_set_in_vain_are_read() {
        let told = |line: &str| switch(line).or_else(|| set(line)).map(|(_, value)| value);
        for (line, value) in [
            ("user.max_user_namespaces is 28633 already", "28633"),
            ("/proc/sys/user/max_user_namespaces is 0 here", "0"),
            ("i already ran sysctl -w kernel.unprivileged_userns_clone=1, still", "1"),
            ("i set apparmor_restrict_unprivileged_userns = 0, no effect", "0"),
        ] {
            assert_eq!(told(line).as_deref(), Some(value), "{line}");
        }
        for line in [
            "max_user_namespaces is enabled",
            "max_user_namespaces is 10 times too small",
            "user.max_user_namespaces is 0 by default on rhel 7",
            "should i have already set kernel.unprivileged_userns_clone=1? still fails",
            "i ran sysctl -w kernel.unprivileged_userns_clone=1 and it works",
            "i set kernel.apparmor_restrict_unprivileged_userns=0 back to 1 and it still fails",
            "i already set kernel.apparmor_restrict_unprivileged_userns=0 in /etc/sysctl.d/99-x.conf (not loaded), it still fails",
            "i already set kernel.apparmor_restrict_unprivileged_userns=0 on the host, still no luck in the container",
            "i still haven't set kernel.unprivileged_userns_clone=1 already",
        ] {
            assert_eq!(told(line), None, "{line}");
        }
    }

    #[test]
    fn namespaces_made_by_hand_are_read() {
        for line in [
            "`unshare -U echo test` succeeds, so this is not the usual sysctl block",
            "unshare --user true works",
            "`unshare -Ur true` works here",
            "- unshare -U true works.",
        ] {
            assert!(makes_namespaces(line), "{line}");
        }
        for line in [
            "`unshare -U true` works on the host",
            "unshare -U true fails, too",
            "unshare --user does not work either",
            "sudo unshare --user true works",
            "unshare -Unmp true works",
            "does unshare -U work?",
            // a host name of its own
            "unshare -u works",
            "`unshare --user true` works in a fresh VM. Here:",
            "`unshare -U true` works for my colleague",
            "On CI `unshare -U true` works, locally I get",
            "`unshare -U true` succeeded on Debian 12; on Debian 10:",
            "Neither bwrap nor unshare -U works",
            "unshare -U hardly works",
            "unshare -U true works, on ci",
            "`unshare -U` worked yesterday.",
            "`unshare -U true` works as soon as kernel.unprivileged_userns_clone=1",
            "`unshare -U true` succeeds in podman. In docker:",
            "I read that unshare -U works everywhere, chroot included.",
            "unshare -U true works out there, in here not:",
        ] {
            assert!(!makes_namespaces(line), "{line}");
        }
    }

    #[test]
    fn sandboxes_around_are_read() {
        for line in [
            "the agent-executor's own containment (nested sandbox) blocks it",
            "the agent is running inside another sandbox:",
            "the process is already sandboxed.",
        ] {
            assert!(nests(line), "{line}");
        }
        for line in [
            "this is not a nested sandbox",
            "enableweakernestedsandbox",
            "the sandbox fails",
            "we will run it inside another sandbox later. for now, on debian 10:",
            "the docs describe how to run a sandbox inside a sandbox.",
            "i do want a nested sandbox eventually.",
            "feature request: support running within another sandbox. debian 10:",
            "the tests for nested sandbox pass.",
            "skipped: nested sandbox test",
            "# nested sandbox off",
            "my process is already in a sandbox (macos seatbelt) on the laptop; on the linux box:",
            "- [ ] i run this inside another sandbox",
            "already sandboxed: no",
        ] {
            assert!(!nests(line), "{line}");
        }
    }
}
