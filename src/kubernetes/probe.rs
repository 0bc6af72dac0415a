//! A job that asks a cluster itself.

use serde_json::{Map, Value, json};

use super::manifest::Workload;
use super::{ManifestError, yaml};

/// What of a pod decides where it runs, and as what.
const KEPT: &[&str] = &[
    "affinity",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostUsers",
    "imagePullSecrets",
    "nodeName",
    "nodeSelector",
    "runtimeClassName",
    "securityContext",
    "serviceAccountName",
    "tolerations",
];

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
/// If the workload has no container of this name.
pub fn probe(workload: &Workload, container: &str, line: &[String]) -> Result<String, ManifestError> {
    let found = workload.find(container)?;
    let mut command = vec!["bwrap-doctor".to_owned(), "check".to_owned()];
    if !line.is_empty() {
        command.push("--".to_owned());
        command.extend_from_slice(line);
    }
    let mut asks = Map::new();
    for field in ["image", "imagePullPolicy", "securityContext"] {
        if let Some(value) = found.get(field) {
            asks.insert(field.to_owned(), value.clone());
        }
    }
    asks.insert("name".into(), json!(container));
    asks.insert("command".into(), json!(command));
    let mut spec = Map::new();
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
        (template.as_object_mut(), workload.pod().pointer("/metadata/annotations"))
    {
        template.insert("metadata".into(), json!({ "annotations": annotations }));
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
