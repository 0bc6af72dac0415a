//! Profiles that whoever wrote the pod chose for it, and that may be right: what is in them is on the nodes.

use serde_json::Value;

use super::facts::{apparmor_asked, context, seccomp_asked};
use super::{Cluster, Workload};
use crate::diagnosis::{Action, Confidence, Finding, PodPatch, Profile};

/// What the pod names of the nodes' own, and this change would replace.
fn replaced(cluster: &Cluster, workload: &Workload, container: &Value, patch: &PodPatch) -> Option<String> {
    let named = |asked: Option<String>| {
        asked.filter(|name| !["RuntimeDefault", "Unconfined"].contains(&name.as_str()))
    };
    let filter = || {
        named(seccomp_asked(cluster, workload, container)).map(|name| format!("system call filter {name}"))
    };
    let profile =
        || named(apparmor_asked(cluster, workload, container)).map(|name| format!("AppArmor profile {name}"));
    let domain = || {
        let options = context(workload, container, "seLinuxOptions")?;
        options.get("type")?.as_str().map(|name| format!("SELinux type {name}"))
    };
    let found = patch.seccomp.as_ref().and_then(|_| filter());
    let found = found.or_else(|| patch.apparmor.as_ref().and_then(|_| profile()));
    found.or_else(|| patch.selinux_type.as_ref().and_then(|_| domain()))
}

/// Whether a remedy would replace what may be right: of that nothing more is said than that it may stand in the way.
pub(super) fn may_be_right(
    cluster: &Cluster,
    workload: &Workload,
    container: &str,
    finding: &Finding,
    patch: &PodPatch,
) -> bool {
    let found = workload.container(container).map(|(found, _)| found);
    finding.confidence < Confidence::High
        && found.is_some_and(|found| replaced(cluster, workload, found, patch).is_some())
}

/// Says of what is in the place of a default that it is looked at first, and replaced after.
pub(super) fn look_first(
    cluster: &Cluster,
    workload: &Workload,
    container: &Value,
    findings: &mut [Finding],
) {
    for finding in findings.iter_mut().filter(|finding| finding.confidence < Confidence::High) {
        for remedy in &mut finding.remedies {
            let Action::Pod(patch) = &remedy.action else { continue };
            let Some(own) = replaced(cluster, workload, container, patch) else { continue };
            let own = crate::visible::line(&own).into_owned();
            remedy.summary = match (&patch.seccomp, &patch.apparmor) {
                (Some(profile), _) | (_, Some(profile)) => {
                    let other = match profile {
                        Profile::Localhost(name) => name,
                        Profile::Unconfined => "none",
                    };
                    format!(
                        "Look whether the {own} permits what bwrap does; where it does not, name {other} instead"
                    )
                }
                _ => format!(
                    "Look whether the {own} permits what bwrap does, and name another where it does not"
                ),
            };
        }
    }
}
