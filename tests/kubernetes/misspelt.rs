//! Fields that are written otherwise than Kubernetes does, or stand elsewhere, beside those that look like it.

use bwrap_launch::kubernetes::read;

use crate::required::{container, volume};
use crate::server::{made, with_fields};

/// Names that resemble a known one but for capitals, and those of another mapping.
#[test]
fn fields_that_are_misspelt_or_misplaced_are_told() {
    let wrong = |text: &str, says: &str| {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    };
    for (fields, says) in [
        ("volumemounts: [],", "volumemounts: volumeMounts is meant"),
        ("envs: [],", "envs: env is meant"),
        ("resource: {},", "resource: resources is meant"),
        ("resources: { limit: {} },", "containers[0].resources has no field limit: limits is meant"),
        ("volumes: [],", "volumes: it belongs in the spec of the pod"),
        ("nodeSelector: {},", "nodeSelector: it belongs in the spec of the pod"),
    ] {
        wrong(&container(fields), says);
    }
    for (fields, says) in [
        ("initContainer: [],", "initContainer: initContainers is meant"),
        ("nodeselector: {},", "nodeselector: nodeSelector is meant"),
        ("toleration: [],", "toleration: tolerations is meant"),
        (
            "volumes: [{ name: v, hostpath: { path: / } }],",
            "spec.volumes[0] has no field hostpath: hostPath is meant",
        ),
        ("command: [x],", "command: it belongs in a container"),
        ("imagePullPolicy: Always,", "imagePullPolicy: it belongs in a container"),
        ("backoffLimit: 3,", "backoffLimit: it belongs in the spec of the Job"),
    ] {
        wrong(&with_fields(fields, ""), says);
    }
    wrong(
        &made("batch/v1", "Job", "restartPolicy: Never,", "{}", ""),
        "Job.spec has no field restartPolicy: it belongs in the spec of the pod",
    );
    wrong(
        &with_fields("", "").replacen("spec:", "labels: { a: b }\nspec:", 1),
        "Pod has no field labels: it belongs in metadata",
    );
    wrong(
        &made("apps/v1", "Deployment", "", "{}", "").replacen("spec:", "replicas: 2\nspec:", 1),
        "Deployment has no field replicas: it belongs in spec",
    );
    // what is new, what is for others, and what is somebody else's
    for text in [
        container("x-foo: 1, $patch: replace, envSources: [],"),
        with_fields("schedulingGroup: g, x-labels: {},", ""),
        volume("name: v, x-kind: {}"),
        "kind: PodTemplate\nmetadata: { name: t }\ntemplate: { spec: { containers: [{ name: c }] } }\n"
            .to_owned(),
        made("argoproj.io/v1alpha1", "Rollout", "restartPolicy: x, volumes: [],", "{}", "command: [x],"),
    ] {
        assert!(read(&text).is_ok(), "{text}: {:?}", read(&text));
    }
}

/// A profile of AppArmor's is a name, which may be that of a program; one of seccomp's is a file.
#[test]
fn a_name_of_a_profile_may_be_a_path() {
    let of = |field: &str, name: &str| {
        read(&with_fields(
            &format!("securityContext: {{ {field}: {{ type: Localhost, localhostProfile: '{name}' }} }},"),
            "",
        ))
    };
    for name in ["/usr/bin/foo", "a/../b", "foo"] {
        assert!(of("appArmorProfile", name).is_ok(), "{name}");
    }
    for name in ["foo ".to_owned(), "a".repeat(4096)] {
        assert!(of("appArmorProfile", &name).is_err(), "{name}");
    }
    assert!(of("seccompProfile", "/a.json").is_err() && of("seccompProfile", "a/../b.json").is_err());
    assert!(of("seccompProfile", "a..b.json").is_ok());
}
