//! Manifests judged before they are applied: what is foretold of each pod is what bwrap said in it, in a real cluster; one patch
//! takes all out of the way that a patch can; hostile input is one clear line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "kubernetes/alone.rs"]
mod alone;
#[path = "common/busy.rs"]
mod busy;
#[path = "kubernetes/constraints.rs"]
mod constraints;
#[path = "kubernetes/custom.rs"]
mod custom;
#[path = "kubernetes/edits.rs"]
mod edits;
#[path = "kubernetes/input.rs"]
mod input;
#[path = "kubernetes/lacks.rs"]
mod lacks;
#[path = "kubernetes/misspelt.rs"]
mod misspelt;
#[path = "kubernetes/nodes.rs"]
mod nodes;
#[path = "kubernetes/others.rs"]
mod others;
#[path = "kubernetes/owners.rs"]
mod owners;
#[path = "kubernetes/places.rs"]
mod places;
#[path = "kubernetes/probes.rs"]
mod probes;
#[path = "kubernetes/procfs.rs"]
mod procfs;
#[path = "kubernetes/refused.rs"]
mod refused;
#[path = "kubernetes/required.rs"]
mod required;
mod seeded;
#[path = "kubernetes/server.rs"]
mod server;
#[path = "kubernetes/together.rs"]
mod together;
#[path = "kubernetes/versions.rs"]
mod versions;

use std::collections::BTreeSet;

use bwrap_launch::diagnosis::Cause;
use bwrap_launch::host::Host;
use bwrap_launch::kubernetes::{
    Answer, Cluster, Cure, Forecast, Runtime, Standard, Workload, edited, probe, read, standard,
};
use bwrap_launch::{Command, Sandbox, Version};
use seeded::{Numbers, factor};

const PODS: &str = include_str!("data/kubernetes/pods.yaml");
const SAID: &str = include_str!("data/kubernetes/pods.tsv");

/// The line that was run in them.
const LINE: &str = "--ro-bind /lib /lib --ro-bind /usr /usr --symlink /usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp \
                    --unshare-all --new-session ps afx";

fn line() -> Sandbox {
    Command::from_args(LINE.split_whitespace()).unwrap().get_sandbox().clone()
}

/// The node that they ran on: all but `CAP_SYS_RESOURCE` (24).
fn node() -> Host {
    serde_json::from_str(
        r#"{
            "kernel": { "release": { "present": "6.18.0" } },
            "process": { "bounding": { "present": "000001fffeffffff" } },
            "security": { "apparmor_enabled": "absent", "selinux_filesystem": { "present": false } },
            "sysctls": {
                "user.max_user_namespaces": { "present": "100000" },
                "kernel.apparmor_restrict_unprivileged_userns": "absent"
            }
        }"#,
    )
    .unwrap()
}

fn containerd() -> Cluster {
    let mut cluster = Cluster::new(Runtime::Containerd);
    cluster.runtime_version = Some(Version::new(2, 4, 2));
    cluster.kubernetes = Some((1, 37));
    cluster.node = node();
    cluster
}

fn cri_o(version: Version) -> Cluster {
    let mut cluster = containerd();
    cluster.runtime = Runtime::CriO;
    cluster.runtime_version = Some(version);
    cluster
}

fn one(text: &str) -> Workload {
    let mut found = read(text).unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

fn foretell(cluster: &Cluster, pod: &Workload) -> Forecast {
    let name = pod.containers().next().unwrap().to_owned();
    cluster.foretell(pod, &name, &line()).unwrap()
}

/// What bwrap says for a cause.
fn words(cause: Cause) -> &'static str {
    match cause {
        Cause::MissingSetfcap => "bwrap: setting up uid map: Operation not permitted",
        Cause::MaskedProc | Cause::UnmaskedProcMasked => {
            "bwrap: Can't mount proc on /newroot/proc: Operation not permitted"
        }
        Cause::SeccompDeniesNamespaces => "bwrap: No permissions to create new namespace",
        Cause::SeccompDeniesPivotRoot => "bwrap: pivot_root: Operation not permitted",
        other => panic!("{other}"),
    }
}

#[test]
fn what_is_foretold_is_what_was_said() {
    let pods = read(PODS).unwrap();
    let mut judged = 0;
    for row in SAID.lines().filter(|row| !row.starts_with('#')) {
        let [runtime, name, said] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let pod = pods.iter().find(|pod| pod.title() == format!("Pod/{name}")).unwrap();
        let cluster = if runtime == "cri-o" { cri_o(Version::new(1, 33, 1)) } else { containerd() };
        let forecast = foretell(&cluster, pod);
        let foretold = match forecast.answer {
            Answer::Starts => "starts",
            Answer::NotStarted => "not started: CreateContainerError",
            Answer::Fails => words(forecast.obstacles[0].cause),
            other => panic!("{row}: {other:?} {forecast:#?}"),
        };
        assert_eq!(foretold, said, "{row}: {:#?}", forecast.obstacles);
        judged += 1;
    }
    assert_eq!((judged, pods.len()), (40, 20));
}

/// For each runtime alone, and for both at once.
#[test]
fn one_patch_makes_each_pod_start() {
    let mended = cri_o(Version::new(1, 33, 2));
    for pod in read(PODS).unwrap() {
        for clusters in [vec![containerd()], vec![mended.clone()], vec![containerd(), mended.clone()]] {
            let cure = Cure::of(&clusters, &pod, "test", &line()).unwrap();
            // CRI-O has no privileged containers on this node
            let refused =
                pod.title() == "Pod/privileged" && clusters.len() + usize::from(clusters[0] == mended) > 1;
            if refused {
                continue;
            }
            assert!(cure.left.is_empty(), "{}: {:#?}", pod.title(), cure.left);
            for cluster in &clusters {
                let forecast = foretell(cluster, &cure.changed);
                assert_eq!(
                    forecast.answer,
                    Answer::Starts,
                    "{}: {forecast:#?}\n{}",
                    pod.title(),
                    cure.patch()
                );
            }
            // what starts is left alone, and once is enough
            let worked = clusters.iter().all(|cluster| foretell(cluster, &pod).answer == Answer::Starts);
            assert_eq!(worked, cure.is_empty(), "{}", pod.title());
            let again = Cure::of(&clusters, &cure.changed, "test", &line()).unwrap();
            assert!(again.is_empty() && again.changed == cure.changed, "{}", again.patch());
            // what is printed is the same manifest
            assert_eq!(one(&cure.manifest()), cure.changed);
        }
    }
}

/// The text with all that makes the first container of each workload start.
pub(crate) fn cured(text: &str, cluster: &Cluster) -> Result<String, String> {
    let workloads = read(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let cure = |workload: &Workload| {
        let name = workload.containers().next().unwrap();
        Cure::of(std::slice::from_ref(cluster), workload, name, &line()).unwrap()
    };
    let cures: Vec<Cure> = workloads.iter().map(cure).collect();
    let new = edited(text, &cures).map_err(|error| error.to_string())?;
    let after = read(&new).unwrap_or_else(|error| panic!("{error}\n{new}"));
    let changed: Vec<Workload> = cures.into_iter().map(|cure| cure.changed).collect();
    assert_eq!(after, changed, "{new}");
    Ok(new)
}

#[test]
fn a_file_is_changed_where_it_must_be() {
    let new = cured(PODS, &containerd()).unwrap();
    // document by document, all lines are there, in their order
    for (old, new) in PODS.split("---\n").zip(new.split("---\n")) {
        let mut lines = new.lines();
        for line in old.lines() {
            assert!(lines.any(|other| other == line), "{line}: {new}");
        }
    }
    for pod in read(&new).unwrap() {
        assert_eq!(foretell(&containerd(), &pod).answer, Answer::Starts, "{}", pod.title());
    }
    assert_eq!(cured(&new, &containerd()).unwrap(), new, "twice is as once");
}

/// What stands there stays, byte for byte; what is added is written as what is around it.
#[test]
fn files_keep_their_style() {
    for (old, new) in [
        // blocks: comments, quotes, blank lines, steps of four
        (
            "# ours\nkind: 'Pod'   # a pod\nmetadata: {name: \"p\"}\n\nspec:\n    containers:\n        # the one\n        -   name: \"c\"   # quoted\n            \
             securityContext:\n                runAsUser: 1000 # a user\n                capabilities: {drop: [ALL]}\n\n    # the rest\n    restartPolicy: Never\n# end\n",
            "# ours\nkind: 'Pod'   # a pod\nmetadata: {name: \"p\"}\n\nspec:\n    containers:\n        # the one\n        -   name: \"c\"   # quoted\n            \
             securityContext:\n                runAsUser: 1000 # a user\n                capabilities: {drop: [ALL]}\n                procMount: Unmasked\n\n    # the rest\n    restartPolicy: Never\n    hostUsers: false\n# end\n",
        ),
        // braces, no line end, and a document that is none of ours
        (
            "kind: Service\n---\nkind: Pod\nspec: { containers: [{ name: c, securityContext: { runAsUser: 7 } }] }",
            "kind: Service\n---\nkind: Pod\nspec: { containers: [{ name: c, securityContext: { runAsUser: 7, procMount: Unmasked } }], hostUsers: false }",
        ),
        // JSON, with tabs
        (
            "{\n\t\"kind\": \"Pod\",\n\t\"spec\": {\n\t\t\"containers\": [\n\t\t\t{ \"name\": \"c\", \"image\": \"a\\/b\", \"securityContext\": {\"runAsUser\": 7} }\n\t\t]\n\t}\n}\n",
            "{\n\t\"kind\": \"Pod\",\n\t\"spec\": {\n\t\t\"containers\": [\n\t\t\t{ \"name\": \"c\", \"image\": \"a\\/b\", \"securityContext\": {\"runAsUser\": 7, \"procMount\": \"Unmasked\"} }\n\t\t], \"hostUsers\": false\n\t}\n}\n",
        ),
        // a list, lines that end as on Windows, a value to replace
        (
            "kind: List\r\nitems:\r\n- kind: Service\r\n- kind: CronJob\r\n  spec: {jobTemplate: {spec: {template: &t {spec: {containers: [{name: c, securityContext: {runAsUser: 7}}]}}}}}\r\n- kind: Pod # second\r\n  spec:\r\n    hostUsers: true # why?\r\n    containers:\r\n    - name: c\r\n      securityContext:\r\n        runAsUser: 7\r\n",
            "kind: List\r\nitems:\r\n- kind: Service\r\n- kind: CronJob\r\n  spec: {jobTemplate: {spec: {template: &t {spec: {containers: [{name: c, securityContext: {runAsUser: 7, procMount: Unmasked}}], hostUsers: false}}}}}\r\n- kind: Pod # second\r\n  spec:\r\n    hostUsers: false # why?\r\n    containers:\r\n    - name: c\r\n      securityContext:\r\n        runAsUser: 7\r\n        procMount: Unmasked\r\n",
        ),
        // what nobody reads stays as it is
        (
            "kind: Pod\nspec:\n  containers:\n  - name: c\n    args:\n    - |\n      # no comment\n        x: [\n    securityContext:\n      runAsUser: 0 # root\n      capabilities:\n        drop:\n        - SETFCAP # why?\n",
            "kind: Pod\nspec:\n  containers:\n  - name: c\n    args:\n    - |\n      # no comment\n        x: [\n    securityContext:\n      runAsUser: 1000 # root\n      capabilities:\n        drop:\n        - SETFCAP # why?\n      procMount: Unmasked\n      runAsNonRoot: true\n  hostUsers: false\n",
        ),
    ] {
        assert_eq!(cured(old, &containerd()).as_deref(), Ok(new));
        assert_eq!(cured(new, &containerd()).as_deref(), Ok(new), "twice is as once");
    }
}

/// Of what several share by aliases none is changed alone.
#[test]
fn what_is_shared_is_refused() {
    for text in [
        // what an alias stands for, here and at the top; and what others stand for
        "kind: Pod\nx: &s {runAsUser: 7}\nspec:\n  containers:\n  - name: c\n    securityContext: *s\n",
        "kind: Pod\nx: &s {containers: [{name: c, securityContext: {runAsUser: 7}}]}\nspec: *s\n",
        "kind: Pod\nspec:\n  containers:\n  - name: c\n    securityContext: &s {runAsUser: 7}\n  - name: d\n    securityContext: *s\n",
    ] {
        let error = cured(text, &containerd()).unwrap_err();
        assert!(error.contains("write it out in full first") && !error.contains('\n'), "{error}");
    }
    // an anchor that nobody uses is in nobody's way
    let anchor = "kind: Pod\nspec:\n  containers:\n  - name: c\n    securityContext: &s {runAsUser: 7}\n";
    let new = cured(anchor, &containerd()).unwrap();
    assert!(new.contains("securityContext: &s {runAsUser: 7, procMount: Unmasked}\n"), "{new}");
    // what a merge brings is its own to change
    let merged = "kind: Pod\nx: &s {runAsUser: 7, procMount: Default}\nspec:\n  containers:\n  - name: c\n    securityContext:\n      <<: *s\n      runAsGroup: 7\n";
    let error = cured(merged, &containerd());
    assert!(error.is_err_and(|error| error.contains("procMount does not stand there")));
}

#[test]
fn masks_that_no_pod_lifts_are_left_to_the_node() {
    let faulty = cri_o(Version::new(1, 33, 1));
    for pod in read(PODS).unwrap() {
        if pod.title() == "Pod/privileged" {
            continue;
        }
        let cure = Cure::of(std::slice::from_ref(&faulty), &pod, "test", &line()).unwrap();
        let left: Vec<Cause> = cure.left.iter().map(|finding| finding.cause).collect();
        assert_eq!(left, [Cause::UnmaskedProcMasked], "{}", pod.title());
        let bound = LINE.replace("--proc /proc", "--ro-bind /proc /proc");
        let bound = Command::from_args(bound.split_whitespace()).unwrap().get_sandbox().clone();
        let forecast = faulty.foretell(&cure.changed, "test", &bound).unwrap();
        assert_eq!(forecast.answer, Answer::Starts, "{}: {forecast:#?}", pod.title());
    }
}

#[test]
fn a_restricted_pod_takes_one_change() {
    let pods = read(PODS).unwrap();
    let pod = pods.iter().find(|pod| pod.title() == "Pod/restricted").unwrap();
    let cure = Cure::of(&[containerd()], pod, "test", &line()).unwrap();
    assert_eq!(
        cure.patch(),
        "spec:\n  containers:\n  - name: test\n    securityContext:\n      procMount: Unmasked\n      seccompProfile:\n        \
         localhostProfile: profiles/bwrap.json\n        type: Localhost\n  hostUsers: false\n"
    );
    assert!(
        cure.remedies
            .iter()
            .any(|remedy| remedy.files.iter().any(|file| file.path.ends_with("profiles/bwrap.json")))
    );
    assert_eq!(standard(pod, &containerd()).0, Standard::Restricted);
    let (level, why) = standard(&cure.changed, &containerd());
    assert_eq!((level, why.as_slice()), (Standard::Baseline, &["procMount: Unmasked".to_owned()][..]));
    let mut older = containerd();
    older.kubernetes = Some((1, 34));
    assert_eq!(standard(&cure.changed, &older).0, Standard::Privileged);
}

/// As the API server of 1.37 judges them.
/// containerd's filter permits by what the container was given, and denies `pivot_root` to everyone; both have either name.
#[test]
fn capabilities_are_those_of_the_container() {
    let pod = |capabilities: &str, rest: &str| {
        one(&format!(
            "{{ kind: Pod, metadata: {{ name: p }}, spec: {{ hostUsers: false, securityContext: {{ seccompProfile: {{ type: RuntimeDefault }} }}, \
             containers: [{{ name: c, securityContext: {{ procMount: Unmasked, capabilities: {{ {capabilities} }} {rest} }} }}] }} }}"
        ))
    };
    let user = pod("add: [SYS_ADMIN]", ", runAsUser: 10001");
    let forecast = foretell(&containerd(), &user);
    assert_eq!(forecast.answer, Answer::Fails, "{forecast:#?}");
    assert_eq!(forecast.obstacles[0].cause, Cause::SeccompDeniesPivotRoot);
    for dropped in ["drop: [SETFCAP]", "drop: [CAP_SETFCAP]", "drop: [cap_setfcap], add: [CAP_SETFCAP]"] {
        let cure = Cure::of(&[containerd()], &pod(dropped, ""), "c", &line()).unwrap();
        assert_eq!(foretell(&containerd(), &cure.changed).answer, Answer::Starts, "{}", cure.patch());
    }
    let privileged = one(
        "{ kind: Pod, metadata: { name: p }, spec: { containers: [{ name: c, securityContext: { privileged: true } }] } }",
    );
    let bounding = foretell(&containerd(), &privileged).host.process.bounding;
    assert_eq!(bounding, node().process.bounding, "the node lacks one");
}

#[test]
fn roots_of_user_namespaces_pass_and_settings_of_the_pod_count() {
    let container = "securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: [ALL] }, seccompProfile: { type: Localhost, localhostProfile: p } }";
    let level = |fields: &str, minor: u32| {
        let pod =
            one(&format!("kind: Pod\nspec: {{ {fields}, containers: [{{ name: c, {container} }}] }}\n"));
        let mut cluster = containerd();
        cluster.kubernetes = Some((1, minor));
        standard(&pod, &cluster).0
    };
    assert_eq!(level("hostUsers: false", 35), Standard::Restricted);
    assert_eq!(level("hostUsers: false, securityContext: { runAsUser: 0 }", 37), Standard::Restricted);
    assert_eq!(level("hostUsers: false", 34), Standard::Baseline);
    assert_eq!(level("hostUsers: true", 37), Standard::Baseline);
    let unconfined = "securityContext: { runAsNonRoot: true, seccompProfile: { type: Unconfined } }";
    assert_eq!(level(unconfined, 37), Standard::Privileged);
}

const SPEC: &str = "{ containers: [{ name: c }, { name: d, securityContext: { runAsUser: 1000 } }] }";

#[test]
fn every_kind_of_workload_is_read() {
    let template = format!("{{ template: {{ spec: {SPEC} }} }}");
    for kind in ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"] {
        let text = format!("kind: {kind}\nmetadata: {{ name: w }}\nspec: {template}\n");
        let found = one(&text);
        assert_eq!((found.title(), found.containers().count()), (format!("{kind}/w"), 2));
        let cure = Cure::of(&[containerd()], &found, "c", &line()).unwrap();
        assert!(
            cure.patch().starts_with("spec:\n  template:\n    spec:\n      containers:\n      - name: c\n"),
            "{}",
            cure.patch()
        );
    }
    let cron = one(&format!("kind: CronJob\nspec: {{ jobTemplate: {{ spec: {template} }} }}\n"));
    let pod_template = one(&format!("kind: PodTemplate\n{}", &template[1..template.len() - 1].trim()));
    for found in [&cron, &pod_template] {
        assert_eq!(found.containers().collect::<Vec<_>>(), ["c", "d"]);
        assert_eq!(foretell(&containerd(), found).answer, Answer::Fails);
    }
    let list = r#"{"kind": "List", "items": [{"kind": "Service"}, {"kind": "Pod", "spec": {"containers": [{"name": "a"}]}}]}"#;
    assert_eq!(one(list).title(), "Pod/(no name)");
    assert_eq!(
        read(&format!("kind: Pod\nspec: {SPEC}\n---\nkind: Service\n---\nkind: Pod\nspec: {SPEC}\n"))
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn pods_that_are_not_started_are_told_so() {
    let refused = |cluster: &Cluster, spec: &str| {
        let forecast = foretell(cluster, &one(&format!("kind: Pod\nspec: {spec}\n")));
        assert_eq!(forecast.answer, Answer::NotStarted, "{spec}");
        (forecast.refused[0].cause, forecast.refused[0].text.clone())
    };
    let unmasked = "{ containers: [{ name: c, securityContext: { procMount: Unmasked } }] }";
    assert_eq!(refused(&containerd(), unmasked).0, Some(Cause::UnmaskedNeedsUserNamespace));
    let userns = "{ hostUsers: false, containers: [{ name: c }] }";
    let mut none = containerd();
    none.node
        .sysctls
        .insert("user.max_user_namespaces".into(), bwrap_launch::host::Fact::Present("0".into()));
    assert_eq!(refused(&none, userns).0, Some(Cause::NodeWithoutUserNamespaces));
    let mut old = containerd();
    old.runtime_version = Some(Version::new(1, 7, 20));
    assert!(refused(&old, userns).1.contains("containerd 1.7.20"));
    assert!(refused(&Cluster::new(Runtime::GVisor), userns).1.contains("gVisor"));
    let root = "{ securityContext: { runAsNonRoot: true, runAsUser: 0 }, containers: [{ name: c }] }";
    assert!(refused(&containerd(), root).1.contains("runAsNonRoot"));
    let shared = "{ hostUsers: false, hostNetwork: true, containers: [{ name: c }] }";
    assert!(refused(&containerd(), shared).1.contains("hostNetwork"));
}

#[test]
fn fields_that_an_old_cluster_drops_are_named() {
    let pods = read(PODS).unwrap();
    let pod = pods.iter().find(|pod| pod.title() == "Pod/userns-unmasked").unwrap();
    let mut old = containerd();
    old.kubernetes = Some((1, 30));
    let forecast = foretell(&old, pod);
    assert_eq!((forecast.answer, forecast.refused[0].cause), (Answer::Fails, Some(Cause::PodFieldsIgnored)));
    assert_eq!(forecast.obstacles[0].cause, Cause::MaskedProc);
    let cure = Cure::of(&[old], pod, "test", &line()).unwrap();
    assert!(cure.left.iter().any(|finding| finding.cause == Cause::MaskedProc));
}

#[test]
fn what_only_the_node_knows_is_asked_for() {
    let context = "{ procMount: Unmasked, runAsUser: 1000 }";
    let spec = format!("{{ hostUsers: false, containers: [{{ name: c, securityContext: {context} }}] }}");
    let pod = one(&format!("kind: Pod\nspec: {spec}\n"));
    let unknown = foretell(&Cluster::new(Runtime::CriO), &pod);
    assert_eq!(unknown.answer, Answer::DependsOnNode);
    for word in ["uname -r", "max_user_namespaces", "AppArmor", "SELinux", "1.33.1"] {
        assert!(unknown.ask.iter().any(|question| question.contains(word)), "{word}: {:?}", unknown.ask);
    }
    // a profile of the nodes' is what confines a pod that was started with it
    let named = context.replace(" }", ", appArmorProfile: { type: Localhost, localhostProfile: mine } }");
    let named = foretell(
        &Cluster::new(Runtime::CriO),
        &one(&format!("kind: Pod\nspec: {}\n", spec.replace(context, &named))),
    );
    assert!(named.obstacles.iter().any(|found| found.cause == Cause::AppArmorDeniesMount), "{named:?}");
    assert!(!named.ask.iter().any(|question| question.contains("whether AppArmor is on")), "{:?}", named.ask);
    assert_eq!(foretell(&containerd(), &pod).answer, Answer::Starts);
    let mut apparmor = containerd();
    apparmor.node.security.apparmor_enabled = bwrap_launch::host::Fact::Present(true);
    let forecast = foretell(&apparmor, &pod);
    assert_eq!((forecast.answer, forecast.obstacles[0].cause), (Answer::Fails, Cause::AppArmorDeniesMount));
    let cure = Cure::of(&[apparmor.clone()], &pod, "c", &line()).unwrap();
    assert_eq!(foretell(&apparmor, &cure.changed).answer, Answer::Starts, "{}", cure.patch());
    // what surely fails needs no node
    let masked = foretell(
        &Cluster::new(Runtime::Containerd),
        &one("kind: Pod\nspec: { containers: [{ name: c }] }\n"),
    );
    assert_eq!((masked.answer, masked.ask.len()), (Answer::Fails, 0));
    assert_eq!(foretell(&Cluster::new(Runtime::GVisor), &pod.clone()).answer, Answer::NotStarted);
}

#[test]
fn a_selinux_node_gets_a_module_and_no_field() {
    use bwrap_launch::host::Fact;
    let pod = one("kind: Pod\nspec: { containers: [{ name: c }] }\n");
    let mut cluster = cri_o(Version::new(1, 34, 1));
    cluster.node.security.selinux_filesystem = Fact::Present(true);
    cluster.node.security.selinux_enforcing = Fact::Present(true);
    let forecast = foretell(&cluster, &pod);
    assert_eq!(forecast.answer, Answer::Fails, "{forecast:#?}");
    let cure = Cure::of(&[cluster], &pod, "c", &line()).unwrap();
    assert!(cure.left.iter().any(|finding| finding.cause == Cause::SelinuxDeniesProc), "{:#?}", cure.left);
    let patch = cure.patch();
    assert!(patch.contains("Unmasked") && !patch.contains("seLinux"), "{patch}");
}

#[test]
fn the_probe_has_the_same_settings() {
    let pods = read(PODS).unwrap();
    for pod in &pods {
        let job = one(&probe(pod, "test", &["--unshare-all".to_owned()]).unwrap());
        for cluster in [containerd(), cri_o(Version::new(1, 33, 1)), Cluster::new(Runtime::GVisor)] {
            let hosts = [pod, &job].map(|workload| cluster.host(workload, "test").unwrap());
            assert_eq!(hosts[0], hosts[1], "{}", pod.title());
        }
    }
}

#[test]
fn wrong_input_is_one_clear_line() {
    let many: Vec<String> = (0..1001).map(|n| format!("  - {{ name: c{n} }}\n")).collect();
    let many = format!("kind: Pod\nspec:\n  containers:\n{}", many.concat());
    let pod = |context: &str| {
        format!("kind: Pod\nspec: {{ containers: [{{ name: c, securityContext: {context} }}] }}")
    };
    for (text, says) in [
        (String::new(), "nothing in it"),
        ("\0\u{1}".to_owned(), ""),
        ("just words".to_owned(), "no kind"),
        ("a: [".to_owned(), "no YAML: line"),
        ("kind: ConfigMap\ndata: {}\n".to_owned(), "no pod in it, but ConfigMap"),
        ("kind: Podd\n".to_owned(), "no pod in it, but Podd"),
        ("kind: Pod\n".to_owned(), "spec is not there"),
        ("kind: Pod\nspec: { containers: [] }\n".to_owned(), "spec.containers"),
        ("kind: Pod\nspec: { containers: [{}] }\n".to_owned(), "container 1 has no name"),
        // it is printed, and stands in comments of a patch that is applied
        (
            "kind: Pod\nspec: { containers: [{ name: \"a\\nspec: {hostPID: true}\\e[31m#\" }] }\n".to_owned(),
            "a\\nspec: {hostPID: true}\\u{1b}[31m# is no name of a container",
        ),
        (
            "kind: Pod\nspec: { hostusers: false, containers: [{ name: c }] }\n".to_owned(),
            "hostUsers is meant",
        ),
        (
            "kind: Pod\nspec: { hostUsers: 'false', containers: [{ name: c }] }\n".to_owned(),
            "must be true or false",
        ),
        (pod("{ procmount: Unmasked }"), "procMount is meant"),
        (pod("{ runAsUser: -1 }"), "must be an id"),
        (pod("{ colour: red }"), "has no field colour"),
        (pod("3"), "is no mapping"),
        (many, "more than 1000 containers"),
    ] {
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains('\n') && !error.is_empty(), "{text:.80}: {error}");
        assert!(error.chars().all(|c| !c.is_control()), "{error:?}");
    }
}

/// Pieces that manifests are made of, and some that nobody would write.
const PIECES: &[&str] = &[
    "---\n",
    "kind: Pod\n",
    "kind: Deployment\n",
    "spec:\n",
    "  containers:\n",
    "  - name: c\n",
    "    securityContext:\n",
    "      runAsUser: 99999999999999999999\n",
    "      procMount: [Unmasked]\n",
    "      capabilities: { add: [ALL, 7, CAP_NOPE], drop: no }\n",
    "  hostUsers: false\n",
    "&a ",
    "*a ",
    "<<: *a\n",
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
    "\t",
    "\"",
    "'",
    "|\n",
    "!!binary ",
    "? ",
    "\u{feff}",
    "\u{1b}[31m",
    "    volumeMounts: [{ mountPath: /proc/../x }, { mountPath: \"\" }, 3]\n",
    "metadata: { name: \"\\u0007\" }\n",
    "items: []\n",
    "\0",
];

#[test]
fn nothing_that_is_read_is_the_end_of_us() {
    let mut numbers = Numbers::seeded(0x6b75_6265);
    let sandbox = line();
    let (mut read_well, mut written, mut errors) = (0, 0, BTreeSet::new());
    for round in 0..2000 * factor() {
        let mut text = String::new();
        if round % 2 == 0 {
            // a real one with a few of these in it
            let pods: Vec<&str> = PODS.split("---\n").collect();
            text.push_str(pods[1 + numbers.index(20)]);
            for _ in 0..numbers.below(4) {
                let at = boundary(&text, numbers.index(text.len()));
                text.insert_str(at, numbers.pick(PIECES));
            }
        } else {
            (0..numbers.below(24)).for_each(|_| text.push_str(numbers.pick(PIECES)));
        }
        match read(&text) {
            Err(error) => {
                let error = error.to_string();
                assert!(!error.contains('\n'), "{error:?}");
                errors.insert(error);
            }
            Ok(workloads) => {
                read_well += 1;
                for workload in &workloads {
                    let names: Vec<String> = workload.containers().map(str::to_owned).collect();
                    for name in names {
                        for cluster in [Cluster::new(Runtime::Containerd), cri_o(Version::new(1, 33, 1))] {
                            cluster.foretell(workload, &name, &sandbox).unwrap();
                        }
                        let cure = Cure::of(&[containerd()], workload, &name, &sandbox).unwrap();
                        assert_eq!(one_of(&cure.manifest(), workload), cure.changed);
                        match edited(&text, std::slice::from_ref(&cure)) {
                            Ok(new) => {
                                written += 1;
                                assert!(read(&new).unwrap().contains(&cure.changed), "{new}");
                            }
                            Err(error) => {
                                let error = error.to_string();
                                assert!(!error.contains('\n'), "{error:?}");
                                errors.insert(error);
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(read_well > 150 && written > 150 && errors.len() > 30, "{read_well} {written} {}", errors.len());
}

fn one_of(text: &str, workload: &Workload) -> Workload {
    let found = read(text).unwrap_or_else(|error| panic!("{}: {error}\n{text}", workload.title()));
    found.into_iter().next().unwrap()
}

/// The place itself, or the last one before it that is between two characters.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap()
}
