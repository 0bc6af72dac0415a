//! A field of the pod is a field of all its containers: no change for one of them keeps another from starting.

use bwrap_launch::kubernetes::{Answer, Cure};

use crate::{containerd, foretell, line, one};

fn cure(text: &str) -> String {
    Cure::of(&[containerd()], &one(text), "c", &line()).unwrap().patch()
}

#[test]
fn a_user_namespace_is_proposed_for_no_pod_whose_other_containers_have_none() {
    let nfs = "volumes: [{ name: home, nfs: { server: s, path: / } }]";
    let dev = "volumes: [{ name: home, hostPath: { path: /dev } }]";
    let mounts = "volumeMounts: [{ name: home, mountPath: /home }]";
    for (volumes, list, other) in [
        (nfs, "containers", mounts),
        (dev, "containers", mounts),
        (nfs, "initContainers", mounts),
        (nfs, "initContainers", "restartPolicy: Always, volumeMounts: [{ name: home, mountPath: /home }]"),
        ("", "containers", "securityContext: { runAsUser: 100000 }"),
        ("", "initContainers", "securityContext: { runAsGroup: 1000680000 }"),
    ] {
        let (first, own) = if list == "containers" {
            ("", format!(", {{ name: side, {other} }}"))
        } else {
            (other, String::new())
        };
        let first = if first.is_empty() {
            String::new()
        } else {
            format!("initContainers: [{{ name: side, {first} }}],")
        };
        let text = format!(
            "kind: Pod\nmetadata: {{ name: p }}\nspec: {{ {first} containers: [{{ name: c }}{own}], {volumes} }}\n"
        );
        assert!(!cure(&text).contains("hostUsers"), "{text}");
        let refused = foretell(&containerd(), &one(&text.replace("spec: {", "spec: { hostUsers: true,")));
        assert_ne!(refused.answer, Answer::NotStarted, "{text}");
    }
}

/// What others mount without harm is theirs.
#[test]
fn other_containers_that_start_are_in_nobodys_way() {
    for other in ["volumeMounts: [{ name: home, mountPath: /home }]", "securityContext: { runAsUser: 7 }"] {
        let text = format!(
            "kind: Pod\nmetadata: {{ name: p }}\nspec: {{ containers: [{{ name: c }}, {{ name: side, {other} }}], volumes: [{{ name: home, emptyDir: {{}} }}, {{ name: unused, nfs: {{}} }}] }}\n"
        );
        assert!(cure(&text).contains("hostUsers: false"), "{text}");
    }
}

/// A container waits for those that start the pod up, and for no other.
#[test]
fn who_comes_after_those_that_start_the_pod_up_waits_for_them() {
    let side = "{ name: side, securityContext: { runAsUser: 100000 } }";
    let own = "{ name: c, securityContext: { procMount: Unmasked } }";
    let pod = |lists: &str| {
        one(&format!("kind: Pod\nmetadata: {{ name: p }}\nspec: {{ hostUsers: false, {lists} }}\n"))
    };
    let after = pod(&format!("initContainers: [{side}], containers: [{own}]"));
    let forecast = containerd().foretell(&after, "c", &line()).unwrap();
    assert_eq!(forecast.answer, Answer::NotStarted);
    assert!(forecast.refused[0].text.starts_with("container side: "), "{:?}", forecast.refused);
    // what is the whole pod's is said once
    let mut none = containerd();
    none.node
        .sysctls
        .insert("user.max_user_namespaces".into(), bwrap_launch::host::Fact::Present("0".into()));
    let forecast = none.foretell(&after, "c", &line()).unwrap();
    let about = forecast.refused.iter().filter(|refused| refused.text.contains("user.max_user_namespaces"));
    assert_eq!(about.count(), 1, "{:?}", forecast.refused);
    let beside = pod(&format!("containers: [{own}, {side}]"));
    assert_eq!(containerd().foretell(&beside, "c", &line()).unwrap().answer, Answer::Starts);
    let before = pod(&format!("initContainers: [{own}, {side}], containers: [{{ name: d }}]"));
    assert_eq!(containerd().foretell(&before, "c", &line()).unwrap().answer, Answer::Starts);
}

/// Nobody has so many containers; they take no time all the same.
#[test]
fn many_containers_take_little_time() {
    let names: Vec<String> = (0..990).map(|n| format!("{{ name: c{n} }}")).collect();
    let annotation = "container.apparmor.security.beta.kubernetes.io/c700: unconfined";
    let pod = one(&format!(
        "kind: Pod\nmetadata: {{ name: p, annotations: {{ {annotation} }} }}\nspec: {{ containers: [{}] }}\n",
        names.join(", ")
    ));
    let begin = crate::busy::busy();
    for name in pod.containers() {
        let forecast = containerd().foretell(&pod, name, &line()).unwrap();
        assert_eq!((forecast.answer, forecast.refused.len()), (Answer::Fails, 0), "{name}");
    }
    let took = crate::busy::busy().saturating_sub(begin);
    assert!(took.as_secs() < 30, "{took:?}");
}
