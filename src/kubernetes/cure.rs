//! One change of a manifest that takes all out of the way that a manifest can.

use serde_json::{Map, Value, json};

use super::manifest::Workload;
use super::{Answer, Cluster, Forecast, ManifestError, facts, yaml};
use crate::diagnosis::{Action, Finding, PodPatch, Profile, Remedy};
use crate::sandbox::Sandbox;

/// So many changes after one another are merged; no pod takes more.
const STEPS: usize = 12;

/// What makes a sandbox start in a container of a workload, merged into one change.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::kubernetes::{Cluster, Cure, Runtime, read};
/// let workloads = read("{ kind: Pod, metadata: { name: p }, spec: { containers: [{ name: c }] } }")?;
/// let sandbox = Sandbox::new().ro_bind("/usr", "/usr").proc("/proc").unshare_all();
/// let cure = Cure::of(&[Cluster::new(Runtime::Containerd)], &workloads[0], "c", &sandbox)?;
/// assert!(cure.patch().contains("procMount: Unmasked"));
/// assert!(cure.left.is_empty());
/// // applied once, nothing else is left to change
/// let again = Cure::of(&[Cluster::new(Runtime::Containerd)], &cure.changed, "c", &sandbox)?;
/// assert!(again.is_empty());
/// # Ok::<(), bwrap_launch::kubernetes::ManifestError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Cure {
    /// The object as it was read.
    pub(super) before: Value,
    /// The fields to change, as a strategic merge patch.
    pub(super) patch: Value,
    /// The workload with the change.
    pub changed: Workload,
    /// The remedies that were merged, with their prices, needs and files.
    pub remedies: Vec<Remedy>,
    /// What it comes to with each of the clusters, in their order, with the change.
    pub forecasts: Vec<Forecast>,
    /// What no field of a pod takes away, each with its own remedies: for the node's owner, or for the author of the line.
    pub left: Vec<Finding>,
}

impl Cure {
    /// Finds what to change so that the sandbox starts with each of these.
    ///
    /// # Errors
    ///
    /// If the workload has no container of this name.
    pub fn of(
        clusters: &[Cluster],
        workload: &Workload,
        container: &str,
        sandbox: &Sandbox,
    ) -> Result<Self, ManifestError> {
        let mut cure = Self {
            before: workload.object.clone(),
            patch: Value::Object(Map::new()),
            changed: workload.clone(),
            remedies: Vec::new(),
            forecasts: Vec::new(),
            left: Vec::new(),
        };
        for step in 0..=STEPS {
            let forecasts =
                clusters.iter().map(|cluster| cluster.foretell(&cure.changed, container, sandbox));
            cure.forecasts = forecasts.collect::<Result<_, _>>()?;
            let forecasts = cure.forecasts.clone();
            if step == STEPS || !forecasts.iter().any(|forecast| cure.step(forecast, container)) {
                cure.left = left(forecasts);
                break;
            }
        }
        Ok(cure)
    }

    /// Whether nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patch.as_object().is_none_or(Map::is_empty)
    }

    /// The change as YAML, for `kubectl patch --type strategic`.
    #[must_use]
    pub fn patch(&self) -> String {
        let mut text = String::new();
        yaml::written(&self.patch, 0, &mut text);
        text
    }

    /// The whole object with the change, as YAML.
    #[must_use]
    pub fn manifest(&self) -> String {
        let mut text = String::new();
        yaml::written(&self.changed.object, 0, &mut text);
        text
    }

    /// Takes the first thing out of the way that fields of the pod can; whether there was one.
    fn step(&mut self, forecast: &Forecast, container: &str) -> bool {
        if let Some(patch) = forecast.refused.iter().find_map(|refused| refused.patch.as_ref()) {
            return self.take(patch, container);
        }
        if !matches!(forecast.answer, Answer::Fails | Answer::DependsOnNode) {
            return false;
        }
        for finding in &forecast.obstacles {
            // a later one opens more: the first is for the node, or for the line, if it is none of the pod's
            let Some(remedy) = finding.remedies.first() else { continue };
            let Action::Pod(patch) = &remedy.action else { continue };
            if self.take(patch, container) {
                self.remedies.push(remedy.clone());
                return true;
            }
        }
        false
    }

    /// Whether that changed anything.
    fn take(&mut self, patch: &PodPatch, container: &str) -> bool {
        let Some((found, start)) = self.changed.container(container) else { return false };
        let fields = fields(patch, found, if start { "initContainers" } else { "containers" }, container);
        let wrapped = self.changed.wrapped(fields);
        let mut object = self.changed.object.clone();
        merge(&mut object, &wrapped, Nulls::Remove);
        if object == self.changed.object {
            return false;
        }
        self.changed.object = object;
        merge(&mut self.patch, &wrapped, Nulls::Stay);
        true
    }
}

fn left(forecasts: Vec<Forecast>) -> Vec<Finding> {
    let mut left: Vec<Finding> = Vec::new();
    for finding in forecasts.into_iter().flat_map(|forecast| forecast.obstacles) {
        if !left.iter().any(|other| other.cause == finding.cause) {
            left.push(finding);
        }
    }
    left
}

/// The fields of a change, from the pod on. Lists that Kubernetes replaces are whole.
fn fields(patch: &PodPatch, container: &Value, list: &str, name: &str) -> Value {
    let mut context = Map::new();
    if let Some(user) = patch.run_as_user {
        context.insert("runAsUser".into(), json!(user));
        context.insert("runAsNonRoot".into(), json!(user != 0));
    }
    if patch.unmasked_proc {
        context.insert("procMount".into(), json!("Unmasked"));
    }
    if !patch.add_capabilities.is_empty() {
        let listed = |list: &str| {
            let words = container.pointer(&format!("/securityContext/capabilities/{list}"));
            let words = words.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        let (mut add, mut drop) = (listed("add"), listed("drop"));
        for capability in &patch.add_capabilities {
            let is_it = |name: &String| facts::capability(name) == Some(*capability);
            // what is dropped stays dropped, whoever adds it
            drop.retain(|other| !is_it(other));
            if !add.iter().any(is_it) {
                add.push(capability.to_string().trim_start_matches("CAP_").to_owned());
            }
        }
        let mut both = json!({ "add": add });
        if let (Some(both), true) = (both.as_object_mut(), !listed("drop").is_empty()) {
            both.insert("drop".into(), json!(drop));
        }
        context.insert("capabilities".into(), both);
    }
    if let Some(profile) = &patch.seccomp {
        context.insert("seccompProfile".into(), named(profile));
    }
    if let Some(profile) = &patch.apparmor {
        context.insert("appArmorProfile".into(), named(profile));
    }
    if let Some(kind) = &patch.selinux_type {
        context.insert("seLinuxOptions".into(), json!({ "type": kind }));
    }
    let mut changed = Map::new();
    changed.insert("name".into(), json!(name));
    let mut spec = Map::new();
    if !context.is_empty() {
        changed.insert("securityContext".into(), Value::Object(context));
    }
    if let Some(path) = &patch.empty_dir {
        changed.insert(
            "volumeMounts".into(),
            json!([{ "mountPath": path.to_string_lossy(), "name": "bwrap-tmp" }]),
        );
        spec.insert("volumes".into(), json!([{ "name": "bwrap-tmp", "emptyDir": {} }]));
    }
    if let Some(users) = patch.host_users {
        spec.insert("hostUsers".into(), json!(users));
    }
    if changed.len() > 1 {
        spec.insert(list.to_owned(), Value::Array(vec![Value::Object(changed)]));
    }
    let mut pod = Map::new();
    if let Some(scc) = &patch.required_scc {
        pod.insert("metadata".into(), json!({ "annotations": { "openshift.io/required-scc": scc } }));
    }
    pod.insert("spec".into(), Value::Object(spec));
    Value::Object(pod)
}

fn named(profile: &Profile) -> Value {
    match profile {
        Profile::Unconfined => json!({ "type": "Unconfined", "localhostProfile": null }),
        Profile::Localhost(name) => json!({ "type": "Localhost", "localhostProfile": name }),
    }
}

/// Lists that are merged, by what tells their members apart; others are replaced.
const MERGED: &[(&str, &str)] =
    &[("containers", "name"), ("initContainers", "name"), ("volumes", "name"), ("volumeMounts", "mountPath")];

/// What a null of a patch does.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Nulls {
    /// It removes a field of an object.
    Remove,
    /// It goes on into a patch that is made of several.
    Stay,
}

/// Merges a patch as the API server does (strategic merge, for these fields).
pub(super) fn merge(object: &mut Value, patch: &Value, nulls: Nulls) {
    let Value::Object(patch) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Some(object) = object.as_object_mut() else { return };
    for (name, value) in patch {
        let key = MERGED.iter().find(|(list, _)| list == name).map(|(_, key)| *key);
        match (value, key) {
            (Value::Null, _) if nulls == Nulls::Remove => {
                object.remove(name);
            }
            (Value::Array(more), Some(key)) => {
                let list = object.entry(name.clone()).or_insert_with(|| json!([]));
                let Some(list) = list.as_array_mut() else { continue };
                for one in more {
                    match list.iter_mut().find(|other| other.get(key) == one.get(key)) {
                        Some(other) => merge(other, one, nulls),
                        None => list.push(one.clone()),
                    }
                }
            }
            _ => merge(object.entry(name.clone()).or_insert(Value::Null), value, nulls),
        }
    }
}
