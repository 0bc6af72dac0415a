//! What the security context constraint that a pod asks for does not admit.

use serde_json::Value;

use super::{Refusal, refusal};
use crate::diagnosis::Cause;
use crate::kubernetes::Workload;
use crate::kubernetes::facts::{is, own, privileged, profile, required_scc, unmasked};

/// Constraints that come with OpenShift and admit nothing of what sandboxes ask for.
const STRICT: &[&str] = &["anyuid", "nonroot", "nonroot-v2", "restricted", "restricted-v2", "restricted-v3"];

pub(super) fn refuses(workload: &Workload) -> Option<Refusal> {
    let scc = required_scc(workload).filter(|scc| STRICT.contains(scc))?;
    let minded = minded(workload, scc);
    if minded.is_empty() {
        return None;
    }
    let text = format!(
        "openshift.io/required-scc is {scc}, which admits the runtime's default filter, ids of the namespace's range and no more, and not: {}",
        minded.join(", ")
    );
    let remedy = "ask for nested-container (OpenShift 4.20 or later), with hostUsers: false, or bind the outer /proc in the sandbox";
    Some(refusal(Some(Cause::AdmissionRefuses), text, remedy))
}

fn minded(workload: &Workload, scc: &str) -> Vec<&'static str> {
    let all = || workload.listed().map(|(one, _)| one).chain([workload.spec()]);
    let any = |test: &dyn Fn(&Value) -> bool| all().any(test);
    let added = |one: &Value| {
        let added = own(one, "capabilities").and_then(|both| both.get("add")?.as_array());
        added.is_some_and(|added| added.iter().any(|name| name != "NET_BIND_SERVICE"))
    };
    let filtered = |one: &Value| {
        own(one, "seccompProfile").and_then(profile).is_some_and(|profile| profile != "RuntimeDefault")
    };
    // a namespace's range begins at a billion
    let chosen =
        |one: &Value| own(one, "runAsUser").and_then(Value::as_u64).is_some_and(|id| id < 1_000_000_000);
    let rows = [
        (any(&privileged), "privileged: true"),
        (any(&unmasked) && scc != "restricted-v3", "procMount: Unmasked"),
        (is(workload.spec().get("hostUsers"), false) && scc != "restricted-v3", "hostUsers: false"),
        (any(&added), "capabilities that are added"),
        (any(&filtered), "another seccompProfile than RuntimeDefault"),
        (any(&chosen) && scc.starts_with("restricted"), "a runAsUser outside of the namespace's range"),
    ];
    rows.into_iter().filter(|(there, _)| *there).map(|(_, what)| what).collect()
}
