//! What is read, from whom, and which Pod Security level it has.

use bwrap_launch::kubernetes::{Cure, Standard, Workload, edited, read, standard};

use crate::{containerd, line, one};

/// A letter that is missing, too many, or another; what is another field is none of these.
#[test]
fn names_that_are_nearly_a_fields_are_meant_for_it() {
    let pod = |spec: &str, container: &str| {
        format!(
            "kind: Pod\nmetadata: {{ name: p }}\nspec: {{ {spec} containers: [{{ name: c, {container} }}] }}\n"
        )
    };
    for (name, meant) in [
        ("hostUser", "hostUsers"),
        ("hostUserss", "hostUsers"),
        ("hostUsres", "hostUsers"),
        ("host_users", "hostUsers"),
        ("host-users", "hostUsers"),
        ("HostUser", "hostUsers"),
        ("hostNetwrok", "hostNetwork"),
        ("securityContex", "securityContext"),
        ("securtyContexts", "securityContext"),
        ("runtimeClass_Name", "runtimeClassName"),
    ] {
        let error = read(&pod(&format!("{name}: false,"), "")).unwrap_err().to_string();
        assert!(error.contains(&format!("spec has no field {name}: {meant} is meant")), "{error}");
    }
    for (context, meant) in [
        ("procMounts: Unmasked", "procMount"),
        ("seccompProfiles: {}", "seccompProfile"),
        ("capability: {}", ""),
    ] {
        let error = read(&pod("", &format!("securityContext: {{ {context} }}"))).unwrap_err().to_string();
        let says =
            if meant.is_empty() { "has no field capability".to_owned() } else { format!("{meant} is meant") };
        assert!(error.contains(&says), "{error}");
    }
    let others = "hostname: h, hostAliases: [], nodeName: n, priorityClassName: p, schedulerName: s, serviceAccountName: a, subdomain: d,";
    for text in [
        pod(others, "image: x, securityContext: {}"),
        pod("", "resources: {}, stdin: true, tty: true, env: []"),
    ] {
        assert!(read(&text).is_ok(), "{text}");
    }
}

/// Where it stands in this kind of object.
#[test]
fn what_is_wrong_stands_where_it_is_said_to() {
    let job = |spec: &str| {
        format!(
            "kind: CronJob\nmetadata: {{ name: j }}\nspec: {{ jobTemplate: {{ spec: {{ template: {{ spec: {spec} }} }} }} }}\n"
        )
    };
    let place = "spec.jobTemplate.spec.template.spec";
    for (spec, says) in [
        ("{ hostUser: false, containers: [{ name: c }] }", "SPEC has no field hostUser"),
        ("{ hostUsers: no-no, containers: [{ name: c }] }", "SPEC.hostUsers must be true or false"),
        (
            "{ securityContext: { runAsUser: x }, containers: [{ name: c }] }",
            "SPEC.securityContext.runAsUser must be an id",
        ),
        ("{ containers: [] }", "SPEC.containers is empty"),
        ("{ containers: {} }", "SPEC.containers is no list"),
        ("{ container: [] }", "SPEC has no field container"),
        ("7", "the pod's SPEC is not there"),
    ] {
        let error = read(&job(spec)).unwrap_err().to_string();
        assert!(
            error.contains(&format!("CronJob/j: {}", says.replace("SPEC", place)))
                || error.contains(&says.replace("SPEC", place)),
            "{error}"
        );
    }
    let pod = read("kind: Pod\nspec: { hostUsers: 7, containers: [{ name: c }] }\n").unwrap_err().to_string();
    assert!(pod.contains(": spec.hostUsers must be"), "{pod}");
}

/// Fields in the wrong place, of the wrong name, and with what the API server does not take.
#[test]
fn fields_count_where_they_belong() {
    let pod = |spec: &str, container: &str| {
        format!(
            "kind: Pod\nmetadata: {{ name: p }}\nspec: {{ {spec} containers: [{{ name: c, {container} }}] }}\n"
        )
    };
    let own = |context: &str| pod("", &format!("securityContext: {{ {context} }}"));
    let pods = |context: &str| pod(&format!("securityContext: {{ {context} }},"), "");
    let around =
        "kind: Deployment\nspec: { hostUsers: false, template: { spec: { containers: [{ name: c }] } } }\n";
    let template =
        "kind: Deployment\nspec: { template: { hostUsers: false, spec: { containers: [{ name: c }] } } }\n";
    for (text, says) in [
        (
            pods("procMount: Unmasked"),
            "spec.securityContext has no field procMount: it belongs in the securityContext of a container",
        ),
        (pods("privileged: true"), "has no field privileged: it belongs"),
        (pods("capabilities: { add: [SETFCAP] }"), "has no field capabilities: it belongs"),
        (pods("allowPrivilegeEscalation: false"), "has no field allowPrivilegeEscalation: it belongs"),
        (
            own("fsGroup: 7"),
            "container c.securityContext has no field fsGroup: it belongs in the securityContext of the pod",
        ),
        (own("sysctls: []"), "has no field sysctls: it belongs"),
        (pod("", "procMount: Unmasked"), "container c has no field procMount: it belongs"),
        (
            pod("", "hostUsers: false"),
            "container c has no field hostUsers: it belongs in the spec of the pod",
        ),
        (pod("runAsUser: 7,", ""), "spec has no field runAsUser: it belongs in a securityContext"),
        (around.to_owned(), "Deployment.spec has no field hostUsers"),
        (template.to_owned(), "Deployment.spec.template has no field hostUsers"),
        (own("capabilities: { Drop: [ALL] }"), "capabilities has no field Drop: drop is meant"),
        (
            own("capabilities: { add: SETFCAP }"),
            "capabilities.add must be a list of texts, and is \"SETFCAP\"",
        ),
        (own("seccompProfile: { type: Localhost, localHostProfile: x }"), "localhostProfile is meant"),
        (own("procMount: unmasked"), "procMount must be Default or Unmasked, and is \"unmasked\""),
        (
            own("seccompProfile: { type: unconfined }"),
            "type must be RuntimeDefault or Unconfined or Localhost",
        ),
        (own("seccompProfile: {}"), "seccompProfile.type is not there"),
        (pods("seccompProfile: { type: Localhost }"), "localhostProfile must be there"),
        (
            own("appArmorProfile: { type: Unconfined, localhostProfile: x }"),
            "localhostProfile must not be there",
        ),
        (
            own("seccompProfile: { type: Localhost, localhostProfile: /x }"),
            "must be a relative path without ..",
        ),
        (
            own("seccompProfile: { type: Localhost, localhostProfile: a/../../x }"),
            "must be a relative path without ..",
        ),
        (pods("supplementalGroups: 7"), "supplementalGroups must be a list of ids"),
        ("kind: Pod\nspec: { containers: [{ name: C_1 }] }\n".to_owned(), "C_1 is no name of a container"),
    ] {
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains("  ") && !error.contains('\n'), "{text}: {error}");
    }
    // what a controller of others makes of its own fields is its matter
    let rollout = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nspec: { privileged: x, template: { spec: { containers: [{ name: c }] } } }\n";
    assert!(one(rollout).is_custom());
    one(&own("procMount: Default, seccompProfile: { type: Unconfined, localhostProfile: null }"));
}

/// By the group of the apiVersion: others call their kinds alike.
#[test]
fn kinds_are_told_by_their_group() {
    let of = |version: &str, kind: &str, spec: &str| {
        format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{ name: w }}\nspec: {spec}\n")
    };
    let template = "{ template: { spec: { containers: [{ name: c }] } } }";
    for (version, kind, custom, name) in [
        ("apps/v1", "StatefulSet", false, "StatefulSet/w"),
        ("extensions/v1beta1", "DaemonSet", false, "DaemonSet/w"),
        ("batch/v1", "Job", false, "Job/w"),
        ("v1", "ReplicationController", false, "ReplicationController/w"),
        ("argoproj.io/v1alpha1", "Rollout", true, "Rollout/w"),
        ("apps.kruise.io/v1beta1", "StatefulSet", true, "StatefulSet.apps.kruise.io/w"),
        ("apps.kruise.io/v1alpha1", "DaemonSet", true, "DaemonSet.apps.kruise.io/w"),
    ] {
        let found = one(&of(version, kind, template));
        assert_eq!((found.is_custom(), found.kubectl_name().as_deref()), (custom, Some(name)), "{version}");
    }
    // passed over, beside what is judged
    let deployment = of("apps/v1", "Deployment", template);
    for other in [
        of("batch.volcano.sh/v1alpha1", "Job", "{ tasks: [] }"),
        of("rollouts.kruise.io/v1beta1", "Rollout", "{ strategy: {} }"),
        of("argoproj.io/v1alpha1", "Rollout", "{ workloadRef: { kind: Deployment, name: w } }"),
    ] {
        assert_eq!(one(&format!("{other}---\n{deployment}")).title(), "Deployment/w", "{other}");
        assert!(read(&other).unwrap_err().to_string().starts_with("no pod in it, but"), "{other}");
    }
}

#[test]
fn kubectl_finds_what_is_named() {
    let named = |metadata: &str| {
        one(&format!("kind: Job\nmetadata: {{ {metadata} }}\nspec: {{ template: {{ spec: {{ containers: [{{ name: c }}] }} }} }}\n")).kubectl_name()
    };
    assert_eq!(named("name: j, namespace: team").as_deref(), Some("Job/j -n team"));
    assert_eq!((named("generateName: j-"), named("")), (None, None));
    // it stands on a command line
    assert_eq!((named("name: 'a; b'"), named("name: --all")), (None, None));
    assert_eq!(named("name: j, namespace: 'a b'").as_deref(), Some("Job/j"));
}

/// Whoever it is read from, a cluster takes it.
#[test]
fn what_is_made_anew_has_nothing_of_what_was() {
    let metadata = "name: w, uid: 7a, resourceVersion: '1', creationTimestamp: x, labels: { a: b }";
    let pod = format!(
        "kind: Pod\nmetadata: {{ {metadata} }}\nstatus: {{ phase: Running }}\nspec:\n  nodeName: n1\n  containers: [{{ name: c }}]\n  \
         ephemeralContainers: [{{ name: dbg }}]\n"
    );
    let job = |more: &str| {
        format!(
            "kind: Job\nmetadata: {{ {metadata} }}\nspec:\n  {more}\n  selector: {{ matchLabels: {{ controller-uid: 7a }} }}\n  template:\n    \
             metadata: {{ labels: {{ mine: x, controller-uid: 7a, batch.kubernetes.io/job-name: w }} }}\n    spec: {{ containers: [{{ name: c }}] }}\n"
        )
    };
    let anew = |text: &str| Cure::of(&[containerd()], &one(text), "c", &line()).unwrap().anew();
    let gone = [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "status",
        "nodeName",
        "ephemeral",
        "selector",
        "job-name",
    ];
    for text in [&pod, &job("")] {
        let new = anew(text);
        assert!(!gone.iter().any(|gone| new.contains(gone)), "{new}");
        assert!(new.contains("a: b") && new.contains("Unmasked"), "{new}");
    }
    assert!(anew(&job("")).contains("mine: x"));
    // what somebody wrote is his
    assert!(anew(&job("manualSelector: true")).contains("selector"));
    let written = "kind: Pod\nmetadata: { name: w }\nspec: { nodeName: n1, containers: [{ name: c }] }\n";
    assert!(anew(written).contains("nodeName: n1"));
}

#[test]
fn containers_that_debug_are_containers() {
    let text = "kind: Pod\nspec:\n  containers: [{ name: c }]\n  ephemeralContainers: [{ name: dbg, securityContext: { privileged: true } }]\n";
    let pod = one(text);
    assert_eq!(pod.containers().collect::<Vec<_>>(), ["c", "dbg"]);
    assert!(pod.is_ephemeral("dbg") && !pod.is_ephemeral("c") && !pod.starts_up("dbg"));
    assert_eq!(standard(&pod, &containerd()).0, Standard::Privileged);
    let error = Cure::of(&[containerd()], &pod, "dbg", &line()).unwrap_err().to_string();
    assert!(error.contains("dbg is an ephemeral container"), "{error}");
    let cure = Cure::of(&[containerd()], &pod, "c", &line()).unwrap();
    assert_eq!(one(&edited(text, std::slice::from_ref(&cure)).unwrap()), cure.changed);
}

/// A pod that restricted lets in, with a change.
fn restricted(metadata: &str, spec: &str, container: &str) -> Workload {
    one(&format!(
        "kind: Pod\nmetadata: {{ {metadata} }}\nspec:\n  securityContext: {{ runAsNonRoot: true, seccompProfile: {{ type: RuntimeDefault }} }}\n  \
         containers: [{{ name: c, {container} securityContext: {{ allowPrivilegeEscalation: false, capabilities: {{ drop: [ALL] }} }} }}]\n{spec}"
    ))
}

#[test]
fn pod_security_forbids_more_than_what_is_changed() {
    let level = |pod: &Workload| standard(pod, &containerd());
    assert_eq!(level(&restricted("", "", "")).0, Standard::Restricted);
    for (pod, wanted, says) in [
        (
            restricted("", "", "ports: [{ containerPort: 80, hostPort: 80 }],"),
            Standard::Privileged,
            "hostPort: 80",
        ),
        (
            restricted(
                "annotations: { container.apparmor.security.beta.kubernetes.io/c: unconfined }",
                "",
                "",
            ),
            Standard::Privileged,
            "annotation",
        ),
        (
            restricted("", "", "livenessProbe: { httpGet: { host: h, port: 1 } },"),
            Standard::Privileged,
            "host",
        ),
        (
            restricted("", "  volumes: [{ name: n, hostPath: { path: / } }]\n", ""),
            Standard::Privileged,
            "hostPath",
        ),
        (
            restricted("", "  volumes: [{ name: n, nfs: { server: s } }]\n", ""),
            Standard::Baseline,
            "kind nfs",
        ),
        (
            restricted("", "  volumes: [{ name: n, emptyDir: {} }, { name: m }]\n", ""),
            Standard::Restricted,
            "",
        ),
    ] {
        let (level, why) = level(&pod);
        assert_eq!(level, wanted, "{why:?}");
        assert!(says.is_empty() && why.is_empty() || why.iter().any(|why| why.contains(says)), "{why:?}");
    }
    let context = |fields: &str| {
        one(&format!("kind: Pod\nspec: {{ securityContext: {{ {fields} }}, containers: [{{ name: c }}] }}\n"))
    };
    for fields in [
        "sysctls: [{ name: kernel.msgmax, value: '1' }]",
        "seLinuxOptions: { user: foo }",
        "seLinuxOptions: { role: foo }",
    ] {
        assert_eq!(level(&context(fields)).0, Standard::Privileged, "{fields}");
    }
    assert_eq!(
        level(&context("sysctls: [{ name: net.ipv4.tcp_syncookies, value: '1' }]")).0,
        Standard::Baseline
    );
    // it knows names without CAP_ only
    let added = "securityContext: { capabilities: { add: [CAP_SETFCAP] } }";
    let added = one(&format!("kind: Pod\nspec: {{ containers: [{{ name: c, {added} }}] }}\n"));
    assert_eq!(level(&added).0, Standard::Privileged);
}

/// What kubectl and jq print, and what client libraries do.
#[test]
fn json_in_a_row_and_lists_of_pods_are_read() {
    let pod = |name: &str| {
        format!(
            "{{\"kind\": \"Pod\", \"metadata\": {{\"name\": \"{name}\"}},\n\t\"spec\": {{\"containers\": [{{\"name\": \"c\"}}]}}}}"
        )
    };
    let titles = |text: &str| read(text).unwrap().iter().map(Workload::title).collect::<Vec<_>>();
    assert_eq!(titles(&format!("{}\n{}\n", pod("a"), pod("b"))), ["Pod/a", "Pod/b"]);
    assert_eq!(titles(&[pod("a"), pod("b")].concat()), ["Pod/a", "Pod/b"]);
    let list = r#"{"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c"}]}}]}"#;
    assert_eq!(titles(list), ["Pod/a"]);
    let twice =
        r#"{"kind": "Pod", "spec": {"hostUsers": true, "hostUsers": false, "containers": [{"name": "c"}]}}"#;
    let wrong = |text: &str| read(text).unwrap_err().to_string();
    assert!(wrong(twice).contains("hostUsers is there twice"), "{}", wrong(twice));
    assert_eq!(wrong("kind: List\nitems: null\n"), "there is nothing in it");
    // braces are YAML's as well
    assert_eq!(titles("{ kind: Pod, spec: { containers: [{ name: c }] } }"), ["Pod/(no name)"]);
}

/// Whoever hands in something else is told what it is.
#[test]
fn what_looks_like_a_manifest_is_told_from_one() {
    for (text, says) in [
        ("- apiVersion: v1\n  kind: Pod\n", "is a plain list of objects"),
        ("[{\"kind\": \"Pod\"}]", "`kind: List`"),
        ("{\"ociVersion\": \"1.2.0\", \"process\": {}}", "the configuration of one container"),
        ("{\"status\": {}, \"info\": {}}", "`crictl inspect`"),
        ("# Deploy\n```yaml\nkind: Pod\nspec: x: y\n```\n", "between the lines with ```"),
        (
            "diff --git a/p.yaml b/p.yaml\n--- a/p.yaml\n+++ b/p.yaml\n@@ -1 +1 @@\n-a\n+b: [\n",
            "a difference of two files",
        ),
        (
            "LAST SEEN   TYPE      REASON   OBJECT   MESSAGE\n3s   Warning   Failed: x   pod/a   b: c\n",
            "explain -",
        ),
        (
            "apiVersion: actions.github.com/v1alpha1\nkind: EphemeralRunner\nspec: { spec: { containers: [] } }\n",
            "spec.spec",
        ),
        ("apiVersion: kafka.strimzi.io/v1\nkind: Kafka\nspec: {}\n", "spec.kafka.template.pod"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    // a chart's values are a chart's
    let error = read("image: x\n").unwrap_err().to_string();
    assert!(error.contains("helm template"), "{error}");
    assert!(read("kind: List\nitems: [{ kind: Pod, spec: { containers: [{ name: c }] } }]\n").is_ok());
}
