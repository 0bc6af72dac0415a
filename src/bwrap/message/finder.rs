//! Any of many words, looked for at once: logs are long, and most of their lines say nothing of bwrap.

use aho_corasick::{AhoCorasick, Match};

/// Words to be found in a text. Empty ones are in none.
pub(super) struct Finder {
    /// None could be built of so many: then none is found, and nothing is passed over for it.
    words: Option<AhoCorasick>,
}

impl Finder {
    /// As they stand there.
    pub(super) fn exact<W: AsRef<[u8]>>(words: impl IntoIterator<Item = W>) -> Self {
        Self { words: AhoCorasick::new(words).ok() }
    }

    /// In whatever case.
    pub(super) fn folded<W: AsRef<[u8]>>(words: impl IntoIterator<Item = W>) -> Self {
        Self { words: AhoCorasick::builder().ascii_case_insensitive(true).build(words).ok() }
    }

    /// Whether one of them may be in a text.
    pub(super) fn may_find(&self, text: &[u8]) -> bool {
        self.words
            .as_ref()
            .is_none_or(|words| words.find_overlapping_iter(text).any(|found| !found.is_empty()))
    }

    /// All that are in a text, also those within others.
    pub(super) fn find_all<'f>(&'f self, text: &'f [u8]) -> impl Iterator<Item = Match> + 'f {
        let found = self.words.iter().flat_map(move |words| words.find_overlapping_iter(text));
        found.filter(|found| !found.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_within_others_and_in_their_case() {
        let found = |finder: &Finder, text: &str| -> Vec<(usize, usize)> {
            finder
                .find_all(text.as_bytes())
                .map(|found| (found.pattern().as_usize(), found.start()))
                .collect()
        };
        let words = ["no such", "such", ""];
        assert_eq!(found(&Finder::folded(words), "No Such"), [(0, 0), (1, 3)]);
        assert_eq!(found(&Finder::exact(words), "No such"), [(1, 3)]);
        assert!(!Finder::exact(words).may_find(b"none") && Finder::exact(words).may_find(b"no such thing"));
    }
}
