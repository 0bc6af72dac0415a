use super::*;
use crate::diagnosis::Cause;
use crate::diagnosis::{Action, Outlook, fixtures::*, predict};
use crate::host::{CapabilitySet, Fact, Host, IdMapping, Platform};
use crate::sandbox::{Descriptor, Namespaces, Sandbox};

const NOT_PERMITTED: &str = "Can't mount proc on /newroot/proc: Operation not permitted";
const DENIED: &str = "Can't mount proc on /proc: Permission denied";

/// The causes that mountinfo tells apart.
const HIDDEN: &[Cause] =
    &[Cause::MaskedProc, Cause::CoveredProc, Cause::OuterBwrapCoversProc, Cause::ProcAtime];

fn with_mounts(mut host: Host, lines: &[&str]) -> Host {
    let mut all = vec!["1 0 0:1 / / rw,relatime - overlay overlay rw"];
    if !lines.iter().any(|line| line.starts_with("2 ")) {
        all.push("2 1 0:2 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw");
    }
    all.extend(lines);
    host.mounts = Fact::Present(mounts(&all));
    host
}

/// The one cause that is foreseen, and the first after a failure.
fn only(host: &Host) -> (Cause, String) {
    let found: Vec<_> =
        predict(host, &whole()).obstacles.into_iter().filter(|found| HIDDEN.contains(&found.cause)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].confidence, High);
    assert_eq!(found[0].operation, Some(1));
    let failed = explain(NOT_PERMITTED, host, &whole());
    assert_eq!(failed.cause(), Some(found[0].cause));
    assert_eq!(failed.causes.iter().filter(|found| HIDDEN.contains(&found.cause)).count(), 1);
    (found[0].cause, found[0].summary.clone())
}

#[test]
fn masks_of_runtimes_are_named() {
    let (cause, summary) = only(&docker());
    assert_eq!(cause, Cause::MaskedProc);
    assert!(summary.starts_with("Docker masks /proc/sys, /proc/bus, /proc/kcore, /proc/acpi"), "{summary}");
    // another mask beside them changes nothing
    let lxcfs = "7 2 0:9 /proc/cpuinfo /proc/cpuinfo rw,relatime - fuse.lxcfs lxcfs rw";
    let mut host = docker();
    let Fact::Present(all) = &mut host.mounts else { panic!() };
    all.extend(mounts(&[lxcfs]));
    assert_eq!(only(&host).0, Cause::MaskedProc);
}

#[test]
fn other_covers_are_told_apart() {
    let cases: &[(&[&str], &str)] = &[
        (
            &["3 2 0:9 /proc/cpuinfo /proc/cpuinfo rw,relatime - fuse.lxcfs lxcfs rw"],
            "LXCFS covers /proc/cpuinfo",
        ),
        (&["3 2 0:9 / /proc/driver/nvidia rw,relatime - tmpfs tmpfs rw"], "NVIDIA"),
        (&["3 2 0:9 / /proc/fun rw,relatime - tmpfs tmpfs rw"], "mounts cover /proc/fun"),
    ];
    for (lines, words) in cases {
        let (cause, summary) = only(&with_mounts(machine(), lines));
        assert_eq!(cause, Cause::CoveredProc);
        assert!(summary.contains(words), "{summary}");
    }
    let mut host = with_mounts(machine(), &["3 2 0:2 /fs /proc/fs ro,relatime - proc proc rw"]);
    host = only_on(host, Platform::SystemdUnit);
    let (cause, summary) = only(&host);
    assert_eq!(cause, Cause::CoveredProc);
    assert!(summary.contains("systemd unit"), "{summary}");
}

#[test]
fn an_outer_bwrap_of_root_is_recognised() {
    let outer = [
        // the outer root's own procfs lies below the sandbox's
        "2 1 0:2 / /proc rw,relatime - proc proc rw",
        "3 2 0:3 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw",
        "4 3 0:3 /irq /proc/irq ro,nosuid,nodev,noexec,relatime - proc proc rw",
        "5 3 0:3 /bus /proc/bus ro,nosuid,nodev,noexec,relatime - proc proc rw",
    ];
    let mut host = with_mounts(machine(), &outer);
    host = only_on(host, Platform::Bubblewrap);
    let (cause, summary) = only(&host);
    assert_eq!(cause, Cause::OuterBwrapCoversProc);
    assert!(summary.contains("/proc/irq, /proc/bus,"), "{summary}");
    let more = [outer[0], outer[1], outer[2], "6 3 0:3 /fs /proc/fs ro,relatime - proc proc rw"];
    assert_eq!(only(&with_mounts(machine(), &more)).0, Cause::MaskedProc);
    // all four are a sign, where no engine is
    let four = [
        "3 2 0:2 /sys /proc/sys ro,relatime - proc proc rw",
        "4 2 0:2 /sysrq-trigger /proc/sysrq-trigger ro,relatime - proc proc rw",
        "5 2 0:2 /irq /proc/irq ro,relatime - proc proc rw",
        "6 2 0:2 /bus /proc/bus ro,relatime - proc proc rw",
    ];
    let mut host = with_mounts(machine(), &four);
    assert_eq!(only(&host).0, Cause::OuterBwrapCoversProc);
    host = only_on(host, Platform::Docker);
    assert_eq!(only(&host).0, Cause::MaskedProc);
}

/// What the outer line mounts itself, whoever starts it.
#[test]
fn an_outer_line_covers_what_it_names() {
    let sys = "3 2 0:2 /sys /proc/sys ro,relatime - proc proc rw";
    let acpi = "4 2 0:9 / /proc/acpi rw,relatime - tmpfs tmpfs rw";
    let keys = "5 2 0:8 /null /proc/keys ro,relatime - devtmpfs udev rw";
    let kcore = "6 2 0:8 /null /proc/kcore ro,relatime - devtmpfs udev rw";
    let two = [
        "7 2 0:2 /irq /proc/irq ro,relatime - proc proc rw",
        "8 2 0:2 /bus /proc/bus ro,relatime - proc proc rw",
    ];
    let inside = |lines: &[&str]| only_on(with_mounts(machine(), lines), Platform::Bubblewrap);
    for lines in [&[sys][..], &[acpi], &[keys], &[acpi, keys]] {
        let host = inside(lines);
        let (cause, summary) = only(&host);
        assert_eq!(cause, Cause::CoveredProc);
        assert!(summary.starts_with("a mount in the outer bwrap's own line covers /proc/"), "{summary}");
        let found = explain(NOT_PERMITTED, &host, &whole());
        assert!(found.remedy().unwrap().summary.contains("outer bwrap's line"), "{found:?}");
    }
    // a runtime's masks, root's own covers, and the same where no bwrap is around
    assert_eq!(only(&inside(&[acpi, keys, kcore])).0, Cause::MaskedProc);
    assert_eq!(only(&inside(&two)).0, Cause::OuterBwrapCoversProc);
    assert_eq!(only(&with_mounts(machine(), &two)).0, Cause::OuterBwrapCoversProc);
    assert_eq!(only(&with_mounts(machine(), &[acpi])).0, Cause::MaskedProc);
    assert_eq!(only(&only_on(with_mounts(machine(), &two), Platform::Docker)).0, Cause::MaskedProc);
    // whose user is not root has had nothing covered
    let mut host = inside(&two);
    let user = crate::host::IdMapping { inside: 1000, outside: 1000, count: 1 };
    host.user_namespace.uid_map = Fact::Present(vec![user]);
    assert_eq!(only(&host).0, Cause::CoveredProc);
}

/// LXC's `proc:mixed`, systemd-nspawn, and Docker with fewer masks cover some of what bwrap covers, in the same way.
#[test]
fn runtimes_cover_some_of_the_same() {
    let mixed = [
        "3 2 0:2 /sys /proc/sys ro,relatime - proc proc rw",
        "4 2 0:2 /sysrq-trigger /proc/sysrq-trigger ro,relatime - proc proc rw",
    ];
    let cases = [
        (Platform::Lxc, "LXC", "security.nesting=true"),
        (Platform::Nspawn, "systemd-nspawn", "mount -t proc"),
        (Platform::Docker, "Docker", "systempaths=unconfined"),
    ];
    for (platform, name, remedy) in cases {
        let mut host = with_mounts(machine(), &mixed);
        host = only_on(host, platform);
        let (cause, summary) = only(&host);
        assert_eq!(cause, Cause::MaskedProc);
        assert!(summary.starts_with(&format!("{name} masks /proc/sys")), "{summary}");
        let found = explain(NOT_PERMITTED, &host, &whole());
        assert!(found.remedy().unwrap().instructions().contains(remedy), "{found:?}");
    }
    assert_eq!(only(&with_mounts(machine(), &mixed)).0, Cause::MaskedProc);
}

/// Only old kernels mind, and nobody knows which exactly: a failure is what tells.
#[test]
fn mount_points_of_the_kernel_may_count_on_old_ones() {
    let xen = with_mounts(machine(), &["3 2 0:9 / /proc/xen rw,relatime - xenfs xenfs rw"]);
    assert_eq!(predict(&xen, &whole()).outlook, Outlook::Starts);
    let found = explain(NOT_PERMITTED, &xen, &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::CoveredProc), Medium));
    assert!(found.causes[0].summary.contains("/proc/xen"));
    assert!(found.remedy().unwrap().instructions().contains("umount /proc/xen"));
    // this one is on every machine, and no kernel of today minds
    let binfmt = "3 2 0:9 / /proc/sys/fs/binfmt_misc rw,relatime - autofs systemd-1 rw";
    let found = explain(NOT_PERMITTED, &with_mounts(machine(), &[binfmt]), &whole());
    assert!(found.causes.iter().all(|found| found.cause != Cause::CoveredProc));
}

#[test]
fn a_procfs_of_processes_only_counts_no_longer() {
    let mut host = docker();
    let part = mounts(&["9 1 0:5 / /mnt rw,relatime - proc proc rw,subset=pid"]);
    let Fact::Present(all) = &mut host.mounts else { panic!() };
    all.extend(part);
    host.kernel.release = Fact::Present("7.3.0".into());
    assert_eq!(only(&host).0, Cause::MaskedProc);
    host.kernel.release = Fact::Present("6.12.0-1-amd64".into());
    assert_eq!(foreseen(&host, &whole(), Cause::MaskedProc), None);
    host.kernel.release = Fact::Unknown;
    assert_eq!(foreseen(&host, &whole(), Cause::MaskedProc), Some(Medium));
    let found = explain(NOT_PERMITTED, &host, &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::MaskedProc), Medium));
    assert!(found.causes[0].evidence.iter().any(|seen| seen.text.contains("7.2")));
    // alone, it is what is wrong; bwrap misses the rest of it before
    let mut host = with_mounts(machine(), &["2 1 0:5 / /proc rw,relatime - proc proc rw,subset=pid"]);
    host.kernel.release = Fact::Present("7.2.1".into());
    let found = explain(NOT_PERMITTED, &host, &whole());
    assert_eq!(found.cause(), Some(Cause::CoveredProc));
    assert!(found.causes[0].summary.contains("subset=pid"), "{found:?}");
}

#[test]
fn clusters_may_ignore_what_the_pod_says() {
    let cause = Cause::PodFieldsIgnored;
    let found = explain(NOT_PERMITTED, &pod(), &whole());
    assert_eq!(found.cause(), Some(Cause::MaskedProc));
    let ignored = found.causes.iter().find(|found| found.cause == cause).unwrap();
    assert_eq!(ignored.confidence, Low);
    assert!(ignored.remedies[0].instructions().contains("ProcMountType"));
    assert!(ignored.remedies[1].instructions().contains("containerd 2.0"));
    let mut host = pod();
    host = only_on(host, Platform::OpenShift);
    let found = explain(NOT_PERMITTED, &host, &whole());
    let ignored = found.causes.iter().find(|found| found.cause == cause).unwrap();
    assert!(ignored.remedies[0].instructions().contains("4.20"));
    // a pod with a user namespace got what it asked for
    let mut own = pod();
    own.user_namespace.uid_map =
        Fact::Present(vec![IdMapping { inside: 0, outside: 100_000, count: 65_536 }]);
    let mut bare = pod();
    bare.mounts = machine().mounts;
    for host in [own, bare, docker(), machine()] {
        let found = explain(NOT_PERMITTED, &host, &whole());
        assert!(found.causes.iter().all(|found| found.cause != cause), "{found:?}");
    }
    assert_eq!(foreseen(&pod(), &whole(), cause), None);
}

#[test]
fn the_atime_mode_counts() {
    let host = with_mounts(machine(), &["2 1 0:2 / /proc rw,nosuid,noatime - proc proc rw"]);
    let (cause, summary) = only(&host);
    assert_eq!(cause, Cause::ProcAtime);
    assert!(summary.contains("noatime"), "{summary}");
    let remedies = |host: &Host| explain(NOT_PERMITTED, host, &whole()).causes.remove(0).remedies;
    let on_machine = remedies(&host);
    assert!(on_machine[0].instructions().starts_with("mount -o remount,relatime"));
    assert!(on_machine[0].requires.iter().any(|what| what.contains("after each boot; to keep it")));
    assert!(!on_machine.iter().any(|remedy| remedy.instructions().contains("wsl.conf")));
    let mut wsl = host;
    wsl = only_on(wsl, Platform::Wsl2);
    let text = remedies(&wsl)[1].instructions();
    assert!(text.contains("/etc/wsl.conf") && text.contains("[boot]\ncommand = mount -o remount,"), "{text}");
}

#[test]
fn a_read_only_proc_fails_before() {
    let mut host = with_mounts(machine(), &["2 1 0:2 / /proc ro,relatime - proc proc rw"]);
    host.user_namespace.uid_map_writable = Fact::Unknown;
    for cause in HIDDEN {
        assert_eq!(foreseen(&host, &whole(), *cause), None);
    }
    assert_eq!(foreseen(&host, &whole(), Cause::ProcReadOnly), Some(High));
}

#[test]
fn nothing_is_locked_without_a_user_namespace() {
    let mut host = docker();
    host.process.effective = Fact::Present(CapabilitySet(u64::MAX));
    host.process.seccomp = Fact::Present(0);
    assert_eq!(foreseen(&host, &without_user(&whole()), Cause::MaskedProc), None);
    let found = explain(NOT_PERMITTED, &host, &without_user(&whole()));
    assert!(found.causes.iter().all(|found| found.confidence == Low), "{found:?}");
    // in another user namespace than the first, some may be
    host.user_namespace.uid_map =
        Fact::Present(vec![IdMapping { inside: 0, outside: 100_000, count: 65_536 }]);
    let found = explain(NOT_PERMITTED, &host, &without_user(&whole()));
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::MaskedProc), Medium));
    // a second way out, after the first
    let found = explain(NOT_PERMITTED, &host, &whole());
    assert_eq!(found.cause(), Some(Cause::MaskedProc));
    let extra = found.causes.iter().find(|found| found.cause == Cause::NeedlessUserNamespace).unwrap();
    assert_eq!(extra.remedies[0].action, Action::Sandbox(SandboxChange::KeepUserNamespace));
    assert_eq!(foreseen(&host, &whole(), Cause::NeedlessUserNamespace), None);
    let found = explain(NOT_PERMITTED, &docker(), &whole());
    assert!(found.causes.iter().all(|found| found.cause != Cause::NeedlessUserNamespace));
}

#[test]
fn a_bound_proc_needs_none_of_it() {
    let bound = Sandbox::new().ro_bind("/usr", "/usr").proc("/proc").unshare(Namespaces::USER);
    assert_eq!(foreseen(&docker(), &bound, Cause::MaskedProc), None);
    let change = Remedy::change(SandboxChange::BindProc { operation: 1 });
    let found = explain(NOT_PERMITTED, &docker(), &whole());
    assert_eq!(found.causes[0].remedies.last().unwrap().action, change.action);
}

/// What CRI-O 1.33.1 leaves of an unmasked /proc.
fn masked_by_cri_o() -> Host {
    let mut host = only_on(pod(), Platform::CriO);
    host.user_namespace.uid_map =
        Fact::Present(vec![IdMapping { inside: 0, outside: 100_000, count: 65_536 }]);
    host.mounts = Fact::Present(mounts(&[
        "1 0 0:1 / / rw,relatime - overlay overlay rw",
        "2 1 0:2 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw",
        "3 2 0:3 / /proc/acpi ro,relatime - tmpfs tmpfs ro",
        "4 2 0:4 /null /proc/interrupts rw,nosuid - tmpfs tmpfs rw",
        "5 2 0:4 /null /proc/keys rw,nosuid - tmpfs tmpfs rw",
        "6 2 0:4 /null /proc/timer_list rw,nosuid - tmpfs tmpfs rw",
    ]));
    host
}

#[test]
fn masks_that_no_field_of_the_pod_lifts_are_a_cause_of_their_own() {
    let host = masked_by_cri_o();
    let found = explain(NOT_PERMITTED, &host, &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::UnmaskedProcMasked), High));
    // what is set already is not advised
    assert!(found.causes.iter().all(|found| found.cause != Cause::PodFieldsIgnored));
    let told: Vec<String> = found.causes[0].remedies.iter().map(Remedy::instructions).collect();
    assert!(told[0].contains("1.33.2") && told[1].contains("--ro-bind /proc /proc"), "{told:?}");
    assert!(told.iter().all(|told| !told.contains("procMount")), "{told:?}");
    assert!(found.causes[0].remedies[1].opens.contains("lookup self"));
    assert_eq!(foreseen(&host, &whole(), Cause::UnmaskedProcMasked), Some(High));
    // by default some paths are read-only, too, and other runtimes do as they are told
    let mut default = host.clone();
    if let Fact::Present(found) = &mut default.mounts {
        found.extend(mounts(&["7 2 0:2 /sys /proc/sys ro,relatime - proc proc rw"]));
    }
    for host in [default, only_on(host, Platform::Docker)] {
        assert_eq!(explain(NOT_PERMITTED, &host, &whole()).cause(), Some(Cause::MaskedProc));
    }
}

#[test]
fn a_user_nobody_knows_may_make_no_namespace() {
    let mut host = docker();
    host.process.uid = Fact::Unknown;
    assert_eq!(foreseen(&host, &without_user(&whole()), Cause::MaskedProc), Some(Medium));
    let found = explain(NOT_PERMITTED, &Host::default(), &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::MaskedProc), Medium));
    for cause in HIDDEN {
        assert_eq!(foreseen(&Host::default(), &whole(), *cause), None);
    }
}

fn selinux(domain: &str) -> Host {
    let mut host = pod();
    host.security.label = Fact::Present(format!("system_u:system_r:{domain}:s0:c17,c42"));
    host.security.selinux_filesystem = Fact::Present(true);
    host
}

#[test]
fn selinux_answers_before_masks() {
    let mut host = selinux("container_t");
    // enforcing is hidden in containers
    assert_eq!(foreseen(&host, &whole(), Cause::SelinuxDeniesProc), Some(Medium));
    host.security.selinux_enforcing = Fact::Present(true);
    let obstacles = predict(&host, &whole()).obstacles;
    let order: Vec<Cause> = obstacles.iter().map(|found| found.cause).collect();
    let position = |cause| order.iter().position(|found| *found == cause).unwrap();
    assert!(position(Cause::SelinuxDeniesProc) < position(Cause::MaskedProc));
    assert!(position(Cause::MaskedProc) < position(Cause::SelinuxDeniesDevpts));
    let found = explain(DENIED, &host, &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::SelinuxDeniesProc), High));
    assert!(found.foreseen.iter().any(|found| found.cause == Cause::MaskedProc));
    host.security.selinux_enforcing = Fact::Present(false);
    assert_ne!(explain(DENIED, &host, &whole()).cause(), Some(Cause::SelinuxDeniesProc));
    for free in ["container_engine_t", "spc_t", "unconfined_t"] {
        assert_eq!(foreseen(&selinux(free), &whole(), Cause::SelinuxDeniesProc), None);
        assert_eq!(foreseen(&selinux(free), &whole(), Cause::SelinuxDeniesDevpts), None);
    }
    // SELinux without a policy
    let mut host = machine();
    host.security.label = Fact::Present("kernel".into());
    host.security.selinux_filesystem = Fact::Present(true);
    assert_eq!(predict(&host, &whole()).outlook, Outlook::Starts);
}

#[test]
fn selinux_denies_devpts() {
    let said = "Can't mount devpts on /newroot/dev/pts: Permission denied";
    let found = explain(said, &selinux("container_t"), &whole());
    assert_eq!(found.cause(), Some(Cause::SelinuxDeniesDevpts));
    assert!(found.causes[0].summary.contains("devpts_t"));
    assert_ne!(explain(said, &machine(), &whole()).cause(), Some(Cause::SelinuxDeniesDevpts));
    let without = Sandbox::new().ro_bind("/usr", "/usr").unshare_all();
    assert_eq!(foreseen(&selinux("container_t"), &without, Cause::SelinuxDeniesDevpts), None);
    let invalid = "Can't mount devpts on /newroot/dev/pts: Invalid argument";
    let found = explain(invalid, &machine(), &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::DevptsInvalid), Low));
    assert_eq!(foreseen(&machine(), &whole(), Cause::DevptsInvalid), None);
}

#[test]
fn only_the_label_tells_apparmor_from_selinux() {
    let mut host = machine();
    host.security.label = Fact::Present("container-no-proc (enforce)".into());
    host.security.apparmor_label = host.security.label.clone();
    let found = explain(DENIED, &host, &whole());
    assert_eq!((found.cause(), found.causes.len()), (Some(Cause::AppArmorDeniesProc), 1));
    assert_eq!(foreseen(&host, &whole(), Cause::AppArmorDeniesProc), None);
    assert_ne!(explain(DENIED, &selinux("container_t"), &whole()).cause(), Some(Cause::AppArmorDeniesProc));
}

#[test]
fn a_joined_pid_namespace_may_belong_to_another() {
    let cause = Cause::PidNamespaceNotOwned;
    let joins = Sandbox::new().ro_bind("/usr", "/usr").proc("/proc").join_pid(Descriptor::number(5));
    let found = explain(NOT_PERMITTED, &machine(), &joins);
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(cause), High));
    assert_eq!(foreseen(&machine(), &joins, cause), Some(Medium));
    assert_eq!(foreseen(&machine(), &whole(), cause), None);
    assert_ne!(explain(NOT_PERMITTED, &machine(), &whole()).cause(), Some(cause));
}

#[test]
fn emulated_kernels_have_rules_of_their_own() {
    let cause = Cause::EmulatedKernelDeniesProc;
    let mut host = docker();
    host = only_on(host, Platform::GVisor);
    assert_eq!(explain(NOT_PERMITTED, &host, &whole()).cause(), Some(cause));
    assert_eq!(foreseen(&host, &whole(), cause), Some(Medium));
    assert_eq!(foreseen(&host, &whole(), Cause::MaskedProc), None);
    assert_ne!(explain(NOT_PERMITTED, &docker(), &whole()).cause(), Some(cause));
}

#[test]
fn devices_that_are_missing_are_named() {
    let cause = Cause::DeviceMissing;
    let mut host = machine();
    host.files.insert("/dev/full".into(), Fact::Absent);
    let found = predict(&host, &whole()).obstacles.into_iter().find(|found| found.cause == cause).unwrap();
    assert_eq!((found.confidence, found.operation), (High, Some(2)));
    assert!(found.summary.contains("/dev/full"));
    assert_eq!(foreseen(&host, &Sandbox::new().ro_bind("/", "/"), cause), None);
    let said = "Can't bind mount /oldroot/dev/zero on /newroot/dev/zero: Unable to mount source on destination: \
                No such file or directory";
    let found = explain(said, &machine(), &whole());
    assert_eq!(found.cause(), Some(cause));
    let Action::Commands(lines) = &found.remedy().unwrap().action else { panic!() };
    assert_eq!(lines, &["mknod -m 666 /dev/zero c 1 5"]);
    let other = said.replace("/dev/zero", "/srv/data");
    assert_ne!(explain(&other, &host, &whole()).cause(), Some(cause));
}

#[test]
fn a_runner_of_gitlab_binds_proc_first() {
    let first = |host: &Host| explain(NOT_PERMITTED, host, &whole()).remedy().unwrap().action.clone();
    let gitlab = on(docker(), Platform::GitLabCi);
    assert_eq!(first(&gitlab), Action::Sandbox(SandboxChange::BindProc { operation: 1 }));
    assert!(matches!(first(&docker()), Action::Container(_)));
    // Podman is told through the runner
    let podman = on(only_on(docker(), Platform::Podman), Platform::GitLabCi);
    assert!(matches!(first(&podman), Action::Container(_)));
}
