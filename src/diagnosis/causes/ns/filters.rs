//! System call filters that deny new namespaces: of containers, units, outer sandboxes.

use crate::diagnosis::calls::denied as denied_call;
use crate::diagnosis::case::Case;
use crate::diagnosis::causes::ns::{CREATING, NO_PERMISSIONS, proven};
use crate::diagnosis::facts::stopped_by_masks;
use crate::diagnosis::finding::Confidence::{High, Low, Medium};
use crate::diagnosis::remedy::told;
use crate::diagnosis::setting::{Setting, manager, own_unit};
use crate::diagnosis::weigh::{Judgement, KILLED, rules, weigh};
use crate::diagnosis::wish::{Calls, Wish, permit_to_unit};
use crate::diagnosis::{Remedy, Verdict, evidence};
use crate::host::{Platform, Sighting};
use crate::sandbox::Capability;
use crate::shell::operand;

rules! {
    SeccompDeniesNamespaces, Anytime, [NO_PERMISSIONS => (EPERM), CREATING => (EPERM), KILLED],
        unless "`unshare --user true` succeeds in the same container, or fails without its filter, too"
        => filtered, |case| Wish::Calls(Calls::Sandboxing).grant(case);

    UnitRestrictsNamespaces, Anytime, [NO_PERMISSIONS => (EPERM), CREATING => (EPERM)]
        => restricted_unit, |case| vec![permit_to_unit(case, Calls::Sandboxing)];

    OuterSandboxDeniesNamespaces, Anytime, [NO_PERMISSIONS => (EPERM), CREATING => (EPERM)]
        => outer_sandbox, leave_outer_sandbox;
}

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

const STOPPED: &str =
    "/proc is masked as well, which stops this sandbox in any case: only for that is it sure that it fails";

fn filtered(case: &Case<'_>) -> Option<Judgement> {
    if case.killed() {
        return denied_call(case)
            .filter(|_| case.symptom.is_some_and(|symptom| symptom.verdict == Verdict::Refused));
    }
    let default = default_filter(case);
    let (on, privileged) = (case.filtered(), privileged_container(case));
    // a unit and an outer sandbox have rules of their own
    let theirs = matches!(default, Default::NoContainer)
        && (Setting::of(case) == Setting::Unit || outer(case).is_some());
    if on == Some(false) || !case.failed() && (on.is_none() || theirs) {
        return None;
    }
    let found = |confidence| weigh(confidence).if_so(evidence::filter(case));
    if !case.failed() {
        return Some(match (default, privileged) {
            (Default::Permits(_), _) | (Default::Denies(_) | Default::Unknown(_), Some(true)) => return None,
            (Default::Denies(engine), Some(false)) => {
                let stopped = stopped_by_masks(case);
                let found = denied(found(if stopped { High } else { Medium }), engine)
                    .pro(evidence::bound(case, Capability::CAP_SYS_ADMIN).otherwise())
                    .unknown("whether it is the default filter: its rules cannot be read");
                if stopped { found.pro(evidence::seen(&case.host.mounts, STOPPED)) } else { found }
            }
            (Default::Denies(engine), None) => {
                denied(found(Medium), engine).if_so(evidence::bound(case, Capability::CAP_SYS_ADMIN))
            }
            (Default::Unknown(engine), _) => found(Medium).pro(evidence::sighted(engine)).unknown(
                "which runtime it is: containerd's default filter denies new namespaces, CRI-O's does not",
            ),
            (Default::NoContainer, _) => found(Medium).unknown("whose filter it is, and what it denies"),
        });
    }
    let likely = if proven(case) || theirs { Low } else { Medium };
    if on.is_none() {
        return Some(found(likely));
    }
    Some(match default {
        Default::Denies(engine) if privileged == Some(false) && likely == Medium => {
            denied(found(High), engine).pro(evidence::bound(case, Capability::CAP_SYS_ADMIN).otherwise())
        }
        Default::Denies(engine) => denied(found(likely), engine),
        Default::Permits(engine) => found(likely)
            .contra(evidence::sighted(engine))
            .unknown("whether it is the default filter, which lets new namespaces pass"),
        Default::Unknown(_) | Default::NoContainer => found(likely).unknown("what the filter denies"),
    })
}

fn denied(judgement: Judgement, engine: &Sighting) -> Judgement {
    let platform = engine.platform;
    judgement
        .summary(format!(
            "the default system call filter of {platform} denies new namespaces without CAP_SYS_ADMIN"
        ))
        .pro(evidence::sighted(engine))
}

fn restricted_unit(case: &Case<'_>) -> Option<Judgement> {
    if case.filtered() == Some(false) {
        return None;
    }
    let (name, user) = own_unit(case).unwrap_or(("UNIT", false));
    let name = operand(name);
    let systemctl = manager(user);
    let judgement = |confidence| {
        weigh(
            confidence).refuted_by(format!(
                "`{systemctl} show -p RestrictNamespaces -p SystemCallFilter {name}` prints RestrictNamespaces=no and an \
                 empty SystemCallFilter="
            ))
    };
    let Some(unit) = case.sighting(Platform::SystemdUnit).filter(|_| Setting::of(case) == Setting::Unit)
    else {
        // its control group would show a unit
        let unseen = case.failed() && case.platforms.is_unknown();
        return unseen
            .then(|| judgement(Low).unknown("whether it runs in a systemd unit: /proc/self/cgroup"));
    };
    let confidence = match case.filtered() {
        Some(_) if case.failed() && proven(case) => Low,
        Some(_) => Medium,
        None if case.failed() => Low,
        None => return None,
    };
    let mut found = judgement(confidence)
        .pro(evidence::sighted(unit))
        .if_so(evidence::filter(case))
        .unknown(format!("RestrictNamespaces= and SystemCallFilter= of the unit: `{systemctl} cat {name}`"));
    if case.filtered().is_some() {
        found = found
            .summary("the systemd unit runs under a system call filter, which may forbid new namespaces");
    }
    Some(found)
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
        Some(_) if case.failed() && proven(case) => Low,
        Some(_) if case.failed() && outer.platform == Platform::Flatpak => High,
        Some(_) => Medium,
        None if case.failed() => Medium,
        None => return None,
    };
    let platform = outer.platform;
    Some(
        weigh(confidence)
            .refuted_by(format!("the same sandbox fails outside of {platform}, too"))
            .summary(format!("{platform} forbids new namespaces to what it runs"))
            .pro(evidence::sighted(outer))
            .if_so(evidence::filter(case)),
    )
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
