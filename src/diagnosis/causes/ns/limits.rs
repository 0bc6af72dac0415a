//! Limits on the number and depth of namespaces (ENOSPC, EUSERS).

use super::super::prelude::*;
use super::CREATING;

const EXCEEDED: &str =
    "Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)";

rules! {
    NoUserNamespacesAllowed, Anytime, [EXCEEDED],
        unless "`sysctl user.max_user_namespaces` prints more than there are in use" => none_allowed, allow_some;

    NamespaceLimit, Anytime, [EXCEEDED; "unshare pid ns" => (ENOSPC)] => other_limit, raise_other;

    AncestorLimitsUserNamespaces, Failed, [EXCEEDED],
        unless "`unshare --user true` fails in the outermost namespace, or succeeds here"
        => ancestor, raise_ancestor;

    GvisorNestedTooDeep, Failed, [CREATING, "unshare user ns" => (EUSERS)],
        unless "the same sandbox starts when it is nested less deep"
        => gvisor, |_| vec![told!("nest-less"), told!(NS18, "no-gvisor")];

    NestedTooDeep, Failed, [EXCEEDED; CREATING => (EUSERS); "unshare user ns" => (ENOSPC EUSERS)],
        unless "`unshare --user true` succeeds, though it is one level deeper"
        => too_deep, |_| vec![told!("nest-less")];
}

/// The limit on user namespaces.
pub(in crate::diagnosis) const USER: &str = "user.max_user_namespaces";

/// Below this a limit is worth suspecting. The kernel's own is in the thousands.
pub(in crate::diagnosis) const SMALL: u64 = 256;

/// What a limit is raised to at the least: room for every user's sandboxes.
pub(in crate::diagnosis) const LEAST: u64 = 15_000;

fn none_allowed(case: &Case<'_>) -> Option<Judgement> {
    let makes = user_namespace(case);
    rule_out(makes == Some(false) && !case.failed())?;
    let value = number(case, USER);
    rule_out(value != Some(0) && (!case.failed() || makes == Some(false)))?;
    let seen = evidence::parameter(case, USER);
    Some(match value {
        Some(0) => {
            // a snapshot that root made elsewhere says nothing of who started bwrap, unless another limit explains it
            let another = makes == Some(false) && tightest(case).is_some_and(|(value, _)| value == 0);
            let sure = case.failed() && !another || makes == Some(true);
            let who = "who started bwrap: root, whom this snapshot shows, would do without one here";
            weigh(if sure { High } else { Medium }).pro(seen).unknown((makes == Some(false)).then_some(who))
        }
        // the ones in use are of this user, anywhere on the machine
        Some(value) if value < SMALL => weigh(Medium)
            .summary(format!("{USER}={value} allows no more user namespaces to this user"))
            .pro(seen)
            .unknown("how many are in use: `lsns -t user`"),
        Some(_) if case.host.user_namespace.is_initial() == Some(true) => weigh(Low).contra(seen),
        Some(_) => return None,
        None => weigh(Low)
            .summary(format!("{USER} is 0 here, or all that it allows are in use"))
            .unknown(format!("the value of {USER}: `sysctl {USER}`")),
    })
}

fn allow_some(case: &Case<'_>) -> Vec<Remedy> {
    let keep = case.is_admin() && user_namespace(case) != Some(false);
    let keep = keep.then(|| Remedy::change(SandboxChange::KeepUserNamespace));
    raise(case, USER, LEAST, OPENS).or(keep)
}

/// The smallest known limit on namespaces of the kinds that bwrap makes beside the user namespace.
fn tightest(case: &Case<'_>) -> Option<(u64, String)> {
    let made = match &case.plan {
        Some(plan) => plan.kinds.as_slice(),
        None if case.failed() => &["mnt", "pid", "net", "ipc", "uts", "cgroup"],
        None => &["mnt"],
    };
    let names = made.iter().map(|kind| format!("user.max_{kind}_namespaces"));
    names.filter_map(|name| Some((number(case, &name)?, name))).min()
}

fn other_limit(case: &Case<'_>) -> Option<Judgement> {
    let tightest = tightest(case);
    rule_out(!case.failed() && !matches!(tightest, Some((0, _))))?;
    let found = |confidence, name: &str| {
        weigh(confidence).refuted_by(format!("`sysctl {name}` prints more than there are in use (`lsns`)"))
    };
    Some(match tightest {
        Some((0, name)) => found(High, &name)
            .summary(format!("{name}=0 forbids a namespace that the sandbox needs"))
            .pro(evidence::parameter(case, &name)),
        Some((value, name)) if value < SMALL => found(Medium, &name)
            .summary(format!("{name}={value} allows no more of a namespace that the sandbox needs"))
            .pro(evidence::parameter(case, &name))
            .unknown("how many are in use: `lsns`"),
        Some((value, name)) => {
            let seen = format!("{name} is the smallest of these limits, and is {value} (/proc/sys/user)");
            found(Low, "user").contra(evidence::heard(case, seen))
        }
        None => found(Low, "user").unknown("the limits: `sysctl user`"),
    })
}

fn raise_other(case: &Case<'_>) -> Vec<Remedy> {
    let opens = "every user of the machine can make more namespaces of this kind";
    let known = tightest(case).map(|(_, name)| raise(case, &name, LEAST, opens));
    known.unwrap_or_else(|| vec![told!(NS15, "raise-namespace-limit")])
}

/// Every namespace above us has a limit of its own, which cannot be read from here.
fn ancestor(case: &Case<'_>) -> Option<Judgement> {
    let namespace = &case.host.user_namespace;
    let (initial, own) = (namespace.is_initial(), number(case, USER));
    rule_out(initial == Some(true) || own == Some(0))?;
    let roomy = own.filter(|own| *own >= SMALL);
    let others = tightest(case).is_some_and(|(value, _)| value >= SMALL);
    let found = match initial {
        Some(_) => {
            let found = weigh(if roomy.is_some() && others { High } else { Medium });
            let already =
                "we are in a user namespace already (/proc/self/uid_map does not map all ids to themselves)";
            found.seen(&namespace.uid_map, already)
        }
        None if case.hinted(Hint::Nested) => {
            weigh(Medium).pro(evidence::told(case, "it is started within a sandbox of bwrap's"))
        }
        None => weigh(Low).unknown("whether we are in a user namespace already: /proc/self/uid_map"),
    };
    let outer = [Platform::Flatpak, Platform::Bubblewrap];
    let outer = outer.iter().find_map(|platform| case.sighting(*platform));
    let limit =
        |own| format!("the limit of this namespace itself is {own} (/proc/sys/user/max_user_namespaces)");
    let summary =
        |outer: &Sighting| format!("{}, which we are in, allows no more user namespaces", outer.platform);
    Some(found.heard(case, roomy.map(limit)).summary(outer.map(summary)).pro(outer.map(evidence::sighted)))
}

fn raise_ancestor(case: &Case<'_>) -> Vec<Remedy> {
    // ours may well be higher: what is set here would change nothing
    let (outer, limit) = (told!(NS13, "outer-sandbox"), told!("raise-limit-outside", opens = OPENS));
    let inside = case.on(Platform::Flatpak) || case.on(Platform::Bubblewrap) || case.hinted(Hint::Nested);
    if inside { outer.or([limit]) } else { limit.or([outer]) }
}

fn gvisor(case: &Case<'_>) -> Option<Judgement> {
    let Some(gvisor) = case.sighting(Platform::GVisor) else {
        let unknown = "whether the kernel is gVisor's: `uname -a`, `dmesg`";
        return case.host.kernel.release.present().is_none().then(|| weigh(Medium).unknown(unknown));
    };
    Some(weigh(High).pro(evidence::sighted(gvisor)))
}

/// The kernel counts 33 levels below the outermost one; nobody can count them from inside.
fn too_deep(case: &Case<'_>) -> Option<Judgement> {
    rule_out(case.host.user_namespace.is_initial() == Some(true) || case.on(Platform::GVisor))?;
    let old = case.kernel().is_none_or(|version| version < (4, 9));
    // this number old kernels give for nothing else
    let confidence = if case.errno() == Some(libc::EUSERS) && old { Medium } else { Low };
    Some(weigh(confidence).unknown("how deep we are: 33 user namespaces may be within each other"))
}

#[cfg(test)]
mod tests;
