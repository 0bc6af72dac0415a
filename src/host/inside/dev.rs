//! What bwrap puts into a new `/dev`.

use std::path::Path;

use crate::sandbox::relative;

/// Devices of the host's, each a bind mount.
const DEVICES: [&str; 6] = ["full", "null", "random", "tty", "urandom", "zero"];

/// Links, and where they lead.
const LINKS: [(&str, &str); 6] = [
    ("core", "/proc/kcore"),
    ("fd", "/proc/self/fd"),
    ("ptmx", "pts/ptmx"),
    ("stderr", "/proc/self/fd/2"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
];

/// What is at a path in a new `/dev`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InDev {
    /// One of the host's.
    Device,
    /// A link to there.
    Link(&'static str),
    /// Where a new devpts is mounted, and the terminal if it has one.
    Mount,
    /// The directory for shared memory.
    Shm,
    /// Something behind a link or in a devpts, perhaps.
    Unknown,
    /// bwrap puts nothing there.
    Nothing,
}

/// What is at a path in the new `/dev` at `dev`; `None` if that is the path, or it lies elsewhere.
pub(crate) fn in_dev(path: &Path, dev: &Path) -> Option<InDev> {
    let path = relative(path);
    let rest = path.strip_prefix(relative(dev)).ok()?;
    let first = rest.components().next()?.as_os_str();
    let link = LINKS.iter().find(|(name, _)| first == *name);
    Some(match (first.to_str(), link) {
        _ if DEVICES.iter().any(|name| rest == Path::new(name)) => InDev::Device,
        (_, Some((name, target))) if rest == Path::new(name) => InDev::Link(target),
        (Some("console" | "pts"), _) if rest == Path::new(first) => InDev::Mount,
        (Some("shm"), _) if rest == Path::new(first) => InDev::Shm,
        (Some("pts"), _) | (_, Some(_)) => InDev::Unknown,
        _ => InDev::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_bwrap_makes_there_is_known() {
        for (path, what) in [
            ("/d", None),
            ("/dev/null", None),
            ("/d/null", Some(InDev::Device)),
            ("/d/./null/", Some(InDev::Device)),
            ("/d/null/x", Some(InDev::Nothing)),
            ("/d/ptmx", Some(InDev::Link("pts/ptmx"))),
            ("/d/fd/3", Some(InDev::Unknown)),
            ("/d/pts", Some(InDev::Mount)),
            ("/d/pts/0", Some(InDev::Unknown)),
            ("/d/console", Some(InDev::Mount)),
            ("/d/shm", Some(InDev::Shm)),
            ("/d/shm/x", Some(InDev::Nothing)),
            ("/d/kvm", Some(InDev::Nothing)),
        ] {
            assert_eq!(in_dev(Path::new(path), Path::new("/d")), what, "{path}");
        }
    }
}
