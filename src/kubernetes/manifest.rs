//! What a manifest says of its pods, as far as it decides about sandboxes.

mod form;
mod kubectl;

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::ManifestError;
use super::fields::{self, Place};
use super::strangers;
use form::{CUSTOM, Form, NATIVE, group_of};

/// More containers than that are in no file that anybody means.
const CONTAINERS: usize = 1000;

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
    pub(super) fn all(documents: Vec<Value>, lines: impl FnOnce() -> Vec<usize>) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        let mut others: Vec<String> = Vec::new();
        let mut hints: Vec<String> = Vec::new();
        let mut namespaces: HashMap<String, Map<String, Value>> = HashMap::new();
        let mut containers = 0;
        let several = documents.len() > 1;
        let mut rest: Vec<(usize, Value)> = documents.into_iter().enumerate().rev().collect();
        while let Some((number, mut document)) = rest.pop() {
            let kind = match document.get("kind") {
                Some(Value::String(kind)) => kind.clone(),
                // as Jenkins and the hooks of Actions Runner Controller have pods
                None if document.pointer("/spec/containers").is_some_and(Value::is_array) => "Pod".to_owned(),
                _ => {
                    let line = lines().get(number).map_or_else(String::new, |line| format!(" (line {line})"));
                    return Err(ManifestError(format!(
                        "no manifest: document {}{line} has no kind (of a Helm chart, judge what it makes: helm template CHART | \
                         bwrap-doctor pod -)",
                        number + 1
                    )));
                }
            };
            if let Some(wrong) = Form::misspelt(&kind, &document) {
                return Err(ManifestError(wrong));
            }
            if let (Some(of), true) = (kind.strip_suffix("List"), Form::of(&kind, &document).is_none()) {
                let version = document.get("apiVersion").cloned();
                if let Some(Value::Array(items)) = document.get_mut("items") {
                    let items = std::mem::take(items).into_iter().rev();
                    rest.extend(items.map(|item| (number, of_list(item, of, version.as_ref()))));
                }
                continue;
            }
            let Some((form, custom)) = Form::of(&kind, &document) else {
                namespaces.extend(labels(&kind, &document));
                let (group, _) = group_of(&document).unwrap_or_default();
                hints.extend(strangers::kind(&kind, group).map(|hint| format!("{kind}: {hint}")));
                if !others.contains(&kind) {
                    others.push(kind);
                }
                continue;
            };
            let name = ["name", "generateName"]
                .iter()
                .find_map(|key| document.pointer(&format!("/metadata/{key}"))?.as_str());
            let name = name.unwrap_or("(no name)").to_owned();
            // the template of Actions Runner Controller's hooks is called so, and is a pod
            let hooks = form.kind == "PodTemplate" && document.pointer("/spec/containers").is_some();
            let way = if hooks { &[] } else { form.way };
            let workload = Self { kind: form.kind, name, object: document, way, custom, labels: Map::new() };
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
            if let Err(ManifestError(what)) = workload.check() {
                let line = lines().get(number).map_or_else(String::new, |line| format!(", line {line}"));
                let place = if several { format!(" (document {}{line})", number + 1) } else { String::new() };
                return Err(ManifestError(format!("{what}{place}")));
            }
            found.push(workload);
        }
        for workload in &mut found {
            workload.labels = namespaces.get(workload.namespace()).cloned().unwrap_or_default();
        }
        match (found.is_empty(), others.as_slice()) {
            (false, _) => Ok(found),
            (true, []) => Err(ManifestError("there is nothing in it".to_owned())),
            (true, others) => {
                if let Some(hint) = hints.first() {
                    return Err(ManifestError(format!(
                        "no pod in it, but {hint}; or judge the pod that comes of it: kubectl get pod NAME -o yaml | bwrap-doctor pod -"
                    )));
                }
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

    /// The namespace, that of those who name none included.
    pub(super) fn namespace(&self) -> &str {
        self.object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or("default")
    }

    /// A label of its namespace, where the manifest has that as well.
    pub(super) fn label_of_namespace(&self, name: &str) -> Option<&str> {
        self.labels.get(name)?.as_str()
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
            return Err(wrong(format!("the pod's spec is not there, or no mapping{OF_A_PATCH}")));
        }
        let listed = spec.get("containers").and_then(Value::as_array);
        if listed.is_none_or(Vec::is_empty) {
            let containers = spec.get("containers");
            return Err(wrong(match (containers, spec.get("container")) {
                (Some(Value::Array(_)), _) => "spec.containers is empty".to_owned(),
                (Some(value), _) if !value.is_null() => {
                    "spec.containers is no list: each container begins with `- name: `".to_owned()
                }
                (_, Some(_)) => "spec has no field container: containers is meant, a list".to_owned(),
                _ => format!("spec.containers is not there{OF_A_PATCH}"),
            }));
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
            // the place of the job's container in the template of Actions Runner Controller's hooks
            let template = name == "$job" && self.object.get("kind").is_none_or(|kind| kind == "PodTemplate");
            if !is_label(name) && name.contains('$') && !template {
                let what =
                    "is a variable: judge what comes of it, as with `envsubst <FILE | bwrap-doctor pod -`";
                return Err(wrong(format!("{shown} {what}")));
            }
            if !is_label(name) && !template {
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

/// What is said where fields are changed of a pod that is not there.
const OF_A_PATCH: &str =
    " (of a patch, judge what it makes: kubectl kustomize DIRECTORY | bwrap-doctor pod -)";

/// The name and the labels of a namespace.
fn labels(kind: &str, object: &Value) -> Option<(String, Map<String, Value>)> {
    let name = object.pointer("/metadata/name").filter(|_| kind == "Namespace")?.as_str();
    let name = name.filter(|name| is_label(name))?;
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object)?;
    Some((name.to_owned(), labels.clone()))
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
