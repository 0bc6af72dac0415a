//! What the API server wants to be there, and values that it takes; each with what it takes instead.

use crate::refused::{on_kubernetes, refused, starts};
use crate::server::{made, with_fields};
use crate::{containerd, foretell, one};

/// A pod that is refused for what it says, and starts with each of the other two in its place.
type Row<'a> = (String, &'a str, &'a str, [&'a str; 2]);

#[track_caller]
fn rows(rows: Vec<Row<'_>>) {
    for (text, says, wrong, right) in rows {
        assert!(text.contains(wrong), "{wrong}: {text}");
        refused(&containerd(), &one(&text), says);
        for right in right {
            starts(&containerd(), &one(&text.replacen(wrong, right, 1)));
        }
    }
}

pub(crate) fn container(fields: &str) -> String {
    with_fields("", fields)
}

pub(crate) fn volume(fields: &str) -> String {
    with_fields(&format!("volumes: [{{ {fields} }}],"), "")
}

#[test]
fn what_nobody_fills_in_is_required() {
    let env = |fields: &str| container(&format!("env: [{{ {fields} }}],"));
    let port = |fields: &str| container(&format!("ports: [{{ {fields} }}],"));
    rows(vec![
        (
            env("value: x"),
            "spec.containers[0].env[0].name: Required value",
            "value: x",
            ["name: A, value: x", "$patch: delete"],
        ),
        (
            env("name: A, valueFrom: {}"),
            "env[0].valueFrom: Invalid value: \"\": must specify one of",
            "{}",
            ["{ secretKeyRef: { name: s, key: k } }", "{ newRef: {} }"],
        ),
        (
            env("name: A, value: x, valueFrom: { fieldRef: { fieldPath: metadata.name } }"),
            "may not be specified when `value` is not empty",
            "value: x,",
            ["", "value: '',"],
        ),
        (
            env("name: A, valueFrom: { secretKeyRef: { name: s } }"),
            "secretKeyRef.key: Required value",
            "name: s",
            ["name: s, key: k", "key: k"],
        ),
        (
            container("envFrom: [{ prefix: P }],"),
            "envFrom[0]: Invalid value: \"\": must specify one of",
            "prefix: P",
            ["prefix: P, secretRef: { name: s }", "configMapRef: { name: s }"],
        ),
        (
            port("name: http"),
            "ports[0].containerPort: Required value",
            "name: http",
            ["containerPort: 80", "name: http, containerPort: 80"],
        ),
        (
            port("containerPort: 0"),
            "ports[0].containerPort: Required value",
            "containerPort: 0",
            ["containerPort: 80", "containerPort: 65535"],
        ),
        (
            container("livenessProbe: { periodSeconds: 5 },"),
            "livenessProbe: Required value: must specify a handler type",
            "periodSeconds: 5",
            ["periodSeconds: 5, exec: { command: [x] }", "newHandler: {}"],
        ),
        (
            container("readinessProbe: { httpGet: { port: 1 }, tcpSocket: { port: 1 } },"),
            "readinessProbe: Forbidden: may not specify more than 1 handler type",
            "httpGet: { port: 1 }, ",
            ["", "periodSeconds: 5, "],
        ),
        (
            container("startupProbe: { httpGet: { path: / } },"),
            "startupProbe.httpGet.port: Required value",
            "path: /",
            ["port: 80", "path: /, port: http"],
        ),
        (
            container("lifecycle: { postStart: {} },"),
            "lifecycle.postStart: Required value: must specify a handler type",
            "{} }",
            ["{ exec: { command: [x] } } }", "{ sleep: { seconds: 1 } } }"],
        ),
        (
            volume("emptyDir: {}"),
            "spec.volumes[0].name: Required value",
            "emptyDir: {}",
            ["name: v, emptyDir: {}", "$patch: replace"],
        ),
        (
            volume("name: v, csi: {}"),
            "csi.driver: Required value",
            "{}",
            ["{ driver: ebs.csi.aws.com }", "{ driver: d, readOnly: true }"],
        ),
    ]);
}

#[test]
fn jobs_say_whether_their_pods_begin_anew() {
    let job = made("batch/v1", "Job", "", "{ a: b }", "");
    refused(
        &containerd(),
        &one(&job),
        "restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
    );
    starts(&containerd(), &one(&job.replacen("hostUsers", "restartPolicy: Never, hostUsers", 1)));
    // what somebody fills in, and kinds where a default is right
    starts(&containerd(), &one(&job.replacen("image: x, ", "", 1)));
    starts(
        &containerd(),
        &one(&job.replacen("kind: Job", "kind: ReplicationController", 1).replacen("batch/v1", "v1", 1)),
    );
}

#[test]
fn a_cron_job_has_a_schedule() {
    let job = |head: &str| {
        one(&format!(
            "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{ name: j }}\nspec: {{ {head} template: {{ spec: {{ restartPolicy: Never, hostUsers: false, \
             containers: [{{ name: c, image: x, securityContext: {{ procMount: Unmasked }} }}] }} }} }} }} }}\n"
        ))
    };
    for (schedule, says) in [
        ("schedule: '',", "spec.schedule: Required value"),
        ("schedule: every day,", "expected exactly 5 fields, found 2"),
        ("schedule: '0 0 * * * *',", "expected exactly 5 fields, found 6"),
        ("schedule: 'TZ=UTC 0 0 * * *',", "cannot use TZ or CRON_TZ in schedule"),
        ("schedule: '@daily', concurrencyPolicy: forbid,", "spec.concurrencyPolicy: Unsupported value"),
    ] {
        refused(&containerd(), &job(&format!("{schedule} jobTemplate: {{ spec: {{")), says);
    }
    for schedule in ["'0 3 * * *'", "'@hourly'", "'${SCHEDULE}'", "'@every 5m'", "'0 0 1 JAN ?'"] {
        starts(&containerd(), &job(&format!("schedule: {schedule}, jobTemplate: {{ spec: {{")));
    }
    let old = foretell(&on_kubernetes(28), &job("schedule: 'TZ=UTC 0 0 * * *', jobTemplate: { spec: {"));
    assert!(!old.refused.iter().any(|refused| refused.text.contains("TZ")), "{:#?}", old.refused);
    // a fragment, which has neither
    starts(&containerd(), &job("jobTemplate: { spec: {"));
    // what it makes is a Job
    for (field, says) in [
        ("backoffLimit: '3',", "JobSpec.backoffLimit of type int32"),
        ("completionMode: Indexed,", "spec.completions: Required value"),
        ("backoffLimit: -1,", "spec.jobTemplate.spec.backoffLimit: Invalid value: -1"),
    ] {
        refused(&containerd(), &job(&format!("schedule: '@daily', jobTemplate: {{ spec: {{ {field}")), says);
    }
    starts(
        &containerd(),
        &job("schedule: '@daily', jobTemplate: { spec: { backoffLimit: 3, completionMode: NonIndexed,"),
    );
}

#[test]
fn numbers_words_and_names_are_what_the_api_server_takes() {
    let toleration = |fields: &str| with_fields(&format!("tolerations: [{{ {fields} }}],"), "");
    rows(vec![
        (
            volume("name: v, secret: { secretName: s, defaultMode: 755 }"),
            "must be a number between 0 and 0777",
            "755",
            ["0755", "420"],
        ),
        (
            volume("name: v, configMap: { name: s, defaultMode: '0755' }"),
            "of type int32",
            "'0755'",
            ["511", "0644"],
        ),
        (
            volume("name: my_vol, emptyDir: {}"),
            "spec.volumes[0].name: Invalid value: \"my_vol\"",
            "my_vol",
            ["my-vol", "'${VOL}'"],
        ),
        (
            volume("name: v, hostPath: { path: /x, type: directory }"),
            "hostPath.type: Unsupported value",
            "type: directory",
            ["type: Directory", "type: ''"],
        ),
        (
            container("ports: [{ name: HTTP, containerPort: 80 }],"),
            "ports[0].name: Invalid value: \"HTTP\"",
            "HTTP",
            ["http", "a123456789-1234"],
        ),
        (
            toleration("key: a, operator: Equals"),
            "operator: Unsupported value",
            "Equals",
            ["Equal", "Exists"],
        ),
        (
            toleration("effect: NoSchedule"),
            "operator must be Exists when `key` is empty",
            "effect",
            ["operator: Exists, effect", "key: a, effect"],
        ),
        (
            toleration("key: a, operator: Exists, value: b"),
            "value must be empty",
            "operator: Exists, ",
            ["", "operator: Equal, "],
        ),
        (
            toleration("key: a, tolerationSeconds: 5, effect: NoSchedule"),
            "effect must be 'NoExecute'",
            "NoSchedule",
            ["NoExecute", "'${EFFECT}'"],
        ),
    ]);
}

#[test]
fn fields_of_a_pod_and_of_its_owner_are_what_the_api_server_takes() {
    let deployment = |head: &str| made("apps/v1", "Deployment", head, "{ a: b }", "");
    rows(vec![
        (
            with_fields("nodeSelector: { k: a b },", ""),
            "nodeSelector.k: Invalid value: \"a b\"",
            "a b",
            ["a-b", "''"],
        ),
        (
            with_fields("serviceAccountName: Foo,", ""),
            "serviceAccountName: Invalid value",
            "Foo",
            ["foo", "foo.bar"],
        ),
        (
            with_fields("preemptionPolicy: never,", ""),
            "preemptionPolicy: Unsupported value",
            "never",
            ["Never", "'${P}'"],
        ),
        (
            with_fields("activeDeadlineSeconds: 0,", ""),
            "must be between 1 and 2147483647",
            "Seconds: 0",
            ["Seconds: 1", "Seconds: 60"],
        ),
        (
            with_fields("dnsPolicy: None,", ""),
            "spec.dnsConfig: Required value",
            "None",
            ["Default", "None, dnsConfig: { nameservers: [1.1.1.1] }"],
        ),
        (
            container("readinessProbe: { exec: { command: [x] }, timeoutSeconds: 5s },"),
            "Probe.timeoutSeconds of type int32",
            "5s",
            ["5", "0"],
        ),
        (
            container("livenessProbe: { exec: { command: [x] }, successThreshold: 2 },"),
            "livenessProbe.successThreshold: Invalid value: 2: must be 1",
            "successThreshold: 2",
            ["successThreshold: 1", "failureThreshold: 2"],
        ),
        (deployment("replicas: -1,"), "spec.replicas: Invalid value: -1", "-1", ["0", "3"]),
        (
            deployment("strategy: { type: rolling },"),
            "spec.strategy.type: Unsupported value",
            "rolling",
            ["RollingUpdate", "Recreate"],
        ),
        (
            deployment("strategy: { type: Recreate, rollingUpdate: { maxSurge: 1 } },"),
            "spec.strategy.rollingUpdate: Forbidden",
            "Recreate",
            ["RollingUpdate", "''"],
        ),
        (
            deployment("revisionHistoryLimit: '3',"),
            "spec.revisionHistoryLimit of type int32",
            "'3'",
            ["3", "0"],
        ),
        (
            made("apps/v1", "Deployment", "", "{ a: b }", "activeDeadlineSeconds: 5,"),
            "activeDeadlineSeconds in Deployment is not Supported",
            "activeDeadlineSeconds: 5,",
            ["", "terminationGracePeriodSeconds: 5,"],
        ),
        (
            made("apps/v1", "Deployment", "", "{ a: b c }", ""),
            "labels.a: Invalid value: \"b c\"",
            "b c",
            ["b.c", "b_c"],
        ),
    ]);
}

#[test]
fn ports_of_the_node_are_told_apart() {
    let text = "kind: Pod\nmetadata: { name: p }\nspec: { hostNetwork: true, containers: [{ name: c, image: x, ports: [{ containerPort: 80, hostPort: 81 }], \
                securityContext: { privileged: true } }] }\n";
    rows(vec![
        (
            text.to_owned(),
            "hostPort: Invalid value: 81: must match `containerPort`",
            "hostPort: 81",
            ["hostPort: 80", "protocol: TCP"],
        ),
        (text.to_owned(), "must match", "hostNetwork: true", ["hostNetwork: false", "hostIPC: true"]),
        (
            with_fields(
                "",
                "ports: [{ containerPort: 80, hostPort: 81 }, { containerPort: 90, hostPort: 81 }],",
            ),
            "hostPort: Duplicate value: \"TCP//81\"",
            "containerPort: 90, hostPort: 81",
            ["containerPort: 90, hostPort: 81, protocol: UDP", "containerPort: 90"],
        ),
    ]);
}

#[test]
fn what_is_counted_is_asked_for_whole() {
    let of = |both: &str| {
        format!(
            "kind: Pod\nmetadata: {{ name: p }}\nspec: {{ containers: [{{ name: c, image: x, resources: {{ {both} }}, securityContext: {{ privileged: true }} }}] }}\n"
        )
    };
    rows(vec![
        (of("limits: { a.b/c: 500m }"), "must be an integer", "500m", ["1", "'2'"]),
        (
            of("requests: { a.b/c: 1 }"),
            "Limit must be set for non overcommitable",
            "requests:",
            ["limits:", "limits: { a.b/c: 1 }, requests:"],
        ),
        (
            of("limits: { a.b/c: 2 }, requests: { a.b/c: 1 }"),
            "must be equal to a.b/c limit of 2",
            "limits: { a.b/c: 2 }",
            ["limits: { a.b/c: 1 }", "limits: { cpu: 2, a.b/c: '1' }"],
        ),
        (
            of("limits: { Memory: 1Gi }"),
            "must be a standard resource for containers",
            "Memory",
            ["memory", "ephemeral-storage"],
        ),
        (of("limits: { memory: -1Gi }"), "must be greater than or equal to 0", "-1Gi", ["1Gi", "0"]),
        (
            of("limits: { hugepages-2Mi: 4Mi }"),
            "HugePages require cpu or memory",
            "4Mi",
            ["4Mi, memory: 1Gi", "4Mi, cpu: 1"],
        ),
    ]);
}

/// Until a container had rules of its own, init containers alone said whether they begin anew.
#[test]
fn whether_a_container_begins_anew_is_a_word() {
    let side = "initContainers: [{ name: i, image: x, restartPolicy: always }],";
    let pod = |spec: &str| one(&with_fields(spec, ""));
    let texts = |minor: u32, spec: &str| {
        let forecast = on_kubernetes(minor).foretell(&pod(spec), "c", &crate::line()).unwrap();
        forecast
            .refused
            .into_iter()
            .filter(|refused| refused.text.contains("restartPolicy: Unsupported"))
            .count()
    };
    for minor in [33, 37] {
        assert_eq!(texts(minor, side), 1, "{minor}");
        assert_eq!(texts(minor, &side.replace("always", "Always")), 0, "{minor}");
    }
    let own = one(&container("restartPolicy: Always,"));
    refused(&on_kubernetes(33), &own, "restartPolicy: Forbidden: may not be set for non-init containers");
    starts(&on_kubernetes(35), &own);
    starts(&crate::refused::with(|cluster| cluster.kubernetes = None), &own);
    let never = side.replace("always", "OnFailure");
    assert_eq!((texts(33, &never), texts(35, &never)), (1, 0));
}

/// OpenShift fills in an image that is one blank, where a trigger says so.
#[test]
fn a_blank_image_is_filled_in_where_a_trigger_says_so() {
    let of = |image: &str| {
        let text =
            made("apps/v1", "Deployment", "", "{}", "").replacen("image: x", &format!("image: '{image}'"), 1);
        text.replacen("{ name: d }", "{ name: d, annotations: { image.openshift.io/triggers: '[]' } }", 1)
    };
    starts(&containerd(), &one(&of(" ")));
    refused(&containerd(), &one(&of(" x")), "leading or trailing whitespace");
    refused(&containerd(), &one(&of(" ").replacen("triggers", "other", 1)), "leading or trailing whitespace");
    refused(&containerd(), &one(&container("image: ' ',")), "leading or trailing whitespace");
}

/// Who knows of a Deployment's strategies need not of a `StatefulSet`'s.
#[test]
fn words_of_a_kind_are_that_kinds() {
    let of = |word: &str| {
        let pod =
            one(&made("apps/v1", "StatefulSet", &format!("podManagementPolicy: {word},"), "{ a: b }", ""));
        foretell(&containerd(), &pod).refused.len()
    };
    assert_eq!((of("parallel"), of("Parallel"), of("OrderedReady")), (1, 0, 0));
    starts(&containerd(), &one(&made("apps/v1", "ReplicaSet", "strategy: { type: x },", "{ a: b }", "")));
}
