//! What lets bwrap mount a procfs and a devpts, beyond what other rules share.

use crate::diagnosis::case::Case;
use crate::diagnosis::causes::pr::hidden::{
    Hidden, SUMMED_UP, Seen, doubtful, is_lxcfs, is_nvidia, look, shortened,
};
use crate::diagnosis::facts::word;
use crate::diagnosis::remedy::told;
use crate::diagnosis::setting::Setting;
use crate::diagnosis::wish::{Covers, Wish};
use crate::diagnosis::{Engine, Remedy, SandboxChange, SelinuxRule};
use crate::host::Platform;

/// Whoever gets the one permission and not the other comes back with the next failure.
pub(in crate::diagnosis) fn permit_mounts(case: &Case<'_>) -> Vec<Remedy> {
    const RULES: &[SelinuxRule] = &[
        SelinuxRule { target: "proc_t", class: "filesystem", permissions: &["mount"] },
        SelinuxRule { target: "devpts_t", class: "filesystem", permissions: &["mount"] },
    ];
    let rules = match (case.plans(|plan| plan.proc.is_some()), case.plans(|plan| plan.dev.is_some())) {
        (true, false) => RULES.get(..1),
        (false, true) => RULES.get(1..),
        _ => Some(RULES),
    };
    Wish::Selinux(rules.unwrap_or(RULES)).grant(case)
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

pub(in crate::diagnosis) fn outer_as_user() -> Remedy {
    told!("outer-bwrap-as-user")
}

/// Gates and versions: the pod's manifest is right already.
pub(in crate::diagnosis) fn honour_pod_fields(case: &Case<'_>) -> Vec<Remedy> {
    const OPENS: &str = "pods of the whole cluster may ask for user namespaces and an unmasked /proc; Pod Security Standards \
                         still decide which of them get it";
    if matches!(Setting::of(case), Setting::Kubernetes { openshift: true }) {
        return vec![told!("newer-openshift")];
    }
    let runtime = if case.on(Platform::CriO) { "CRI-O 1.25" } else { "containerd 2.0" };
    let node = format!(
        "Where `kubectl get pod POD -o yaml` still shows the fields, the node ignores them: kubelet 1.30 or later and {runtime} \
         or later"
    );
    vec![
        told!("keep-pod-fields"),
        Remedy::manual(format!("Update the node: its kubelet, and {runtime} or later"), &node, OPENS)
            .needs("the rights of a cluster administrator"),
    ]
}

pub(in crate::diagnosis) fn another_kernel() -> Remedy {
    told!("linux-kernel")
}
