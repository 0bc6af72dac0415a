//! New namespaces that the kernel does not permit (EPERM), and existing ones that cannot be joined.

pub(super) mod filters;
pub(super) mod limits;
pub(super) mod processes;
pub(super) mod refusals;

use crate::diagnosis::case::Case;
use crate::diagnosis::facts::{OPENS, user_namespace};
use crate::diagnosis::finding::Confidence::{High, Low, Medium};
use crate::diagnosis::remedy::told;
use crate::diagnosis::weigh::{Judgement, rules, weigh};
use crate::diagnosis::wish::{Wish, raise};
use crate::diagnosis::{Remedy, SandboxChange, evidence};
use std::path::Path;

use crate::bwrap::Stage;
use crate::host::{Fact, IdMapping, Platform};
use crate::sandbox::Capability;

/// With a user namespace of the sandbox's.
pub(in crate::diagnosis) const NO_PERMISSIONS: &str = "No permissions to create a new namespace%s";
/// Without.
pub(in crate::diagnosis) const CREATING: &str = "Creating new namespace failed";

/// Mount propagation belongs to mounts: a root that is none has none to change.
const MAKE_SLAVE: &str = "Failed to make / slave";

rules! {
    Chrooted, Anytime, [NO_PERMISSIONS => (EPERM), MAKE_SLAVE => (EINVAL)],
        unless "`grep ' / / ' /proc/self/mountinfo` shows a mount on /: it is no chroot"
        => chrooted, leave_chroot;

    UserNamespacesSwitchedOff, Anytime, [NO_PERMISSIONS => (EPERM), "unshare user ns" => (EPERM)],
        unless "`sysctl kernel.unprivileged_userns_clone` prints 1, or knows no such key"
        => switched_off, |case| Wish::Sysctl("kernel.unprivileged_userns_clone", "1", OPENS).grant(case);

    UnmappedId, Anytime, [NO_PERMISSIONS => (EPERM)],
        unless "`id -u` and `id -g` are within the ranges of /proc/self/uid_map and gid_map"
        => unmapped, map_id;

    RootWithoutSysAdmin, Anytime, [CREATING => (EPERM)],
        unless "the same sandbox with Namespaces::USER fails with the same message"
        => root_without, ask_for_one;

    JoinDenied, Anytime, [
        "Joining specified user namespace failed",
        "Joining the specified user namespace failed, it might not be a descendant of the current user namespace.",
        "Setting userns2 failed", "Setting pidns failed", "unshare pid ns" => (EPERM),
        "Can't read pid from socket", "No pid returned on socket", "Unexpected short read from pid socket",
    ],
        unless "`nsenter` by the same user joins the same namespaces"
        => join_denied, |_| vec![told!("namespace-to-join")];
}

/// The kernel makes no user namespace for whoever is in a chroot, root or not; and without one the root must be a mount.
fn chrooted(case: &Case<'_>) -> Option<Judgement> {
    let makes = user_namespace(case);
    let seen = root_is_mount(case);
    if seen == Some(false) {
        let found = weigh(High).pro(evidence::seen(
            &case.host.mounts,
            "nothing is mounted on /: the root is a directory (/proc/self/mountinfo)",
        ));
        return Some(if makes == Some(false) {
            found
                .summary("the root is no mount but a chroot, and bwrap can change the mounts of a mount only")
        } else {
            found
        });
    }
    let said = case.symptom.and_then(|symptom| symptom.message()?.pattern());
    if said == Some(MAKE_SLAVE) {
        // the kernel gives this number for hardly anything else
        return Some(match seen {
            Some(_) => weigh(Low).contra(evidence::seen(
                &case.host.mounts,
                "something is mounted on / as seen from here (/proc/self/mountinfo)",
            )),
            None => weigh(High).pro(evidence::heard(case, "the kernel answered that / is no mount (EINVAL)")),
        });
    }
    if makes == Some(false) {
        return None;
    }
    match (case.sighting(Platform::Chroot), seen) {
        (Some(hint), _) => Some(
            weigh(Medium)
                .pro(evidence::seen(&case.platforms, format!("{} points to a chroot", hint.evidence))),
        ),
        // a filter is the likelier reason by far
        (None, Some(_)) if case.filtered() == Some(true) => None,
        _ if !case.failed() => None,
        (None, Some(_)) => Some(weigh(Low).contra(evidence::seen(
            &case.host.mounts,
            "something is mounted on / (/proc/self/mountinfo); only a chroot into a mount looks so, too",
        ))),
        (None, None) => Some(weigh(Low).unknown("whether anything is mounted on /: /proc/self/mountinfo")),
    }
}

/// Whether something is mounted on `/`; `None` if nobody knows.
fn root_is_mount(case: &Case<'_>) -> Option<bool> {
    let mounts = case.host.mounts.present().filter(|mounts| !mounts.is_empty())?;
    Some(mounts.iter().any(|mount| mount.point == Path::new("/")))
}

fn leave_chroot(case: &Case<'_>) -> Vec<Remedy> {
    let mut remedies = vec![told!("no-chroot")];
    // of a root that is no mount bwrap cannot change the mounts either
    if root_is_mount(case) == Some(true)
        && case.root() == Some(true)
        && case.has(Capability::CAP_SYS_ADMIN) == Some(true)
    {
        remedies.push(Remedy::change(SandboxChange::KeepUserNamespace));
    }
    remedies
}

/// A switch of Debian's and others' kernels. It does not bind `CAP_SYS_ADMIN` over the machine.
fn switched_off(case: &Case<'_>) -> Option<Judgement> {
    let makes = user_namespace(case);
    let value = case.host.sysctl("kernel.unprivileged_userns_clone");
    if makes == Some(false) || value.is_absent() {
        return None;
    }
    match value.present().map(String::as_str) {
        Some("0") => {}
        None if case.failed() => {
            return Some(
                weigh(Low).unknown("the value of kernel.unprivileged_userns_clone: `sysctl` on the machine"),
            );
        }
        _ => return None,
    }
    let judgement =
        |confidence| weigh(confidence).pro(evidence::parameter(case, "kernel.unprivileged_userns_clone"));
    let exempt = match (case.has(Capability::CAP_SYS_ADMIN), case.host.user_namespace.is_initial()) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    };
    let late = case.stage() == Some(Stage::NestedUserNamespace);
    if exempt == Some(true) {
        // inside the first one the right is gone, and another needs it again
        let second = case.plan.as_ref().is_some_and(|plan| plan.second_user_namespace);
        return (late || !case.failed() && second).then(|| {
            judgement(High).summary(
                "kernel.unprivileged_userns_clone=0 forbids the second user namespace, inside the first",
            )
        });
    }
    let sure = case.failed() && !late || makes == Some(true) && exempt == Some(false);
    Some(judgement(if sure { High } else { Medium }))
}

/// Which of our ids has no mapping.
enum Unmapped {
    /// Its kind and number.
    Id(&'static str, u32),
    Neither,
    Unknown,
}

fn unmapped_id(case: &Case<'_>) -> Unmapped {
    let covers = |map: &Fact<Vec<IdMapping>>, id: &Fact<u32>| {
        let (map, id) = map.present().zip(id.present().copied())?;
        Some((map.iter().any(|mapping| mapping.covers(id)), id))
    };
    let (host, process) = (&case.host.user_namespace, &case.host.process);
    match (covers(&host.uid_map, &process.uid), covers(&host.gid_map, &process.gid)) {
        (Some((false, id)), _) => Unmapped::Id("user", id),
        (_, Some((false, id))) => Unmapped::Id("group", id),
        (Some(_), Some(_)) => Unmapped::Neither,
        _ => Unmapped::Unknown,
    }
}

fn unmapped(case: &Case<'_>) -> Option<Judgement> {
    let makes = user_namespace(case);
    if makes == Some(false) {
        return None;
    }
    match unmapped_id(case) {
        Unmapped::Id(kind, id) => {
            let file = if kind == "user" { "/proc/self/uid_map" } else { "/proc/self/gid_map" };
            let sure = case.failed() || makes == Some(true);
            Some(
                weigh(if sure { High } else { Medium })
                    .summary(format!(
                        "our {kind} id is not mapped in this user namespace, which shows it as {id}"
                    ))
                    .pro(evidence::seen(
                        &case.host.user_namespace.uid_map,
                        format!("no line of {file} covers {id}"),
                    )),
            )
        }
        Unmapped::Unknown if case.failed() => {
            Some(weigh(Low).unknown("whether our ids are mapped: `id`, /proc/self/uid_map and gid_map"))
        }
        Unmapped::Unknown | Unmapped::Neither => None,
    }
}

fn map_id(case: &Case<'_>) -> Vec<Remedy> {
    let mut remedies = vec![told!("mapped-id")];
    let map = case.host.user_namespace.uid_map.present();
    if map.is_none_or(|map| map.iter().any(|mapping| mapping.covers(1000))) {
        remedies.extend(Wish::User.grant(case));
    }
    remedies
}

/// As root bwrap makes a user namespace only if it is told to.
fn root_without(case: &Case<'_>) -> Option<Judgement> {
    let joins = case.sandbox.is_some_and(|sandbox| sandbox.namespaces.join_user.is_some());
    let admin = case.has(Capability::CAP_SYS_ADMIN);
    if joins || case.root() == Some(false) || admin == Some(true) || user_namespace(case) == Some(true) {
        return None;
    }
    match (case.root(), admin) {
        (Some(true), Some(false)) if case.failed() || user_namespace(case) == Some(false) => {
            let judgement = weigh(High)
                .pro(evidence::root(case).so())
                .pro(evidence::capability(case, Capability::CAP_SYS_ADMIN).otherwise());
            let skipped = case.plan.as_ref().is_some_and(|plan| plan.user_namespace_optional);
            Some(if skipped {
                judgement
                    .summary(
                        "root without CAP_SYS_ADMIN needs a user namespace, and bwrap made none \
                     because the host allows none",
                    )
                    .pro(evidence::asked(
                        case,
                        "user.max_user_namespaces is 0, or the kernel has no user namespaces: bwrap then \
                     goes on without",
                    ))
            } else {
                judgement.pro(evidence::own_namespace(case).otherwise())
            })
        }
        _ if case.failed() => Some(weigh(Medium).unknown(
            "whether the process is root, and has CAP_SYS_ADMIN: Uid and CapEff in /proc/self/status",
        )),
        _ => None,
    }
}

fn ask_for_one(case: &Case<'_>) -> Vec<Remedy> {
    let skipped =
        case.plan.as_ref().is_some_and(|plan| plan.user_namespace_optional) && case.userns_skipped();
    if skipped {
        return raise(case, "user.max_user_namespaces", 15_000, OPENS);
    }
    let ask = Remedy::change(SandboxChange::UnshareUser);
    // root can be mapped into a new one only with this
    if case.has(Capability::CAP_SETFCAP) == Some(false) {
        let mut remedies = Wish::User.grant(case);
        remedies.push(ask.needs("CAP_SETFCAP, which root needs to be mapped into a user namespace"));
        return remedies;
    }
    let mut remedies = vec![ask];
    remedies.extend(Wish::User.grant(case));
    remedies
}

fn join_denied(case: &Case<'_>) -> Option<Judgement> {
    let message = case.symptom?.message()?;
    let judgement = weigh(High);
    let kind = if message.operation() == Some("--pidns") { "PID" } else { "user" };
    let (summary, reason) = match case.errno() {
        Some(libc::EPERM) => (
            format!("this user may not join the {kind} namespace"),
            "the kernel answered EPERM: joining needs CAP_SYS_ADMIN in the user namespace that owns it",
        ),
        Some(libc::EINVAL) => (
            format!("the {kind} namespace is no descendant of ours, or the descriptor is for another kind"),
            "the kernel answered EINVAL: a user namespace must be below our own, and another one than it",
        ),
        Some(libc::EBADF) => (
            format!("the descriptor for the {kind} namespace is not open in bwrap"),
            "the kernel answered EBADF: it was closed, or closes when bwrap is executed (FD_CLOEXEC)",
        ),
        _ => (
            format!("the {kind} namespace could not be joined: {}", message.text().to_string_lossy()),
            "bwrap names the namespace that it could not join",
        ),
    };
    Some(judgement.summary(summary).pro(evidence::heard(case, reason)))
}

/// Whether a fact proves that the kernel itself permits no user namespace here.
pub(in crate::diagnosis) fn proven(case: &Case<'_>) -> bool {
    let judges = [chrooted, switched_off, unmapped];
    judges.iter().any(|judge| judge(case).is_some_and(|found| found.confidence == High))
}

#[cfg(test)]
mod tests;
