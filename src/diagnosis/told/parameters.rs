//! What a text shows of kernel parameters: what sysctl(8) and files of /proc/sys print, and what lists and tables have of them.

use super::mood::{self, Mood};
use super::switches;

/// What people put around a line of their own, taken off.
fn bare(line: &str) -> &str {
    line.trim_matches(|c: char| c.is_whitespace() || "`|>*-#$".contains(c))
}

/// A kernel parameter that bwrap depends on.
fn is_parameter(name: &str) -> bool {
    let mut parts = name.split('.');
    ["kernel", "user", "fs"].iter().any(|part| parts.clone().next() == Some(*part))
        && parts.all(|part| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        })
        && name.contains('.')
}

/// A kernel parameter and its value, as sysctl(8) prints it or a file of its sets it: not as one is told to set it.
pub(super) fn parameter(line: &str) -> Option<(String, String)> {
    // a comment
    if line.trim_start().starts_with('#') {
        return None;
    }
    if let Some(found) = of_nixos(line).or_else(|| answered(line)) {
        return Some(found);
    }
    if sets_parameter(&line.to_ascii_lowercase()) {
        return None;
    }
    let (before, after) = line.split_once('=')?;
    let (said, name) = bare(before).rsplit_once(' ').unwrap_or(("", bare(before)));
    // elsewhere it is what a guide says, or what was so before
    if !said.is_empty() && !is_said_of_here(&said.to_ascii_lowercase()) {
        return None;
    }
    let name = name.trim_start_matches(['`', '"', '\'', '(']);
    let mut rest = after.split_whitespace();
    let value = value(rest.next()?)?;
    let alone = !said.is_empty() || rest.all(|word| !word.contains(char::is_alphanumeric));
    (is_parameter(name) && alone).then(|| (name.to_owned(), value))
}

/// Whether what stands before a parameter says that it is so here: `I have`, `STIG hardened:`.
fn is_said_of_here(said: &str) -> bool {
    let hardened = said.ends_with("hardened:") || said.ends_with("hardening:");
    said.contains("have") || hardened && !["guide", "says", "should"].iter().any(|word| said.contains(word))
}

/// As a configuration of NixOS sets it: `boot.kernel.sysctl."kernel.unprivileged_userns_clone" = 0;`.
fn of_nixos(line: &str) -> Option<(String, String)> {
    let (_, rest) = line
        .split_once("sysctl.\"")
        .or_else(|| line.trim_start().split_once('"').filter(|(head, _)| head.is_empty()))?;
    let (name, rest) = rest.split_once('"')?;
    let word =
        rest.trim().strip_prefix('=')?.trim().trim_start_matches("lib.").trim_start_matches("mkForce ");
    let value = value(word.split(';').next().filter(|_| word.contains(';'))?)?;
    is_parameter(name).then(|| (name.to_owned(), value))
}

/// As somebody says that he looked: `kernel.unprivileged_userns_clone=1 and it now prints 1`.
fn answered(line: &str) -> Option<(String, String)> {
    const ANSWERS: &[&str] =
        &[" prints ", " shows ", " returns ", " now says ", " is already ", " is already set to "];
    let mut named =
        line.split(|c: char| c.is_whitespace() || "`\"'(),:=".contains(c)).filter(|word| is_parameter(word));
    let name = named.next()?;
    if named.next().is_some() || line.contains('?') || line.contains("should") {
        return None;
    }
    let (_, rest) = line.split_once(name)?;
    let said = ANSWERS.iter().find_map(|words| rest.split_once(words))?.1;
    Some((name.to_owned(), value(said.split([' ', ',', '.', ';']).next()?)?))
}

/// The kernel parameter that sysctl(8) did not find: `sysctl: cannot stat /proc/sys/kernel/x: No such file or directory`.
pub(super) fn absent(line: &str) -> Option<String> {
    let (_, path) = line
        .split_once("cannot stat /proc/sys/")
        .or_else(|| line.split_once("cat: /proc/sys/"))
        .or_else(|| line.split_once("cannot access '/proc/sys/"))?;
    let (path, answer) = path.split_once(": ")?;
    let name = path.trim_end_matches('\'').replace('/', ".");
    (is_parameter(&name) && answer.starts_with("No such file")).then_some(name)
}

/// Whether a line, in small letters, sets a kernel parameter, or has it set.
pub(super) fn sets_parameter(line: &str) -> bool {
    ["sysctl -w", "sysctl --write", "sysctl -p", "sysctl --system", "/etc/sysctl", "tee ", "echo "]
        .iter()
        .any(|mark| line.contains(mark))
}

/// A number, which is all that those are that bwrap depends on.
pub(super) fn value(line: &str) -> Option<String> {
    let value = line.trim().trim_matches(['`', '"', '\'', ',', ')', '.']);
    (!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit())).then(|| value.to_owned())
}

/// What stands between a name and its value in lists and tables, and before an answer.
const APART: &[&str] = &["->", "=>", "\u{2192}", "|", "=", ":"];

/// Parameters and their values as lists, tables, JSON and files of /proc/sys have them, where a line has nothing else.
pub(super) fn listed(line: &str) -> Vec<(String, String)> {
    let lower = line.to_ascii_lowercase();
    if line.trim_start().starts_with('#') || line.contains('?') || sets_parameter(&lower) {
        return Vec::new();
    }
    let frame = |c: char| c.is_whitespace() || "|>*-{}[],;\u{2022}".contains(c);
    let items = line.trim_matches(frame).split([',', ';']).map(item);
    items.collect::<Option<Vec<_>>>().map_or_else(Vec::new, |items| items.into_iter().flatten().collect())
}

/// An item of a list: `None` if it is no name with a value, and nothing if the name is no parameter's.
fn item(text: &str) -> Option<Vec<(String, String)>> {
    let (at, apart) =
        APART.iter().filter_map(|apart| Some((text.find(apart)?, apart))).min_by_key(|(at, _)| *at)?;
    let rest = text.get(at + apart.len()..)?.trim();
    let Some(name) = name(unquoted(text.get(..at)?)) else { return Some(Vec::new()) };
    Some(vec![(name, told(rest)?)])
}

/// A value, behind which stands no more than a word in parentheses: `0`, `` `0` (sysctl) ``.
fn told(text: &str) -> Option<String> {
    const OTHER: &[&str] = &["default", "expected", "fixed", "needed", "recommended", "required", "was"];
    let (digits, aside) = text.split_once(" (").unwrap_or((text, ")"));
    let aside = aside.strip_suffix(')')?;
    let plain = aside.chars().all(|c| c.is_ascii_alphanumeric()) && !OTHER.contains(&aside);
    value(unquoted(digits)).filter(|_| plain)
}

fn unquoted(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || "`\"'*".contains(c))
}

/// The parameter that a word names: by its whole name, its file, or the last name that people speak of it by.
fn name(word: &str) -> Option<String> {
    let name = word.strip_prefix("/proc/sys/").map(|path| path.replace('/', "."));
    let name = name.as_deref().or_else(|| switches::whole(word)).unwrap_or(word);
    is_parameter(name).then(|| name.to_owned())
}

/// A parameter that a command looks at, and its value if that stands on the same line: `sysctl -n NAME`, `cat FILE   # 0`.
pub(super) fn asked(line: &str) -> Option<(String, Option<String>)> {
    const SAME_LINE: &[&str] = &["#", "->", "=>", "\u{2192}", ":"];
    let apart = |c: char| c.is_whitespace() || "`'\"();".contains(c);
    let start = |word: &str| word.as_ptr().addr().saturating_sub(line.as_ptr().addr());
    let mut words = line.split(apart).filter(|word| !word.is_empty());
    let command = words.find(|word| is_command(word))?;
    let word = words.find(|word| !word.starts_with('-') && *word != ".")?;
    let whole = command.ends_with("sysctl") != word.starts_with('/');
    let name = name(word.trim_end_matches(':')).filter(|name| whole && name.contains('.'))?;
    let typed = line.get(..start(command))?.trim_end();
    let before = typed.to_ascii_lowercase();
    if before.split(apart).any(|word| NOT_HERE.contains(&word.trim_end_matches(':'))) {
        return None;
    }
    let typed = typed.strip_suffix("sudo").unwrap_or(typed).trim_end();
    let typed = typed.is_empty() || typed.ends_with(['$', '#', '%', '>', '`', '*', '-', '\u{2022}']);
    let rest = line.get(start(word) + word.trim_end_matches(':').len()..)?.trim_start_matches(['`', ' ']);
    let answer = SAME_LINE.iter().find_map(|apart| told(rest.strip_prefix(apart)?.trim()));
    Some((name, answer.filter(|_| typed)))
}

/// What says before a command that it was typed elsewhere, or by nobody.
const NOT_HERE: &[&str] = &["ssh", "if", "when", "should", "expected", "would", "unless"];

/// A parameter that a command sets: what it was before is no more.
pub(super) fn set(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("sysctl ")?;
    let word = rest.split_whitespace().find(|word| word.contains('='))?;
    let (parameter, _) = word.split_once('=')?;
    name(parameter.trim_matches(['`', '\'', '"'])).filter(|name| name.contains('.'))
}

/// Whether it prints what a kernel parameter is.
fn is_command(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    ["cat", "head", "tail", "more", "grep", "sysctl"].contains(&name)
}

/// What a command answered: a number, which notes put behind the mark of a comment or an arrow.
pub(super) fn answer(line: &str) -> Option<String> {
    value(line.trim_start_matches(['#', '=', '>', '-', '\u{2192}', ' ']))
}

/// What stands above a list or a table, and says of its values that they are not those of here and now: `Required:`, `| Name | Default |`.
#[derive(Debug, Default)]
pub(super) struct Heading {
    row: bool,
    other: bool,
}

impl Heading {
    /// A line in small letters, whether or not it is a heading; `values` if it has some itself.
    pub(super) fn read(&mut self, line: &str, values: bool) {
        let line = line.trim();
        let row = line.starts_with('|');
        let heads =
            row && !self.row || line.ends_with(':') || line.starts_with("# ") || line.starts_with("## ");
        self.row = row;
        if !values && !line.is_empty() && !row || heads {
            let other = Mood::SUPPOSES | Mood::ADVISES | Mood::REMEMBERS | Mood::GENERALISES | Mood::CHANGES;
            let meant = ["expect", "recommend", "set ", "sets", "solution", "want", "works", "helps"];
            self.other =
                heads && (mood::of(line).intersects(other) || meant.iter().any(|words| line.contains(words)));
        }
    }

    /// Whether the values below are those of here and now.
    pub(super) fn is_of_here(&self) -> bool {
        !self.other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_tables_have_values() {
        let clone = "kernel.unprivileged_userns_clone";
        for line in [
            "kernel.unprivileged_userns_clone: 0",
            "| kernel.unprivileged_userns_clone | 0 |",
            "| `kernel.unprivileged_userns_clone` | `0` |",
            "{\"kernel.unprivileged_userns_clone\": 0}",
            "{\"kernel.unprivileged_userns_clone\": 0, \"error\": \"",
            "  \"kernel.unprivileged_userns_clone\": 0,",
            "  kernel.unprivileged_userns_clone = 0   (sysctl)",
            "kernel.unprivileged_userns_clone=0, user.max_user_namespaces=31000",
            "* kernel.unprivileged_userns_clone \u{2192} 0",
            "- unprivileged_userns_clone: 0",
            "/proc/sys/kernel/unprivileged_userns_clone:0",
        ] {
            assert_eq!(listed(line).first(), Some(&(clone.to_owned(), "0".to_owned())), "{line}");
        }
        for line in [
            "# kernel.unprivileged_userns_clone = 0",
            "| kernel.unprivileged_userns_clone | 0 | 1 |",
            "kernel.unprivileged_userns_clone: 0 or 1",
            "kernel.unprivileged_userns_clone: 0 (default)",
            "kernel.unprivileged_userns_clone: 0 (on the old host)",
            "kernel.unprivileged_userns_clone: 0?",
            "fix: kernel.unprivileged_userns_clone: 1",
            "(VPS, restricted LXC, kernels with kernel.unprivileged_userns_clone=0)",
            "e.g. AppArmor, kernel.unprivileged_userns_clone=0, seccomp",
            "sysctl -w kernel.unprivileged_userns_clone=0, user.max_user_namespaces=1",
        ] {
            assert_eq!(listed(line), [], "{line}");
        }
    }

    #[test]
    fn commands_ask_for_values() {
        let clone = "kernel.unprivileged_userns_clone".to_owned();
        for line in [
            "$ sysctl -n kernel.unprivileged_userns_clone",
            "$ sudo sysctl -n kernel.unprivileged_userns_clone 2>/dev/null",
            "sysctl kernel.unprivileged_userns_clone",
            "u@h:~$ /sbin/sysctl kernel.unprivileged_userns_clone",
            "cat /proc/sys/kernel/unprivileged_userns_clone",
            "head -n1 /proc/sys/kernel/unprivileged_userns_clone",
            "grep . /proc/sys/kernel/unprivileged_userns_clone",
        ] {
            assert_eq!(asked(line), Some((clone.clone(), None)), "{line}");
        }
        for line in [
            "`cat /proc/sys/kernel/unprivileged_userns_clone` -> 0",
            "cat /proc/sys/kernel/unprivileged_userns_clone   # 0",
            "$ sysctl -n kernel.unprivileged_userns_clone  # 0",
        ] {
            assert_eq!(asked(line), Some((clone.clone(), Some("0".to_owned()))), "{line}");
        }
        for line in [
            "sysctl -w kernel.unprivileged_userns_clone=0",
            "sysctl -a | grep userns",
            "cat /etc/sysctl.d/99-userns.conf",
            "sysctl: cannot stat /proc/sys/kernel/unprivileged_userns_clone: No such file or directory",
        ] {
            assert_eq!(asked(line), None, "{line}");
        }
        let advised = "make sure sysctl kernel.unprivileged_userns_clone: 1";
        assert_eq!(asked(advised), Some((clone, None)));
        assert_eq!(answer("# 0").as_deref(), Some("0"));
        assert_eq!(answer("# now run 0-setup.sh"), None);
    }

    #[test]
    fn what_is_set_or_asked_elsewhere_is_no_value_of_here() {
        let clone = "kernel.unprivileged_userns_clone".to_owned();
        assert_eq!(set("$ sudo sysctl -w kernel.unprivileged_userns_clone=1"), Some(clone));
        assert_eq!(set("$ sysctl kernel.unprivileged_userns_clone"), None);
        for line in [
            "$ ssh old-host sysctl -n kernel.unprivileged_userns_clone",
            "If `sysctl kernel.unprivileged_userns_clone` -> 0",
            "Expected: sysctl kernel.unprivileged_userns_clone: 0",
        ] {
            assert_eq!(asked(line), None, "{line}");
        }
    }

    #[test]
    fn headings_say_whose_values_come() {
        let here = |lines: &[&str]| {
            let mut heading = Heading::default();
            for line in lines {
                heading.read(line, !listed(line).is_empty());
            }
            heading.is_of_here()
        };
        let row = "| kernel.unprivileged_userns_clone | 0 |";
        assert!(here(&["| sysctl | value |", "|---|---|", row]));
        assert!(here(&["kernel:", row]));
        assert!(!here(&["| sysctl | recommended |", "|---|---|", row]));
        assert!(!here(&["| sysctl | before |", "|---|---|", row]));
        assert!(!here(&["this must be set:", "", "- kernel.unprivileged_userns_clone: 1"]));
        assert!(here(&["this must be set:", "it is.", "- kernel.unprivileged_userns_clone: 1"]));
    }
}
