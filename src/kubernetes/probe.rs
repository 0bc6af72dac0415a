//! A job that asks a cluster itself.

use serde_json::{Map, Value, json};

use super::facts::{APPARMOR, Nodes, nodes, volumes_of};
use super::manifest::{Workload, starts_up};
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
    "resourceClaims",
    "resources",
    "runtimeClassName",
    "schedulerName",
    "securityContext",
    "serviceAccount",
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
        command.extend(line.iter().map(|word| as_is(word)));
    }
    let mut asks = Map::new();
    for field in ["env", "envFrom", "image", "imagePullPolicy", "resources", "securityContext"] {
        if let Some(value) = found.get(field) {
            asks.insert(field.to_owned(), value.clone());
        }
    }
    asks.insert("name".into(), json!(name));
    asks.insert("command".into(), json!(command));
    let (mut volumes, mounts) = shared(workload, found);
    let before = prepare(workload, found);
    for volume in before.iter().flat_map(|one| shared(workload, one).0) {
        if !volumes.contains(&volume) {
            volumes.push(volume);
        }
    }
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
    if !before.is_empty() {
        spec.insert("initContainers".into(), json!(before));
    }
    spec.insert("restartPolicy".into(), json!("Never"));
    spec.insert("containers".into(), json!([asks]));
    let mut template = json!({ "spec": spec });
    let pod = metadata(workload, container);
    if let (Some(template), false) = (template.as_object_mut(), pod.is_empty()) {
        template.insert("metadata".into(), Value::Object(pod));
    }
    let mut own = json!({ "generateName": "bwrap-doctor-" });
    if let (Some(own), Some(namespace)) =
        (own.as_object_mut(), workload.object.pointer("/metadata/namespace"))
    {
        own.insert("namespace".into(), namespace.clone());
    }
    let job: Value = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": own,
        "spec": { "backoffLimit": 0, "ttlSecondsAfterFinished": 3600, "template": template },
    });
    let mut text = String::new();
    yaml::written(&job, 0, &mut text);
    Ok(text)
}

/// A word that the kubelet makes the same of: it puts a variable for `$(NAME)`, and one `$` for two.
fn as_is(word: &str) -> String {
    let mut text = String::new();
    let mut rest = word;
    while let Some((before, from)) = rest.find('$').map(|at| rest.split_at(at)) {
        let after = from.trim_start_matches('$');
        let run = from.len() - after.len();
        text.push_str(before);
        let read = run > 1 || after.starts_with('(');
        text.push_str(&"$".repeat(if read { 2 * run } else { run }));
        rest = after;
    }
    text + rest
}

/// By what a container beside it is brought into a pod, and what keeps it out: a job with one that stays never ends.
const BROUGHT: &[(&str, &str)] = &[
    ("linkerd.io/inject", "disabled"),
    ("sidecar.istio.io/inject", "false"),
    ("vault.hashicorp.com/agent-inject", "false"),
];

/// How annotations begin that are for such a container.
const OF_BROUGHT: &[&str] = &["sidecar.", "config.linkerd.io/", "vault.hashicorp.com/"];

/// How labels begin by which others than nodes and webhooks find a pod: a Service would send the probe what is meant for the pod.
const OF_OTHERS: &[&str] = &[
    "app.kubernetes.io/",
    "batch.kubernetes.io/",
    "controller-",
    "helm.sh/",
    "job-name",
    "pod-template-hash",
];

/// Of the pod's own what a node, a webhook or a profile of AppArmor's goes by. AWS Fargate takes pods by any label.
fn metadata(workload: &Workload, container: &str) -> Map<String, Value> {
    let all = |field: &str| workload.pod().pointer(&format!("/metadata/{field}")).and_then(Value::as_object);
    let begins = |name: &str, rows: &[&str]| rows.iter().any(|start| name.starts_with(start));
    let brought = |name: &str| BROUGHT.iter().find(|(known, _)| *known == name).map(|(_, out)| *out);
    let others = |name: &str| {
        let of = name.strip_prefix(APPARMOR).and_then(|rest| rest.strip_prefix('/'));
        of.is_some_and(|of| of != container)
    };
    let fargate = nodes(workload) == Some(Nodes::Fargate);
    let label = |name: &str| (fargate || name.contains('/')) && !begins(name, OF_OTHERS);
    let annotation = |name: &str| !others(name) && !begins(name, OF_BROUGHT);
    let kept = |field: &str, keeps: &dyn Fn(&str) -> bool| {
        let all = all(field).into_iter().flatten();
        let kept = all.filter_map(|(name, value)| match brought(name) {
            Some(out) => Some((name.clone(), json!(out))),
            None => keeps(name).then(|| (name.clone(), value.clone())),
        });
        kept.collect::<Map<_, _>>()
    };
    let both = [("annotations", kept("annotations", &annotation)), ("labels", kept("labels", &label))];
    let both = both.into_iter().filter(|(_, kept)| !kept.is_empty());
    both.map(|(field, kept)| (field.to_owned(), Value::Object(kept))).collect()
}

/// Containers that start the pod up and put something where this one finds it, as bwrap itself: into a directory that is empty without
/// them. Those that hold what somebody else may hold are left out.
fn prepare<'a>(workload: &'a Workload, container: &'a Value) -> Vec<&'a Value> {
    let empty = |one: &Value| {
        let volumes = volumes_of(workload, one).map(|(_, volume)| volume);
        let empty = volumes.filter(|volume| volume.get("emptyDir").is_some());
        empty.filter_map(|volume| volume.get("name").cloned()).collect::<Vec<_>>()
    };
    let wanted = empty(container);
    let claims = |one: &Value| {
        volumes_of(workload, one).any(|(_, volume)| CLAIMS.iter().any(|field| volume.get(*field).is_some()))
    };
    let before = workload.listed().take_while(|(one, _)| !std::ptr::eq(*one, container));
    let before = before.filter(|(one, list)| starts_up(one, list) && !claims(one));
    let before = before.filter(|(one, _)| empty(one).iter().any(|name| wanted.contains(name)));
    before.map(|(one, _)| one).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_through_the_kubelet_as_they_are() {
        for (word, written) in [
            ("$(A)", "$$(A)"),
            ("echo $$", "echo $$$$"),
            ("$$(A)", "$$$$(A)"),
            ("$HOME", "$HOME"),
            ("a$b", "a$b"),
            ("5$", "5$"),
            ("(a)", "(a)"),
        ] {
            assert_eq!(as_is(word), written);
        }
    }
}
