//! The mounts that this process sees.

use std::collections::BTreeSet;
use std::ffi::OsString;
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
    fn nonsense_is_no_mount() {
        for line in ["", "1 1", "1 1 0:1 / /a rw", "x 1 0:1 / /a rw - tmpfs none rw"] {
            assert_eq!(Mount::parse(line), None, "{line}");
        }
    }
}
