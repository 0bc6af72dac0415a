//! What package managers say: of bwrap's package, of its files, and of locks of their own, in words like bwrap's.

use super::errno::find;

/// Who says it, with a colon behind.
const MANAGERS: &[&str] = &[
    "apk",
    "apt",
    "apt-get",
    "dnf",
    "dpkg",
    "dpkg-deb",
    "error: rpmdb",
    "pacman",
    "rpm",
    "rpmdb",
    "snap",
    "yum",
    "zypper",
];

/// What nobody else says.
const TELLING: &[&str] = &[
    ".dpkg-new",
    "(--configure)",
    "(--unpack)",
    "(while processing",
    "/var/cache/apt",
    "/var/lib/apt/",
    "/var/lib/dnf/",
    "/var/lib/dpkg/",
    "/var/lib/pacman/",
    "/var/lib/rpm/",
    "dpkg frontend lock",
    "failed to install",
    "unpacking of archive",
];

/// Whether a line, without bwrap's name as bwrap puts it there, is a package manager's.
pub(super) fn is_of_packages(line: &[u8]) -> bool {
    let lower = line.to_ascii_lowercase();
    let says = |name: &&str| {
        let at = find(&lower, format!("{name}: ").as_bytes());
        at.is_some_and(|at| {
            at.checked_sub(1).and_then(|before| lower.get(before)).is_none_or(u8::is_ascii_whitespace)
        })
    };
    MANAGERS.iter().any(says) || TELLING.iter().any(|words| find(&lower, words.as_bytes()).is_some())
}
