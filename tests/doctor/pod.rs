//! `bwrap-doctor pod`.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use bwrap_launch::host::Host;
use serde_json::Value;

use crate::schema::{assert_valid, is_valid};
use crate::{DOCTOR, ask, ask_with_input, doctor, said};

const PODS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/kubernetes/pods.yaml");

/// A pod that fails everywhere but in gVisor, and one that the node decides about.
const MASKED: &str = "kind: Pod\nmetadata: { name: p }\nspec: { containers: [{ name: c }] }\n";
const UNMASKED: &str = "kind: Pod\nmetadata: { name: p }\nspec:\n  hostUsers: false\n  containers:\n  - name: c\n    \
                        securityContext: { procMount: Unmasked, runAsUser: 1000 }\n";
const NODE: &str = r#"{ "kernel": { "release": { "present": "6.18.0" } },
    "security": { "apparmor_enabled": "absent", "selinux_filesystem": { "present": false } },
    "sysctls": { "user.max_user_namespaces": { "present": "100000" },
        "kernel.apparmor_restrict_unprivileged_userns": "absent" } }"#;

pub(crate) fn node() -> (tempfile::TempDir, String) {
    let keep = tempfile::tempdir().unwrap();
    let path = keep.path().join("node.json");
    std::fs::write(&path, NODE).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (keep, path)
}

#[test]
fn the_status_says_the_answer() {
    let (_keep, node) = node();
    for (args, text, status) in [
        (&["pod", "-"][..], MASKED, 1),
        (&["pod", "--runtime", "containerd", "-"], UNMASKED, 3),
        (&["pod", "--runtime", "containerd", "--node", &node, "-"], UNMASKED, 0),
        (&["pod", "--runtime", "cri-o=1.33.1", "--node", &node, "-"], UNMASKED, 1),
        (&["pod", "--runtime", "cri-o=v1.34.0", "--node", &node, "-"], UNMASKED, 0),
        // as nodes and clusters print them
        (&["pod", "--runtime", "containerd=v2.1.0-rc.1", "--node", &node, "-"], UNMASKED, 0),
        (&["pod", "--runtime", "containerd=2.1.4-k3s1", "--node", &node, "-"], UNMASKED, 0),
        (&["pod", "--runtime", "cri-o=1.34.0-dev", "--node", &node, "-"], UNMASKED, 0),
        (
            &["pod", "--runtime", "containerd", "--kubernetes", "v1.33.4+k3s1", "--node", &node, "-"],
            UNMASKED,
            0,
        ),
        (&["pod", "--runtime", "containerd", "--kubernetes", "1.33+", "--node", &node, "-"], UNMASKED, 0),
        // before, the API server dropped both fields
        (&["pod", "--runtime", "containerd", "--kubernetes", "1.30", "-"], UNMASKED, 1),
        // of what is not asked for nothing stands in the way
        (
            &[
                "pod",
                "--runtime",
                "containerd",
                "--node",
                &node,
                "-",
                "--",
                "--unshare-user",
                "--ro-bind",
                "/",
                "/",
            ],
            MASKED,
            0,
        ),
    ] {
        let said = ask_with_input(args, text.as_bytes());
        assert_eq!((said.status, said.err.as_str()), (status, ""), "{args:?}: {}", said.out);
    }
}

/// Who only starts a pod up is judged, and counts if he is named: the choice is that of `--write`.
#[test]
fn the_answer_is_about_those_that_a_change_is_for() {
    let (keep, node) = node();
    let file = keep.path().join("pod.yaml");
    let text = "kind: Pod\nmetadata: { name: p }\nspec:\n  initContainers: [{ name: clone }]\n  containers: [{ name: c }]\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let on = ["--runtime", "cri-o=1.34.0", "--node", &node, file];
    let status = |more: &[&str]| ask(&[&["pod"], more, &on[..]].concat());
    assert_eq!(status(&[]).status, 1);
    let written = status(&["--write"]);
    assert_eq!(written.status, 0, "{}{}", written.out, written.err);
    let after = status(&[]);
    assert_eq!(after.status, 0, "{}", after.out);
    let says = "container clone, which only starts it up and is not meant without --container clone (";
    assert!(after.out.contains(says) && after.out.contains("bwrap will not start"), "{}", after.out);
    assert_eq!(status(&["--container", "clone"]).status, 1);
    assert_eq!(status(&["--container", "clone", "--write"]).status, 0);
    // one that stays is meant, and so both ask which
    let sidecar = text.replace("{ name: clone }", "{ name: side, restartPolicy: Always }");
    let judged = ask_with_input(&["pod", "-"], sidecar.as_bytes());
    assert!(judged.status == 1 && !judged.out.contains("is not meant"), "{}", judged.out);
    let patched = ask_with_input(&["pod", "--patch", "-"], sidecar.as_bytes());
    assert!(patched.status == 2 && patched.err.contains("say by --container"), "{}", patched.err);
}

/// The reason stands beside what is not proposed; the place is named where it decides.
#[test]
fn what_is_not_proposed_is_told_with_its_reason() {
    let told = |text: &str| {
        ask_with_input(&["pod", "--runtime", "containerd", "--container", "c", "-"], text.as_bytes())
    };
    let init = "kind: Pod\nspec: { initContainers: [{ name: i, securityContext: { privileged: true } }], containers: [{ name: c }] }\n";
    let said = told(init);
    for says in [
        "      Bind the outer /proc read-only",
        "      not proposed: give the pod a user namespace",
        "(containerd: the pod waits for",
    ] {
        assert!(said.out.contains(says), "{says}: {}", said.out);
    }
    let fargate = told("kind: Pod\nspec: { schedulerName: fargate-scheduler, containers: [{ name: c }] }\n");
    assert!(fargate.out.contains("containerd, on AWS Fargate: bwrap will not start"), "{}", fargate.out);
    assert!(fargate.out.contains("No field of these pods is to be changed"), "{}", fargate.out);
    assert!(!told(MASKED).out.contains("not proposed"), "{}", told(MASKED).out);
}

#[test]
fn a_probe_of_windows_is_none() {
    let windows =
        "kind: Pod\nmetadata: { name: w }\nspec: { os: { name: windows }, containers: [{ name: c }] }\n";
    let said = ask_with_input(&["pod", "--probe", "-"], windows.as_bytes());
    assert_eq!((said.status, said.out.as_str(), said.err.lines().count()), (2, "", 1), "{}", said.err);
    let said = ask_with_input(&["pod", "--probe", "-"], format!("{windows}---\n{MASKED}").as_bytes());
    assert_eq!(said.status, 0);
    assert!(
        said.out.starts_with("# Pod/w: there is nothing to try") && said.out.contains("kind: Job"),
        "{}",
        said.out
    );
}

#[test]
fn wrong_usage_is_one_line() {
    for (args, text, says) in [
        (&["pod", "-"][..], "a: [", "-: no YAML"),
        (&["pod", "-"], "kind: Service\n", "no pod in it, but Service"),
        (&["pod", "--runtime", "podman", "-"], "", "no runtime is called podman"),
        (&["pod", "--runtime", "cri-o=new", "-"], "", "no version of CRI-O: new"),
        (&["pod", "--kubernetes", "latest", "-"], "", "no version of Kubernetes: latest"),
        (&["pod", "--patch", "--format", "json", "-"], MASKED, "--format json is for the report"),
        (&["pod", "--container", "d", "-"], MASKED, "no container is called d"),
        (&["pod", "/nonexistent.yaml"], "", "/nonexistent.yaml: "),
        (&["pod", "-", "--", "--no-such-option"], "", "cannot read the bwrap line"),
    ] {
        let said = ask_with_input(args, text.as_bytes());
        assert_eq!(
            (said.status, said.out.as_str(), said.err.lines().count()),
            (2, "", 1),
            "{args:?}: {}",
            said.err
        );
        assert!(said.err.contains(says), "{args:?}: {}", said.err);
    }
    let none = ask_with_input(&["pod", "--container", "d", "-"], MASKED.as_bytes());
    assert!(none.err.contains("no container is called d, but: "), "{}", none.err);
    for text in [&b"\xff"[..], b"\xff\xfe\0\xd8"] {
        let said = ask_with_input(&["pod", "-"], text);
        assert!(said.status == 2 && said.err.contains("no text: "), "{}", said.err);
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kubernetes/pods.yaml");
    let said = ask_with_input(&["pod", "--node", manifest.to_str().unwrap(), "-"], MASKED.as_bytes());
    assert!(said.status == 2 && said.err.contains("no facts of a machine"), "{}", said.err);
}

/// As PowerShell's > writes what kubectl prints.
#[test]
fn other_ways_to_write_a_text_are_read() {
    let (_keep, node) = node();
    let args = ["pod", "--runtime", "containerd://2.1.3", "--node", &node, "-"];
    for (mark, pair) in
        [([0xff, 0xfe], u16::to_le_bytes as fn(u16) -> [u8; 2]), ([0xfe, 0xff], u16::to_be_bytes)]
    {
        let text: Vec<u8> = mark.into_iter().chain(UNMASKED.encode_utf16().flat_map(pair)).collect();
        let said = ask_with_input(&args, &text);
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{}", said.out);
    }
    // which of them has a filter for those who name none nobody knows
    let said = ask_with_input(&args, UNMASKED.as_bytes());
    assert!(said.out.contains("  taken for granted: the kubelet's seccompDefault is off"), "{}", said.out);
    let filtered = ask_with_input(&[&["pod", "--seccomp-default"], &args[1..]].concat(), UNMASKED.as_bytes());
    assert_eq!(filtered.status, 1, "{}", filtered.out);
    // what no field helps has no patch
    let windows = "kind: Pod\nspec: { os: { name: windows }, containers: [{ name: c }] }\n";
    let said = ask_with_input(&args, windows.as_bytes());
    assert!(
        said.status == 1 && !said.out.contains("--patch") && said.out.contains("what helps stands above"),
        "{}",
        said.out
    );
}

#[test]
fn the_patch_is_whole_and_its_files_are_written() {
    let (keep, node) = node();
    let files = keep.path().join("files");
    let files = files.to_str().unwrap();
    let restricted = "kind: Deployment\nmetadata: { name: w }\nspec: { template: { spec: { containers: [{ name: c, securityContext: \
                      { runAsUser: 10001, seccompProfile: { type: RuntimeDefault } } }] } } }\n";
    let args = ["pod", "--patch", "--node-files", files, "--node", &node, "--runtime", "containerd", "-"];
    let patched = ask_with_input(&args, restricted.as_bytes());
    assert_eq!((patched.status, patched.err.as_str()), (0, ""), "{}", patched.out);
    for says in
        ["procMount: Unmasked", "# kubectl patch Deployment/w ", "Pod Security that lets it in: baseline"]
    {
        assert!(patched.out.contains(says), "{}", patched.out);
    }
    let filter = std::fs::read(keep.path().join("files/bwrap.json")).unwrap();
    assert!(serde_json::from_slice::<Value>(&filter).unwrap()["syscalls"].is_array());
    // what starts is left as it is
    let args = ["pod", "--patch", "--node", &node, "--runtime", "containerd", "-"];
    let again = ask_with_input(&args, UNMASKED.as_bytes());
    assert!(again.status == 0 && again.out.contains("nothing in it is to be changed"), "{}", again.out);
    // others of a pod are left alone, and which is meant must be said
    let several =
        "kind: Pod\nspec: { containers: [{ name: c }, { name: sidecar }], initContainers: [{ name: i }] }\n";
    let ask = |more: &[&str]| {
        ask_with_input(&[&["pod", "--patch", "--node", &node][..], more, &["-"]].concat(), several.as_bytes())
    };
    let unsaid = ask(&[]);
    assert_eq!((unsaid.status, unsaid.err.lines().count()), (2, 1), "{}", unsaid.err);
    assert!(unsaid.err.contains("several containers, i, c, sidecar: say by --container"), "{}", unsaid.err);
    let said = ask(&["--container", "c", "--runtime", "containerd"]);
    assert!(said.status == 0 && !said.out.contains("sidecar"), "{}{}", said.out, said.err);
    let probe = ask_with_input(&["pod", "--probe", "-"], UNMASKED.as_bytes());
    assert_eq!(probe.status, 0);
    let judged =
        ask_with_input(&["pod", "--node", &node, "--runtime", "containerd", "-"], probe.out.as_bytes());
    assert_eq!(judged.status, 0, "{}", judged.out);
}

/// Who gave the node is not sent for it again.
#[test]
fn what_no_node_tells_is_asked_of_the_cluster() {
    let (_keep, node) = node();
    let kata = "kind: Pod\nspec: { runtimeClassName: kata-qemu, containers: [{ name: c }] }\n";
    let given = ask_with_input(&["pod", "--runtime", "containerd", "--node", &node, "-"], kata.as_bytes());
    assert!(given.status == 3 && given.out.contains("--probe prints a job"), "{}", given.out);
    assert!(!given.out.contains("--node node.json"), "{}", given.out);
    let unknown = ask_with_input(&["pod", "--runtime", "containerd", "-"], kata.as_bytes());
    assert!(unknown.status == 3 && unknown.out.contains("--node node.json"), "{}", unknown.out);
}

#[test]
fn a_container_that_debugs_can_be_named() {
    let (_keep, node) = node();
    let text = "kind: Pod\nspec: { containers: [{ name: c }], ephemeralContainers: [{ name: dbg, \
                securityContext: { privileged: true } }] }\n";
    let args = ["pod", "--runtime", "containerd", "--node", &node, "--container", "dbg", "-"];
    let said = ask_with_input(&args, text.as_bytes());
    assert!(said.status == 0 && said.out.contains("container dbg"), "{}{}", said.out, said.err);
    // else it is told of, and the answer is the others'
    let text = text.replace("name: c ", "name: c, securityContext: { privileged: true } ");
    let text = text.replace("privileged: true } }] }\n", "privileged: false } }] }\n");
    let args = ["pod", "--runtime", "containerd", "--node", &node, "-"];
    let said = ask_with_input(&args, text.as_bytes());
    assert!(
        said.status == 0 && said.out.contains("container dbg, which only debugs it"),
        "{}{}",
        said.out,
        said.err
    );
}

#[test]
fn json_has_the_facts() {
    let json = ask(&["pod", "--format", "json", PODS]).json();
    assert_eq!((json["kind"].as_str(), json["answer"].as_str()), (Some("pod"), Some("not-started")));
    assert_eq!(json["containers"].as_array().unwrap().len(), 20);
    let plain = &json["containers"][0];
    assert_eq!(
        (plain["workload"].as_str(), plain["standard"].as_str()),
        (Some("Pod/plain"), Some("baseline"))
    );
    assert_eq!(plain["forecasts"][0]["obstacles"][0]["code"], "PR01");
    assert_eq!(plain["forecasts"][0]["host"]["process"]["uid"], serde_json::json!({ "present": 0 }));
}

/// Every answer of every runtime, with a node and without, and what an old cluster and a faulty release add.
#[test]
fn json_keeps_to_its_schema() {
    let (_keep, node) = node();
    let root = "kind: Pod\nspec: { securityContext: { runAsNonRoot: true, runAsUser: 0 }, containers: [{ name: c }] }\n---\n\
                kind: Pod\nspec: { os: { name: windows }, containers: [{ name: c }] }\n";
    let mut seen = BTreeSet::new();
    for more in [
        &[][..],
        &["--node", &node],
        &["--node", &node, "--runtime", "cri-o=1.33.1"],
        &["--kubernetes", "1.30"],
    ] {
        let args = [&["pod", "--format", "json", PODS, "-"], more].concat();
        let json = ask_with_input(&args, root.as_bytes()).json();
        assert_valid(&json);
        for container in json["containers"].as_array().unwrap() {
            for forecast in container["forecasts"].as_array().unwrap() {
                let host: Host = serde_json::from_value(forecast["host"].clone()).unwrap();
                assert_eq!(serde_json::to_value(&host).unwrap(), forecast["host"]);
                let answer = forecast["answer"].as_str().unwrap();
                let asks = !forecast["ask"].as_array().unwrap().is_empty();
                assert!(answer == "depends-on-node" || !asks, "{forecast:#}");
                seen.insert(answer.to_owned());
                let refused = forecast["refused"].as_array().unwrap();
                seen.extend(refused.iter().map(|refused| refused["cause"].to_string()));
            }
        }
    }
    let answers = ["starts", "fails", "not-started", "depends-on-node", "null", "\"K803\"", "\"K811\""];
    assert!(answers.iter().all(|answer| seen.contains(*answer)), "{seen:?}");
    // what the schema does not tell of is seen, and what is missing
    for (pointer, value) in [
        ("/answer", "maybe".into()),
        ("/containers/0/standard", "none".into()),
        ("/containers/0/forecasts/0/runtime", "docker".into()),
        ("/containers/0/forecasts/0/refused", serde_json::json!([{ "text": "" }])),
        ("/containers/0", serde_json::json!({ "more": 1 })),
    ] {
        let mut wrong = ask(&["pod", "--format", "json", PODS]).json();
        *wrong.pointer_mut(pointer).unwrap() = value;
        assert!(!is_valid(&wrong), "{pointer}");
    }
}

#[test]
fn kubectl_calls_it_by_another_name() {
    let mut command = doctor(&["--runtime", "containerd", PODS]);
    let direct = said(command.arg0("/usr/local/bin/kubectl-bwrap").stdin(Stdio::null()).output().unwrap());
    let named = ask(&["pod", "--runtime", "containerd", PODS]);
    assert_eq!((direct.status, &direct.out), (named.status, &named.out), "{DOCTOR}: {}", direct.err);
}

/// Each job says whose it is, and none is for what only starts the pod up, unless that is named.
#[test]
fn a_probe_says_what_it_is_for() {
    let text = "kind: Pod\nmetadata: { name: p }\nspec: { initContainers: [{ name: clone }], containers: [{ name: c }] }\n";
    let said = ask_with_input(&["pod", "--probe", "-"], text.as_bytes()).out;
    assert!(said.contains("# Pod/p, container c\n# kubectl create -f FILE"), "{said}");
    assert!(!said.contains("container clone"), "{said}");
    let named = ask_with_input(&["pod", "--probe", "--container", "clone", "-"], text.as_bytes()).out;
    assert!(named.contains("# Pod/p, container clone\n"), "{named}");
}

/// gVisor's versions are days, and people know of containerd that it is 2.
#[test]
fn versions_are_taken_as_they_are_known() {
    for runtime in ["gvisor=release-20250101.0", "gvisor=20250101", "containerd=2", "containerd=2.1"] {
        let said = ask_with_input(&["pod", "--runtime", runtime, "-"], MASKED.as_bytes());
        assert_ne!(said.status, 2, "{runtime}: {}", said.err);
    }
}
