//! What the kubelet or the runtime of a node does not start.

use serde_json::Value;

use super::{Refusal, ids, refusal};
use crate::bwrap::Version;
use crate::diagnosis::{Cause, PodPatch};
use crate::kubernetes::change::Field;
use crate::kubernetes::facts::{
    MAPS_TMPFS, apparmor, context, is, kernel_since, needs_apparmor, user, user_namespace,
};
use crate::kubernetes::quantity::memory_limits;
use crate::kubernetes::sysctls::{self, Namespace};
use crate::kubernetes::{Cluster, Runtime, Workload};

/// What the kubelet says of a root that the pod does not want.
const NO_ROOT: &str = "the kubelet starts no root where the pod says runAsNonRoot: true: container has runAsNonRoot and image will run as root";

/// The one without the other is refused.
pub(super) const BOTH: &[Field] = &[Field::HostUsers, Field::ProcMount];

pub(super) fn refuses(cluster: &Cluster, workload: &Workload, container: &Value) -> Vec<Refusal> {
    let mut found = Vec::new();
    if user_namespace(cluster, workload) {
        found.extend(without_namespaces(cluster));
        found.extend(old_kernel(cluster, workload));
        found.extend(ids::without_mapping(cluster, workload, container));
        found.extend(groups_that_ping(cluster, workload));
    }
    found.extend(ids::group_alone(cluster, workload));
    found.extend(ids::strict_groups(cluster, workload));
    let (uid, _) = user(cluster, workload, container);
    if uid == 0 && is(context(workload, container, "runAsNonRoot"), true) {
        let text = NO_ROOT;
        let mut refused = refusal(Some(Cause::RootNotWanted), text, "set runAsUser to another id than 0");
        refused.patch = Some(PodPatch { run_as_user: Some(1000), ..PodPatch::default() }.into());
        found.push(refused);
    }
    found.extend(sysctls(workload));
    found.extend(little_memory(cluster, workload, container));
    found
}

/// What it looks for in all of a pod.
pub(super) fn without_apparmor(cluster: &Cluster, workload: &Workload) -> Option<Refusal> {
    let off = apparmor(cluster) == Some(false) && cluster.runtime != Runtime::GVisor;
    let text = "the kubelet says: Cannot enforce AppArmor: AppArmor is not enabled on the host";
    let remedy = "leave appArmorProfile and its annotation out for these nodes, of the pod and of each of its containers";
    (off && needs_apparmor(cluster, workload))
        .then(|| refusal(Some(Cause::AppArmorProfileNotLoaded), text, remedy))
}

/// Nodes that make no user namespaces for pods.
fn without_namespaces(cluster: &Cluster) -> Vec<Refusal> {
    let mut found = Vec::new();
    if cluster.node.sysctl("user.max_user_namespaces").is("0") {
        let text = "the node allows no user namespaces: user.max_user_namespaces is 0";
        let remedy = "have the node's administrator set user.max_user_namespaces";
        found.push(refusal(Some(Cause::NodeWithoutUserNamespaces), text, remedy));
    }
    let old = cluster.runtime_version.filter(|version| match cluster.runtime {
        Runtime::Containerd => *version < Version::new(2, 0, 0),
        Runtime::CriO => *version < Version::new(1, 25, 0),
        Runtime::GVisor => false,
    });
    match (cluster.runtime, old) {
        (Runtime::GVisor, _) => {
            let mut refused = refusal(
                Some(Cause::RuntimeWithoutUserNamespaces),
                "the kubelet starts no pod with hostUsers: false where the runtime does not offer it, as gVisor's does not",
                "leave hostUsers out: in gVisor the kernel is the pod's own",
            );
            refused.patch = Some(BOTH.into());
            found.push(refused);
        }
        (runtime, Some(version)) => found.push(refusal(
            Some(Cause::RuntimeWithoutUserNamespaces),
            format!("{runtime} {version} does not support user namespaces of pods"),
            "update the runtime: containerd 2.0 or CRI-O 1.25 or later",
        )),
        _ => {}
    }
    found
}

/// The token of the service account is on a tmpfs, and each pod has one unless it says no.
fn old_kernel(cluster: &Cluster, workload: &Workload) -> Option<Refusal> {
    let release = cluster.node.kernel.release.present()?;
    let token = !is(workload.spec().get("automountServiceAccountToken"), false);
    if cluster.runtime == Runtime::GVisor || !token || kernel_since(cluster, MAPS_TMPFS) != Some(false) {
        return None;
    }
    let text = format!(
        "hostUsers: false needs Linux 6.3 or later, for the service account's token is on a tmpfs; the node has {}",
        crate::visible::line(release)
    );
    let remedy = "use nodes with Linux 6.3 or later, or leave hostUsers and procMount out and bind the outer /proc in the sandbox";
    Some(refusal(Some(Cause::VolumeWithoutIdMapping), text, remedy))
}

/// containerd has runc set it in the pod's user namespace, where the groups must be mapped; CRI-O sets it outside.
fn groups_that_ping(cluster: &Cluster, workload: &Workload) -> Option<Refusal> {
    const NAME: &str = "net.ipv4.ping_group_range";
    let mut ranges = sysctls::written(workload).filter(|(name, _)| sysctls::dotted(name) == NAME);
    let (_, value) = ranges.find(|(_, value)| {
        value.split_whitespace().filter_map(|group| group.parse::<u64>().ok()).any(|group| group >= ids::IDS)
    })?;
    let text = format!(
        "runc says: failed to write sysctl {NAME} = \"{}\": invalid argument, for with hostUsers: false the pod has no group above 65535",
        crate::visible::line(value)
    );
    let refused =
        || refusal(Some(Cause::PodFieldsRefused), text, "say '0 65535', which is every group of the pod");
    (cluster.runtime != Runtime::CriO).then(refused)
}

/// What the kubelet admits no pod with (`SysctlForbidden`), in its words.
fn sysctls(workload: &Workload) -> Option<Refusal> {
    let shares = |field: &str| is(workload.spec().get(field), true);
    sysctls::asked(workload).find_map(|name| {
        let nodes = "leave it out: there is one for all of the node, whose administrator sets it (bwrap-doctor explain NS12)";
        let (why, remedy) = match sysctls::namespace(&name) {
            None => ("allowlisted", nodes),
            Some(Namespace::Net) if shares("hostNetwork") => {
                ("allowed with host net enabled", "leave it out, or leave hostNetwork out")
            }
            Some(Namespace::Ipc) if shares("hostIPC") => {
                ("allowed with host ipc enabled", "leave it out, or leave hostIPC out")
            }
            Some(_) => return None,
        };
        let text = format!("the kubelet says: forbidden sysctl: \"{}\" not {why}", crate::visible::line(&name));
        Some(refusal(Some(Cause::PodFieldsRefused), text, remedy))
    })
}

/// Less than any runtime needs to start a process.
const NO_MEMORY: f64 = 500.0 * 1024.0;

fn little_memory(cluster: &Cluster, workload: &Workload, container: &Value) -> Option<Refusal> {
    let limit =
        memory_limits(cluster, workload, container).into_iter().find(|limit| limit.bytes < NO_MEMORY)?;
    let (shown, bytes, place) = (crate::visible::line(&limit.written), limit.bytes, limit.place);
    let text = format!("no container starts with a limit of {shown} of memory, which are {bytes} bytes");
    let number = shown.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    Some(refusal(Some(Cause::PodFieldsRefused), text, format!("say {number}Mi or {number}Gi in {place}")))
}
