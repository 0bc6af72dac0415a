//! What a text shows of kernels, their parameters and files.

use std::path::PathBuf;

use super::denied::holds;
use super::words::around;

/// The release of a kernel: `5.1.16.a-1-hardened`. Other versions look alike, so it has to be a distribution's, or to stand where
/// kernels are spoken of.
pub(super) fn release(line: &str) -> Option<&str> {
    const FLAVOURS: &[&str] = &[
        "amd64",
        "arch",
        "aws",
        "azure",
        "cloud",
        "gcp",
        "generic",
        "gke",
        "hardened",
        "lts",
        "microsoft",
        "Microsoft",
        "pve",
        "rpi",
        "zen",
        ".amzn",
        ".el",
        ".fc",
    ];
    let about = holds(&line.to_ascii_lowercase(), &["linux", "kernel", "uname"]);
    let apart = |c: char| c.is_whitespace() || "()[]{}\"'`,;:=".contains(c);
    let words = line.split(apart).map(|word| word.trim_end_matches('.'));
    // a package's name: `kernel-3.10.0-693.el7.x86_64`
    words.map(|word| word.strip_prefix("kernel-").unwrap_or(word)).find(|word| {
        let (version, flavour) = word.split_once('-').unwrap_or((word, ""));
        let mut numbers = version.split('.').map(str::parse::<u32>);
        let is_version = matches!((numbers.next(), numbers.next()), (Some(Ok(2..=9)), Some(Ok(_))));
        let flavoured = FLAVOURS.iter().any(|name| flavour.contains(name));
        // no kernel of today's, and the numbers of other programs
        let plain = about && !version.starts_with("2.") && !version.contains('~') && numbers.next().is_some();
        is_version && (flavoured || plain)
    })
}

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

/// The kernel parameter whose file a line prints: `cat /proc/sys/user/max_user_namespaces`.
pub(super) fn asked(line: &str) -> Option<String> {
    let (_, path) = line.split_once("cat /proc/sys/")?;
    let name = path.split_whitespace().next()?.replace('/', ".");
    is_parameter(&name).then_some(name)
}

/// A file that can be executed, as `ls -l` shows it by its path.
pub(super) fn file(line: &str) -> Option<PathBuf> {
    let (mode, path) = listed(line)?;
    mode.contains('x').then(|| PathBuf::from(path))
}

/// The mode and the path of a file, as `ls -l` shows them.
fn listed(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace();
    let mode = words.next()?.trim_end_matches(['.', '+']);
    let is_mode = mode.len() == 10
        && mode.starts_with(['-', 'l'])
        && mode.bytes().all(|byte| b"-lrwxsStT".contains(&byte));
    let path = line.split(" -> ").next()?.split_whitespace().next_back()?;
    (is_mode && path.starts_with('/')).then_some((mode, path))
}

/// Where the bwrap is that a shell finds.
const USUAL: &[&str] = &["/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap"];

/// A bwrap that `ls -l` shows, and whether everybody may read it.
pub(super) fn bwrap(line: &str) -> Option<(PathBuf, bool)> {
    let (mode, path) = listed(line).filter(|(_, path)| USUAL.contains(path))?;
    // whoever a link's mode is of, it is not the file's; one that is setuid takes other ways
    let others = mode.as_bytes().get(7).filter(|_| mode.starts_with('-') && !mode.contains(['s', 'S']))?;
    Some((PathBuf::from(path), *others == b'r'))
}

/// What makes of a version another than the one that failed.
const OTHER: &[&str] = &[
    "before", "since", "than ", "older", "newer", "later", "until", "needs", "requires", "upgrad", "updat",
    "works", "worked", "downgrad", "fixed", "pass", "try", "latest", "release",
];

/// The versions of bwrap that a line tells: `bwrap 0.11.0`, `bubblewrap 0.9.0-1ubuntu0.1`, `Bubblewrap version: 0.2.0`. Where it speaks of
/// another than the one that failed, `None` is one of them.
pub(super) fn versions(line: &str) -> Vec<Option<String>> {
    let lower = line.to_ascii_lowercase();
    let found: Vec<String> = ["bubblewrap", "bwrap"]
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
    let apart = |c: char| c.is_whitespace() || "`*|:=@-".contains(c);
    let rest = rest.trim_start_matches(apart);
    let rest = rest.strip_prefix("version").unwrap_or(rest).trim_start_matches(apart);
    let rest = rest.strip_prefix('v').unwrap_or(rest);
    let text: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let text = text.trim_end_matches('.');
    text.starts_with("0.").then(|| text.to_owned())
}
