//! Kernel parameters that a pod sets for itself.

use serde_json::Value;

use super::Workload;

/// What every kubelet lets be set, and Pod Security's baseline.
pub(super) const SAFE: &[&str] = &[
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

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
