//! Pods that do not come to start: what the API server, the kubelet or the runtime refuses.

use serde_json::Value;

use super::facts::{is, privileged, unmasked, user};
use super::{Cluster, Runtime, Workload};
use crate::bwrap::Version;
use crate::diagnosis::{Cause, PodPatch};
use crate::sandbox::Capability;

/// Why a container is not started, or is not what its manifest says ([`Cause::PodFieldsIgnored`]).
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Refusal {
    /// The cause, where it has a code.
    #[cfg_attr(feature = "serde", serde(serialize_with = "code"))]
    pub cause: Option<Cause>,
    /// Who refuses what, in a line.
    pub text: String,
    /// What to do, in a line.
    pub remedy: String,
    /// The same as fields of the pod, if they help.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(super) patch: Option<PodPatch>,
}

impl Refusal {
    /// Whether the container is not started for it.
    pub(super) fn stops(&self) -> bool {
        self.cause != Some(Cause::PodFieldsIgnored)
    }
}

#[cfg(feature = "serde")]
#[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
fn code<S: serde::Serializer>(cause: &Option<Cause>, serializer: S) -> Result<S::Ok, S::Error> {
    match cause {
        Some(cause) => serializer.serialize_some(cause.code()),
        None => serializer.serialize_none(),
    }
}

fn refusal(cause: Option<Cause>, text: impl Into<String>, remedy: &str) -> Refusal {
    Refusal { cause, text: text.into(), remedy: remedy.to_owned(), patch: None }
}

/// All that is known beforehand.
pub(super) fn all(cluster: &Cluster, workload: &Workload, container: &Value) -> Vec<Refusal> {
    let spec = workload.spec();
    let asks = is(spec.get("hostUsers"), false);
    let mut found = Vec::new();
    if unmasked(container) && !asks {
        let text = "the API server allows procMount: Unmasked only with hostUsers: false";
        let mut refused = refusal(Some(Cause::UnmaskedNeedsUserNamespace), text, "set hostUsers: false");
        refused.patch = Some(PodPatch { host_users: Some(false), ..PodPatch::default() });
        found.push(refused);
    }
    if asks {
        let shared =
            ["hostNetwork", "hostPID", "hostIPC"].into_iter().find(|field| is(spec.get(*field), true));
        if let Some(field) = shared {
            let text = format!("the API server allows no hostUsers: false together with {field}: true");
            found.push(refusal(None, text, "leave one of the two out"));
        }
        found.extend(without_namespaces(cluster));
    }
    if let Some((major, minor)) = cluster.kubernetes.filter(|version| asks && *version < (1, 33)) {
        let text = format!(
            "Kubernetes {major}.{minor} drops hostUsers and procMount without a word, unless its feature gates are switched on"
        );
        let remedy = "use Kubernetes 1.33 or later, or bind the outer /proc in the sandbox";
        found.push(refusal(Some(Cause::PodFieldsIgnored), text, remedy));
    }
    let (uid, _) = user(cluster, workload, container);
    if uid == 0 && is(super::facts::context(workload, container, "runAsNonRoot"), true) {
        let text = "the kubelet starts no root where the pod says runAsNonRoot: true";
        let mut refused = refusal(None, text, "set runAsUser to another id than 0");
        refused.patch = Some(PodPatch { run_as_user: Some(1000), ..PodPatch::default() });
        found.push(refused);
    }
    // a node that is a container itself may lack some
    let lacks =
        cluster.node.process.bounding.present().and_then(|bounding| {
            Capability::ALL.iter().find(|one| one.number() <= 37 && !bounding.has(**one))
        });
    if let (Runtime::CriO, true, Some(lacks)) = (cluster.runtime, privileged(container), lacks) {
        let text = format!("CRI-O cannot give {lacks} to a privileged container: the node itself lacks it");
        found.push(refusal(None, text, "leave privileged out, or give the node that capability"));
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
        (Runtime::GVisor, _) => found.push(refusal(
            Some(Cause::RuntimeWithoutUserNamespaces),
            "the kubelet starts no pod with hostUsers: false where the runtime does not offer it, as gVisor's does not",
            "leave hostUsers out: in gVisor the kernel is the pod's own",
        )),
        (runtime, Some(version)) => found.push(refusal(
            Some(Cause::RuntimeWithoutUserNamespaces),
            format!("{runtime} {version} does not support user namespaces of pods"),
            "update the runtime: containerd 2.0 or CRI-O 1.25 or later",
        )),
        _ => {}
    }
    found
}
