//! What the kubelet or the runtime of a node does not start.

use serde_json::Value;

use super::{Refusal, refusal};
use crate::bwrap::Version;
use crate::diagnosis::{Cause, PodPatch};
use crate::kubernetes::change::Field;
use crate::kubernetes::facts::{
    MAPS_TMPFS, Nodes, apparmor, apparmor_asked, context, is, kernel_since, nodes, privileged, seccomp_asked,
    user, user_namespace,
};
use crate::kubernetes::quantity::memory_limits;
use crate::kubernetes::sysctls::{self, Namespace};
use crate::kubernetes::{Cluster, Runtime, Workload};
use crate::sandbox::Capability;

/// The kubelet gives a pod with a user namespace of its own ids below this.
const IDS: u64 = 65_536;

/// What the kubelet says of a root that the pod does not want.
const NO_ROOT: &str = "the kubelet starts no root where the pod says runAsNonRoot: true: container has runAsNonRoot and image will run as root";

/// The one without the other is refused.
const BOTH: &[Field] = &[Field::HostUsers, Field::ProcMount];

pub(super) fn refuses(cluster: &Cluster, workload: &Workload, container: &Value) -> Vec<Refusal> {
    let mut found = Vec::new();
    if user_namespace(cluster, workload) {
        found.extend(without_namespaces(cluster));
        found.extend(apart_on_fargate(workload));
        found.extend(old_kernel(cluster, workload));
        found.extend(ids_without_mapping(cluster, workload, container));
    }
    let (uid, _) = user(cluster, workload, container);
    if uid == 0 && is(context(workload, container, "runAsNonRoot"), true) {
        let text = NO_ROOT;
        let mut refused = refusal(Some(Cause::RootNotWanted), text, "set runAsUser to another id than 0");
        refused.patch = Some(PodPatch { run_as_user: Some(1000), ..PodPatch::default() }.into());
        found.push(refused);
    }
    // each but Unconfined is looked for
    let asked = apparmor_asked(cluster, workload, container).filter(|name| name != "Unconfined");
    if asked.is_some() && apparmor(cluster) == Some(false) && cluster.runtime != Runtime::GVisor {
        let text = "the kubelet says: Cannot enforce AppArmor: AppArmor is not enabled on the host";
        let remedy = "leave appArmorProfile and its annotation out for these nodes";
        found.push(refusal(Some(Cause::AppArmorProfileNotLoaded), text, remedy));
    }
    found.extend(privileged_on_fargate(workload, container));
    found.extend(profiles_of_clouds(cluster, workload, container));
    found.extend(sysctls(workload));
    found.extend(little_memory(cluster, workload, container));
    // a node that is a container itself may lack some
    let lacks =
        cluster.node.process.bounding.present().and_then(|bounding| {
            Capability::ALL.iter().find(|one| one.number() <= 37 && !bounding.has(**one))
        });
    if let (Runtime::CriO, true, Some(lacks)) = (cluster.runtime, privileged(container), lacks) {
        let text = format!("CRI-O cannot give {lacks} to a privileged container: the node itself lacks it");
        found.push(refusal(
            Some(Cause::PodFieldsRefused),
            text,
            "leave privileged out, or give the node that capability",
        ));
    }
    found
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

/// What the crate's own text of Fargate says: nobody sets /proc there, nor namespaces.
fn apart_on_fargate(workload: &Workload) -> Option<Refusal> {
    let fargate = nodes(workload) == Some(Nodes::Fargate);
    let mut refused = refusal(
        Some(Cause::RuntimeWithoutUserNamespaces),
        "AWS Fargate lets nobody set namespaces and /proc of a pod: hostUsers: false is not for it",
        "leave hostUsers and procMount out and bind the outer /proc in the sandbox, or run the pod on nodes of your own (EC2)",
    );
    refused.patch = Some(BOTH.into());
    fargate.then_some(refused)
}

/// In the words of its admission.
fn privileged_on_fargate(workload: &Workload, container: &Value) -> Option<Refusal> {
    let text = "AWS says: Pod not supported on Fargate: invalid SecurityContext fields: Privileged";
    let refused = || {
        refusal(
            Some(Cause::AdmissionRefuses),
            text,
            "leave privileged out, or run the pod on nodes of your own (EC2)",
        )
    };
    (privileged(container) && nodes(workload) == Some(Nodes::Fargate)).then(refused)
}

/// Profiles that a pod names and that nobody can have brought to its node.
fn profiles_of_clouds(cluster: &Cluster, workload: &Workload, container: &Value) -> Vec<Refusal> {
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

fn ids_without_mapping(cluster: &Cluster, workload: &Workload, container: &Value) -> Vec<Refusal> {
    let named = |field| context(workload, container, field).and_then(Value::as_u64);
    let pods = |field| workload.spec().get("securityContext").and_then(|pods| pods.get(field));
    let groups = pods("supplementalGroups").and_then(Value::as_array).into_iter().flatten();
    let (uid, _) = user(cluster, workload, container);
    let ids = [
        ("user", Some(u64::from(uid))),
        ("runAsGroup", named("runAsGroup")),
        ("fsGroup", pods("fsGroup").and_then(Value::as_u64)),
        ("supplementalGroups", groups.filter_map(Value::as_u64).max()),
    ];
    let above = ids.into_iter().filter_map(|(what, id)| Some((what, id.filter(|id| *id >= IDS)?)));
    let refused = above.map(|(what, id)| {
        let text = format!(
            "the pod's user namespace has the ids below {IDS}, and so not the {what} {id}: runc does not start it"
        );
        let remedy = "name an id below 65536, or leave hostUsers and procMount out and bind the outer /proc in the sandbox";
        let mut refused = refusal(Some(Cause::IdWithoutMapping), text, remedy);
        if what == "user" {
            refused.patch = Some(PodPatch { run_as_user: Some(1000), ..PodPatch::default() }.into());
        }
        refused
    });
    refused.collect()
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
