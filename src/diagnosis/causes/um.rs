//! Writing the user and group id maps.

pub(super) mod nested;

use super::cp::{path, same_ids};
use super::pr::remedies::bind_dev;
use super::prelude::*;
use crate::diagnosis::launcher::Launcher;

rules! {
    AppArmorRestrictsUserNamespaces, Anytime, ["setting up uid map" => (EACCES)]
        => apparmor_restricts, lift_restriction;

    ProcReadOnly, Anytime, ["setting up uid map" => (EROFS)],
        unless "`touch -c /proc/self/uid_map` succeeds where bwrap is started"
        => proc_read_only, |case| Wish::WritableProc.grant(case);

    LandlockDeniesProc, Anytime, ["setting up uid map" => (EACCES)],
        unless "the launcher and what started it use no Landlock"
        => landlock_denies_proc, |_| vec![told!("landlock-inside")];

    BwrapUnreadable, Anytime, ["setting up uid map" => (EACCES)]
        => bwrap_unreadable, |case| vec![told!(UM12, "readable-bwrap", path = path(case))];

    MissingSetfcap, Anytime, ["setting up uid map" => (EPERM)],
        unless "the same sandbox starts as root without CAP_SETFCAP, or fails for uid 1000, too"
        => missing_setfcap, |case| Wish::MappedRoot.grant(case);

    IdsDiffer, Anytime, ["setting up uid map" => (EPERM EACCES)],
        unless "`grep -E '^[UG]id' /proc/self/status` shows the same id twice each"
        => ids_differ_or_unmapped, equal_ids;

    OverflowIdTwice, Anytime, ["setting up uid map", "setting up gid map" => (EINVAL)],
        unless "`id -u` and `id -g` print other numbers than /proc/sys/kernel/overflowuid and overflowgid hold"
        => overflow_id_twice, |case| told!("chmod-u-s", path = path(case)).or(bind_dev(case));

    GidMapDenied, Anytime, [
        "setting up gid map", "error writing to setgroups" => (EPERM EACCES);
        // made by the group that is not mapped
        "Creating newroot failed" => (EOVERFLOW)
    ],
        unless "`grep ^Gid /proc/self/status` shows the same id twice"
        => gid_map_denied, |case| match case.apparmor().profile() {
            _ if restricted_gid_map(case).is_some() => lift_restriction(case),
            Some(_) if !ids_differ(case) => permit_in_profile(case),
            _ => equal_ids(case),
        };
}

fn equal_ids(case: &Case<'_>) -> Vec<Remedy> {
    vec![same_ids(case).unwrap_or_else(|| told!("same-ids"))]
}

/// Rules out whatever is about the maps where bwrap makes no user namespace: only that has any.
fn maps_ids(case: &Case<'_>) -> Option<()> {
    rule_out(case.user_namespace() == Some(false))
}

/// The kernel lets root be mapped only by whoever holds `CAP_SETFCAP` (since 5.12, and where that was backported).
fn missing_setfcap(case: &Case<'_>) -> Option<Judgement> {
    maps_ids(case)?;
    let (root, has) = (case.root(), case.has(Capability::CAP_SETFCAP));
    rule_out(root == Some(false) || has == Some(true))?;
    if (root, has) != (Some(true), Some(false)) {
        // nothing is known but the message, if there is one
        let what = "whether the process is root, and its capabilities: CapEff in /proc/self/status";
        return open(case, Medium, what);
    }
    // gVisor has the rule, whatever version it goes by
    let before = !case.failed() && case.kernel().is_some_and(|version| version < (5, 12));
    let old = case.host.kernel.release.present().filter(|release| before && !release.contains("gvisor"));
    let found = weigh(if old.is_none() { High } else { Medium })
        .pro(evidence::root(case).so())
        .pro(evidence::capability(case, Capability::CAP_SETFCAP).otherwise());
    let rule = |release| format!("whether Linux {release} has the rule, which is of 5.12 and was backported");
    Some(found.unknown(old.map(rule)))
}

/// bwrap opens the map only after it has made a network namespace's loopback device work, which takes capabilities, too.
fn apparmor_restricts(case: &Case<'_>) -> Option<Judgement> {
    let new_net = case.is_planned(|plan| plan.new_net);
    let found = strips_capabilities(case)?.summary(
        "AppArmor takes the rights of the new user namespace away, so bwrap may not write its id map",
    );
    if !case.failed() {
        return (!new_net).then_some(found);
    }
    let before = "the loopback device, which takes the same rights, was set up before";
    let outside = "/proc/self/uid_map may not be written even outside the sandbox";
    let denied = landlocked(case).is_some() || ids_differ(case);
    // that it is not Ubuntu's restriction leaves the profiles of programs, which others load as well
    let of_program = of_program(case);
    let summary = "an AppArmor profile of the program that starts bwrap may keep it from writing its id map, as flatpak's does";
    let found = found.summary(of_program.then_some(summary));
    let confidence = match found.confidence {
        _ if new_net || denied => Low,
        Low if of_program => Medium,
        confidence => confidence,
    };
    found
        .confidence(confidence)
        .contra(evidence::heard(case, new_net.then_some(before)))
        .seen_against(&case.host.user_namespace.uid_map_writable, denied.then_some(outside))
        .into()
}

fn proc_read_only(case: &Case<'_>) -> Option<Judgement> {
    maps_ids(case)?;
    let read_only = mounted_on(case, Path::new("/proc")).is_some_and(Mount::is_read_only);
    let map = &case.host.user_namespace.uid_map_writable;
    let refused = match map {
        Fact::Present(_) => Some(false),
        Fact::Unreadable(why) if why == "Read-only file system" => Some(true),
        _ => None,
    };
    rule_out(!case.failed() && !refused.unwrap_or(read_only))?;
    // after a failure nothing else gives that error
    let asked = case.sandbox.is_some_and(|sandbox| sandbox.namespaces.any_user());
    let sure = case.failed() || case.root().is_some() || asked;
    let option = "the mount on /proc has the option ro (/proc/self/mountinfo)";
    let answer = "opening /proc/self/uid_map for writing says: Read-only file system";
    weigh(if sure { High } else { Medium })
        .summary("/proc is mounted read-only, so bwrap cannot write the id maps of its user namespace")
        .seen(&case.host.mounts, read_only.then_some(option))
        .seen(map, (refused == Some(true)).then_some(answer))
        .into()
}

fn landlock_denies_proc(case: &Case<'_>) -> Option<Judgement> {
    maps_ids(case)?;
    let map = &case.host.user_namespace.uid_map_writable;
    let found = landlocked(case);
    if found.is_some() {
        return found;
    }
    rule_out(!case.failed() || knows_landlock(case) == Some(false) || ids_differ(case))?;
    if let Some(domain) = told_domain(case) {
        return Some(weigh(High).pro(domain));
    }
    Some(match map {
        Fact::Present(_) => {
            weigh(Low).seen_against(map, "this process may open its own /proc/self/uid_map for writing")
        }
        // what a desktop starts is under no such rules
        _ if no_module(case) => weigh(Low).unknown("whether /proc/self/uid_map can be opened for writing"),
        _ => weigh(Medium).unknown("whether /proc/self/uid_map can be opened for writing"),
    })
}

/// Whether something that knows no Landlock runs where AppArmor is not, which could deny it.
fn no_module(case: &Case<'_>) -> bool {
    let (security, launcher) = (&case.host.security, Launcher::of(case));
    let desktop = launcher.is_some_and(Launcher::is_of_desktops)
        || launcher.is_none() && case.told().is_some_and(|told| !told.landlock);
    let none = security.apparmor_enabled.is(&false) || case.host.sysctl(RESTRICTION).is_absent();
    none && desktop && !Setting::of(case).is_container()
}

/// Whether a profile of another program's may confine what is known to be under no restriction of all programs: on somebody's machine
/// that has, or may have, AppArmor.
fn of_program(case: &Case<'_>) -> bool {
    let may = !case.host.security.apparmor_enabled.is(&false) && case.apparmor() == AppArmor::Unknown;
    may && no_module(case) && Setting::of(case) == Setting::Machine
}

const UNREADABLE: &str = "may be executed but not read, so the kernel keeps bwrap from writing its id map";

/// Whoever may not read a program may not look into its process, and neither may the process itself. A setuid bwrap has its
/// map written by its other half, which is root.
fn bwrap_unreadable(case: &Case<'_>) -> Option<Judgement> {
    maps_ids(case)?;
    rule_out(case.host.bwrap_gets_root() == Some(true))?;
    let file = path(case);
    let found = |confidence| {
        weigh(confidence).refuted_by(format!("`test -r {file}` succeeds, as the user who starts bwrap"))
    };
    let Some(program) = case.host.bwrap.present() else {
        if let Some((listed, readable)) = case.told().and_then(|told| told.bwrap.as_ref()) {
            rule_out(*readable)?;
            let listed = shown(listed);
            let summary = format!("{listed} {UNREADABLE}");
            let seen = format!("{listed} may not be read by everybody (`ls -l`)");
            return Some(found(High).summary(summary).pro(evidence::told(case, seen)));
        }
        let may = format!("whether we may read it: `test -r {file}`");
        // packages install it for everybody to read, so that a profile is likelier where one may be
        let alone = no_module(case) && !of_program(case);
        return case.failed().then(|| found(if alone { Medium } else { Low }).unknown(may));
    };
    let sure = case.failed() || case.user_namespace() == Some(true);
    program.unreadable.then(|| {
        found(if sure { High } else { Medium })
            .summary(format!("{file} {UNREADABLE}"))
            .seen(&case.host.bwrap, format!("{file} cannot be opened for reading"))
    })
}

/// bwrap takes itself for setuid if the user ids differ. If the group ids do, the kernel gives the process' files in /proc
/// to root.
fn ids_differ_or_unmapped(case: &Case<'_>) -> Option<Judgement> {
    let process = &case.host.process;
    if let Some((uid, real)) = differing(&process.uid, &process.real_uid).filter(|(uid, _)| *uid != 0) {
        let summary =
            format!("the effective user id is {uid}, the real one {real}; bwrap takes itself for setuid");
        return Some(weigh(High).summary(summary).pro(evidence::same_users(case).otherwise()));
    }
    maps_ids(case)?;
    let groups = differing(&process.gid, &process.real_gid).filter(|_| case.root() != Some(true));
    if let Some((effective, real)) = groups {
        let sure = case.errno().map_or(case.root() == Some(false), |errno| errno == libc::EACCES);
        let summary = format!(
            "the effective group id is {effective}, the real one {real}: the kernel then keeps the id maps from us"
        );
        let found = weigh(if sure { High } else { Medium });
        return Some(found.summary(summary).pro(evidence::same_groups(case).otherwise()));
    }
    rule_out(!case.failed() || case.errno() == Some(libc::EACCES))?;
    let (same, mapped) = (evidence::same_users(case), evidence::mapped(case));
    match (case.root(), process.uid.present()) {
        (Some(false), Some(uid)) if mapped.answer == Some(false) => {
            let summary = "is not mapped in this user namespace, so it cannot be mapped further";
            let seen = format!("no line of /proc/self/uid_map covers {uid}");
            let found = weigh(High).summary(format!("user {uid} {summary}"));
            Some(found.seen(&case.host.user_namespace.uid_map, seen))
        }
        (Some(true), _) if case.has(Capability::CAP_SETFCAP) != Some(true) => None,
        _ if (same.answer, mapped.answer) == (Some(true), Some(true)) => None,
        _ => Some(weigh(Low).if_not(same).if_not(mapped)),
    }
}

/// For devpts bwrap needs a root in there, and maps the overflow id to it, beside the user's own.
fn overflow_id_twice(case: &Case<'_>) -> Option<Judgement> {
    maps_ids(case)?;
    rule_out(case.plan.as_ref().is_some_and(|plan| plan.dev.is_none()))?;
    let bwrap = &case.host.bwrap;
    // what nobody looked at is foreseen of none; that it failed so makes it likely
    rule_out((!case.failed() || bwrap.present().is_some()) && case.host.bwrap_gets_root() == Some(false))?;
    let process = &case.host.process;
    rule_out(process.no_new_privs.is(&true))?;
    let ids = [
        ("user", &process.real_uid, "kernel.overflowuid"),
        ("group", &process.real_gid, "kernel.overflowgid"),
    ];
    // what the kernel takes unless it was told another
    let twice = |(_, id, name): &(&str, &Fact<u32>, &str)| {
        Some(u64::from(*id.present()?) == number(case, name).unwrap_or(65534))
    };
    let Some((kind, id, name)) = ids.into_iter().find(|one| twice(one) == Some(true)) else {
        rule_out(ids.iter().all(|one| twice(one) == Some(false)))?;
        return open(
            case,
            Medium,
            "whether bwrap is setuid root, and its user the overflow user: `ls -l` and `id`",
        );
    };
    let asked = case.failed() || case.plan.is_some();
    weigh(if bwrap.is_unknown() || !asked { Medium } else { High })
        .seen(bwrap, "bwrap is setuid root, and maps ids by itself")
        .seen(id, format!("the {kind} who starts it is {} ({name})", id.present()?))
        .into()
}

fn gid_map_denied(case: &Case<'_>) -> Option<Judgement> {
    maps_ids(case)?;
    let process = &case.host.process;
    let same = evidence::same_groups(case);
    if let Some((gid, real)) = differing(&process.gid, &process.real_gid) {
        // for others than root the map of users comes first
        let first = case.root() == Some(true) && case.user_namespace() == Some(true);
        let summary =
            format!("the effective group id is {gid}, the real one {real}, and bwrap maps the real one");
        let found = weigh(High).summary(summary).pro(same.otherwise());
        return (case.failed() || first).then_some(found);
    }
    rule_out(!case.failed() || case.errno() == Some(libc::EOVERFLOW))?;
    if let Some(restricted) = restricted_gid_map(case) {
        return Some(restricted);
    }
    if same.answer.is_none() {
        return Some(weigh(Medium).if_not(same));
    }
    Some(match case.apparmor().profile() {
        Some(profile) => {
            let seen =
                format!("the AppArmor profile {profile} confines this process (/proc/self/attr/current)");
            weigh(Medium).seen(&case.host.security.label, seen).contra(same.so())
        }
        None => weigh(Low).contra(same.so()),
    })
}

/// Ubuntu's restriction, which meets the second user namespace if not the first, and answers with EACCES.
fn restricted_gid_map(case: &Case<'_>) -> Option<Judgement> {
    rule_out(case.errno() != Some(libc::EACCES) || evidence::same_groups(case).answer != Some(true))?;
    let found = strips_capabilities(case).filter(|found| found.confidence == High)?;
    let before = "the map of user ids, which takes the same rights, was written before";
    let same = "the group ids are the same, so these do not explain it (Gid in /proc/self/status)";
    found
        .confidence(Medium)
        .summary("AppArmor takes the rights of the new user namespace away, so bwrap may not write its group id map")
        .contra(evidence::heard(case, before))
        .seen(&case.host.process.uid, same)
        .into()
}

#[cfg(test)]
mod tests;
