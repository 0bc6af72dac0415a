//! A change of the fields of a pod, made into what is merged with its manifest.

use serde_json::{Map, Value, json};

use super::manifest::Workload;
use super::{Cluster, facts};
use crate::diagnosis::{PodPatch, Profile};

/// What is to be said in a pod, or not any more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Change {
    pub(super) set: PodPatch,
    pub(super) leave_out: &'static [Field],
    /// Whether capabilities are called as Kubernetes calls them, in each container.
    pub(super) rename: bool,
    /// The pod's own user, which is that of its sandbox.
    pub(super) user_of_pod: Option<u32>,
}

impl Change {
    /// Whether it is this one, and nothing else.
    pub(super) fn is(&self, patch: &PodPatch) -> bool {
        *self == patch.clone().into()
    }
}

/// A field that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    HostUsers,
    ProcMount,
}

impl From<PodPatch> for Change {
    fn from(set: PodPatch) -> Self {
        Self { set, ..Self::default() }
    }
}

impl From<&'static [Field]> for Change {
    fn from(fields: &'static [Field]) -> Self {
        Self { leave_out: fields, ..Self::default() }
    }
}

/// The fields of a change, from the pod on.
pub(super) fn of_pod(
    cluster: &Cluster,
    workload: &Workload,
    container: &str,
    change: &Change,
) -> Option<Value> {
    if change.rename {
        return Some(renamed(workload));
    }
    let (found, list) = workload.container(container)?;
    Some(fields(cluster, workload, change, (found, list, container)))
}

/// The fields of all containers whose capabilities have other names than Kubernetes'.
fn renamed(workload: &Workload) -> Value {
    let mut spec = Map::new();
    for (container, list) in workload.listed() {
        let Some(both) = container.pointer("/securityContext/capabilities").and_then(Value::as_object) else {
            continue;
        };
        let mut new = both.clone();
        for names in new.values_mut().filter_map(Value::as_array_mut) {
            for name in names {
                if let Some(right) = name.as_str().and_then(facts::kubernetes_name) {
                    *name = json!(right);
                }
            }
        }
        if new != *both {
            let fields = json!({ "name": container.get("name"), "securityContext": { "capabilities": new } });
            let entry = spec.entry(list.to_owned()).or_insert_with(|| json!([]));
            entry.as_array_mut().into_iter().for_each(|all| all.push(fields.clone()));
        }
    }
    json!({ "spec": spec })
}

/// A workload with a change of one of its containers.
pub(super) fn changed(
    cluster: &Cluster,
    workload: &Workload,
    container: &str,
    change: &Change,
) -> Option<Workload> {
    let fields = of_pod(cluster, workload, container, change)?;
    Some(with(workload, &fields))
}

/// A workload with these fields of its pod.
pub(super) fn with(workload: &Workload, fields: &Value) -> Workload {
    let mut changed = workload.clone();
    if let Some(pod) = changed.pod_mut() {
        merge(pod, fields, Nulls::Remove);
    }
    changed
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
    if let Some(user) = change.user_of_pod {
        spec.insert("securityContext".into(), json!({ "runAsUser": user }));
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
