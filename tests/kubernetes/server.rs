//! Values that the API server does not take, whatever else a pod has; each with a neighbour that it takes.

use bwrap_launch::kubernetes::{Answer, read};

use crate::refused::{on_kubernetes, refused, starts, unmasked, with};
use crate::{containerd, foretell, one};

/// A pod that starts, with these fields of its metadata.
fn named(metadata: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ {metadata} }}\nspec: {{ hostUsers: false, containers: [{{ name: c, image: x, \
         securityContext: {{ procMount: Unmasked }} }}] }}\n"
    )
}

/// The same, of a kind that makes pods.
pub(crate) fn made(version: &str, kind: &str, head: &str, labels: &str, spec: &str) -> String {
    format!(
        "apiVersion: {version}\nkind: {kind}\nmetadata: {{ name: d }}\nspec: {{ {head} template: {{ metadata: {{ labels: {labels} }}, spec: \
         {{ {spec} hostUsers: false, containers: [{{ name: c, image: x, securityContext: {{ procMount: Unmasked }} }}] }} }} }}\n"
    )
}

/// A pod with fields of its own, and of its container.
pub(crate) fn with_fields(spec: &str, container: &str) -> String {
    format!(
        "kind: Pod\nmetadata: {{ name: p }}\nspec: {{ {spec} hostUsers: false, containers: [{{ name: c, {container} securityContext: {{ \
         procMount: Unmasked }} }}] }}\n"
    )
}

#[test]
fn values_of_another_kind_are_refused() {
    for (text, says, right) in [
        (
            named("name: p, labels: { v: 1.2 }"),
            "number into Go struct field ObjectMeta.labels of type string",
            ("1.2", "'1.2'"),
        ),
        (
            named("name: p, annotations: { inject: false }"),
            "bool into Go struct field ObjectMeta.annotations",
            ("false", "'false'"),
        ),
        (
            with_fields("nodeSelector: { gpu: true },", ""),
            "bool into Go struct field PodSpec.nodeSelector",
            ("true", "'true'"),
        ),
        (
            with_fields("", "image: y,"),
            "bool into Go struct field Container.image of type string",
            ("y", "'y'"),
        ),
        (
            with_fields("", "command: sleep,"),
            "string into Go struct field Container.command of type []string",
            ("sleep", "[sleep]"),
        ),
        (
            with_fields("", "env: { A: b },"),
            "object into Go struct field Container.env",
            ("{ A: b }", "[{ name: A, value: b }]"),
        ),
        (
            with_fields("volumes: { emptyDir: {} },", ""),
            "PodSpec.volumes of type []v1.Volume",
            ("{ emptyDir: {} }", "[{ name: v, emptyDir: {} }]"),
        ),
        (
            with_fields("tolerations: { operator: Exists },", ""),
            "PodSpec.tolerations",
            ("{ operator: Exists }", "[{ operator: Exists }]"),
        ),
        (
            with_fields("", "ports: [{ containerPort: '80' }],"),
            "string into Go struct field ContainerPort.containerPort of type int32",
            ("'80'", "80"),
        ),
        (
            made("apps/v1", "Deployment", "replicas: '2',", "{ a: b }", ""),
            "spec.replicas of type int32",
            ("'2'", "2"),
        ),
        (
            made("apps/v1", "Deployment", "", "{ a: 1 }", ""),
            "ObjectMeta.labels of type string",
            ("a: 1", "a: b"),
        ),
        (
            with_fields("securityContext: { sysctls: [{ name: net.ipv4.tcp_syncookies, value: 1 }] },", ""),
            "number into Go struct field Sysctl.value",
            ("value: 1", "value: '1'"),
        ),
    ] {
        refused(&containerd(), &one(&text), says);
        starts(&containerd(), &one(&text.replacen(right.0, right.1, 1)));
    }
    // what is filled in later, and what another's controller may take
    starts(
        &containerd(),
        &one(&with_fields("restartPolicy: '${RESTART}',", "resources: { limits: { memory: '${MEM}' } },")),
    );
    starts(
        &containerd(),
        &one(&made("argoproj.io/v1alpha1", "Rollout", "replicas: '2',", "{ a: 1 }", "restartPolicy: no,")),
    );
}

#[test]
fn words_that_nobody_knows_are_refused() {
    for (text, says, right) in [
        (
            with_fields("restartPolicy: never,", ""),
            "spec.restartPolicy: Unsupported value: \"never\"",
            ("never", "Never"),
        ),
        (
            with_fields("", "imagePullPolicy: always,"),
            "spec.containers[0].imagePullPolicy: Unsupported value",
            ("always", "Always"),
        ),
        (
            made("apps/v1", "Deployment", "", "{}", "restartPolicy: OnFailure,"),
            "spec.template.spec.restartPolicy: Unsupported",
            ("OnFailure", "Always"),
        ),
        (
            made("batch/v1", "Job", "", "{}", "restartPolicy: Always,"),
            "supported values: \"OnFailure\", \"Never\"",
            ("Always", "Never"),
        ),
        (with_fields("", "resources: { limits: { memory: 1GB } },"), "quantities must match", ("1GB", "1G")),
        (
            with_fields("", "resources: { requests: { memory: 1 GiB } },"),
            "quantities must match",
            ("1 GiB", "1.5Gi"),
        ),
    ] {
        refused(&containerd(), &one(&text), says);
        starts(&containerd(), &one(&text.replacen(right.0, right.1, 1)));
    }
    for field in ["fsGroup: 5, fsGroupChangePolicy: onRootMismatch", "supplementalGroupsPolicy: strict"] {
        let text = with_fields(&format!("securityContext: {{ {field} }},"), "");
        assert!(read(&text).unwrap_err().to_string().contains(" must be "), "{field}");
        assert!(read(&text.replace("onRoot", "OnRoot").replace("strict", "Strict")).is_ok(), "{field}");
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    let claims = "resources: { claims: [{ name: gpu }] },";
    let volume = "volumes: [{ name: v, emptyDir: {} }],";
    let mounts = |mount: &str| with_fields(volume, &format!("volumeMounts: [{{ name: v, {mount} }}],"));
    for (text, says, right) in [
        (
            made("apps/v1", "Deployment", "selector: { matchLabels: { a: b } },", "{ a: c }", ""),
            "`selector` does not match",
            ("a: c", "a: b, d: e"),
        ),
        (with_fields("", "image: ' x',"), "must not have leading or trailing whitespace", ("' x'", "x")),
        (named("name: My_Pod"), "metadata.name: Invalid value: \"My_Pod\"", ("My_Pod", "my.pod-1")),
        (with_fields("hostname: a.b,", ""), "spec.hostname: Invalid value", ("a.b", "a")),
        (
            with_fields("", "ports: [{ containerPort: 80, hostPort: 90000 }],"),
            "hostPort: Invalid value: 90000",
            ("90000", "8000"),
        ),
        (
            with_fields("volumes: [{ name: v, emptyDir: {}, hostPath: { path: /x } }],", ""),
            "more than 1 volume type",
            ("emptyDir: {}, ", ""),
        ),
        (
            with_fields("volumes: [{ name: v, configMap: {} }],", ""),
            "configMap.name: Required value",
            ("{}", "{ name: m }"),
        ),
        (mounts("readOnly: true"), "mountPath: Required value", ("readOnly", "mountPath: /v, readOnly")),
        (
            mounts("mountPath: /v, recursiveReadOnly: Enabled"),
            "only be specified when readOnly is true",
            ("/v,", "/v, readOnly: true,"),
        ),
        (
            with_fields("", claims),
            "resources.claims.name: Not found: \"gpu\"",
            ("spec: {", "spec: { resourceClaims: [{ name: gpu }],"),
        ),
        (
            with_fields("initContainers: [{ name: i, livenessProbe: {} }],", ""),
            "livenessProbe: Forbidden: may not be set for init containers",
            ("name: i,", "name: i, restartPolicy: Always,"),
        ),
        (
            with_fields(
                "securityContext: { sysctls: [{ name: kernel.shm_rmid_forced, value: '1' }, { name: kernel/shm_rmid_forced, value: '1' }] },",
                "",
            ),
            "Duplicate value: \"kernel.shm_rmid_forced\"",
            (", { name: kernel/shm_rmid_forced, value: '1' }", ""),
        ),
        (
            with_fields("hostPID: true, shareProcessNamespace: true,", ""),
            "ShareProcessNamespace and HostPID",
            ("hostPID: true, ", ""),
        ),
    ] {
        let pod = |text: &str| {
            let all = read(text).unwrap();
            foretell_of(&all[0])
        };
        let (answer, texts) = pod(&text);
        assert!(
            answer == Answer::NotStarted && texts.iter().any(|text| text.contains(says)),
            "{says}: {texts:?}"
        );
        assert_eq!(pod(&text.replacen(right.0, right.1, 1)).0, Answer::Starts, "{says}");
    }
}

/// Of the container that runs bwrap.
fn foretell_of(pod: &bwrap_launch::kubernetes::Workload) -> (Answer, Vec<String>) {
    let forecast = containerd().foretell(pod, "c", &crate::line()).unwrap();
    (forecast.answer, forecast.refused.into_iter().map(|refused| refused.text).collect())
}

#[test]
fn versions_that_are_gone_are_refused_where_they_are() {
    for (version, kind, gone) in [
        ("apps/v1beta2", "Deployment", 16),
        ("extensions/v1beta1", "DaemonSet", 16),
        ("batch/v1beta1", "Job", 25),
    ] {
        let text = one(&made(version, kind, "", "{}", ""));
        let says = format!("no matches for kind \"{kind}\" in version \"{version}\"");
        refused(&on_kubernetes(gone), &text, &says);
        refused(&with(|cluster| cluster.kubernetes = None), &text, &says);
        let before = foretell(&on_kubernetes(gone - 1), &text);
        assert!(!before.refused.iter().any(|refused| refused.text.contains("no matches")), "{version}");
    }
}

#[test]
fn repositories_are_cloned_by_no_kubelet_any_more() {
    let text = with_fields(
        "volumes: [{ name: v, gitRepo: { repository: r } }],",
        "volumeMounts: [{ name: v, mountPath: /v }],",
    );
    refused(&containerd(), &one(&text), "git-repo volume plugin has been disabled");
    let old = foretell(&on_kubernetes(32), &one(&text));
    assert!(!old.refused.iter().any(|refused| refused.text.contains("git-repo")));
    // which is mounted nowhere
    starts(&containerd(), &unmasked("volumes: [{ name: v, gitRepo: { repository: r } }],", ""));
}

/// A claim that is bound to nothing yet will be by its class, where that stands beside it.
#[test]
fn a_storage_class_says_what_comes_of_a_claim() {
    let of = |driver: &str, class: &str| {
        let text = format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{ name: d }}\nspec: {{ storageClassName: {class} }}\n---\n\
             apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {{ name: k }}\nprovisioner: {driver}\n---\n{}",
            with_fields(
                "volumes: [{ name: v, persistentVolumeClaim: { claimName: d } }],",
                "volumeMounts: [{ name: v, mountPath: /v }],"
            )
        );
        foretell(&containerd(), &one(&text)).answer
    };
    assert_eq!(of("nfs.csi.k8s.io", "k"), Answer::DependsOnNode);
    assert_eq!(of("nfs.csi.k8s.io", "other"), Answer::Starts);
    assert_eq!(of("ebs.csi.aws.com", "k"), Answer::Starts);
}

/// A pod that was read from a cluster says whom it runs as.
#[test]
fn the_status_tells_the_user() {
    let of = |uid: u32, more: &str| {
        one(&format!(
            "kind: Pod\nmetadata: {{ name: p }}\nspec: {{ hostUsers: false, containers: [{{ name: c, securityContext: {{ procMount: Unmasked, {more} \
             capabilities: {{ drop: [ALL] }} }} }}] }}\nstatus: {{ containerStatuses: [{{ name: other, user: {{ linux: {{ uid: 0 }} }} }}, \
             {{ name: c, user: {{ linux: {{ uid: {uid}, gid: 0 }} }} }}] }}\n"
        ))
    };
    starts(&containerd(), &of(1001, ""));
    assert_eq!(foretell(&containerd(), &of(0, "")).obstacles[0].cause.code(), "UM01");
    assert_eq!(foretell(&containerd(), &of(1001, "runAsUser: 0,")).obstacles[0].cause.code(), "UM01");
    starts(&containerd(), &of(0, "runAsUser: 7,"));
}
