//! Security modules and system call filters that deny mounting, changing the root and setting the host name.

pub(super) mod openat2;
pub(super) mod resources;

use super::bd::binds::remount_locked;
use super::pr::PROC;
use super::pr::hidden::{Seen, look};
use crate::diagnosis::calls::{ANSWERS, denied, denied_though};
use crate::diagnosis::case::Case;
use crate::diagnosis::confinement::{
    AppArmor, apparmor_denies, knows_landlock, landlocked, permit_in_profile, selinux_denies,
};
use crate::diagnosis::facts::stopped_by_masks;
use crate::diagnosis::finding::Confidence::{High, Low, Medium};
use crate::diagnosis::remedy::told;
use crate::diagnosis::weigh::{Judgement, KILLED, rules, weigh};
use crate::diagnosis::wish::{Calls, Wish};
use crate::diagnosis::{Remedy, SandboxChange, SelinuxRule, Verdict, evidence};

use crate::host::Platform;
use crate::sandbox::Capability;

rules! {
    AppArmorDeniesMount, Anytime, [
        "Failed to make / slave" => (EACCES), "Creating proc failed" => (EACCES), "mounting proc" => (EACCES),
    ],
        unless "the sandbox starts under this profile"
        => apparmor_denies_mount, permit_in_profile;

    // that there is no such call is another cause
    SeccompDeniesMount, Failed, [
        "Failed to make / slave" => (EPERM EACCES EINVAL EOPNOTSUPP), "mounting proc" => (EPERM EACCES EINVAL EOPNOTSUPP),
        "setting up newroot bind" => ANSWERS, "Can't mount proc on %s" => ANSWERS, "Can't mount devpts on %s" => ANSWERS,
        "Unable to apply mount flags: remount \"%s\"" => ANSWERS, "mount_setattr() failed at \"%s\"" => ANSWERS,
        "Unable to remount destination \"%s\" with correct flags" => ANSWERS, KILLED,
    ]
        => mount_denied, |case| Wish::Calls(Calls::Sandboxing).grant(case);

    MountNotImplemented, Failed, ["Failed to make / slave" => (ENOSYS), "mounting proc" => (ENOSYS)]
        => denied, |case| Wish::Calls(Calls::Sandboxing).grant(case);

    LandlockDeniesMount, Anytime, ["Failed to make / slave" => (EPERM)],
        unless "the launcher and what started it use no Landlock"
        => landlock_denies_mount, |_| vec![landlock_inside()];

    SelinuxDeniesTmpfs, Anytime, ["Failed to mount tmpfs" => (EACCES), "Can't mount tmpfs on %s" => (EACCES)]
        => |case| if case.failed() { selinux_denies(case, "tmpfs_t:filesystem mount") } else { None }, |case| Wish::Selinux(&[MOUNT_TMPFS]).grant(case);

    SeccompDeniesTmpfs, Failed, ["Failed to mount tmpfs" => ANSWERS, "Can't mount tmpfs on %s" => ANSWERS]
        => denied, |case| Wish::Calls(Calls::Sandboxing).grant(case);

    SeccompDeniesPivotRoot, Anytime, ["pivot_root" => ANSWERS, "pivot_root(/newroot)" => ANSWERS],
        unless "the container has a seccomp profile of its own, which allows pivot_root"
        => seccomp_denies_pivot_root, |case| Wish::Calls(Calls::Sandboxing).grant(case);

    AppArmorDeniesPivotRoot, Anytime, ["pivot_root" => (EACCES), "pivot_root(/newroot)" => (EACCES)],
        unless "security.nesting is true for this container"
        => apparmor_denies_pivot_root, permit_in_profile;

    SeccompDeniesUmount, Failed, ["umount old root" => ANSWERS, "unmount old root" => ANSWERS]
        => denied, |case| Wish::Calls(Calls::Sandboxing).grant(case);

    HostnameDenied, Anytime, ["Can't set hostname to %s" => ANSWERS],
        unless "the container has a seccomp profile of its own, which allows sethostname"
        => hostname_denied, |case| {
            let keep = Remedy::change(SandboxChange::KeepHostname);
            std::iter::once(keep).chain(Wish::Calls(Calls::Sandboxing).grant(case)).collect()
        };
}

/// Some filters look at the flags of mount, and let others pass.
fn mount_denied(case: &Case<'_>) -> Option<Judgement> {
    let symptom = case.symptom?;
    if case.killed() {
        return denied(case).filter(|_| symptom.verdict == Verdict::SetupFailed);
    }
    let by_flags = match symptom.message()?.pattern() {
        Some(PROC) => matches!(look(case), Seen::Whole) && case.emulated().is_none(),
        _ => remount_locked(case) == Some(false),
    };
    denied(case).or_else(|| if by_flags { denied_though(case) } else { None })
}

const MOUNT_TMPFS: SelinuxRule =
    SelinuxRule { target: "tmpfs_t", class: "filesystem", permissions: &["mount"] };

fn apparmor_denies_mount(case: &Case<'_>) -> Option<Judgement> {
    let found = apparmor_denies(case, "mounting")?;
    match AppArmor::of(case) {
        _ if case.failed() => Some(found),
        AppArmor::Engine(_) => Some(found),
        AppArmor::Other(profile) => Some(
            weigh(Medium)
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
            weigh(Medium)
                .summary(format!(
                    "the AppArmor profile {profile} denies pivot_root, unless nesting is allowed"
                ))
                .unknown("whether the container may nest others: security.nesting, or features: nesting=1"),
        ),
        _ => None,
    }
}

/// Docker's and containerd's default profiles know `CAP_SYS_ADMIN`, and never allow this call.
fn seccomp_denies_pivot_root(case: &Case<'_>) -> Option<Judgement> {
    if case.failed() {
        return denied(case);
    }
    let engine = [Platform::Docker, Platform::Containerd].into_iter().find(|engine| case.on(*engine))?;
    let admin = case.has(Capability::CAP_SYS_ADMIN) == Some(true);
    (admin && case.filtered() == Some(true)).then(|| {
        let confidence = if stopped_by_masks(case) { High } else { Medium };
        weigh(confidence)
            .summary(format!(
                "the default system call filter of {engine} denies pivot_root, CAP_SYS_ADMIN or not"
            ))
            .pro(evidence::filter(case).so())
            .pro(evidence::capability(case, Capability::CAP_SYS_ADMIN).so())
            .unknown("whether it is the default filter: what is in it cannot be read")
    })
}

/// The default profiles of all engines allow it with `CAP_SYS_ADMIN` only, which the sandbox's own does not count for.
fn hostname_denied(case: &Case<'_>) -> Option<Judgement> {
    let admin = case.has(Capability::CAP_SYS_ADMIN);
    if case.failed() {
        let found = denied(case)?;
        return Some(match admin {
            Some(true) => found.seen_against(
                &case.host.process.effective,
                "the process has CAP_SYS_ADMIN, with which default filters allow sethostname",
            ),
            _ => found,
        });
    }
    let on = |platforms: &[Platform]| platforms.iter().any(|platform| case.on(*platform));
    if !on(&[Platform::Podman, Platform::CriO, Platform::Docker, Platform::Containerd]) {
        return None;
    }
    (case.plans(|plan| plan.hostname) && case.filtered() == Some(true) && admin == Some(false)).then(|| {
        weigh(Medium).pro(evidence::filter(case).so()).seen(
            &case.host.process.effective,
            "CAP_SYS_ADMIN, with which default filters allow it, is missing (CapEff in /proc/self/status)",
        )
    })
}

fn landlock_denies_mount(case: &Case<'_>) -> Option<Judgement> {
    let judgement = |confidence| weigh(confidence);
    if let Some(confidence) = landlocked(case).filter(|_| !case.failed()) {
        let seen = "/proc/self/uid_map is ours and cannot be opened for writing: Permission denied";
        return Some(judgement(confidence).seen(&case.host.user_namespace.uid_map_writable, seen));
    }
    if !case.failed() || knows_landlock(case) == Some(false) {
        return None;
    }
    let no_new_privs = &case.host.process.no_new_privs;
    Some(match case.filtered() {
        Some(true) => judgement(Low).seen_against(
            &case.host.process.seccomp,
            "a system call filter is on, which explains it (Seccomp: 2)",
        ),
        Some(false) if no_new_privs.is(&true) && knows_landlock(case) == Some(true) => judgement(High)
            .seen(&case.host.security.modules, "Landlock is active in the kernel (/sys/kernel/security/lsm)")
            .seen(
                &case.host.process.no_new_privs,
                "something restricted this process for good (NoNewPrivs: 1 in /proc/self/status)",
            )
            .pro(evidence::filter(case).otherwise()),
        Some(false) => judgement(Medium).pro(evidence::filter(case).otherwise()),
        None => judgement(Medium).unknown("whether a system call filter is on: Seccomp in /proc/self/status"),
    })
}

/// A domain cannot be left, and every one with rules about files forbids mounting.
pub(in crate::diagnosis) fn landlock_inside() -> Remedy {
    told!("landlock-inside")
}

#[cfg(test)]
mod tests;
