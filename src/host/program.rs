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
    /// Where it is once symbolic links are resolved, if that was looked at. AppArmor goes by this one.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::host::lossy::option"))]
    pub real_path: Option<PathBuf>,
    /// Its version, as it prints it.
    pub version: String,
    /// It is setuid root.
    pub setuid: bool,
    /// It carries file capabilities.
    pub file_capabilities: bool,
    /// It may be executed by us, but not read.
    pub unreadable: bool,
}

impl Program {
    /// A plain bwrap: neither setuid nor with capabilities.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, version: impl Into<String>) -> Self {
        Self { path: path.into(), version: version.into(), ..Self::default() }
    }

    /// The path that AppArmor knows it by, as far as that is known.
    pub(crate) fn resolved(&self) -> &Path {
        self.real_path.as_deref().unwrap_or(&self.path)
    }
}

/// Where AppArmor's profiles are kept.
pub(crate) const PROFILES: &str = "/etc/apparmor.d";

/// The bwrap that distributions install, and that their own profiles are for.
pub(crate) const PACKAGED: &str = "/usr/bin/bwrap";

/// The profile that remedies give to containers.
pub(crate) const OUR_PROFILE: &str = "bwrap-nested";

/// Ubuntu's profile for the packaged bwrap.
pub(crate) const UBUNTUS_PROFILE: &str = "/etc/apparmor.d/bwrap-userns-restrict";

/// The name of a profile for the bwrap at a resolved path; its file is called the same.
pub(crate) fn profile_name(bwrap: &Path) -> String {
    if bwrap == Path::new(PACKAGED) {
        return "bwrap".to_owned();
    }
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    bwrap.to_string_lossy().trim_matches('/').replace('/', ".").chars().map(safe).collect()
}

/// The files in which a profile for the bwrap at a resolved path is to be expected: the one that a remedy writes comes
/// first.
pub(crate) fn profile_files(bwrap: &Path) -> Vec<PathBuf> {
    let mut files = vec![Path::new(PROFILES).join(profile_name(bwrap))];
    if bwrap == Path::new(PACKAGED) {
        files.push(PathBuf::from(UBUNTUS_PROFILE));
    }
    files
}

pub(super) fn read(path: &Path, version: &str) -> Fact<Program> {
    Fact::from(std::fs::metadata(path)).map(|file| {
        let mut value = [0_u8; 64];
        Program {
            path: path.to_owned(),
            real_path: std::fs::canonicalize(path).ok(),
            version: version.to_owned(),
            setuid: file.permissions().mode() & 0o4000 != 0 && file.uid() == 0,
            file_capabilities: rustix::fs::getxattr(path, "security.capability", &mut value).is_ok(),
            unreadable: unreadable(path),
        }
    })
}

fn unreadable(path: &Path) -> bool {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    accessat(CWD, path, Access::READ_OK, AtFlags::EACCESS) == Err(rustix::io::Errno::ACCESS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn profiles_go_by_the_resolved_path() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::write(root.join("real"), "").unwrap();
        std::os::unix::fs::symlink(root.join("real"), root.join("bwrap")).unwrap();
        let Fact::Present(program) = read(&root.join("bwrap"), "0.11.0") else { panic!() };
        assert_eq!((program.path.clone(), program.resolved()), (root.join("bwrap"), &*root.join("real")));
        assert_eq!(Program::new("/opt/x/bwrap", "").resolved(), Path::new("/opt/x/bwrap"));
        assert_eq!(read(&root.join("none"), ""), Fact::Absent);
        // whatever the links are called, a snapshot looks for the one
        let host = crate::host::Host::snapshot_for(&root.join("bwrap"), "0.11.0");
        let looked = profile_files(&root.join("real")).into_iter().all(|file| host.files.contains_key(&file));
        assert!(looked && !host.files.contains_key(&profile_files(&root.join("bwrap"))[0]));
    }

    #[test]
    fn each_bwrap_has_a_profile_of_its_own() {
        let packaged = profile_files(Path::new("/usr/bin/bwrap"));
        assert_eq!(packaged, ["/etc/apparmor.d/bwrap", UBUNTUS_PROFILE].map(PathBuf::from));
        let bundled = profile_files(Path::new("/opt/my tools{1}/bwrap"));
        assert_eq!(bundled, [PathBuf::from("/etc/apparmor.d/opt.my-tools-1-.bwrap")]);
    }
}
