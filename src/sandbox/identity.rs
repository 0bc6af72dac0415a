//! Who the command is inside: ids and host name.

use std::ffi::OsString;

/// A range of ids inside the sandbox and the equally many ids of the caller's user namespace that stand
/// behind them, as a line of `/proc/PID/uid_map` (`user_namespaces(7)`). Such a line has these three numbers and will
/// get no other.
///
/// ```
/// use bwrap_launch::{IdRange, Namespaces, Sandbox};
/// // root inside is 1000 outside; 1 to 65535 inside are the caller's subordinate ids
/// let ids = [IdRange::new(0, 1000, 1), IdRange::new(1, 100_000, 65_535)];
/// let sandbox = Sandbox::new().unshare(Namespaces::USER).map_uids(ids).map_gids(ids);
/// assert!(sandbox.check().is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdRange {
    /// The first id inside the sandbox.
    pub inside: u32,
    /// The id of the caller's user namespace that stands behind it.
    pub outside: u32,
    /// How many ids follow, the first included.
    pub count: u32,
}

impl IdRange {
    /// `count` ids from `inside` on stand for as many from `outside` on.
    #[must_use]
    pub const fn new(inside: u32, outside: u32, count: u32) -> Self {
        Self { inside, outside, count }
    }

    /// The range as the kernel reads it, line feed included.
    pub(crate) fn line(&self) -> String {
        let Self { inside, outside, count } = self;
        format!("{inside} {outside} {count}\n")
    }

    /// Whether any id of the two ranges, taken on the side that `of` selects, is the same.
    pub(crate) fn overlaps(&self, other: &Self, of: fn(&Self) -> u32) -> bool {
        let (a, b) = (u64::from(of(self)), u64::from(of(other)));
        a < b + u64::from(other.count) && b < a + u64::from(self.count)
    }
}

/// All that a sandbox says about ids and names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Identity {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) uid_map: Vec<IdRange>,
    pub(crate) gid_map: Vec<IdRange>,
    pub(crate) hostname: Option<OsString>,
}

impl Identity {
    /// Whether the caller writes the id maps instead of bwrap.
    pub(crate) fn mapped(&self) -> bool {
        !self.uid_map.is_empty() || !self.gid_map.is_empty()
    }
}

/// How many ranges the kernel takes in an id map (`UID_GID_MAP_MAX_EXTENTS`).
pub(super) const MAX_RANGES: usize = 340;
