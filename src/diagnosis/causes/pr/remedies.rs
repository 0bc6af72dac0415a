//! What lets bwrap mount a procfs and a devpts, beyond what other rules share.

use super::super::prelude::*;
use super::hidden::{SUMMED_UP, by_outer_line, covers, is_lxcfs, is_nvidia, shortened};
use crate::diagnosis::Engine;

/// Whoever gets the one permission and not the other comes back with the next failure.
pub(in crate::diagnosis) fn permit_mounts(case: &Case<'_>) -> Vec<Remedy> {
    let wish = match (case.plans(|plan| plan.proc.is_some()), case.plans(|plan| plan.dev.is_some())) {
        (true, false) => Wish::Selinux(&[MOUNT_PROC]),
        (false, true) => Wish::Selinux(&[MOUNT_DEVPTS]),
        _ => Wish::Selinux(&[MOUNT_PROC, MOUNT_DEVPTS]),
    };
    wish.grant(case)
}

/// What covers /proc away from it.
pub(in crate::diagnosis) fn uncover(case: &Case<'_>) -> Vec<Remedy> {
    let Some(covers) = covers(case) else {
        let unmasked = case.told().is_some_and(|told| told.unmasked);
        return if unmasked { vec![told!(PR02, "what-covers")] } else { Wish::WholeProc.grant(case) };
    };
    if covers.is_empty() {
        return vec![told!(PR02, "mount-whole-proc")];
    }
    let points: Vec<_> = covers.iter().map(|cover| cover.point.as_path()).collect();
    let list = shortened(points.iter().map(word), SUMMED_UP);
    let below: Vec<_> =
        covers.iter().filter_map(|cover| Some((cover.point.strip_prefix("/proc").ok()?, *cover))).collect();
    if below.len() == covers.len() && by_outer_line(case, &below) {
        return vec![told!(PR02, "outer-line", list)];
    }
    let nvidia = points.iter().any(|point| is_nvidia(point));
    let lxcfs = covers.iter().any(|cover| is_lxcfs(cover));
    Wish::Uncovered(Covers { points: &points, list: &list, nvidia, lxcfs }).grant(case)
}

/// The outer /proc instead, if the sandbox mounts one.
pub(in crate::diagnosis) fn bind_proc(case: &Case<'_>) -> Option<Remedy> {
    let operation = case.plan.as_ref()?.proc?;
    Some(Remedy::change(SandboxChange::BindProc { operation }))
}

/// The outer /dev instead, if the sandbox makes one.
pub(in crate::diagnosis) fn bind_dev(case: &Case<'_>) -> Option<Remedy> {
    let operation = case.plan.as_ref()?.dev?;
    Some(Remedy::change(SandboxChange::BindDev { operation }))
}

pub(in crate::diagnosis) fn unmask_or_bind(case: &Case<'_>) -> Vec<Remedy> {
    let mut remedies = Wish::WholeProc.grant(case).or(bind_proc(case));
    // there it takes another engine
    if Setting::of(case) == Setting::Container(Engine::Docker) && case.on(Platform::GitLabCi) {
        remedies.reverse();
    }
    remedies
}

/// The pod's manifest is right already: no field of it lifts these masks.
pub(in crate::diagnosis) fn unmask_by_update(case: &Case<'_>) -> Vec<Remedy> {
    let bind = bind_proc(case);
    let join = case.plans(|plan| plan.proc.is_some() && plan.new_pid).then(|| told!(PR11, "share-pid"));
    // whose node it is decides: the line can be changed at once
    std::iter::once(told!(PR11, "newer-cri-o")).chain(bind).chain(join).collect()
}

/// Gates and versions: the pod's manifest is right already.
pub(in crate::diagnosis) fn honour_pod_fields(case: &Case<'_>) -> Vec<Remedy> {
    if matches!(Setting::of(case), Setting::Kubernetes { openshift: true }) {
        return vec![told!(K803, "newer-openshift")];
    }
    let runtime = if case.on(Platform::CriO) { "CRI-O 1.25" } else { "containerd 2.0" };
    vec![told!(K803, "keep-pod-fields"), told!(K803, "update-node", runtime)]
}
