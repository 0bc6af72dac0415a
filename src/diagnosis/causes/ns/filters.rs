//! System call filters that deny new namespaces: of containers, units, outer sandboxes.

use crate::diagnosis::Cause;
use crate::diagnosis::Remedy;
use crate::diagnosis::case::Case;
use crate::diagnosis::causes::ns::{CREATING, NO_PERMISSIONS, proven};
use crate::diagnosis::facts::stopped_by_masks;
use crate::diagnosis::finding::Confidence;
use crate::diagnosis::remedy::told;
use crate::diagnosis::setting::{Setting, own_unit};
use crate::diagnosis::weigh::{Judgement, Rule};
use crate::diagnosis::wish::{Calls, Wish, permit_to_unit};
use crate::host::{Platform, Sighting};
use crate::sandbox::Capability;

pub(in crate::diagnosis) const RULES: &[Rule] = &[
    Rule {
        cause: Cause::SeccompDeniesNamespaces,
        messages: &[(NO_PERMISSIONS, &[libc::EPERM]), (CREATING, &[libc::EPERM])],
        judge: filtered,
        remedies: |case| Wish::Calls(Calls::Sandboxing).grant(case),
    },
    Rule {
        cause: Cause::UnitRestrictsNamespaces,
        messages: &[(NO_PERMISSIONS, &[libc::EPERM]), (CREATING, &[libc::EPERM])],
        judge: restricted_unit,
        remedies: |case| vec![permit_to_unit(case, Calls::Sandboxing)],
    },
    Rule {
        cause: Cause::OuterSandboxDeniesNamespaces,
        messages: &[(NO_PERMISSIONS, &[libc::EPERM]), (CREATING, &[libc::EPERM])],
        judge: outer_sandbox,
        remedies: leave_outer_sandbox,
    },
];

/// What the filter of an engine does about namespaces, if it is the default one.
enum Default<'a> {
    /// It denies them without `CAP_SYS_ADMIN`.
    Denies(&'a Sighting),
    Permits(&'a Sighting),
    /// A container, and nobody knows whose.
    Unknown(&'a Sighting),
    NoContainer,
}

fn default_filter<'a>(case: &'a Case<'_>) -> Default<'a> {
    let first = |platforms: &[Platform]| platforms.iter().find_map(|platform| case.sighting(*platform));
    // what an outer bwrap works under permits bwrap, or it came with a filter of its own
    if case.on(Platform::Bubblewrap) {
        return Default::NoContainer;
    }
    if let Some(sighting) = first(&[Platform::CriO, Platform::Podman, Platform::Lxc, Platform::Nspawn]) {
        Default::Permits(sighting)
    } else if let Some(sighting) = first(&[Platform::Docker, Platform::Containerd]) {
        Default::Denies(sighting)
    } else if let Some(sighting) = first(&[Platform::OpenShift, Platform::Kubernetes, Platform::Container]) {
        Default::Unknown(sighting)
    } else {
        Default::NoContainer
    }
}

/// Whether the filter was made for a container with `CAP_SYS_ADMIN`; `None` if nobody knows.
fn privileged_container(case: &Case<'_>) -> Option<bool> {
    let bounding = case.host.process.bounding.present().map(|set| set.has(Capability::CAP_SYS_ADMIN));
    match (bounding, case.has(Capability::CAP_SYS_ADMIN)) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), _) => Some(false),
        _ => None,
    }
}

const UNKNOWN_FILTER: &str = "whether it is the default filter: its rules cannot be read";
const STOPPED: &str =
    "/proc is masked as well, which stops this sandbox in any case: only for that is it sure that it fails";
const FILTER: &str = "a system call filter is on (Seccomp 2 in /proc/self/status)";

fn filtered(case: &Case<'_>) -> Option<Judgement> {
    let default = default_filter(case);
    let (on, privileged) = (case.filtered(), privileged_container(case));
    let judgement = |confidence| {
        Judgement::new(
            confidence,
            "`unshare --user true` succeeds in the same container, or fails without its filter, too",
        )
    };
    if on == Some(false) {
        return None;
    }
    // a unit and an outer sandbox have rules of their own
    let theirs = matches!(default, Default::NoContainer)
        && (Setting::of(case) == Setting::Unit || outer(case).is_some());
    if !case.failed() {
        if on.is_none() || theirs {
            return None;
        }
        let judgement = |confidence| judgement(confidence).pro(FILTER);
        let bounds =
            "CAP_SYS_ADMIN, for which it lets them pass, is out of bounds (CapBnd in /proc/self/status)";
        return match (default, privileged) {
            (Default::Permits(_), _) | (Default::Denies(_) | Default::Unknown(_), Some(true)) => None,
            (Default::Denies(engine), Some(false)) => {
                let stopped = stopped_by_masks(case);
                let confidence = if stopped { Confidence::High } else { Confidence::Medium };
                let found = denied(judgement(confidence), engine).pro(bounds).unknown(UNKNOWN_FILTER);
                Some(if stopped { found.pro(STOPPED) } else { found })
            }
            (Default::Denies(engine), None) => Some(
                denied(judgement(Confidence::Medium), engine)
                    .unknown("whether the container has CAP_SYS_ADMIN: CapBnd in /proc/self/status"),
            ),
            (Default::Unknown(engine), _) => {
                Some(judgement(Confidence::Medium).pro(engine.evidence.clone()).unknown(
                    "which runtime it is: containerd's default filter denies new namespaces, \
                     CRI-O's does not",
                ))
            }
            (Default::NoContainer, _) => {
                Some(judgement(Confidence::Medium).unknown("whose filter it is, and what it denies"))
            }
        };
    }
    let likely = if proven(case) || theirs { Confidence::Low } else { Confidence::Medium };
    if on.is_none() {
        let judgement = judgement(likely.min(Confidence::Medium));
        return Some(judgement.unknown("whether a system call filter is on: Seccomp in /proc/self/status"));
    }
    let judgement = |confidence| judgement(confidence).pro(FILTER);
    Some(match default {
        Default::Denies(engine) if privileged == Some(false) && likely == Confidence::Medium => {
            denied(judgement(Confidence::High), engine)
                .pro("CAP_SYS_ADMIN is out of bounds (CapBnd in /proc/self/status)")
        }
        Default::Denies(engine) => denied(judgement(likely), engine),
        Default::Permits(engine) => judgement(likely)
            .contra(format!("{}: the default filter there lets new namespaces pass", engine.evidence)),
        Default::Unknown(_) | Default::NoContainer => judgement(likely).unknown("what the filter denies"),
    })
}

fn denied(judgement: Judgement, engine: &Sighting) -> Judgement {
    let platform = engine.platform;
    judgement
        .summary(format!(
            "the default system call filter of {platform} denies new namespaces without CAP_SYS_ADMIN"
        ))
        .pro(format!("{platform}, as {} shows", engine.evidence))
}

fn restricted_unit(case: &Case<'_>) -> Option<Judgement> {
    if case.filtered() == Some(false) {
        return None;
    }
    let (name, user) = own_unit(case).unwrap_or(("UNIT", false));
    let systemctl = if user { "systemctl --user" } else { "systemctl" };
    let judgement = |confidence| {
        Judgement::new(
            confidence,
            format!(
                "`{systemctl} show -p RestrictNamespaces -p SystemCallFilter {name}` prints RestrictNamespaces=no and an \
                 empty SystemCallFilter="
            ),
        )
    };
    let Some(unit) = case.sighting(Platform::SystemdUnit).filter(|_| Setting::of(case) == Setting::Unit)
    else {
        // its control group would show a unit
        let unseen = case.failed() && case.platforms.is_unknown();
        return unseen.then(|| {
            judgement(Confidence::Low).unknown("whether it runs in a systemd unit: /proc/self/cgroup")
        });
    };
    let confidence = match case.filtered() {
        Some(_) if case.failed() && proven(case) => Confidence::Low,
        Some(_) => Confidence::Medium,
        None if case.failed() => Confidence::Low,
        None => return None,
    };
    let judgement = judgement(confidence).pro(format!("a unit of systemd: {}", unit.evidence));
    let judgement = if case.filtered().is_some() {
        judgement
            .pro(FILTER)
            .summary("the systemd unit runs under a system call filter, which may forbid new namespaces")
    } else {
        judgement.unknown("whether a system call filter is on: Seccomp in /proc/self/status")
    };
    Some(
        judgement.unknown(format!(
            "RestrictNamespaces= and SystemCallFilter= of the unit: `{systemctl} cat {name}`"
        )),
    )
}

/// An outer sandbox with a filter of its own.
fn outer<'a>(case: &'a Case<'_>) -> Option<&'a Sighting> {
    let platforms = [Platform::Flatpak, Platform::Snap, Platform::Firejail];
    platforms.iter().find_map(|platform| case.sighting(*platform))
}

fn outer_sandbox(case: &Case<'_>) -> Option<Judgement> {
    let outer = outer(case)?;
    if case.filtered() == Some(false) {
        return None;
    }
    // Flatpak's filter always denies them; the others' depends on the profile
    let confidence = match case.filtered() {
        Some(_) if case.failed() && proven(case) => Confidence::Low,
        Some(_) if case.failed() && outer.platform == Platform::Flatpak => Confidence::High,
        Some(_) => Confidence::Medium,
        None if case.failed() => Confidence::Medium,
        None => return None,
    };
    let platform = outer.platform;
    let judgement = Judgement::new(confidence, format!("the same sandbox fails outside of {platform}, too"))
        .summary(format!("{platform} forbids new namespaces to what it runs"))
        .pro(format!("{platform}, as {} shows", outer.evidence));
    Some(match case.filtered() {
        Some(_) => judgement.pro(FILTER),
        None => judgement.unknown("whether a system call filter is on: Seccomp in /proc/self/status"),
    })
}

fn leave_outer_sandbox(case: &Case<'_>) -> Vec<Remedy> {
    match outer(case).map(|outer| outer.platform) {
        Some(Platform::Flatpak) => vec![told!("outside-of-flatpak")],
        Some(Platform::Snap) => vec![told!("snap-interface")],
        Some(Platform::Firejail) => vec![told!("firejail-without-filter"), told!("without-firejail")],
        _ => vec![told!("outside-of-sandbox")],
    }
}

#[cfg(test)]
mod tests;
