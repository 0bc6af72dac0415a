//! Words in a line.

/// Whether one of these words stands whole in a line, with something before and after it that is meant.
pub(super) fn stands(line: &str, words: &[&str], meant: impl Fn(&str, &str) -> bool) -> bool {
    words.iter().any(|word| stands_whole(line, word, &meant))
}

/// The same of one word.
pub(super) fn stands_whole(line: &str, word: &str, meant: impl Fn(&str, &str) -> bool) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = around(line, at, word);
        let parts = before.ends_with(inner) && word.starts_with(inner)
            || word.ends_with(inner) && after.starts_with(inner);
        !parts && meant(before, after)
    })
}

/// What stands before and after a word.
pub(super) fn around<'l>(line: &'l str, at: usize, word: &str) -> (&'l str, &'l str) {
    (line.get(..at).unwrap_or_default(), line.get(at + word.len()..).unwrap_or_default())
}

/// What ends a sentence, or turns it.
const TURNS: &[&str] = &[". ", "! ", "? ", "; ", " but ", " while ", " whereas ", " yet "];

/// The sentences of a line in small letters, as far as they say one thing.
pub(super) fn sentences(line: &str) -> Vec<&str> {
    cut(vec![line], TURNS)
}

/// The smaller parts of what stands around a word: the clause that it is in.
pub(super) fn clause<'l>(before: &'l str, after: &'l str) -> [&'l str; 2] {
    let apart = |text| cut(cut(vec![text], TURNS), &[", ", " - ", " \u{2014} "]);
    [apart(before).last().copied().unwrap_or_default(), apart(after).first().copied().unwrap_or_default()]
}

fn cut<'l>(texts: Vec<&'l str>, marks: &[&str]) -> Vec<&'l str> {
    marks.iter().fold(texts, |texts, mark| texts.into_iter().flat_map(|text| text.split(mark)).collect())
}

/// The word of other letters than spaces that something stands in the middle of: a path, a prompt, an address.
pub(super) fn token<'l>(before: &'l str, after: &'l str) -> [&'l str; 2] {
    let apart = |c: char| c.is_whitespace() || "`\"'()[]{},;|".contains(c);
    [before.rsplit(apart).next().unwrap_or_default(), after.split(apart).next().unwrap_or_default()]
}
