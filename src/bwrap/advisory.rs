//! The vulnerabilities that a bwrap is known to have.

use std::fmt;

use super::version::Version;

/// A known vulnerability that a bwrap has by its version number. Distributions mend some without a new
/// number.
///
/// ```
/// use bwrap_launch::{Bwrap, Version};
/// let bwrap = Bwrap::find()?;
/// let newest = bwrap.advisories().map(|advisory| advisory.fixed_in).max();
/// // CVE-2026-87766 was mended in 0.12.0
/// assert!(newest == Some(Version::new(0, 12, 0)) || bwrap.version() >= Some(Version::new(0, 12, 0)));
/// # Ok::<(), bwrap_launch::BwrapError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advisory {
    /// Its name.
    pub id: &'static str,
    /// What can happen.
    pub summary: &'static str,
    /// The first release without it.
    pub fixed_in: Version,
    since: Version,
    setuid_only: bool,
}

impl Advisory {
    pub(super) fn concerns(&self, version: Version, setuid: bool) -> bool {
        self.since <= version && version < self.fixed_in && (setuid || !self.setuid_only)
    }
}

impl fmt::Display for Advisory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; fixed in bubblewrap {}", self.id, self.summary, self.fixed_in)
    }
}

pub(super) const ADVISORIES: &[Advisory] = &[
    Advisory {
        id: "CVE-2016-8659",
        summary: "a user can attach to the privileged bwrap and take it over (setuid only)",
        since: Version::new(0, 1, 0),
        fixed_in: Version::new(0, 1, 3),
        setuid_only: true,
    },
    Advisory {
        id: "CVE-2019-12439",
        summary: "another user can plant files in the temporary directory that bwrap builds the root in",
        since: Version::new(0, 1, 0),
        fixed_in: Version::new(0, 3, 3),
        setuid_only: false,
    },
    Advisory {
        id: "CVE-2020-5291",
        summary: "--userns2 gives the caller root (setuid only)",
        since: Version::new(0, 4, 0),
        fixed_in: Version::new(0, 4, 1),
        setuid_only: true,
    },
    Advisory {
        id: "CVE-2026-41163",
        summary: "a user can trace bwrap's helper and mount overlays anywhere (setuid only)",
        since: Version::new(0, 11, 0),
        fixed_in: Version::new(0, 11, 2),
        setuid_only: true,
    },
    Advisory {
        id: "CVE-2026-87766",
        summary: "a symlink left in a writable bind leads the next run to create files on the host",
        since: Version::new(0, 1, 0),
        fixed_in: Version::new(0, 12, 0),
        setuid_only: false,
    },
];
