//! Will the kernel mount a procfs here? Its rule (`mount_too_revealing` in `fs/namespace.c`), decided from mountinfo.
//!
//! A user namespace may mount a procfs only where it sees a whole one already: one whose root is the file system's
//! root, that is writable, has the default atime mode, and has nothing mounted on it but on directories that are empty for ever.

use std::path::{Path, PathBuf};

use crate::host::Mount;

/// Directories of procfs that the kernel makes as mount points; what is mounted there hides nothing.
const EMPTY_FOR_EVER: &[&str] = &["fs/nfsd", "sys/fs/binfmt_misc", "openprom", "xen"];

/// What the kernel's rule comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Visibility {
    /// A whole procfs is visible: another may be mounted.
    Whole,
    /// There are some, and each has something against it.
    Flawed(Vec<Flaw>),
    /// None is mounted.
    None,
}

/// Why a procfs does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    /// Where that procfs is.
    pub(super) point: PathBuf,
    pub(super) kind: FlawKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FlawKind {
    ReadOnly,
    /// These are its atime options.
    Atime(Vec<String>),
    /// These are mounted on it.
    Covered(Vec<Cover>),
}

/// Something mounted on a procfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cover {
    pub(super) point: PathBuf,
    pub(super) filesystem: String,
    /// The directory of its file system that is shown.
    pub(super) root: PathBuf,
}

/// Judges every procfs that is visible.
pub(super) fn visibility(mounts: &[Mount]) -> Visibility {
    let candidates = mounts.iter().filter(|mount| mount.filesystem == "proc" && mount.root == Path::new("/"));
    let mut flaws = Vec::new();
    for mount in candidates {
        match flaw(mount, mounts) {
            None => return Visibility::Whole,
            Some(kind) => flaws.push(Flaw { point: mount.point.clone(), kind }),
        }
    }
    if flaws.is_empty() { Visibility::None } else { Visibility::Flawed(flaws) }
}

fn flaw(mount: &Mount, mounts: &[Mount]) -> Option<FlawKind> {
    if mount.is_read_only() {
        return Some(FlawKind::ReadOnly);
    }
    let atime: Vec<String> =
        mount.options.iter().filter(|option| option.contains("atime")).cloned().collect();
    if atime != ["relatime"] {
        return Some(FlawKind::Atime(atime));
    }
    let covers: Vec<Cover> = mounts
        .iter()
        .filter(|child| child.parent == mount.id && child.id != mount.id)
        .filter(|child| {
            let below = child.point.strip_prefix(&mount.point).unwrap_or(&child.point);
            !EMPTY_FOR_EVER.iter().any(|path| below == Path::new(path))
        })
        .map(|child| Cover {
            point: child.point.clone(),
            filesystem: child.filesystem.clone(),
            root: child.root.clone(),
        })
        .collect();
    (!covers.is_empty()).then_some(FlawKind::Covered(covers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(lines: &[&str]) -> Vec<Mount> {
        lines.iter().map(|line| Mount::parse(line).unwrap_or_else(|| unreachable!("{line}"))).collect()
    }

    const ROOT: &str = "1 0 0:1 / / rw,relatime - overlay overlay rw";
    const PROC: &str = "2 1 0:2 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw";

    #[test]
    fn a_plain_one_is_whole() {
        assert_eq!(visibility(&mounts(&[ROOT, PROC])), Visibility::Whole);
        assert_eq!(visibility(&mounts(&[ROOT])), Visibility::None);
    }

    #[test]
    fn what_covers_it_is_named() {
        let mask = "3 2 0:3 /null /proc/kcore rw,nosuid - tmpfs tmpfs rw";
        let found = visibility(&mounts(&[ROOT, PROC, mask]));
        let cover = Cover { point: "/proc/kcore".into(), filesystem: "tmpfs".into(), root: "/null".into() };
        let kind = FlawKind::Covered(vec![cover]);
        assert_eq!(found, Visibility::Flawed(vec![Flaw { point: "/proc".into(), kind }]));
    }

    #[test]
    fn directories_that_are_empty_for_ever_hide_nothing() {
        let binfmt = "3 2 0:3 / /proc/sys/fs/binfmt_misc rw,relatime - autofs systemd-1 rw";
        assert_eq!(visibility(&mounts(&[ROOT, PROC, binfmt])), Visibility::Whole);
        // an ordinary empty directory does
        let acpi = "3 2 0:3 / /proc/acpi ro,relatime - tmpfs tmpfs ro";
        assert_ne!(visibility(&mounts(&[ROOT, PROC, acpi])), Visibility::Whole);
    }

    #[test]
    fn another_whole_one_anywhere_is_enough() {
        let mask = "3 2 0:3 /null /proc/kcore rw,nosuid - tmpfs tmpfs rw";
        let other = "4 1 0:2 / /dev/.lxc/proc rw,relatime - proc proc rw";
        assert_eq!(visibility(&mounts(&[ROOT, PROC, mask, other])), Visibility::Whole);
        let part = "4 1 0:2 /sys /mnt rw,relatime - proc proc rw";
        assert_ne!(visibility(&mounts(&[ROOT, PROC, mask, part])), Visibility::Whole);
    }

    #[test]
    fn read_only_and_other_atime_modes_are_flaws() {
        let flaw = |line: &str| match visibility(&mounts(&[ROOT, line])) {
            Visibility::Flawed(flaws) => flaws.into_iter().next().map(|flaw| flaw.kind),
            other => unreachable!("{other:?}"),
        };
        assert_eq!(flaw("2 1 0:2 / /proc ro,relatime - proc proc rw"), Some(FlawKind::ReadOnly));
        assert_eq!(flaw("2 1 0:2 / /proc rw,relatime - proc proc ro"), Some(FlawKind::ReadOnly));
        let noatime = vec!["noatime".to_owned()];
        assert_eq!(flaw("2 1 0:2 / /proc rw,noatime - proc proc rw"), Some(FlawKind::Atime(noatime)));
        assert_eq!(flaw("2 1 0:2 / /proc rw - proc proc rw"), Some(FlawKind::Atime(Vec::new())));
    }

    /// A mount on the same path hides the whole of it.
    #[test]
    fn a_covered_root_is_a_flaw() {
        let bind = "3 2 0:2 /sys /proc rw,relatime - proc proc rw";
        assert_ne!(visibility(&mounts(&[ROOT, PROC, bind])), Visibility::Whole);
    }
}
