//! Names of capabilities that are none, and capabilities that a node lacks.

use serde_json::Value;

use super::{Refusal, ignored, refusal};
use crate::diagnosis::{Cause, PodPatch};
use crate::host::CapabilitySet;
use crate::kubernetes::facts::{capability, privileged, words};
use crate::kubernetes::{Cluster, Runtime};
use crate::sandbox::Capability;

const PREFIX: &str = "CAP_";

/// So many names that are none are told.
const TOLD: usize = 20;

/// All that is refused, or passed over.
pub(super) fn refuses(cluster: &Cluster, container: &Value, userns: bool) -> Vec<Refusal> {
    let mut found = no_names(cluster, container);
    // the first process of a user namespace has all of them
    found.extend(that_the_node_lacks(cluster, container).filter(|_| !userns));
    found
}

/// What a node that is a container itself cannot give.
fn that_the_node_lacks(cluster: &Cluster, container: &Value) -> Option<Refusal> {
    let node = cluster.node.process.bounding.present()?;
    if cluster.runtime == Runtime::GVisor {
        return None;
    }
    let asked = asked_of_node(cluster, container);
    // later ones are not in each kernel
    let mut lacking =
        Capability::ALL.iter().filter(|one| one.number() <= 37 && asked.has(**one) && !node.has(**one));
    let lacks = lacking.next()?;
    let says =
        |whose: &str| format!("{} cannot give {lacks} to {whose}: the node itself lacks it", cluster.runtime);
    let cause = Some(Cause::PodFieldsRefused);
    if privileged(container) {
        let remedy = "leave privileged out, or give the node that capability";
        return Some(refusal(cause, says("a privileged container"), remedy));
    }
    let remedy = "leave it out, or set hostUsers: false, with which the pod has it over what is its own";
    let mut refused = refusal(cause, says("the container"), remedy);
    refused.patch = Some(PodPatch { host_users: Some(false), ..PodPatch::default() }.into());
    Some(refused)
}

/// containerd gives what the node has of "all", and to a privileged container; CRI-O asks for each that there is.
fn asked_of_node(cluster: &Cluster, container: &Value) -> CapabilitySet {
    let of_all = cluster.runtime == Runtime::CriO;
    if privileged(container) {
        return if of_all { CapabilitySet(u64::MAX) } else { CapabilitySet::default() };
    }
    let listed = |list: &str| words(container, list);
    let set = |list: &str| {
        let known = listed(list).into_iter().filter_map(|name| capability(cluster.runtime, name));
        known.fold(0, |bits: u64, one| bits | 1 << one.number())
    };
    let all = |list: &str| listed(list).iter().any(|name| name.eq_ignore_ascii_case("all"));
    let every = if of_all && all("add") && !all("drop") { u64::MAX } else { 0 };
    CapabilitySet((every | set("add")) & !set("drop"))
}

/// containerd puts `CAP_` before whatever is there, and passes over what comes of it; CRI-O makes no container.
fn no_names(cluster: &Cluster, container: &Value) -> Vec<Refusal> {
    // which has all of them, whatever is listed
    if privileged(container) || cluster.runtime == Runtime::GVisor {
        return Vec::new();
    }
    let listed = |list: &'static str| words(container, list).into_iter().map(move |name| (list, name));
    // who names a thousand that are none learns it from the first
    let all = listed("add").chain(listed("drop"));
    let wrong = all
        .filter(|(_, name)| !name.eq_ignore_ascii_case("all") && capability(cluster.runtime, name).is_none());
    wrong.take(TOLD).map(|(list, name)| of(cluster.runtime, list, name)).collect()
}

fn of(runtime: Runtime, list: &str, name: &str) -> Refusal {
    let shown = crate::visible::line(name);
    let meant = meant(name);
    let remedy = meant.as_ref().map_or_else(
        || "leave it out: man 7 capabilities has the names, which Kubernetes writes without CAP_".to_owned(),
        |meant| format!("name it {meant}"),
    );
    let prefixed = starts(name);
    match (runtime, prefixed) {
        (Runtime::CriO, _) => {
            let before = if prefixed { "" } else { PREFIX };
            let full = format!("{before}{}", shown.to_uppercase());
            let text = if list == "add" {
                format!("CRI-O says: unknown capability \"{full}\" to add")
            } else {
                format!("CRI-O says: failed to drop cap {full} invalid capability: {full}")
            };
            refusal(Some(Cause::PodFieldsRefused), text, remedy)
        }
        (Runtime::Containerd, true) => {
            let text =
                format!("containerd passes over the capability {shown}: Kubernetes' names are without CAP_");
            ignored(None, text, remedy)
        }
        _ => {
            ignored(None, format!("{runtime} passes over the capability {shown}: none is called so"), remedy)
        }
    }
}

fn starts(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// The capability that is nearest to a name: the same letters, or all but one or two that stand together.
fn meant(name: &str) -> Option<String> {
    let name = if starts(name) { name.get(PREFIX.len()..)? } else { name };
    let letters = |name: &str| {
        let letters = name.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|c| c.to_ascii_uppercase()).collect::<Vec<char>>()
    };
    let wanted = letters(name);
    let known = Capability::ALL.iter().map(|one| one.to_string().trim_start_matches(PREFIX).to_owned());
    let mut near: Vec<(usize, String)> =
        known.filter_map(|known| Some((apart(&letters(&known), &wanted)?, known))).collect();
    near.sort();
    near.into_iter().next().map(|(_, known)| known)
}

/// How many letters differ, if they are few and in one place.
fn apart(one: &[char], other: &[char]) -> Option<usize> {
    let same = |(a, b): &(&char, &char)| a == b;
    let before = one.iter().zip(other).take_while(same).count();
    let (one, other) = (one.get(before..)?, other.get(before..)?);
    let after = one.iter().rev().zip(other.iter().rev()).take_while(same).count();
    match (one.len().saturating_sub(after), other.len().saturating_sub(after)) {
        (a @ 0..=1, b @ 0..=1) => Some(a.max(b)),
        (2, 2) => Some(2),
        _ => None,
    }
}
