//! The faults that containers have, one by one and in stacks, and what bwrap says to each.

use serde_json::json;

use crate::bundle::{Bundle, Over, Runtime, Seccomp, Wrapper};
use crate::{lines, presets};

/// What bwrap is to set up, as most callers want it.
pub(crate) const EVERYTHING: &[&str] =
    &["--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"];

/// The same, and root too must have a user namespace, unlike with `--unshare-all`.
const WITH_USER: &[&str] =
    &["--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"];

/// The same without a user namespace if the caller is root.
const WITHOUT_USER: &[&str] =
    &["--unshare-pid", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"];

/// What bwrap says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Says {
    /// Nothing: the sandbox runs.
    Nothing,
    /// A message that begins and ends so; between the two stand paths, which differ between versions.
    Message(&'static str, &'static str),
    /// Nothing: it is not even executed, or its loader gives up, with these words among others.
    Unexecuted(&'static str),
}

/// A container, what bwrap is asked for in it, and what it says.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) name: String,
    pub(crate) bundle: Bundle,
    pub(crate) arguments: &'static [&'static str],
    pub(crate) says: Says,
}

fn fault(name: impl Into<String>, bundle: Bundle, says: Says) -> Fault {
    Fault { name: name.into(), bundle, arguments: EVERYTHING, says }
}

impl Fault {
    /// The same with other arguments.
    fn with(self, arguments: &'static [&'static str]) -> Self {
        Self { arguments, ..self }
    }
}

const FINE: Says = Says::Nothing;

/// All.
pub(crate) fn all() -> Vec<Fault> {
    [privileges(), proc(), pods(), filters(), limits(), surroundings(), files(), stacks(), lines::all()]
        .into_iter()
        .flatten()
        .collect()
}

const UID_MAP: Says = Says::Message("setting up uid map: ", "Operation not permitted");
const PROC: Says = Says::Message("Can't mount proc on ", "/proc: Operation not permitted");
const PERMISSIONS: Says = Says::Message("No permissions to creat", "");
const PIVOT: Says = Says::Message("pivot_root: ", "Operation not permitted");
const SLAVE: Says = Says::Message("Failed to make / slave: ", "Operation not permitted");
const SLAVE_UNKNOWN: Says = Says::Message("Failed to make / slave: ", "Function not implemented");
const UID_MAP_ACCESS: Says = Says::Message("setting up uid map: ", "Permission denied");
const UID_MAP_READONLY: Says = Says::Message("setting up uid map: ", "Read-only file system");
const OVERFLOW: Says =
    Says::Message("Can't read /proc/sys/kernel/overflowuid: ", "No such file or directory");
const CLONE: Says = Says::Message("Creating new namespace failed: ", "Operation not permitted");
const CLONE_AGAIN: Says =
    Says::Message("Creating new namespace failed: ", "Resource temporarily unavailable");
const CLONE_UNKNOWN: Says = Says::Message("Creating new namespace failed: ", "Function not implemented");
const FORK_AGAIN: Says = Says::Message("Can't fork for pid 1: ", "Resource temporarily unavailable");
const EXCEEDED: Says = Says::Message(
    "Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)",
    "",
);
const TMPFS: Says = Says::Message("Failed to mount tmpfs: ", "No such file or directory");
const DEVICE: Says = Says::Message("Can't bind mount ", "No such file or directory");

/// Starts a program with ids that differ.
const APART: &[&str] = &["setpriv", "--ruid=1001", "--euid=1000", "--"];

const GROUPS_APART: &[&str] =
    &["setpriv", "--reuid=1000", "--rgid=1001", "--egid=1000", "--clear-groups", "--"];

/// What the system's bwrap is linked with.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/libcap.so.2";

fn privileges() -> Vec<Fault> {
    let user = || Bundle::bare().uid(1000).gid(1000);
    let setuid = || Bundle::containerd().uid(1000).prepare("chmod u+s \"$root\"/usr/bin/bwrap");
    let unreadable = || Bundle::bare().uid(1000).prepare("chmod a-r \"$root\"/usr/bin/bwrap");
    let bounded = Bundle::containerd().unmasked().prepare("setcap cap_sys_time+ep \"$root\"/usr/bin/bwrap");
    let closed = Bundle::bare().prepare("chmod 644 \"$root\"/usr/bin/bwrap");
    let capset = Says::Message("capset failed: ", "Operation not permitted");
    let unexpected = Says::Message("Unexpected capabilities but not setuid, old file caps config", "");
    vec![
        fault("healthy", Bundle::bare(), FINE),
        fault("healthy_user", user(), FINE),
        fault("healthy_user_without_privileges", user().drop_all().no_new_privs(true), FINE),
        fault("no_setfcap", Bundle::bare().cap_drop("SETFCAP"), UID_MAP),
        fault("crio", Bundle::crio(), UID_MAP),
        fault("crio_with_setfcap", Bundle::crio().cap_add("SETFCAP"), PROC),
        fault("ambient", user().ambient(&["NET_BIND_SERVICE"]), unexpected),
        fault("unreadable", unreadable(), Says::Message("setting up uid map: ", "Permission denied")),
        fault("setuid_without_capabilities", setuid(), capset),
        fault("setuid_without_new_privileges", setuid().unmasked().no_new_privs(true), FINE),
        fault(
            "ids_differ",
            Bundle::bare().behind(APART),
            Says::Message("Unexpected setuid user 1000, should be 0", ""),
        ),
        fault("group_ids_differ", Bundle::bare().behind(GROUPS_APART), UID_MAP_ACCESS),
        fault("file_capabilities_outside_bounds", bounded, Says::Unexecuted("operation not permitted")),
        fault("not_executable", closed, Says::Unexecuted("permission denied")),
        fault(
            "library_missing",
            Bundle::bare().remove(LIBRARY),
            Says::Unexecuted("libcap.so.2: cannot open shared object file"),
        ),
        fault("no_sys_admin_without_userns", Bundle::podman(), CLONE).with(WITHOUT_USER),
    ]
}

/// What is wrong with `/proc`.
fn proc() -> Vec<Fault> {
    let lists = [
        ("docker_19", presets::MASKED_DOCKER_19.map(str::to_owned).to_vec()),
        ("docker_25", presets::masked_docker_25()),
        ("docker_28", presets::masked_docker_28()),
        ("podman_4", presets::masked_podman_4()),
        ("podman_5", presets::masked_podman_5()),
        ("crio", presets::masked_crio()),
        ("one_file", vec!["/proc/keys".to_owned()]),
        ("one_directory", vec!["/proc/acpi".to_owned()]),
    ];
    let masked = |(name, paths): (&str, Vec<String>)| {
        fault(format!("masked_{name}"), Bundle::bare().masked(&paths), PROC)
    };
    let bare = Bundle::bare;
    let readonly = Says::Message("cannot open /proc/sys/user/max_user_namespaces: ", "Read-only file system");
    let mut faults: Vec<Fault> = lists.into_iter().map(masked).collect();
    faults.extend([
        fault("masked_as_user", Bundle::podman().uid(1000).gid(1000), PROC),
        fault("unmasked", Bundle::podman().unmasked(), FINE),
        fault("readonly_paths", bare().readonly_paths(&Runtime::Docker.readonly()), PROC),
        fault("masked_sys", bare().masked(&["/sys/firmware"]), FINE),
        fault("empty_by_nature", bare().overmount("/proc/sys/fs/binfmt_misc", Over::Tmpfs), FINE),
        fault("lxcfs", bare().lxcfs(), PROC),
        fault("tmpfs_over_proc_driver", bare().overmount("/proc/driver", Over::Tmpfs), PROC),
        fault("null_over_proc_interrupts", bare().overmount("/proc/interrupts", Over::Null), PROC),
        fault("proc_readonly", bare().proc_readonly(), UID_MAP_READONLY),
        fault("proc_noatime", bare().proc_atime("noatime"), PROC),
        fault("proc_nodiratime", bare().proc_atime("nodiratime"), PROC),
        fault("proc_strictatime", bare().proc_atime("strictatime"), PROC),
        fault("proc_hidepid", bare().uid(1000).proc_options("hidepid=2"), FINE),
        fault("proc_subset_pid", bare().proc_options("subset=pid"), OVERFLOW),
        fault("no_proc", bare().no_proc(), OVERFLOW),
        fault("a_second_proc", Bundle::podman().mount("/mnt", "proc", "proc", &[]), FINE),
        fault("masked_without_userns", Bundle::podman().cap_add("SYS_ADMIN"), FINE).with(WITHOUT_USER),
        fault("masked_and_disabling", Bundle::podman(), readonly).with(&[
            "--unshare-user",
            "--disable-userns",
            "--ro-bind",
            "/",
            "/",
            "true",
        ]),
    ]);
    faults
}

/// Pods with `hostUsers: false`.
fn pods() -> Vec<Fault> {
    let pod = || Bundle::containerd().user_namespace(true);
    let crio = || Bundle::crio().user_namespace(true);
    let user = |bundle: Bundle| bundle.uid(1000).gid(1000);
    let restricted = || user(pod()).drop_all().no_new_privs(true);
    vec![
        fault("pod", pod(), PROC),
        fault("pod_unmasked", pod().unmasked(), FINE),
        fault("pod_user", user(pod()), PROC),
        fault("pod_user_unmasked", user(pod()).unmasked(), FINE),
        fault("pod_dropped", pod().drop_all(), UID_MAP),
        fault("pod_dropped_unmasked", pod().drop_all().unmasked(), UID_MAP),
        fault("pod_dropped_user", restricted(), PROC),
        fault("pod_dropped_user_unmasked", restricted().unmasked(), FINE),
        fault("pod_crio", crio(), UID_MAP),
        fault("pod_crio_unmasked", crio().unmasked(), UID_MAP),
        fault("pod_crio_user_unmasked", user(crio()).unmasked().seccomp_default(), FINE),
        fault("pod_runtime_default", pod().seccomp_default().unmasked(), PERMISSIONS),
        fault("pod_sys_admin", pod().cap_add("SYS_ADMIN"), PROC),
        fault("pod_sys_admin_without_userns", pod().cap_add("SYS_ADMIN"), FINE).with(WITHOUT_USER),
    ]
}

/// Seccomp.
fn filters() -> Vec<Fault> {
    let docker = Bundle::docker;
    // filters of somebody's own, which one gives engines by their names
    let of_docker = |filter| docker().unmasked().seccomp(filter);
    let of_podman = |filter| Bundle::podman().unmasked().seccomp(filter);
    let denied = |syscalls| Seccomp::Deny { errno: libc::EPERM, syscalls };
    let netlink = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{
            "names": ["socket"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": libc::EPERM,
            "args": [{ "index": 0, "value": libc::AF_NETLINK, "op": "SCMP_CMP_EQ" }],
        }],
    });
    // a tmpfs is mounted with MS_NOSUID and MS_NODEV, and nothing before that
    let tmpfs = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{
            "names": ["mount"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": libc::EPERM,
            "args": [{ "index": 3, "value": libc::MS_NOSUID | libc::MS_NODEV, "op": "SCMP_CMP_EQ" }],
        }],
    });
    let eperm = |text| Says::Message(text, "Operation not permitted");
    vec![
        fault("docker", docker(), PERMISSIONS),
        fault("docker_user", docker().uid(1000).gid(1000), PERMISSIONS),
        fault("docker_sys_admin", docker().cap_add("SYS_ADMIN"), PIVOT),
        fault("docker_unconfined", docker().seccomp(Seccomp::None).unmasked(), FINE),
        fault("containerd_runtime_default", Bundle::containerd().seccomp_default(), PERMISSIONS),
        fault("podman_unmasked", Bundle::podman().unmasked(), FINE),
        fault("podman_hostname", Bundle::podman().unmasked(), eperm("Can't set hostname to x: ")).with(&[
            "--unshare-all",
            "--hostname",
            "x",
            "--ro-bind",
            "/",
            "/",
            "true",
        ]),
        fault(
            "enosys",
            of_docker(Seccomp::Enosys(&[
                "clone",
                "clone3",
                "unshare",
                "setns",
                "mount",
                "umount2",
                "pivot_root",
            ])),
            CLONE_UNKNOWN,
        ),
        fault("enosys_mount", of_podman(Seccomp::Enosys(&["mount"])), SLAVE_UNKNOWN),
        // of which nothing tells whose it is
        fault("eperm_mount", Bundle::bare().seccomp(denied(&["mount"])), SLAVE),
        fault("eperm_tmpfs", of_docker(Seccomp::Custom(tmpfs)), eperm("Failed to mount tmpfs: ")),
        fault("eperm_pivot_root", of_podman(denied(&["pivot_root"])), PIVOT),
        fault("eperm_eventfd", of_docker(denied(&["eventfd2"])), eperm("eventfd(): ")),
        fault("eperm_umount", of_podman(denied(&["umount2"])), eperm("unmount old root: ")),
        fault(
            "eperm_unshare",
            of_docker(denied(&["unshare"])).uid(1000).gid(1000),
            eperm("unshare user ns: "),
        ),
        fault(
            "eperm_netlink",
            of_podman(Seccomp::Custom(netlink)),
            eperm("loopback: Failed to create NETLINK_ROUTE socket: "),
        ),
    ]
}

/// Too little of something.
fn limits() -> Vec<Fault> {
    /// As far as a user may raise a limit on processes.
    const HARD: u64 = 16_384;
    /// And on files. Without `CAP_SYS_RESOURCE`, which this machine may lack, a container gets no more than there is here.
    const HARD_FILES: u64 = 1024;
    let nproc = |limit| Bundle::bare().alone().rlimit("NPROC", limit, HARD);
    let nofile = |limit| Bundle::bare().rlimit("NOFILE", limit, HARD_FILES);
    let limited = |kind, value| Bundle::bare().wrapper(Wrapper::UserNamespaceLimit { kind, value });
    let pod =
        |name, value| Bundle::containerd().user_namespace(true).unmasked().sysctl_in_userns(name, value);
    let levels = |levels| Bundle::bare().wrapper(Wrapper::Unshare { levels });
    let second = Says::Message("unshare user ns: ", "No space left on device");
    let mut faults = vec![
        fault("pids_1", Bundle::bare().pids_limit(1), CLONE_AGAIN),
        fault("pids_2", Bundle::bare().pids_limit(2), FORK_AGAIN),
        fault("pids_3", Bundle::bare().pids_limit(3), FINE),
        fault("pids_64", Bundle::bare().pids_limit(64), FINE),
        fault("nproc_1", nproc(1), CLONE_AGAIN),
        fault("nproc_2", nproc(2), FORK_AGAIN),
        fault("nproc_of_root", Bundle::bare().rlimit("NPROC", 1, 1), FINE),
        fault("nofile_4", nofile(4), Says::Message("eventfd(): ", "Too many open files")),
        fault("nofile_16", nofile(16), FINE),
        // root is then content without a user namespace, but has not the privilege
        fault("pod_max_user", pod("user.max_user_namespaces", 0), CLONE),
        fault("pod_max_user_asked_for", pod("user.max_user_namespaces", 0), EXCEEDED).with(WITH_USER),
        fault("pod_max_user_as_user", pod("user.max_user_namespaces", 0).uid(1000), EXCEEDED),
        fault("pod_max_user_1_as_user", pod("user.max_user_namespaces", 1).uid(1000), second),
        fault("pod_max_net", pod("user.max_net_namespaces", 0), EXCEEDED),
        fault("max_user", limited("user", 0), FINE),
        fault("max_user_asked_for", limited("user", 0), EXCEEDED).with(WITH_USER),
        fault("nesting_32", levels(32), FINE),
        fault("nesting_33", levels(33), EXCEEDED).with(WITH_USER),
    ];
    faults.extend(
        ["net", "pid", "mnt", "ipc", "uts", "cgroup"]
            .map(|kind| fault(format!("max_{kind}"), limited(kind, 0), EXCEEDED)),
    );
    faults
}

/// What stands between the container and bwrap.
fn surroundings() -> Vec<Fault> {
    let wrapped = |wrapper| Bundle::bare().wrapper(wrapper);
    let nested = |root, disable_userns| wrapped(Wrapper::NestedBwrap { root, disable_userns });
    let landlock = |write_file| wrapped(Wrapper::Landlock { write_file });
    vec![
        fault("chroot", wrapped(Wrapper::Chroot { on_a_mount: false }), PERMISSIONS),
        fault("chroot_on_a_mount", wrapped(Wrapper::Chroot { on_a_mount: true }), PERMISSIONS),
        fault("nested_in_roots", nested(true, false), PROC),
        fault("nested_in_a_users", nested(false, false), FINE),
        fault("nested_in_roots_disabling", nested(true, true), EXCEEDED),
        fault("nested_in_a_users_disabling", nested(false, true), EXCEEDED),
        fault("landlock", landlock(false), SLAVE),
        fault("landlock_user", landlock(false).uid(1000), SLAVE),
        fault("landlock_writing", landlock(true), UID_MAP_ACCESS),
        fault("landlock_writing_user", landlock(true).uid(1000), UID_MAP_ACCESS),
        fault("unmapped", wrapped(Wrapper::UnmappedUid), PERMISSIONS),
        fault("unmapped_user", wrapped(Wrapper::UnmappedUid).uid(1000), PERMISSIONS),
    ]
}

/// What is missing, or leads nowhere.
fn files() -> Vec<Fault> {
    let pod = Bundle::containerd().user_namespace(true).unmasked();
    let mut faults = vec![
        fault("no_tmp", Bundle::bare().remove("/tmp"), TMPFS),
        fault("readonly_root", Bundle::bare().readonly_root(true), FINE),
        fault("pod_no_null", pod.remove_device("/dev/null"), DEVICE),
    ];
    let circle = |name, made: &str, program, line| {
        let says = Says::Message(program, "Too many levels of symbolic links");
        fault(name, Bundle::bare().prepare(made), says).with(line)
    };
    faults.extend([
        circle(
            "exec_links_in_a_circle",
            "ln -s to \"$root\"/usr/bin/fro && ln -s fro \"$root\"/usr/bin/to",
            "execvp fro: ",
            &["--unshare-all", "--ro-bind", "/", "/", "fro"],
        ),
        circle(
            "exec_interpreters_in_a_circle",
            "printf '#!/usr/bin/by\\n' > \"$root\"/usr/bin/by && chmod 755 \"$root\"/usr/bin/by",
            "execvp by: ",
            &["--unshare-all", "--ro-bind", "/", "/", "by"],
        ),
    ]);
    faults.extend(["null", "zero", "full", "random", "urandom", "tty"].map(|name| {
        let bundle = Bundle::bare().remove_device(&format!("/dev/{name}"));
        fault(format!("no_{name}"), bundle, DEVICE)
    }));
    faults
}

/// Faults behind faults: taking one away shows the next.
fn stacks() -> Vec<Fault> {
    let docker = || Bundle::docker().cap_drop("SETFCAP");
    let filtered = || docker().cap_add("SYS_ADMIN");
    let open = || docker().seccomp(Seccomp::None);
    let landlock = Wrapper::Landlock { write_file: true };
    vec![
        fault("stack_seccomp_setfcap_masks", docker(), PERMISSIONS),
        fault("stack_setfcap_masks", open(), UID_MAP),
        fault("stack_masks", open().cap_add("SETFCAP"), PROC),
        fault("stack_nothing", open().cap_add("SETFCAP").unmasked(), FINE),
        fault("stack_masks_as_user", open().uid(1000).gid(1000), PROC),
        fault("stack_setfcap_pivot_masks", filtered(), UID_MAP),
        fault("stack_pivot_masks", filtered().cap_add("SETFCAP"), PIVOT),
        fault("stack_tmp_masks", Bundle::podman().remove("/tmp"), TMPFS),
        fault("stack_landlock_masks", Bundle::podman().wrapper(landlock.clone()), UID_MAP_ACCESS),
        fault("stack_landlock_setfcap_masks", Bundle::crio().wrapper(landlock), UID_MAP_ACCESS),
        fault("stack_readonly_setfcap", Bundle::crio().proc_readonly(), UID_MAP_READONLY),
        fault("stack_masks_null", Bundle::podman().remove_device("/dev/null"), PROC),
        fault("stack_pids_seccomp", docker().pids_limit(1), PERMISSIONS),
        fault("stack_pids_setfcap_masks", open().pids_limit(1), CLONE_AGAIN),
    ]
}
