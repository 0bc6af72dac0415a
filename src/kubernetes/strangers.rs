//! Files of others that are taken for manifests, and where these have the fields of a pod.

use serde_json::Value;

use super::ManifestError;

/// How lines begin that a manifest does not have, all of which are in such a file; what it is, and what to do. Quotation marks count for
/// nothing; what begins with blanks may stand below something else.
const FILES: &[(&[&str], &str)] = &[
    (&["services:"], COMPOSE),
    (&["containerDefinitions:"], ECS),
    (&["taskDefinition:"], ECS),
    (
        &["- op:"],
        "a JSON Patch (RFC 6902): judge what it makes, as by `kubectl kustomize DIRECTORY | bwrap-doctor pod -`",
    ),
    (&["on:", "jobs:"], WORKFLOW),
    (&["true:", "jobs:"], WORKFLOW),
    (&["gitlabUrl:"], GITLAB_VALUES),
    (&["gitlab-runner:"], GITLAB_VALUES),
    (
        &[" [[runners]]"],
        "the configuration of GitLab Runner: judge the job's pod, by `kubectl get pod NAME -o yaml | bwrap-doctor pod --container build -`; \
         its fields go below [[runners.kubernetes.pod_spec]]",
    ),
    (&["resource "], TERRAFORM),
    (&["resource:"], TERRAFORM),
    (&["module "], TERRAFORM),
    (&["terraform {"], TERRAFORM),
    (&["pipeline {"], JENKINSFILE),
    (&["podTemplate("], JENKINSFILE),
    (
        &["jenkins:"],
        "the configuration of Jenkins: judge the pod of an agent, by `kubectl get pod NAME -o yaml | bwrap-doctor pod -`; its fields go into `yaml` of the pod's template",
    ),
    (
        &["providers:"],
        "the configuration of Nodepool: judge the pod that it makes, by `kubectl get pod NAME -o yaml | bwrap-doctor pod -`",
    ),
    (&["- job:"], ZUUL),
    (&["- nodeset:"], ZUUL),
    (
        &["agentStackSecret:"],
        "values of Buildkite's agent stack: judge the job's pod, by `kubectl get pod NAME -o yaml | bwrap-doctor pod --container container-0 -`; its fields go into config.pod-spec-patch",
    ),
    (&["steps:"], PIPELINE),
    (&["resources:", "jobs:"], PIPELINE),
    (&["version:", "jobs:"], PIPELINE),
    (&["stages:"], GITLAB_CI),
    (&[" stage:", " script:"], GITLAB_CI),
    (
        &["githubConfigUrl:"],
        "values of Actions Runner Controller's chart, where the pod's fields go into `template`: `helm template CHART --values FILE | bwrap-doctor pod -`",
    ),
    (
        &["singleuser:"],
        "values of JupyterHub's chart: judge a user's pod, by `kubectl get pod NAME -o yaml | bwrap-doctor pod -`; its fields go into singleuser.extraPodConfig",
    ),
    (&["replicaCount:"], HELM_VALUES),
    (&["podSecurityContext:"], HELM_VALUES),
    (
        &["name:", "image:"],
        "a container without its pod: make it the first of `containers:` below `spec:`, and judge that: `bwrap-doctor pod FILE`",
    ),
    (&["image:", "resources:"], HELM_VALUES),
    (&["resources: {"], HELM_VALUES),
    (&["patches:"], KUSTOMIZATION),
    (&["patchesStrategicMerge:"], KUSTOMIZATION),
    (&["resources:"], KUSTOMIZATION),
    (&["bases:"], KUSTOMIZATION),
    (&["kustomize:"], KUSTOMIZATION),
    (&[" runArgs:"], DEVCONTAINER),
    (&[" customizations:"], DEVCONTAINER),
    (&[" dockerComposeFile:"], DEVCONTAINER),
    (
        &["schemaVersion:"],
        "a devfile: judge the pod of the workspace, by `kubectl get pod NAME -o yaml | bwrap-doctor pod -`; its fields go into the attribute pod-overrides, and those of a container into container-overrides",
    ),
    (
        &["Name:", "Namespace:"],
        "what `kubectl describe` prints for people: `kubectl get pod NAME -o yaml | bwrap-doctor pod -`",
    ),
    (&["NAME "], "what `kubectl get` prints for people: `kubectl get pod NAME -o yaml | bwrap-doctor pod -`"),
    (&["diff --git "], "a difference of two files: judge the file that has it"),
    (&["--- ", "+++ ", "@@ "], "a difference of two files: judge the file that has it"),
    (
        &["ociVersion:"],
        "the configuration of one container, which its runtime was given: `bwrap-doctor check` in the container says what to change",
    ),
    (
        &["status:", "info:"],
        "what `crictl inspect` prints of one container: `kubectl get pod NAME -o yaml | bwrap-doctor pod -`",
    ),
    (&["LAST SEEN "], MESSAGE),
    (&["NAMESPACE   LAST SEEN "], MESSAGE),
    (&["Error from server"], MESSAGE),
    (&["error: "], MESSAGE),
    (
        &["containers:"],
        "the specification of a pod without the pod: judge it below `spec:`, as by `sed 's/^/ /; 1i spec:' FILE | bwrap-doctor pod -`",
    ),
];

const HELM_VALUES: &str =
    "values of a Helm chart: judge what it makes: `helm template CHART --values FILE | bwrap-doctor pod -`";
const ECS: &str =
    "a task of Amazon ECS, which has no pod: `bwrap-doctor check` in its container says what to change there";
const COMPOSE: &str =
    "a file of Compose, which has no pod: `bwrap-doctor check` in its container says what to change there";
const WORKFLOW: &str = "a workflow of GitHub Actions: its pod is the runner's, with Actions Runner Controller: `kubectl get autoscalingrunnerset -A -o yaml | bwrap-doctor pod -`";
const TERRAFORM: &str =
    "Terraform: judge the pod that comes of it, by `kubectl get pod NAME -o yaml | bwrap-doctor pod -`";
const JENKINSFILE: &str = "a Jenkinsfile: judge the text of its `yaml`, in a file of its own, or an agent's pod, by `kubectl get pod NAME -o yaml | bwrap-doctor pod -`";
const ZUUL: &str = "a configuration of Zuul: judge the pod that Nodepool makes for a job, or the executor's, by `kubectl get pod NAME -o yaml | bwrap-doctor pod -`";
const PIPELINE: &str = "a pipeline: judge the pod that it makes, by `kubectl get pod NAME -o yaml | bwrap-doctor pod -`; Buildkite has the pod's fields in podSpecPatch";
const GITLAB_CI: &str = "a pipeline of GitLab's: judge the job's pod, by `kubectl get pod NAME -o yaml | bwrap-doctor pod --container build -`; its fields go into the runner's config.toml, below [[runners.kubernetes.pod_spec]]";
const GITLAB_VALUES: &str = "values of GitLab Runner's chart: judge the job's pod, by `kubectl get pod NAME -o yaml | bwrap-doctor pod --container build -`; \
     its fields go into runners.config";
const KUSTOMIZATION: &str =
    "a kustomization: judge what it builds: `kubectl kustomize DIRECTORY | bwrap-doctor pod -`";
const DEVCONTAINER: &str = "a devcontainer, whose runArgs are the engine's: `bwrap-doctor check` in its container says what to change there";
const MESSAGE: &str = "a message: `bwrap-doctor explain - <FILE`";

/// Kinds that make pods of other fields than a pod has, by their group, and where those belong.
const KINDS: &[(&str, &str, &str)] = &[
    (
        "Kustomization",
        "kustomize.config.k8s.io",
        "judge what it builds: kubectl kustomize DIRECTORY | bwrap-doctor pod -",
    ),
    (
        "RunnerDeployment",
        "actions.summerwind.dev",
        "the pod's fields stand in spec.template.spec, beside the runner's",
    ),
    ("EphemeralRunner", "actions.github.com", "the pod's fields stand in spec.spec"),
    (
        "EphemeralRunnerSet",
        "actions.github.com",
        "the pod's fields stand in spec.ephemeralRunnerSpec.spec, and come from those of its AutoscalingRunnerSet",
    ),
    ("Kafka", "kafka.strimzi.io", "the pod's fields stand in spec.kafka.template.pod"),
    (
        "Prometheus",
        "monitoring.coreos.com",
        "the pod's fields stand in spec.securityContext and spec.containers",
    ),
    ("RunnerSet", "actions.summerwind.dev", "the pod's fields stand in spec.template.spec"),
    (
        "Task",
        "tekton.dev",
        "the pod's fields stand in podTemplate of its TaskRun (hostUsers), and a container's (procMount) in the securityContext of a step or of stepTemplate",
    ),
    (
        "TaskRun",
        "tekton.dev",
        "the pod's fields stand in spec.podTemplate (hostUsers), and a container's (procMount) in the securityContext of a step or of stepTemplate in its Task",
    ),
    (
        "Pipeline",
        "tekton.dev",
        "the pod's fields stand in podTemplate of its PipelineRun (hostUsers), and a container's (procMount) in the steps of its Tasks",
    ),
    (
        "PipelineRun",
        "tekton.dev",
        "the pod's fields stand in spec.taskRunTemplate.podTemplate (hostUsers), and a container's (procMount) in the steps of its Tasks",
    ),
    ("ClusterTask", "tekton.dev", "the pod's fields stand in podTemplate of its TaskRun"),
    (
        "StepAction",
        "tekton.dev",
        "a container's fields (procMount) stand in spec.securityContext, and the pod's in podTemplate of its TaskRun",
    ),
    ("Runner", "actions.summerwind.dev", "the pod's fields stand in spec, beside the runner's"),
    (
        "VirtualMachine",
        "kubevirt.io",
        "it is a virtual machine, whose guest has bwrap: `bwrap-doctor check` there",
    ),
    ("Workflow", "argoproj.io", "the pod's fields stand in spec.podSpecPatch"),
    ("WorkflowTemplate", "argoproj.io", "the pod's fields stand in spec.podSpecPatch"),
    ("CronWorkflow", "argoproj.io", "the pod's fields stand in spec.workflowSpec.podSpecPatch"),
    (
        "Service",
        "serving.knative.dev",
        "the pod's fields stand in spec.template.spec, and Knative takes neither hostUsers nor procMount there: run it as a Deployment, or bind the outer /proc in the sandbox",
    ),
    ("ClusterWorkflowTemplate", "argoproj.io", "the pod's fields stand in spec.podSpecPatch"),
    (
        "DevWorkspace",
        "workspace.devfile.io",
        "the pod's fields stand in the attribute pod-overrides (hostUsers), and a container's (procMount) in container-overrides of its component",
    ),
    (
        "HelmRelease",
        "helm.toolkit.fluxcd.io",
        "judge what its chart makes: helm template CHART | bwrap-doctor pod -",
    ),
    ("Application", "argoproj.io", "judge what it deploys: argocd app manifests NAME | bwrap-doctor pod -"),
    ("Job", CLOUD_RUN, NO_POD),
    ("Execution", CLOUD_RUN, NO_POD),
    ("Service", CLOUD_RUN, NO_POD),
    ("WorkerPool", CLOUD_RUN, NO_POD),
    ("pipeline", "", "it is Drone's, whose runner makes the pod"),
    ("Status", "", "it is an answer of the API server: bwrap-doctor explain - <FILE"),
    ("Event", "", "it is what happened to something: bwrap-doctor explain - <FILE"),
];

/// Google's service, whose Services are Knative's by their group, and have its own annotations.
const CLOUD_RUN: &str = "run.googleapis.com";

/// What is said of containers that are in no pod.
pub(super) const NO_POD: &str = "it is Cloud Run's, which has no pod and none of its fields: `bwrap-doctor check` in its container says what to do there";

/// Whether an object is for Cloud Run, whatever its group.
fn of_cloud_run(object: &Value) -> bool {
    ["/metadata/annotations", "/spec/template/metadata/annotations"].iter().any(|place| {
        let annotations = object.pointer(place).and_then(Value::as_object);
        annotations.is_some_and(|all| all.keys().any(|name| name.starts_with("run.googleapis.com/")))
    })
}

/// What to do with a kind of somebody else's.
pub(super) fn kind(kind: &str, group: &str, object: &Value) -> Option<&'static str> {
    let group = if group == "serving.knative.dev" && of_cloud_run(object) { CLOUD_RUN } else { group };
    KINDS.iter().find(|(name, of, _)| *name == kind && *of == group).map(|(.., hint)| *hint)
}

/// What it is that has lines which begin so.
fn file(lines: &[String]) -> Option<&'static str> {
    let begins = |start: &&str| {
        let below = start.strip_prefix(' ');
        lines.iter().any(|line| match below {
            Some(start) => line.trim_start().starts_with(start),
            None => line.starts_with(*start),
        })
    };
    FILES.iter().find(|(starts, _)| starts.iter().all(begins)).map(|(_, what)| *what)
}

/// The error of a text, by what the text is where that is known.
pub(super) fn named(text: &str, error: ManifestError) -> ManifestError {
    let lines: Vec<String> = text.lines().map(|line| line.replace(['"', '\''], "")).collect();
    if lines.iter().any(|line| line.starts_with("```")) {
        return ManifestError(
            "no manifest, but a text that has one: judge what stands between the lines with ```, in a file of its own".to_owned(),
        );
    }
    // it is one, or was to be: what stands below may be any file
    if lines.iter().any(|line| line.starts_with("apiVersion:") || line.starts_with("kind:")) {
        return error;
    }
    file(&lines).map_or(error, |what| ManifestError(format!("no manifest: {what}")))
}

/// The error of a document at a place, whose fields may all stand in one line.
pub(super) fn without_kind(document: &Value, place: &str) -> ManifestError {
    let names = document.as_object().into_iter().flatten();
    let names: Vec<String> = names.map(|(name, _)| format!("{name}:")).collect();
    let is_object = |one: &Value| one.get("kind").is_some();
    if document.as_array().is_some_and(|list| list.iter().any(is_object)) {
        return ManifestError(format!(
            "no manifest: {place} is a plain list of objects; Kubernetes takes `kind: List` with these in `items`, or a document for each"
        ));
    }
    let what = match file(&names) {
        Some(what) if document.get("apiVersion").is_none() => what,
        _ => "of a Helm chart, judge what it makes: helm template CHART | bwrap-doctor pod -",
    };
    ManifestError(format!("no manifest: {place} has no kind ({what})"))
}

/// The same of a text that is no YAML: what is made into YAML first.
pub(super) fn template(text: &str, error: ManifestError) -> ManifestError {
    let braces = |line: &str| line.replace("${{", "").contains("{{");
    let jinja = text.lines().position(|line| line.contains("{%"));
    let Some(line) = jinja.or_else(|| text.lines().position(braces)) else { return error };
    let how = match jinja {
        Some(_) => "judge what Jinja makes of it: `... | bwrap-doctor pod -`",
        None => "judge what it makes, as with `helm template CHART | bwrap-doctor pod -`",
    };
    ManifestError(format!("no YAML, but a template (line {}): {how}", line + 1))
}
