//! What nobody can have on nodes that a cloud runs: the rules of AWS Fargate's and GKE Autopilot's own admission.

use serde_json::Value;

use super::node::BOTH;
use super::{Refusal, refusal};
use crate::diagnosis::Cause;
use crate::kubernetes::facts::{
    Nodes, apparmor_asked, is, nodes, own, privileged, profile, seccomp_asked, user_namespace,
};
use crate::kubernetes::{Cluster, Workload};

/// Fields of the pod that share something of the node with it.
const SHARED: &[&str] = &["hostNetwork", "hostPID", "hostIPC"];

/// How Autopilot's admission begins what it says.
const WARDEN: &str = "GKE Warden says:";

/// The label by which a pod is let in that Google and its author have allow-listed.
const ALLOWED: &str = "cloud.google.com/matching-allowlist";

/// Capabilities that Autopilot lets be added.
const ADDED: &str = "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID \
                     SYS_CHROOT SYS_PTRACE";

/// What their admission refuses, which looks at all of a pod.
pub(super) fn refuses(cluster: &Cluster, workload: &Workload) -> Vec<Refusal> {
    let apart = || user_namespace(cluster, workload).then(apart_on_fargate);
    match nodes(workload) {
        Some(Nodes::Fargate) => apart().into_iter().chain(by_fargate(workload)).collect(),
        Some(Nodes::Autopilot) => by_autopilot(workload).into_iter().collect(),
        Some(Nodes::Virtual) | None => Vec::new(),
    }
}

/// What the crate's own text of Fargate says: nobody sets /proc there, nor namespaces.
fn apart_on_fargate() -> Refusal {
    let mut refused = refusal(
        Some(Cause::RuntimeWithoutUserNamespaces),
        "AWS Fargate lets nobody set namespaces and /proc of a pod: hostUsers: false is not for it",
        "leave hostUsers and procMount out and bind the outer /proc in the sandbox, or run the pod on nodes of your own (EC2)",
    );
    refused.patch = Some(BOTH.into());
    refused
}

fn is_asked(workload: &Workload, field: &str) -> bool {
    is(workload.spec().get(field), true)
}

fn any_privileged(workload: &Workload) -> bool {
    workload.listed().any(|(one, _)| privileged(one))
}

fn has_host_port(workload: &Workload) -> bool {
    let ports = workload.listed().filter_map(|(one, _)| one.get("ports")?.as_array()).flatten();
    ports.filter_map(|port| port.get("hostPort")?.as_u64()).any(|port| port != 0)
}

/// In the words of its admission, which looks at all of the pod.
fn by_fargate(workload: &Workload) -> Option<Refusal> {
    let port = has_host_port(workload).then_some("port contains HostIP or HostPort");
    let shared = [("hostNetwork", "HostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")];
    let shared = shared.into_iter().filter(|(field, _)| is_asked(workload, field)).map(|(_, shown)| shown);
    let fields: Vec<&str> = shared.chain(port).collect();
    let of_node = |volume: &Value| volume.get("hostPath").is_some_and(|path| !path.is_null());
    let volumes = workload.spec().get("volumes").and_then(Value::as_array).into_iter().flatten();
    let parts = [
        (!fields.is_empty()).then(|| format!("fields not supported: {}", fields.join(", "))),
        any_privileged(workload).then(|| "invalid SecurityContext fields: Privileged".to_owned()),
        volumes.into_iter().any(of_node).then(|| "volumes not supported: hostPath".to_owned()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| {
        refusal(
            Some(Cause::AdmissionRefuses),
            format!("AWS says: Pod not supported on Fargate: {}", parts.join(", ")),
            "leave these out of each container, and of the pod, or run the pod on nodes of your own (EC2)",
        )
    })
}

/// The same of Autopilot.
fn by_autopilot(workload: &Workload) -> Option<Refusal> {
    let labels = workload.pod().pointer("/metadata/labels");
    if labels.is_some_and(|labels| labels.get(ALLOWED).is_some()) {
        return None;
    }
    let shared = SHARED.iter().filter(|field| is_asked(workload, field));
    let mut minded: Vec<String> = shared.map(|field| format!("{field}: true")).collect();
    if any_privileged(workload) {
        minded.push("privileged: true".to_owned());
    }
    if has_host_port(workload) {
        minded.push("hostPort".to_owned());
    }
    let added = workload.listed().filter_map(|(one, _)| own(one, "capabilities")?.get("add")?.as_array());
    // of NET_ADMIN the cluster decides, which is asked for
    let other = |name: &&str| *name != "NET_ADMIN" && !ADDED.split_whitespace().any(|known| known == *name);
    minded.extend(
        added
            .flatten()
            .filter_map(Value::as_str)
            .find(other)
            .map(|name| format!("the capability {}", crate::visible::line(name))),
    );
    let places = workload.listed().map(|(one, _)| one).chain([workload.spec()]);
    let open = |place: &Value| {
        own(place, "seccompProfile").and_then(profile).is_some_and(|name| name == "Unconfined")
    };
    if places.into_iter().any(open) {
        minded.push("seccompProfile: Unconfined".to_owned());
    }
    (!minded.is_empty()).then(|| {
        refusal(
            Some(Cause::AdmissionRefuses),
            format!(
                "{WARDEN} not allowed in Autopilot, but for what Google has allow-listed of its partners: {}",
                minded.join(", ")
            ),
            "leave these out of each container, and of the pod, or use a node pool of GKE Standard",
        )
    })
}

/// Profiles that a pod names and that nobody can have brought to its node.
pub(super) fn profiles(cluster: &Cluster, workload: &Workload, container: &Value) -> Vec<Refusal> {
    let Some(nodes) = nodes(workload).filter(|nodes| *nodes != Nodes::Virtual) else { return Vec::new() };
    let own = |asked: Option<String>| {
        asked.filter(|name| !["RuntimeDefault", "Unconfined"].contains(&name.as_str()))
    };
    let rows = [
        (own(seccomp_asked(cluster, workload, container)), Cause::SeccompFileMissing, "system call filter"),
        (
            own(apparmor_asked(cluster, workload, container)),
            Cause::AppArmorProfileNotLoaded,
            "AppArmor profile",
        ),
    ];
    let named = rows.into_iter().filter_map(|(name, cause, what)| Some((name?, cause, what)));
    let refused = named.map(|(name, cause, what)| {
        let name = crate::visible::line(&name);
        let text =
            format!("the {what} {name} is on no node that the pod comes to: {}", nodes.without_files());
        refusal(Some(cause), text, "run the pod on nodes of your own, or name no profile of a node's")
    });
    refused.collect()
}
