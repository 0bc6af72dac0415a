//! What is taken for granted where a sandbox starts, as it is nearly everywhere.

use serde_json::Value;

use super::{Cluster, Workload, facts, neighbours};
use crate::diagnosis::{Cause, predict};
use crate::host::{Fact, Host, Program};
use crate::sandbox::Sandbox;

/// Each, with what it would lead to if it were otherwise.
pub(super) fn all(
    cluster: &Cluster,
    workload: &Workload,
    container: &Value,
    sandbox: &Sandbox,
) -> Vec<String> {
    let filter = no_default_filter(cluster, workload, container, sandbox);
    let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
    let ends = neighbours::taken_for_granted(workload, name);
    let strong = in_the_pod_alone(cluster, workload, container);
    let plain = plain_bwrap(&facts::inside(cluster, workload, container), sandbox);
    filter.into_iter().chain(ends).chain(strong).chain(plain).collect()
}

/// That the kubelet has no filter for containers that name none.
fn no_default_filter(
    cluster: &Cluster,
    workload: &Workload,
    container: &Value,
    sandbox: &Sandbox,
) -> Option<String> {
    if cluster.seccomp_default {
        return None;
    }
    let other = Cluster { seccomp_default: true, ..cluster.clone() };
    let prediction = predict(&facts::inside(&other, workload, container), sandbox);
    let first = prediction.obstacles.first()?;
    Some(format!(
        "the kubelet's seccompDefault is off; where it is on, as on GKE Autopilot and Talos, the runtime's filter stands in the way [{}]: \
         judge with --seccomp-default, or set seccompProfile",
        first.cause.code()
    ))
}

/// That a privileged container of a pod with a user namespace wants nothing of the node's.
fn in_the_pod_alone(cluster: &Cluster, workload: &Workload, container: &Value) -> Option<String> {
    let strong = facts::privileged(container) && facts::user_namespace(cluster, workload);
    strong.then(|| {
        "what the container does with `privileged: true` is within the pod: with hostUsers: false it has no rights over the node's devices, \
         kernel modules and kernel parameters"
            .to_owned()
    })
}

/// That bwrap is not setuid root, where that would matter to the one user who is the kernel's overflow user, too.
fn plain_bwrap(host: &Host, sandbox: &Sandbox) -> Option<String> {
    let mut setuid = Program::new("/usr/bin/bwrap", String::new());
    setuid.setuid = true;
    let other = Host { bwrap: Fact::Present(setuid), ..host.clone() };
    let twice = Cause::OverflowIdTwice;
    predict(&other, sandbox).obstacles.iter().any(|finding| finding.cause == twice).then(|| {
        format!("the image's bwrap is not setuid root, which maps the overflow user twice [{}]", twice.code())
    })
}
