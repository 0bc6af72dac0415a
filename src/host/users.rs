//! The user namespace that we are in.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;

use super::Fact;
use super::source::Source;

/// The user namespace of this process (`user_namespaces(7)`).
///
/// ```
/// use bwrap_launch::host::Host;
/// let namespace = Host::snapshot().user_namespace;
/// assert!(namespace.exists.is(&true) || namespace.is_initial() == Some(true));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct UserNamespace {
    /// The kernel knows user namespaces (`/proc/self/ns/user`).
    pub exists: Fact<bool>,
    /// They are switched on (`/sys/module/user_namespace/parameters/enable`, of old kernels only).
    pub enabled: Fact<bool>,
    /// `/proc/self/uid_map`.
    pub uid_map: Fact<Vec<IdMapping>>,
    /// `/proc/self/gid_map`.
    pub gid_map: Fact<Vec<IdMapping>>,
    /// `/proc/self/setgroups`: `allow` or `deny`.
    pub setgroups: Fact<String>,
    /// `/proc/self/uid_map` can be opened for writing, as bwrap must for its own. A read-only `/proc` and a Landlock
    /// domain prevent that. It is opened to find out, and nothing is written; where SELinux, AppArmor or Landlock deny it,
    /// that may leave a record in the audit log.
    pub uid_map_writable: Fact<bool>,
}

/// A line of an id map.
///
/// ```
/// use bwrap_launch::host::IdMapping;
/// let mapping = IdMapping { inside: 0, outside: 100_000, count: 65_536 };
/// assert!(mapping.covers(1000) && !mapping.covers(65_536));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct IdMapping {
    /// The first id in this namespace.
    pub inside: u32,
    /// The id that it is outside.
    pub outside: u32,
    /// How many follow each other.
    pub count: u32,
}

impl IdMapping {
    /// Whether an id of this namespace is mapped.
    #[must_use]
    pub fn covers(self, id: u32) -> bool {
        id.checked_sub(self.inside).is_some_and(|offset| offset < self.count)
    }
}

impl UserNamespace {
    /// Whether this is the initial user namespace, as far as its map tells: every id is itself.
    ///
    /// ```
    /// use bwrap_launch::host::{Fact, IdMapping, UserNamespace};
    /// let mut namespace = UserNamespace::default();
    /// assert_eq!(namespace.is_initial(), None);
    /// namespace.uid_map = Fact::Present(vec![IdMapping { inside: 0, outside: 0, count: u32::MAX }]);
    /// assert_eq!(namespace.is_initial(), Some(true));
    /// ```
    #[must_use]
    pub fn is_initial(&self) -> Option<bool> {
        match &self.uid_map {
            Fact::Present(map) => {
                Some(matches!(map.as_slice(), [IdMapping { inside: 0, outside: 0, count: u32::MAX }]))
            }
            // there are no other namespaces
            Fact::Absent => Some(true),
            _ => None,
        }
    }
}

pub(super) fn read(source: &Source) -> UserNamespace {
    let (exists, enabled) = signs(source);
    UserNamespace {
        exists,
        enabled,
        uid_map: map(source, "/proc/thread-self/uid_map"),
        gid_map: map(source, "/proc/thread-self/gid_map"),
        setgroups: source.text("/proc/thread-self/setgroups"),
        uid_map_writable: writable(source),
    }
}

/// Whether the kernel has user namespaces, and whether they are switched on.
pub(super) fn signs(source: &Source) -> (Fact<bool>, Fact<bool>) {
    let exists = source.exists("/proc/self/ns/user");
    let exists = if source.exists("/proc/self/ns") { Fact::Present(exists) } else { Fact::Absent };
    let enabled = source.text("/sys/module/user_namespace/parameters/enable");
    (exists, enabled.map(|text| !text.starts_with('N')))
}

/// Opening it has no effect: only a write would.
fn writable(source: &Source) -> Fact<bool> {
    let path = source.path("/proc/thread-self/uid_map");
    // what is no file of the kernel's must not keep us waiting
    Fact::from(OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path)).map(|_| true)
}

fn map(source: &Source, path: &str) -> Fact<Vec<IdMapping>> {
    source.text(path).and_then(|text| {
        let lines: Option<Vec<IdMapping>> = text.lines().map(mapping).collect();
        lines.map_or_else(|| Fact::Unreadable("a line nobody understands".into()), Fact::Present)
    })
}

fn mapping(line: &str) -> Option<IdMapping> {
    let mut numbers = line.split_whitespace().map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(IdMapping { inside: next()?, outside: next()?, count: next()? })
}
