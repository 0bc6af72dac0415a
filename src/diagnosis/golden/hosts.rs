//! The hosts, sandboxes and settings whose words are held.

use crate::diagnosis::fixtures::{
    DOCKER_CAPABILITIES, docker, machine, mounts, on, pod, whole, without_user,
};
use crate::host::{CapabilitySet, Fact, FileKind, Host, IdMapping, PidsLimit, Platform, Program, Sighting};
use crate::sandbox::{Bind, Chmod, Filter, Overlay, RemountRo, Sandbox, Tmpfs};

pub(super) type Named<T> = (&'static str, T);

fn changed(mut host: Host, change: impl FnOnce(&mut Host)) -> Host {
    change(&mut host);
    host
}

fn set(host: &mut Host, name: &str, value: &str) {
    host.sysctls.insert(name.into(), Fact::Present(value.into()));
}

fn apparmor(host: &mut Host, label: &str) {
    host.security.label = Fact::Present(label.into());
    host.security.apparmor_label = Fact::Present(label.into());
    host.security.apparmor_enabled = Fact::Present(true);
    host.security.modules = Fact::Present(vec!["capability".into(), "landlock".into(), "apparmor".into()]);
}

/// Ubuntu's restriction of whoever is unconfined.
fn restrict(host: &mut Host) {
    apparmor(host, "unconfined");
    set(host, "kernel.apparmor_restrict_unprivileged_userns", "1");
}

fn profiles(host: &mut Host, there: bool) {
    for name in ["bwrap", "bwrap-userns-restrict"] {
        let fact = if there { Fact::Present(FileKind::Other) } else { Fact::Absent };
        host.files.insert(format!("/etc/apparmor.d/{name}").into(), fact);
    }
}

fn selinux(host: &mut Host, label: &str, enforcing: Fact<bool>) {
    host.security.label = Fact::Present(label.into());
    host.security.selinux_filesystem =
        if enforcing.is_unknown() { Fact::Unknown } else { Fact::Present(true) };
    host.security.selinux_enforcing = enforcing;
}

fn root(host: &mut Host, capabilities: u64) {
    for id in
        [&mut host.process.uid, &mut host.process.real_uid, &mut host.process.gid, &mut host.process.real_gid]
    {
        *id = Fact::Present(0);
    }
    host.process.effective = Fact::Present(CapabilitySet(capabilities));
    host.process.permitted = Fact::Present(CapabilitySet(capabilities));
}

fn program(host: &mut Host, version: &str, change: impl FnOnce(&mut Program)) {
    let mut program = Program::new("/usr/bin/bwrap", version);
    change(&mut program);
    host.bwrap = Fact::Present(program);
}

fn mounted(host: &mut Host, lines: &[&str]) {
    host.mounts = Fact::Present(mounts(lines));
}

fn mapped(host: &mut Host, maps: Vec<IdMapping>) {
    host.user_namespace.uid_map = Fact::Present(maps.clone());
    host.user_namespace.gid_map = Fact::Present(maps);
}

const ROOT: &str = "1 0 8:1 / / rw,relatime - ext4 /dev/vda1 rw";
const PROC: &str = "2 1 0:2 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw";
const ALL: u64 = 0x1ff_ffff_ffff;
const SETFCAP: u64 = 1 << 31;
const CONTAINER: &str = "system_u:system_r:container_t:s0:c1,c2";
const INNER: IdMapping = IdMapping { inside: 0, outside: 100_000, count: 65_536 };

/// Hosts with one thing each that tells.
#[allow(clippy::too_many_lines, reason = "a list")]
pub(super) fn hosts() -> Vec<Named<Host>> {
    let machine_with = |change: fn(&mut Host)| changed(machine(), change);
    let docker_with = |change: fn(&mut Host)| changed(docker(), change);
    let pod_with = |change: fn(&mut Host)| changed(pod(), change);
    vec![
        ("nothing known", Host::default()),
        ("machine", machine()),
        ("machine's root", machine_with(|host| root(host, ALL))),
        ("root without capabilities", machine_with(|host| root(host, 0))),
        ("root without SETFCAP", machine_with(|host| root(host, ALL & !SETFCAP))),
        ("ubuntu", machine_with(restrict)),
        (
            "ubuntu, no profiles",
            machine_with(|host| {
                restrict(host);
                profiles(host, false);
            }),
        ),
        (
            "ubuntu, profiles",
            machine_with(|host| {
                restrict(host);
                profiles(host, true);
            }),
        ),
        (
            "ubuntu's root",
            machine_with(|host| {
                restrict(host);
                root(host, ALL);
            }),
        ),
        (
            "in unprivileged_userns",
            machine_with(|host| {
                restrict(host);
                apparmor(host, "unprivileged_userns (enforce)");
            }),
        ),
        ("in a profile", machine_with(|host| apparmor(host, "thing (enforce)"))),
        (
            "in a complaining profile",
            machine_with(|host| {
                restrict(host);
                apparmor(host, "thing (complain)");
            }),
        ),
        ("in our profile", docker_with(|host| apparmor(host, "bwrap-container (enforce)"))),
        (
            "in a domain",
            machine_with(|host| selinux(host, "staff_u:staff_r:staff_t:s0", Fact::Present(true))),
        ),
        ("in a free domain", machine_with(|host| selinux(host, "u:r:unconfined_t:s0", Fact::Present(true)))),
        (
            "landlocked",
            machine_with(|host| {
                host.process.no_new_privs = Fact::Present(true);
                host.user_namespace.uid_map_writable = Fact::Unreadable("Permission denied".into());
            }),
        ),
        (
            "not dumpable",
            machine_with(|host| {
                host.user_namespace.uid_map_writable = Fact::Unreadable("Permission denied".into());
            }),
        ),
        ("switched off", machine_with(|host| set(host, "kernel.unprivileged_userns_clone", "0"))),
        (
            "no namespaces left",
            machine_with(|host| {
                for name in ["user", "pid", "net", "mnt", "ipc", "uts", "cgroup"] {
                    set(host, &format!("user.max_{name}_namespaces"), "0");
                }
            }),
        ),
        ("one user namespace", machine_with(|host| set(host, "user.max_user_namespaces", "1"))),
        (
            "few namespaces",
            machine_with(|host| {
                for name in ["user", "pid", "net", "mnt", "ipc", "uts", "cgroup"] {
                    set(host, &format!("user.max_{name}_namespaces"), "20");
                }
            }),
        ),
        ("no user namespaces", machine_with(|host| host.user_namespace.exists = Fact::Present(false))),
        ("filtered", machine_with(|host| host.process.seccomp = Fact::Present(2))),
        (
            "filtered root",
            machine_with(|host| {
                root(host, ALL);
                host.process.seccomp = Fact::Present(2);
            }),
        ),
        (
            "set-id",
            machine_with(|host| {
                host.process.gid = Fact::Present(2000);
                host.process.uid = Fact::Present(2000);
            }),
        ),
        ("unmapped", machine_with(|host| mapped(host, vec![]))),
        ("inner user namespace", machine_with(|host| mapped(host, vec![INNER]))),
        ("unreadable bwrap", machine_with(|host| program(host, "0.11.0", |bwrap| bwrap.unreadable = true))),
        ("setuid bwrap 0.8", machine_with(|host| program(host, "0.8.0", |bwrap| bwrap.setuid = true))),
        (
            "setuid bwrap 0.12, bounded",
            machine_with(|host| {
                program(host, "0.12.0", |bwrap| bwrap.setuid = true);
                host.process.bounding = Fact::Present(CapabilitySet(0));
            }),
        ),
        (
            "bwrap with capabilities, bounded",
            machine_with(|host| {
                program(host, "0.11.0", |bwrap| bwrap.file_capabilities = true);
                host.process.bounding = Fact::Present(CapabilitySet(DOCKER_CAPABILITIES));
            }),
        ),
        (
            "ambient capabilities",
            machine_with(|host| {
                program(host, "0.11.0", |_| ());
                host.process.ambient = Fact::Present(CapabilitySet(1 << 21));
            }),
        ),
        ("old bwrap", machine_with(|host| program(host, "0.4.0", |_| ()))),
        ("new bwrap", machine_with(|host| program(host, "0.12.0", |_| ()))),
        (
            "/proc read-only",
            machine_with(|host| {
                mounted(host, &[ROOT, "2 1 0:2 / /proc ro,nosuid,nodev,noexec,relatime - proc proc rw"]);
            }),
        ),
        (
            "no /proc",
            machine_with(|host| {
                mounted(host, &[ROOT]);
                host.sysctls.insert("kernel.overflowuid".into(), Fact::Absent);
            }),
        ),
        (
            "/proc of a subset",
            machine_with(|host| {
                mounted(host, &[ROOT, "2 1 0:2 / /proc rw,relatime - proc proc rw,subset=pid"]);
                host.sysctls.insert("kernel.overflowuid".into(), Fact::Unknown);
            }),
        ),
        (
            "/proc strictatime",
            machine_with(|host| mounted(host, &[ROOT, "2 1 0:2 / /proc rw,nosuid - proc proc rw"])),
        ),
        (
            "/proc covered",
            machine_with(|host| {
                mounted(
                    host,
                    &[
                        ROOT,
                        PROC,
                        "3 2 0:9 / /proc/sys/fs/binfmt_misc rw - binfmt_misc x rw",
                        "4 2 0:3 / /proc/x rw - tmpfs t rw",
                    ],
                );
            }),
        ),
        ("chroot", machine_with(|host| mounted(host, &[PROC]))),
        ("initramfs", machine_with(|host| mounted(host, &["1 1 0:1 / / rw - rootfs rootfs rw", PROC]))),
        ("hint of a chroot", machine_with(|host| *host = on(host.clone(), Platform::Chroot))),
        (
            "old kernel",
            machine_with(|host| host.kernel.release = Fact::Present("4.18.0-553.el8_10.x86_64".into())),
        ),
        (
            "ancient kernel",
            machine_with(|host| host.kernel.release = Fact::Present("3.10.0-1160.el7.x86_64".into())),
        ),
        (
            "full control group",
            machine_with(|host| {
                host.cgroup.pids = Fact::Present(PidsLimit::new("/sys/fs/cgroup/box", 10, 9));
            }),
        ),
        (
            "processes used up",
            machine_with(|host| {
                (host.process.process_limit, host.process.processes) = (Fact::Present(50), Fact::Present(50));
            }),
        ),
        (
            "few descriptors",
            machine_with(|host| {
                (host.process.descriptor_limit, host.process.descriptors) =
                    (Fact::Present(64), Fact::Present(60));
            }),
        ),
        ("few mounts", machine_with(|host| set(host, "fs.mount-max", "2"))),
        (
            "no /tmp, no /dev/tty",
            machine_with(|host| {
                host.files.insert("/tmp".into(), Fact::Absent);
                host.files.insert("/dev/tty".into(), Fact::Absent);
            }),
        ),
        (
            "unit",
            machine_with(|host| {
                *host = on(host.clone(), Platform::SystemdUnit);
                host.process.seccomp = Fact::Present(2);
                host.cgroup.paths = Fact::Present(vec!["/system.slice/runner.service".into()]);
            }),
        ),
        ("wsl 1", machine_with(|host| *host = on(host.clone(), Platform::Wsl1))),
        ("gvisor", machine_with(|host| *host = on(host.clone(), Platform::GVisor))),
        (
            "flatpak",
            machine_with(|host| {
                *host = on(host.clone(), Platform::Flatpak);
                host.process.seccomp = Fact::Present(2);
            }),
        ),
        (
            "outer bwrap",
            machine_with(|host| {
                *host = on(host.clone(), Platform::Bubblewrap);
                mounted(
                    host,
                    &[
                        ROOT,
                        PROC,
                        "3 2 0:2 /sys /proc/sys ro - proc proc rw",
                        "4 2 0:2 /irq /proc/irq ro - proc proc rw",
                        "5 2 0:2 /bus /proc/bus ro - proc proc rw",
                    ],
                );
            }),
        ),
        ("docker", docker()),
        (
            "docker, as user",
            docker_with(|host| {
                root(host, 0);
                host.process.uid = Fact::Present(1000);
                host.process.real_uid = Fact::Present(1000);
            }),
        ),
        ("docker-default", docker_with(|host| apparmor(host, "docker-default (enforce)"))),
        ("docker on selinux", docker_with(|host| selinux(host, CONTAINER, Fact::Unknown))),
        (
            "docker, not filtered, SYS_ADMIN",
            docker_with(|host| {
                root(host, ALL);
                host.process.seccomp = Fact::Present(0);
            }),
        ),
        ("pod", pod()),
        ("pod without SETFCAP", pod_with(|host| root(host, DOCKER_CAPABILITIES & !SETFCAP))),
        ("pod with NET_ADMIN, SYS_ADMIN", pod_with(|host| root(host, DOCKER_CAPABILITIES | 1 << 21))),
        ("pod with a user namespace", pod_with(|host| mapped(host, vec![INNER]))),
        ("unmasked pod of CRI-O 1.33.1", pod_with(masked_by_cri_o)),
    ]
}

/// The masks without what is read-only by default.
fn masked_by_cri_o(host: &mut Host) {
    host.platforms = Fact::Present(vec![Sighting::new(Platform::CriO, "/run/.containerenv")]);
    mapped(host, vec![INNER]);
    host.mounts = Fact::Present(mounts(&[
        "1 0 0:1 / / rw,relatime - overlay overlay rw",
        "2 1 0:2 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw",
        "3 2 0:3 / /proc/acpi ro,relatime - tmpfs tmpfs ro",
        "4 2 0:4 /null /proc/keys rw,nosuid - tmpfs tmpfs rw",
    ]));
}

/// What remedies are for: where we are, and each of these under the policies of [`policies`].
pub(super) fn settings() -> Vec<Named<Fact<Vec<Platform>>>> {
    let known = |platforms: &[Platform]| Fact::Present(platforms.to_vec());
    vec![
        ("nowhere", Fact::Unknown),
        ("machine", Fact::Absent),
        ("unit", known(&[Platform::SystemdUnit])),
        ("Docker", known(&[Platform::Docker])),
        ("Docker by GitLab", known(&[Platform::Docker, Platform::GitLabCi])),
        ("Docker by GitHub", known(&[Platform::Docker, Platform::GitHubActions])),
        ("Podman", known(&[Platform::Podman])),
        ("Kubernetes", known(&[Platform::Kubernetes])),
        ("Kubernetes by GitLab", known(&[Platform::Kubernetes, Platform::GitLabCi])),
        ("OpenShift", known(&[Platform::Kubernetes, Platform::OpenShift])),
        ("CRI-O", known(&[Platform::CriO])),
        ("containerd", known(&[Platform::Containerd])),
        ("LXC", known(&[Platform::Lxc])),
        ("nspawn", known(&[Platform::Nspawn])),
        ("container", known(&[Platform::Container])),
        ("Flatpak", known(&[Platform::Flatpak])),
        ("Snap", known(&[Platform::Snap])),
        ("Firejail", known(&[Platform::Firejail])),
        ("gVisor", known(&[Platform::GVisor])),
        ("WSL 1", known(&[Platform::Wsl1])),
        ("bwrap", known(&[Platform::Bubblewrap])),
    ]
}

/// A host of each kind that decides between remedies.
pub(super) fn policies() -> Vec<Named<Host>> {
    vec![
        (
            "user",
            changed(machine(), |host| {
                host.cgroup.paths = Fact::Present(vec!["/system.slice/runner.service".into()]);
            }),
        ),
        ("user under AppArmor", changed(machine(), |host| apparmor(host, "thing (enforce)"))),
        (
            "user on Ubuntu",
            changed(machine(), |host| {
                restrict(host);
                profiles(host, false);
            }),
        ),
        ("user under SELinux", changed(machine(), |host| selinux(host, CONTAINER, Fact::Present(true)))),
        ("root", docker()),
        ("root under AppArmor", changed(docker(), |host| apparmor(host, "docker-default (enforce)"))),
        ("root under SELinux", changed(docker(), |host| selinux(host, CONTAINER, Fact::Unknown))),
    ]
}

/// What is asked for.
pub(super) fn sandboxes() -> Vec<Named<Option<Sandbox>>> {
    vec![
        ("whole", Some(whole())),
        ("as root", Some(without_user(&whole()))),
        ("strict", Some(whole().share_net().disable_userns().hostname("box"))),
        ("unknown", None),
    ]
}

/// Messages about what a sandbox asks for, with that sandbox.
#[allow(clippy::too_many_lines, reason = "a list")]
pub(super) fn mistakes() -> Vec<(&'static str, Sandbox)> {
    let new = Sandbox::new;
    vec![
        (
            "Can't find source path /opt/tools: No such file or directory",
            new().ro_bind("/usr", "/usr").ro_bind("/opt/tools", "/opt/tools"),
        ),
        ("Can't find source path opt/tools: Not a directory", new().ro_bind("opt/tools", "/opt/tools")),
        (
            "Can't find source path /more: No such file or directory",
            new().add(Overlay::temporary("/usr").layer("/base").layer("/more")),
        ),
        (
            "Can't find source path /root/x: Permission denied",
            new().add(Bind::read_only("/root/x", "/x").optional()),
        ),
        ("Can't find source path /root/x: Too many levels of symbolic links", new().ro_bind("/root/x", "/x")),
        (
            "Can't mkdir /usr/xx: Read-only file system",
            new().ro_bind("/", "/").ro_bind("/usr", "/usr").tmpfs("/usr/xx"),
        ),
        (
            "Can't create file at /newroot/data/p/f: Read-only file system",
            new().ro_bind("/srv/a b", "/data").ro_bind("/etc/passwd", "/data/p/f"),
        ),
        (
            "Can't mkdir /x: Read-only file system",
            new().tmpfs("/").ro_bind("/usr", "/usr").add(RemountRo::new("/")).dir("/x"),
        ),
        (
            "Can't mkdir parents for /etc/x/passwd: Permission denied",
            new().bind("/", "/").ro_bind("/etc/passwd", "/etc/x/passwd"),
        ),
        ("Can't mkdir /proc/x: Operation not permitted", new().proc("/proc").dir("/proc/x")),
        (
            "Can't mount on symlink destination /lib64/x",
            new().ro_bind("/usr", "/usr").symlink("usr/lib64", "/lib64").tmpfs("/lib64/x"),
        ),
        (
            "Can't mount tmpfs on /newroot/tmp/l: No such file or directory",
            new().tmpfs("/tmp").symlink("/nowhere", "/tmp/l").tmpfs("/tmp/l"),
        ),
        (
            "Can't mount on symlink destination /etc/resolv.conf",
            new().bind("/srv/root", "/").ro_bind("/run/resolv", "/etc/resolv.conf"),
        ),
        ("Can't create file at /usr: Is a directory", new().ro_bind("/", "/").ro_bind("/etc/passwd", "/usr")),
        ("Can't mkdir /etc/passwd: Not a directory", new().ro_bind("/", "/").tmpfs("/etc/passwd")),
        (
            "Can't remount readonly on /newroot/usr/bin: Unable to find \"/newroot/usr/bin\" in mount table",
            new().ro_bind("/", "/").add(RemountRo::new("/usr/bin")),
        ),
        (
            "Can't chmod 0755 /nope: No such file or directory",
            new().ro_bind("/", "/").add(Chmod::new(0o755, "/nope")),
        ),
        (
            "Can't make symlink at /tmp/l: existing destination is a",
            new().tmpfs("/tmp").symlink("a", "/tmp/l").symlink("b", "/tmp/l"),
        ),
        (
            "Can't make symlink at /usr/bin/env: destination exists and is not a symlink",
            new().ro_bind("/", "/").symlink("b", "/usr/bin/env"),
        ),
        (
            "Can't write data to file /tmp/big: No space left on device",
            new().add(Tmpfs::new("/tmp").size(4096)).file(vec![0; 8192], "/tmp/big"),
        ),
        (
            "Can't write data to file /srv/x: No space left on device",
            new().bind("/srv", "/srv").file("x", "/srv/x"),
        ),
        (
            "Can't bind mount /oldroot/srv on /newroot/data: Unable to apply mount flags: remount \"/newroot/data/nfs\": Host is down",
            new().bind("/srv", "/data"),
        ),
        (
            "Can't bind mount /oldroot/run/netns/x on /newroot/x: Unable to mount source on destination: Invalid argument",
            new().bind("/run/netns/x", "/x"),
        ),
        (
            "Can't bind mount /oldroot/run/netns/x on /newroot/x: Unable to remount destination \"/newroot/x\" with correct flags: Invalid argument",
            new().bind("/run/netns/x", "/x"),
        ),
        (
            "Can't make overlay mount on /newroot/usr with options lowerdir=/base: Invalid argument",
            new().add(Overlay::temporary("/usr").layer("/base").layer("/more")),
        ),
        ("execvp /usr/bin/true: No such file or directory", new().ro_bind("/usr", "/usr")),
        (
            "execvp /usr/bin/true: No such file or directory",
            new().ro_bind("/usr", "/usr").symlink("usr/lib64", "/lib64"),
        ),
        ("execvp /usr/bin/true: No such file or directory", new().ro_bind("/opt", "/opt").dir("/usr")),
        ("execvp x: No such file or directory", new().ro_bind("/", "/")),
        ("execvp x: No such file or directory", new().ro_bind("/", "/").inherit_env()),
        ("execvp /etc/passwd: Permission denied", new().ro_bind("/", "/")),
        ("execvp nope: Permission denied", new().ro_bind("/", "/")),
        (
            "execvp /bin/true: Operation not permitted",
            new().ro_bind("/", "/").seccomp(Filter::new(vec![0; 8])),
        ),
        (
            "Can't chdir to /work: No such file or directory",
            new().ro_bind("/usr", "/usr").current_dir("/work"),
        ),
        ("Unknown option --overlay", new().add(Overlay::temporary("/usr").layer("/base"))),
        ("Unknown option --ro-bnid", new()),
    ]
}
