//! Records of the kernel's log about bwrap, as they stand in a text.

use std::borrow::Cow;

use crate::bwrap::message::is_program;

/// So many records are kept: the first ones are of the first failure.
const MOST: usize = 16;
/// So many lines are read, and of each so many bytes.
const MOST_LINES: usize = 2_000;
const MOST_BYTES: usize = 2_000;
/// Over so many lines a record is broken by whoever pastes it.
const BROKEN: usize = 5;

/// Who speaks where the kernel itself did not mount a procfs.
pub(super) const KERNEL: &str = "the kernel";

/// What stands in the record of a profile that only complains.
const COMPLAINS: &str = "apparmor=\"ALLOWED\"";

/// A record in which somebody denies bwrap something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(super) line: String,
    pub(super) who: &'static str,
    /// It was only noted, and let pass: SELinux is permissive, the profile complains.
    pub(super) passed: bool,
}

/// What a text has of them: what was denied, and what was only noted.
pub(super) fn read(text: &[u8]) -> [Vec<Denial>; 2] {
    let lines: Vec<Cow<'_, str>> = text
        .split(|byte| *byte == b'\n')
        .take(MOST_LINES)
        .map(|line| String::from_utf8_lossy(line.get(..MOST_BYTES).unwrap_or(line)))
        .collect();
    let records = (0..lines.len()).filter_map(|at| {
        let (first, more) = lines.get(at..)?.split_first()?;
        Denial::read(first, more)
    });
    let (mut passed, mut denied): (Vec<Denial>, Vec<Denial>) = records.partition(|record| record.passed);
    passed.truncate(MOST);
    denied.truncate(MOST);
    [denied, passed]
}

/// Whether a line is what is left of a record: words with values, and the few between them.
fn goes_on(line: &str) -> bool {
    let mut words = line.split_whitespace().peekable();
    let part = |word: &str| word.contains('=') || ["{", "}", "for", "denied", ">"].contains(&word);
    let another =
        words.peek().is_none_or(|first| first.starts_with("type=") || first.starts_with("apparmor="));
    !another && words.all(part)
}

impl Denial {
    fn read(first: &str, more: &[Cow<'_, str>]) -> Option<Self> {
        if first.contains("VFS: Mount too revealing") {
            return Some(Self { line: first.trim().to_owned(), who: KERNEL, passed: false });
        }
        let who = who_denies(first)?;
        let rest = more.iter().take(BROKEN).take_while(|line| goes_on(line));
        let line = rest
            .fold(first.trim().to_owned(), |line, more| line + " " + more.trim().trim_start_matches("> "));
        let denial = Self { line, who, passed: false };
        let names = |word: &str| {
            let value = word.strip_prefix("comm=").or(word.strip_prefix("exe="));
            value.map(|value| value.trim_matches('"')).is_some_and(|value| {
                // pressure-vessel's and others' of their own: `srt-bwrap`
                is_program(value.as_bytes()) || value.ends_with("-bwrap")
            })
        };
        // what was only told of, and allowed
        let allowed = |word: &str| ["permissive=1", "code=0x7ffc0000", COMPLAINS].contains(&word);
        let passed = denial.words().any(allowed);
        let of_bwrap = denial.words().any(names);
        of_bwrap.then_some(Self { passed, ..denial })
    }

    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        words(&self.line)
    }

    /// The value of a word.
    fn value(&self, name: &str) -> Option<&str> {
        let mut words = self.line.split_whitespace();
        words.find_map(|word| Some(word.strip_prefix(name)?.strip_prefix('=')?.trim_matches('"')))
    }

    /// What confines bwrap, as /proc/self/attr/current has it.
    pub(super) fn label(&self) -> Option<String> {
        match self.who {
            "SELinux" => self.value("scontext").map(str::to_owned),
            // of a mode it says nothing, but something was denied
            "AppArmor" => self.value("profile").map(|name| match name {
                "unconfined" => name.to_owned(),
                _ => format!("{name} (enforce)"),
            }),
            _ => None,
        }
    }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| letter.is_whitespace() || letter == ':')
}

fn who_denies(line: &str) -> Option<&'static str> {
    let has = |word: &str| words(line).any(|own| own == word);
    if has("avc") && has("denied") {
        Some("SELinux")
    } else if has("apparmor=\"DENIED\"") || has(COMPLAINS) || has("target=\"unprivileged_userns\"") {
        Some("AppArmor")
    } else if has("type=SECCOMP") || has("type=1326") || has("SECCOMP") {
        Some("seccomp")
    } else {
        None
    }
}
