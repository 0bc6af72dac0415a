//! A job that asks a cluster itself.

use bwrap_launch::kubernetes::{probe, read};

use crate::refused::{ANNOTATION, pod};
use crate::{containerd, one};

#[test]
fn the_probe_runs_as_the_pod_does_and_no_other() {
    let text = format!(
        "kind: Pod\nmetadata:\n  annotations: {{ {ANNOTATION}/c: unconfined, {ANNOTATION}/d: unconfined, sidecar.istio.io/inject: 'true' }}\n\
         spec:\n  automountServiceAccountToken: false\n  priorityClassName: high\n  schedulerName: gpu\n  containers:\n  - name: c\n    \
         resources: {{ limits: {{ memory: 1Gi }} }}\n    volumeMounts: [{{ name: e, mountPath: /tmp }}, {{ name: f, mountPath: /f }}]\n  \
         - name: d\n  volumes: [{{ name: e, emptyDir: {{ medium: Memory }} }}, {{ name: f, persistentVolumeClaim: {{ claimName: f }} }}, \
         {{ name: g, emptyDir: {{}} }}]\n"
    );
    let job = probe(&one(&text), "c", &[]).unwrap();
    for kept in [
        "automountServiceAccountToken: false",
        "priorityClassName: high",
        "schedulerName: gpu",
        "memory: \"1Gi\"",
        "mountPath: \"/tmp\"",
    ] {
        assert!(job.contains(kept), "{kept}: {job}");
    }
    assert!(job.contains(&format!("{ANNOTATION}/c")), "{job}");
    for gone in [&format!("{ANNOTATION}/d"), "istio", "persistentVolumeClaim", "name: g"] {
        assert!(!job.contains(gone), "{gone}: {job}");
    }
    let cluster = containerd();
    let hosts = [one(&text), one(&job)].map(|workload| cluster.host(&workload, "c").unwrap());
    assert_eq!(hosts[0].security, hosts[1].security);
    assert_eq!(read(&job).unwrap().len(), 1);
}

/// What is tried is what would run, under a name that a cluster takes; where nothing can be tried, nothing is.
#[test]
fn the_probe_is_taken_by_a_cluster() {
    let hook = one("kind: PodTemplate\nspec: { containers: [{ name: $job, image: i }] }\n");
    let job = probe(&hook, "$job", &[]).unwrap();
    assert_eq!(one(&job).containers().collect::<Vec<_>>(), ["job"], "{job}");
    let limited = "kind: Pod\nspec: { os: { name: linux }, resources: { limits: { memory: 4Mi } }, containers: [{ name: c }] }\n";
    let job = probe(&one(limited), "c", &[]).unwrap();
    assert!(job.contains("name: linux") && job.contains("memory: \"4Mi\""), "{job}");
    for spec in ["os: { name: windows },", "nodeSelector: { kubernetes.io/os: windows },"] {
        let error = probe(&pod(spec, ""), "c", &[]).unwrap_err().to_string();
        assert!(error.contains("for Windows, where there is no bwrap"), "{error}");
    }
}
