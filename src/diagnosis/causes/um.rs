//! Writing the user and group id maps.

pub(super) mod nested;

use crate::diagnosis::case::Case;
use crate::diagnosis::causes::cp::path;
use crate::diagnosis::causes::mt::landlock_inside;
use crate::diagnosis::confinement::{AppArmor, ids_differ, knows_landlock, landlocked, permit_in_profile};
use crate::diagnosis::facts::setuid;
use crate::diagnosis::finding::Confidence::{High, Low, Medium};
use crate::diagnosis::remedy::told;
use crate::diagnosis::restriction::{lift_restriction, strips_capabilities};
use crate::diagnosis::weigh::{Judgement, rules, weigh};
use crate::diagnosis::wish::Wish;
use crate::diagnosis::{Remedy, evidence};
use crate::host::Fact;
use crate::sandbox::Capability;

rules! {
    AppArmorRestrictsUserNamespaces, Anytime, ["setting up uid map" => (EACCES)]
        => apparmor_restricts, lift_restriction;

    ProcReadOnly, Anytime, ["setting up uid map" => (EROFS)],
        unless "`touch -c /proc/self/uid_map` succeeds where bwrap is started"
        => proc_read_only, |case| Wish::WritableProc.grant(case);

    LandlockDeniesProc, Anytime, ["setting up uid map" => (EACCES)],
        unless "the launcher and what started it use no Landlock"
        => landlock_denies_proc, |_| vec![landlock_inside()];

    BwrapUnreadable, Anytime, ["setting up uid map" => (EACCES)]
        => bwrap_unreadable, |case| vec![make_bwrap_readable(case)];

    MissingSetfcap, Anytime, ["setting up uid map" => (EPERM)],
        unless "the same sandbox starts as root without CAP_SETFCAP, or fails for uid 1000, too"
        => missing_setfcap, |case| Wish::MappedRoot.grant(case);

    IdsDiffer, Anytime, ["setting up uid map" => (EPERM EACCES)],
        unless "`grep -E '^[UG]id' /proc/self/status` shows the same id twice each"
        => ids_differ_or_unmapped, |_| vec![same_ids()];

    GidMapDenied, Anytime, [
        "setting up gid map" => (EPERM EACCES), "error writing to setgroups" => (EPERM EACCES),
    ],
        unless "`grep ^Gid /proc/self/status` shows the same id twice"
        => gid_map_denied, |case| {
            if restricted_gid_map(case).is_some() {
                return lift_restriction(case);
            }
            let profile = AppArmor::of(case).profile().filter(|_| !ids_differ(case));
            profile.map_or_else(|| vec![same_ids()], |_| permit_in_profile(case))
        };
}

/// The kernel lets root be mapped only by whoever holds `CAP_SETFCAP` (since 5.12, and where that was backported).
fn missing_setfcap(case: &Case<'_>) -> Option<Judgement> {
    // only a user namespace has a map
    if case.user_namespace() == Some(false) || case.root() == Some(false) {
        return None;
    }
    match (case.root(), case.has(Capability::CAP_SETFCAP)) {
        (_, Some(true)) => None,
        (Some(true), Some(false)) => {
            // gVisor has the rule, whatever version it goes by
            let before = case.kernel().is_some_and(|version| version < (5, 12));
            let release = case.host.kernel.release.present();
            let old = release.filter(|release| before && !release.contains("gvisor"));
            let found = weigh(if case.failed() || old.is_none() { High } else { Medium })
                .pro(evidence::root(case).so())
                .pro(evidence::capability(case, Capability::CAP_SETFCAP).otherwise());
            Some(match old {
                Some(release) if !case.failed() => found.unknown(format!(
                    "whether Linux {release} has the rule, which is of 5.12 and was backported"
                )),
                _ => found,
            })
        }
        // nothing is known but the message, if there is one
        _ if case.failed() => Some(
            weigh(Medium)
                .unknown("whether the process is root, and its capabilities: CapEff in /proc/self/status"),
        ),
        _ => None,
    }
}

/// bwrap opens the map only after it has made a network namespace's loopback device work, which takes capabilities, too.
fn apparmor_restricts(case: &Case<'_>) -> Option<Judgement> {
    let new_net = case.plan.as_ref().is_some_and(|plan| plan.new_net);
    let mut found = strips_capabilities(case)?.summary(
        "AppArmor takes the rights of the new user namespace away, so bwrap may not write its id map",
    );
    if !case.failed() {
        return (!new_net).then_some(found);
    }
    if new_net {
        found = found.contra(evidence::heard(
            case,
            "the loopback device, which takes the same rights, was set up before",
        ));
        found.confidence = Low;
    }
    if landlocked(case).is_some() || ids_differ(case) {
        found = found.contra(evidence::seen(
            &case.host.user_namespace.uid_map_writable,
            "/proc/self/uid_map may not be written even outside the sandbox",
        ));
        found.confidence = Low;
    }
    Some(found)
}

fn proc_read_only(case: &Case<'_>) -> Option<Judgement> {
    if case.user_namespace() == Some(false) {
        return None;
    }
    let found = |confidence| {
        weigh(confidence)
            .summary("/proc is mounted read-only, so bwrap cannot write the id maps of its user namespace")
    };
    let mounts = case.host.mounts.present().map(Vec::as_slice).unwrap_or_default();
    // the last one is on top
    let mount = mounts.iter().rfind(|mount| mount.point.as_os_str() == "/proc");
    let read_only = mount.is_some_and(crate::host::Mount::is_read_only);
    let refused = match &case.host.user_namespace.uid_map_writable {
        Fact::Present(_) => Some(false),
        Fact::Unreadable(why) if why == "Read-only file system" => Some(true),
        _ => None,
    };
    let seen = |judgement: Judgement| {
        let judgement = if read_only {
            judgement.pro(evidence::seen(
                &case.host.mounts,
                "the mount on /proc has the option ro (/proc/self/mountinfo)",
            ))
        } else {
            judgement
        };
        match refused {
            Some(true) => judgement.pro(evidence::seen(
                &case.host.user_namespace.uid_map_writable,
                "opening /proc/self/uid_map for writing says: Read-only file system",
            )),
            _ => judgement,
        }
    };
    // nothing else gives that error
    if case.failed() {
        return Some(seen(found(High)));
    }
    let sure = case.root().is_some() || case.sandbox.is_some_and(|sandbox| sandbox.namespaces.any_user());
    let confidence = if sure { High } else { Medium };
    (refused.unwrap_or(read_only)).then(|| seen(found(confidence)))
}

fn landlock_denies_proc(case: &Case<'_>) -> Option<Judgement> {
    if case.user_namespace() == Some(false) {
        return None;
    }
    if let Some(confidence) = landlocked(case) {
        return Some(weigh(confidence).pro(evidence::seen(
            &case.host.user_namespace.uid_map_writable,
            "/proc/self/uid_map is ours and cannot be opened for writing: Permission denied",
        )));
    }
    if !case.failed() || knows_landlock(case) == Some(false) || ids_differ(case) {
        return None;
    }
    Some(match &case.host.user_namespace.uid_map_writable {
        Fact::Present(_) => weigh(Low).contra(evidence::seen(
            &case.host.user_namespace.uid_map_writable,
            "this process may open its own /proc/self/uid_map for writing",
        )),
        _ => weigh(Medium).unknown("whether /proc/self/uid_map can be opened for writing"),
    })
}

/// Whoever may not read a program may not look into its process, and neither may the process itself. A setuid bwrap has its
/// map written by its other half, which is root.
fn bwrap_unreadable(case: &Case<'_>) -> Option<Judgement> {
    if case.user_namespace() == Some(false) || setuid(case) == Some(true) {
        return None;
    }
    let file = path(case);
    let found = |confidence| {
        weigh(confidence).refuted_by(format!("`test -r {file}` succeeds, as the user who starts bwrap"))
    };
    match case.host.bwrap.present() {
        Some(program) if program.unreadable => {
            let sure = case.failed() || case.user_namespace() == Some(true);
            Some(
                found(if sure { High } else { Medium })
                    .summary(format!(
                        "{file} may be executed but not read, so the kernel keeps bwrap from writing its id map"
                    ))
                    .pro(evidence::seen(&case.host.bwrap, format!("{file} cannot be opened for reading"))),
            )
        }
        Some(_) => None,
        None => {
            case.failed().then(|| found(Low).unknown(format!("whether we may read it: `test -r {file}`")))
        }
    }
}

fn make_bwrap_readable(case: &Case<'_>) -> Remedy {
    told!("readable-bwrap", path = path(case))
}

/// bwrap takes itself for setuid if the user ids differ. If the group ids do, the kernel gives the process' files in /proc
/// to root.
fn ids_differ_or_unmapped(case: &Case<'_>) -> Option<Judgement> {
    let process = &case.host.process;
    let pair = |effective: &Fact<u32>, real: &Fact<u32>| match (effective.present(), real.present()) {
        (Some(effective), Some(real)) if effective != real => Some((*effective, *real)),
        _ => None,
    };
    if let Some((effective, real)) = pair(&process.uid, &process.real_uid).filter(|(uid, _)| *uid != 0) {
        let summary = format!(
            "the effective user id is {effective}, the real one {real}; bwrap takes itself for setuid"
        );
        return Some(weigh(High).summary(summary).pro(evidence::same_users(case).otherwise()));
    }
    if case.user_namespace() == Some(false) {
        return None;
    }
    if let Some((effective, real)) =
        pair(&process.gid, &process.real_gid).filter(|_| case.root() != Some(true))
    {
        let sure = case.errno().map_or(case.root() == Some(false), |errno| errno == libc::EACCES);
        let summary = format!(
            "the effective group id is {effective}, the real one {real}: the kernel then keeps the id maps from us"
        );
        let found = weigh(if sure { High } else { Medium });
        return Some(found.summary(summary).pro(evidence::same_groups(case).otherwise()));
    }
    if !case.failed() || case.errno() == Some(libc::EACCES) {
        return None;
    }
    let uid = process.uid.present();
    match (case.root(), case.host.user_namespace.uid_map.present(), uid) {
        (Some(false), Some(map), Some(uid)) if !map.iter().any(|line| line.covers(*uid)) => Some(
            weigh(High)
                .summary(format!(
                    "user {uid} is not mapped in this user namespace, so it cannot be mapped further"
                ))
                .pro(evidence::seen(
                    &case.host.user_namespace.uid_map,
                    format!("no line of /proc/self/uid_map covers {uid}"),
                )),
        ),
        (Some(true), ..) if case.has(Capability::CAP_SETFCAP) != Some(true) => None,
        (_, map, _) => {
            let same = uid.zip(process.real_uid.present()).map(|(effective, real)| effective == real);
            let mapped = uid.zip(map).map(|(uid, map)| map.iter().any(|line| line.covers(*uid)));
            if (same, mapped) == (Some(true), Some(true)) {
                return None;
            }
            let judgement = match same {
                Some(true) => weigh(Low).contra(evidence::same_users(case).so()),
                Some(false) => weigh(Low).pro(evidence::same_users(case).otherwise()),
                None => weigh(Low).unknown("our user ids: Uid in /proc/self/status"),
            };
            Some(match mapped {
                Some(true) => judgement.contra(evidence::mapped(case).so()),
                Some(false) => judgement.pro(evidence::mapped(case).otherwise()),
                None => judgement.unknown("the map of our user namespace: /proc/self/uid_map"),
            })
        }
    }
}

fn gid_map_denied(case: &Case<'_>) -> Option<Judgement> {
    if case.user_namespace() == Some(false) {
        return None;
    }
    let found = |confidence| weigh(confidence);
    let process = &case.host.process;
    match (process.gid.present(), process.real_gid.present()) {
        (Some(effective), Some(real)) if effective != real => {
            // for others than root the map of users comes first
            let first = case.root() == Some(true) && case.user_namespace() == Some(true);
            let summary = format!(
                "the effective group id is {effective}, the real one {real}, and bwrap maps the real one"
            );
            let found = found(High).summary(summary).pro(evidence::same_groups(case).otherwise());
            (case.failed() || first).then_some(found)
        }
        _ if !case.failed() => None,
        _ if restricted_gid_map(case).is_some() => restricted_gid_map(case),
        (Some(_), Some(_)) => match AppArmor::of(case).profile() {
            Some(profile) => Some(
                found(Medium)
                    .pro(evidence::seen(
                        &case.host.security.label,
                        format!(
                            "the AppArmor profile {profile} confines this process (/proc/self/attr/current)"
                        ),
                    ))
                    .contra(evidence::same_groups(case).so()),
            ),
            None => Some(found(Low).contra(evidence::same_groups(case).so())),
        },
        _ => Some(found(Medium).unknown("our group ids: Gid in /proc/self/status")),
    }
}

/// Ubuntu's restriction, which meets the second user namespace if not the first, and answers with EACCES.
fn restricted_gid_map(case: &Case<'_>) -> Option<Judgement> {
    let gids = (case.host.process.gid.present()?, case.host.process.real_gid.present()?);
    if case.errno() != Some(libc::EACCES) || gids.0 != gids.1 {
        return None;
    }
    let mut found = strips_capabilities(case).filter(|found| found.confidence == High)?;
    found.confidence = Medium;
    Some(
        found
            .summary("AppArmor takes the rights of the new user namespace away, so bwrap may not write its group id map")
            .contra(evidence::heard(case, "the map of user ids, which takes the same rights, was written before"))
            .pro(evidence::seen(&case.host.process.uid, "the group ids are the same, so these do not explain it (Gid in /proc/self/status)")),
    )
}

fn same_ids() -> Remedy {
    told!("same-ids")
}

#[cfg(test)]
mod tests;
