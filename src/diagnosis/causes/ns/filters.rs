//! System call filters that deny new namespaces: of containers, units, outer sandboxes.

use super::super::prelude::*;
use super::{BY_HAND, CREATING, NO_PERMISSIONS, made_by_hand, proven};
use crate::diagnosis::launcher::Launcher;
use crate::diagnosis::setting::{manager, own_unit};
use crate::shell::operand;

rules! {
    SeccompDeniesNamespaces, Anytime, [NO_PERMISSIONS, CREATING => (EPERM); KILLED],
        unless "`unshare --user true` succeeds in the same container, or fails without its filter, too"
        => filtered, permit_calls;

    UnitRestrictsNamespaces, Anytime, [NO_PERMISSIONS, CREATING => (EPERM)]
        => restricted_unit, |case| vec![permit_to_unit(case, Calls::Sandboxing)];

    OuterSandboxDeniesNamespaces, Anytime, [NO_PERMISSIONS, CREATING => (EPERM)]
        => outer_sandbox, leave_outer_sandbox;
}

/// What the filter of an engine does about namespaces, if it is the default one.
#[derive(Clone, Copy)]
enum Default<'a> {
    /// It denies them without `CAP_SYS_ADMIN`.
    Denies(&'a Sighting),
    Permits(&'a Sighting),
    /// A container, and nobody knows whose.
    Unknown(&'a Sighting),
    NoContainer,
}

fn default_filter<'a>(case: &'a Case<'_>) -> Default<'a> {
    const PERMIT: &[Platform] = &[Platform::Podman, Platform::Lxc, Platform::Nspawn];
    const DENY: &[Platform] = &[Platform::Docker, Platform::Containerd];
    const UNKNOWN: &[Platform] =
        &[Platform::CriO, Platform::OpenShift, Platform::Kubernetes, Platform::Container];
    // of another than the default one its engine says nothing
    // what an outer bwrap works under permits bwrap, or it came with a filter of its own
    if case.on(Platform::Bubblewrap) || case.filter_name().is_some_and(|name| name != DEFAULT) {
        return Default::NoContainer;
    }
    let first = |platforms: &[Platform]| platforms.iter().find_map(|platform| case.sighting(*platform));
    let found = first(PERMIT).map(Default::Permits).or_else(|| first(DENY).map(Default::Denies));
    found.or_else(|| first(UNKNOWN).map(Default::Unknown)).unwrap_or(Default::NoContainer)
}

const STOPPED: &str =
    "/proc is masked as well, which stops this sandbox in any case: only for that is it sure that it fails";

fn filtered(case: &Case<'_>) -> Option<Judgement> {
    if case.killed() {
        return calls::denied(case).filter(|_| case.ended(Verdict::Refused));
    }
    rule_out(!case.failed() && case.filter_name() == Some(OURS))?;
    let default = default_filter(case);
    let (on, privileged) = (case.filtered(), case.granted(Capability::CAP_SYS_ADMIN));
    // a unit and an outer sandbox have rules of their own
    let theirs = matches!(default, Default::NoContainer)
        && (Setting::of(case) == Setting::Unit || outer(case).is_some() || is_nested(case));
    rule_out(on == Some(false) || !case.failed() && (on.is_none() || theirs))?;
    let found = |confidence| weigh(confidence).if_so(evidence::filter(case));
    let bound = || evidence::bound(case, Capability::CAP_SYS_ADMIN);
    if !case.failed() {
        return Some(match (default, privileged) {
            (Default::Permits(_), _) | (Default::Denies(_) | Default::Unknown(_), Some(true)) => return None,
            // whoever named it knows the engine, and its version
            (Default::Denies(engine) | Default::Unknown(engine), Some(_)) if case.filter_name().is_some() => {
                denied(found(High), engine).pro(bound().otherwise())
            }
            (Default::Denies(engine), Some(_)) => {
                let stopped = stopped_by_masks(case);
                denied(found(if stopped { High } else { Medium }), engine)
                    .pro(bound().otherwise())
                    .unknown("whether it is the default filter: its rules cannot be read")
                    .seen(&case.host.mounts, stopped.then_some(STOPPED))
            }
            (Default::Denies(engine), None) => denied(found(Medium), engine).if_so(bound()),
            (Default::Unknown(engine), _) => found(Medium).pro(evidence::sighted(engine)).unknown(
                "which runtime it is, and which release: the default filters of containerd and of CRI-O 1.33 deny new \
                 namespaces, those of older CRI-O do not",
            ),
            // that somebody chose it says nothing against it
            (Default::NoContainer, _) => match case.filter_name() {
                Some(name) => found(Medium)
                    .summary(format!("the system call filter {name} may deny new namespaces"))
                    .unknown(format!("what the filter {name} on the nodes permits")),
                None => found(Medium)
                    .summary("a system call filter is on, and may deny new namespaces")
                    .unknown("whose filter it is, and what it denies: nobody can read its rules"),
            },
        });
    }
    let none = on.is_none() && Setting::of(case) == Setting::Machine;
    // a filter may let that one pass, and not all that bwrap makes at once
    let by_hand = made_by_hand(case);
    let likely = if theirs || none || by_hand || proven(case) { Low } else { Medium };
    let against = by_hand.then_some(BY_HAND);
    let found = |confidence| found(confidence).contra(evidence::told(case, against));
    Some(match default {
        _ if on.is_none() => found(likely),
        Default::Denies(engine) if privileged == Some(false) && likely == Medium => {
            denied(found(High), engine).pro(bound().otherwise())
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
    let what = "denies new namespaces without CAP_SYS_ADMIN";
    judgement
        .summary(format!("the default system call filter of {platform} {what}"))
        .pro(evidence::sighted(engine))
}

fn restricted_unit(case: &Case<'_>) -> Option<Judgement> {
    let filtered = case.filtered();
    rule_out(filtered == Some(false))?;
    let (name, user) = own_unit(case).unwrap_or(("UNIT", false));
    let (name, systemctl) = (operand(name), manager(user));
    let found = |confidence| {
        weigh(confidence).refuted_by(format!(
            "`{systemctl} show -p RestrictNamespaces -p SystemCallFilter {name}` prints RestrictNamespaces=no and an empty \
             SystemCallFilter="
        ))
    };
    let unit = case.sighting(Platform::SystemdUnit).filter(|_| Setting::of(case) == Setting::Unit);
    let Some(unit) = unit else {
        // its control group would show a unit
        let unseen = case.failed() && case.platforms.is_unknown();
        return unseen.then(|| found(Low).unknown("whether it runs in a systemd unit: /proc/self/cgroup"));
    };
    let on = filtered.is_some();
    rule_out(!on && !case.failed())?;
    if let Some(told) =
        case.told().and_then(|told| told.settings(&["RestrictNamespaces", "SystemCallFilter"]))
        // what is left of the calls has these, as a rule
        && !told.starts_with("SystemCallFilter=@")
    {
        let summary = format!("{told} in the systemd unit forbids new namespaces");
        return Some(found(High).summary(summary).pro(evidence::told(case, told)));
    }
    // of a unit that nobody looked at a filter is as likely as it is on
    let likely = (on || case.told().is_some()) && !(case.failed() && proven(case));
    let summary = "the systemd unit runs under a system call filter, which may forbid new namespaces";
    found(if likely { Medium } else { Low })
        .pro(evidence::sighted(unit))
        .if_so(evidence::filter(case))
        .unknown(format!("RestrictNamespaces= and SystemCallFilter= of the unit: `{systemctl} cat {name}`"))
        .summary(on.then_some(summary))
        .into()
}

/// An outer sandbox with a filter of its own.
pub(super) fn outer<'a>(case: &'a Case<'_>) -> Option<&'a Sighting> {
    let platforms = [Platform::Flatpak, Platform::Snap, Platform::Firejail];
    platforms.iter().find_map(|platform| case.sighting(*platform))
}

/// Whether a text tells of another sandbox around, and of no place that would be meant by that.
fn is_nested(case: &Case<'_>) -> bool {
    Setting::of(case) == Setting::Unknown && case.hinted(Hint::WithinSandbox)
}

/// Whether an application of Flatpak's may have started this bwrap, where no switch of the kernel's explains what it says: after
/// Flatpak's own Flatpak has words to add.
fn of_application(case: &Case<'_>) -> bool {
    let machine = case.platforms.is_absent() && case.failed();
    let flatpak = machine && Launcher::of(case) == Some(Launcher::Flatpak);
    let own = case.hinted(Hint::BeforeApp) || case.hinted(Hint::FlatpakBuild);
    // there a limit of 0 forbids them
    let own =
        own || case.hinted(Hint::El7) || case.hinted(Hint::FlatpakInstall) && !case.hinted(Hint::FlatpakRun);
    flatpak && !own && case.says(&[NO_PERMISSIONS]) && case.hinted(Hint::NoSwitch)
}

/// Of whom nobody knows more than that it is there.
fn unnamed_sandbox(case: &Case<'_>) -> Option<Judgement> {
    if of_application(case) && case.filtered() != Some(false) {
        return weigh(Medium)
            .refuted_by("the same sandbox fails outside of Flatpak, too")
            .summary("Flatpak forbids new namespaces to what it runs, if it is an application of its that starts bwrap")
            .pro(evidence::told(case, "Flatpak, on a system whose kernels have no switch that would forbid them"))
            .unknown("who started this bwrap: Flatpak, or the application")
            .into();
    }
    rule_out(!is_nested(case) || case.filtered() == Some(false))?;
    weigh(Medium)
        .refuted_by("the same sandbox fails outside of the outer one, too")
        .summary("an outer sandbox forbids new namespaces to what it runs")
        .pro(evidence::told(case, "it runs within another sandbox"))
        .into()
}

fn outer_sandbox(case: &Case<'_>) -> Option<Judgement> {
    let Some(outer) = outer(case) else { return unnamed_sandbox(case) };
    let (platform, on) = (outer.platform, case.filtered());
    rule_out(on == Some(false) || !case.failed() && on.is_none())?;
    // Flatpak's filter always denies them; the others' depends on the profile
    let confidence = match on {
        Some(_) if case.failed() && proven(case) => Low,
        Some(_) if case.failed() && platform == Platform::Flatpak => High,
        _ => Medium,
    };
    weigh(confidence)
        .refuted_by(format!("the same sandbox fails outside of {platform}, too"))
        .summary(format!("{platform} forbids new namespaces to what it runs"))
        .pro(evidence::sighted(outer))
        .if_so(evidence::filter(case))
        .into()
}

fn leave_outer_sandbox(case: &Case<'_>) -> Vec<Remedy> {
    match outer(case).map(|outer| outer.platform) {
        Some(Platform::Flatpak) if case.hinted(Hint::AppOfFlatpak) => {
            told!(NS06, "no-inner-sandbox").or([told!(NS06, "flatpak")])
        }
        Some(Platform::Flatpak) => vec![told!(NS06, "flatpak")],
        Some(Platform::Snap) if Launcher::of(case) == Some(Launcher::Steam) => {
            vec![told!(NS06, "instead-of-snap")]
        }
        Some(Platform::Snap) => vec![told!(NS06, "snap")],
        Some(Platform::Firejail) => {
            vec![told!(NS06, "firejail"), told!(NS06, "no-firejail")]
        }
        _ if of_application(case) => vec![told!(NS06, "flatpak")],
        _ => vec![told!(NS06, "outside")],
    }
}

#[cfg(test)]
mod tests;
