//! Security modules and system call filters that deny mounting, walking paths, changing the root and setting the host name.

mod layers;
pub(super) mod resources;

use super::bd::binds::filter_may_refuse;
use super::pr::PROC;
use super::pr::hidden::{Seen, look};
use super::prelude::*;

rules! {
    AppArmorDeniesMount, Anytime, [
        "Failed to make / slave", "Creating proc failed", "mounting proc" => (EACCES)
    ],
        unless "the sandbox starts under this profile" => apparmor_denies_mount, permit_in_profile;

    SelinuxDeniesMount, Failed, ["Failed to make / slave" => (EACCES)]
        => |case| selinux_denies(case, &MOUNT_ON_ROOT), |case| Wish::Selinux(&[MOUNT_ON_ROOT]).grant(case);

    // that there is no such call is another cause
    SeccompDeniesMount, Failed, [
        "Failed to make / slave", "mounting proc" => (EPERM EACCES EINVAL EOPNOTSUPP);
        "setting up newroot bind", "Can't mount proc on %s", "Can't mount devpts on %s",
        "Unable to apply mount flags: remount \"%s\"", "mount_setattr() failed at \"%s\"",
        "Unable to remount destination \"%s\" with correct flags" => ANSWERS; KILLED
    ] => mount_denied, permit_calls;

    MountNotImplemented, Failed, ["Failed to make / slave", "mounting proc" => (ENOSYS)]
        => calls::denied, permit_calls;

    GvisorMountNamespace, Failed, ["Failed to make / slave" => (EPERM)]
        => gvisor_mounts, |case| {
            let (none, before) = (told!(MT17, "no-user-namespace"), told!(MT17, "made-before"));
            if case.root() == Some(false) { vec![before] } else { none.or([before]) }
        };

    LandlockDeniesMount, Anytime, ["Failed to make / slave" => (EPERM)],
        unless "the launcher and what started it use no Landlock"
        => landlock_denies_mount, |_| vec![told!("landlock-inside")];

    ChromiumOsDeniesMount, Anytime if |plan| plan.user_namespace, ["Failed to mount tmpfs" => (EPERM)],
        unless "dmesg has no line `Chromium OS LSM: sb_mount` from that moment"
        => chromium_os, |case| {
            let keep = case.is_admin().then(|| Remedy::change(SandboxChange::KeepUserNamespace));
            Vec::new().or(keep).or([told!(MT18, "as-root"), told!(MT18, "other-kernel")])
        };

    SelinuxDeniesTmpfs, Failed, ["Failed to mount tmpfs", "Can't mount tmpfs on %s" => (EACCES)]
        => |case| selinux_denies(case, &MOUNT_TMPFS), |case| Wish::Selinux(&[MOUNT_TMPFS]).grant(case);

    SeccompDeniesTmpfs, Failed, ["Failed to mount tmpfs", "Can't mount tmpfs on %s" => ANSWERS]
        => calls::denied, permit_calls;

    SeccompDeniesPivotRoot, Anytime, ["pivot_root", "pivot_root(/newroot)" => ANSWERS],
        unless "the container has a seccomp profile of its own, which allows pivot_root"
        => seccomp_denies_pivot_root, permit_calls;

    AppArmorDeniesPivotRoot, Anytime, ["pivot_root", "pivot_root(/newroot)" => (EACCES)],
        unless "security.nesting is true for this container" => apparmor_denies_pivot_root, permit_in_profile;

    SeccompDeniesUmount, Failed, ["umount old root", "unmount old root" => ANSWERS]
        => calls::denied, permit_calls;

    HostnameDenied, Anytime if |plan| plan.hostname, ["Can't set hostname to %s" => ANSWERS],
        unless "the container has a seccomp profile of its own, which allows sethostname"
        => hostname_denied, |case| Remedy::change(SandboxChange::KeepHostname).or(permit_calls(case));

    Openat2Missing, Failed, [
        "Can't open source %s", "Can't open %s", "Can't resolve %s", "Can't mkdir %s",
        "Can't mkdir parents for %s", "Can't create file at %s", "Can't open overlay source %s",
        "Can't open overlay workdir %s" => (ENOSYS)
    ],
        unless "bwrap 0.11 fails at the same path, too" => openat2_missing, permit_openat2;
}

/// Its module asks for `CAP_SYS_ADMIN` in the first user namespace.
fn chromium_os(case: &Case<'_>) -> Option<Judgement> {
    let modules = &case.host.security.modules;
    let there = modules.present().is_some_and(|modules| modules.iter().any(|module| module == "chromiumos"));
    if let Some(word) = case.told().and_then(|told| told.chromium_os).filter(|_| modules.present().is_none())
    {
        let names = format!("`{word}`: a system on the kernel of Chromium OS, whose module asks for it");
        return Some(weigh(High).pro(evidence::told(case, names)));
    }
    if modules.is_unknown() && case.failed() && !Setting::of(case).is_container() {
        return Some(weigh(Low).unknown(
            "whether it is the kernel of Chromium OS: `cat /sys/kernel/security/lsm` names chromiumos",
        ));
    }
    rule_out(!there)?;
    weigh(High).seen(modules, "the module chromiumos is active (/sys/kernel/security/lsm)").into()
}

/// Some filters look at the flags of mount, and let others pass.
fn mount_denied(case: &Case<'_>) -> Option<Judgement> {
    let found = calls::denied(case);
    if case.killed() {
        return found.filter(|_| case.ended(Verdict::SetupFailed));
    }
    found.or_else(|| {
        let by_flags = if case.says(&[PROC]) {
            matches!(look(case), Seen::Whole) && case.emulated().is_none()
        } else {
            filter_may_refuse(case) == Some(true)
        };
        rule_out(!by_flags)?;
        calls::denied_though(case)
    })
}

fn apparmor_denies_mount(case: &Case<'_>) -> Option<Judgement> {
    let found = apparmor_denies(case, "mounting")?;
    match case.apparmor() {
        AppArmor::Other(profile) if !case.failed() => {
            let found = weigh(Medium).summary(format!("the AppArmor profile {profile} may deny mounting"));
            Some(found.unknown(format!("what the profile {profile} allows: its file below /etc/apparmor.d")))
        }
        apparmor => (case.failed() || matches!(apparmor, AppArmor::Engine(_))).then_some(found),
    }
}

fn apparmor_denies_pivot_root(case: &Case<'_>) -> Option<Judgement> {
    let found = apparmor_denies(case, "pivot_root")?;
    match case.apparmor() {
        _ if case.failed() => Some(found),
        // LXC's own defaults have no rule for it
        AppArmor::Lxc("lxc-container-default" | "lxc-container-default-cgns") => Some(found),
        // of the same name with and without nesting
        AppArmor::Lxc(profile) => {
            let summary =
                format!("the AppArmor profile {profile} denies pivot_root, unless nesting is allowed");
            let may = "whether the container may nest others: security.nesting, or features: nesting=1";
            Some(weigh(Medium).summary(summary).unknown(may))
        }
        _ => None,
    }
}

/// Docker's and containerd's default profiles know `CAP_SYS_ADMIN`, and never allow this call.
fn seccomp_denies_pivot_root(case: &Case<'_>) -> Option<Judgement> {
    if case.failed() {
        return calls::denied(case);
    }
    rule_out(case.filter_name().is_some_and(|name| name != DEFAULT))?;
    let engine = [Platform::Docker, Platform::Containerd].into_iter().find(|engine| case.on(*engine))?;
    let admin = evidence::capability(case, Capability::CAP_SYS_ADMIN).so();
    let admin = admin.or_else(|| evidence::bound(case, Capability::CAP_SYS_ADMIN).so())?;
    let filter = evidence::filter(case).so()?;
    let denies = "denies pivot_root, CAP_SYS_ADMIN or not";
    // whoever named it knows that it is the default one
    let named = case.filter_name().is_some();
    let found = weigh(if named || stopped_by_masks(case) { High } else { Medium })
        .summary(format!("the default system call filter of {engine} {denies}"))
        .pro(filter)
        .pro(admin);
    let whether = "whether it is the default filter: what is in it cannot be read";
    Some(found.unknown((!named).then_some(whether)))
}

/// The default profiles of all engines allow it with `CAP_SYS_ADMIN` only, which the sandbox's own does not count for.
fn hostname_denied(case: &Case<'_>) -> Option<Judgement> {
    let (admin, capabilities) = (case.has(Capability::CAP_SYS_ADMIN), &case.host.process.effective);
    if case.failed() {
        let exempt = "the process has CAP_SYS_ADMIN, with which default filters allow sethostname";
        let exempt = (admin == Some(true)).then_some(exempt);
        return Some(calls::denied(case)?.seen_against(capabilities, exempt));
    }
    let engines = [Platform::Podman, Platform::CriO, Platform::Docker, Platform::Containerd];
    rule_out(case.filter_name().is_some_and(|name| name != DEFAULT))?;
    let granted = case.granted(Capability::CAP_SYS_ADMIN).or(admin);
    rule_out(granted != Some(false) || !engines.iter().any(|engine| case.on(*engine)))?;
    let missing =
        "CAP_SYS_ADMIN, with which default filters allow it, is missing (CapEff in /proc/self/status)";
    Some(weigh(Medium).pro(evidence::filter(case).so()?).seen(capabilities, missing))
}

/// Without a user namespace of its own, bwrap mounts there.
fn gvisor_mounts(case: &Case<'_>) -> Option<Judgement> {
    rule_out(case.user_namespace() == Some(false))?;
    Some(weigh(High).pro(evidence::sighted(case.sighting(Platform::GVisor)?)))
}

fn landlock_denies_mount(case: &Case<'_>) -> Option<Judgement> {
    rule_out(case.on(Platform::GVisor))?;
    if !case.failed() {
        return landlocked(case);
    }
    rule_out(knows_landlock(case) == Some(false))?;
    let (process, modules) = (&case.host.process, &case.host.security.modules);
    if case.filtered() == Some(true) {
        let explained = "a system call filter is on, which explains it (Seccomp: 2)";
        return Some(weigh(Low).seen_against(&process.seccomp, explained));
    }
    if let Some(domain) = told_domain(case) {
        return Some(weigh(High).pro(domain));
    }
    let sure =
        case.filtered().is_some() && process.no_new_privs.is(&true) && knows_landlock(case) == Some(true);
    let active = "Landlock is active in the kernel (/sys/kernel/security/lsm)";
    let for_good = "something restricted this process for good (NoNewPrivs: 1 in /proc/self/status)";
    weigh(if sure { High } else { Medium })
        .seen(modules, sure.then_some(active))
        .seen(&process.no_new_privs, sure.then_some(for_good))
        .if_not(evidence::filter(case))
        .into()
}

/// What bwrap before 0.12 says, too, which knows nothing of the call.
const MADE: &[&str] = &["Can't create file at %s", "Can't mkdir %s", "Can't mkdir parents for %s"];

fn openat2_missing(case: &Case<'_>) -> Option<Judgement> {
    let version = version(case);
    rule_out(version.is_some_and(|version| version < Version::new(0, 12, 0)))?;
    let open = case.says(MADE) && version.is_none();
    let said = "bwrap walks paths with openat2(2) since 0.12, and was told that there is no such call";
    let fuse = "whether it is bwrap 0.12 or newer (`bwrap --version`): an older one makes files by calls that a FUSE mount \
                may not have";
    let found = if open { weigh(Medium).unknown(fuse) } else { weigh(High).heard(case, said) };
    Some(match case.kernel() {
        Some((major, minor)) if (major, minor) < (5, 6) => {
            found.seen(&case.host.kernel.release, format!("Linux has it since 5.6; this is {major}.{minor}"))
        }
        _ => found.pro(evidence::filter(case).so()),
    })
}

fn permit_openat2(case: &Case<'_>) -> Vec<Remedy> {
    let in_unit = || told!(MT14, "setuid-files-of-unit" => unit(case, &[("RestrictSUIDSGID", "no")]));
    let unit = match Setting::of(case) {
        Setting::Unit => Some(in_unit()),
        Setting::Unknown => Some(in_unit().needs("a unit of systemd that starts bwrap")),
        _ => None,
    };
    let gvisor = case.on(Platform::GVisor).then(|| told!(MT14, "newer-gvisor-openat2"));
    let otherwise = told!(MT14, "bwrap-without-openat2");
    if let Setting::Managed(_) = Setting::of(case) {
        // whose runsc is the platform's business
        return otherwise.or(gvisor);
    }
    let open = case.says(MADE) && version(case).is_none();
    let fuse = open.then(|| told!(MT14, "not-on-fuse"));
    if case.told().is_some_and(|told| told.fuse && told.unit.is_empty()) {
        return Vec::new().or(fuse).or([otherwise]).or(gvisor).or(unit);
    }
    // whoever types it has no unit
    if Setting::of(case) == Setting::Unknown && case.told().is_some_and(|told| told.typed) {
        return otherwise.or(gvisor).or(fuse).or(unit);
    }
    Vec::new().or(unit).or(gvisor).or([otherwise]).or(fuse)
}

#[cfg(test)]
mod tests;
