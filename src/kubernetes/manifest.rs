//! What a manifest says of its pods, as far as it decides about sandboxes.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::ManifestError;
use super::fields::{self, Place};

/// More containers than that are in no file that anybody means.
const CONTAINERS: usize = 1000;

/// What has a pod, and where; of which API groups it is, the core's without a name.
struct Form {
    kind: &'static str,
    groups: &'static [&'static str],
    way: &'static [&'static str],
}

/// Those of Kubernetes itself.
const NATIVE: &[Form] = &[
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
const CUSTOM: &[Form] = &[
    Form { kind: "AutoscalingRunnerSet", groups: &["actions.github.com"], way: TEMPLATE },
    Form { kind: "Rollout", groups: &["argoproj.io"], way: TEMPLATE },
    Form { kind: "StatefulSet", groups: KRUISE, way: TEMPLATE },
    Form { kind: "DaemonSet", groups: KRUISE, way: TEMPLATE },
];

const APPS: &[&str] = &["apps", "extensions"];
const KRUISE: &[&str] = &["apps.kruise.io"];
const TEMPLATE: &[&str] = &["spec", "template"];

impl Form {
    /// That of an object, and whether it is a custom one; without an apiVersion by its kind alone.
    fn of(kind: &str, object: &Value) -> Option<(&'static Self, bool)> {
        let version = object.get("apiVersion").and_then(Value::as_str);
        let group = version.map(|version| version.rsplit_once('/').map_or("", |(group, _)| group));
        let all = NATIVE.iter().map(|form| (form, false)).chain(CUSTOM.iter().map(|form| (form, true)));
        all.into_iter()
            .find(|(form, _)| form.kind == kind && group.is_none_or(|group| form.groups.contains(&group)))
    }
}

/// A pod's lists of containers, in the order in which they come to run.
const LISTS: &[&str] = &["initContainers", "containers", EPHEMERAL];

/// Of debuggers: `kubectl debug` adds to it, and nobody changes what is in it.
const EPHEMERAL: &str = "ephemeralContainers";

/// A pod, or what makes pods, of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    kind: &'static str,
    name: String,
    /// The whole object.
    pub(super) object: Value,
    way: &'static [&'static str],
    custom: bool,
    /// The labels of its namespace, if that is in the same manifest.
    labels: Map<String, Value>,
}

type Result<T> = std::result::Result<T, ManifestError>;

impl Workload {
    /// Every workload of these documents; what is none, a Service say, is passed over.
    pub(super) fn all(documents: Vec<Value>) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        let mut others: Vec<String> = Vec::new();
        let mut namespaces: HashMap<String, Map<String, Value>> = HashMap::new();
        let mut containers = 0;
        let mut rest: Vec<Value> = documents.into_iter().rev().collect();
        while let Some(mut document) = rest.pop() {
            let kind = match document.get("kind") {
                Some(Value::String(kind)) => kind.clone(),
                _ => {
                    return Err(ManifestError(
                        "no manifest: a document has no kind (of a Helm chart, judge what it makes: helm template)"
                            .to_owned(),
                    ));
                }
            };
            if let (Some(of), true) = (kind.strip_suffix("List"), Form::of(&kind, &document).is_none()) {
                let version = document.get("apiVersion").cloned();
                if let Some(Value::Array(items)) = document.get_mut("items") {
                    let items = std::mem::take(items).into_iter().rev();
                    rest.extend(items.map(|item| of_list(item, of, version.as_ref())));
                }
                continue;
            }
            let Some((form, custom)) = Form::of(&kind, &document) else {
                namespaces.extend(labels(&kind, &document));
                if !others.contains(&kind) {
                    others.push(kind);
                }
                continue;
            };
            let name = ["name", "generateName"]
                .iter()
                .find_map(|key| document.pointer(&format!("/metadata/{key}"))?.as_str());
            let name = name.unwrap_or("(no name)").to_owned();
            let workload =
                Self { kind: form.kind, name, object: document, way: form.way, custom, labels: Map::new() };
            // an Argo Rollout may have its pod in the Deployment that it names
            if custom && workload.pod().is_null() {
                if !others.contains(&kind) {
                    others.push(kind);
                }
                continue;
            }
            containers += workload.listed().count();
            if containers > CONTAINERS {
                return Err(ManifestError(format!("more than {CONTAINERS} containers")));
            }
            workload.check()?;
            found.push(workload);
        }
        for workload in &mut found {
            workload.labels = namespaces.get(workload.namespace()).cloned().unwrap_or_default();
        }
        match (found.is_empty(), others.as_slice()) {
            (false, _) => Ok(found),
            (true, []) => Err(ManifestError("there is nothing in it".to_owned())),
            (true, others) => {
                let mut kinds: Vec<&str> = NATIVE.iter().chain(CUSTOM).map(|form| form.kind).collect();
                let mut seen = BTreeSet::new();
                kinds.retain(|kind| seen.insert(*kind));
                let shown: Vec<String> =
                    others.iter().take(4).map(|kind| crate::visible::line(kind).into_owned()).collect();
                Err(ManifestError(format!(
                    "no pod in it, but {}; looked for: {}, List",
                    shown.join(", "),
                    kinds.join(", ")
                )))
            }
        }
    }

    /// The kind, and the name: `Deployment/web`.
    #[must_use]
    pub fn title(&self) -> String {
        crate::visible::line(&format!("{}/{}", self.kind, self.name)).into_owned()
    }

    /// As kubectl's command line names it, `Deployment/web -n team`; [`None`] where it gets its name from the API server only
    /// (`generateName`).
    #[must_use]
    pub fn kubectl_name(&self) -> Option<String> {
        let text = |pointer: &str| self.object.pointer(pointer).and_then(Value::as_str);
        let name = text("/metadata/name").filter(is_plain)?;
        // by its kind alone, what `OpenKruise` calls a StatefulSet would be Kubernetes' own
        let native = NATIVE.iter().any(|form| form.kind == self.kind);
        let group = text("/apiVersion").and_then(|version| version.rsplit_once('/'));
        let kind = match group.filter(|_| self.custom && native) {
            Some((group, _)) => format!("{}.{group}", self.kind),
            None => self.kind.to_owned(),
        };
        Some(format!("{kind}/{name}{}", self.in_namespace()))
    }

    /// The namespace, as kubectl's command line names it.
    fn in_namespace(&self) -> String {
        let namespace = self.object.pointer("/metadata/namespace").and_then(Value::as_str).filter(is_plain);
        namespace.map_or_else(String::new, |namespace| format!(" -n {namespace}"))
    }

    /// The namespace, that of those who name none included.
    pub(super) fn namespace(&self) -> &str {
        self.object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or("default")
    }

    /// A label of its namespace, where the manifest has that as well.
    pub(super) fn label_of_namespace(&self, name: &str) -> Option<&str> {
        self.labels.get(name)?.as_str()
    }

    /// What made the object, and undoes a change of it, as kubectl's command line names it: `ReplicaSet/web-5d -n team`.
    ///
    /// ```
    /// use bwrap_launch::kubernetes::read;
    /// let pod = read("
    /// kind: Pod
    /// metadata: { name: p, ownerReferences: [{ apiVersion: apps/v1, kind: ReplicaSet, name: r, controller: true }] }
    /// spec: { containers: [{ name: c }] }
    /// ")?;
    /// assert_eq!(pod[0].owner().as_deref(), Some("ReplicaSet.apps/r"));
    /// # Ok::<(), bwrap_launch::kubernetes::ManifestError>(())
    /// ```
    #[must_use]
    pub fn owner(&self) -> Option<String> {
        let owners = self.object.pointer("/metadata/ownerReferences")?.as_array()?;
        let owner = owners.iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)))?;
        let text = |field: &str| owner.get(field).and_then(Value::as_str);
        let group = text("apiVersion").and_then(|version| version.rsplit_once('/')).map(|(group, _)| group);
        let group = group.filter(is_plain).map_or_else(String::new, |group| format!(".{group}"));
        let kind = text("kind").filter(|kind| kind.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
        let name = text("name").filter(is_plain)?;
        Some(format!("{kind}{group}/{name}{}", self.in_namespace()))
    }

    /// Whether pods that it has made stay as they are when it is changed, until somebody deletes them.
    #[must_use]
    pub fn keeps_its_pods(&self) -> bool {
        let on_delete = || self.object.pointer("/spec/updateStrategy/type") == Some(&"OnDelete".into());
        match self.kind {
            "ReplicaSet" | "ReplicationController" => true,
            "DaemonSet" | "StatefulSet" => on_delete(),
            _ => false,
        }
    }

    /// The kind: `Deployment`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether the kind is not Kubernetes' own, but a custom resource. Neither the API server nor kustomize merges lists of these by
    /// name: they take JSON Patches, and a strategic merge patch is refused, or replaces all containers.
    #[must_use]
    pub fn is_custom(&self) -> bool {
        self.custom
    }

    /// The names of its containers, those that start it up first, and last those that debug it.
    pub fn containers(&self) -> impl Iterator<Item = &str> {
        self.listed().filter_map(|(container, _)| container.get("name")?.as_str())
    }

    /// Whether a container only starts the pod up, and ends before the others begin.
    #[must_use]
    pub fn starts_up(&self, container: &str) -> bool {
        let stays = |one: &Value| one.get("restartPolicy").and_then(Value::as_str) == Some("Always");
        self.container(container).is_some_and(|(one, list)| list == "initContainers" && !stays(one))
    }

    /// Whether a container was added to a pod that runs, to debug it (`kubectl debug`). Nobody can change it.
    #[must_use]
    pub fn is_ephemeral(&self, container: &str) -> bool {
        self.container(container).is_some_and(|(_, list)| list == EPHEMERAL)
    }

    /// The object that has the pod's metadata and specification.
    pub(super) fn pod(&self) -> &Value {
        let mut at = &self.object;
        for part in self.way {
            at = at.get(part).unwrap_or(&Value::Null);
        }
        at
    }

    pub(super) fn spec(&self) -> &Value {
        self.pod().get("spec").unwrap_or(&Value::Null)
    }

    /// A container by its name, and the list that has it.
    pub(super) fn container(&self, name: &str) -> Option<(&Value, &'static str)> {
        self.listed().find(|(container, _)| container.get("name").and_then(Value::as_str) == Some(name))
    }

    /// The same, as the error that it is if there is none.
    pub(super) fn find(&self, name: &str) -> Result<&Value> {
        self.container(name).map(|(container, _)| container).ok_or_else(|| {
            let names: Vec<&str> = self.containers().collect();
            let (title, names) = (self.title(), crate::visible::line(&names.join(", ")).into_owned());
            ManifestError(format!("{title} has no container {}, but {names}", crate::visible::line(name)))
        })
    }

    pub(super) fn listed(&self) -> impl Iterator<Item = (&Value, &'static str)> {
        LISTS.iter().flat_map(|list| {
            let all = self.spec().get(list).and_then(Value::as_array).into_iter().flatten();
            all.map(|one| (one, *list))
        })
    }

    /// A pod's specification, wrapped as this kind has it.
    pub(super) fn wrapped(&self, pod: Value) -> Value {
        self.way.iter().rev().fold(pod, |inner, part| {
            let mut outer = Map::new();
            outer.insert((*part).to_owned(), inner);
            Value::Object(outer)
        })
    }

    /// What the API server refuses, and what it would drop without a word.
    fn check(&self) -> Result<()> {
        let wrong = |what: String| ManifestError(format!("{}: {what}", self.title()));
        let spec = self.spec();
        if !spec.is_object() {
            return Err(wrong("spec is not there, or no mapping".to_owned()));
        }
        let listed = spec.get("containers").and_then(Value::as_array);
        if listed.is_none_or(Vec::is_empty) {
            return Err(wrong("spec.containers is not there, or empty".to_owned()));
        }
        let (mut at, mut shown) = (&self.object, self.kind.to_owned());
        for part in self.way.iter().filter(|_| !self.custom).map(Some).chain([None]) {
            fields::check(Place::Around, &shown, at).map_err(wrong)?;
            let Some(part) = part else { break };
            at = at.get(part).unwrap_or(&Value::Null);
            shown = format!("{shown}.{part}");
        }
        fields::check(Place::Spec, "spec", spec).map_err(wrong)?;
        let mut seen = BTreeSet::new();
        for (number, (container, _)) in self.listed().enumerate() {
            let Some(name) = container.get("name").and_then(Value::as_str) else {
                return Err(wrong(format!("container {} has no name", number + 1)));
            };
            let shown = crate::visible::line(name);
            if !is_label(name) {
                let what = "is no name of a container: those have a to z, 0 to 9 and - within, 63 at most";
                return Err(wrong(format!("{shown} {what}")));
            }
            if !seen.insert(name) {
                return Err(wrong(format!("{shown} is the name of two containers")));
            }
            fields::check(Place::Container, &format!("container {shown}"), container).map_err(wrong)?;
        }
        Ok(())
    }
}

/// The name and the labels of a namespace.
fn labels(kind: &str, object: &Value) -> Option<(String, Map<String, Value>)> {
    let name = object.pointer("/metadata/name").filter(|_| kind == "Namespace")?.as_str()?;
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object)?;
    Some((name.to_owned(), labels.clone()))
}

/// A name that may stand on a command line.
fn is_plain(name: &&str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    !name.is_empty() && !name.starts_with('-') && name.bytes().all(inside)
}

/// A label of RFC 1123.
fn is_label(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(inside)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// An object of a `PodList`, which client libraries leave without what its list says of all.
fn of_list(mut item: Value, kind: &str, version: Option<&Value>) -> Value {
    if let (Some(item), false) = (item.as_object_mut(), kind.is_empty())
        && !item.contains_key("kind")
    {
        item.insert("kind".into(), kind.into());
        if let Some(version) = version {
            item.entry("apiVersion").or_insert_with(|| version.clone());
        }
    }
    item
}
