//! The `RuntimeClass` of a pod: who runs it, if not what runs the others.

use std::borrow::Cow;

use serde_json::Value;

use super::owners::{Nodes, nodes, without_user_namespaces};
use crate::host::{Fact, Host};
use crate::kubernetes::{Cluster, Runtime, Workload};

/// How the classes are called that are run by what is judged: runc and crun, and what adds devices to these.
const USUAL: &[&str] = &["crun", "nvidia", "runc"];

/// What the names have in them of those that run a virtual machine, though they begin alike: `crun-vm`, `crun-krun`, `runcvm`.
const VIRTUAL: &[&str] = &["krun", "vm"];

/// What the names of gVisor's have in them.
const GVISOR: &[&str] = &["gvisor", "runsc"];

fn class(workload: &Workload) -> Option<&str> {
    workload.spec().get("runtimeClassName").and_then(Value::as_str).filter(|class| !class.is_empty())
}

/// What runs it: the handler that the class has in this manifest, or what the class is called.
pub(super) fn handler(workload: &Workload) -> Option<&str> {
    let class = class(workload)?;
    Some(workload.around().handler(class).unwrap_or(class))
}

/// The cluster that runs the pods of a workload: with gVisor, if their class is called so; a cloud's own nodes are none of those that
/// somebody looked at.
pub(in crate::kubernetes) fn cluster_of<'a>(cluster: &'a Cluster, workload: &Workload) -> Cow<'a, Cluster> {
    let cluster = match nodes(workload) {
        None => Cow::Borrowed(cluster),
        Some(Nodes::Autopilot) => Cow::Owned(Cluster { seccomp_default: true, ..cluster.clone() }),
        Some(Nodes::Fargate | Nodes::Virtual) => {
            Cow::Owned(Cluster { node: Host::default(), runtime_version: None, ..cluster.clone() })
        }
    };
    let unknown = cluster.node.sysctl("user.max_user_namespaces").is_unknown();
    let cluster = if unknown && without_user_namespaces(workload) {
        let mut cluster = cluster.into_owned();
        cluster.node.sysctls.insert("user.max_user_namespaces".into(), Fact::Present("0".into()));
        Cow::Owned(cluster)
    } else {
        cluster
    };
    let gvisor = handler(workload).is_some_and(|class| GVISOR.iter().any(|name| class.contains(name)));
    if !gvisor || cluster.runtime == Runtime::GVisor {
        return cluster;
    }
    Cow::Owned(Cluster { runtime: Runtime::GVisor, runtime_version: None, ..cluster.into_owned() })
}

/// The pod's `RuntimeClass`, if that may be of a runtime that keeps rules of its own.
pub(in crate::kubernetes) fn other_class(cluster: &Cluster, workload: &Workload) -> Option<String> {
    let virtual_one = |handler: &str| VIRTUAL.iter().any(|part| handler.contains(part));
    let usual = |handler: &str| USUAL.iter().any(|name| handler.starts_with(name)) && !virtual_one(handler);
    let class = class(workload).filter(|_| handler(workload).is_some_and(|handler| !usual(handler)))?;
    (cluster.runtime != Runtime::GVisor).then(|| crate::visible::line(class).into_owned())
}
