//! What a text says of security modules, and shows of a process: `getenforce`, `sestatus`, lines of /proc/self/status.

use super::denied::is_denied;
use super::words::{around, stands};

/// What a line says of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// SELinux: whether it enforces its policy.
    Selinux(bool),
    NoSelinux,
    AppArmor,
    NoAppArmor,
}

/// What a program's answer means, on the line after the one that asks.
pub(super) fn answer(line: &str) -> Option<State> {
    match line.trim().trim_matches(['`', '"', '.']) {
        "Enforcing" => Some(State::Selinux(true)),
        "Permissive" => Some(State::Selinux(false)),
        "Disabled" => Some(State::NoSelinux),
        _ => None,
    }
}

/// What a line of the list below `Security Options:` means, which `docker info` prints: a module that the engine uses.
pub(super) fn listed(lower: &str) -> Option<State> {
    match lower.trim().trim_start_matches("name=") {
        "selinux" => Some(State::Selinux(true)),
        "apparmor" => Some(State::AppArmor),
        _ => None,
    }
}

/// Whether it is another line of that list.
pub(super) fn is_listed(lower: &str) -> bool {
    let word = lower.trim();
    ["seccomp", "cgroupns", "rootless", "userns"].contains(&word) || word.starts_with("profile:")
}

/// Whether a line asks so.
pub(super) fn asks(lower: &str) -> bool {
    lower.trim_end().ends_with("getenforce")
}

/// Sentences about them.
const SAID: &[(&str, State)] = &[
    ("selinux is disabled", State::NoSelinux),
    ("selinux disabled", State::NoSelinux),
    ("selinux: disabled", State::NoSelinux),
    ("selinux=0", State::NoSelinux),
    ("selinux=disabled", State::NoSelinux),
    ("selinux is off", State::NoSelinux),
    ("no selinux", State::NoSelinux),
    ("without selinux", State::NoSelinux),
    ("getenforce: disabled", State::NoSelinux),
    ("selinux enforcing", State::Selinux(true)),
    ("selinux is enforcing", State::Selinux(true)),
    ("selinux in enforcing", State::Selinux(true)),
    ("selinux is in enforcing", State::Selinux(true)),
    ("selinux=enforcing", State::Selinux(true)),
    ("selinux: enforcing", State::Selinux(true)),
    ("getenforce: enforcing", State::Selinux(true)),
    ("selinux is permissive", State::Selinux(false)),
    ("selinux=permissive", State::Selinux(false)),
    ("getenforce: permissive", State::Selinux(false)),
    ("no apparmor", State::NoAppArmor),
    ("without apparmor", State::NoAppArmor),
    ("apparmor is disabled", State::NoAppArmor),
    ("apparmor disabled", State::NoAppArmor),
    ("apparmor is not enabled", State::NoAppArmor),
    ("apparmor is off", State::NoAppArmor),
    ("apparmor=0", State::NoAppArmor),
    ("not use apparmor", State::NoAppArmor),
    ("n't use apparmor", State::NoAppArmor),
    ("n't have apparmor", State::NoAppArmor),
    ("apparmor not present", State::NoAppArmor),
    ("apparmor enabled", State::AppArmor),
    ("apparmor is enabled", State::AppArmor),
    ("apparmor module is loaded", State::AppArmor),
    ("enabled apparmor", State::AppArmor),
];

/// What a line in small letters says of them.
pub(super) fn said(line: &str) -> Vec<State> {
    // of these an answer stands by itself
    let words: Vec<&str> = line.split_whitespace().collect();
    let status = match words[..] {
        ["selinux", "status:", "disabled"] => Some(State::NoSelinux),
        ["current", "mode:", "enforcing"] => Some(State::Selinux(true)),
        ["current", "mode:", "permissive"] => Some(State::Selinux(false)),
        _ => None,
    };
    let is = |words: &str| {
        // `no apparmor messages`, `if selinux is enforcing`
        stands(line, &[words], |before, after| {
            let rest = after.trim_start();
            let about = ["message", "denial", "profile", "log", "error", "issue"]
                .iter()
                .any(|word| rest.starts_with(word));
            let doubtful =
                ["whether ", "when ", "with or ", "should "].iter().any(|word| before.ends_with(word));
            let thought = ["if ", "rather ", "would ", "works with", "it works"];
            let doubtful = doubtful || thought.iter().any(|words| before.contains(words));
            !about && !doubtful && !is_denied(before, after)
        })
    };
    let sentences = SAID.iter().filter(|(words, _)| is(words)).map(|(_, state)| *state);
    status.into_iter().chain(sentences).collect()
}

/// What the modes of a filter mean.
const MODES: &[&str] =
    &["disabled", "enabled", "filter", "filtered", "no filter", "none", "off", "on", "strict", "unfiltered"];

/// A line of /proc/self/status that tells of a process: its name and its value.
pub(super) fn status(line: &str) -> Option<(&str, &str)> {
    const NAMES: &[&str] = &["Seccomp", "NoNewPrivs", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
    // and how people write it: in a list, in a table, with what it means
    let mark = |c: char| c.is_whitespace() || "`|>*-".contains(c);
    let (name, value) = line.trim_matches(mark).split_once([':', '|', '='])?;
    let (name, value) = (name.trim_matches(mark), value.trim_matches(mark));
    let meaning = value.split_once(" (").and_then(|(value, aside)| Some((value, aside.strip_suffix(')')?)));
    let value = match meaning {
        Some((value, meaning)) if MODES.contains(&meaning) && !name.starts_with("Cap") => value.trim(),
        _ => value,
    };
    let hexadecimal = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    let known = NAMES.contains(&name) && hexadecimal && (value.len() == 16) == name.starts_with("Cap");
    known.then_some((name, value))
}

/// Whether a line prints the label of a process, which is the next one then.
pub(super) fn asks_label(line: &str) -> bool {
    ["cat /proc/self/attr/current", "cat /proc/thread-self/attr/current", "cat /proc/1/attr/current"]
        .iter()
        .any(|words| line.match_indices(words).any(|(at, _)| around(line, at, words).1.trim().is_empty()))
}

/// A label, as that file has it: `docker-default (enforce)`, `unconfined`, a context of SELinux.
pub(super) fn label(line: &str) -> Option<&str> {
    let line = line.trim().trim_matches(['`', '\0']);
    let mode = [" (enforce)", " (complain)", " (unconfined)"].iter().any(|mode| line.ends_with(mode));
    let context = line.split(':').count() >= 4 && line.contains("_t:") && !line.contains(' ');
    (line == "unconfined" || mode || context).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_said_and_shown() {
        for (line, state) in [
            ("fedora 42, selinux enforcing, confined user staff_u", State::Selinux(true)),
            ("current mode:                   enforcing", State::Selinux(true)),
            ("centos stream 9, selinux is disabled (getenforce: disabled)", State::NoSelinux),
            ("there are no apparmor messages, fedora does not use apparmor.", State::NoAppArmor),
            ("gentoo with apparmor enabled", State::AppArmor),
        ] {
            assert!(said(line).contains(&state), "{line}: {:?}", said(line));
        }
        for line in [
            "there are no apparmor denials",
            "if selinux is enforcing, it fails",
            "no apparmor profile is loaded",
            "selinux policy version: 33",
            "mode from config file: enforcing",
        ] {
            assert_eq!(said(line), [], "{line}");
        }
        assert_eq!(answer("Enforcing"), Some(State::Selinux(true)));
        assert_eq!(answer("Enforcing it"), None);
        assert_eq!(status("CapBnd:\t00000000a80425fb"), Some(("CapBnd", "00000000a80425fb")));
        assert_eq!(status("Seccomp:\t2"), Some(("Seccomp", "2")));
        assert_eq!(status("Seccomp: on"), None);
        assert_eq!(label("docker-default (enforce)"), Some("docker-default (enforce)"));
        assert_eq!(label("$ bwrap --ro-bind / / true"), None);
    }
}
