//! The bwrap that is meant.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Fact;

/// The bwrap that a snapshot was made for.
///
/// ```
/// use bwrap_launch::host::Program;
/// let program = Program::new("/usr/bin/bwrap", "0.8.0");
/// assert!(!program.setuid);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Program {
    /// Where it is.
    #[cfg_attr(feature = "serde", serde(with = "crate::host::lossy"))]
    pub path: PathBuf,
    /// Its version, as it prints it.
    pub version: String,
    /// It is setuid root.
    pub setuid: bool,
    /// It carries file capabilities.
    pub file_capabilities: bool,
}

impl Program {
    /// A plain bwrap: neither setuid nor with capabilities.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, version: impl Into<String>) -> Self {
        Self { path: path.into(), version: version.into(), ..Self::default() }
    }
}

pub(super) fn read(path: &Path, version: &str) -> Fact<Program> {
    Fact::from(std::fs::metadata(path)).map(|file| {
        let mut value = [0_u8; 64];
        Program {
            path: path.to_owned(),
            version: version.to_owned(),
            setuid: file.permissions().mode() & 0o4000 != 0 && file.uid() == 0,
            file_capabilities: rustix::fs::getxattr(path, "security.capability", &mut value).is_ok(),
        }
    })
}
