//! What a manifest says of its pods, as far as it decides about sandboxes.

use serde_json::{Map, Value};

use super::ManifestError;

/// More containers than that are in no file that anybody means.
const CONTAINERS: usize = 1000;

/// Where each kind has its pod.
const KINDS: &[(&str, &[&str])] = &[
    ("Pod", &[]),
    ("PodTemplate", &["template"]),
    ("Deployment", &["spec", "template"]),
    ("StatefulSet", &["spec", "template"]),
    ("DaemonSet", &["spec", "template"]),
    ("ReplicaSet", &["spec", "template"]),
    ("ReplicationController", &["spec", "template"]),
    ("Job", &["spec", "template"]),
    ("CronJob", &["spec", "jobTemplate", "spec", "template"]),
    ("AutoscalingRunnerSet", &["spec", "template"]),
    ("Rollout", &["spec", "template"]),
];

/// Those of them that are not Kubernetes' own: of Actions Runner Controller, and of Argo.
const CUSTOM: &[&str] = &["AutoscalingRunnerSet", "Rollout"];

/// A pod, or what makes pods, of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    kind: &'static str,
    name: String,
    /// The whole object.
    pub(super) object: Value,
    way: &'static [&'static str],
}

type Result<T> = std::result::Result<T, ManifestError>;

impl Workload {
    /// Every workload of these documents; what is none, a Service say, is passed over.
    pub(super) fn all(documents: Vec<Value>) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        let mut others: Vec<String> = Vec::new();
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
            if let (true, Some(Value::Array(items))) = (kind.ends_with("List"), document.get_mut("items")) {
                rest.extend(std::mem::take(items).into_iter().rev());
                continue;
            }
            let Some((kind, way)) = KINDS.iter().find(|(name, _)| *name == kind) else {
                if !others.contains(&kind) {
                    others.push(kind);
                }
                continue;
            };
            let name = ["name", "generateName"]
                .iter()
                .find_map(|key| document.pointer(&format!("/metadata/{key}"))?.as_str());
            let name = name.unwrap_or("(no name)").to_owned();
            let workload = Self { kind, name, object: document, way };
            containers += workload.listed().count();
            if containers > CONTAINERS {
                return Err(ManifestError(format!("more than {CONTAINERS} containers")));
            }
            workload.check()?;
            found.push(workload);
        }
        match (found.is_empty(), others.as_slice()) {
            (false, _) => Ok(found),
            (true, []) => Err(ManifestError("there is nothing in it".to_owned())),
            (true, others) => {
                let kinds: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
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

    /// The kind: `Deployment`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether the kind is not Kubernetes' own, but a custom resource. Neither the API server nor kustomize merges lists of these by
    /// name: they take JSON Patches, and a strategic merge patch is refused, or replaces all containers.
    #[must_use]
    pub fn is_custom(&self) -> bool {
        CUSTOM.contains(&self.kind)
    }

    /// The names of its containers, those that start it up first.
    pub fn containers(&self) -> impl Iterator<Item = &str> {
        self.listed().filter_map(|(container, _)| container.get("name")?.as_str())
    }

    /// Whether a container only starts the pod up, and ends before the others begin.
    #[must_use]
    pub fn starts_up(&self, container: &str) -> bool {
        let stays = |one: &Value| one.get("restartPolicy").and_then(Value::as_str) == Some("Always");
        self.container(container).is_some_and(|(one, start)| start && !stays(one))
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

    /// A container by its name, and whether it only starts the pod up.
    pub(super) fn container(&self, name: &str) -> Option<(&Value, bool)> {
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

    pub(super) fn listed(&self) -> impl Iterator<Item = (&Value, bool)> {
        let of = |list: &str| self.spec().get(list).and_then(Value::as_array).into_iter().flatten();
        of("initContainers").map(|one| (one, true)).chain(of("containers").map(|one| (one, false)))
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
        let at = |path: &str, what: &str| Err(ManifestError(format!("{}: {path} {what}", self.title())));
        let spec = self.spec();
        if !spec.is_object() {
            return at("spec", "is not there, or no mapping");
        }
        let listed = spec.get("containers").and_then(Value::as_array);
        if listed.is_none_or(Vec::is_empty) {
            return at("spec.containers", "is not there, or empty");
        }
        fields("spec", spec, SPEC, false).or_else(|what| at("", &what))?;
        let context = |place: &str, of: &Value| match of.get("securityContext") {
            None | Some(Value::Null) => Ok(()),
            Some(context) => fields(&format!("{place}.securityContext"), context, CONTEXT, true),
        };
        context("spec", spec).or_else(|what| at("", &what))?;
        let mut seen = Vec::new();
        for (number, (container, _)) in self.listed().enumerate() {
            let Some(name) = container.get("name").and_then(Value::as_str) else {
                return at(&format!("container {}", number + 1), "has no name");
            };
            if name.contains(crate::visible::is_hidden) {
                return at(
                    &crate::visible::line(name),
                    "is no name of a container: those have a to z, 0 to 9 and -",
                );
            }
            if seen.contains(&name) {
                return at(&crate::visible::line(name), "is the name of two containers");
            }
            seen.push(name);
            let place = format!("container {}", crate::visible::line(name));
            context(&place, container).or_else(|what| at("", &what))?;
        }
        Ok(())
    }
}

/// What a field holds.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Truth,
    Number,
    Text,
    Object,
    Any,
}

/// Fields of a pod's specification that decide.
const SPEC: &[(&str, Kind)] = &[
    ("hostUsers", Kind::Truth),
    ("hostNetwork", Kind::Truth),
    ("hostPID", Kind::Truth),
    ("hostIPC", Kind::Truth),
    ("securityContext", Kind::Object),
    ("runtimeClassName", Kind::Text),
];

/// All fields of a security context, of a pod's and of a container's.
const CONTEXT: &[(&str, Kind)] = &[
    ("allowPrivilegeEscalation", Kind::Truth),
    ("appArmorProfile", Kind::Object),
    ("capabilities", Kind::Object),
    ("fsGroup", Kind::Number),
    ("fsGroupChangePolicy", Kind::Text),
    ("privileged", Kind::Truth),
    ("procMount", Kind::Text),
    ("readOnlyRootFilesystem", Kind::Truth),
    ("runAsGroup", Kind::Number),
    ("runAsNonRoot", Kind::Truth),
    ("runAsUser", Kind::Number),
    ("seLinuxChangePolicy", Kind::Text),
    ("seLinuxOptions", Kind::Object),
    ("seccompProfile", Kind::Object),
    ("supplementalGroups", Kind::Any),
    ("supplementalGroupsPolicy", Kind::Text),
    ("sysctls", Kind::Any),
    ("windowsOptions", Kind::Object),
];

/// Whether fields have the kind of value that they must have, and whether there are others: `all` of them are known, or those
/// that are not can be meant for one of these all the same.
fn fields(place: &str, object: &Value, known: &[(&str, Kind)], all: bool) -> std::result::Result<(), String> {
    let Some(object) = object.as_object() else { return Err(format!("{place} is no mapping")) };
    for (name, value) in object {
        let shown = crate::visible::line(name);
        let Some((_, kind)) = known.iter().find(|(field, _)| field == name) else {
            let meant = known.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
            match meant {
                Some((field, _)) => return Err(format!("{place} has no field {shown}: {field} is meant")),
                None if all => return Err(format!("{place} has no field {shown}")),
                None => continue,
            }
        };
        let (fits, what) = match kind {
            _ if value.is_null() => continue,
            Kind::Truth => (value.is_boolean(), "true or false"),
            Kind::Number => {
                (value.as_i64().is_some_and(|id| (0..=i64::from(i32::MAX)).contains(&id)), "an id")
            }
            Kind::Text => (value.is_string(), "a text"),
            Kind::Object => (value.is_object(), "a mapping"),
            Kind::Any => continue,
        };
        if !fits {
            let value: String = crate::visible::line(&value.to_string()).chars().take(40).collect();
            return Err(format!("{place}.{name} must be {what}, and is {value}"));
        }
    }
    Ok(())
}
