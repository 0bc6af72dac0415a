//! Custom resources with a whole pod in them are judged where it is, and changed there.

use bwrap_launch::kubernetes::{Answer, Cure, edited, read};

use crate::{containerd, line};

const POD: &str = "{ spec: { containers: [{ name: c }] } }";

fn cures(text: &str) -> Vec<Cure> {
    let found = read(text).unwrap();
    found.iter().map(|one| Cure::of(&[containerd()], one, "c", &line()).unwrap()).collect()
}

#[test]
fn a_template_of_pods_is_judged_wherever_it_is() {
    for (head, spec, place) in [
        (
            "agents.x-k8s.io/v1alpha1\nkind: Sandbox",
            format!("podTemplate: {POD}"),
            "/spec/podTemplate/spec/hostUsers",
        ),
        (
            "leaderworkerset.x-k8s.io/v1\nkind: LeaderWorkerSet",
            format!("leaderWorkerTemplate: {{ workerTemplate: {POD} }}"),
            "/spec/leaderWorkerTemplate/workerTemplate/spec/hostUsers",
        ),
        (
            "keda.sh/v1alpha1\nkind: ScaledJob",
            format!("jobTargetRef: {{ template: {POD} }}"),
            "/spec/jobTargetRef/template/spec/hostUsers",
        ),
        (
            "apps.openshift.io/v1\nkind: DeploymentConfig",
            format!("template: {POD}"),
            "/spec/template/spec/hostUsers",
        ),
        (
            "jobset.x-k8s.io/v1alpha2\nkind: JobSet",
            format!("replicatedJobs: [{{ name: w, template: {{ spec: {{ template: {POD} }} }} }}]"),
            "/spec/replicatedJobs/0/template/spec/template/spec/hostUsers",
        ),
        (
            "batch.volcano.sh/v1alpha1\nkind: Job",
            format!("tasks: [{{ template: {POD} }}]"),
            "/spec/tasks/0/template/spec/hostUsers",
        ),
        (
            "ray.io/v1\nkind: RayCluster",
            format!("headGroupSpec: {{ template: {POD} }}"),
            "/spec/headGroupSpec/template/spec/hostUsers",
        ),
    ] {
        let text = format!("apiVersion: {head}\nmetadata: {{ name: s }}\nspec: {{ {spec} }}\n");
        let cures = cures(&text);
        let [cure] = cures.as_slice() else { panic!("{text}") };
        assert!(cure.changed.is_custom());
        assert!(cure.json_patch().contains(&format!("\"path\":\"{place}\"")), "{}", cure.json_patch());
        let new = edited(&text, &cures).unwrap();
        let again = &read(&new).unwrap()[0];
        assert_eq!(containerd().foretell(again, "c", &line()).unwrap().answer, Answer::Starts, "{new}");
    }
}

/// Each pod of an object has its own change, and none undoes another's.
#[test]
fn several_pods_of_an_object_are_changed_each_for_itself() {
    let text = format!(
        "apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nmetadata: {{ name: v }}\nspec: {{ tasks: [{{ template: {POD} }}, {{ template: {POD} }}] }}\n"
    );
    let cures = cures(&text);
    assert_eq!(cures.len(), 2);
    assert_eq!(cures[1].changed.title(), "Job/v spec.tasks[1].template");
    let new = edited(&text, &cures).unwrap();
    assert_eq!(new.matches("hostUsers: false").count(), 2, "{new}");
    assert!(cures[0].changed.is_immutable());
    // printed whole, it is one object with both, and nothing is left for the next time
    let mut both = cures[0].clone();
    assert!(both.take_up(&cures[1]));
    let again = self::cures(&both.anew());
    assert!(again.len() == 2 && again.iter().all(Cure::is_empty), "{}", both.anew());
    // another object's are not its own
    assert!(!both.take_up(&self::cures(&text)[1]));
}

/// Also where no list has them.
#[test]
fn several_pods_of_an_object_have_a_title_each() {
    let text = format!(
        "apiVersion: kubeflow.org/v1\nkind: PyTorchJob\nmetadata: {{ name: pt }}\nspec: {{ pytorchReplicaSpecs: {{ Master: {{ template: {POD} }}, \
         Worker: {{ template: {POD} }} }} }}\n"
    );
    let titles: Vec<String> =
        read(&text).unwrap().iter().map(bwrap_launch::kubernetes::Workload::title).collect();
    assert_eq!(
        titles,
        [
            "PyTorchJob/pt spec.pytorchReplicaSpecs.Master.template",
            "PyTorchJob/pt spec.pytorchReplicaSpecs.Worker.template"
        ]
    );
}

/// A template of OpenShift's is a list of objects.
#[test]
fn objects_of_a_template_are_read() {
    let text = format!(
        "apiVersion: template.openshift.io/v1\nkind: Template\nmetadata: {{ name: t }}\nobjects:\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {{ name: d }}\n  spec: {{ template: {POD} }}\n"
    );
    let cures = cures(&text);
    assert_eq!(cures[0].changed.title(), "Deployment/d");
    assert!(edited(&text, &cures).unwrap().contains("hostUsers: false"));
}

/// What has no pod says how to come by one.
#[test]
fn kinds_without_a_pod_lead_to_one() {
    for text in [
        "apiVersion: awx.ansible.com/v1beta1\nkind: AWX\nspec: { task_privileged: true }\n",
        "apiVersion: x.io/v1\nkind: Odd\nspec: { template: { spec: { container: {} } } }\n",
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains("get pod NAME -o yaml | bwrap-doctor pod -"), "{error}");
    }
}
