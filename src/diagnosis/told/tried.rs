//! What a text says that somebody has tried: it did not help, so that it is not what comes first.

use super::words::sentences;

/// By which words it is spoken of, and which words its remedy has.
const TRIED: &[(&str, &str)] = &[
    ("xdg-document-portal", "restart xdg-document-portal"),
    ("document portal", "restart xdg-document-portal"),
    ("flatpak repair", "flatpak repair"),
    ("/etc/apparmor.d/bwrap", "/etc/apparmor.d/bwrap"),
];

/// What says that it was done.
const DONE: &[&str] = &[
    "already",
    "i created",
    "i've created",
    "i added",
    "i installed",
    "restarted",
    "i tried",
    "tried to",
    "i ran",
    "nothing wrong",
    "no effect",
    "not help",
    "n't help",
    "nothing helps",
];

/// What says that it was not done.
const UNDONE: &[&str] = &[
    " yet",
    "haven't",
    "have not",
    "hasn't",
    "has not",
    "not tried",
    "no root",
    "could not",
    "couldn't",
    "cannot",
    "can't",
    "not allowed",
    "going to",
    "plan to",
    "will ",
];

/// What says that it helped, or is only thought of.
const OTHERWISE: &[&str] = &[
    "?",
    "should",
    "could you",
    "please",
    "fixed",
    "solved",
    "helped",
    "works now",
    "worked",
    "after that it works",
];

/// Words of the remedies that a line in small letters says to have been tried.
pub(super) fn tried(line: &str) -> impl Iterator<Item = &'static str> {
    let has = |text: &str, words: &[&str]| words.iter().any(|word| text.contains(word));
    let otherwise = has(line, OTHERWISE);
    let otherwise = otherwise || has(line, UNDONE);
    let is_done = |sentence: &&str| !otherwise && has(sentence, DONE);
    let done: Vec<&str> = sentences(line).into_iter().filter(is_done).collect();
    let is = move |spoken: &str| done.iter().any(|sentence| sentence.contains(spoken));
    TRIED.iter().filter(move |(spoken, _)| is(spoken)).map(|(_, remedy)| *remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_tried_is_told() {
        for (line, remedy) in [
            ("i restarted xdg-document-portal, rebooted, nothing helps", "restart xdg-document-portal"),
            ("flatpak repair says nothing wrong, reinstalled everything", "flatpak repair"),
            (
                "ubuntu 24.04. i created /etc/apparmor.d/bwrap with userns and reloaded. still:",
                "/etc/apparmor.d/bwrap",
            ),
        ] {
            assert_eq!(tried(line).collect::<Vec<_>>(), [remedy], "{line}");
        }
        for line in [
            "should i create /etc/apparmor.d/bwrap?",
            "i restarted xdg-document-portal, which fixed it",
            "cat /etc/apparmor.d/bwrap",
            "have you already tried flatpak repair?",
            "i haven't created /etc/apparmor.d/bwrap yet, i already rebooted",
            "i tried to create /etc/apparmor.d/bwrap, but i have no root",
            "i have not run flatpak repair yet, i already rebooted",
        ] {
            assert_eq!(tried(line).count(), 0, "{line}");
        }
    }
}
