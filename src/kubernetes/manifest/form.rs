//! Kinds that have pods, and where each has its own.

use serde_json::Value;

/// What has a pod, and where; of which API groups it is, the core's without a name.
pub(super) struct Form {
    pub(super) kind: &'static str,
    pub(super) groups: &'static [&'static str],
    pub(super) way: &'static [&'static str],
}

/// Those of Kubernetes itself.
pub(super) const NATIVE: &[Form] = &[
    Form { kind: "Pod", groups: &[""], way: &[] },
    Form { kind: "PodTemplate", groups: &[""], way: &["template"] },
    Form { kind: "Deployment", groups: APPS, way: TEMPLATE },
    Form { kind: "StatefulSet", groups: APPS, way: TEMPLATE },
    Form { kind: "DaemonSet", groups: APPS, way: TEMPLATE },
    Form { kind: "ReplicaSet", groups: APPS, way: TEMPLATE },
    Form { kind: "ReplicationController", groups: &[""], way: TEMPLATE },
    Form { kind: "Job", groups: &["batch"], way: TEMPLATE },
    Form { kind: "CronJob", groups: &["batch"], way: &["spec", "jobTemplate", "spec", "template"] },
];

/// Custom resources: of Actions Runner Controller, of Argo, and of `OpenKruise`, whose kinds are called like Kubernetes' own.
pub(super) const CUSTOM: &[Form] = &[
    Form { kind: "AutoscalingRunnerSet", groups: &["actions.github.com"], way: TEMPLATE },
    Form { kind: "Rollout", groups: &["argoproj.io"], way: TEMPLATE },
    Form { kind: "StatefulSet", groups: KRUISE, way: TEMPLATE },
    Form { kind: "DaemonSet", groups: KRUISE, way: TEMPLATE },
];

const APPS: &[&str] = &["apps", "extensions"];
/// The versions that these groups have, or had.
const VERSIONS: &[(&str, &[&str])] = &[
    ("", &["v1"]),
    ("apps", &["v1", "v1beta1", "v1beta2"]),
    ("batch", &["v1", "v1beta1", "v2alpha1"]),
    ("extensions", &["v1beta1"]),
];

const KRUISE: &[&str] = &["apps.kruise.io"];
const TEMPLATE: &[&str] = &["spec", "template"];

impl Form {
    /// That of an object, and whether it is a custom one; without an apiVersion by its kind alone.
    pub(super) fn of(kind: &str, object: &Value) -> Option<(&'static Self, bool)> {
        let group = group_of(object).map(|(group, _)| group);
        let all = NATIVE.iter().map(|form| (form, false)).chain(CUSTOM.iter().map(|form| (form, true)));
        all.into_iter()
            .find(|(form, _)| form.kind == kind && group.is_none_or(|group| form.groups.contains(&group)))
    }

    /// What is wrong with a kind of Kubernetes' own that it does not know by this name, or in this group.
    pub(super) fn misspelt(kind: &str, object: &Value) -> Option<String> {
        let group = group_of(object);
        let own = |group: &str| NATIVE.iter().any(|form| form.groups.contains(&group));
        let form = NATIVE.iter().find(|form| form.kind.eq_ignore_ascii_case(kind))?;
        let shown = crate::visible::line(kind);
        match group {
            Some((group, _)) if !own(group) => None,
            _ if form.kind != kind => Some(format!("no kind is called {shown}: {} is meant", form.kind)),
            Some((group, version)) if !form.groups.contains(&group) || !has_version(group, version) => {
                let right = form.groups.first().filter(|group| !group.is_empty());
                let right = right.map_or_else(|| "v1".to_owned(), |group| format!("{group}/v1"));
                Some(format!(
                    "the apiVersion of {shown} is {right}, and not {}",
                    crate::visible::line(version)
                ))
            }
            _ => None,
        }
    }
}

fn has_version(group: &str, all: &str) -> bool {
    let version = all.rsplit('/').next().unwrap_or_default();
    VERSIONS.iter().any(|(of, versions)| *of == group && versions.contains(&version))
}

/// The group of an object, the core's without a name, and all of its apiVersion.
pub(super) fn group_of(object: &Value) -> Option<(&str, &str)> {
    let version = object.get("apiVersion").and_then(Value::as_str)?;
    Some((version.rsplit_once('/').map_or("", |(group, _)| group), version))
}
