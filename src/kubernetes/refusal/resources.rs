//! What a container, or all of a pod, may ask for.

use serde_json::{Map, Value};

use super::shapes::{Said, shown};
use crate::kubernetes::quantity::{more_than_limit, value_of};
use crate::kubernetes::{Cluster, Workload};

/// What every node has, by its whole name.
const STANDARD: &[&str] = &["cpu", "ephemeral-storage", "memory"];

/// Pages are counted by size.
const PAGES: &str = "hugepages-";

/// The release that takes resources of a whole pod.
const OF_PODS: (u32, u32) = (1, 34);

fn all<'a>(of: &'a Value, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let all = of.get("resources").and_then(|both| both.get(field)?.as_object());
    all.into_iter().flatten().filter(|(name, value)| !is_variable(name) && !value.is_null())
}

fn is_variable(name: &str) -> bool {
    name.contains(['{', '$'])
}

/// A device's, or whatever else somebody's controller counts: its limit is what is asked for, and both are whole.
fn is_extended(name: &str) -> bool {
    name.split_once('/').is_some_and(|(domain, _)| !domain.ends_with("kubernetes.io"))
}

pub(super) fn of_container(workload: &Workload, container: &Value) -> Vec<Said> {
    // what it has not the pod may have for it
    let pages = pages_alone(container).filter(|_| workload.spec().get("resources").is_none());
    let each = ["limits", "requests"]
        .into_iter()
        .flat_map(|field| all(container, field).filter_map(move |(name, value)| one(field, name, value)));
    each.chain(no_limit(container)).chain(pages).take(2).collect()
}

fn one(field: &str, name: &str, value: &Value) -> Option<Said> {
    let place = format!("resources.{field}[{}]", shown(name));
    if !name.contains('/') && !STANDARD.contains(&name) && !name.starts_with(PAGES) {
        let text = format!(
            "{place}: Invalid value: \"{}\": must be a standard resource for containers",
            shown(name)
        );
        let meant = STANDARD.iter().find(|known| known.eq_ignore_ascii_case(name));
        let how = meant.map_or_else(
            || "name it with its domain, as nvidia.com/gpu".to_owned(),
            |known| format!("say {known}"),
        );
        return Some((text, how));
    }
    let amount = value_of(value)?;
    if amount < 0.0 {
        return Some((
            format!(
                "{place}: Invalid value: {}: must be greater than or equal to 0",
                shown(&value.to_string())
            ),
            "say 0 or more".to_owned(),
        ));
    }
    (is_extended(name) && amount.fract() != 0.0).then(|| {
        (
            format!("{place}: Invalid value: {}: must be an integer", shown(&value.to_string())),
            "say a whole number: devices are not shared so".to_owned(),
        )
    })
}

/// What cannot be promised to more than there is for.
fn no_limit(container: &Value) -> Option<Said> {
    let limits: Map<String, Value> =
        all(container, "limits").map(|(name, value)| (name.clone(), value.clone())).collect();
    let bound = |name: &str| is_extended(name) || name.starts_with(PAGES);
    all(container, "requests").filter(|(name, _)| bound(name)).find_map(|(name, wanted)| {
        let asked = value_of(wanted)?;
        let name_shown = shown(name);
        let Some(limit) = limits.get(name) else {
            let text = "resources.limits: Required value: Limit must be set for non overcommitable resources";
            return Some((text.to_owned(), format!("say limits.{name_shown}, as much as is asked for")));
        };
        let most = value_of(limit)?;
        // more than the limit is said of every resource
        (asked < most).then(|| {
            let text = format!(
                "resources.requests: Invalid value: {}: must be equal to {name_shown} limit of {}",
                shown(&wanted.to_string()),
                shown(&limit.to_string())
            );
            (text, format!("let requests.{name_shown} be the limit, or leave it out"))
        })
    })
}

fn pages_alone(container: &Value) -> Option<Said> {
    let named = |is: fn(&str) -> bool| {
        ["limits", "requests"].into_iter().any(|field| all(container, field).any(|(name, _)| is(name)))
    };
    let alone = named(|name| name.starts_with(PAGES)) && !named(|name| ["cpu", "memory"].contains(&name));
    alone.then(|| {
        let text = "resources: Forbidden: HugePages require cpu or memory";
        (text.to_owned(), "say limits.memory beside it".to_owned())
    })
}

pub(super) fn of_pod(cluster: &Cluster, workload: &Workload) -> Option<Said> {
    // before, they were dropped
    if cluster.kubernetes.is_some_and(|version| version < OF_PODS) {
        return None;
    }
    let (name, wanted, limit) = more_than_limit(workload.spec())?;
    let name = shown(name);
    let text = format!(
        "spec.resources.requests: Invalid value: \"{}\": must be less than or equal to {name} limit of {}",
        shown(&wanted),
        shown(&limit)
    );
    Some((text, format!("let requests.{name} be no more than limits.{name}")))
}
