//! Ids that a runtime does not start a pod with.

use serde_json::Value;

use super::{Refusal, refusal};
use crate::diagnosis::{Cause, PodPatch};
use crate::kubernetes::change::Change;
use crate::kubernetes::facts::{own, user};
use crate::kubernetes::{Cluster, Runtime, Workload};

/// The kubelet gives a pod with a user namespace of its own ids below this.
pub(super) const IDS: u64 = 65_536;

/// Any that is not root will do.
const SOMEBODY: u32 = 1000;

/// Ids that the pod's user namespace does not have. With containerd the pod's own fields are those of its sandbox as well, whatever
/// its containers say.
pub(super) fn without_mapping(cluster: &Cluster, workload: &Workload, container: &Value) -> Vec<Refusal> {
    let pods = |field| own(workload.spec(), field).and_then(Value::as_u64);
    let groups = own(workload.spec(), "supplementalGroups").and_then(Value::as_array).into_iter().flatten();
    let sandbox = cluster.runtime != Runtime::CriO;
    let above = |id: Option<u64>| id.filter(|id| *id >= IDS);
    // what is said of the sandbox is not said once more of the container
    let of_container = |field: &str, whole: Option<u64>| {
        let id = own(container, field).and_then(Value::as_u64).or(whole);
        above(id).filter(|_| !(sandbox && above(whole) == id))
    };
    let (uid, _) = user(cluster, workload, container);
    let image = above(Some(u64::from(uid))).filter(|uid| above(pods("runAsUser")) != Some(*uid) || !sandbox);
    let rows = [
        ("the pod's runAsUser", above(pods("runAsUser")).filter(|_| sandbox)),
        ("the pod's runAsGroup", above(pods("runAsGroup")).filter(|_| sandbox)),
        ("the user", image),
        ("the runAsGroup", of_container("runAsGroup", pods("runAsGroup"))),
        ("the fsGroup", above(pods("fsGroup"))),
        ("the supplementalGroups", above(groups.filter_map(Value::as_u64).max())),
    ];
    let refused = rows.into_iter().filter_map(|(what, id)| Some((what, id?))).map(|(what, id)| {
        let text = format!(
            "the pod's user namespace has the ids below {IDS}, and so not {what} {id}: runc does not start it"
        );
        let remedy = "name an id below 65536, or leave hostUsers and procMount out and bind the outer /proc in the sandbox";
        let mut refused = refusal(Some(Cause::IdWithoutMapping), text, remedy);
        refused.patch = match what {
            "the pod's runAsUser" => Some(Change { user_of_pod: Some(SOMEBODY), ..Change::default() }),
            "the user" => Some(PodPatch { run_as_user: Some(SOMEBODY), ..PodPatch::default() }.into()),
            _ => None,
        };
        refused
    });
    refused.collect()
}

/// The sandbox's group without its user, which containerd refuses; of a container the kubelet names the image's user beside it.
pub(super) fn group_alone(cluster: &Cluster, workload: &Workload) -> Option<Refusal> {
    let group = own(workload.spec(), "runAsGroup").and_then(Value::as_u64)?;
    if own(workload.spec(), "runAsUser").is_some() || cluster.runtime == Runtime::CriO {
        return None;
    }
    let text = format!(
        "containerd says: failed to generate user string: user group \"{group}\" is specified without user, in the securityContext of the pod"
    );
    let remedy = "name runAsUser beside it, or runAsGroup in the securityContext of each container instead";
    let mut refused = refusal(Some(Cause::PodFieldsRefused), text, remedy);
    // whom the containers run as is to stay as it is
    let own_users = workload.listed().all(|(one, _)| own(one, "runAsUser").is_some());
    let user = if own_users { Some(SOMEBODY) } else { cluster.image_user };
    refused.patch = user.map(|user| Change { user_of_pod: Some(user), ..Change::default() });
    Some(refused)
}

/// The release that no longer passes over it where the runtime cannot: the groups of the image are not to count.
const REFUSES_STRICT: (u32, u32) = (1, 33);

pub(super) fn strict_groups(cluster: &Cluster, workload: &Workload) -> Option<Refusal> {
    let asked = own(workload.spec(), "supplementalGroupsPolicy").is_some_and(|policy| policy == "Strict");
    let refuses = cluster.kubernetes.is_none_or(|version| version >= REFUSES_STRICT);
    let version = cluster.runtime_version.filter(|_| asked && refuses && cluster.lacks((2, 0), (1, 31)))?;
    let text = format!(
        "the kubelet says: SupplementalGroupsPolicy=Strict is not supported in this node (SupplementalGroupsPolicyNotSupported), which has {} {version}",
        cluster.runtime
    );
    let remedy =
        "update the runtime: containerd 2.0 or CRI-O 1.31 or later, or leave supplementalGroupsPolicy out";
    Some(refusal(Some(Cause::PodNotStarted), text, remedy))
}
