//! How a sentence says what it says. Of most facts counts only what is plainly told of here and now.

use bitflags::bitflags;

bitflags! {
    /// What makes of a sentence something else than a plain statement.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) struct Mood: u8 {
        /// It asks.
        const ASKS = 1;
        /// It says under which condition something would be so.
        const SUPPOSES = 1 << 1;
        /// It says what is to be done.
        const ADVISES = 1 << 2;
        const DENIES = 1 << 3;
        /// Somebody changes something, or has done so.
        const CHANGES = 1 << 4;
        /// It speaks of another time.
        const REMEMBERS = 1 << 5;
        /// It quotes, or speaks of what is usual.
        const GENERALISES = 1 << 6;
        /// It speaks of another place, or of somebody else's.
        const POINTS_AWAY = 1 << 7;
    }
}

/// Words in small letters, and what they make of a sentence wherever they stand in it.
const WORDS: &[(Mood, &[&str])] = &[
    (Mood::ASKS, &["?", "whether"]),
    (Mood::SUPPOSES, &["if ", "should", "would", "when ", "unless", "once "]),
    (
        Mood::ADVISES,
        &[
            "must",
            "need",
            "require",
            "try ",
            "tried",
            "can be",
            "set it",
            "workaround",
            "fix",
            "make sure",
            "ensure",
            "check ",
        ],
    ),
    (Mood::DENIES, &["n't", "never", "no longer"]),
    (
        Mood::CHANGES,
        &["remov", "without", "drop", "delet", "add", "instead", "chang", "comment", "unset", "disabl"],
    ),
    (Mood::REMEMBERS, &["before", "after ", "until", "used to", "yesterday", "was off"]),
    (Mood::GENERALISES, &["e.g.", "for example", "default", "guide", "docs", "says", "at least"]),
    (Mood::POINTS_AWAY, &["other ", "elsewhere", "their ", "unlike", "server", ", on ", ", for "]),
];

/// How a sentence in small letters speaks: empty if it states.
pub(super) fn of(sentence: &str) -> Mood {
    let has = |(_, words): &&(Mood, &[&str])| words.iter().any(|words| sentence.contains(words));
    WORDS.iter().filter(has).map(|(mood, _)| *mood).collect()
}
