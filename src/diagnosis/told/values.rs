//! What a text shows of kernels, versions and files.

use std::path::PathBuf;

use super::denied::holds;

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
