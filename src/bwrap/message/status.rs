//! What lists, checks and configuration say of bwrap behind its name: that it is there, where, or which. It is nobody's failure.

/// What is said of a program that is looked for or switched on.
const STATES: &[&str] = &[
    "active",
    "auto",
    "available",
    "default",
    "detected",
    "disabled",
    "enabled",
    "false",
    "fine",
    "found",
    "inactive",
    "installed",
    "no",
    "none",
    "null",
    "off",
    "ok",
    "okay",
    "on",
    "optional",
    "pass",
    "passed",
    "present",
    "ready",
    "required",
    "running",
    "skipped",
    "success",
    "supported",
    "true",
    "unknown",
    "unsupported",
    "up-to-date",
    "usable",
    "version",
    "warn",
    "warning",
    "working",
    "works",
    "yes",
];

/// Words that may stand between these.
const BESIDE: &[&str] = &["already", "and", "at", "bubblewrap", "bwrap", "in", "is", "not", "path", "the"];

/// Whether that is all that a text says.
pub(super) fn is_status(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let around = |letter: char| !letter.is_alphanumeric() && !"/.~-".contains(letter);
    let mut words = text.split(|letter: char| letter.is_whitespace() || ",=:".contains(letter));
    words.all(|word| {
        let word = word.trim_matches(around).to_ascii_lowercase();
        let is_in = |words: &[&str]| words.contains(&word.trim_end_matches('.'));
        word.is_empty() || word.starts_with(['/', '~']) || is_version(&word) || is_in(STATES) || is_in(BESIDE)
    })
}

/// `0.8.0`, `v0.11`, `0.9.0-1ubuntu0.1`.
fn is_version(word: &str) -> bool {
    let number = word.strip_prefix('v').unwrap_or(word);
    number.starts_with(|letter: char| letter.is_ascii_digit()) && number.contains('.')
}
