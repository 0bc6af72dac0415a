//! Limits on the number and depth of namespaces (ENOSPC, EUSERS).

use crate::diagnosis::case::Case;
use crate::diagnosis::causes::ns::CREATING;
use crate::diagnosis::facts::{OPENS, number, user_namespace};
use crate::diagnosis::finding::Confidence::{High, Low, Medium};
use crate::diagnosis::remedy::told;
use crate::diagnosis::weigh::{Judgement, rules, weigh};
use crate::diagnosis::wish::raise;
use crate::diagnosis::{Remedy, SandboxChange, evidence};
use crate::host::Platform;
use crate::sandbox::Capability;

const EXCEEDED: &str =
    "Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)";

rules! {
    NoUserNamespacesAllowed, Anytime, [EXCEEDED]
        => none_allowed, allow_some;

    NamespaceLimit, Anytime, [EXCEEDED, "unshare pid ns" => (ENOSPC)]
        => other_limit, raise_other;

    AncestorLimitsUserNamespaces, Anytime, [EXCEEDED],
        unless "`unshare --user true` fails in the outermost namespace, or succeeds here"
        => ancestor, raise_ancestor;

    GvisorNestedTooDeep, Failed, [CREATING => (EUSERS), "unshare user ns" => (EUSERS)],
        unless "the same sandbox starts when it is nested less deep"
        => gvisor, |_| vec![nest_less(), told!("no-gvisor")];

    NestedTooDeep, Anytime, [EXCEEDED, CREATING => (EUSERS), "unshare user ns" => (ENOSPC EUSERS)],
        unless "`unshare --user true` succeeds, though it is one level deeper"
        => too_deep, |_| vec![nest_less()];
}

const USER: &str = "user.max_user_namespaces";

/// Below this a limit is worth suspecting. The kernel's own is in the thousands.
pub(in crate::diagnosis) const SMALL: u64 = 256;

/// What a limit is raised to at the least: room for every user's sandboxes.
pub(in crate::diagnosis) const LEAST: u64 = 15_000;

fn none_allowed(case: &Case<'_>) -> Option<Judgement> {
    let makes = user_namespace(case);
    if makes == Some(false) && !case.failed() {
        return None;
    }
    let judgement = |confidence| {
        weigh(confidence).refuted_by(format!("`sysctl {USER}` prints more than there are in use"))
    };
    match number(case, USER) {
        Some(0) => {
            // a snapshot that root made elsewhere says nothing of who started bwrap, unless another limit explains it
            let another = makes == Some(false) && tightest(case).is_some_and(|(_, value)| value == 0);
            let sure = case.failed() && !another || makes == Some(true);
            let found = judgement(if sure { High } else { Medium }).pro(evidence::parameter(case, USER));
            Some(if makes == Some(false) {
                found.unknown("who started bwrap: root, whom this snapshot shows, would do without one here")
            } else {
                found
            })
        }
        _ if !case.failed() || makes == Some(false) => None,
        // the ones in use are of this user, anywhere on the machine
        Some(value) if value < SMALL => Some(
            judgement(Medium)
                .summary(format!("{USER}={value} allows no more user namespaces to this user"))
                .pro(evidence::parameter(case, USER))
                .unknown("how many are in use: `lsns -t user`"),
        ),
        Some(_) if case.host.user_namespace.is_initial() == Some(true) => {
            Some(judgement(Low).contra(evidence::parameter(case, USER)))
        }
        Some(_) => None,
        None => Some(judgement(Low).unknown(format!("the value of {USER}: `sysctl {USER}`"))),
    }
}

fn allow_some(case: &Case<'_>) -> Vec<Remedy> {
    let mut remedies = raise(case, USER, LEAST, OPENS);
    let root = case.root() == Some(true) && case.has(Capability::CAP_SYS_ADMIN) == Some(true);
    if root && user_namespace(case) != Some(false) {
        remedies.push(Remedy::change(SandboxChange::KeepUserNamespace));
    }
    remedies
}

/// The kinds of namespaces that bwrap makes beside the user namespace, by the names of their limits.
fn kinds(case: &Case<'_>) -> Vec<String> {
    let kinds = [
        ("mnt", true),
        ("pid", case.plans(|plan| plan.new_pid)),
        ("net", case.plans(|plan| plan.new_net)),
        ("ipc", case.plans(|plan| plan.new_ipc)),
        ("uts", case.plans(|plan| plan.new_uts)),
        ("cgroup", case.plans(|plan| plan.new_cgroup)),
    ];
    kinds
        .into_iter()
        .filter(|(_, made)| *made)
        .map(|(kind, _)| format!("user.max_{kind}_namespaces"))
        .collect()
}

/// The smallest of these limits that are known.
fn tightest(case: &Case<'_>) -> Option<(String, u64)> {
    kinds(case)
        .into_iter()
        .filter_map(|name| Some((number(case, &name)?, name)))
        .min()
        .map(|(value, name)| (name, value))
}

fn other_limit(case: &Case<'_>) -> Option<Judgement> {
    let tightest = tightest(case);
    let judgement = |confidence, name: &str| {
        weigh(confidence).refuted_by(format!("`sysctl {name}` prints more than there are in use (`lsns`)"))
    };
    match tightest {
        Some((name, 0)) => Some(
            judgement(High, &name)
                .summary(format!("{name}=0 forbids a namespace that the sandbox needs"))
                .pro(evidence::parameter(case, &name)),
        ),
        _ if !case.failed() => None,
        Some((name, value)) if value < SMALL => Some(
            judgement(Medium, &name)
                .summary(format!("{name}={value} allows no more of a namespace that the sandbox needs"))
                .pro(evidence::parameter(case, &name))
                .unknown("how many are in use: `lsns`"),
        ),
        Some((name, value)) => Some(judgement(Low, "user").contra(evidence::heard(
            case,
            format!("{name} is the smallest of these limits, and is {value} (/proc/sys/user)"),
        ))),
        None => Some(judgement(Low, "user").unknown("the limits: `sysctl user`")),
    }
}

fn raise_other(case: &Case<'_>) -> Vec<Remedy> {
    const OPENS: &str = "every user of the machine can make more namespaces of this kind";
    if let Some((name, _)) = tightest(case) {
        return raise(case, &name, LEAST, OPENS);
    }
    vec![told!("raise-namespace-limit")]
}

/// Every namespace above us has a limit of its own, which cannot be read from here.
fn ancestor(case: &Case<'_>) -> Option<Judgement> {
    let initial = case.host.user_namespace.is_initial();
    let own = number(case, USER);
    if !case.failed() || initial == Some(true) || own == Some(0) {
        return None;
    }
    let outer =
        [Platform::Flatpak, Platform::Bubblewrap].iter().find_map(|platform| case.sighting(*platform));
    let roomy =
        own.is_some_and(|own| own >= SMALL) && tightest(case).is_some_and(|(_, value)| value >= SMALL);
    let confidence = match initial {
        Some(false) if roomy => High,
        Some(false) => Medium,
        _ => Low,
    };
    let mut judgement = weigh(confidence);
    judgement = match initial {
        Some(_) => judgement.pro(evidence::seen(
            &case.host.user_namespace.uid_map,
            "we are in a user namespace already (/proc/self/uid_map does not map all ids to themselves)",
        )),
        None => judgement.unknown("whether we are in a user namespace already: /proc/self/uid_map"),
    };
    if let Some(own) = own.filter(|own| *own >= SMALL) {
        judgement = judgement.pro(evidence::heard(
            case,
            format!("the limit of this namespace itself is {own} (/proc/sys/user/max_user_namespaces)"),
        ));
    }
    if let Some(outer) = outer {
        judgement = judgement
            .summary(format!("{}, which we are in, allows no more user namespaces", outer.platform))
            .pro(evidence::sighted(outer));
    }
    Some(judgement)
}

fn raise_ancestor(case: &Case<'_>) -> Vec<Remedy> {
    let outer = told!("outer-sandbox-with-userns");
    if case.on(Platform::Flatpak) || case.on(Platform::Bubblewrap) {
        vec![outer, raise_outside()]
    } else {
        vec![raise_outside(), outer]
    }
}

/// For a limit of a namespace around ours. Ours may well be higher: what is set here would change nothing.
pub(in crate::diagnosis) fn raise_outside() -> Remedy {
    Remedy::manual(
        "Raise user.max_user_namespaces outside, where the limit is lower than here",
        "As root, outside of every container and sandbox (in Kubernetes on the node): `sysctl user.max_user_namespaces`; if that \
         is 0 or small: sysctl -w user.max_user_namespaces=15000",
        OPENS,
    )
}

fn gvisor(case: &Case<'_>) -> Option<Judgement> {
    let judgement = |confidence| weigh(confidence);
    match (case.sighting(Platform::GVisor), case.host.kernel.release.present()) {
        (Some(gvisor), _) => Some(judgement(High).pro(evidence::sighted(gvisor))),
        (None, Some(_)) => None,
        (None, None) => {
            Some(judgement(Medium).unknown("whether the kernel is gVisor's: `uname -a`, `dmesg`"))
        }
    }
}

/// The kernel counts 33 levels below the outermost one; nobody can count them from inside.
fn too_deep(case: &Case<'_>) -> Option<Judgement> {
    if !case.failed() || case.host.user_namespace.is_initial() == Some(true) || case.on(Platform::GVisor) {
        return None;
    }
    let old = case.kernel().is_none_or(|version| version < (4, 9));
    // this number old kernels give for nothing else
    let confidence = if case.errno() == Some(libc::EUSERS) && old { Medium } else { Low };
    Some(weigh(confidence).unknown("how deep we are: 33 user namespaces may be within each other"))
}

fn nest_less() -> Remedy {
    told!("nest-less")
}

#[cfg(test)]
mod tests;
