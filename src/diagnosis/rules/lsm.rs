//! Security modules and system call filters that deny mounting, changing the root and setting the host name.

mod confinement;
mod restriction;

pub(super) use confinement::{
    AppArmor, Selinux, apparmor_denies, ids_differ, knows_landlock, landlocked, selinux_denies,
};
pub(super) use restriction::{lift_restriction, strips_capabilities};

use super::super::case::Case;
use super::super::finding::Confidence::{High, Low, Medium};
use super::super::remedies::{
    Calls, Setting, change, commands, confine_container, manual, permit_calls, permit_domain,
};
use super::super::{Remedy, SandboxChange, SelinuxRule};
use super::facts::stopped_by_masks;
use super::{Cause, Judgement, Rule};
use crate::host::Platform;
use crate::sandbox::Capability;

const EPERM: i32 = libc::EPERM;
const EACCES: i32 = libc::EACCES;
const ENOSYS: i32 = libc::ENOSYS;

pub(super) const RULES: &[Rule] = &[
    Rule {
        cause: Cause::AppArmorDeniesMount,
        messages: &[("Failed to make / slave", &[EACCES])],
        judge: apparmor_denies_mount,
        remedies: permit_in_profile,
    },
    Rule {
        cause: Cause::SeccompDeniesMount,
        messages: &[("Failed to make / slave", &[EPERM])],
        judge: |case| filter(case, "mount"),
        remedies: |case| permit_calls(case, Calls::Sandboxing),
    },
    Rule {
        cause: Cause::MountNotImplemented,
        messages: &[("Failed to make / slave", &[ENOSYS])],
        judge: |case| filter(case, "mount"),
        remedies: |case| permit_calls(case, Calls::Sandboxing),
    },
    Rule {
        cause: Cause::LandlockDeniesMount,
        messages: &[("Failed to make / slave", &[EPERM])],
        judge: landlock_denies_mount,
        remedies: |_| vec![landlock_inside()],
    },
    Rule {
        cause: Cause::SelinuxDeniesTmpfs,
        messages: &[("Failed to mount tmpfs", &[EACCES]), ("Can't mount tmpfs on %s", &[EACCES])],
        // today's policies allow it to containers: only the failure tells
        judge: |case| if case.failed() { selinux_denies(case, "tmpfs_t:filesystem mount") } else { None },
        remedies: |case| permit_domain(case, &[MOUNT_TMPFS]),
    },
    Rule {
        cause: Cause::SeccompDeniesTmpfs,
        messages: &[("Failed to mount tmpfs", &[EPERM])],
        judge: |case| filter(case, "mount, with these flags,"),
        remedies: |case| permit_calls(case, Calls::Sandboxing),
    },
    Rule {
        cause: Cause::SeccompDeniesPivotRoot,
        messages: &[("pivot_root", &[EPERM]), ("pivot_root(/newroot)", &[EPERM])],
        judge: seccomp_denies_pivot_root,
        remedies: |case| permit_calls(case, Calls::Sandboxing),
    },
    Rule {
        cause: Cause::AppArmorDeniesPivotRoot,
        messages: &[("pivot_root", &[EACCES]), ("pivot_root(/newroot)", &[EACCES])],
        judge: apparmor_denies_pivot_root,
        remedies: permit_in_profile,
    },
    Rule {
        cause: Cause::SeccompDeniesUmount,
        messages: &[("umount old root", &[EPERM]), ("unmount old root", &[EPERM])],
        judge: |case| filter(case, "umount2"),
        remedies: |case| permit_calls(case, Calls::Sandboxing),
    },
    Rule {
        cause: Cause::HostnameDenied,
        messages: &[("Can't set hostname to %s", &[EPERM])],
        judge: hostname_denied,
        remedies: |case| {
            let keep = change(SandboxChange::KeepHostname);
            std::iter::once(keep).chain(permit_calls(case, Calls::Sandboxing)).collect()
        },
    },
];

const MOUNT_TMPFS: SelinuxRule =
    SelinuxRule { target: "tmpfs_t", class: "filesystem", permissions: &["mount"] };

fn apparmor_denies_mount(case: &Case<'_>) -> Option<Judgement> {
    let found = apparmor_denies(case, "mounting")?;
    match AppArmor::of(case) {
        _ if case.failed() => Some(found),
        AppArmor::Engine(_) => Some(found),
        AppArmor::Other(profile) => Some(
            Judgement::new(Medium, "the sandbox starts under this profile")
                .summary(format!("the AppArmor profile {profile} may deny mounting"))
                .unknown(format!("what the profile {profile} allows: its file below /etc/apparmor.d")),
        ),
        _ => None,
    }
}

fn apparmor_denies_pivot_root(case: &Case<'_>) -> Option<Judgement> {
    let found = apparmor_denies(case, "pivot_root")?;
    match AppArmor::of(case) {
        _ if case.failed() => Some(found),
        // LXC's own defaults have no rule for it
        AppArmor::Lxc("lxc-container-default" | "lxc-container-default-cgns") => Some(found),
        // of the same name with and without nesting
        AppArmor::Lxc(profile) => Some(
            Judgement::new(Medium, "security.nesting is true for this container")
                .summary(format!(
                    "the AppArmor profile {profile} denies pivot_root, unless nesting is allowed"
                ))
                .unknown("whether the container may nest others: security.nesting, or features: nesting=1"),
        ),
        _ => None,
    }
}

/// A profile that allows it in place of the one that confines us, or rules to add to that.
pub(super) fn permit_in_profile(case: &Case<'_>) -> Vec<Remedy> {
    match (AppArmor::of(case), Setting::of(case)) {
        (AppArmor::Lxc(_), _) | (_, Setting::Lxc) => allow_nesting(case),
        _ => confine_container(case),
    }
}

/// Nesting, as the managers of system containers call it: mounting inside is allowed, and a whole procfs is there.
pub(super) fn allow_nesting(case: &Case<'_>) -> Vec<Remedy> {
    const OPENS: &str = "the container may mount file systems and change its root in namespaces of its own";
    let profile = AppArmor::of(case).profile().unwrap_or_default();
    let set = |manager: &str, tool: &str| {
        let lines = [
            format!("{tool} config set CONTAINER security.nesting=true"),
            format!("{tool} restart CONTAINER"),
        ];
        commands(&format!("Allow nesting in {manager}"), &lines.each_ref().map(String::as_str), OPENS)
    };
    let incus = || set("Incus", "incus");
    let lxd = || set("LXD", "lxc");
    let proxmox = || {
        let lines = ["pct set ID --features nesting=1", "pct reboot ID"];
        commands("Allow nesting in Proxmox", &lines, OPENS)
    };
    let lxc = || {
        let how = "Copy /etc/apparmor.d/lxc/lxc-default-with-nesting and the profile in it under another name, add the rules \
                   `mount,`, `pivot_root oldroot=/tmp/oldroot/ /tmp/,` and `pivot_root /newroot/,` to it, load it with \
                   `apparmor_parser -r /etc/apparmor.d/lxc-containers`, and name it in the container's configuration: \
                   `lxc.apparmor.profile = NAME`";
        manual("Give the LXC container a profile that allows mounting", how, OPENS)
    };
    if profile.starts_with("incus-") {
        vec![incus()]
    } else if profile.starts_with("lxd-") {
        vec![lxd()]
    } else if profile.starts_with("lxc-") {
        vec![proxmox(), lxc()]
    } else {
        vec![incus(), lxd(), proxmox(), lxc()]
    }
}

/// Whether a system call filter denied `call`; where filters usually deny it another rule of theirs comes first.
fn filter(case: &Case<'_>, call: &str) -> Option<Judgement> {
    if !case.failed() {
        return None;
    }
    let judgement = |confidence| {
        let refuted = format!("it fails alike without a filter, or the filter's profile allows {call}");
        Judgement::new(confidence, refuted)
    };
    match case.filtered() {
        Some(true) => {
            Some(judgement(High).pro("a system call filter is on (Seccomp: 2 in /proc/self/status)"))
        }
        Some(false) => None,
        None => Some(
            judgement(Medium).unknown("whether a system call filter is on: Seccomp in /proc/self/status"),
        ),
    }
}

/// Docker's and containerd's default profiles know `CAP_SYS_ADMIN`, and never allow this call.
fn seccomp_denies_pivot_root(case: &Case<'_>) -> Option<Judgement> {
    if case.failed() {
        return filter(case, "pivot_root");
    }
    let engine = [Platform::Docker, Platform::Containerd].into_iter().find(|engine| case.on(*engine))?;
    let admin = case.has(Capability::CAP_SYS_ADMIN) == Some(true);
    (admin && case.filtered() == Some(true)).then(|| {
        let confidence = if stopped_by_masks(case) { High } else { Medium };
        Judgement::new(confidence, "the container has a seccomp profile of its own, which allows pivot_root")
            .summary(format!(
                "the default system call filter of {engine} denies pivot_root, CAP_SYS_ADMIN or not"
            ))
            .pro("a system call filter is on (Seccomp: 2 in /proc/self/status)")
            .pro("the process has CAP_SYS_ADMIN (CapEff in /proc/self/status)")
    })
}

/// The default profiles of all engines allow it with `CAP_SYS_ADMIN` only, which the sandbox's own does not count for.
fn hostname_denied(case: &Case<'_>) -> Option<Judgement> {
    let admin = case.has(Capability::CAP_SYS_ADMIN);
    if case.failed() {
        let found = filter(case, "sethostname")?;
        return Some(match admin {
            Some(true) => {
                found.contra("the process has CAP_SYS_ADMIN, with which default filters allow sethostname")
            }
            _ => found,
        });
    }
    let on = |platforms: &[Platform]| platforms.iter().any(|platform| case.on(*platform));
    if !on(&[Platform::Podman, Platform::CriO, Platform::Docker, Platform::Containerd]) {
        return None;
    }
    (case.plans(|plan| plan.hostname) && case.filtered() == Some(true) && admin == Some(false)).then(|| {
        Judgement::new(Medium, "the container has a seccomp profile of its own, which allows sethostname")
            .pro("a system call filter is on (Seccomp: 2 in /proc/self/status)")
            .pro("CAP_SYS_ADMIN, with which default filters allow it, is missing (CapEff in /proc/self/status)")
    })
}

fn landlock_denies_mount(case: &Case<'_>) -> Option<Judgement> {
    let judgement =
        |confidence| Judgement::new(confidence, "the launcher and what started it use no Landlock");
    if let Some(confidence) = landlocked(case).filter(|_| !case.failed()) {
        let seen = "/proc/self/uid_map is ours and cannot be opened for writing: Permission denied";
        return Some(judgement(confidence).pro(seen));
    }
    if !case.failed() || knows_landlock(case) == Some(false) {
        return None;
    }
    let no_new_privs = &case.host.process.no_new_privs;
    Some(match case.filtered() {
        Some(true) => judgement(Low).contra("a system call filter is on, which explains it (Seccomp: 2)"),
        Some(false) if no_new_privs.is(&true) && knows_landlock(case) == Some(true) => judgement(High)
            .pro("Landlock is active in the kernel (/sys/kernel/security/lsm)")
            .pro("something restricted this process for good (NoNewPrivs: 1 in /proc/self/status)")
            .pro("no system call filter is on (Seccomp: 0 in /proc/self/status)"),
        Some(false) => judgement(Medium).pro("no system call filter is on (Seccomp: 0 in /proc/self/status)"),
        None => judgement(Medium).unknown("whether a system call filter is on: Seccomp in /proc/self/status"),
    })
}

/// A domain cannot be left, and every one with rules about files forbids mounting.
pub(super) fn landlock_inside() -> Remedy {
    manual(
        "Apply Landlock inside the sandbox instead of outside",
        "Start bwrap before the Landlock rules are applied, and let the command inside apply them to itself; rules \
         about the network alone may stay outside",
        "bwrap itself runs without these rules, the command does not",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::fixtures::*;
    use crate::diagnosis::{Action, predict};
    use crate::host::{CapabilitySet, Fact, Host, Sighting};

    fn labelled(mut host: Host, label: &str) -> Host {
        let selinux = label.contains(':') || label == "kernel";
        host.security.label = Fact::Present(label.into());
        host.security.apparmor_label = if selinux { Fact::Absent } else { Fact::Present(label.into()) };
        host.security.selinux_filesystem = Fact::Present(selinux);
        host
    }

    const SLAVE: &str = "Failed to make / slave";

    #[test]
    fn default_profiles_of_engines_deny_mounting() {
        for profile in ["docker-default", "cri-containerd.apparmor.d", "containers-default-0.62.2"] {
            let host = labelled(pod(), &format!("{profile} (enforce)"));
            let found = explain(&format!("{SLAVE}: Permission denied"), &host, &whole());
            assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::AppArmorDeniesMount), High));
            assert!(found.causes[0].summary.contains(profile));
            assert_eq!(foreseen(&host, &whole(), Cause::AppArmorDeniesMount), Some(High));
        }
        let logging = labelled(pod(), "docker-default (complain)");
        assert_eq!(foreseen(&logging, &whole(), Cause::AppArmorDeniesMount), None);
        let other = labelled(machine(), "snap.thing.app (enforce)");
        assert_eq!(foreseen(&other, &whole(), Cause::AppArmorDeniesMount), Some(Medium));
        for label in ["unconfined", "kernel"] {
            assert_eq!(foreseen(&labelled(machine(), label), &whole(), Cause::AppArmorDeniesMount), None);
        }
    }

    #[test]
    fn a_filter_explains_eperm_and_landlock_does_without_one() {
        let denied = format!("{SLAVE}: Operation not permitted");
        let found = explain(&denied, &docker(), &whole());
        assert_eq!(found.cause(), Some(Cause::SeccompDeniesMount));
        let mut host = machine();
        host.process.no_new_privs = Fact::Present(true);
        let found = explain(&denied, &host, &whole());
        assert_eq!((found.cause(), found.causes.len()), (Some(Cause::LandlockDeniesMount), 1));
        host.security.modules = Fact::Present(vec!["capability".into()]);
        assert_ne!(explain(&denied, &host, &whole()).cause(), Some(Cause::LandlockDeniesMount));
        let found = explain(&format!("{SLAVE}: Function not implemented"), &docker(), &whole());
        assert_eq!(found.cause(), Some(Cause::MountNotImplemented));
        // who is root and makes no user namespace meets Landlock here first
        let mut host = machine();
        assert_eq!(foreseen(&host, &whole(), Cause::LandlockDeniesMount), None);
        host.user_namespace.uid_map_writable = Fact::Unreadable("Permission denied".into());
        assert_eq!(foreseen(&host, &whole(), Cause::LandlockDeniesMount), Some(Medium));
        host.process.no_new_privs = Fact::Present(true);
        assert_eq!(foreseen(&host, &whole(), Cause::LandlockDeniesMount), Some(High));
    }

    #[test]
    fn selinux_denies_tmpfs_by_label() {
        let host = labelled(machine(), "system_u:system_r:svirt_lxc_net_t:s0:c1,c2");
        let found = explain("Failed to mount tmpfs: Permission denied", &host, &whole());
        assert_eq!(found.cause(), Some(Cause::SelinuxDeniesTmpfs));
        assert!(found.causes[0].summary.contains("svirt_lxc_net_t"));
        assert_eq!(foreseen(&host, &whole(), Cause::SelinuxDeniesTmpfs), None);
        let apparmor = labelled(machine(), "thing (enforce)");
        let found = explain("Failed to mount tmpfs: Permission denied", &apparmor, &whole());
        assert_ne!(found.cause(), Some(Cause::SelinuxDeniesTmpfs));
        let found = explain("Failed to mount tmpfs: Operation not permitted", &docker(), &whole());
        assert_eq!(found.cause(), Some(Cause::SeccompDeniesTmpfs));
        let found = explain("Failed to mount tmpfs: Operation not permitted", &machine(), &whole());
        assert_ne!(found.cause(), Some(Cause::SeccompDeniesTmpfs));
    }

    #[test]
    fn pivot_root_is_denied_by_filters_or_profiles() {
        let mut host = docker();
        host.process.effective = Fact::Present(CapabilitySet(DOCKER_CAPABILITIES | 1 << 21));
        assert_eq!(foreseen(&host, &whole(), Cause::SeccompDeniesPivotRoot), Some(High));
        assert_eq!(foreseen(&docker(), &whole(), Cause::SeccompDeniesPivotRoot), None);
        let found = explain("pivot_root: Operation not permitted", &host, &whole());
        assert_eq!(found.cause(), Some(Cause::SeccompDeniesPivotRoot));
        host.platforms = vec![Sighting::new(Platform::Podman, "/run/.containerenv")];
        assert_eq!(foreseen(&host, &whole(), Cause::SeccompDeniesPivotRoot), None);

        let cause = Cause::AppArmorDeniesPivotRoot;
        for (label, confidence, tool) in [
            ("lxc-container-default-cgns (enforce)", High, "pct "),
            ("incus-c1_</var/lib/incus> (enforce)", Medium, "incus "),
        ] {
            let host = labelled(machine(), label);
            assert_eq!(foreseen(&host, &whole(), cause), Some(confidence));
            assert_eq!(foreseen(&host, &whole(), Cause::AppArmorDeniesMount), None);
            let found = explain("pivot_root: Permission denied", &host, &whole());
            assert_eq!((found.cause(), found.causes[0].confidence), (Some(cause), High));
            let Action::Commands(lines) = &found.remedy().unwrap().action else { panic!() };
            assert!(lines[0].starts_with(tool));
        }
        let found = explain("pivot_root: Permission denied", &machine(), &whole());
        assert_ne!(found.cause(), Some(cause));
    }

    #[test]
    fn unmounting_is_denied_by_a_filter() {
        let denied = "unmount old root: Operation not permitted";
        assert_eq!(explain(denied, &docker(), &whole()).cause(), Some(Cause::SeccompDeniesUmount));
        assert_ne!(explain(denied, &machine(), &whole()).cause(), Some(Cause::SeccompDeniesUmount));
    }

    #[test]
    fn default_filters_deny_host_names() {
        let sandbox = whole().hostname("inside");
        let mut host = docker();
        assert_eq!(foreseen(&host, &sandbox, Cause::HostnameDenied), Some(Medium));
        host.platforms = vec![Sighting::new(Platform::Podman, "/run/.containerenv")];
        assert_eq!(foreseen(&host, &sandbox, Cause::HostnameDenied), Some(Medium));
        assert_eq!(foreseen(&host, &whole(), Cause::HostnameDenied), None);
        let found = explain("Can't set hostname to inside: Operation not permitted", &host, &sandbox);
        assert_eq!(found.cause(), Some(Cause::HostnameDenied));
        assert_eq!(found.remedy().unwrap().action, Action::Sandbox(SandboxChange::KeepHostname));
        assert_eq!(foreseen(&machine(), &sandbox, Cause::HostnameDenied), None);
    }

    /// What cannot be read is not taken for absent.
    #[test]
    fn unknown_labels_leave_both_modules_possible() {
        let host = Host::default();
        let found = explain(&format!("{SLAVE}: Permission denied"), &host, &whole());
        assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::AppArmorDeniesMount), Medium));
        assert!(predict(&host, &whole()).obstacles.iter().all(|found| found.confidence < High));
    }
}
