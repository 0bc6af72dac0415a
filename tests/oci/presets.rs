//! What real runtimes give their containers: capabilities, covered paths, seccomp, marks.
//!
//! The lists are the runtimes' own; paths that a machine does not have leave no trace in a container, here as there.

use serde_json::{Value, json};

/// The first set of capabilities that every runtime here grants (and CRI-O no more than these).
const CRIO: [&str; 9] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
];

/// Read-only everywhere.
const READONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Covered by Docker 19.03-24 and containerd 1.5-1.7.0.
pub(crate) const MASKED_DOCKER_19: [&str; 10] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];

/// What containers/common 0.57 to 0.64 cover all the time.
const MASKED_COMMON: [&str; 11] = [
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
];

/// Which runtime a container looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// None: nothing is covered, filtered or dropped, and no mark is left.
    Bare,
    /// Docker 28.0.2 and later.
    Docker,
    /// Podman 5, with containers/common 0.64.
    Podman,
    /// A pod of Kubernetes on containerd 1.7.27 and later, without a seccomp profile, as Kubernetes has it unless
    /// told otherwise.
    Containerd,
    /// A pod of Kubernetes or `OpenShift` on CRI-O 1.33 and later, without a seccomp profile.
    Crio,
}

fn owned(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

/// The paths that newer runtimes cover against leaking timing.
fn interrupts() -> Vec<String> {
    let throttle = |cpu| format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle");
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    std::iter::once("/proc/interrupts".to_owned()).chain((0..cpus).map(throttle)).collect()
}

/// Covered by Docker 25.0-28.0.1 and containerd 1.6.38, 1.7.27 and later.
pub(crate) fn masked_docker_25() -> Vec<String> {
    [owned(&MASKED_DOCKER_19), owned(&["/sys/devices/virtual/powercap"])].concat()
}

/// Covered by Docker 28.0.2 and later.
pub(crate) fn masked_docker_28() -> Vec<String> {
    [masked_docker_25(), interrupts()].concat()
}

/// Covered by Podman with containers/common 0.57-0.60 (Podman 4.8 to 5.2).
pub(crate) fn masked_podman_4() -> Vec<String> {
    [owned(&MASKED_COMMON), owned(&["/sys/dev/block"])].concat()
}

/// Covered by Podman with containers/common 0.64 and later.
pub(crate) fn masked_podman_5() -> Vec<String> {
    [owned(&MASKED_COMMON), interrupts()].concat()
}

/// Covered by CRI-O 1.33 and later.
pub(crate) fn masked_crio() -> Vec<String> {
    [masked_podman_5(), owned(&["/proc/asound"])].concat()
}

impl Runtime {
    /// The capabilities of a container's root, as default.
    pub(crate) fn capabilities(self) -> Vec<String> {
        let more: &[&str] = match self {
            Self::Bare => return caps::all().iter().map(ToString::to_string).collect(),
            Self::Crio => &[],
            Self::Podman => &["CAP_SETFCAP", "CAP_SYS_CHROOT"],
            Self::Docker | Self::Containerd => {
                &["CAP_AUDIT_WRITE", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SYS_CHROOT"]
            }
        };
        owned(&[&CRIO, more].concat())
    }

    /// The paths that are covered.
    pub(crate) fn masked(self) -> Vec<String> {
        match self {
            Self::Bare => Vec::new(),
            Self::Docker => masked_docker_28(),
            Self::Podman => masked_podman_5(),
            Self::Containerd => masked_docker_25(),
            Self::Crio => masked_crio(),
        }
    }

    /// The paths that are read-only.
    pub(crate) fn readonly(self) -> Vec<String> {
        match self {
            Self::Bare => Vec::new(),
            Self::Podman | Self::Crio => [owned(&["/proc/asound"]), owned(&READONLY)].concat(),
            Self::Docker | Self::Containerd => owned(&READONLY),
        }
    }

    /// Whether it runs pods.
    pub(crate) fn is_kubernetes(self) -> bool {
        matches!(self, Self::Containerd | Self::Crio)
    }

    /// The variables it sets beside `PATH`, `HOME` and `HOSTNAME`.
    pub(crate) fn environment(self) -> Vec<(&'static str, &'static str)> {
        let service = if self == Self::Crio { "172.30.0.1" } else { "10.96.0.1" };
        match self {
            Self::Bare | Self::Docker => Vec::new(),
            Self::Podman => vec![("container", "podman")],
            Self::Containerd | Self::Crio => {
                vec![
                    ("KUBERNETES_SERVICE_HOST", service),
                    ("KUBERNETES_SERVICE_PORT", "443"),
                    ("KUBERNETES_SERVICE_PORT_HTTPS", "443"),
                ]
            }
        }
    }

    /// Plain files it leaves in the root file system.
    pub(crate) fn files(self) -> &'static [&'static str] {
        if self == Self::Docker { &["/.dockerenv"] } else { &[] }
    }

    /// Files it binds over those of the image, with what they say.
    pub(crate) fn binds(self) -> Vec<(&'static str, &'static str)> {
        let hosts = if self.is_kubernetes() {
            "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"
        } else {
            "127.0.0.1\tlocalhost\n"
        };
        let mut binds = match self {
            Self::Bare => return Vec::new(),
            _ => vec![
                ("/etc/hosts", hosts),
                ("/etc/hostname", "here\n"),
                ("/etc/resolv.conf", "nameserver 127.0.0.1\n"),
            ],
        };
        if matches!(self, Self::Podman | Self::Crio) {
            binds.push(("/run/.containerenv", ""));
        }
        if self.is_kubernetes() {
            binds.push(("/dev/termination-log", ""));
        }
        binds
    }

    /// The path of its cgroup, for a container of this identifier (64 hexadecimal digits).
    pub(crate) fn cgroup(self, identifier: &str) -> String {
        let slice = "/kubepods.slice/kubepods-burstable.slice/\
                     kubepods-burstable-pod6a1ee5a1_0f5b_4c5e_9b7e_3d0a1c2b4e6f.slice";
        match self {
            Self::Bare => format!("/{identifier}"),
            Self::Docker => format!("/docker/{identifier}"),
            Self::Podman => format!("/machine.slice/libpod-{identifier}.scope"),
            Self::Containerd => format!("{slice}/cri-containerd-{identifier}.scope"),
            Self::Crio => format!("{slice}/crio-{identifier}.scope"),
        }
    }

    /// The profile that it has as default, or that a pod gets which asks for `RuntimeDefault`.
    pub(crate) fn seccomp(self) -> Seccomp {
        match self {
            Self::Bare => Seccomp::None,
            Self::Docker | Self::Containerd => Seccomp::Moby,
            Self::Podman | Self::Crio => Seccomp::ContainersCommon,
        }
    }
}

/// A seccomp profile.
///
/// They say what is denied and let everything else pass, unlike the real ones, which list what is allowed: of the
/// several hundred calls only those count here that make namespaces, mounts and sandboxes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seccomp {
    /// No filter.
    None,
    /// Docker's and containerd's: nearly all that a sandbox needs is denied without `CAP_SYS_ADMIN`, and
    /// `pivot_root` always.
    Moby,
    /// Podman's and CRI-O's: a sandbox may do all but set the host name.
    ContainersCommon,
    /// These calls do not exist, as with older profiles and `ENOSYS` for all they do not know.
    Enosys(&'static [&'static str]),
    /// These calls fail.
    Deny {
        /// With this error number.
        errno: i32,
        /// `clone` means: with flags for namespaces.
        syscalls: &'static [&'static str],
    },
    /// The value of `linux.seccomp` in `config.json`.
    Custom(Value),
}

/// The flags of `clone(2)` for namespaces: mount, cgroup, UTS, IPC, user, PID, network.
const NAMESPACES: [u32; 7] =
    [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];

/// What Docker's profile allows with `CAP_SYS_ADMIN` only.
const MOBY_ADMIN: [&str; 22] = [
    "bpf",
    "clone",
    "fanotify_init",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "lookup_dcookie",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "perf_event_open",
    "quotactl",
    "quotactl_fd",
    "setdomainname",
    "sethostname",
    "setns",
    "syslog",
    "umount",
    "umount2",
    "unshare",
];

/// What Docker's profile never allows.
const MOBY_NEVER: [&str; 14] = [
    "add_key",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "nfsservctl",
    "pivot_root",
    "request_key",
    "swapoff",
    "swapon",
    "uselib",
    "userfaultfd",
];

/// What Podman's profile denies without `CAP_SYS_ADMIN`. (It lists `setns` too, but allows it before.)
const COMMON_ADMIN: [&str; 7] =
    ["bpf", "fanotify_init", "lookup_dcookie", "perf_event_open", "quotactl", "setdomainname", "sethostname"];

/// What Podman's profile never allows.
const COMMON_NEVER: [&str; 7] =
    ["kexec_file_load", "kexec_load", "nfsservctl", "swapoff", "swapon", "uselib", "userfaultfd"];

/// What Podman's profile does not know.
const COMMON_UNKNOWN: [&str; 5] =
    ["io_uring_enter", "io_uring_register", "io_uring_setup", "mount_setattr", "quotactl_fd"];

impl Seccomp {
    /// As `linux.seccomp` says it, for a container whose bounding set has these capabilities.
    pub(crate) fn profile(&self, has: impl Fn(&str) -> bool) -> Option<Value> {
        let admin = has("CAP_SYS_ADMIN");
        let chroot: &[&str] = if has("CAP_SYS_CHROOT") { &[] } else { &["chroot"] };
        let (eperm, enosys) = (libc::EPERM, libc::ENOSYS);
        let rules = match self {
            Self::None => return None,
            Self::Custom(profile) => return Some(profile.clone()),
            Self::Enosys(syscalls) => deny(enosys, syscalls),
            Self::Deny { errno, syscalls } => deny(*errno, syscalls),
            Self::Moby if admin => [deny(eperm, &MOBY_NEVER), deny(eperm, chroot)].concat(),
            Self::Moby => [
                deny(eperm, &MOBY_NEVER),
                deny(eperm, chroot),
                deny(eperm, &MOBY_ADMIN),
                deny(enosys, &["clone3"]),
            ]
            .concat(),
            Self::ContainersCommon => [
                deny(eperm, &COMMON_NEVER),
                deny(eperm, chroot),
                deny(eperm, if admin { &[] } else { &COMMON_ADMIN }),
                deny(enosys, &COMMON_UNKNOWN),
            ]
            .concat(),
        };
        let architectures: &[&str] = match std::env::consts::ARCH {
            "x86_64" => &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "aarch64" => &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
            _ => &[],
        };
        Some(json!({ "defaultAction": "SCMP_ACT_ALLOW", "architectures": architectures, "syscalls": rules }))
    }
}

/// Rules that make calls fail.
fn deny(errno: i32, syscalls: &[&str]) -> Vec<Value> {
    let rule = |names: &[&str], arguments: Value| json!({ "names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno, "args": arguments });
    let plain: Vec<&str> = syscalls.iter().copied().filter(|name| *name != "clone").collect();
    let mut rules = Vec::new();
    if !plain.is_empty() {
        rules.push(rule(&plain, json!([])));
    }
    if plain.len() < syscalls.len() {
        rules.extend(NAMESPACES.map(|flag| {
            let set = json!({ "index": 0, "value": flag, "valueTwo": flag, "op": "SCMP_CMP_MASKED_EQ" });
            rule(&["clone"], json!([set]))
        }));
    }
    rules
}
