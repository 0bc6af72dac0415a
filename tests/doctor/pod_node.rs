//! What tells `bwrap-doctor pod` of the nodes without being asked: the pod itself, and the node as Kubernetes has it.

use std::fs;

use crate::ask_with_input;
use crate::pod::node;

const POD: &str = "{ kind: Pod, metadata: { name: a, uid: 7a }, spec: { hostUsers: false, containers: [{ name: c, image: x, \
                   securityContext: { procMount: Unmasked, runAsUser: 1000 } }] }, status: { containerStatuses: [{ name: c, \
                   containerID: 'containerd://abc' }] } }";

#[test]
fn a_pod_that_runs_is_judged_for_what_runs_it() {
    let (_keep, node) = node();
    let said = ask_with_input(&["pod", "--node", &node, "-"], POD.as_bytes());
    assert_eq!(
        (said.status, said.out.contains("CRI-O"), said.out.contains("gVisor")),
        (0, false, false),
        "{}",
        said.out
    );
    // who says another means it, and without ids all are
    let named = ask_with_input(&["pod", "--runtime", "cri-o=1.33.1", "--node", &node, "-"], POD.as_bytes());
    assert!(named.status == 1 && named.out.contains("CRI-O"), "{}", named.out);
    let unknown =
        ask_with_input(&["pod", "--node", &node, "-"], POD.replace("containerd://abc", "").as_bytes());
    assert!(unknown.out.contains("CRI-O") && unknown.out.contains("gVisor"), "{}", unknown.out);
}

#[test]
fn a_node_may_be_kubernetes_own() {
    let keep = tempfile::tempdir().unwrap();
    let path = keep.path().join("node.json");
    let shown = path.to_str().unwrap();
    let info = |kernel: &str, runtime: &str, kubelet: &str| {
        format!(
            r#"{{ "apiVersion": "v1", "kind": "Node", "metadata": {{ "name": "n" }}, "status": {{ "nodeInfo": {{ "kernelVersion": "{kernel}",
            "containerRuntimeVersion": "{runtime}", "kubeletVersion": "{kubelet}" }} }} }}"#
        )
    };
    let waiting = POD.replace("containerd://abc", "");
    for (text, args, status, says) in [
        (
            info("6.12.0", "containerd://1.7.27", "v1.33.3"),
            &[][..],
            1,
            "containerd 1.7.27 does not support user namespaces",
        ),
        (info("5.10.0", "containerd://2.1.0", "v1.33.3"), &[], 1, "the node has 5.10.0"),
        (info("6.12.0", "containerd://2.1.0", "v1.29.3"), &[], 1, "Kubernetes 1.29 drops hostUsers"),
        (
            info("6.12.0", "containerd://2.1.0", "v1.29.3"),
            &["--kubernetes", "1.33"],
            3,
            "containerd: cannot be told",
        ),
        (
            info("6.12.0", "docker://27.0", "v1.33.3"),
            &["--runtime", "cri-o=1.34.0"],
            3,
            "CRI-O: cannot be told",
        ),
        (
            r#"{ "apiVersion": "v1", "kind": "Pod" }"#.to_owned(),
            &[],
            2,
            "a manifest, and no facts of a machine",
        ),
        ("apiVersion: v1\nkind: Node\n".to_owned(), &[], 2, "kubectl get node NAME -o json"),
    ] {
        fs::write(&path, &text).unwrap();
        let all: Vec<&str> = ["pod", "--node", shown].iter().chain(args).chain(&["-"]).copied().collect();
        let said = ask_with_input(&all, waiting.as_bytes());
        assert!(
            said.status == status && (said.out.clone() + &said.err).contains(says),
            "{text}: {}{}",
            said.out,
            said.err
        );
    }
}
