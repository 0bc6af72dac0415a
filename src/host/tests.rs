//! Snapshots of made-up machines: directories that look like a root.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::ffi::OsString;
use std::fs;

use tempfile::TempDir;

use super::*;

/// A root directory with these files in it.
fn machine(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn read(files: &[(&str, &str)]) -> Host {
    Host::read(&Source::directory(machine(files).path(), |_| None))
}

fn platforms(files: &[(&str, &str)], environment: fn(&str) -> Option<OsString>) -> Vec<Platform> {
    let host = Host::read(&Source::directory(machine(files).path(), environment));
    host.platforms.present().into_iter().flatten().map(|sighting| sighting.platform).collect()
}

fn nothing(_: &str) -> Option<OsString> {
    None
}

const ROOT: &str = "1 0 8:1 / / rw,relatime - ext4 /dev/vda1 rw\n";

#[test]
fn what_is_not_there_is_absent_and_what_cannot_be_read_says_why() {
    let host = read(&[("/proc/thread-self/mountinfo", "nonsense\n"), ("/sys/kernel/security/lsm/x", "")]);
    let odd = "no line that anybody understands";
    assert_eq!(host.distribution, Fact::Absent);
    assert_eq!(*host.sysctl("user.max_user_namespaces"), Fact::Absent);
    assert_eq!(host.mounts, Fact::Unreadable(odd.into()));
    assert_eq!(host.security.modules, Fact::Unreadable("not a regular file".into()));
    assert_eq!(host.files[Path::new("/tmp")], Fact::Absent);
    assert_eq!(host.user_namespace.exists, Fact::Absent);
    // where /proc is missing, the kernel still says its name
    assert!(host.kernel.release.present().is_some());
}

#[test]
fn facts_are_read() {
    let host = read(&[
        ("/proc/sys/kernel/osrelease", "6.1.0-25-amd64\n"),
        ("/proc/sys/user/max_user_namespaces", "0\n"),
        ("/proc/thread-self/mountinfo", ROOT),
        (
            "/proc/thread-self/uid_map",
            "         0     100000      65536\n      70000          1          2\n",
        ),
        ("/proc/thread-self/attr/current", "docker-default (enforce)\n\0"),
        ("/proc/filesystems", "nodev\tsysfs\nnodev\tselinuxfs\n\text4\n"),
        ("/sys/module/apparmor/parameters/enabled", "Y\n"),
        ("/etc/os-release", "PRETTY_NAME=\"X\"\nVERSION_ID=\"12\"\nID=debian\n"),
        ("/proc/self/ns/user", ""),
        ("/tmp/x", ""),
    ]);
    assert!(host.kernel.release.is("6.1.0-25-amd64"));
    assert!(host.sysctl("user.max_user_namespaces").is("0"));
    let map = host.user_namespace.uid_map.present().unwrap();
    assert_eq!(map[1], IdMapping { inside: 70_000, outside: 1, count: 2 });
    assert_eq!(host.user_namespace.is_initial(), Some(false));
    assert_eq!(host.security.apparmor(), Some("docker-default"));
    assert!(host.security.is_apparmor_enforcing());
    assert!(host.security.apparmor_enabled.is(&true) && host.security.selinux_filesystem.is(&true));
    assert!(host.distribution.is(&Distribution { id: "debian".into(), version: "12".into() }));
    assert!(host.files[Path::new("/tmp")].is(&FileKind::Directory));
    assert!(host.user_namespace.exists.is(&true) && host.user_namespace.uid_map_writable.is(&true));
    assert!(host.platforms.is_absent());
}

#[test]
fn labels_of_neither_module_are_no_profiles() {
    // SELinux without a policy
    let host = read(&[("/proc/thread-self/attr/current", "kernel")]);
    assert_eq!((host.security.selinux(), host.security.apparmor()), (None, None));
    let host = read(&[("/proc/thread-self/attr/current", "system_u:system_r:container_t:s0:c1,c2\n")]);
    assert_eq!(host.security.selinux().unwrap().domain, "container_t");
    assert_eq!(host.security.apparmor(), None);
    let host = read(&[("/proc/thread-self/attr/current", "unconfined\n")]);
    assert_eq!(host.security.apparmor(), Some("unconfined"));
    assert!(!host.security.is_apparmor_enforcing());
}

#[test]
fn every_platform_leaves_its_traces() {
    let root = |options: &str| format!("1 0 0:1 / / rw,relatime - overlay overlay rw,{options}\n");
    let docker = root("lowerdir=/var/lib/docker/overlay2/l/X,upperdir=/u");
    let containerd =
        root("upperdir=/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs");
    let storage = root("upperdir=/var/lib/containers/storage/overlay/x/diff");
    let mountinfo = "/proc/thread-self/mountinfo";
    let cgroup = "/proc/thread-self/cgroup";
    for (files, wanted) in [
        (vec![("/.dockerenv", "")], vec![Platform::Docker]),
        (vec![("/run/.containerenv", "")], vec![Platform::Podman]),
        (vec![("/.flatpak-info", "")], vec![Platform::Flatpak]),
        (vec![("/run/systemd/container", "systemd-nspawn\n")], vec![Platform::Nspawn]),
        (vec![("/run/systemd/container", "incus\n")], vec![Platform::Lxc]),
        (vec![("/run/systemd/container", "rkt\n")], vec![Platform::Container]),
        (vec![(mountinfo, docker.as_str())], vec![Platform::Docker]),
        (vec![(mountinfo, containerd.as_str())], vec![Platform::Containerd]),
        (vec![(mountinfo, storage.as_str())], vec![Platform::Podman]),
        (
            vec![(cgroup, "0::/kubepods.slice/kubepods-besteffort.slice/crio-abc.scope\n")],
            vec![Platform::Kubernetes, Platform::CriO],
        ),
        (vec![(cgroup, "0::/machine.slice/libpod-abc.scope\n")], vec![Platform::Podman]),
        (
            vec![(cgroup, "0::/system.slice/ci.service\n"), ("/proc/thread-self/uid_map", "0 0 4294967295")],
            vec![Platform::SystemdUnit],
        ),
        (vec![("/proc/sys/kernel/osrelease", "4.19.0-gvisor\n")], vec![Platform::GVisor]),
        (vec![("/proc/sys/kernel/osrelease", "4.4.0-19041-Microsoft\n")], vec![Platform::Wsl1]),
        (vec![("/proc/sys/kernel/osrelease", "5.15.153.1-microsoft-standard-WSL2\n")], vec![Platform::Wsl2]),
        (vec![(mountinfo, "7 6 0:1 / /proc rw,relatime - proc proc rw\n")], vec![Platform::Chroot]),
        (vec![(mountinfo, ROOT)], vec![]),
    ] {
        assert_eq!(platforms(&files, nothing), wanted, "{files:?}");
    }
    let github = |name: &str| (name == "GITHUB_ACTIONS").then(|| "true".into());
    assert_eq!(platforms(&[], github), [Platform::GitHubActions]);
    let pod = |name: &str| (name == "KUBERNETES_SERVICE_HOST").then(|| "10.0.0.1".into());
    assert_eq!(platforms(&[(mountinfo, &storage)], pod), [Platform::Kubernetes, Platform::CriO]);
    let podman = |name: &str| (name == "container").then(|| "podman".into());
    assert_eq!(platforms(&[], podman), [Platform::Podman]);
}

/// Both mount the same file and keep containers in the same storage.
#[test]
fn cri_o_is_not_taken_for_podman() {
    let root = "1 0 0:1 / / rw - overlay overlay rw,upperdir=/var/lib/containers/storage/overlay/x/diff\n";
    let mount = |point: &str| format!("2 1 0:8 /x{point} {point} rw,nosuid - tmpfs tmpfs rw\n");
    let env = mount("/run/.containerenv");
    let log = mount("/dev/termination-log");
    let seen = |content: &str, mounts: &[&str], environment: fn(&str) -> Option<OsString>| {
        let mountinfo = mounts.concat();
        let files = [("/run/.containerenv", content), ("/proc/thread-self/mountinfo", mountinfo.as_str())];
        platforms(&files, environment)
    };
    let pod = |name: &str| (name == "KUBERNETES_SERVICE_HOST").then(|| "10.0.0.1".into());
    let podman = |name: &str| match name {
        "KUBERNETES_SERVICE_HOST" => Some("10.0.0.1".into()),
        "container" => Some("podman".into()),
        _ => None,
    };
    assert_eq!(seen("", &[root, &env], pod), [Platform::CriO, Platform::Kubernetes]);
    // where the file is no mount, the storage tells
    assert_eq!(seen("", &[root], pod), [Platform::Kubernetes, Platform::CriO]);
    // a launcher that clears the environment
    assert_eq!(seen("", &[root, &env, &log], nothing), [Platform::CriO, Platform::Kubernetes]);
    assert_eq!(seen("", &[root, &env], nothing), [Platform::Podman]);
    // Podman inside of a pod
    assert_eq!(seen("", &[ROOT, &env], podman), [Platform::Podman, Platform::Kubernetes]);
    let filled = "engine=\"podman-5.4.2\"\n";
    assert_eq!(seen(filled, &[ROOT, &env], pod), [Platform::Podman, Platform::Kubernetes]);
}

/// `docker export` leaves the file in the root directory, and `podman build` leaves its own in images.
#[test]
fn files_of_engines_that_are_not_there_are_no_traces() {
    let mount = |point: &str| format!("2 1 8:1 /x{point} {point} rw,relatime - ext4 /dev/vda1 rw\n");
    let (hostname, podmans) = (mount("/etc/hostname"), mount("/run/.containerenv"));
    let seen = |files: &[&str], mounts: &[&str]| {
        let mountinfo = format!("{ROOT}{}", mounts.concat());
        let files = files.iter().map(|file| (*file, ""));
        let files: Vec<_> = files.chain([("/proc/thread-self/mountinfo", mountinfo.as_str())]).collect();
        platforms(&files, nothing)
    };
    let (docker, podman) = ("/.dockerenv", "/run/.containerenv");
    assert_eq!(seen(&[docker], &[]), []);
    assert_eq!(seen(&[docker], &[&hostname]), [Platform::Docker]);
    assert_eq!(seen(&[podman], &[]), []);
    assert_eq!(seen(&[podman], &[&podmans]), [Platform::Podman]);
    assert_eq!(seen(&[docker, podman], &[&hostname]), [Platform::Docker]);
    assert_eq!(seen(&[docker, podman], &[&hostname, &podmans]), [Platform::Podman]);
    let group = ("/proc/thread-self/cgroup", "0::/machine.slice/libpod-abc.scope\n");
    assert_eq!(platforms(&[group, (docker, "")], nothing), [Platform::Podman]);
}

#[test]
fn the_tightest_limit_on_processes_counts() {
    let host = read(&[
        ("/proc/thread-self/mountinfo", "1 0 0:9 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"),
        ("/proc/thread-self/cgroup", "0::/a/b\n"),
        ("/sys/fs/cgroup/a/pids.max", "10\n"),
        ("/sys/fs/cgroup/a/pids.current", "8\n"),
        ("/sys/fs/cgroup/a/b/pids.max", "max\n"),
        ("/sys/fs/cgroup/a/b/pids.current", "3\n"),
    ]);
    assert!(host.cgroup.pids.is(&PidsLimit::new("/sys/fs/cgroup/a", 10, 8)), "{:?}", host.cgroup);
    // version 1; a container sees its own group as the root
    let host = read(&[
        ("/proc/thread-self/mountinfo", "1 0 0:9 /docker/x /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n"),
        ("/proc/thread-self/cgroup", "3:cpu:/docker/x\n2:pids:/docker/x\n"),
        ("/sys/fs/cgroup/pids/pids.max", "5\n"),
        ("/sys/fs/cgroup/pids/pids.current", "4\n"),
    ]);
    assert!(host.cgroup.pids.is(&PidsLimit::new("/sys/fs/cgroup/pids", 5, 4)), "{:?}", host.cgroup);
    assert_eq!(host.cgroup.paths.present().unwrap(), &["/docker/x"]);
}

#[cfg(feature = "serde")]
#[test]
fn a_snapshot_survives_json() {
    let host = Host::snapshot_for(Path::new("/bin/sh"), "1");
    let json = serde_json::to_string(&host).unwrap();
    assert_eq!(serde_json::from_str::<Host>(&json).unwrap(), host);
}

#[cfg(feature = "serde")]
#[test]
fn a_partial_one_leaves_the_rest_unknown() {
    let json = r#"{
        "process": { "uid": { "present": 0 }, "effective": { "present": "00000000a80425fb" } },
        "security": { "label": "absent", "selinux_enforcing": { "unreadable": "Permission denied" } },
        "sysctls": { "kernel.unprivileged_userns_clone": { "present": "0" } }
    }"#;
    let host: Host = serde_json::from_str(json).unwrap();
    assert!(host.process.effective.present().unwrap().has(crate::Capability::CAP_SETFCAP));
    assert!(host.process.seccomp.is_unknown() && host.mounts.is_unknown() && host.security.label.is_absent());
    assert!(host.sysctl("kernel.unprivileged_userns_clone").is("0"));
    assert!(host.sysctl("user.max_user_namespaces").is_unknown());
    assert_eq!(host.user_namespace.is_initial(), None);
    assert!(serde_json::from_str::<Host>(r#"{ "process": { "uid": 0 } }"#).is_err());
}

#[cfg(feature = "serde")]
#[test]
fn paths_that_are_no_text_are_shown_all_the_same() {
    use std::os::unix::ffi::OsStringExt;
    let mut host = Host::default();
    let path = PathBuf::from(OsString::from_vec(b"/opt/\xff/bwrap".to_vec()));
    host.bwrap = Fact::Present(Program::new(path, "0.11.0"));
    assert!(serde_json::to_string(&host).unwrap().contains("/opt/\u{fffd}/bwrap"));
}

#[test]
fn nobody_waits_for_a_fifo() {
    let root = machine(&[]);
    fs::create_dir(root.path().join("etc")).unwrap();
    nix::unistd::mkfifo(&root.path().join("etc/os-release"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let host = Host::read(&Source::directory(root.path(), |_| None));
    assert_eq!(host.distribution, Fact::Unreadable("not a regular file".into()));
}

#[test]
fn an_odd_mount_takes_no_other_with_it() {
    let host = read(&[("/proc/thread-self/mountinfo", &format!("7 1 odd\n{ROOT}"))]);
    assert_eq!(host.mounts.present().unwrap().len(), 1);
    // nothing is mounted below the root of a chroot
    assert_eq!(read(&[("/proc/thread-self/mountinfo", "")]).mounts, Fact::Present(Vec::new()));
}

#[test]
fn a_node_with_many_containers_is_read() {
    let layers = "/lower:".repeat(9000);
    let lines =
        (0..100).map(|id| format!("{id} 0 0:{id} / /c{id} rw - overlay overlay rw,lowerdir={layers}\n"));
    let host = read(&[("/proc/thread-self/mountinfo", &lines.collect::<String>())]);
    assert_eq!(host.mounts.present().unwrap().len(), 100);
}

#[test]
fn what_is_too_long_is_not_read_in_part() {
    let root = machine(&[("/etc/os-release", "ID=debian\n"), ("/proc/thread-self/mountinfo", ROOT)]);
    let lengthen = |path: &str, size: u64| {
        let file = fs::File::options().write(true).open(root.path().join(path)).unwrap();
        file.set_len(size).unwrap();
    };
    lengthen("etc/os-release", (4 << 20) + 1);
    lengthen("proc/thread-self/mountinfo", (64 << 20) + 1);
    let host = Host::read(&Source::directory(root.path(), |_| None));
    assert_eq!(host.distribution, Fact::Unreadable("longer than 4 MiB".into()));
    assert_eq!(host.mounts, Fact::Unreadable("longer than 64 MiB".into()));
}

#[test]
fn no_limit_is_absent() {
    use rustix::process::{Resource, getrlimit};
    let process = Host::snapshot().process;
    for (soft, hard, resource) in [
        (process.process_limit, process.process_limit_max, Resource::Nproc),
        (process.descriptor_limit, process.descriptor_limit_max, Resource::Nofile),
    ] {
        let limits = getrlimit(resource);
        for (fact, limit) in [(soft, limits.current), (hard, limits.maximum)] {
            assert_eq!(fact.present().copied(), limit);
            assert!(fact.is_absent() || fact.present().is_some_and(|limit| *limit < u64::MAX));
        }
    }
}

#[cfg(feature = "serde")]
#[test]
fn a_platform_of_the_future_does_not_spoil_a_snapshot() {
    let json = r#"{ "platforms": { "present": [{ "platform": "apptainer", "evidence": "/singularity" }] } }"#;
    let host: Host = serde_json::from_str(json).unwrap();
    assert!(host.sighting(Platform::Unknown).is_some());
}
