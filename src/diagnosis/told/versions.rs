//! What a text tells of versions of bwrap: which failed, and whether an update brought the failure.

use super::said::Said;
use super::words::around;
use crate::diagnosis::hint::Hint;

/// What lines tell of versions of bwrap.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is told by words of its own")]
pub(super) struct Versions {
    /// The one that failed.
    pub(super) told: Said<Option<String>>,
    /// The column of a table that has them, and how many rows of it there were.
    column: Option<usize>,
    rows: usize,
    /// One that opens every directory on the way to a destination is spoken of as used, and one that does not.
    newer: bool,
    older: bool,
    /// An update is said to have brought it.
    brought: bool,
    /// All are said to fail.
    alike: bool,
}

/// The vulnerability whose fix opens them.
const FIXED: &[&str] = &["cve-2026-87766", "ghsa-pxhw-h44j-8pfx"];
/// What says of a version that nobody has it here.
const AWAY: &[&str] = &[
    "latest",
    "newest",
    "released",
    "available",
    "fixed in",
    "fixed by",
    "needs",
    "requires",
    "please",
    "changelog",
    " in sid",
    "testing",
    "unstable",
    "upstream",
    "not cve",
    "no cve",
];
/// What stands between a program's name and its version, or between two of them.
const BETWEEN: &[&str] = &[
    "version",
    "versions",
    "from",
    "to",
    "and",
    "is",
    "was",
    "package",
    "installed",
    "update",
    "upgrade",
    "->",
    "\u{2192}",
    "amd64",
    "arm64",
    "of",
    "ubuntu",
    "debian",
    "fedora",
];
/// What works in another way than what failed.
const OTHERWISE: &[&str] =
    &[" when ", " if ", "without", " other", "as root", "only ", "another", "elsewhere"];
const WORKS: &[&str] = &["works", "worked", "succe", "is fine", "passes", "passed", "starts", "no problem"];
const FAILS: &[&str] = &["not work", "n't work", "no longer work", "not start", "never work"];
/// What says that something else was there before.
const CHANGED: &[&str] = &["since ", "after ", "upgrad", "updat", "picked up", "moved to", "switched to"];
const ALIKE: &[&str] = &["same", "both", "still", "either", "no difference", "no change", "also fail"];

impl Versions {
    pub(super) fn read(&mut self, line: &str) {
        for version in versions(line) {
            self.told.note(version);
        }
        let lower = line.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|words| lower.contains(words));
        let named = has(NAMES);
        let opens: Vec<bool> = match self.cell(&lower) {
            Some(cell) => cell.split(is_apart).filter_map(opens).collect(),
            None => behind_names(&lower).filter_map(opens).collect(),
        };
        let (newer, older) = (opens.contains(&true) && !has(AWAY), opens.contains(&false));
        self.alike |= named && has(ALIKE);
        self.brought |= has(FIXED) && named && !has(AWAY) && !older;
        let works = has(WORKS) && !has(FAILS) && !has(OTHERWISE);
        self.newer |= newer;
        self.older |= older;
        self.brought |= older && !newer && works || newer && !works && has(CHANGED);
    }

    /// The cell of a table's row that has a version, where its first row names bwrap.
    fn cell<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        let Some(row) = line.trim().strip_prefix('|') else {
            (self.column, self.rows) = (None, 0);
            return None;
        };
        let mut cells = row.split('|');
        self.rows += 1;
        if self.rows == 1 {
            self.column = cells.position(|cell| NAMES.iter().any(|name| cell.contains(name)));
            return None;
        }
        cells.nth(self.column?)
    }

    /// What follows from all lines together.
    pub(super) fn hint(&self) -> Option<Hint> {
        self.shows_update().then_some(Hint::OpeningBwrap)
    }

    /// Whether one that opens those directories is what failed, by what is said of others: they work, or were there before.
    fn shows_update(&self) -> bool {
        (self.brought || self.newer && self.older) && !self.alike
    }
}

const NAMES: &[&str] = &["bubblewrap", "bwrap"];

fn is_apart(c: char) -> bool {
    c.is_whitespace() || "`*|(),;:\"'[]{}=>@".contains(c)
}

/// The words behind bwrap's name that may be its versions: up to one that is something else.
fn behind_names(line: &str) -> impl Iterator<Item = &str> {
    let rests =
        NAMES.iter().flat_map(move |name| line.match_indices(name).map(|(at, name)| (at, at + name.len())));
    rests.filter_map(move |(at, end)| Some((line.get(..at)?, line.get(end..)?))).flat_map(|(head, rest)| {
        // of a file, and of another program
        let whole = !head.ends_with(['/', '.']);
        let words = rest.split(is_apart).filter(|word| !word.is_empty());
        words.take_while(move |word| {
            whole && (opens(word).is_some() || is_number(word) || BETWEEN.contains(word))
        })
    })
}

/// Whether a word is a version of whatever.
fn is_number(word: &str) -> bool {
    word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit())
}

/// The last one known, with as many to come as have come in some years.
const LAST: u32 = 20;

/// Whether the version that a word is opens every directory on the way, where that is known. Ubuntu brought it to its own.
fn opens(word: &str) -> Option<bool> {
    let word = word.strip_prefix('v').unwrap_or(word).trim_end_matches('.');
    let (release, package) =
        word.split_once('-').map_or((word, None), |(release, rest)| (release, Some(rest)));
    let mut numbers = release.split('.').map(str::parse::<u32>);
    let (Some(Ok(0)), Some(Ok(minor)), Some(Ok(_)) | None) = (numbers.next(), numbers.next(), numbers.next())
    else {
        return None;
    };
    if minor > LAST {
        return None;
    }
    if !matches!(release, "0.9.0" | "0.6.1") {
        return Some(minor >= 12);
    }
    let (_, update) = package?.split_once("ubuntu0.").unwrap_or(("", "0"));
    Some(update.split('.').next()?.parse::<u32>().ok()? >= 2)
}

/// What makes of a version another than the one that failed.
const OTHER: &[&str] = &[
    "before", "since", "than ", "older", "newer", "later", "until", "needs", "requires", "upgrad", "updat",
    "works", "worked", "downgrad", "fixed", "pass", "try", "latest", "release",
];

/// The versions of bwrap that a line tells: `bwrap 0.11.0`, `bubblewrap 0.9.0-1ubuntu0.1`, `Bubblewrap version: 0.2.0`. Where it speaks of
/// another than the one that failed, `None` is one of them.
fn versions(line: &str) -> Vec<Option<String>> {
    let lower = line.to_ascii_lowercase();
    let found: Vec<String> = NAMES
        .iter()
        .flat_map(|name| lower.match_indices(name))
        .filter_map(|(at, name)| version(&lower, at, name))
        .collect();
    let doubtful = !found.is_empty() && OTHER.iter().any(|word| lower.contains(word));
    found.into_iter().map(Some).chain(doubtful.then_some(None)).collect()
}

fn version(line: &str, at: usize, name: &str) -> Option<String> {
    let (head, rest) = around(line, at, name);
    // of a file, and of another program
    if head.ends_with(['/', '-', '.']) {
        return None;
    }
    let apart = |c: char| c.is_whitespace() || "`*|:=@-\"'".contains(c);
    let rest = rest.trim_start_matches(apart);
    let rest = rest.strip_prefix("version").unwrap_or(rest).trim_start_matches(apart);
    let rest = rest.strip_prefix('v').unwrap_or(rest);
    let text: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let text = text.trim_end_matches('.');
    text.starts_with("0.").then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shows_update(text: &str) -> bool {
        let mut versions = Versions::default();
        text.lines().for_each(|line| versions.read(line));
        versions.shows_update()
    }

    #[test]
    fn an_update_is_seen() {
        for text in [
            "downgrading bubblewrap from 0.9.0-1ubuntu0.2 to 0.9.0-1ubuntu0.1 fixes it",
            "bubblewrap (0.9.0-1ubuntu0.1 => 0.9.0-1ubuntu0.2)",
            "2026-09-17 06:12:01 upgrade bubblewrap:amd64 0.9.0-1ubuntu0.1 0.9.0-1ubuntu0.2",
            "Since the upgrade to bubblewrap 0.12.0:",
            "After updating bubblewrap to 0.12.0 it fails",
            "works with bubblewrap 0.11.0",
            "since the CVE-2026-87766 update of bubblewrap",
            "bubblewrap 0.11.0:\nit starts\nbubblewrap 0.12.0:\nit does not start",
            "| bubblewrap | result |\n|---|---|\n| 0.12.0 | fails |\n| 0.11.0 | works |",
            "| bubblewrap installed | Result |\n| `0.9.0-1ubuntu0.2` | failed |\n| `0.9.0-1ubuntu0.1` | fine |",
        ] {
            assert!(shows_update(text), "{text}");
        }
    }

    #[test]
    fn other_versions_are_no_update() {
        for text in [
            "bubblewrap 0.11.0",
            "bubblewrap 0.8.0; the latest is 0.12.0",
            "bubblewrap 0.8.0 and 0.12.0, both fail",
            "I updated bubblewrap from 0.8.0 to 0.12.0 and it still fails",
            "After updating bubblewrap to 0.12.0 it works",
            "bubblewrap 0.8.0 does not work",
            "bubblewrap 0.9.0",
            "bubblewrap 0.8.0\n| flatpak 1.16 | ok |\nlibfoo 0.12.0",
            "CVE-2026-87766 is fixed in bubblewrap 0.12.0",
            "Since codex-cli 0.77.0 bwrap fails like that",
            "After upgrading codex from 0.101.0 to 0.128.0 the bwrap sandbox fails. Debian 12, bubblewrap 0.8.0-2+deb12u1",
            "after upgrading to uv 0.12.0 bwrap fails",
            "| Component | Version |\n|---|---|\n| bubblewrap | (Debian 12) |\n| ripgrep | 0.13.0 |\n| seccomp | 0.5.0 |",
            "| codex | bwrap | result |\n|---|---|---|\n| 0.12.0 | 0.8.0 | ok |\n| 0.13.0 | 0.8.0 | fails |",
            "bubblewrap 0.8.0 works when run as root",
            "Not CVE-2026-87766: my bubblewrap is 0.8.0",
            "bubblewrap 0.8.0-2+deb12u1\nbubblewrap 0.12.0 in sid",
        ] {
            assert!(!shows_update(text), "{text}");
        }
    }
}
