//! Hosts for the tests of rules, as if read from such machines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::{Cause, Confidence, Diagnosis, Symptom, Verdict, diagnose, predict};
use crate::host::{CapabilitySet, Fact, Host, IdMapping, Mount, Platform, Sighting};
use crate::sandbox::{Namespaces, Sandbox};

/// What Docker and containerd leave to a container.
pub(super) const DOCKER_CAPABILITIES: u64 = 0xa804_25fb;

/// A plain machine, uid 1000, nothing in the way.
pub(super) fn machine() -> Host {
    let mut host = Host::default();
    host.kernel.release = Fact::Present("6.12.0-1-amd64".into());
    host.platforms = Fact::Absent;
    host.process.uid = Fact::Present(1000);
    host.process.real_uid = Fact::Present(1000);
    host.process.gid = Fact::Present(1000);
    host.process.real_gid = Fact::Present(1000);
    for set in [&mut host.process.effective, &mut host.process.permitted, &mut host.process.inheritable] {
        *set = Fact::Present(CapabilitySet(0));
    }
    host.process.ambient = Fact::Present(CapabilitySet(0));
    host.process.bounding = Fact::Present(CapabilitySet(0x1ff_ffff_ffff));
    host.process.no_new_privs = Fact::Present(false);
    host.process.seccomp = Fact::Present(0);
    (host.process.process_limit, host.process.process_limit_max) = (Fact::Absent, Fact::Absent);
    host.process.descriptor_limit = Fact::Present(1024);
    host.process.descriptor_limit_max = Fact::Present(1 << 20);
    host.user_namespace.exists = Fact::Present(true);
    host.user_namespace.uid_map = Fact::Present(vec![IdMapping { inside: 0, outside: 0, count: u32::MAX }]);
    host.user_namespace.gid_map = host.user_namespace.uid_map.clone();
    host.user_namespace.setgroups = Fact::Present("allow".into());
    host.user_namespace.uid_map_writable = Fact::Present(true);
    host.mounts = Fact::Present(mounts(&[
        "1 0 8:1 / / rw,relatime - ext4 /dev/vda1 rw",
        "2 1 0:2 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw",
    ]));
    host.security.modules = Fact::Present(vec!["capability".into(), "landlock".into(), "yama".into()]);
    host.security.label = Fact::Absent;
    host.security.apparmor_label = Fact::Absent;
    host.security.apparmor_enabled = Fact::Absent;
    host.security.selinux_filesystem = Fact::Present(false);
    host.security.selinux_enforcing = Fact::Absent;
    for name in ["user", "pid", "net", "mnt", "ipc", "uts", "cgroup"] {
        host.sysctls.insert(format!("user.max_{name}_namespaces"), Fact::Present("100000".into()));
    }
    for name in ["kernel.unprivileged_userns_clone", "kernel.apparmor_restrict_unprivileged_userns"] {
        host.sysctls.insert(name.into(), Fact::Absent);
    }
    host.sysctls.insert("kernel.overflowuid".into(), Fact::Present("65534".into()));
    host.files.insert("/tmp".into(), Fact::Present(crate::host::FileKind::Directory));
    for device in ["full", "null", "random", "tty", "urandom", "zero"] {
        host.files.insert(format!("/dev/{device}").into(), Fact::Present(crate::host::FileKind::Device));
    }
    host
}

/// A container as Docker makes it by default: root with 14 capabilities, filtered, /proc masked.
pub(super) fn docker() -> Host {
    let mut host = container(DOCKER_CAPABILITIES);
    host.platforms = Fact::Present(vec![Sighting::new(Platform::Docker, "/.dockerenv")]);
    host
}

/// A host that is on this platform as well.
pub(super) fn on(mut host: Host, platform: Platform) -> Host {
    let mut seen = host.platforms.present().cloned().unwrap_or_default();
    seen.push(Sighting::new(platform, "test"));
    host.platforms = Fact::Present(seen);
    host
}

/// A host that is on this platform and no other.
pub(super) fn only_on(mut host: Host, platform: Platform) -> Host {
    host.platforms = Fact::Absent;
    on(host, platform)
}

/// A pod of containerd's without a seccomp profile, which is Kubernetes' default.
pub(super) fn pod() -> Host {
    let mut host = container(DOCKER_CAPABILITIES);
    host.process.seccomp = Fact::Present(0);
    host.platforms = Fact::Present(vec![
        Sighting::new(Platform::Kubernetes, "KUBERNETES_SERVICE_HOST in the environment"),
        Sighting::new(Platform::Containerd, "io.containerd. in the overlay mounted on /"),
    ]);
    host
}

fn container(capabilities: u64) -> Host {
    let mut host = machine();
    for id in
        [&mut host.process.uid, &mut host.process.real_uid, &mut host.process.gid, &mut host.process.real_gid]
    {
        *id = Fact::Present(0);
    }
    for set in [&mut host.process.effective, &mut host.process.permitted, &mut host.process.bounding] {
        *set = Fact::Present(CapabilitySet(capabilities));
    }
    host.process.seccomp = Fact::Present(2);
    host.mounts = Fact::Present(mounts(&[
        "1 0 0:1 / / rw,relatime - overlay overlay rw",
        "2 1 0:2 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw",
        "3 2 0:2 /sys /proc/sys ro,nosuid,nodev,noexec,relatime - proc proc rw",
        "4 2 0:2 /bus /proc/bus ro,nosuid,nodev,noexec,relatime - proc proc rw",
        "5 2 0:3 /null /proc/kcore rw,nosuid - tmpfs tmpfs rw",
        "6 2 0:4 / /proc/acpi ro,relatime - tmpfs tmpfs ro",
    ]));
    host
}

pub(super) fn mounts(lines: &[&str]) -> Vec<Mount> {
    lines.iter().map(|line| Mount::parse(line).expect(line)).collect()
}

/// A sandbox with everything: all namespaces, /proc, /dev.
pub(super) fn whole() -> Sandbox {
    Sandbox::new().ro_bind("/usr", "/usr").proc("/proc").dev("/dev").tmpfs("/tmp").unshare_all()
}

/// What explains a message on a host.
pub(super) fn explain(message: &str, host: &Host, sandbox: &Sandbox) -> Diagnosis {
    let mut symptom = Symptom::from_text(format!("bwrap: {message}\n").as_bytes());
    symptom.verdict = Verdict::SetupFailed;
    diagnose(&symptom, host, Some(sandbox))
}

/// The same sandbox without a user namespace of its own, unless bwrap makes one unasked.
pub(super) fn without_user(sandbox: &Sandbox) -> Sandbox {
    let mut sandbox = sandbox.clone();
    sandbox.namespaces.unshare = Namespaces::PID | Namespaces::NET | Namespaces::UTS | Namespaces::IPC;
    sandbox
}

/// How sure it is before a launch that a cause stands in the way.
pub(super) fn foreseen(host: &Host, sandbox: &Sandbox, cause: Cause) -> Option<Confidence> {
    let found = predict(host, sandbox).obstacles.into_iter().find(|found| found.cause == cause);
    found.map(|found| found.confidence)
}
