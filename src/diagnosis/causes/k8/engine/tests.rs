#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::diagnosis::fixtures::machine;
use crate::diagnosis::{Diagnosis, Symptom, diagnose};

/// As engines print them, with the codes and words of the first remedy.
const SAID: &str = include_str!("said.tsv");

fn found(text: &str) -> Diagnosis {
    diagnose(&Symptom::from_text(text.as_bytes()), &machine(), None)
}

#[test]
fn what_engines_refuse_is_not_kubernetes_word() {
    for row in SAID.lines() {
        let fields: Vec<&str> = row.split('\t').collect();
        let [code, helps, text] = fields[..] else { panic!("{row}") };
        let text = text.replace('\u{23ce}', "\n");
        for text in [text.clone(), format!("$ ./start\n{text}\n$")] {
            let diagnosis = found(&text);
            let first = &diagnosis.causes[0];
            assert_eq!(first.cause.code(), code, "{text}: {diagnosis}");
            assert!(diagnosis.brief().starts_with("The engine did not start the container; "), "{diagnosis}");
            assert!(first.summary.starts_with("the container was not started: "), "{diagnosis}");
            assert!(first.remedies[0].summary.starts_with(helps), "{text}: {diagnosis}");
            assert!(!diagnosis.causes[0].evidence[0].text.contains("Kubernetes"), "{diagnosis}");
        }
    }
}

#[test]
fn what_kubernetes_passes_on_stays_its_word() {
    for (code, text) in [
        (
            "K807",
            "  Warning  Failed  3s  kubelet  Error: failed to create containerd task: apparmor failed to apply profile: write /proc/self/attr/apparmor/exec: no such file or directory",
        ),
        (
            "K807",
            "Error: failed to start container \"agent\": Error response from daemon: OCI runtime create failed: apparmor failed to apply profile: no such file or directory",
        ),
        (
            "K807",
            "crictl: rpc error: apparmor failed to apply profile: write /proc/self/attr/apparmor/exec: no such file\non our nodes",
        ),
        (
            "K807",
            "containerd log: level=error msg=\"apparmor failed to apply profile: write /proc/self/attr/apparmor/exec: no such file or directory\"",
        ),
        ("K807", "The pod's events:\nAppArmor profile \"bwrap-nested\" specified but not loaded"),
        (
            "K813",
            "Error: setup seccomp: from field: load local profile: decoding seccomp profile failed: invalid character 'a'",
        ),
    ] {
        let diagnosis = found(text);
        assert_eq!(diagnosis.causes[0].cause.code(), code, "{text}");
        assert!(diagnosis.brief().starts_with("Kubernetes did not start the pod"), "{diagnosis}");
    }
}

#[test]
fn words_like_these_say_nothing_else() {
    for text in [
        "docker: Error response from daemon: pull access denied for x, repository does not exist",
        "if strings.Contains(err.Error(), \"decoding seccomp profile failed\") { return retry }",
        "opening seccomp profile /etc/bwrap.json",
        "Why does bwrap need a user namespace? The docs mention: privileged mode is incompatible with user namespaces.",
        "Release notes: fixed \"opening seccomp profile (x) failed: no such file\". ",
        "error: opening seccomp profile /etc/bwrap.bpf failed: bwrap --seccomp 10 10</etc/bwrap.bpf",
        "invalid --security-opt 1: \"sytempaths=unconfined\"",
    ] {
        assert_eq!(found(text).causes[0].cause.code(), "UN01", "{text}");
    }
    // bwrap's own word counts more
    let text = "docker: Error response from daemon: Decoding seccomp profile failed: x\n$ docker run x\nbwrap: Can't mkdir /srv/x: Read-only file system";
    assert_eq!(found(text).causes[0].cause.code(), "BD03");
}
