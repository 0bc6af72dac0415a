//! Will the kernel mount a procfs here? Its rule (`mount_too_revealing` in `fs/namespace.c`), decided from mountinfo.
//!
//! A user namespace may mount a procfs only where it sees a whole one already: one whose root is the file system's
//! root, that is writable, has the default atime mode, and has nothing mounted on it but on directories that are empty for ever.
//! One that shows processes only (`subset=pid`) counted until Linux 7.2.

use std::path::Path;

use crate::host::{Children, Mount};

/// Directories of procfs that the kernel makes as mount points; what is mounted there hides nothing.
const EMPTY_FOR_EVER: &[&str] = &["fs/nfsd", "sys/fs/binfmt_misc", "openprom", "xen"];

/// Those of them that older kernels, of some years ago, take for ordinary ones.
const EMPTY_LATELY: &[&str] = &["fs/nfsd", "openprom", "xen"];

/// Since this version `subset=pid` does not count.
const PART_IS_NOT_WHOLE: (u32, u32) = (7, 2);

/// What the kernel's rule comes to: a whole procfs is visible, and another may be mounted; or else what each of those that are
/// visible, if any is, has against it.
pub(super) type Visibility<'a> = Result<(), Vec<Flaw<'a>>>;

/// Why a procfs does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw<'a> {
    /// That procfs.
    pub(super) mount: &'a Mount,
    pub(super) kind: FlawKind<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FlawKind<'a> {
    ReadOnly,
    /// It shows processes only.
    Part,
    /// These are its atime options.
    Atime(Vec<String>),
    /// These are mounted on it.
    Covered(Vec<&'a Mount>),
}

/// Judges every procfs that is visible, by the rule of a kernel's version; of one that is not known, by the strictest.
pub(super) fn visibility(mounts: &[Mount], kernel: Option<(u32, u32)>) -> Visibility<'_> {
    let strict = kernel.is_none_or(|version| version >= PART_IS_NOT_WHOLE);
    let mut flaws = Vec::new();
    let children = Children::of(mounts.iter());
    for mount in procfs(mounts) {
        let part = (strict && mount.super_options.contains("subset=pid")).then_some(FlawKind::Part);
        match flaw(mount, &children).or(part) {
            None => return Ok(()),
            Some(kind) => flaws.push(Flaw { mount, kind }),
        }
    }
    Err(flaws)
}

/// What is mounted where a newer kernel does not mind, and an older one may.
pub(super) fn on_mount_points(mounts: &[Mount]) -> Vec<&Mount> {
    let late = |at: &Path| EMPTY_LATELY.iter().any(|path| at.as_os_str() == *path);
    let children = Children::of(mounts.iter());
    procfs(mounts).flat_map(|mount| covers(mount, &children, late)).collect()
}

fn procfs(mounts: &[Mount]) -> impl Iterator<Item = &Mount> {
    mounts.iter().filter(|mount| mount.filesystem == "proc" && mount.root.as_os_str() == "/")
}

/// What is mounted on a procfs, where its path below that is `wanted`.
fn covers<'a>(mount: &Mount, children: &Children<'a>, wanted: impl Fn(&Path) -> bool) -> Vec<&'a Mount> {
    let wanted = |child: &&Mount| wanted(mount.rest(&child.point).unwrap_or(&child.point));
    children.on(mount.id).filter(wanted).collect()
}

fn flaw<'a>(mount: &Mount, children: &Children<'a>) -> Option<FlawKind<'a>> {
    if mount.is_read_only() {
        return Some(FlawKind::ReadOnly);
    }
    let atime: Vec<String> =
        mount.options.iter().filter(|option| option.contains("atime")).cloned().collect();
    if atime != ["relatime"] {
        return Some(FlawKind::Atime(atime));
    }
    let counts = |at: &Path| !EMPTY_FOR_EVER.iter().any(|path| at.as_os_str() == *path);
    let covers = covers(mount, children, counts);
    (!covers.is_empty()).then_some(FlawKind::Covered(covers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(lines: &[&str]) -> Vec<Mount> {
        lines.iter().map(|line| Mount::parse(line).unwrap_or_else(|| unreachable!("{line}"))).collect()
    }

    /// A kernel with the older rule.
    const OLD: Option<(u32, u32)> = Some((6, 12));

    const ROOT: &str = "1 0 0:1 / / rw,relatime - overlay overlay rw";
    const PROC: &str = "2 1 0:2 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw";

    #[test]
    fn a_plain_one_is_whole() {
        assert_eq!(visibility(&mounts(&[ROOT, PROC]), OLD), Ok(()));
        assert_eq!(visibility(&mounts(&[ROOT]), OLD), Err(Vec::new()));
    }

    #[test]
    fn what_covers_it_is_named() {
        let mask = "3 2 0:3 /null /proc/kcore rw,nosuid - tmpfs tmpfs rw";
        let mounts = mounts(&[ROOT, PROC, mask]);
        let kind = FlawKind::Covered(vec![&mounts[2]]);
        let flaw = Flaw { mount: &mounts[1], kind };
        assert_eq!(visibility(&mounts, OLD), Err(vec![flaw]));
    }

    #[test]
    fn directories_that_are_empty_for_ever_hide_nothing() {
        let binfmt = "3 2 0:3 / /proc/sys/fs/binfmt_misc rw,relatime - autofs systemd-1 rw";
        assert_eq!(visibility(&mounts(&[ROOT, PROC, binfmt]), OLD), Ok(()));
        // an ordinary empty directory does
        let acpi = "3 2 0:3 / /proc/acpi ro,relatime - tmpfs tmpfs ro";
        assert_ne!(visibility(&mounts(&[ROOT, PROC, acpi]), OLD), Ok(()));
    }

    #[test]
    fn another_whole_one_anywhere_is_enough() {
        let mask = "3 2 0:3 /null /proc/kcore rw,nosuid - tmpfs tmpfs rw";
        let other = "4 1 0:2 / /dev/.lxc/proc rw,relatime - proc proc rw";
        assert_eq!(visibility(&mounts(&[ROOT, PROC, mask, other]), OLD), Ok(()));
        let part = "4 1 0:2 /sys /mnt rw,relatime - proc proc rw";
        assert_ne!(visibility(&mounts(&[ROOT, PROC, mask, part]), OLD), Ok(()));
    }

    #[test]
    fn read_only_and_other_atime_modes_are_flaws() {
        let has = |line: &str, kind| {
            let mounts = mounts(&[ROOT, line]);
            let flaws = vec![Flaw { mount: &mounts[1], kind }];
            assert_eq!(visibility(&mounts, OLD), Err(flaws));
        };
        has("2 1 0:2 / /proc ro,relatime - proc proc rw", FlawKind::ReadOnly);
        has("2 1 0:2 / /proc rw,relatime - proc proc ro", FlawKind::ReadOnly);
        has("2 1 0:2 / /proc rw,noatime - proc proc rw", FlawKind::Atime(vec!["noatime".to_owned()]));
        has("2 1 0:2 / /proc rw - proc proc rw", FlawKind::Atime(Vec::new()));
    }

    /// A mount on the same path hides the whole of it.
    #[test]
    fn a_covered_root_is_a_flaw() {
        let bind = "3 2 0:2 /sys /proc rw,relatime - proc proc rw";
        assert_ne!(visibility(&mounts(&[ROOT, PROC, bind]), OLD), Ok(()));
    }

    #[test]
    fn subset_pid_counts_until_7_2() {
        let mask = "3 2 0:3 /null /proc/kcore rw,nosuid - tmpfs tmpfs rw";
        let part = "4 1 0:5 / /mnt rw,relatime - proc proc rw,subset=pid";
        let masked = mounts(&[ROOT, PROC, mask, part]);
        let under = |kernel| visibility(&masked, kernel);
        assert_eq!(under(Some((7, 1))), Ok(()));
        for kernel in [None, Some((7, 2)), Some((8, 0))] {
            assert_ne!(under(kernel), Ok(()));
            assert_eq!(visibility(&mounts(&[ROOT, PROC, part]), kernel), Ok(()));
        }
    }

    #[test]
    fn mount_points_that_older_kernels_mind_are_named() {
        let xen = "3 2 0:9 / /proc/xen rw,relatime - xenfs xenfs rw";
        let binfmt = "4 2 0:3 / /proc/sys/fs/binfmt_misc rw,relatime - autofs systemd-1 rw";
        let mounts = mounts(&[ROOT, PROC, xen, binfmt]);
        assert_eq!(on_mount_points(&mounts), [&mounts[2]]);
    }
}
