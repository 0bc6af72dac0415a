//! What a child gets from the thread that spawns it, and threads of one process need not share: whether another thread may
//! spawn in its place.

use std::fs;

use caps::{CapSet, CapsHashSet};
use rustix::fs::{AtFlags, CWD, statat};
use rustix::process::{geteuid, getpriority_process};
use rustix::thread::{
    CapabilitiesSecureBits, CpuSet, SecureComputingMode, capabilities_secure_bits, current_timer_slack,
    no_new_privs, sched_getaffinity, secure_computing_mode,
};

use super::spawn;

/// What a thread begins with and keeps, unless it changes that itself.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Context {
    namespaces: Vec<Option<u64>>,
    uid: u32,
    capabilities: Vec<Option<CapsHashSet>>,
    secure_bits: Option<CapabilitiesSecureBits>,
    personality: Option<libc::c_int>,
}

impl Context {
    /// Of the calling thread.
    pub(super) fn here() -> Self {
        let names = ["cgroup", "ipc", "mnt", "net", "pid_for_children", "time_for_children", "user", "uts"];
        let directory = fs::File::open("/proc/thread-self/ns").ok();
        let inode = |name| statat(directory.as_ref()?, name, AtFlags::empty()).ok().map(|stat| stat.st_ino);
        // bwrap refuses to run with ambient ones, if it is not root
        let sets = [CapSet::Permitted, CapSet::Inheritable, CapSet::Bounding, CapSet::Ambient];
        Self {
            namespaces: names.into_iter().map(inode).collect(),
            uid: geteuid().as_raw(),
            capabilities: sets.into_iter().map(|set| caps::read(None, set).ok()).collect(),
            secure_bits: capabilities_secure_bits().ok(),
            personality: spawn::personality(),
        }
    }
}

/// As [`Context`], but what may change for a thread that is there already, by its own doing or another's.
#[derive(PartialEq, Eq)]
pub(super) struct Surroundings {
    seccomp: Option<SecureComputingMode>,
    no_new_privs: Option<bool>,
    processors: Option<CpuSet>,
    niceness: Option<i32>,
    directory: Option<(u64, u64)>,
    /// Where tokens are kept, such as those of AFS (`session-keyring(7)`).
    keyring: Option<libc::c_long>,
    io_priority: Option<libc::c_long>,
    scheduling: Option<(i32, i32)>,
    timer_slack: Option<u64>,
    /// With cgroup v1, threads of one process may be in different ones.
    cgroups: Option<Vec<u8>>,
    status: Option<Vec<u8>>,
}

impl Surroundings {
    /// Of the calling thread.
    pub(super) fn here() -> Self {
        let directory = statat(CWD, ".", AtFlags::empty()).ok();
        Self {
            seccomp: secure_computing_mode().ok(),
            no_new_privs: no_new_privs().ok(),
            processors: sched_getaffinity(None).ok(),
            niceness: getpriority_process(None).ok(),
            directory: directory.map(|stat| (stat.st_dev, stat.st_ino)),
            keyring: spawn::session_keyring(),
            io_priority: spawn::io_priority(),
            scheduling: spawn::scheduling(),
            timer_slack: current_timer_slack().ok(),
            cgroups: fs::read("/proc/thread-self/cgroup").ok(),
            status: fs::read("/proc/thread-self/status").ok().map(|status| own_lines(&status)),
        }
    }
}

/// The lines of `/proc/thread-self/status` that tell what no call does without changing it, or only more dearly: the umask, groups,
/// how many system call filters there are (Linux 5.9), the memory nodes that are allowed.
fn own_lines(status: &[u8]) -> Vec<u8> {
    let names: [&[u8]; 4] = [b"Umask:", b"Groups:", b"Seccomp_filters:", b"Mems_allowed:"];
    let lines = status.split_inclusive(|&byte| byte == b'\n');
    lines.filter(|line| names.iter().any(|name| line.starts_with(name))).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_of_the_same_kind_may_spawn_in_its_place() {
        let of_another = std::thread::spawn(|| (Context::here(), Surroundings::here())).join().unwrap();
        assert!(of_another.0 == Context::here() && of_another.1 == Surroundings::here());
    }

    #[test]
    fn of_the_status_only_what_is_inherited_counts() {
        let status = b"Name:\tx\nUmask:\t0022\nPid:\t7\nGroups:\t4 27 \nSeccomp:\t0\nSeccomp_filters:\t0\n";
        assert_eq!(own_lines(status), b"Umask:\t0022\nGroups:\t4 27 \nSeccomp_filters:\t0\n");
        let here = own_lines(&fs::read("/proc/thread-self/status").unwrap());
        assert!(here.starts_with(b"Umask:") && here.ends_with(b"\n"), "{here:?}");
    }
}
