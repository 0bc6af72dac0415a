//! The mounts that this process sees.

use std::collections::{BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use procfs_core::process::MountInfo;

use super::Fact;
use super::source::Source;

/// A line of `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`).
///
/// ```
/// use bwrap_launch::host::{Host, Mount};
/// let line = "36 35 98:0 / /proc rw,nosuid,relatime shared:1 - proc proc rw,hidepid=invisible";
/// let mount = Mount::parse(line).unwrap();
/// assert_eq!(mount.filesystem, "proc");
/// assert!(mount.options.contains("relatime") && mount.super_options.contains("hidepid=invisible"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Mount {
    /// Its number.
    pub id: i32,
    /// The number of the mount that it is on.
    pub parent: i32,
    /// The directory of the file system that it shows.
    #[cfg_attr(feature = "serde", serde(with = "crate::host::lossy"))]
    pub root: PathBuf,
    /// Where it is.
    #[cfg_attr(feature = "serde", serde(with = "crate::host::lossy"))]
    pub point: PathBuf,
    /// The options of this mount.
    pub options: BTreeSet<String>,
    /// The type of the file system.
    pub filesystem: String,
    /// What is mounted.
    pub source: String,
    /// The options of the file system.
    pub super_options: BTreeSet<String>,
}

impl Mount {
    /// Takes a line apart; `None` if it is none of mountinfo's.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let info = MountInfo::from_line(line).ok()?;
        let options = |map: std::collections::HashMap<String, Option<String>>| {
            let joined = map.into_iter().map(|(name, value)| match value {
                Some(value) => format!("{name}={value}"),
                None => name,
            });
            joined.collect()
        };
        Some(Self {
            id: info.mnt_id,
            parent: info.pid,
            root: unescaped(Path::new(&info.root)),
            point: unescaped(&info.mount_point),
            options: options(info.mount_options),
            filesystem: info.fs_type,
            source: info.mount_source.unwrap_or_default(),
            super_options: options(info.super_options),
        })
    }

    /// Whether nothing can be written through it.
    ///
    /// ```
    /// use bwrap_launch::host::Mount;
    /// let mount = Mount::parse("36 35 98:0 / /proc ro,relatime - proc proc rw").unwrap();
    /// assert!(mount.is_read_only());
    /// ```
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.options.contains("ro") || self.super_options.contains("ro")
    }

    /// What is left of a path below the point; `None` if it is not below it. Bytes are compared, not parts, which takes a tenth
    /// of the time: the kernel writes neither dots nor double slashes.
    pub(crate) fn rest<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        let rest = path.as_os_str().as_bytes().strip_prefix(self.point.as_os_str().as_bytes())?;
        let whole = rest.is_empty() || rest.starts_with(b"/") || self.point.as_os_str() == "/";
        let rest = OsStr::from_bytes(rest.strip_prefix(b"/").unwrap_or(rest));
        whole.then_some(Path::new(rest))
    }
}

/// Mounts by what they are mounted on.
pub(crate) struct Children<'a>(Vec<(i32, &'a Mount)>);

impl<'a> Children<'a> {
    /// Those of these mounts; none is its own child.
    pub(crate) fn of(mounts: impl Iterator<Item = &'a Mount>) -> Self {
        let children = mounts.filter(|mount| mount.parent != mount.id).map(|mount| (mount.parent, mount));
        let mut children: Vec<_> = children.collect();
        children.sort_by_key(|(parent, _)| *parent);
        Self(children)
    }

    /// What is mounted on a mount, in the order of mountinfo.
    pub(crate) fn on(&self, id: i32) -> impl Iterator<Item = &'a Mount> {
        let from = self.0.partition_point(|(parent, _)| *parent < id);
        self.0.iter().skip(from).take_while(move |(parent, _)| *parent == id).map(|(_, mount)| *mount)
    }
}

/// The mount that a path is on: down from the root, through what is mounted over it on the way.
pub(crate) fn mount_of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let mut here = mounts.iter().find(|mount| mount.point == Path::new("/"))?;
    let children = Children::of(mounts.iter().filter(|mount| mount.rest(path).is_some()));
    // no kernel has mounts that lead round in a circle
    let mut seen = HashSet::from([here.id]);
    while let Some(on_it) = children.on(here.id).min_by_key(|mount| mount.point.as_os_str().len()) {
        if !seen.insert(on_it.id) {
            break;
        }
        here = on_it;
    }
    Some(here)
}

/// `fs.mount-max` allows 100000 mounts, and an overlay of many layers fills a page with its options.
const LIMIT: u64 = 64 << 20;

pub(super) fn read(source: &Source) -> Fact<Vec<Mount>> {
    source.bytes_up_to("/proc/thread-self/mountinfo", LIMIT).and_then(|bytes| {
        let text = String::from_utf8_lossy(&bytes);
        // an odd line says nothing against the others
        let mounts: Vec<Mount> = text.lines().filter_map(Mount::parse).collect();
        if mounts.is_empty() && !text.is_empty() {
            return Fact::Unreadable("no line that anybody understands".into());
        }
        Fact::Present(mounts)
    })
}

/// mountinfo writes white space and backslashes as `\ooo`.
fn unescaped(path: &Path) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = path.as_os_str().as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| first == b'\\').and_then(|digits| {
            std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 8).ok())
        });
        bytes.push(octal.unwrap_or(first));
        rest = if octal.is_some() { tail.get(3..).unwrap_or_default() } else { tail };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_in_paths_are_read() {
        let mount = Mount::parse(r"1 1 0:1 / /a\040b\134c rw,relatime - tmpfs none rw").unwrap();
        assert_eq!(mount.point, Path::new(r"/a b\c"));
        assert_eq!(mount.source, "");
    }

    #[test]
    fn what_is_below_a_mount() {
        let rest = |point: &str, path: &'static str| {
            let mount = Mount::parse(&format!("1 1 0:1 / {point} rw - tmpfs none rw")).unwrap();
            mount.rest(Path::new(path)).map(|rest| rest.to_str().unwrap())
        };
        assert_eq!(rest("/a", "/a/b/c"), Some("b/c"));
        assert_eq!([rest("/a", "/a"), rest("/", "/")], [Some(""); 2]);
        assert_eq!(rest("/", "/a"), Some("a"));
        assert_eq!([rest("/a", "/ab"), rest("/a/b", "/a"), rest("/a", "/")], [None; 3]);
    }

    #[test]
    fn nonsense_is_no_mount() {
        for line in ["", "1 1", "1 1 0:1 / /a rw", "x 1 0:1 / /a rw - tmpfs none rw"] {
            assert_eq!(Mount::parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_path_is_on_what_is_mounted_last() {
        let mounts = [
            "1 0 0:1 / / rw,relatime - overlay overlay rw",
            "2 1 0:2 / /proc rw,relatime - proc proc rw",
            "3 2 0:2 /sys /proc/sys ro,relatime - proc proc rw",
            "4 2 0:5 / /proc rw,relatime - proc proc rw",
        ]
        .map(|line| Mount::parse(line).unwrap());
        let id = |path: &str| mount_of(&mounts, Path::new(path)).unwrap().id;
        assert_eq!((id("/etc"), id("/proc/sys/user"), id("/proc")), (1, 4, 4));
        assert_eq!(mount_of(&mounts[..3], Path::new("/proc/sys/user")).unwrap().id, 3);
        assert!(mount_of(&mounts[1..], Path::new("/etc")).is_none());
    }
}
