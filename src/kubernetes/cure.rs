//! One change of a manifest that takes all out of the way that a manifest can.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::manifest::Workload;
use super::refusal::{Change, Field};
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
    /// If the workload has no container of this name, or one that is [ephemeral](Workload::is_ephemeral).
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
        if workload.is_ephemeral(container) {
            return Err(ManifestError(format!(
                "{}: {} is an ephemeral container, which nobody can change: kubectl debug adds another one",
                workload.title(),
                crate::visible::line(container)
            )));
        }
        let foretell = |workload: &Workload| {
            let all = clusters.iter().map(|cluster| cluster.foretell(workload, container, sandbox));
            all.collect::<Result<Vec<_>, _>>()
        };
        cure.forecasts = foretell(workload)?;
        // what was of no use to one of them is not tried again
        let mut undone: Vec<(Change, String)> = Vec::new();
        let mut steps = 0;
        while let (Some(cluster), true) = (clusters.first(), steps < STEPS) {
            let wanted = cure.wanted().into_iter();
            let mut wanted = wanted.filter(|(change, _)| !undone.iter().any(|(other, _)| other == change));
            let step = wanted.find_map(|(change, remedy)| {
                let fields = cure.fields(cluster, container, &change)?;
                Some((change, remedy, fields))
            });
            let Some((change, remedy, fields)) = step else { break };
            let mut changed = cure.changed.clone();
            merge(&mut changed.object, &fields, Nulls::Remove);
            let forecasts = foretell(&changed)?;
            let worse =
                cure.forecasts.iter().zip(&forecasts).find_map(|(before, after)| worse(before, after));
            if let Some(why) = worse {
                undone.push((change, why));
                continue;
            }
            cure.changed = changed;
            cure.forecasts = forecasts;
            merge(&mut cure.patch, &fields, Nulls::Stay);
            cure.remedies.extend(remedy);
            steps += 1;
        }
        cure.left = left(&cure.forecasts, &undone);
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

    /// What takes something out of the way that fields of the pod can, of each cluster, the first first.
    fn wanted(&self) -> Vec<(Change, Option<Remedy>)> {
        let mut wanted = Vec::new();
        for forecast in &self.forecasts {
            let refused = forecast.refused.iter().filter_map(|refused| refused.patch.clone());
            wanted.extend(refused.map(|change| (change, None)));
            if !matches!(forecast.answer, Answer::Fails | Answer::DependsOnNode) {
                continue;
            }
            for finding in &forecast.obstacles {
                // a later one opens more: the first is for the node, or for the line, if it is none of the pod's
                let Some(remedy) = finding.remedies.first() else { continue };
                let Action::Pod(patch) = &remedy.action else { continue };
                wanted.push((patch.clone().into(), Some(remedy.clone())));
            }
        }
        wanted
    }

    /// The fields of a change, if they are others than there are.
    fn fields(&self, cluster: &Cluster, container: &str, change: &Change) -> Option<Value> {
        let fields = wrapped(cluster, &self.changed, container, change)?;
        let mut object = self.changed.object.clone();
        merge(&mut object, &fields, Nulls::Remove);
        (object != self.changed.object).then_some(fields)
    }
}

/// Why a cluster has less of a pod than before: it refuses it, or passes over what it asks for.
fn worse(before: &Forecast, after: &Forecast) -> Option<String> {
    let refused = after.refused.iter().find(|refused| !before.refused.contains(refused))?;
    Some(format!("{}: {}", after.runtime, refused.text))
}

fn wrapped(cluster: &Cluster, workload: &Workload, container: &str, change: &Change) -> Option<Value> {
    let (found, list) = workload.container(container)?;
    Some(workload.wrapped(fields(cluster, workload, change, (found, list, container))))
}

/// A workload with a change of one of its containers.
pub(super) fn changed(
    cluster: &Cluster,
    workload: &Workload,
    container: &str,
    change: &Change,
) -> Option<Workload> {
    let fields = wrapped(cluster, workload, container, change)?;
    let mut changed = workload.clone();
    merge(&mut changed.object, &fields, Nulls::Remove);
    Some(changed)
}

/// What is left, each with what can be done; what was undone comes last, with the reason.
fn left(forecasts: &[Forecast], undone: &[(Change, String)]) -> Vec<Finding> {
    let mut left: Vec<Finding> = Vec::new();
    for finding in forecasts.iter().flat_map(|forecast| &forecast.obstacles) {
        if !left.iter().any(|other| other.cause == finding.cause) {
            left.push(finding.clone());
        }
    }
    for finding in &mut left {
        put_last(finding, |patch| {
            let undone = undone.iter().find(|(change, _)| change.is(patch));
            undone.map(|(_, why)| why.clone())
        });
    }
    left
}

/// Volumes whose filesystem the manifest does not tell.
const OF_ANY_FILESYSTEM: &[&str] = &["csi", "ephemeral", "flexVolume", "hostPath", "persistentVolumeClaim"];

/// Adds to each change that gives the pod a user namespace what it needs of the container's volumes.
pub(super) fn name_volumes(workload: &Workload, container: &Value, findings: &mut [Finding]) {
    let mounts = container.get("volumeMounts").and_then(Value::as_array).into_iter().flatten();
    let volumes = mounts.filter_map(|mount| facts::volume_of(workload, mount));
    let doubtful = volumes.filter(|volume| OF_ANY_FILESYSTEM.iter().any(|kind| volume.get(*kind).is_some()));
    let names: BTreeSet<&str> = doubtful.filter_map(|volume| volume.get("name")?.as_str()).collect();
    if names.is_empty() {
        return;
    }
    let names = names.into_iter().map(crate::visible::line).collect::<Vec<_>>().join(", ");
    for remedy in findings.iter_mut().flat_map(|finding| &mut finding.remedies) {
        if matches!(&remedy.action, Action::Pod(patch) if patch.host_users == Some(false)) {
            remedy.requires.push(format!(
                "filesystems that can be shown under other ids, as ext4, XFS and Btrfs can and NFS cannot, in the volumes {names}"
            ));
        }
    }
}

/// Puts changes of the pod last that are of no use, and says why.
pub(super) fn put_last(finding: &mut Finding, why: impl Fn(&PodPatch) -> Option<String>) {
    let remedies = std::mem::take(&mut finding.remedies);
    let (mut first, mut last): (Vec<Remedy>, Vec<Remedy>) = (Vec::new(), Vec::new());
    for mut remedy in remedies {
        let Action::Pod(patch) = &remedy.action else {
            first.push(remedy);
            continue;
        };
        match why(patch) {
            None => first.push(remedy),
            Some(why) => {
                let why = format!("that this is not so: {why}");
                if !remedy.requires.contains(&why) {
                    remedy.requires.push(why);
                }
                last.push(remedy);
            }
        }
    }
    finding.remedies = first;
    finding.remedies.extend(last);
}

/// The fields of a change, from the pod on. Lists that Kubernetes replaces are whole.
fn fields(
    cluster: &Cluster,
    workload: &Workload,
    change: &Change,
    (container, list, name): (&Value, &str, &str),
) -> Value {
    let patch = &change.set;
    let mut context = Map::new();
    if change.leave_out.contains(&Field::ProcMount) {
        context.insert("procMount".into(), Value::Null);
    }
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
            let name = capability.to_string().trim_start_matches("CAP_").to_owned();
            // what is dropped stays dropped, whoever adds it
            drop.retain(|other| facts::capability(cluster.runtime, other) != Some(*capability));
            if !add.iter().any(|other| other.eq_ignore_ascii_case(&name)) {
                add.push(name);
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
    let mut annotations = Map::new();
    if let Some(profile) = &patch.apparmor {
        let field = facts::has_apparmor_field(cluster);
        if field {
            context.insert("appArmorProfile".into(), named(profile));
        }
        // where both are, they must say the same
        if !field || facts::annotated_apparmor(workload, container).is_some() {
            let text = match profile {
                Profile::Unconfined => "unconfined".to_owned(),
                Profile::Localhost(name) => format!("localhost/{name}"),
            };
            annotations.insert(format!("{}/{name}", facts::APPARMOR), json!(text));
        }
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
    if change.leave_out.contains(&Field::HostUsers) {
        spec.insert("hostUsers".into(), Value::Null);
    }
    if changed.len() > 1 {
        spec.insert(list.to_owned(), Value::Array(vec![Value::Object(changed)]));
    }
    let mut pod = Map::new();
    if let Some(scc) = &patch.required_scc {
        annotations.insert("openshift.io/required-scc".into(), json!(scc));
    }
    if !annotations.is_empty() {
        pod.insert("metadata".into(), json!({ "annotations": annotations }));
    }
    if !spec.is_empty() || pod.is_empty() {
        pod.insert("spec".into(), Value::Object(spec));
    }
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
