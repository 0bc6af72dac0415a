//! `bwrap-doctor pod --patch` and `--write`: the change is applied as whoever reads it would, and then bwrap starts.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::kubectl::kubectl;
use crate::pod::node;
use crate::{Said, ask, ask_with_input, skipped};

/// Of each kind one that fails, in ways that differ; `c` is to run bwrap.
const WORKLOADS: &[&str] = &[
    // parents that are not there
    "apiVersion: v1\nkind: Pod\nmetadata: { name: p }\nspec: { containers: [{ name: c, image: i }] }\n",
    // beside another container, and a filter to replace
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: d, namespace: ns }\nspec:\n  selector: { matchLabels: { a: b } }\n  template:\n    \
     metadata: { labels: { a: b } }\n    spec:\n      containers:\n      - { name: side, image: i }\n      - name: c\n        image: i\n        \
     securityContext: { runAsUser: 7, seccompProfile: { type: RuntimeDefault } }\n",
    "apiVersion: batch/v1\nkind: CronJob\nmetadata: { name: j }\nspec:\n  schedule: '* * * * *'\n  jobTemplate:\n    spec:\n      template:\n        \
     spec:\n          restartPolicy: Never\n          hostUsers: true\n          containers: [{ name: c, image: i }]\n",
];

/// No kind of Kubernetes' own: its containers are merged by nobody.
const CUSTOM: &str = "apiVersion: actions.github.com/v1alpha1\nkind: AutoscalingRunnerSet\nmetadata: { name: arc }\nspec:\n  template:\n    \
                      spec:\n      containers: [{ name: side, image: i }, { name: c, image: i, command: [run.sh] }]\n";

pub(crate) fn pod(more: &[&str], node: &str, text: &str) -> Said {
    let args = [&["pod", "--runtime", "containerd", "--node", node, "--container", "c"], more, &["-"]];
    ask_with_input(&args.concat(), text.as_bytes())
}

/// What kubectl prints.
fn printed(mut kubectl: Command, args: &[&str]) -> String {
    let output = kubectl.args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn kubectl_applies_what_is_printed() {
    let (keep, node) = node();
    let home = keep.path();
    if kubectl(home).is_none() {
        return skipped("there is no kubectl");
    }
    let inside = |name: &str| home.join(name).to_str().unwrap().to_owned();
    let (manifest, patch) = (inside("manifest.yaml"), inside("patch"));
    for text in WORKLOADS {
        assert_eq!(pod(&[], &node, text).status, 1);
        for kind in ["strategic", "json"] {
            let said = pod(&["--patch", "--patch-type", kind], &node, text);
            assert_eq!((said.status, said.err.as_str()), (0, ""), "{}", said.out);
            fs::write(&patch, &said.out).unwrap();
            let (mut once, mut last) = (None, (*text).to_owned());
            for _ in 0..2 {
                fs::write(&manifest, &last).unwrap();
                // there is nothing else in it
                let how = format!("patch --local -f {manifest} --type {kind} --patch-file {patch} -o yaml");
                let args: Vec<&str> = how.split(' ').collect();
                last = printed(kubectl(home).unwrap(), &args);
                assert_eq!(pod(&[], &node, &last).status, 0, "{last}");
                assert_eq!(*once.get_or_insert_with(|| last.clone()), last, "twice is as once");
            }
        }
    }
}

#[test]
fn kustomize_builds_with_what_is_printed() {
    let (keep, node) = node();
    let home = keep.path();
    if kubectl(home).is_none() {
        return skipped("there is no kubectl");
    }
    let text = [WORKLOADS, &[CUSTOM]].concat().join("---\n");
    let said = pod(&["--patch", "--patch-type", "kustomize"], &node, &text);
    assert_eq!((said.status, said.err.as_str()), (0, ""), "{}", said.out);
    fs::write(
        home.join("kustomization.yaml"),
        format!("namePrefix: x-\nresources: [manifest.yaml]\n{}", said.out),
    )
    .unwrap();
    fs::write(home.join("manifest.yaml"), &text).unwrap();
    let built = printed(kubectl(home).unwrap(), &["kustomize", home.to_str().unwrap()]);
    assert_eq!(pod(&[], &node, &built).status, 0, "{built}");
    assert_eq!(built.matches("procMount: Unmasked").count(), WORKLOADS.len() + 1, "{built}");
    assert!(built.contains("name: side") && built.contains("- run.sh"), "{built}");
    // applied to what it made
    fs::write(home.join("manifest.yaml"), built.replace("name: x-", "name: ")).unwrap();
    let again = printed(kubectl(home).unwrap(), &["kustomize", home.to_str().unwrap()]);
    assert_eq!(again, built, "twice is as once");
}

/// Without any kubectl: comments aside it is JSON, and each workload has its own.
#[test]
fn json_patches_are_json() {
    let (_keep, node) = node();
    let said = pod(&["--patch", "--patch-type", "json"], &node, &WORKLOADS.join("---\n"));
    let patches: Vec<Value> = said
        .out
        .split("---\n")
        .skip(1)
        .map(|patch| patch.lines().filter(|line| !line.starts_with('#')).collect::<String>())
        .map(|patch| serde_json::from_str(&patch).unwrap())
        .collect();
    let places: Vec<&str> = patches.iter().map(|patch| patch[0]["path"].as_str().unwrap()).collect();
    let template = "/spec/template/spec/containers/1/name";
    let job = "/spec/jobTemplate/spec/template/spec/containers/0/name";
    assert_eq!(places, ["/spec/containers/0/name", template, job]);
    for (args, says) in [
        (&["--patch-type", "json"][..], "--patch"),
        (&["--patch", "--patch-type", "merge"], "strategic, json, kustomize"),
        (&["--patch", "--write"], "cannot be used with"),
        (&["--node-files", "/tmp"], "required"),
    ] {
        let said = ask(&[&["pod", "none.yaml"], args].concat());
        assert!(said.status == 2 && said.err.contains(says), "{args:?}: {}", said.err);
    }
}

#[test]
fn custom_resources_are_not_merged() {
    let (_keep, node) = node();
    let merged = pod(&["--patch", "--patch-type", "strategic"], &node, CUSTOM);
    assert_eq!(
        (merged.status, merged.out.as_str(), merged.err.lines().count()),
        (2, "", 1),
        "{}",
        merged.err
    );
    assert!(merged.err.contains("AutoscalingRunnerSet/arc: kubectl merges no custom"), "{}", merged.err);
    // where nobody says which, there is one only
    for kind in [&["--patch"][..], &["--patch", "--patch-type", "json"]] {
        let json = pod(kind, &node, CUSTOM);
        assert!(
            json.status == 0 && json.out.contains("/spec/template/spec/containers/1/name"),
            "{}",
            json.out
        );
        assert!(json.out.contains("--type json --patch-file PATCH\n"), "{}", json.out);
    }
}

/// What stands beside a pod in its file is neither patched nor made anew, and each change is applied to its own object.
#[test]
fn commands_are_of_one_object() {
    let (keep, node) = node();
    let home = keep.path();
    let beside = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: data }\nspec: {}\n";
    let other = WORKLOADS[0].replace("{ name: p }", "{ name: q, namespace: ns }");
    let text = [WORKLOADS[0], beside, &other, WORKLOADS[1]].join("---\n");
    let of = |kind: &str| pod(&["--patch", "--patch-type", kind], &node, &text).out;
    for kind in ["strategic", "json", "whole", "kustomize"] {
        let said = of(kind);
        assert!(!said.contains("PersistentVolumeClaim") && !said.contains("-f FILE"), "{said}");
        assert_eq!(said.contains("--force"), kind == "whole", "{said}");
    }
    assert!(of("kustomize").contains("kubectl delete Pod/q -n ns && kubectl apply -k DIRECTORY"));
    for (kind, commands) in [
        (
            "strategic",
            [None, None, Some("kubectl patch Deployment/d -n ns --type strategic --patch-file PATCH-02")],
        ),
        ("json", [None, None, Some("kubectl patch Deployment/d -n ns --type json --patch-file PATCH-02")]),
        (
            "whole",
            [
                Some("kubectl replace --force -f PATCH-00"),
                Some("kubectl replace --force -f PATCH-01"),
                Some("kubectl apply -f PATCH-02"),
            ],
        ),
    ] {
        // as is said there
        let directory = home.join(kind);
        fs::create_dir(&directory).unwrap();
        let said = of(kind);
        assert!(said.contains("#   csplit -sz -f PATCH- ALL '/^---$/' '{*}'\n"), "{said}");
        fs::write(directory.join("ALL"), said).unwrap();
        let split = ["-sz", "-f", "PATCH-", "ALL", "/^---$/", "{*}"];
        let split = Command::new("csplit").args(split).current_dir(&directory).status();
        assert!(split.unwrap().success());
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1 + commands.len());
        for (number, command) in commands.into_iter().enumerate() {
            let one = fs::read_to_string(directory.join(format!("PATCH-{number:02}"))).unwrap();
            let found: Vec<&str> = one.lines().filter_map(|line| line.strip_prefix("# kubectl ")).collect();
            assert_eq!(
                found,
                command.iter().map(|words| &words["kubectl ".len()..]).collect::<Vec<_>>(),
                "{one}"
            );
            assert_eq!(one.matches("\n---").count(), 0, "{one}");
            if kind == "whole" {
                assert_eq!(pod(&[], &node, &one).status, 0, "{one}");
            }
        }
    }
}

/// What makes a pod makes the next one as it was.
#[test]
fn a_change_goes_to_who_makes_the_pod() {
    let (_keep, node) = node();
    let owned = WORKLOADS[0].replace(
        "{ name: p }",
        "{ name: p, namespace: t, ownerReferences: [{ apiVersion: apps/v1, kind: ReplicaSet, name: r, controller: true }] }",
    );
    for kind in ["strategic", "json", "whole", "kustomize"] {
        let said = pod(&["--patch", "--patch-type", kind], &node, &owned).out;
        assert!(said.contains("# ReplicaSet.apps/r -n t has made it, and would undo the change"), "{said}");
        assert!(!said.contains("--force") && !said.contains("kubectl delete"), "{said}");
    }
    let template = "template: { spec: { containers: [{ name: c, image: i }] } }";
    for (kind, spec, keeps) in [
        ("ReplicaSet", "", true),
        ("DaemonSet", "updateStrategy: { type: OnDelete },", true),
        ("DaemonSet", "", false),
        ("Deployment", "", false),
    ] {
        let text = format!("kind: {kind}\nmetadata: {{ name: w }}\nspec: {{ {spec} {template} }}\n");
        let said = pod(&["--patch"], &node, &text).out;
        assert_eq!(said.contains("has made stay as they are: delete them"), keeps, "{kind}: {said}");
    }
}

/// The command that each change comes with is one that kubectl takes.
#[test]
fn commands_name_what_is_there() {
    let (_keep, node) = node();
    let of = |kind: &str, metadata: &str| {
        let restart = if kind == "Job" { "Never" } else { "Always" };
        let pod = format!(
            "{{ template: {{ spec: {{ restartPolicy: {restart}, containers: [{{ name: c, image: i }}] }} }} }}"
        );
        format!("kind: {kind}\nmetadata: {{ {metadata} }}\nspec: {pod}\n")
    };
    let whole = "--patch-type whole prints all of it";
    for (text, kind, says) in [
        // of a Job nobody changes the template, and a name that the server gives is none to patch
        (of("Job", "name: j"), "strategic", vec!["no Job is patched in its place", whole, "made anew"]),
        (of("Job", "name: j"), "json", vec!["no Job is patched in its place", whole, "made anew"]),
        (of("Job", "name: j"), "whole", vec!["# kubectl replace --force -f PATCH"]),
        (of("Job", "generateName: j-"), "strategic", vec!["without a metadata.name", whole, "created"]),
        (of("Job", "generateName: j-"), "whole", vec!["# kubectl create -f PATCH"]),
        (of("Deployment", ""), "strategic", vec!["without a metadata.name", whole, "created"]),
        (of("Deployment", ""), "whole", vec!["# kubectl create -f PATCH"]),
        (of("Deployment", "name: d"), "whole", vec!["# kubectl apply -f PATCH"]),
        (
            of("Deployment", "name: d, namespace: team"),
            "strategic",
            vec!["kubectl patch Deployment/d -n team --type"],
        ),
        (
            of("Deployment", "name: d, namespace: team"),
            "json",
            vec!["kubectl patch Deployment/d -n team --type json"],
        ),
        (
            of("Job", "name: j"),
            "kustomize",
            vec!["in kustomization.yaml; then: kubectl delete Job/j && kubectl apply -k DIRECTORY"],
        ),
        (of("Deployment", "name: d"), "kustomize", vec!["kubectl apply -k DIRECTORY"]),
        (
            format!("apiVersion: apps.kruise.io/v1beta1\n{}", of("StatefulSet", "name: s")),
            "json",
            vec!["kubectl patch StatefulSet.apps.kruise.io/s --type json"],
        ),
    ] {
        let said = pod(&["--patch", "--patch-type", kind], &node, &text);
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{}", said.out);
        let how = said.out.lines().nth(2).unwrap();
        assert!(says.iter().all(|says| how.contains(says)), "{how}");
    }
    // all of the kind would be changed
    for text in [of("Job", "generateName: j-"), of("Deployment", "")] {
        let said = pod(&["--patch", "--patch-type", "kustomize"], &node, &text);
        assert_eq!((said.status, said.out.as_str(), said.err.lines().count()), (2, "", 1), "{}", said.err);
        assert!(said.err.contains("it has no metadata.name"), "{}", said.err);
    }
    let debugged = "kind: Pod\nspec: { containers: [{ name: d }], ephemeralContainers: [{ name: c }] }\n";
    let said = pod(&["--patch"], &node, debugged);
    assert!(said.status == 2 && said.err.contains("c is an ephemeral container"), "{}{}", said.out, said.err);
}

pub(crate) fn write(more: &[&str], node: &str, files: &[&Path]) -> Said {
    let files = files.iter().map(|path| path.to_str().unwrap());
    let args = ["pod", "--write", "--container", "c", "--node", node].into_iter();
    ask(&args.chain(more.iter().copied()).chain(files).collect::<Vec<_>>())
}

pub(crate) const ON_CONTAINERD: &[&str] = &["--runtime", "containerd"];

#[test]
fn files_are_changed_in_their_place() {
    let (keep, node) = node();
    let directory = keep.path().join("manifests");
    fs::create_dir(&directory).unwrap();
    let (file, link) = (directory.join("real.yaml"), directory.join("link.yaml"));
    fs::write(&file, WORKLOADS.join("--- # next\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.yaml", &link).unwrap();
    let nodes = keep.path().join("nodes");
    let said = write(&[ON_CONTAINERD, &["--node-files", nodes.to_str().unwrap()]].concat(), &node, &[&link]);
    assert_eq!((said.status, said.err.as_str()), (0, ""), "{}", said.out);
    for says in ["link.yaml: changed\n", "  Deployment/d, container c\n", "price: ", "written: "] {
        assert!(said.out.contains(says), "{says}: {}", said.out);
    }
    assert!(nodes.join("bwrap.json").exists());
    let new = fs::read_to_string(&file).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let metadata = fs::metadata(&file).unwrap();
    assert_eq!((metadata.mode() & 0o7777, new.matches("--- # next\n").count()), (0o640, 2));
    assert_eq!(pod(&[], &node, &new).status, 0, "{new}");
    assert_eq!(pod(&["--patch"], &node, &new).out.matches("nothing in it is to be changed").count(), 3);
    // again: it is not even touched
    let again = write(ON_CONTAINERD, &node, &[&file]);
    assert_eq!((again.status, again.err.as_str()), (0, ""));
    assert!(again.out.ends_with("real.yaml: nothing in it is to be changed\n"), "{}", again.out);
    let after = fs::metadata(&file).unwrap();
    assert_eq!((after.ino(), after.mtime_nsec()), (metadata.ino(), metadata.mtime_nsec()));
    // nothing else is left there
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
}

#[test]
fn what_would_not_start_is_not_written() {
    let (keep, node) = node();
    let directory = keep.path().join("manifests");
    fs::create_dir(&directory).unwrap();
    let path = |name: &str| directory.join(name);
    let shared = "kind: Pod\nspec:\n  containers:\n  - name: c\n    securityContext: &s {runAsUser: 7}\n  - name: d\n    securityContext: *s\n";
    let gone = "kind: Pod\nspec: { hostNetwork: true, containers: [{ name: c }] }\n";
    for (name, text) in [("good.yaml", WORKLOADS[0]), ("shared.yaml", shared), ("gone.yaml", gone)] {
        fs::write(path(name), text).unwrap();
    }
    let nothing = "{}";
    let unknown = keep.path().join("nothing.json");
    fs::write(&unknown, nothing).unwrap();
    let unknown = unknown.to_str().unwrap();
    let (good, shared_file, gone_file) = (path("good.yaml"), path("shared.yaml"), path("gone.yaml"));
    for (args, node, files, status, says) in [
        // the node decides, the runtime is at fault, no field helps; of two files one
        (ON_CONTAINERD, unknown, &[good.as_path()][..], 3, "Nothing is written: what the nodes say decides"),
        (&["--runtime", "cri-o=1.33.1"], &node, &[&good], 1, "Nothing is written: no change of the manifest"),
        (ON_CONTAINERD, &node, &[&good, &gone_file], 1, "Nothing is written: no change of the manifest"),
        // what cannot be edited
        (ON_CONTAINERD, &node, &[&good, &shared_file], 2, "write it out in full first"),
        (ON_CONTAINERD, &node, &[&good, &path("none.yaml")], 2, "none.yaml: No such file"),
    ] {
        let said = write(args, node, files);
        assert_eq!(said.status, status, "{args:?} {files:?}: {}{}", said.out, said.err);
        let text = if status == 2 { &said.err } else { &said.out };
        assert!(text.contains(says), "{args:?}: {}{}", said.out, said.err);
        for (name, text) in [("good.yaml", WORKLOADS[0]), ("shared.yaml", shared), ("gone.yaml", gone)] {
            assert_eq!(fs::read_to_string(path(name)).unwrap(), text);
        }
    }
    let input = ask_with_input(&["pod", "--write", "--node", &node, "-"], WORKLOADS[0].as_bytes());
    assert_eq!((input.status, input.out.as_str(), input.err.lines().count()), (2, "", 1), "{}", input.err);
    assert!(input.err.contains("-: standard input cannot be written to"), "{}", input.err);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 3);
}

/// Of an object with several pods, what is printed whole has all its changes: one after the other would take back the one before.
#[test]
fn an_object_with_several_pods_is_printed_once() {
    let (_keep, node) = node();
    let pods = "{ template: { spec: { containers: [{ name: c, image: i }] } } }";
    let text = format!(
        "apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nmetadata: {{ name: v }}\nspec: {{ tasks: [{pods}, {pods}] }}\n"
    );
    let whole = pod(&["--patch", "--patch-type", "whole"], &node, &text);
    assert_eq!(whole.status, 0, "{}", whole.err);
    assert_eq!(whole.out.matches("kubectl replace --force -f PATCH\n").count(), 1, "{}", whole.out);
    assert_eq!(
        whole.out.lines().filter(|line| line.trim() == "hostUsers: false").count(),
        2,
        "{}",
        whole.out
    );
    assert!(whole.out.contains("# Job/v spec.tasks[1].template, container c\n"), "{}", whole.out);
    let again = pod(&["--patch", "--patch-type", "whole"], &node, &whole.out);
    assert_eq!(again.out.matches("nothing in it is to be changed").count(), 2, "{}", again.out);
    // its webhook takes no change in its place
    let json = pod(&["--patch"], &node, &text).out;
    assert!(json.contains("no Job is patched in its place") && !json.contains("kubectl patch"), "{json}");
}
