//! What `bwrap-doctor pod` leaves to others: profiles that somebody chose, and what no cluster has by itself.

use std::fs;

use crate::ask;
use crate::pod::node;
use crate::pod_change::{ON_CONTAINERD, pod, write};

/// A profile that somebody chose is asked about: no status says that all is well.
#[test]
fn a_profile_that_may_be_right_is_not_written_over() {
    let (keep, node) = node();
    let file = keep.path().join("pod.yaml");
    let text = "kind: Pod\nspec:\n  hostUsers: false\n  containers:\n  - name: c\n    securityContext:\n      procMount: Unmasked\n      seccompProfile: \
                {type: Localhost, localhostProfile: ours.json} # ours\n";
    fs::write(&file, text).unwrap();
    let said = write(ON_CONTAINERD, &node, &[&file]);
    assert_eq!((said.status, said.err.as_str()), (3, ""), "{}", said.out);
    for says in [
        "may deny new namespaces [NS01]",
        "not known: what the filter ours.json",
        "Nothing is written: what the nodes say",
    ] {
        assert!(said.out.contains(says), "{says}: {}", said.out);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    let patched = pod(&["--patch"], &node, text);
    assert_eq!(patched.status, 3);
    assert!(
        patched.out.contains("# may stand in the way: ") && !patched.out.contains("no field of the pod"),
        "{}",
        patched.out
    );
}

/// What no cluster has by this name is changed where it stands.
#[test]
fn a_part_of_a_configuration_has_no_command() {
    let (_keep, node) = node();
    for head in ["apiVersion: v1\nkind: PodTemplate\nmetadata: { name: t }\n", "metadata: { name: t }\n", ""]
    {
        let text = format!("{head}spec: {{ containers: [{{ name: c }}] }}\n");
        for kind in ["strategic", "json", "whole"] {
            let said = pod(&["--patch", "--patch-type", kind], &node, &text);
            let how = said.out.lines().nth(2).unwrap();
            assert!(
                said.status == 0 && how.starts_with("# no cluster has this by itself"),
                "{kind}: {}",
                said.out
            );
        }
        let said = pod(&["--patch", "--patch-type", "kustomize"], &node, &text);
        assert!(said.status == 2 && said.err.contains("no cluster has this by itself"), "{}", said.err);
    }
    let own = "apiVersion: v1\nkind: PodTemplate\nmetadata: { name: t }\ntemplate: { spec: { containers: [{ name: c }] } }\n";
    assert!(pod(&["--patch"], &node, own).out.contains("# kubectl patch PodTemplate/t "));
}

/// What a file becomes is what whoever wrote it expects, or it stays as it is.
#[test]
fn files_of_several_objects_and_of_other_letters() {
    let (keep, node) = node();
    let pod = |name: &str| {
        format!(
            "{{\"kind\":\"Pod\",\"metadata\":{{\"name\":\"{name}\"}},\"spec\":{{\"containers\":[{{\"name\":\"c\"}}]}}}}\n"
        )
    };
    let both = keep.path().join("both.json");
    fs::write(&both, pod("a") + &pod("b")).unwrap();
    let args = ["pod", "--write", "--node", &node, "--runtime", "containerd", both.to_str().unwrap()];
    let said = ask(&args);
    assert_eq!((said.status, said.err.as_str()), (0, ""), "{}", said.out);
    assert!(said.out.contains("Several were changed: --container NAME"), "{}", said.out);
    assert_eq!(
        fs::read_to_string(&both).unwrap().lines().filter(|line| line.contains("Unmasked")).count(),
        2
    );
    // PowerShell's
    let wide = keep.path().join("wide.yaml");
    let bytes: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(pod("a").encode_utf16().flat_map(u16::to_le_bytes)).collect();
    fs::write(&wide, &bytes).unwrap();
    let said = write(ON_CONTAINERD, &node, &[&wide]);
    assert!(said.status == 2 && said.err.contains("is UTF-16: save it as UTF-8 first"), "{}", said.err);
    assert_eq!(fs::read(&wide).unwrap(), bytes);
}

/// A change that waits for somebody is no change yet.
#[test]
fn what_is_paused_is_told_to_be() {
    let (_keep, node) = node();
    let deployment = |more: &str| {
        format!(
            "kind: Deployment\nmetadata: {{ name: d }}\nspec: {{ {more} template: {{ spec: {{ containers: [{{ name: c }}] }} }} }}\n"
        )
    };
    let says = "# it is paused: no pod has the change before kubectl rollout resume Deployment/d\n";
    let paused = pod(&["--patch"], &node, &deployment("paused: true,"));
    assert!(paused.out.contains(says), "{}", paused.out);
    assert!(!pod(&["--patch"], &node, &deployment("paused: false,")).out.contains("is paused"));
}
