//! Pods that do not come to start: what the API server, the kubelet or the runtime refuses.

mod node;
mod server;

use serde_json::Value;

use super::{Cluster, Workload, cure};
use crate::diagnosis::{Cause, PodPatch};

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

/// Fields that take a refusal away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Change {
    pub(super) set: PodPatch,
    pub(super) leave_out: &'static [Field],
}

impl Change {
    /// Whether it is this one, and nothing else.
    pub(super) fn is(&self, patch: &PodPatch) -> bool {
        self.leave_out.is_empty() && self.set == *patch
    }
}

/// A field that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    HostUsers,
    ProcMount,
}

impl From<PodPatch> for Change {
    fn from(set: PodPatch) -> Self {
        Self { set, leave_out: &[] }
    }
}

impl From<&'static [Field]> for Change {
    fn from(fields: &'static [Field]) -> Self {
        Self { set: PodPatch::default(), leave_out: fields }
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
    let mut found = server::all_of(cluster, workload, container);
    found.extend(node::all_of(cluster, workload, container));
    found
}

/// Why a change is of no use in this cluster: what it would refuse, or drop, that it does not now.
pub(super) fn of_change(
    cluster: &Cluster,
    workload: &Workload,
    name: &str,
    change: &Change,
    now: &[Refusal],
) -> Option<Refusal> {
    let changed = cure::changed(cluster, workload, name, change)?;
    let (container, _) = changed.container(name)?;
    let dropped = change.set.host_users == Some(false) || change.set.unmasked_proc;
    let of_no_use = |refused: &Refusal| {
        !now.contains(refused) || dropped && refused.cause == Some(Cause::PodFieldsIgnored)
    };
    all(cluster, &changed, container).into_iter().find(of_no_use)
}
