//! What confines a container: AppArmor, or SELinux.

use serde_json::Value;

use super::{context, is, own, privileged, profile, scc};
use crate::host::{Fact, Host, Security};
use crate::kubernetes::{Cluster, Runtime, Workload};

/// The annotation that came before `appArmorProfile`.
pub(in crate::kubernetes) const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io";

/// The annotations that came before `seccompProfile`: a pod's, and with its name each container's.
const SECCOMP_OF_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP: &str = "container.seccomp.security.alpha.kubernetes.io";

/// The filter that is asked for.
pub(in crate::kubernetes) fn seccomp_asked(
    cluster: &Cluster,
    workload: &Workload,
    container: &Value,
) -> Option<String> {
    let field = context(workload, container, "seccompProfile").and_then(profile);
    let named = field.or_else(|| annotated_seccomp(cluster, workload, container));
    named.or_else(|| scc::filters(workload).then(|| "RuntimeDefault".to_owned()))
}

fn annotated_seccomp(cluster: &Cluster, workload: &Workload, container: &Value) -> Option<String> {
    // later ones keep them, and go by the fields alone
    cluster.kubernetes.filter(|version| *version < (1, 27))?;
    let annotations = workload.pod().pointer("/metadata/annotations")?;
    let own = format!("{SECCOMP}/{}", container.get("name")?.as_str()?);
    let text = annotations.get(own).or_else(|| annotations.get(SECCOMP_OF_POD))?.as_str()?;
    Some(match (text.strip_prefix("localhost/"), text) {
        (Some(name), _) => name.to_owned(),
        (None, "unconfined") => "Unconfined".to_owned(),
        (None, _) => "RuntimeDefault".to_owned(),
    })
}

/// By which CRI-O takes a filter from a registry, for a container or all of a pod.
const SECCOMP_OF_CRI_O: &[&str] = &["seccomp-profile.crio.io", "seccomp-profile.kubernetes.cri-o.io"];

/// The filter that is asked for so; whether CRI-O loads it the runtime's `allowed_annotations` decide.
pub(super) fn seccomp_from_registry<'a>(
    cluster: &Cluster,
    workload: &'a Workload,
    container: &Value,
) -> Option<&'a str> {
    let name = container.get("name").and_then(Value::as_str)?;
    let annotations = workload.pod().pointer("/metadata/annotations")?;
    let keys = SECCOMP_OF_CRI_O.iter().flat_map(|start| [format!("{start}/{name}"), format!("{start}/POD")]);
    let mut named = keys.filter_map(|key| annotations.get(key)?.as_str());
    named.next().filter(|_| cluster.runtime == Runtime::CriO && !privileged(container))
}

/// Whether Kubernetes has a field for it, and does not drop it.
pub(in crate::kubernetes) fn has_apparmor_field(cluster: &Cluster) -> bool {
    cluster.kubernetes.is_none_or(|version| version >= (1, 30))
}

/// The AppArmor profile that is asked for.
pub(in crate::kubernetes) fn apparmor_asked(
    cluster: &Cluster,
    workload: &Workload,
    container: &Value,
) -> Option<String> {
    let field = context(workload, container, "appArmorProfile").filter(|_| has_apparmor_field(cluster));
    field.and_then(profile).or_else(|| annotated_apparmor(workload, container))
}

/// The annotation of a container, as it is written.
pub(in crate::kubernetes) fn apparmor_annotation<'a>(
    workload: &'a Workload,
    container: &Value,
) -> Option<&'a str> {
    let name = container.get("name").and_then(Value::as_str)?;
    let all = workload.pod().pointer("/metadata/annotations")?.as_object()?;
    let is_its = |key: &str| key.strip_prefix(APPARMOR).and_then(|rest| rest.strip_prefix('/')) == Some(name);
    all.iter().find(|(key, _)| is_its(key))?.1.as_str()
}

/// The same, of the annotation.
pub(in crate::kubernetes) fn annotated_apparmor(workload: &Workload, container: &Value) -> Option<String> {
    let text = apparmor_annotation(workload, container)?;
    match (text.strip_prefix("localhost/"), text) {
        (Some(name), _) => Some(name.to_owned()),
        (None, "unconfined") => Some("Unconfined".to_owned()),
        (None, "runtime/default") => Some("RuntimeDefault".to_owned()),
        (None, _) => None,
    }
}

/// Whether the kubelet looks for AppArmor: it does for all of a pod if the pod's field or that of any of its containers asks for a
/// profile, be it that another field of the same pod takes it back.
pub(in crate::kubernetes) fn needs_apparmor(cluster: &Cluster, workload: &Workload) -> bool {
    let field = |place: &Value| {
        let field = own(place, "appArmorProfile").filter(|_| has_apparmor_field(cluster));
        field.and_then(profile)
    };
    let containers =
        workload.listed().map(|(one, _)| field(one).or_else(|| annotated_apparmor(workload, one)));
    containers.chain([field(workload.spec())]).flatten().any(|name| name != "Unconfined")
}

pub(super) fn security(host: &mut Host, cluster: &Cluster, workload: &Workload, container: &Value) {
    if cluster.runtime == Runtime::GVisor {
        host.security.label = Fact::Absent;
        host.security.apparmor_label = Fact::Absent;
        return;
    }
    let node = &cluster.node.security;
    host.security = Security {
        modules: node.modules.clone(),
        apparmor_enabled: node.apparmor_enabled.clone(),
        selinux_filesystem: node.selinux_filesystem.clone(),
        selinux_enforcing: node.selinux_enforcing.clone(),
        ..Security::default()
    };
    if is_of_apparmor(cluster, workload, container) == Some(true) {
        let asked =
            apparmor_asked(cluster, workload, container).unwrap_or_else(|| "RuntimeDefault".to_owned());
        let label = match asked.as_str() {
            "Unconfined" => "unconfined".to_owned(),
            _ if free(cluster, container, &asked) => "unconfined".to_owned(),
            "RuntimeDefault" if cluster.runtime == Runtime::CriO => "crio-default (enforce)".to_owned(),
            "RuntimeDefault" => "cri-containerd.apparmor.d (enforce)".to_owned(),
            name => format!("{name} (enforce)"),
        };
        host.security.label = Fact::Present(label.clone());
        host.security.apparmor_label = Fact::Present(label);
    } else if selinux(cluster) == Some(true) {
        let asked =
            context(workload, container, "seLinuxOptions").and_then(|options| options.get("type")?.as_str());
        let asked = asked.or_else(|| scc::selinux_type(workload));
        let domain =
            if unlabelled(cluster, workload, container) { "spc_t" } else { asked.unwrap_or("container_t") };
        host.security.label = Fact::Present(format!("system_u:system_r:{domain}:s0:c1,c2"));
        // which is asked for
        if labels_unknown(cluster) {
            host.security.selinux_enforcing = Fact::Unknown;
        }
    } else if apparmor(cluster) == Some(false) && selinux(cluster) == Some(false) {
        host.security.label = Fact::Absent;
        host.security.apparmor_label = Fact::Absent;
    }
}

/// Whether a runtime gives a container no label, whatever is asked for: the policy makes `spc_t` of that, which may do anything. None is for
/// those that are privileged, nor for CRI-O's that share a namespace with the node; its `hostnetwork_disable_selinux` is on unless
/// somebody switches it off.
fn unlabelled(cluster: &Cluster, workload: &Workload, container: &Value) -> bool {
    let shares = |field: &str| is(workload.spec().get(field), true);
    let any = ["hostIPC", "hostNetwork", "hostPID"].into_iter().any(shares);
    privileged(container) || cluster.runtime == Runtime::CriO && any
}

/// Whether a container is left without a profile for it is privileged. containerd confines it all the same where it asks for one of the
/// node's.
pub(super) fn free(cluster: &Cluster, container: &Value, asked: &str) -> bool {
    privileged(container) && (asked == "RuntimeDefault" || cluster.runtime == Runtime::CriO)
}

/// Whether the node has AppArmor; `None` if nobody knows.
pub(in crate::kubernetes) fn apparmor(cluster: &Cluster) -> Option<bool> {
    match &cluster.node.security.apparmor_enabled {
        Fact::Present(on) => Some(*on),
        Fact::Absent => Some(false),
        Fact::Unreadable(_) | Fact::Unknown => None,
    }
}

/// The same of the node that a container comes to: one that asks for a profile of the nodes' is started only where AppArmor is on
/// and has it.
pub(super) fn is_of_apparmor(cluster: &Cluster, workload: &Workload, container: &Value) -> Option<bool> {
    let named = || {
        let asked = apparmor_asked(cluster, workload, container)?;
        (!["RuntimeDefault", "Unconfined"].contains(&asked.as_str())).then_some(true)
    };
    apparmor(cluster).or_else(named)
}

/// Whether the node has SELinux, and it enforces.
pub(super) fn selinux(cluster: &Cluster) -> Option<bool> {
    let security = &cluster.node.security;
    match (&security.selinux_filesystem, &security.selinux_enforcing) {
        (Fact::Present(false) | Fact::Absent, _) | (_, Fact::Present(false)) => Some(false),
        (_, Fact::Present(true)) => Some(true),
        _ => None,
    }
}

/// Whether SELinux enforces, and nobody knows of the labels: containerd gives none unless it is told to.
pub(in crate::kubernetes) fn labels_unknown(cluster: &Cluster) -> bool {
    cluster.runtime == Runtime::Containerd
        && apparmor(cluster) != Some(true)
        && selinux(cluster) == Some(true)
}
