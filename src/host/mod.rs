//! What the host says: everything that can be read of a machine without privilege and that decides whether bwrap works.
//!
//! [`Host::snapshot`] reads it, in about a millisecond, and changes nothing. It judges nothing either: that is
//! [`diagnosis`](crate::diagnosis)' work. With the feature `serde` a snapshot goes to JSON and back, so that a bug report can
//! be diagnosed elsewhere; facts that are missing there are [`Fact::Unknown`].
//!
//! A new fact is a field where its kind lives (`process`, `users`, `mounts`, `security`, `cgroup`, here) and a line in
//! the function `read` beside it; a new platform is a row in `platform`.

mod cgroup;
mod confined;
mod fact;
pub(crate) mod inside;
#[cfg(feature = "serde")]
pub(crate) mod lossy;
mod mounts;
mod platform;
mod process;
mod program;
mod security;
mod source;
#[cfg(feature = "testing")]
pub(crate) mod told;
mod users;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use cgroup::{Cgroup, PidsLimit};
pub(crate) use confined::{AppArmor, Selinux};
pub use fact::Fact;
pub use mounts::Mount;
pub(crate) use mounts::{Children, mount_of};
pub(crate) use platform::of_kernel as platform_of_kernel;
pub use platform::{Platform, Sighting};
pub use process::{CapabilitySet, Process};
pub use program::Program;
pub(crate) use program::{OUR_PROFILE, PACKAGED, PROFILES, UBUNTUS_PROFILE, profile_files, profile_name};
pub use security::{Security, SelinuxContext};
use source::Source;
pub(crate) use source::open_regular;
pub use users::{IdMapping, UserNamespace};

/// A snapshot of what the host says.
///
/// ```
/// use bwrap_launch::host::{Host, Platform};
/// let host = Host::snapshot();
/// println!("{} on {:?}", host.kernel.release.present().unwrap(), host.distribution);
/// if let Some(sighting) = host.sighting(Platform::Docker) {
///     println!("in Docker, as {} shows", sighting.evidence);
/// }
/// ```
///
/// With the feature `serde`:
///
/// ```
/// # #[cfg(feature = "serde")] {
/// use bwrap_launch::host::{Fact, Host};
/// let host: Host = serde_json::from_str(r#"{ "process": { "uid": { "present": 1000 } } }"#)?;
/// assert!(host.process.uid.is(&1000) && host.mounts.is_unknown());
/// # }
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Host {
    /// The kernel.
    pub kernel: Kernel,
    /// The distribution (`os-release(5)`).
    pub distribution: Fact<Distribution>,
    /// Where we are. [`Fact::Absent`]: nothing gives a platform away.
    pub platforms: Fact<Vec<Sighting>>,
    /// Ids, capabilities, restrictions and limits.
    pub process: Process,
    /// The user namespace that we are in.
    pub user_namespace: UserNamespace,
    /// The mounts that we see.
    pub mounts: Fact<Vec<Mount>>,
    /// Linux security modules.
    pub security: Security,
    /// Kernel parameters by name: `user.max_user_namespaces` (`sysctl(8)`).
    pub sysctls: BTreeMap<String, Fact<String>>,
    /// Our control group.
    pub cgroup: Cgroup,
    /// Files that decide: `/tmp`, devices, AppArmor's profiles for bwrap. Whether each is there.
    pub files: BTreeMap<PathBuf, Fact<FileKind>>,
    /// The bwrap that is meant, if the snapshot was made for one.
    pub bwrap: Fact<Program>,
}

/// The kernel's names (`uname(2)`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Kernel {
    /// `6.1.0-25-amd64`.
    pub release: Fact<String>,
    /// `#1 SMP PREEMPT_DYNAMIC Debian 6.1.106-3 (2024-08-26)`.
    pub version: Fact<String>,
}

/// A distribution, by `/etc/os-release`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Distribution {
    /// `debian`.
    pub id: String,
    /// `12`; empty where it has none.
    pub version: String,
}

/// What kind of file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A character device.
    Device,
    /// Something else.
    Other,
}

/// The switch of Ubuntu's restriction of user namespaces, for all programs.
pub(crate) const RESTRICTION: &str = "kernel.apparmor_restrict_unprivileged_userns";

/// The kernel parameters that decide.
const SYSCTLS: &[&str] = &[
    "fs.mount-max",
    "kernel.apparmor_restrict_unprivileged_unconfined",
    RESTRICTION,
    "kernel.overflowgid",
    "kernel.overflowuid",
    "kernel.unprivileged_userns_clone",
    "user.max_cgroup_namespaces",
    "user.max_ipc_namespaces",
    "user.max_mnt_namespaces",
    "user.max_net_namespaces",
    "user.max_pid_namespaces",
    "user.max_user_namespaces",
    "user.max_uts_namespaces",
];

/// The files that bwrap uses: `/tmp` for its own work, devices for `--dev`. And AppArmor's profiles for the packaged bwrap:
/// Ubuntu's, and the one that a remedy puts there. Another bwrap has one of its own, which [`Host::snapshot_for`] adds.
const FILES: &[&str] = &[
    "/etc/apparmor.d/bwrap",
    "/etc/apparmor.d/bwrap-userns-restrict",
    "/tmp",
    "/dev/full",
    "/dev/null",
    "/dev/random",
    "/dev/tty",
    "/dev/urandom",
    "/dev/zero",
];

impl Host {
    /// Reads everything.
    #[must_use]
    pub fn snapshot() -> Self {
        Self::read(&Source::machine())
    }

    /// Reads everything, with the bwrap that is meant.
    ///
    /// ```
    /// use bwrap_launch::Bwrap;
    /// use bwrap_launch::host::Host;
    /// let bwrap = Bwrap::find()?;
    /// let host = Host::snapshot_for(bwrap.path(), bwrap.version_text());
    /// assert_eq!(host.bwrap.present().unwrap().path, bwrap.path());
    /// # Ok::<(), bwrap_launch::BwrapError>(())
    /// ```
    #[must_use]
    pub fn snapshot_for(bwrap: &Path, version: &str) -> Self {
        #[cfg(feature = "testing")]
        if let Some(host) = told::of(bwrap) {
            return host;
        }
        let source = Source::machine();
        let mut host = Self::read(&source);
        host.bwrap = program::read(bwrap, version);
        let profiles = host.bwrap.present().map(|program| profile_files(program.resolved()));
        host.files.extend(profiles.into_iter().flatten().map(|path| (path.clone(), file(&source, &path))));
        host
    }

    fn read(source: &Source) -> Self {
        let mounts = mounts::read(source);
        let sysctl = |name: &&str| {
            let path = format!("/proc/sys/{}", name.replace('.', "/"));
            ((*name).to_owned(), source.text(path))
        };
        let mut host = Self {
            kernel: Kernel {
                release: source.text("/proc/sys/kernel/osrelease"),
                version: source.text("/proc/sys/kernel/version"),
            },
            distribution: source.text("/etc/os-release").map(|text| distribution(&text)),
            platforms: Fact::Unknown,
            process: process::read(source),
            user_namespace: users::read(source),
            cgroup: cgroup::read(source, &mounts),
            mounts,
            security: security::read(source),
            sysctls: SYSCTLS.iter().map(sysctl).collect(),
            files: FILES.iter().map(|path| (PathBuf::from(path), file(source, Path::new(path)))).collect(),
            bwrap: Fact::Unknown,
        };
        if host.kernel.release.present().is_none() {
            let names = rustix::system::uname();
            host.kernel.release = Fact::Present(names.release().to_string_lossy().into_owned());
            host.kernel.version = Fact::Present(names.version().to_string_lossy().into_owned());
        }
        host.platforms = platform::read(source, &host);
        host
    }

    /// What gives a platform away, if we are on it.
    #[must_use]
    pub fn sighting(&self, platform: Platform) -> Option<&Sighting> {
        self.platforms.present()?.iter().find(|sighting| sighting.platform == platform)
    }

    /// Whether bwrap makes a user namespace that it was only asked to try ([`Namespaces::USER_TRY`], and
    /// [`Namespaces::ALL`] for root): the three signs that it looks at.
    ///
    /// ```
    /// use bwrap_launch::host::{Fact, Host};
    /// let mut host = Host::default();
    /// assert!(host.user_namespaces_seem_possible());
    /// host.sysctls.insert("user.max_user_namespaces".into(), Fact::Present("0".into()));
    /// assert!(!host.user_namespaces_seem_possible());
    /// ```
    ///
    /// [`Namespaces::USER_TRY`]: crate::Namespaces::USER_TRY
    /// [`Namespaces::ALL`]: crate::Namespaces::ALL
    #[must_use]
    pub fn user_namespaces_seem_possible(&self) -> bool {
        signs_allow(
            &self.user_namespace.exists,
            &self.user_namespace.enabled,
            self.sysctl("user.max_user_namespaces"),
        )
    }

    /// Whether bwrap gets root's rights from its file; `None` if nobody knows. A bwrap that was not looked at counts as a
    /// plain one: hardly any other is left.
    pub(crate) fn bwrap_gets_root(&self) -> Option<bool> {
        let Some(program) = self.bwrap.present() else { return Some(false) };
        let (no_new_privs, uid) = (&self.process.no_new_privs, &self.process.uid);
        if !program.setuid || uid.is(&0) || no_new_privs.is(&true) {
            return Some(false);
        }
        let mount = mount_of(self.mounts.present()?, program.resolved())?;
        if mount.options.contains("nosuid") {
            return Some(false);
        }
        (uid.present().is_some() && no_new_privs.present().is_some()).then_some(true)
    }

    /// A kernel parameter; [`Fact::Unknown`] if it was not looked at.
    ///
    /// ```
    /// use bwrap_launch::host::{Fact, Host};
    /// assert!(Host::default().sysctl("kernel.overflowuid").is_unknown());
    /// assert!(Host::snapshot().sysctl("kernel.overflowuid").is("65534"));
    /// ```
    #[must_use]
    pub fn sysctl(&self, name: &str) -> &Fact<String> {
        self.sysctls.get(name).unwrap_or(&Fact::Unknown)
    }
}

fn signs_allow(exists: &Fact<bool>, enabled: &Fact<bool>, most: &Fact<String>) -> bool {
    !(exists.is(&false) || exists.is_absent() || enabled.is(&false) || most.is("0"))
}

/// The same for this machine, from nothing but those signs.
pub(crate) fn user_namespaces_seem_possible() -> bool {
    let source = Source::machine();
    let (exists, enabled) = users::signs(&source);
    signs_allow(&exists, &enabled, &source.text("/proc/sys/user/max_user_namespaces"))
}

/// Whether this process is in the initial user namespace, as far as its map tells.
pub(crate) fn in_initial_user_namespace() -> bool {
    users::read(&Source::machine()).is_initial() == Some(true)
}

fn distribution(text: &str) -> Distribution {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| value.trim_matches(['"', '\'']).to_owned()).unwrap_or_default()
    };
    Distribution { id: value("ID"), version: value("VERSION_ID") }
}

fn file(source: &Source, path: &Path) -> Fact<FileKind> {
    Fact::from(source.metadata(path)).map(|file| kind(&file))
}

fn kind(file: &std::fs::Metadata) -> FileKind {
    use std::os::unix::fs::FileTypeExt;
    match file.file_type() {
        kind if kind.is_dir() => FileKind::Directory,
        kind if kind.is_char_device() => FileKind::Device,
        _ => FileKind::Other,
    }
}

#[cfg(test)]
mod tests;
