//! Pods that do not come to start: what the API server, the kubelet or the runtime refuses.

mod admission;
mod capabilities;
mod clouds;
mod ids;
mod kinds;
mod names;
mod node;
mod pairs;
mod required;
mod resources;
mod scc;
mod server;
mod shapes;
mod values;
mod volumes;

use std::collections::BTreeSet;

use serde_json::Value;

use super::change::{Change, Field, changed};
use super::facts::{
    NO_USER_NAMESPACES, Nodes, asks_for_cards, is, nodes, other_class, unmasked, user_namespace,
};
use super::{Cluster, Workload, neighbours};
use crate::diagnosis::{Cause, Profile};

pub(super) use server::is_for_windows;

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

/// What is there once more.
fn twice<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = BTreeSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
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
        let apart = refused.patch.as_ref().is_some_and(|change| change.set.host_users == Some(false));
        match next {
            Some(next) => refused.instead(&next, unmasked(container)),
            None if apart => refused.remedy.push_str(&neighbours::price(workload, name)),
            None => {}
        }
    }
    found
}

fn plain(cluster: &Cluster, workload: &Workload, container: &Value) -> Vec<Refusal> {
    let mut found = server::refuses(cluster, workload, container);
    found.extend(admission::refuses(cluster, workload));
    found.extend(scc::refuses(workload));
    found.extend(clouds::refuses(cluster, workload));
    found.extend(on_node(cluster, workload, container));
    found.extend(node::without_apparmor(cluster, workload));
    // it waits for those that start the pod up
    let before = workload.listed().take_while(|(one, _)| !std::ptr::eq(*one, container));
    let before = before.filter(|(_, list)| *list == "initContainers").map(|(one, _)| one);
    let mut others = of_others(cluster, workload, before);
    // what is the whole pod's is said already
    others.retain(|one| one.stops() && !found.iter().any(|said| one.text.ends_with(&said.text)));
    found.extend(others);
    found
}

/// What a node refuses of one container.
fn on_node(cluster: &Cluster, workload: &Workload, container: &Value) -> Vec<Refusal> {
    let mut found = node::refuses(cluster, workload, container);
    found.extend(clouds::profiles(cluster, workload, container));
    let userns = user_namespace(cluster, workload);
    found.extend(volumes::refuses(cluster, workload, container, userns));
    found.extend(capabilities::refuses(cluster, container, userns));
    found
}

/// The same of other containers than the one that is judged, whose change mends none of it.
fn of_others<'a>(
    cluster: &Cluster,
    workload: &Workload,
    others: impl Iterator<Item = &'a Value>,
) -> Vec<Refusal> {
    let each = others.flat_map(|one| {
        let name = crate::visible::line(one.get("name").and_then(Value::as_str).unwrap_or_default());
        let refused = on_node(cluster, workload, one).into_iter();
        refused.map(move |refused| Refusal {
            text: format!("container {name}: {}", refused.text),
            patch: None,
            ..refused
        })
    });
    each.collect()
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

/// What nobody can have on nodes that a cloud runs.
fn of_nodes(workload: &Workload, change: &Change) -> Option<Refusal> {
    let profiles = [&change.set.seccomp, &change.set.apparmor];
    let any = |wanted: fn(&Profile) -> bool| profiles.into_iter().flatten().any(wanted);
    let nodes = nodes(workload)?;
    let (cause, text) = match nodes {
        Nodes::Virtual if change.set.host_users == Some(false) => (
            Cause::RuntimeWithoutUserNamespaces,
            "it is not known whether the service behind the virtual node offers user namespaces of pods",
        ),
        _ if any(|profile| matches!(profile, Profile::Localhost(_))) => {
            (Cause::SeccompFileMissing, nodes.without_files())
        }
        Nodes::Autopilot if any(|profile| *profile == Profile::Unconfined) => (
            Cause::AdmissionRefuses,
            "GKE Autopilot admits what Pod Security's baseline does, which forbids Unconfined",
        ),
        _ => return None,
    };
    Some(refusal(Some(cause), text, "run the pod on nodes of your own"))
}

/// Why a change is of no use in this cluster: what it would refuse, or drop, that it does not now.
pub(super) fn of_change(
    cluster: &Cluster,
    workload: &Workload,
    name: &str,
    change: &Change,
    now: &[Refusal],
) -> Option<Refusal> {
    let workload = &*workload.narrowed(name);
    let apart = change.set.host_users == Some(false);
    if let (true, Some(class)) = (apart, other_class(cluster, workload)) {
        let text = format!(
            "it is not known whether what runs the RuntimeClass {class} offers user namespaces of pods"
        );
        return Some(refusal(Some(Cause::RuntimeWithoutUserNamespaces), text, "leave hostUsers out"));
    }
    if apart && asks_for_cards(workload) && !is(workload.spec().get("hostUsers"), false) {
        let remedy = "leave hostUsers and procMount out, and bind the outer /proc in the sandbox";
        return Some(refusal(None, NO_USER_NAMESPACES, remedy));
    }
    if let Some(refused) = of_nodes(workload, change) {
        return Some(refused);
    }
    if let (true, Some(text)) = (apart, neighbours::that_may_not_end(workload, name)) {
        let remedy = "leave hostUsers and procMount out, and bind the outer /proc in the sandbox";
        return Some(refusal(None, text, remedy));
    }
    let changed = changed(cluster, workload, name, change)?;
    let (container, _) = changed.container(name)?;
    let dropped = apart || change.set.unmasked_proc;
    let of_no_use = |refused: &Refusal| {
        !refused.is_among(now) || dropped && refused.cause == Some(Cause::PodFieldsIgnored)
    };
    let next = plain(cluster, &changed, container).into_iter().find(of_no_use);
    next.or_else(|| {
        // what is said of the pod is said of all its containers
        let others = |workload: &Workload| {
            let others = workload.listed().map(|(one, _)| one);
            let others = others.filter(|one| one.get("name").is_none_or(|other| other != name));
            of_others(cluster, workload, others)
        };
        let before = if apart { others(workload) } else { return None };
        others(&changed).into_iter().find(|refused| !refused.is_among(&before))
    })
}
