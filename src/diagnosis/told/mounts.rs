//! Mounts, as programs print them: `mount`, `findmnt`, and `/proc/self/mountinfo`.

use std::path::Path;

use crate::host::Mount;

/// What a line says of a mount.
pub(super) fn mount(line: &str) -> Option<Mount> {
    of_mount(line).or_else(|| of_kernel(line)).or_else(|| of_findmnt(line)).or_else(|| of_proc(line))
}

/// A mount, as mount(8) prints it: `nfsd on /proc/fs/nfsd type nfsd (rw,relatime)`.
fn of_mount(line: &str) -> Option<Mount> {
    let (source, rest) = line.split_once(" on /")?;
    let (point, rest) = rest.split_once(" type ")?;
    let source = source.split_whitespace().next_back()?;
    let mut rest = rest.split_whitespace();
    let filesystem = rest.next()?;
    let options = rest.next().map_or("rw", |options| options.trim_matches(['(', ')']));
    let point = Path::new("/").join(point);
    let point = point.to_str().filter(|point| !point.contains(char::is_whitespace))?;
    Mount::parse(&format!("0 0 0:0 / {point} {options} - {filesystem} {source} {options}"))
}

/// A line of mountinfo, wherever it stands in a paste: `3419 2692 0:29 / /proc rw,nosuid - proc proc rw`.
fn of_kernel(line: &str) -> Option<Mount> {
    let line = line.trim_matches(|c: char| c.is_whitespace() || "`|>*".contains(c));
    line.contains(" - ").then(|| Mount::parse(line)).flatten()
}

/// File systems that matter to bwrap, or are a root.
fn is_filesystem(word: &str) -> bool {
    const KNOWN: &[&str] = &[
        "9p", "autofs", "bcachefs", "btrfs", "cifs", "devtmpfs", "erofs", "ext2", "ext3", "ext4", "f2fs",
        "nfs", "nfs4", "overlay", "proc", "ramfs", "rootfs", "squashfs", "sysfs", "tmpfs", "vfat",
        "virtiofs", "xfs", "zfs",
    ];
    KNOWN.contains(&word) || word.starts_with("fuse.")
}

/// A row of findmnt(8): what is mounted where, and last its options. Columns can be asked for, so the kind of file system is the last
/// word before these that says nothing of propagation.
fn of_findmnt(line: &str) -> Option<Mount> {
    let line = line.trim_start_matches(|c: char| {
        c.is_whitespace() || "`|>*\u{2502}\u{251c}\u{2514}\u{2500}-".contains(c)
    });
    let words: Vec<&str> = line.split_whitespace().collect();
    let (&options, words) = words.split_last()?;
    let (&point, words) = words.split_first()?;
    let mount = ["rw", "ro"].iter().any(|mode| options == *mode || options.starts_with(&format!("{mode},")));
    let spread =
        |word: &str| word.split(',').all(|one| ["private", "shared", "slave", "unbindable"].contains(&one));
    let filesystem = words.iter().rev().find(|word| !spread(word))?;
    // people speak of paths and end with such a word, too
    if !point.starts_with('/') || !mount || !is_filesystem(filesystem) || words.len() > 3 {
        return None;
    }
    Mount::parse(&format!("0 0 0:0 / {point} {options} - {filesystem} {} {options}", words.first()?))
}

/// A line of /proc/mounts: `devtmpfs /dev devtmpfs rw,seclabel,mode=755 0 0`.
fn of_proc(line: &str) -> Option<Mount> {
    let line = line.trim_matches(|c: char| c.is_whitespace() || "`|>*".contains(c));
    let words: Vec<&str> = line.split_whitespace().collect();
    let [source, point, filesystem, options, "0", "0"] = words[..] else { return None };
    let is = point.starts_with('/') && is_filesystem(filesystem);
    is.then(|| Mount::parse(&format!("0 0 0:0 / {point} {options} - {filesystem} {source} {options}")))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> Option<(String, String)> {
        mount(line).map(|mount| (mount.point.display().to_string(), mount.filesystem))
    }

    #[test]
    fn mounts_are_read_as_they_are_printed() {
        for (line, point, filesystem) in [
            ("nfsd on /proc/fs/nfsd type nfsd (rw,relatime)", "/proc/fs/nfsd", "nfsd"),
            ("devtmpfs /dev devtmpfs rw,seclabel,nosuid,mode=755 0 0", "/dev", "devtmpfs"),
            ("/ rootfs private rw,size=31643352k,nr_inodes=7910838,inode64", "/", "rootfs"),
            ("/      rootfs rootfs rw,size=8102252k,nr_inodes=2025563", "/", "rootfs"),
            ("\u{251c}\u{2500}/proc  proc  proc  rw,nosuid,nodev", "/proc", "proc"),
            ("1 1 0:2 / / rw - rootfs rootfs rw", "/", "rootfs"),
            (
                "> 3419 2692 0:29 /x//deleted /etc/resolv.conf ro,nosuid master:1 - tmpfs tmpfs rw",
                "/etc/resolv.conf",
                "tmpfs",
            ),
        ] {
            assert_eq!(told(line), Some((point.to_owned(), filesystem.to_owned())), "{line}");
        }
        for line in [
            "/ rw",
            "TARGET SOURCE FSTYPE OPTIONS",
            "/usr/bin/bwrap was mounted ro",
            "/home is a link, and the disk below it was mounted by hand rw",
            "bwrap --ro-bind / / --proc /proc",
            "",
        ] {
            assert_eq!(told(line), None, "{line}");
        }
    }
}
