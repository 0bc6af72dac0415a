//! Files of others that are taken for manifests, and where these have the fields of a pod.

use super::ManifestError;

/// How lines begin that a manifest does not have, all of which are in such a file; what it is, and what to do.
const FILES: &[(&[&str], &str)] = &[
    (
        &["services:"],
        "a file of Compose, which has no pod: `bwrap-doctor check` in its container says what to change there",
    ),
    (
        &["on:", "jobs:"],
        "a workflow of GitHub Actions: its pod is the runner's, with Actions Runner Controller: `kubectl get autoscalingrunnerset -A -o yaml | bwrap-doctor pod -`",
    ),
    (
        &["[[runners]]"],
        "the configuration of GitLab Runner: judge the job's pod, by `kubectl get pod NAME -o yaml | bwrap-doctor pod --container build -`; \
         its fields go below [[runners.kubernetes.pod_spec]]",
    ),
    (
        &["resource \""],
        "Terraform: judge the pod that comes of it, by `kubectl get pod NAME -o yaml | bwrap-doctor pod -`",
    ),
    (
        &["providers:"],
        "the configuration of Nodepool: judge the pod that it makes, by `kubectl get pod NAME -o yaml | bwrap-doctor pod -`",
    ),
    (
        &["steps:"],
        "a pipeline: judge the pod that it makes, by `kubectl get pod NAME -o yaml | bwrap-doctor pod -`; Buildkite has the pod's fields in podSpecPatch",
    ),
    (
        &["gitlabUrl:"],
        "values of GitLab Runner's chart: judge the job's pod, by `kubectl get pod NAME -o yaml | bwrap-doctor pod --container build -`; \
         its fields go into runners.config",
    ),
    (
        &["template:", "githubConfigUrl:"],
        "values of Actions Runner Controller's chart: `helm template CHART --values FILE | bwrap-doctor pod -`",
    ),
];

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
    ("RunnerSet", "actions.summerwind.dev", "the pod's fields stand in spec.template.spec"),
    ("Task", "tekton.dev", "the pod's fields stand in podTemplate of its TaskRun"),
    ("TaskRun", "tekton.dev", "the pod's fields stand in spec.podTemplate"),
    ("Pipeline", "tekton.dev", "the pod's fields stand in podTemplate of its PipelineRun"),
    ("PipelineRun", "tekton.dev", "the pod's fields stand in spec.taskRunTemplate.podTemplate"),
    ("Workflow", "argoproj.io", "the pod's fields stand in spec.podSpecPatch"),
    ("WorkflowTemplate", "argoproj.io", "the pod's fields stand in spec.podSpecPatch"),
    ("CronWorkflow", "argoproj.io", "the pod's fields stand in spec.workflowSpec.podSpecPatch"),
    ("Service", "serving.knative.dev", "the pod's fields stand in spec.template.spec"),
];

/// What to do with a kind of somebody else's.
pub(super) fn kind(kind: &str, group: &str) -> Option<&'static str> {
    KINDS.iter().find(|(name, of, _)| *name == kind && *of == group).map(|(.., hint)| *hint)
}

/// The error of a text, by what the text is where that is known.
pub(super) fn named(text: &str, error: ManifestError) -> ManifestError {
    let begins = |start: &&str| text.lines().any(|line| line.starts_with(*start));
    let known = FILES.iter().find(|(starts, _)| starts.iter().all(begins));
    known.map_or(error, |(_, what)| ManifestError(format!("no manifest: {what}")))
}

/// The same of a text that is no YAML: what is made into YAML first.
pub(super) fn template(text: &str, error: ManifestError) -> ManifestError {
    let line = text.lines().position(|line| line.replace("${{", "").contains("{{"));
    line.map_or(error, |line| {
        ManifestError(format!(
            "no YAML, but a template (line {}): judge what it makes, as with `helm template CHART | bwrap-doctor pod -`",
            line + 1
        ))
    })
}
