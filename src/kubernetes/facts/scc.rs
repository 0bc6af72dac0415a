//! Security context constraints of OpenShift, as the annotations of a pod name them.

use serde_json::Value;

use crate::kubernetes::Workload;

/// The one that a pod asks for, and no other admits it.
const REQUIRED: &str = "openshift.io/required-scc";
/// The one that has admitted it.
const ADMITTED: &str = "openshift.io/scc";

fn annotation<'a>(workload: &'a Workload, name: &str) -> Option<&'a str> {
    workload.pod().pointer("/metadata/annotations")?.get(name)?.as_str()
}

pub(in crate::kubernetes) fn required(workload: &Workload) -> Option<&str> {
    annotation(workload, REQUIRED)
}

/// The one that a pod names, in whichever way.
fn named(workload: &Workload) -> Option<&str> {
    required(workload).or_else(|| annotation(workload, ADMITTED))
}

pub(super) fn is_openshift(workload: &Workload) -> bool {
    named(workload).is_some()
}

/// Whether it gives the pod a user of the namespace's range where the pod names none.
pub(super) fn chooses_user(workload: &Workload) -> bool {
    named(workload).is_some_and(|name| name.starts_with("restricted"))
        && workload.spec().pointer("/securityContext/runAsUser").is_none_or(Value::is_null)
}
