//! A job that asks a cluster itself.

use serde_json::{Map, Value, json};

use super::facts::{APPARMOR, volumes_of};
use super::manifest::Workload;
use super::refusal::is_for_windows;
use super::{ManifestError, yaml};

/// What of a pod decides where it runs, and as what.
const KEPT: &[&str] = &[
    "affinity",
    "automountServiceAccountToken",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostUsers",
    "imagePullSecrets",
    "nodeName",
    "nodeSelector",
    "os",
    "priorityClassName",
    "resources",
    "runtimeClassName",
    "schedulerName",
    "securityContext",
    "serviceAccountName",
    "tolerations",
];

/// Volumes that somebody else may hold.
const CLAIMS: &[&str] = &["persistentVolumeClaim", "ephemeral"];

/// A Job, as YAML, that runs `bwrap-doctor check` with the security settings of a container, on the same nodes: its log says the
/// answer, and it completes if sandboxes start. `bwrap-doctor` must be in the image.
///
/// ```
/// use bwrap_launch::kubernetes::{probe, read};
/// let workloads = read("{ kind: Pod, metadata: { name: p }, spec: { hostUsers: false, containers: [{ name: c, image: i }] } }")?;
/// let job = probe(&workloads[0], "c", &[])?;
/// assert!(job.contains("kind: Job") && job.contains("hostUsers: false") && job.contains("- check"));
/// # Ok::<(), bwrap_launch::kubernetes::ManifestError>(())
/// ```
///
/// # Errors
///
/// If the workload has no container of this name, and if it is for Windows, where there is no bwrap to try.
pub fn probe(workload: &Workload, container: &str, line: &[String]) -> Result<String, ManifestError> {
    let found = workload.find(container)?;
    if is_for_windows(workload) {
        return Err(ManifestError(format!(
            "{}: there is nothing to try, for the pod is for Windows, where there is no bwrap",
            workload.title()
        )));
    }
    // the place of a job's container in a template has no name yet that a cluster takes
    let name = container.trim_start_matches('$');
    let mut command = vec!["bwrap-doctor".to_owned(), "check".to_owned()];
    if !line.is_empty() {
        command.push("--".to_owned());
        command.extend_from_slice(line);
    }
    let mut asks = Map::new();
    for field in ["image", "imagePullPolicy", "resources", "securityContext"] {
        if let Some(value) = found.get(field) {
            asks.insert(field.to_owned(), value.clone());
        }
    }
    asks.insert("name".into(), json!(name));
    asks.insert("command".into(), json!(command));
    let (volumes, mounts) = shared(workload, found);
    if !mounts.is_empty() {
        asks.insert("volumeMounts".into(), Value::Array(mounts));
    }
    let mut spec = Map::new();
    if !volumes.is_empty() {
        spec.insert("volumes".into(), Value::Array(volumes));
    }
    for field in KEPT {
        if let Some(value) = workload.spec().get(*field) {
            spec.insert((*field).to_owned(), value.clone());
        }
    }
    spec.insert("restartPolicy".into(), json!("Never"));
    spec.insert("containers".into(), json!([asks]));
    let mut template = json!({ "spec": spec });
    // AppArmor's profile may be named there
    if let (Some(template), Some(annotations)) =
        (template.as_object_mut(), workload.pod().pointer("/metadata/annotations").and_then(Value::as_object))
    {
        let others = |name: &str| {
            let of = name.strip_prefix(APPARMOR).and_then(|rest| rest.strip_prefix('/'));
            of.is_some_and(|of| of != container)
        };
        // a job with a sidecar never ends
        let kept = annotations.iter().filter(|(name, _)| !others(name) && !name.starts_with("sidecar."));
        let kept: Map<String, Value> = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        if !kept.is_empty() {
            template.insert("metadata".into(), json!({ "annotations": kept }));
        }
    }
    let mut metadata = json!({ "generateName": "bwrap-doctor-" });
    if let (Some(metadata), Some(namespace)) =
        (metadata.as_object_mut(), workload.object.pointer("/metadata/namespace"))
    {
        metadata.insert("namespace".into(), namespace.clone());
    }
    let job: Value = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": { "backoffLimit": 0, "ttlSecondsAfterFinished": 3600, "template": template },
    });
    let mut text = String::new();
    yaml::written(&job, 0, &mut text);
    Ok(text)
}

/// The volumes that a container mounts, and where; without those that one pod at a time may have, which would wait for the other.
fn shared(workload: &Workload, container: &Value) -> (Vec<Value>, Vec<Value>) {
    let (mut volumes, mut mounts) = (Vec::new(), Vec::new());
    for (mount, volume) in volumes_of(workload, container) {
        if CLAIMS.iter().any(|field| volume.get(*field).is_some()) {
            continue;
        }
        mounts.push(mount.clone());
        if !volumes.contains(volume) {
            volumes.push(volume.clone());
        }
    }
    (volumes, mounts)
}
