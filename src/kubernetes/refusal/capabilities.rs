//! Names of capabilities that are none.

use serde_json::Value;

use super::{Refusal, ignored, refusal};
use crate::diagnosis::Cause;
use crate::kubernetes::facts::{capability, own, privileged};
use crate::kubernetes::{Cluster, Runtime};
use crate::sandbox::Capability;

const PREFIX: &str = "CAP_";

/// So many names that are none are told.
const TOLD: usize = 20;

/// containerd puts `CAP_` before whatever is there, and passes over what comes of it; CRI-O makes no container.
pub(super) fn refuses(cluster: &Cluster, container: &Value) -> Vec<Refusal> {
    // which has all of them, whatever is listed
    if privileged(container) || cluster.runtime == Runtime::GVisor {
        return Vec::new();
    }
    let listed = |list: &'static str| {
        let all = own(container, "capabilities").and_then(|both| both.get(list)?.as_array());
        all.into_iter().flatten().filter_map(Value::as_str).map(move |name| (list, name))
    };
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
        (Runtime::CriO, _) if list == "add" => {
            let before = if prefixed { "" } else { PREFIX };
            let text = format!("CRI-O says: unknown capability \"{before}{}\" to add", shown.to_uppercase());
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
