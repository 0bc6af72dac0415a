//! Who we are: ids, capabilities, what the kernel was told to deny us, limits.

use std::fmt;
use std::io::ErrorKind;

use rustix::process::{getegid, geteuid, getgid, getuid};

use super::Fact;
use super::source::Source;
use crate::capability::Capability;

/// Ids, capabilities and restrictions of the calling thread (`credentials(7)`, `capabilities(7)`).
///
/// Threads may differ in them: in capabilities, system call filters and Landlock domains. A launch that fails is explained by
/// those of the thread that waits for it ([`Child::wait`](crate::Child::wait)), which need not be the one that started it.
///
/// ```
/// use bwrap_launch::host::Host;
/// let process = Host::snapshot().process;
/// let root = process.uid.is(&0);
/// assert!(process.effective.present().is_some() || root);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Process {
    /// Effective user id.
    pub uid: Fact<u32>,
    /// Real user id.
    pub real_uid: Fact<u32>,
    /// Effective group id.
    pub gid: Fact<u32>,
    /// Real group id.
    pub real_gid: Fact<u32>,
    /// Effective capabilities.
    pub effective: Fact<CapabilitySet>,
    /// Permitted capabilities.
    pub permitted: Fact<CapabilitySet>,
    /// Inheritable capabilities.
    pub inheritable: Fact<CapabilitySet>,
    /// The bounding set: no program that is executed gets more.
    pub bounding: Fact<CapabilitySet>,
    /// Ambient capabilities: those that programs keep without being privileged.
    pub ambient: Fact<CapabilitySet>,
    /// Executing a program grants no privileges (`PR_SET_NO_NEW_PRIVS`).
    pub no_new_privs: Fact<bool>,
    /// Whether `/proc` shows the PID namespace that we are in: `/proc/self` is our number (`getpid(2)`). After `unshare --pid`
    /// without `--mount-proc` it does not, nor in a sandbox with a PID namespace and the `/proc` of outside.
    pub in_proc: Fact<bool>,
    /// 0: no system call filter, 1: strict, 2: filtered (`Seccomp` in `/proc/self/status`).
    pub seccomp: Fact<u32>,
    /// The name of that filter, where whoever set it up says so: `RuntimeDefault` for an engine's own, or the path of a file, as
    /// in a pod's manifest. Nothing in `/proc` tells: a snapshot leaves it [`Fact::Unknown`].
    pub seccomp_profile: Fact<String>,
    /// Most processes that the user may have (`RLIMIT_NPROC`, soft). [`Fact::Absent`]: there is no limit.
    pub process_limit: Fact<u64>,
    /// How far anybody may raise that (`RLIMIT_NPROC`, hard). [`Fact::Absent`]: as far as they like.
    pub process_limit_max: Fact<u64>,
    /// Processes and threads of the user that can be seen. Counted only where the limit is near, else [`Fact::Unknown`].
    pub processes: Fact<u64>,
    /// Most open descriptors (`RLIMIT_NOFILE`, soft). [`Fact::Absent`]: there is no limit.
    pub descriptor_limit: Fact<u64>,
    /// How far anybody may raise that (`RLIMIT_NOFILE`, hard). [`Fact::Absent`]: as far as they like.
    pub descriptor_limit_max: Fact<u64>,
    /// Descriptors that are open. Counted only where the limit is near, else [`Fact::Unknown`].
    pub descriptors: Fact<u64>,
}

/// A set of capabilities, by the bits of `/proc/self/status`.
///
/// ```
/// use bwrap_launch::Capability;
/// use bwrap_launch::host::CapabilitySet;
/// let set = CapabilitySet(1 << 31 | 1 << 21);
/// assert!(set.has(Capability::CAP_SETFCAP) && !set.has(Capability::CAP_NET_ADMIN));
/// assert_eq!(set.to_string(), "CAP_SYS_ADMIN,CAP_SETFCAP");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "String", into = "String")
)]
pub struct CapabilitySet(pub u64);

impl CapabilitySet {
    /// Whether the capability is in the set.
    #[must_use]
    pub fn has(self, capability: Capability) -> bool {
        self.0 >> capability.number() & 1 == 1
    }

    /// Whether none is.
    ///
    /// ```
    /// use bwrap_launch::host::CapabilitySet;
    /// assert!(CapabilitySet::default().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn read(set: caps::CapSet) -> Fact<Self> {
        match caps::read(None, set) {
            Ok(found) => Fact::Present(Self(found.iter().fold(0, |bits, one| bits | one.bitmask()))),
            Err(error) => Fact::Unreadable(error.to_string()),
        }
    }
}

impl fmt::Display for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = Capability::ALL.iter().filter(|one| self.has(**one));
        let names: Vec<&str> = held.map(|one| one.name()).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(","))
    }
}

impl From<CapabilitySet> for String {
    fn from(set: CapabilitySet) -> Self {
        format!("{:016x}", set.0)
    }
}

impl TryFrom<String> for CapabilitySet {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u64::from_str_radix(&text, 16).map(Self)
    }
}

/// Limits below this are worth counting against.
const NEAR: u64 = 4096;

pub(super) fn read(source: &Source) -> Process {
    let status = source.text("/proc/thread-self/status");
    let [process_limit, process_limit_max] = limits(source, "Max processes");
    let [descriptor_limit, descriptor_limit_max] = limits(source, "Max open files");
    let near = |limit: &Fact<u64>| limit.present().is_some_and(|limit| *limit <= NEAR);
    Process {
        uid: Fact::Present(geteuid().as_raw()),
        real_uid: Fact::Present(getuid().as_raw()),
        gid: Fact::Present(getegid().as_raw()),
        real_gid: Fact::Present(getgid().as_raw()),
        effective: CapabilitySet::read(caps::CapSet::Effective),
        permitted: CapabilitySet::read(caps::CapSet::Permitted),
        inheritable: CapabilitySet::read(caps::CapSet::Inheritable),
        bounding: CapabilitySet::read(caps::CapSet::Bounding),
        ambient: CapabilitySet::read(caps::CapSet::Ambient),
        no_new_privs: in_status(&status, "NoNewPrivs").map(|number| number == 1),
        in_proc: in_proc(source),
        seccomp: in_status(&status, "Seccomp"),
        seccomp_profile: Fact::Unknown,
        processes: if near(&process_limit) { processes(source, getuid().as_raw()) } else { Fact::Unknown },
        descriptors: if near(&descriptor_limit) { descriptors(source) } else { Fact::Unknown },
        process_limit,
        process_limit_max,
        descriptor_limit,
        descriptor_limit_max,
    }
}

/// A number in `/proc/PID/status`. Emulated kernels leave out lines.
fn in_status(status: &Fact<String>, name: &str) -> Fact<u32> {
    status.clone().and_then(|text| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        let number = lines.find(|(key, _)| *key == name).and_then(|(_, number)| number.trim().parse().ok());
        number.map_or(Fact::Unknown, Fact::Present)
    })
}

/// The soft and the hard limit of this name. A call would ask for them, which filters deny.
fn limits(source: &Source, name: &str) -> [Fact<u64>; 2] {
    let text = source.text("/proc/self/limits");
    let columns = text.present().and_then(|text| text.lines().find_map(|line| line.strip_prefix(name)));
    let columns: Vec<&str> = columns.unwrap_or_default().split_whitespace().take(2).collect();
    [0, 1].map(|column| match columns.get(column) {
        Some(&"unlimited") => Fact::Absent,
        number => number.and_then(|number| number.parse().ok()).map_or(Fact::Unknown, Fact::Present),
    })
}

fn in_proc(source: &Source) -> Fact<bool> {
    let own = std::process::id().to_string();
    match std::fs::read_link(source.path("/proc/self")) {
        Ok(number) => Fact::Present(number.as_os_str() == own.as_str()),
        // a procfs that does not know us at all has the link, and nothing to say
        Err(error) if error.kind() == ErrorKind::NotFound && source.path("/proc/self").is_symlink() => {
            Fact::Present(false)
        }
        Err(error) => Fact::from(Err(error)),
    }
}

/// Every thread counts. `/proc/PID/task` has a link for each, and its owner is the process's.
fn processes(source: &Source, uid: u32) -> Fact<u64> {
    use std::os::unix::fs::MetadataExt;
    let listed = std::fs::read_dir(source.path("/proc"));
    Fact::from(listed).map(|entries| {
        let processes = entries
            .flatten()
            .filter(|entry| entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit));
        let tasks = processes.filter_map(|entry| entry.path().join("task").metadata().ok());
        tasks.filter(|task| task.uid() == uid).map(|task| task.nlink().saturating_sub(2).max(1)).sum()
    })
}

fn descriptors(source: &Source) -> Fact<u64> {
    let listed = std::fs::read_dir(source.path("/proc/self/fd"));
    // one is there to list the others
    Fact::from(listed).map(|entries| (entries.count() as u64).saturating_sub(1))
}
