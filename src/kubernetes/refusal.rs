//! Pods that do not come to start: what the API server, the kubelet or the runtime refuses.

mod admission;
mod capabilities;
mod node;
mod server;
mod volumes;

use serde_json::Value;

use super::change::{Change, Field, changed};
use super::facts::{other_class, unmasked, user_namespace};
use super::{Cluster, Workload};
use crate::diagnosis::Cause;

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
    pub(super) patch: Option<Change>,
    /// Whether the container starts all the same.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(super) starts: bool,
}

impl Refusal {
    /// Whether the container is not started for it.
    pub(super) fn stops(&self) -> bool {
        !self.starts
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

fn refusal(cause: Option<Cause>, text: impl Into<String>, remedy: impl Into<String>) -> Refusal {
    Refusal { cause, text: text.into(), remedy: remedy.into(), patch: None, starts: false }
}

/// What counts for nothing in a container that starts.
fn ignored(cause: Option<Cause>, text: impl Into<String>, remedy: impl Into<String>) -> Refusal {
    Refusal { starts: true, ..refusal(cause, text, remedy) }
}

/// All that is known beforehand.
pub(super) fn all(cluster: &Cluster, workload: &Workload, container: &Value) -> Vec<Refusal> {
    let mut found = plain(cluster, workload, container);
    let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
    let next: Vec<Option<Refusal>> = found
        .iter()
        .map(|refused| of_change(cluster, workload, name, refused.patch.as_ref()?, &found))
        .collect();
    for (refused, next) in found.iter_mut().zip(next) {
        if let Some(next) = next {
            refused.instead(&next, unmasked(container));
        }
    }
    found
}

fn plain(cluster: &Cluster, workload: &Workload, container: &Value) -> Vec<Refusal> {
    let mut found = server::refuses(cluster, workload, container);
    found.extend(admission::refuses(cluster, workload));
    found.extend(node::refuses(cluster, workload, container));
    let userns = user_namespace(cluster, workload);
    found.extend(volumes::refuses(cluster, workload, container, userns));
    found.extend(capabilities::refuses(cluster, container));
    found
}

const PROC_MOUNT: &[Field] = &[Field::ProcMount];

impl Refusal {
    /// What else to do, where its change would be refused for another reason.
    fn instead(&mut self, next: &Self, unmasked: bool) {
        self.patch = None;
        if self.cause == Some(Cause::UnmaskedNeedsUserNamespace) && unmasked {
            self.patch = Some(PROC_MOUNT.into());
            self.remedy = format!(
                "leave procMount out, and bind the outer /proc in the sandbox; hostUsers: false would be refused, too: {}",
                next.text
            );
        }
    }

    /// Whether the same is said there.
    pub(super) fn is_among(&self, others: &[Self]) -> bool {
        others.iter().any(|other| other.text == self.text)
    }
}

/// Why a change is of no use in this cluster: what it would refuse, or drop, that it does not now.
pub(super) fn of_change(
    cluster: &Cluster,
    workload: &Workload,
    name: &str,
    change: &Change,
    now: &[Refusal],
) -> Option<Refusal> {
    if let (Some(false), Some(class)) = (change.set.host_users, other_class(cluster, workload)) {
        let text = format!(
            "it is not known whether what runs the RuntimeClass {class} offers user namespaces of pods"
        );
        return Some(refusal(Some(Cause::RuntimeWithoutUserNamespaces), text, "leave hostUsers out"));
    }
    let changed = changed(cluster, workload, name, change)?;
    let (container, _) = changed.container(name)?;
    let dropped = change.set.host_users == Some(false) || change.set.unmasked_proc;
    let of_no_use = |refused: &Refusal| {
        !refused.is_among(now) || dropped && refused.cause == Some(Cause::PodFieldsIgnored)
    };
    plain(cluster, &changed, container).into_iter().find(of_no_use)
}
