//! New namespaces that the kernel does not permit (EPERM), and existing ones that cannot be joined.

pub(super) mod filters;
pub(super) mod limits;
pub(super) mod processes;
pub(super) mod refusals;

use super::prelude::*;
use crate::bwrap::Stage;
use crate::diagnosis::launcher::Launcher;
use crate::diagnosis::way;
use crate::host::IdMapping;

/// With a user namespace of the sandbox's.
pub(in crate::diagnosis) const NO_PERMISSIONS: &str = "No permissions to create a new namespace%s";
/// Without.
pub(in crate::diagnosis) const CREATING: &str = "Creating new namespace failed";

/// Mount propagation belongs to mounts: a root that is none has none to change.
const MAKE_SLAVE: &str = "Failed to make / slave";

rules! {
    Chrooted, Anytime, [NO_PERMISSIONS => (EPERM); MAKE_SLAVE => (EINVAL)],
        unless "`grep ' / / ' /proc/self/mountinfo` shows a mount on /: it is no chroot"
        => chrooted, leave_chroot;

    UserNamespacesSwitchedOff, Anytime, [NO_PERMISSIONS, "unshare user ns" => (EPERM)],
        unless "`sysctl kernel.unprivileged_userns_clone` prints 1, or knows no such key"
        => switched_off, |case| Wish::Sysctl(CLONE, "1", OPENS).grant(case);

    UnmappedId, Anytime, [NO_PERMISSIONS => (EPERM)],
        unless "`id -u` and `id -g` are within the ranges of /proc/self/uid_map and gid_map"
        => unmapped, map_id;

    RootWithoutSysAdmin, Anytime, [CREATING => (EPERM)],
        unless "the same sandbox with Namespaces::USER fails with the same message"
        => root_without, ask_for_one;

    JoinDenied, Failed, [
        "Joining specified user namespace failed",
        "Joining the specified user namespace failed, it might not be a descendant of the current user namespace.",
        "Setting userns2 failed", "Setting pidns failed", "Can't read pid from socket",
        "No pid returned on socket", "Unexpected short read from pid socket"; "unshare pid ns" => (EPERM)
    ],
        unless "`nsenter` by the same user joins the same namespaces"
        => join_denied;
}

/// What that says.
const BY_HAND: &str = "a user namespace can be made there by hand, with unshare(1)";

/// Whether it is told that a user namespace can be made by hand in the same place: nothing forbids them to everybody there, then.
pub(in crate::diagnosis) fn made_by_hand(case: &Case<'_>) -> bool {
    case.says(&[NO_PERMISSIONS]) && case.hinted(Hint::Unshares)
}

/// The kernel makes no user namespace for whoever is in a chroot, root or not; and without one the root must be a mount.
fn chrooted(case: &Case<'_>) -> Option<Judgement> {
    let (makes, mounted) = (user_namespace(case), root_is_mount(case));
    let mounts = &case.host.mounts;
    let into_mount =
        "something is mounted on / (/proc/self/mountinfo); only a chroot into a mount looks so, too";
    let without = "the root is no mount but a chroot, and bwrap can change the mounts of a mount only";
    Some(match (mounted, case.sighting(Platform::Chroot)) {
        (Some(false), _) => weigh(High)
            .seen(mounts, "nothing is mounted on /: the root is a directory (/proc/self/mountinfo)")
            .summary((makes == Some(false)).then_some(without)),
        // the kernel gives this number for hardly anything else
        (None, _) if case.says(&[MAKE_SLAVE]) => weigh(High)
            .summary("/ is no mount here, as in a chroot, and bwrap can change the mounts of a mount only")
            .heard(case, "the kernel answered that / is no mount (EINVAL)"),
        (Some(_), _) if case.says(&[MAKE_SLAVE]) => weigh(Low)
            .seen_against(mounts, "something is mounted on / as seen from here (/proc/self/mountinfo)"),
        _ if makes == Some(false) => return None,
        // where it was made by hand may have been outside
        (_, Some(hint)) => weigh(Medium)
            .seen(&case.platforms, format!("{} points to a chroot", hint.evidence))
            .contra(evidence::told(case, made_by_hand(case).then_some(BY_HAND))),
        _ if made_by_hand(case) => return None,
        _ if !case.failed() => return None,
        // what an engine starts has a mount for its root, unless somebody says more
        (None, None) if Setting::of(case).is_container() => return None,
        // nor has a desktop's own system a root that is none
        (None, None) if Setting::of(case) == Setting::Machine && case.hinted(Hint::NamedWithoutSwitch) => {
            return None;
        }
        // a filter is the likelier reason by far
        (Some(_), None) if case.filtered() == Some(true) => return None,
        (Some(_), None) => weigh(Low).seen_against(mounts, into_mount),
        (None, None) => weigh(Low).unknown("whether anything is mounted on /: /proc/self/mountinfo"),
    })
}

/// Whether something is mounted on `/`; `None` if nobody knows.
fn root_is_mount(case: &Case<'_>) -> Option<bool> {
    let mounts = case.host.mounts.present().filter(|mounts| !mounts.is_empty())?;
    Some(mounts.iter().any(|mount| mount.point == Path::new("/")))
}

fn leave_chroot(case: &Case<'_>) -> Vec<Remedy> {
    // of a root that is no mount bwrap cannot change the mounts either
    let keep = root_is_mount(case) == Some(true) && case.is_admin();
    let keep = keep.then(|| Remedy::change(SandboxChange::KeepUserNamespace));
    // a mount of its own is all that it lacks, where no user namespace is made
    let mounted = case.says(&[MAKE_SLAVE]).then(|| told!(NS03, "mount-of-tree"));
    Vec::new().or(mounted).or([told!(NS03, "no-chroot")]).or(keep)
}

const CLONE: &str = "kernel.unprivileged_userns_clone";

/// A switch of Debian's and others' kernels. It does not bind `CAP_SYS_ADMIN` over the machine.
fn switched_off(case: &Case<'_>) -> Option<Judgement> {
    let makes = user_namespace(case);
    let value = case.host.sysctl(CLONE);
    rule_out(makes == Some(false) || value.is_absent() || made_by_hand(case))?;
    if value.present().is_none() {
        let release = &case.host.kernel.release;
        let hardened = release.present().is_some_and(|release| release.contains("hardened"));
        let switch = "linux-hardened comes with this switch at 0 (uname -r)";
        // no engine's filter is as likely there
        let setting = Setting::of(case);
        let machine = setting == Setting::Machine && filters::outer(case).is_none();
        // nor in a container that has none
        let machine = machine || setting.is_container() && case.filtered() == Some(false);
        // of these distributions no kernel has the switch
        let without = machine && !hardened && case.hinted(Hint::NoSwitch);
        let likely = if (hardened || machine) && !without { Medium } else { Low };
        let none = "the distribution's kernels come without this switch, which is Debian's and a few others'";
        return open(case, likely, format!("the value of {CLONE}: `sysctl` on the machine"))
            .map(|found| found.seen(release, hardened.then_some(switch)))
            .map(|found| found.contra(evidence::told(case, without.then_some(none))));
    }
    rule_out(!value.is("0"))?;
    let found = |confidence| weigh(confidence).pro(evidence::parameter(case, CLONE));
    let exempt = match (case.has(Capability::CAP_SYS_ADMIN), case.host.user_namespace.is_initial()) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    };
    let late = case.stage() == Some(Stage::NestedUserNamespace);
    if exempt == Some(true) {
        // inside the first one the right is gone, and another needs it again
        let second = case.is_planned(|plan| plan.second_user_namespace);
        let summary = format!("{CLONE}=0 forbids the second user namespace, inside the first");
        return (late || !case.failed() && second).then(|| found(High).summary(summary));
    }
    let sure = case.failed() && !late || makes == Some(true) && exempt == Some(false);
    Some(found(if sure { High } else { Medium }))
}

/// Whether one of our ids is mapped, and that id; `None` if nobody knows.
fn mapped(map: &Fact<Vec<IdMapping>>, id: &Fact<u32>) -> Option<(bool, u32)> {
    let (map, id) = map.present().zip(id.present().copied())?;
    Some((map.iter().any(|mapping| mapping.covers(id)), id))
}

fn unmapped(case: &Case<'_>) -> Option<Judgement> {
    let makes = user_namespace(case);
    rule_out(makes == Some(false) || made_by_hand(case))?;
    let (namespace, process) = (&case.host.user_namespace, &case.host.process);
    let user = mapped(&namespace.uid_map, &process.uid);
    let group = mapped(&namespace.gid_map, &process.gid);
    let (kind, file, id) = match (user, group) {
        (Some((false, id)), _) => ("user", "uid_map", id),
        (_, Some((false, id))) => ("group", "gid_map", id),
        (Some(_), Some(_)) => return None,
        _ => return open(case, Low, "whether our ids are mapped: `id`, /proc/self/uid_map and gid_map"),
    };
    let sure = case.failed() || makes == Some(true);
    let summary = format!("our {kind} id is not mapped in this user namespace, which shows it as {id}");
    let seen = format!("no line of /proc/self/{file} covers {id}");
    Some(weigh(if sure { High } else { Medium }).summary(summary).seen(&namespace.uid_map, seen))
}

fn map_id(case: &Case<'_>) -> Vec<Remedy> {
    let map = case.host.user_namespace.uid_map.present();
    let another = map.is_none_or(|map| map.iter().any(|mapping| mapping.covers(1000)));
    let user = if another { Wish::User.grant(case) } else { Vec::new() };
    told!(NS04, "mapped-id").or(user)
}

/// As root bwrap makes a user namespace only if it is told to.
fn root_without(case: &Case<'_>) -> Option<Judgement> {
    let joins = case.joins_user_namespace();
    let (root, admin) = (case.root(), case.has(Capability::CAP_SYS_ADMIN));
    let makes = user_namespace(case);
    rule_out(joins || root == Some(false) || admin == Some(true) || makes == Some(true))?;
    rule_out(!case.failed() && (root, admin, makes) != (Some(true), Some(false), Some(false)))?;
    if (root, admin) != (Some(true), Some(false)) {
        let unknown =
            "whether the process is root, and has CAP_SYS_ADMIN: Uid and CapEff in /proc/self/status";
        // then asking for one is what fails next
        let denied = case.hinted(Hint::UnshareDenied);
        let against =
            denied.then_some("unshare(1) is denied a user namespace, too, which bwrap would ask for");
        let found = weigh(if denied { Low } else { Medium }).contra(evidence::told(case, against));
        return Some(found.unknown(unknown));
    }
    let found = weigh(High)
        .pro(evidence::root(case).so())
        .pro(evidence::capability(case, Capability::CAP_SYS_ADMIN).otherwise());
    if !case.is_planned(|plan| plan.user_namespace_optional) {
        return Some(found.pro(evidence::own_namespace(case).otherwise()));
    }
    let summary =
        "root without CAP_SYS_ADMIN needs a user namespace, and bwrap made none because the host allows none";
    let skipped =
        "user.max_user_namespaces is 0, or the kernel has no user namespaces: bwrap then goes on without";
    Some(found.summary(summary).asked(case, skipped))
}

fn ask_for_one(case: &Case<'_>) -> Vec<Remedy> {
    if case.is_planned(|plan| plan.user_namespace_optional) && case.userns_skipped() {
        return raise(case, limits::USER, limits::LEAST, OPENS);
    }
    if let Setting::Managed(_) = Setting::of(case) {
        // which lets nobody set anything
        return permit_calls(case);
    }
    let ask = Remedy::change(SandboxChange::UnshareUser);
    // which is root's work, and in whose line it is not
    if Launcher::of(case) == Some(Launcher::RpmOstree) {
        return vec![ask];
    }
    let user = Wish::User.grant(case);
    // root can be mapped into a new one only with this
    if case.has(Capability::CAP_SETFCAP) == Some(false) {
        return user.or([ask.needs("CAP_SETFCAP, which root needs to be mapped into a user namespace")]);
    }
    // which most engines' default filters deny to whoever has no CAP_SYS_ADMIN
    let engine = matches!(
        Setting::of(case),
        Setting::Container(_) | Setting::OtherContainer | Setting::Kubernetes { .. }
    );
    if engine && case.filtered().is_none() {
        let summary =
            "Ask for a user namespace, and let the filter of the container permit one (NS01)".to_owned();
        return Remedy { summary, ..ask }.or(as_user(case, user));
    }
    ask.or(user)
}

/// Another user than root, whose user namespace the engine's filter has to permit as well: neither alone changes anything.
fn as_user(case: &Case<'_>, user: Vec<Remedy>) -> Vec<Remedy> {
    let filters = permit_calls(case);
    let both: Vec<Remedy> =
        user.iter().flat_map(|user| filters.iter().filter_map(|filter| way::both(user, filter))).collect();
    if both.is_empty() { user } else { both }
}

fn join_denied(case: &Case<'_>) -> Option<Judgement> {
    let message = case.message()?;
    let kind = if message.operation() == Some("--pidns") { "PID" } else { "user" };
    let (_, reason) = meaning(case, Cause::JoinDenied)?;
    let summary = match case.errno() {
        Some(libc::EPERM) => format!("this user may not join the {kind} namespace"),
        Some(libc::EINVAL) => {
            format!("the {kind} namespace is no descendant of ours, or the descriptor is for another kind")
        }
        Some(libc::EBADF) => format!("the descriptor for the {kind} namespace is not open in bwrap"),
        _ => format!("the {kind} namespace could not be joined: {}", message.text().to_string_lossy()),
    };
    Some(weigh(High).summary(summary).heard(case, reason))
}

/// Whether a fact proves that the kernel itself permits no user namespace here.
pub(in crate::diagnosis) fn proven(case: &Case<'_>) -> bool {
    let judges = [chrooted, switched_off, unmapped];
    judges.iter().any(|judge| judge(case).is_some_and(|found| found.confidence == High))
}

#[cfg(test)]
mod tests;
