//! Failures by their cause: what bwrap says, and the host on which that is why.

use super::{At, Outcome};
use crate::bwrap::Version;
use crate::diagnosis::Cause;
use crate::host::{CapabilitySet, Fact, FileKind, Host, IdMapping, Mount, PidsLimit, Platform, Sighting};

/// Every cause that a stand-in can be made to fail for, with how far bwrap gets, what it says, and what is wrong with the host.
type Scene = (Cause, At, &'static str, fn(&mut Host));

const ENOSPC: &str =
    "Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)";
const NO_PERMISSIONS: &str = "No permissions to create a new namespace, likely because the kernel does not allow non-privileged \
                              user namespaces. On e.g. debian this can be enabled with 'sysctl kernel.unprivileged_userns_clone=1'.";
const PROC: &str = "Can't mount proc on /newroot/proc: Operation not permitted";
const LOOPBACK: &str = "loopback: Failed RTM_NEWADDR: Operation not permitted";
const ALL: u64 = 0x1ff_ffff_ffff;

const SCENES: &[Scene] = &[
    (
        Cause::UnexpectedCapabilities,
        At::Start,
        "Unexpected capabilities but not setuid, old file caps config?",
        |host| {
            let process = &mut host.process;
            for set in [
                &mut process.effective,
                &mut process.permitted,
                &mut process.inheritable,
                &mut process.ambient,
            ] {
                *set = Fact::Present(CapabilitySet(1 << 10));
            }
        },
    ),
    (Cause::UnknownOption, At::Start, "Unknown option --overlay", |_| {}),
    (Cause::SeccompDeniesNamespaces, At::Start, NO_PERMISSIONS, filtered),
    (Cause::UserNamespacesSwitchedOff, At::Start, NO_PERMISSIONS, |host| {
        set(host, "kernel.unprivileged_userns_clone", "0");
    }),
    (Cause::NoUserNamespacesAllowed, At::Start, ENOSPC, |host| set(host, "user.max_user_namespaces", "0")),
    (
        Cause::SelinuxDeniesUserNamespaces,
        At::Start,
        "Creating new namespace failed: Permission denied",
        selinux,
    ),
    (
        Cause::AppArmorDeniesUserNamespaces,
        At::Start,
        "Creating new namespace failed: Permission denied",
        |host| apparmor(host, "thing (enforce)"),
    ),
    (
        Cause::NamespacesNotImplemented,
        At::Start,
        "Creating new namespace failed: Function not implemented",
        filtered,
    ),
    (
        Cause::KernelWithoutUserNamespaces,
        At::Start,
        "Creating new namespace failed, likely because the kernel does not support user namespaces.  bwrap must be installed setuid on such systems.",
        |host| host.user_namespace.exists = Fact::Present(false),
    ),
    (
        Cause::ProcessLimit,
        At::Start,
        "Creating new namespace failed: Resource temporarily unavailable",
        |host| {
            host.process.process_limit = Fact::Present(20);
            host.process.process_limit_max = Fact::Present(20);
        },
    ),
    (
        Cause::AppArmorStripsNetAdmin,
        At::SetUp,
        "loopback: Failed RTM_NEWADDR: Operation not permitted",
        restricted,
    ),
    (
        Cause::NetlinkDenied,
        At::SetUp,
        "loopback: Failed to create NETLINK_ROUTE socket: Address family not supported by protocol",
        filtered,
    ),
    (Cause::AppArmorRestrictsUserNamespaces, At::SetUp, "setting up uid map: Permission denied", restricted),
    (Cause::ProcReadOnly, At::SetUp, "setting up uid map: Read-only file system", |host| {
        mounted(host, &["2 1 0:2 / /proc ro,nosuid,nodev,noexec,relatime - proc proc rw"]);
        host.user_namespace.uid_map_writable = Fact::Unreadable("Read-only file system".into());
    }),
    (Cause::MissingSetfcap, At::SetUp, "setting up uid map: Operation not permitted", |host| {
        root(host, ALL & !(1 << 31));
    }),
    (
        Cause::SourceMissing,
        At::SetUp,
        "Can't find source path /no/such/directory: No such file or directory",
        |_| {},
    ),
    (Cause::SeccompDeniesMount, At::SetUp, "Failed to make / slave: Operation not permitted", filtered),
    (Cause::AppArmorDeniesMount, At::SetUp, "Failed to make / slave: Permission denied", |host| {
        apparmor(host, "docker-default (enforce)");
    }),
    (
        Cause::MountLimit,
        At::SetUp,
        "Failed to mount tmpfs: Limit exceeded (ENOSPC). (Hint: Check that /proc/sys/fs/mount-max is sufficient, typically 100000.)",
        |host| set(host, "fs.mount-max", "20"),
    ),
    (Cause::SeccompDeniesPivotRoot, At::SetUp, "pivot_root: Operation not permitted", filtered),
    (Cause::AppArmorDeniesPivotRoot, At::SetUp, "pivot_root: Permission denied", |host| {
        apparmor(host, "docker-default (enforce)");
    }),
    (Cause::MaskedProc, At::SetUp, PROC, |host| {
        mounted(
            host,
            &[
                "2 1 0:2 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw",
                "3 2 0:2 /sys /proc/sys ro,nosuid,nodev,noexec,relatime - proc proc rw",
                "5 2 0:3 /null /proc/kcore rw,nosuid - tmpfs tmpfs rw",
                "6 2 0:4 / /proc/acpi ro,relatime - tmpfs tmpfs ro",
            ],
        );
    }),
    (Cause::CoveredProc, At::SetUp, PROC, |host| {
        mounted(
            host,
            &[
                "2 1 0:2 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw",
                "3 2 0:9 / /proc/cpuinfo rw,nosuid,nodev,relatime - fuse.lxcfs lxcfs rw",
            ],
        );
    }),
    (Cause::SelinuxDeniesProc, At::SetUp, "Can't mount proc on /newroot/proc: Permission denied", selinux),
    (Cause::AppArmorDeniesProc, At::SetUp, "Can't mount proc on /newroot/proc: Permission denied", |host| {
        apparmor(host, "docker-default (enforce)");
    }),
    (
        Cause::SelinuxDeniesDevpts,
        At::SetUp,
        "Can't mount devpts on /newroot/dev/pts: Permission denied",
        selinux,
    ),
    (Cause::DestinationReadOnly, At::SetUp, "Can't mkdir /newroot/usr/new: Read-only file system", |_| {}),
    (
        Cause::DisableUsernsReadOnly,
        At::SetUp,
        "cannot open /proc/sys/user/max_user_namespaces: Read-only file system",
        |host| {
            mounted(
                host,
                &[
                    "2 1 0:2 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw",
                    "3 2 0:2 /sys /proc/sys ro,nosuid,nodev,noexec,relatime - proc proc rw",
                ],
            );
        },
    ),
    (
        Cause::WorkingDirectoryMissing,
        At::Execute,
        "Can't chdir to /no/such/directory: No such file or directory",
        |_| {},
    ),
    (Cause::DescriptorLimit, At::Start, "eventfd(): Too many open files", |host| {
        host.process.descriptor_limit = Fact::Present(8);
    }),
    (Cause::BadArguments, At::Start, "--ro-bind-try takes two arguments", |_| {}),
    (Cause::ContradictoryOptions, At::Start, "Specifying --uid requires --unshare-user or --userns", |_| {}),
    (Cause::ProcUnavailable, At::Start, "Can't open /proc: No such file or directory", |_| {}),
    (Cause::UnmappedId, At::Start, NO_PERMISSIONS, |host| mapped(host, &[])),
    (Cause::UnitRestrictsNamespaces, At::Start, NO_PERMISSIONS, |host| {
        on(host, Platform::SystemdUnit);
        filtered(host);
        host.cgroup.paths = Fact::Present(vec!["/system.slice/runner.service".into()]);
    }),
    (Cause::OuterSandboxDeniesNamespaces, At::Start, NO_PERMISSIONS, |host| {
        on(host, Platform::Flatpak);
        filtered(host);
    }),
    (Cause::NamespaceLimit, At::Start, ENOSPC, |host| set(host, "user.max_net_namespaces", "0")),
    (Cause::GvisorNestedTooDeep, At::Start, "Creating new namespace failed: Too many users", |host| {
        on(host, Platform::GVisor);
    }),
    (Cause::GvisorLoopback, At::SetUp, LOOPBACK, |host| on(host, Platform::GVisor)),
    (Cause::SelinuxDeniesNetAdmin, At::SetUp, LOOPBACK, selinux),
    (Cause::LandlockDeniesProc, At::SetUp, "setting up uid map: Permission denied", landlocked),
    (Cause::IdsDiffer, At::SetUp, "setting up uid map: Operation not permitted", set_id),
    (Cause::GidMapDenied, At::SetUp, "setting up gid map: Permission denied", set_id),
    (Cause::SourceUnreachable, At::SetUp, "Can't find source path /root/secret: Permission denied", |_| {}),
    (Cause::MountNotImplemented, At::SetUp, "Failed to make / slave: Function not implemented", filtered),
    (Cause::LandlockDeniesMount, At::SetUp, "Failed to make / slave: Operation not permitted", landlocked),
    (Cause::Chrooted, At::SetUp, "Failed to make / slave: Invalid argument", |host| {
        host.mounts = Fact::Unknown;
    }),
    (Cause::TmpMissing, At::SetUp, "Failed to mount tmpfs: No such file or directory", |host| {
        host.files.insert("/tmp".into(), Fact::Absent);
    }),
    (Cause::SelinuxDeniesTmpfs, At::SetUp, "Failed to mount tmpfs: Permission denied", selinux),
    (Cause::SeccompDeniesTmpfs, At::SetUp, "Failed to mount tmpfs: Operation not permitted", filtered),
    (Cause::SeccompDeniesUmount, At::SetUp, "umount old root: Operation not permitted", filtered),
    (Cause::HostnameDenied, At::SetUp, "Can't set hostname to box: Operation not permitted", filtered),
    (Cause::OuterBwrapCoversProc, At::SetUp, PROC, |host| {
        on(host, Platform::Bubblewrap);
        mounted(
            host,
            &[
                "2 1 0:2 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw",
                "3 2 0:2 /sys /proc/sys ro - proc proc rw",
                "4 2 0:2 /irq /proc/irq ro - proc proc rw",
                "5 2 0:2 /bus /proc/bus ro - proc proc rw",
            ],
        );
    }),
    (Cause::ProcAtime, At::SetUp, PROC, |host| mounted(host, &["2 1 0:2 / /proc rw,nosuid - proc proc rw"])),
    (Cause::EmulatedKernelDeniesProc, At::SetUp, PROC, |host| on(host, Platform::Wsl1)),
    (
        Cause::RemountRefused,
        At::SetUp,
        "Can't bind mount /oldroot/etc/x on /newroot/etc/x: Unable to apply mount flags: remount \"/newroot/etc/x/sub\": Invalid argument",
        |_| {},
    ),
    (Cause::DestinationIsSymlink, At::SetUp, "Can't mount on symlink destination /lib64", |_| {}),
    (Cause::DestinationOfOtherKind, At::SetUp, "Destination is not a directory /newroot/etc/hosts", |_| {}),
    (
        Cause::DestinationExists,
        At::SetUp,
        "Can't make symlink at /bin: destination exists and is not a symlink",
        |_| {},
    ),
    (Cause::SeccompDeniesUnshare, At::SetUp, "unshare user ns: Operation not permitted", filtered),
    (Cause::SecondUserNamespaceLimit, At::SetUp, "unshare user ns: No space left on device", |host| {
        set(host, "user.max_user_namespaces", "1");
    }),
    (
        Cause::DisableUsernsDenied,
        At::SetUp,
        "cannot open /proc/sys/user/max_user_namespaces: Permission denied",
        |host| apparmor(host, "thing (enforce)"),
    ),
    (
        Cause::UserNamespacesStillAllowed,
        At::SetUp,
        "creation of new user namespaces was not disabled as requested",
        |_| {},
    ),
    (
        Cause::ProcessLimitLate,
        At::Execute,
        "Can't fork for pid 1: Resource temporarily unavailable",
        |host| {
            host.cgroup.pids = Fact::Present(PidsLimit::new("/sys/fs/cgroup/box", 10, 9));
        },
    ),
    (Cause::OutOfMemory, At::SetUp, "Out of memory", |_| {}),
];

/// The causes that [`StandIn::fails_for`](super::StandIn::fails_for) knows.
///
/// ```
/// use bwrap_launch::diagnosis::Cause;
/// assert!(bwrap_launch::testing::causes().any(|cause| cause == Cause::MaskedProc));
/// ```
pub fn causes() -> impl Iterator<Item = Cause> {
    SCENES.iter().map(|(cause, ..)| *cause)
}

/// What bwrap says for a cause, and the host on which it does.
pub(super) fn scene(cause: Cause, version: Version) -> Option<(Outcome, Host)> {
    let (_, at, words, change) = SCENES.iter().find(|(known, ..)| *known == cause)?;
    if OF_DISABLE_USERNS.contains(&cause) && version < DISABLE_USERNS {
        return None;
    }
    let mut host = healthy_host();
    change(&mut host);
    Some((Outcome::fails(*at, worded(words, version)), host))
}

/// What only a bwrap says that knows `--disable-userns`, and since when it does.
const OF_DISABLE_USERNS: &[Cause] =
    &[Cause::DisableUsernsReadOnly, Cause::DisableUsernsDenied, Cause::UserNamespacesStillAllowed];
const DISABLE_USERNS: Version = Version::new(0, 8, 0);

/// As this version says it.
fn worded(words: &str, version: Version) -> String {
    let mut words = words.to_owned();
    if version < Version::new(0, 11, 1) {
        words = words.replace("to create a new namespace", "to creating new namespace");
    }
    if version >= Version::new(0, 11, 0) {
        // which is in no release
        words = words.replace("option --overlay", "option --overlay-opt");
    }
    if version >= Version::new(0, 12, 0) {
        // as the sandbox sees them
        words = words.replace("/newroot/", "/");
    }
    words
}

/// A machine with nothing in bwrap's way, and an ordinary user of it, to be made worse.
///
/// ```
/// use bwrap_launch::diagnosis::{Outlook, predict};
/// use bwrap_launch::Sandbox;
/// let sandbox = Sandbox::new().ro_bind("/usr", "/usr").proc("/proc").unshare_all();
/// assert_eq!(predict(&bwrap_launch::testing::healthy_host(), &sandbox).outlook, Outlook::Starts);
/// ```
#[must_use]
pub fn healthy_host() -> Host {
    let mut host = Host::default();
    host.kernel.release = Fact::Present("6.12.0-1-amd64".into());
    host.platforms = Fact::Absent;
    let process = &mut host.process;
    for id in [&mut process.uid, &mut process.real_uid, &mut process.gid, &mut process.real_gid] {
        *id = Fact::Present(1000);
    }
    for set in
        [&mut process.effective, &mut process.permitted, &mut process.inheritable, &mut process.ambient]
    {
        *set = Fact::Present(CapabilitySet(0));
    }
    process.bounding = Fact::Present(CapabilitySet(ALL));
    process.no_new_privs = Fact::Present(false);
    process.seccomp = Fact::Present(0);
    (process.process_limit, process.process_limit_max) = (Fact::Absent, Fact::Absent);
    process.descriptor_limit = Fact::Present(1024);
    process.descriptor_limit_max = Fact::Present(1 << 20);
    host.user_namespace.exists = Fact::Present(true);
    host.user_namespace.uid_map = Fact::Present(vec![IdMapping { inside: 0, outside: 0, count: u32::MAX }]);
    host.user_namespace.gid_map = host.user_namespace.uid_map.clone();
    host.user_namespace.setgroups = Fact::Present("allow".into());
    host.user_namespace.uid_map_writable = Fact::Present(true);
    mounted(&mut host, &["2 1 0:2 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw"]);
    host.security.modules = Fact::Present(vec!["capability".into(), "landlock".into(), "yama".into()]);
    host.security.label = Fact::Absent;
    host.security.apparmor_label = Fact::Absent;
    host.security.apparmor_enabled = Fact::Absent;
    host.security.selinux_filesystem = Fact::Present(false);
    host.security.selinux_enforcing = Fact::Absent;
    for name in ["user", "pid", "net", "mnt", "ipc", "uts", "cgroup"] {
        set(&mut host, &format!("user.max_{name}_namespaces"), "100000");
    }
    for name in ["kernel.unprivileged_userns_clone", "kernel.apparmor_restrict_unprivileged_userns"] {
        host.sysctls.insert(name.into(), Fact::Absent);
    }
    set(&mut host, "kernel.overflowuid", "65534");
    host.files.insert("/tmp".into(), Fact::Present(FileKind::Directory));
    for device in ["full", "null", "random", "tty", "urandom", "zero"] {
        host.files.insert(format!("/dev/{device}").into(), Fact::Present(FileKind::Device));
    }
    host
}

fn set(host: &mut Host, name: &str, value: &str) {
    host.sysctls.insert(name.into(), Fact::Present(value.into()));
}

fn on(host: &mut Host, platform: Platform) {
    host.platforms = Fact::Present(vec![Sighting::new(platform, "a test")]);
}

fn mapped(host: &mut Host, maps: &[IdMapping]) {
    host.user_namespace.uid_map = Fact::Present(maps.to_vec());
    host.user_namespace.gid_map = host.user_namespace.uid_map.clone();
}

/// Real and effective ids differ, as in a setuid program.
fn set_id(host: &mut Host) {
    (host.process.uid, host.process.gid) = (Fact::Present(2000), Fact::Present(2000));
}

fn landlocked(host: &mut Host) {
    host.process.no_new_privs = Fact::Present(true);
    host.user_namespace.uid_map_writable = Fact::Unreadable("Permission denied".into());
}

fn filtered(host: &mut Host) {
    host.process.seccomp = Fact::Present(2);
}

fn root(host: &mut Host, capabilities: u64) {
    let process = &mut host.process;
    for id in [&mut process.uid, &mut process.real_uid, &mut process.gid, &mut process.real_gid] {
        *id = Fact::Present(0);
    }
    process.effective = Fact::Present(CapabilitySet(capabilities));
    process.permitted = process.effective.clone();
}

fn apparmor(host: &mut Host, label: &str) {
    host.security.label = Fact::Present(label.into());
    host.security.apparmor_label = Fact::Present(label.into());
    host.security.apparmor_enabled = Fact::Present(true);
    host.security.modules = Fact::Present(vec!["capability".into(), "landlock".into(), "apparmor".into()]);
}

/// As Ubuntu 24.04 and newer are.
fn restricted(host: &mut Host) {
    apparmor(host, "unconfined");
    set(host, "kernel.apparmor_restrict_unprivileged_userns", "1");
}

/// A container of Podman's on Fedora.
fn selinux(host: &mut Host) {
    host.security.label = Fact::Present("system_u:system_r:container_t:s0:c1,c2".into());
    host.security.selinux_filesystem = Fact::Present(true);
    host.security.selinux_enforcing = Fact::Present(true);
}

/// Lines of mountinfo, after the root's.
fn mounted(host: &mut Host, lines: &[&str]) {
    let root = ["1 0 8:1 / / rw,relatime - ext4 /dev/vda1 rw"];
    host.mounts = Fact::Present(root.iter().chain(lines).filter_map(|line| Mount::parse(line)).collect());
}
