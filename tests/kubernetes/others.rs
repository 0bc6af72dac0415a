//! What is no manifest, or one that nobody can read: a line that says what it is, where, and what to do.

use bwrap_launch::kubernetes::read;

use crate::one;

#[track_caller]
fn wrong(text: &str, says: &[&str]) {
    let error = read(text).unwrap_err().to_string();
    assert!(says.iter().all(|says| error.contains(says)), "{says:?}: {error}");
    assert!(!error.contains('\n') && !error.contains("  "), "{error}");
}

const POD: &str = "{ spec: { containers: [{ name: c }] } }";

#[test]
fn a_kind_is_of_its_group() {
    let of = |version: &str, kind: &str| {
        format!(
            "apiVersion: {version}\nkind: {kind}\nmetadata: {{ name: w }}\nspec: {{ template: {POD}, containers: [{{ name: c }}] }}\n"
        )
    };
    for (version, kind, says) in [
        ("apps/v1", "Pod", "the apiVersion of Pod is v1, and not apps/v1"),
        ("v1", "Deployment", "the apiVersion of Deployment is apps/v1, and not v1"),
        ("apps/v1", "CronJob", "the apiVersion of CronJob is batch/v1, and not apps/v1"),
        ("apps/v2", "Deployment", "the apiVersion of Deployment is apps/v1, and not apps/v2"),
        ("v2", "Pod", "the apiVersion of Pod is v1, and not v2"),
        ("batch/v3", "Job", "the apiVersion of Job is batch/v1, and not batch/v3"),
        ("apps/v1alpha1", "DaemonSet", "the apiVersion of DaemonSet is apps/v1, and not apps/v1alpha1"),
        ("batch/v1", "cronjob", "no kind is called cronjob: CronJob is meant"),
        ("v1", "pod", "no kind is called pod: Pod is meant"),
    ] {
        wrong(&of(version, kind), &[says]);
        // which kubectl says also where others are fine
        wrong(
            &format!("kind: Pod\nspec: {{ containers: [{{ name: c }}] }}\n---\n{}", of(version, kind)),
            &[says],
        );
    }
    wrong("kind: deployment\n", &["Deployment is meant"]);
    // which older clusters have
    for (version, kind) in
        [("apps/v1beta2", "Deployment"), ("extensions/v1beta1", "Deployment"), ("batch/v1", "Job")]
    {
        assert!(read(&of(version, kind)).is_ok(), "{version}");
    }
    // what others call so is theirs
    wrong("apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\n", &["no pod in it, but Job"]);
}

#[test]
fn what_others_read_is_known() {
    for (text, says) in [
        ("services:\n  web: { image: x }\n", "a file of Compose"),
        ("name: ci\non: push\njobs:\n  a: { steps: [] }\n", "a workflow of GitHub Actions"),
        ("concurrent = 1\n[[runners]]\n  name = \"x\"\n", "the configuration of GitLab Runner"),
        ("resource \"kubernetes_pod\" \"x\" {\n  a = 1\n}\n", "Terraform"),
        ("providers: []\n", "Nodepool"),
        ("gitlabUrl: x\nrunners: { config: '' }\n", "values of GitLab Runner's chart"),
        ("steps:\n- command: make\n", "a pipeline"),
        (
            "githubConfigUrl: x\ntemplate: { spec: { containers: [{ name: runner }] } }\n",
            "values of Actions Runner Controller",
        ),
        ("x: y\n", "document 1 (line 1) has no kind"),
        (
            "resources: [d.yaml]\npatches: [{ path: p.yaml }]\n",
            "kubectl kustomize DIRECTORY | bwrap-doctor pod -",
        ),
        (
            "concurrent = 1\n  [[runners]]\n    executor = \"kubernetes\"\n",
            "the configuration of GitLab Runner",
        ),
        ("module \"x\" {\n}\n", "Terraform"),
        ("{\"resource\": {\"kubernetes_pod\": {}}}\n", "Terraform"),
        ("name: ci\n\"on\": push\njobs: {}\n", "a workflow of GitHub Actions"),
        ("stages: [build]\nbuild:\n  stage: build\n  script: [make]\n", "a pipeline of GitLab's"),
        ("gitlab-runner:\n  runners:\n    config: |\n      [[runners]]\n", "values of GitLab Runner's chart"),
        ("githubConfigUrl: x\ncontainerMode: { type: dind }\n", "values of Actions Runner Controller"),
        ("agentStackSecret: x\nconfig: { queue: k }\n", "config.pod-spec-patch"),
        ("kind: pipeline\ntype: kubernetes\nsteps: []\n", "Drone's"),
        ("when: { event: push }\nsteps: []\n", "a pipeline"),
        ("pipeline {\n  agent { kubernetes { yaml '' } }\n}\n", "a Jenkinsfile"),
        ("{\n  // comment\n  \"image\": \"x\",\n  \"runArgs\": [],\n}\n", "a devcontainer"),
        ("Name:             executor-0\nNamespace:        zuul\n", "kubectl get pod NAME -o yaml"),
        ("NAME         READY   STATUS\nexecutor-0   1/1     Running\n", "kubectl get pod NAME -o yaml"),
        ("kind: Status\napiVersion: v1\n", "bwrap-doctor explain -"),
        ("kind: Event\napiVersion: v1\n", "bwrap-doctor explain -"),
        ("Error from server (NotFound): pods \"x\" not found\n", "bwrap-doctor explain -"),
        ("containers:\n- name: c\n  image: x\n", "judge it below `spec:`"),
        ("name: c\nimage: x\n", "a container without its pod"),
        ("- job:\n    name: x\n", "Zuul"),
        ("image: { tag: v1 }\npodSecurityContext: {}\nresources: {}\n", "values of a Helm chart"),
        ("image: { tag: v1 }\nresources:\n  limits: {}\n", "values of a Helm chart"),
        ("resources: {}\n", "values of a Helm chart"),
        ("resources:\n- a.yaml\nimages:\n- name: x\n", "a kustomization"),
        ("name: c\nimage: x\nresources: {}\n", "a container without its pod"),
        ("{ \"family\": \"f\", \"containerDefinitions\": [] }\n", "Amazon ECS"),
        ("- op: add\n  path: /spec/hostUsers\n  value: false\n", "a JSON Patch"),
        ("apiVersion: tekton.dev/v1\nkind: Task\n", "(procMount) in the securityContext of a step"),
        (
            "apiVersion: workspace.devfile.io/v1alpha2\nkind: DevWorkspace\n",
            "(procMount) in container-overrides",
        ),
        (
            "apiVersion: serving.knative.dev/v1\nkind: Service\n",
            "Knative takes neither hostUsers nor procMount",
        ),
        (
            "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nspec: { workloadRef: { kind: Deployment, name: d } }\n",
            "that of the Deployment that spec.workloadRef names",
        ),
        (
            "kind: Kustomization\napiVersion: kustomize.config.k8s.io/v1beta1\n",
            "kubectl kustomize DIRECTORY | bwrap-doctor pod -",
        ),
        ("apiVersion: tekton.dev/v1\nkind: TaskRun\n", "TaskRun: the pod's fields stand in spec.podTemplate"),
        (
            "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n",
            "Workflow: the pod's fields stand in spec.podSpecPatch",
        ),
        (
            "apiVersion: serving.knative.dev/v1\nkind: Service\n",
            "Service: the pod's fields stand in spec.template.spec",
        ),
        (
            "apiVersion: actions.summerwind.dev/v1alpha1\nkind: RunnerDeployment\n",
            "RunnerDeployment: the pod's fields",
        ),
    ] {
        wrong(text, &[says, "bwrap-doctor "]);
    }
    wrong("kind: Service\napiVersion: v1\n", &["no pod in it, but Service; looked for"]);
}

#[test]
fn templates_are_told_from_yaml() {
    let pod = |name: &str| format!("kind: Pod\nspec:\n  containers:\n  - name: {name}\n");
    wrong(
        &pod("{{ include \"chart.fullname\" . }}"),
        &["a template (line 4)", "helm template CHART | bwrap-doctor pod -"],
    );
    wrong("{%- if x %}\nkind: Pod\n{%- endif %}\n", &["a template (line 1)", "Jinja", "bwrap-doctor pod -"]);
    wrong(&format!("{{{{- if .Values.x }}}}\n{}", pod("c")), &["a template (line 1)"]);
    wrong(
        "kind: Pod\nspec:\n  hostUsers: ${HU}\n  containers: [{ name: c }]\n",
        &["is \"${HU}\": judge what comes of it", "envsubst"],
    );
    wrong(&pod("${NAME}"), &["${NAME} is a variable", "envsubst <FILE | bwrap-doctor pod -"]);
    // of what is read nobody says so, whatever its texts are
    one("kind: Pod\nspec: { containers: [{ name: c, args: ['{{ x }}', '${Y}'] }] }\n");
    wrong(
        "kind: Pod\nmetadata: { name: '{{ x }}' }\nspec: { hostUsers: 1, containers: [{ name: c }] }\n",
        &["hostUsers must be true or false"],
    );
}

#[test]
fn what_is_wrong_has_a_place() {
    let pod = "kind: Pod\nspec: { containers: [{ name: c }] }\n";
    wrong(&format!("{pod}---\n# nothing\n---\n\na: 1\n"), &["document 2 (line 7) has no kind"]);
    wrong(&format!("kind: List\nitems:\n- {POD}\n- a: 1\n"), &["document 1 (line 1) has no kind"]);
    wrong(
        &format!("{pod}---\nkind: Pod\nspec: {{ hostUsers: 1, containers: [] }}\n"),
        &["spec.containers is empty (document 2, line 4)"],
    );
    wrong("kind: Pod\nspec: { containers: { c: { image: x } } }\n", &["spec.containers is no list"]);
    wrong("kind: Pod\nspec: { container: [{ name: c }] }\n", &["containers is meant"]);
    wrong("kind: Pod\nspec: { containers: [] }\n", &["spec.containers is empty"]);
    wrong(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: d }\nspec: { template: { spec: { hostUsers: false } } }\n",
        &[
            "Deployment/d: spec.template.spec.containers is not there",
            "kubectl kustomize DIRECTORY | bwrap-doctor pod -",
        ],
    );
}

/// Jenkins' and the hooks' of Actions Runner Controller.
#[test]
fn a_pod_without_a_kind_is_a_pod() {
    let pod = one("metadata: { name: p }\nspec: { containers: [{ name: jnlp }] }\n");
    assert_eq!((pod.title().as_str(), pod.kind()), ("Pod/p", "Pod"));
    assert_eq!(one("spec: { containers: [{ name: $job }] }\n").containers().collect::<Vec<_>>(), ["$job"]);
    let hooks = one("kind: PodTemplate\nspec: { containers: [{ name: $job }] }\n");
    assert_eq!(hooks.containers().collect::<Vec<_>>(), ["$job"]);
    wrong("kind: Pod\nspec: { containers: [{ name: $job }] }\n", &["$job is a variable"]);
}

/// Parameters of OpenShift's templates are filled in by its own program.
#[test]
fn variables_are_filled_in_by_whoever_has_them() {
    let template = |container: &str| {
        format!(
            "apiVersion: template.openshift.io/v1\nkind: Template\nobjects:\n- kind: Deployment\n  spec: {{ template: {{ spec: {{ containers: [{container}] }} }} }}\n"
        )
    };
    for container in [
        "{ name: c, securityContext: { runAsUser: \"${{UID}}\" } }",
        "{ name: c, securityContext: { runAsUser: \"${UID}\" } }",
        "{ name: \"${NAME}\" }",
    ] {
        wrong(&template(container), &["judge what comes of it: `oc process -f FILE | bwrap-doctor pod -`"]);
    }
    for container in ["{ name: c, securityContext: { runAsUser: \"${UID}\" } }", "{ name: \"${NAME}\" }"] {
        wrong(
            &format!("kind: Pod\nspec: {{ containers: [{container}] }}\n"),
            &["as with `envsubst <FILE | bwrap-doctor pod -`"],
        );
    }
    // what is beside a template is not in it
    let both = format!(
        "{}---\nkind: Pod\nspec: {{ containers: [{{ name: \"${{N}}\" }}] }}\n",
        template("{ name: c }")
    );
    wrong(&both, &["envsubst"]);
}
