//! What a manifest says of its pods, as far as it decides about sandboxes.

mod around;
mod form;
mod kubectl;
mod narrow;
mod reading;
mod status;
mod way;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::ManifestError;
use super::fields::{self, Place};
pub(super) use around::Around;
pub(super) use reading::{item_of, workloads};
pub(super) use way::Way;

/// A pod's lists of containers, in the order in which they come to run.
const LISTS: &[&str] = &["initContainers", "containers", EPHEMERAL];

/// Of debuggers: `kubectl debug` adds to it, and nobody changes what is in it.
const EPHEMERAL: &str = "ephemeralContainers";

/// A pod, or what makes pods, of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    kind: String,
    name: String,
    /// The whole object.
    pub(super) object: Arc<Value>,
    way: Way,
    custom: bool,
    /// Whether the object has other pods as well.
    several: bool,
    around: Arc<Around>,
}

type Result<T> = std::result::Result<T, ManifestError>;

impl Workload {
    /// The kind, and the name: `Deployment/web`.
    #[must_use]
    pub fn title(&self) -> String {
        // of several pods in one object each has its place
        let place =
            if self.several || self.way.is_numbered() { format!(" {}", self.way) } else { String::new() };
        crate::visible::line(&format!("{}/{}{place}", self.kind, self.name)).into_owned()
    }

    /// The namespace, that of those who name none included.
    pub(super) fn namespace(&self) -> &str {
        self.object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or("default")
    }

    /// What else of the same manifest has a say in its pods.
    pub(super) fn around(&self) -> &Around {
        &self.around
    }

    /// The kind: `Deployment`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
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
        self.container(container).is_some_and(|(one, list)| starts_up(one, list))
    }

    /// Whether a container was added to a pod that runs, to debug it (`kubectl debug`). Nobody can change it.
    #[must_use]
    pub fn is_ephemeral(&self, container: &str) -> bool {
        self.container(container).is_some_and(|(_, list)| list == EPHEMERAL)
    }

    /// The object that has the pod's metadata and specification.
    pub(super) fn pod(&self) -> &Value {
        self.way.of(&self.object).unwrap_or(&Value::Null)
    }

    pub(super) fn pod_mut(&mut self) -> Option<&mut Value> {
        self.way.of_mut(Arc::make_mut(&mut self.object))
    }

    /// Where the pod is in the object.
    pub(super) fn way(&self) -> &Way {
        &self.way
    }

    /// Where the pod's specification stands, as people write it: `spec.jobTemplate.spec.template.spec`.
    pub(super) fn place(&self) -> String {
        if self.way.is_here() { "spec".to_owned() } else { format!("{}.spec", self.way) }
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

    /// The pod's volumes, by name.
    pub(super) fn volumes(&self) -> HashMap<&Value, &Value> {
        let all = self.spec().get("volumes").and_then(Value::as_array).into_iter().flatten();
        // of two of one name the first counts
        all.rev().filter_map(|volume| Some((volume.get("name")?, volume))).collect()
    }

    /// Those that any of its containers mounts, in the order of the pod.
    pub(super) fn mounted(&self) -> Vec<&Value> {
        let mounts = self.listed().flat_map(|(container, _)| mounts_of(container));
        let names: HashSet<&Value> = mounts.filter_map(|mount| mount.get("name")).collect();
        let all = self.spec().get("volumes").and_then(Value::as_array).into_iter().flatten();
        all.filter(|volume| volume.get("name").is_some_and(|name| names.contains(name))).collect()
    }

    /// What a volume is: of a claim what it is bound to, where the manifest has that as well.
    pub(super) fn source<'a>(&'a self, volume: &'a Value) -> &'a Value {
        let claim = volume.pointer("/persistentVolumeClaim/claimName").and_then(Value::as_str);
        claim.and_then(|claim| self.around.volume(self.namespace(), claim)).unwrap_or(volume)
    }

    /// What the API server refuses, and what it would drop without a word.
    fn check(&self) -> Result<()> {
        let wrong = |what: String| ManifestError(format!("{}: {what}", self.title()));
        let spec = self.spec();
        let place = self.place();
        if !spec.is_object() {
            return Err(wrong(format!("the pod's {place} is not there, or no mapping{OF_A_PATCH}")));
        }
        let listed = spec.get("containers").and_then(Value::as_array);
        if listed.is_none_or(Vec::is_empty) {
            let containers = spec.get("containers");
            return Err(wrong(match (containers, spec.get("container")) {
                (Some(Value::Array(_)), _) => format!("{place}.containers is empty"),
                (Some(value), _) if !value.is_null() => {
                    format!("{place}.containers is no list: each container begins with `- name: `")
                }
                (_, Some(_)) => format!("{place} has no field container: containers is meant, a list"),
                _ => format!("{place}.containers is not there{OF_A_PATCH}"),
            }));
        }
        let around = if self.custom { Vec::new() } else { self.way.steps(&self.object) };
        let mut shown = self.kind.clone();
        for (part, object) in around {
            fields::check(Place::Around, &shown, object).map_err(wrong)?;
            shown = format!("{shown}.{part}");
        }
        if !self.custom {
            fields::check(Place::Around, &shown, self.pod()).map_err(wrong)?;
        }
        fields::check(Place::Spec, &place, spec).map_err(wrong)?;
        if !self.custom && !self.is_part() {
            fields::check_siblings(&self.kind, self.way.is_here(), &self.object, &place, spec)
                .map_err(wrong)?;
        }
        let mut seen = BTreeSet::new();
        for (number, (container, _)) in self.listed().enumerate() {
            let Some(name) = container.get("name").and_then(Value::as_str) else {
                return Err(wrong(format!("container {} has no name", number + 1)));
            };
            let shown = crate::visible::line(name);
            // the place of the job's container in the template of Actions Runner Controller's hooks
            let template = name == "$job" && self.object.get("kind").is_none_or(|kind| kind == "PodTemplate");
            if !is_label(name) && name.contains('$') && !template {
                return Err(wrong(format!("{shown} is a variable: {}", fields::ENVSUBST)));
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

/// Whether a container of this list ends before the others begin.
pub(super) fn starts_up(container: &Value, list: &str) -> bool {
    let stays = container.get("restartPolicy").and_then(Value::as_str) == Some("Always");
    list == "initContainers" && !stays
}

/// Where a container mounts volumes.
pub(super) fn mounts_of(container: &Value) -> impl Iterator<Item = &Value> {
    container.get("volumeMounts").and_then(Value::as_array).into_iter().flatten()
}

/// A label of RFC 1123.
fn is_label(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(inside)
        && !name.starts_with('-')
        && !name.ends_with('-')
}
