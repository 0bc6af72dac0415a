//! Kernel parameters that a pod sets for itself.

use serde_json::Value;

use super::{Cluster, Workload};

/// What kubelets let be set, and Pod Security's baseline, each with the release that began to.
const SAFE: &[(&str, (u32, u32))] = &[
    ("kernel.shm_rmid_forced", (1, 0)),
    ("net.ipv4.ip_local_port_range", (1, 0)),
    ("net.ipv4.ip_local_reserved_ports", (1, 27)),
    ("net.ipv4.ip_unprivileged_port_start", (1, 22)),
    ("net.ipv4.ping_group_range", (1, 21)),
    ("net.ipv4.tcp_fin_timeout", (1, 29)),
    ("net.ipv4.tcp_keepalive_intvl", (1, 29)),
    ("net.ipv4.tcp_keepalive_probes", (1, 29)),
    ("net.ipv4.tcp_keepalive_time", (1, 29)),
    ("net.ipv4.tcp_notsent_lowat", (1, 37)),
    ("net.ipv4.tcp_rmem", (1, 32)),
    ("net.ipv4.tcp_slow_start_after_idle", (1, 37)),
    ("net.ipv4.tcp_syncookies", (1, 0)),
    ("net.ipv4.tcp_wmem", (1, 32)),
];

/// Where nobody says which release it is, the latest is not counted on.
const USUAL: (u32, u32) = (1, 36);

/// Whether every kubelet of this release lets a pod set it.
pub(super) fn is_safe(cluster: &Cluster, name: &str) -> bool {
    let release = cluster.kubernetes.unwrap_or(USUAL);
    SAFE.iter().any(|(safe, since)| *safe == name && release >= *since)
}

/// A namespace that has parameters of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Namespace {
    Ipc,
    Net,
}

/// How the parameters begin that a namespace has for itself; of others there is one for all of the node.
const NAMESPACED: &[(&str, Namespace)] = &[
    ("fs.mqueue.", Namespace::Ipc),
    ("kernel.msg", Namespace::Ipc),
    ("kernel.sem", Namespace::Ipc),
    ("kernel.shm", Namespace::Ipc),
    ("net.", Namespace::Net),
];

/// Whose a parameter is; `None` if it is the node's.
pub(super) fn namespace(name: &str) -> Option<Namespace> {
    NAMESPACED.iter().find(|(start, _)| name.starts_with(start)).map(|(_, namespace)| *namespace)
}

/// The parameters that a pod sets as they are written, each with what it is set to.
pub(super) fn written(workload: &Workload) -> impl Iterator<Item = (&str, &str)> {
    let list = workload.spec().pointer("/securityContext/sysctls").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|one| {
        let value = one.get("value").and_then(Value::as_str).unwrap_or_default();
        Some((one.get("name")?.as_str()?, value))
    })
}

/// Their names with dots: slashes stand for them where the first of both is one.
pub(super) fn asked(workload: &Workload) -> impl Iterator<Item = String> {
    written(workload).map(|(name, _)| dotted(name))
}

pub(super) fn dotted(name: &str) -> String {
    let slashes =
        name.find(['/', '.']).and_then(|at| name.get(at..)).is_some_and(|rest| rest.starts_with('/'));
    if slashes { name.replace('/', ".") } else { name.to_owned() }
}
