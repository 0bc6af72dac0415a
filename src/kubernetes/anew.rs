//! An object as it is made once more: without what a cluster has put there, which refuses it then.

use serde_json::{Map, Value};

use super::Workload;

/// What the API server and its controllers write into an object of any kind.
const CLUSTERS: &[(&str, &str)] = &[
    ("", "status"),
    ("/metadata", "creationTimestamp"),
    ("/metadata", "deletionGracePeriodSeconds"),
    ("/metadata", "deletionTimestamp"),
    ("/metadata", "generation"),
    ("/metadata", "managedFields"),
    ("/metadata", "resourceVersion"),
    ("/metadata", "selfLink"),
    ("/metadata", "uid"),
];

/// Into a pod: its node, which the scheduler chose, and containers that nobody can create.
const PODS: &[(&str, &str)] = &[("/spec", "ephemeralContainers"), ("/spec", "nodeName")];

/// Into a job: a selector of its own, and what it selects by.
const JOBS: &[(&str, &str)] = &[
    ("/spec", "selector"),
    ("/spec/template/metadata/labels", "batch.kubernetes.io/controller-uid"),
    ("/spec/template/metadata/labels", "batch.kubernetes.io/job-name"),
    ("/spec/template/metadata/labels", "controller-uid"),
    ("/spec/template/metadata/labels", "job-name"),
];

/// The object, as somebody could have written it. What was not read from a cluster stays as it is.
pub(super) fn anew(workload: &Workload) -> Value {
    let object = &*workload.object;
    let mut new = object.clone();
    if object.pointer("/metadata/uid").is_none() {
        return new;
    }
    let own = match workload.kind() {
        _ if workload.is_custom() => &[],
        "Pod" => PODS,
        "Job" if object.pointer("/spec/manualSelector") != Some(&Value::Bool(true)) => JOBS,
        _ => &[],
    };
    for (place, name) in CLUSTERS.iter().chain(own) {
        new.pointer_mut(place).and_then(Value::as_object_mut).and_then(|at: &mut Map<_, _>| at.remove(*name));
    }
    new
}
