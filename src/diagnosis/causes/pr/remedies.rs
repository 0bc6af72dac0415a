//! What lets bwrap mount a procfs and a devpts, beyond what other rules share.

use super::super::prelude::*;
use super::hidden::{Hidden, SUMMED_UP, Seen, doubtful, is_lxcfs, is_nvidia, look, shortened};
use crate::diagnosis::wish::Covers;
use crate::diagnosis::{Engine, SelinuxRule};

/// Whoever gets the one permission and not the other comes back with the next failure.
pub(in crate::diagnosis) fn permit_mounts(case: &Case<'_>) -> Vec<Remedy> {
    const PROC: SelinuxRule = SelinuxRule { target: "proc_t", class: "filesystem", permissions: &["mount"] };
    const DEVPTS: SelinuxRule = SelinuxRule { target: "devpts_t", ..PROC };
    let wish = match (case.plans(|plan| plan.proc.is_some()), case.plans(|plan| plan.dev.is_some())) {
        (true, false) => Wish::Selinux(&[PROC]),
        (false, true) => Wish::Selinux(&[DEVPTS]),
        _ => Wish::Selinux(&[PROC, DEVPTS]),
    };
    wish.grant(case)
}

/// What covers /proc away from it.
pub(in crate::diagnosis) fn uncover(case: &Case<'_>) -> Vec<Remedy> {
    let hidden = match look(case) {
        Seen::Hidden(hidden) => Some(hidden),
        Seen::Whole => doubtful(case),
        Seen::Unknown => None,
    };
    let Some(Hidden { covers, .. }) = hidden else { return Wish::WholeProc.grant(case) };
    if covers.is_empty() {
        return vec![told!("mount-whole-proc")];
    }
    let points: Vec<_> = covers.iter().map(|cover| cover.point.as_path()).collect();
    let list = shortened(points.iter().map(word), SUMMED_UP);
    let nvidia = points.iter().any(|point| is_nvidia(point));
    let lxcfs = covers.iter().any(|cover| is_lxcfs(cover));
    Wish::Uncovered(Covers { points: &points, list: &list, nvidia, lxcfs }).grant(case)
}

pub(in crate::diagnosis) fn with_bind_proc(case: &Case<'_>, mut remedies: Vec<Remedy>) -> Vec<Remedy> {
    let operation = case.plan.as_ref().and_then(|plan| plan.proc);
    remedies.extend(operation.map(|operation| Remedy::change(SandboxChange::BindProc { operation })));
    remedies
}

pub(in crate::diagnosis) fn with_bind_dev(case: &Case<'_>, mut remedies: Vec<Remedy>) -> Vec<Remedy> {
    let operation = case.plan.as_ref().and_then(|plan| plan.dev);
    remedies.extend(operation.map(|operation| Remedy::change(SandboxChange::BindDev { operation })));
    remedies
}

pub(in crate::diagnosis) fn unmask_or_bind(case: &Case<'_>) -> Vec<Remedy> {
    let mut remedies = with_bind_proc(case, Wish::WholeProc.grant(case));
    // there it takes another engine
    if Setting::of(case) == Setting::Container(Engine::Docker) && case.on(Platform::GitLabCi) {
        remedies.reverse();
    }
    remedies
}

/// Gates and versions: the pod's manifest is right already.
pub(in crate::diagnosis) fn honour_pod_fields(case: &Case<'_>) -> Vec<Remedy> {
    if matches!(Setting::of(case), Setting::Kubernetes { openshift: true }) {
        return vec![told!("newer-openshift")];
    }
    let runtime = if case.on(Platform::CriO) { "CRI-O 1.25" } else { "containerd 2.0" };
    vec![told!("keep-pod-fields"), told!("update-node", runtime)]
}
