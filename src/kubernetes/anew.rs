//! An object as it is made once more: without what a cluster has put there, which refuses it then.

use serde_json::{Map, Value};

use super::Workload;

/// What nobody writes but the API server and its controllers, and what it refuses of others.
const NEVER_OWN: &[(&str, &str)] = &[("", "status"), ("/metadata", "managedFields")];

/// What they write into an object of any kind.
const CLUSTERS: &[(&str, &str)] = &[
    ("/metadata", "creationTimestamp"),
    ("/metadata", "deletionGracePeriodSeconds"),
    ("/metadata", "deletionTimestamp"),
    ("/metadata", "generation"),
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

/// The object, as somebody could have written it. What was not read from a cluster stays as it is, but for what nobody writes.
pub(super) fn anew(workload: &Workload) -> Value {
    let object = &*workload.object;
    let mut new = object.clone();
    let mut without = |rows: &[(&str, &str)]| {
        for (place, name) in rows {
            let at = new.pointer_mut(place).and_then(Value::as_object_mut);
            at.and_then(|at: &mut Map<_, _>| at.remove(*name));
        }
    };
    without(NEVER_OWN);
    if object.pointer("/metadata/uid").is_none() {
        return new;
    }
    let own = match workload.kind() {
        _ if workload.is_custom() => &[],
        "Pod" => PODS,
        "Job" if object.pointer("/spec/manualSelector") != Some(&Value::Bool(true)) => JOBS,
        _ => &[],
    };
    without(CLUSTERS);
    without(own);
    new
}
