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
    assert!(job.contains("sidecar.istio.io/inject: \"false\""), "{job}");
    for gone in [&format!("{ANNOTATION}/d"), "persistentVolumeClaim", "name: g"] {
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

/// What decides where a pod comes to, and what is in it, is the probe's as well; what finds the pod for others is not.
#[test]
fn the_probe_has_what_the_pod_is_chosen_by() {
    let of = |labels: &str, spec: &str| {
        let text = format!(
            "kind: Pod\nmetadata: {{ name: p, labels: {{ {labels} }}, annotations: {{ linkerd.io/inject: enabled, mine: x, \
             vault.hashicorp.com/agent-inject: 'true', vault.hashicorp.com/role: r }} }}\nspec: {{ {spec} }}\n"
        );
        let job = probe(&one(&text), "c", &[]).unwrap();
        assert_eq!(read(&job).unwrap().len(), 1, "{job}");
        job
    };
    let labels = "app: web, app.kubernetes.io/name: web, cloud.google.com/matching-allowlist: l, sidecar.istio.io/inject: 'true'";
    let own = "serviceAccount: builder, resourceClaims: [{ name: gpu }], containers: [{ name: c, env: [{ name: NVIDIA_VISIBLE_DEVICES, \
               value: all }], resources: { claims: [{ name: gpu }] }, volumeMounts: [{ name: w, mountPath: /w, subPathExpr: $(N) }] }], \
               volumes: [{ name: w, emptyDir: {} }]";
    let job = of(labels, own);
    for kept in [
        "serviceAccount: builder",
        "resourceClaims:",
        "NVIDIA_VISIBLE_DEVICES",
        "matching-allowlist",
        "sidecar.istio.io/inject: \"false\"",
        "linkerd.io/inject: disabled",
        "agent-inject: \"false\"",
        "mine: x",
    ] {
        assert!(job.contains(kept), "{kept}: {job}");
    }
    for gone in ["web", "role"] {
        assert!(!job.contains(gone), "{gone}: {job}");
    }
    // by any label it may have been chosen for Fargate
    let fargate =
        of("app: web, pod-template-hash: h", "schedulerName: fargate-scheduler, containers: [{ name: c }]");
    assert!(fargate.contains("app: web") && !fargate.contains("pod-template-hash"), "{fargate}");
}

/// bwrap may come from a container that ends before.
#[test]
fn what_puts_something_into_an_empty_directory_runs_before_the_probe() {
    let of = |volume: &str, more: &str, mounts: &str| {
        let text = format!(
            "kind: Pod\nmetadata: {{ name: p }}\nspec: {{ initContainers: [{{ name: i, command: [cp, /bwrap, /t/], {more} volumeMounts: \
             [{{ name: t, mountPath: /t }}{mounts}] }}, {{ name: other, command: [migrate] }}], containers: [{{ name: c, volumeMounts: [{{ name: t, mountPath: \
             /tools }}] }}], volumes: [{{ name: t, {volume} }}, {{ name: d, persistentVolumeClaim: {{ claimName: d }} }}, {{ name: e, emptyDir: {{}} }}] }}\n"
        );
        probe(&one(&text), "c", &[]).unwrap()
    };
    let job = of("emptyDir: {}", "", ", { name: e, mountPath: /e }");
    assert!(job.contains("- cp") && job.contains("name: e") && !job.contains("migrate"), "{job}");
    for job in [
        of("configMap: { name: m }", "", ""),
        of("emptyDir: {}", "restartPolicy: Always,", ""),
        of("emptyDir: {}", "", ", { name: d, mountPath: /d }"),
    ] {
        assert!(!job.contains("initContainers"), "{job}");
    }
}
