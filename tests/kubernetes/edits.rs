//! What `--write` makes of a text: all else stays, and what cannot stay is refused.

use bwrap_launch::kubernetes::read;

use crate::{containerd, cured};

/// The lines of the old text are there, in their order.
#[track_caller]
fn all_else_stays(old: &str) -> String {
    let new = cured(old, &containerd()).unwrap();
    let mut lines = new.lines();
    for line in old.lines() {
        assert!(lines.any(|other| other == line), "{line}:\n{new}");
    }
    assert_eq!(cured(&new, &containerd()).as_deref(), Ok(new.as_str()), "twice is as once");
    new
}

/// A tag says what something is, and no more: what has one is edited as what has none.
#[test]
fn tags_are_in_nobodys_way() {
    for (spec, containers, item, context) in [
        ("!!map", "", "", ""),
        ("", "!!seq", "", ""),
        ("", "", "!!map # f", ""),
        ("", "", "", "!!map"),
        ("!!map", "!!seq", "!!map", "!!map"),
        ("!ours", "!ours", "!ours", "!<tag:yaml.org,2002:map>"),
    ] {
        let item = if item.is_empty() { "- ".to_owned() } else { format!("- {item}\n    ") };
        let old = format!(
            "# a\nkind: !!str Pod # b\nspec: {spec} # c\n  restartPolicy: \"Never\"   # d\n  containers: {containers}\n  # e\n  {item}name: c # g\n    \
             image: \"x\"\n    args: [ 'a',   \"b\" ]\n    securityContext: {context}\n      runAsUser: 7 # h\n  # i\n"
        );
        let new = all_else_stays(&old);
        assert!(new.contains("hostUsers: false") && new.contains("procMount: Unmasked"), "{new}");
    }
    let braces = "kind: Pod\nspec: !!map {containers: !!seq [!!map {name: c, args: [ 'a',   \"b\" ]}]} # x\n";
    let new = cured(braces, &containerd()).unwrap();
    assert!(new.contains("args: [ 'a',   \"b\" ], securityContext") && new.ends_with("} # x\n"), "{new}");
}

/// Behind a comment a field would be part of it.
#[test]
fn comments_between_braces_stay_comments() {
    for old in [
        "kind: Pod\nspec: {restartPolicy: Never, # keep\n  containers: [{name: c, image: x}], # keep\n}\n",
        "kind: Pod\nspec: {restartPolicy: Never, # keep2\n  containers: [ # keep3\n    {name: c, image: \"x\"}, # keep4\n  ], # keep5\n}\n",
        "kind: Pod\nspec: {\n  # first\n  containers: [{name: c # the one\n  }] # last\n}\n",
        "kind: Pod\nspec: {containers: [{name: c, securityContext: {runAsUser: 7, # why\n  }}], # x\n}\n",
    ] {
        let new = cured(old, &containerd()).unwrap();
        assert_eq!(new.matches("# ").count(), old.matches("# ").count(), "{new}");
        assert!(read(&new).is_ok() && new.lines().count() >= old.lines().count(), "{new}");
        assert_eq!(cured(&new, &containerd()).as_deref(), Ok(new.as_str()), "twice is as once");
    }
    // without any, what is new stands at the end, as ever
    let plain = "kind: Pod\nspec: {containers: [{name: c}]}\n";
    assert!(cured(plain, &containerd()).unwrap().ends_with("], hostUsers: false}\n"));
}

#[test]
fn each_of_two_that_are_alike_is_changed() {
    let pod = "kind: Pod\nmetadata: {name: p}\n# keep\nspec:\n  containers:\n  - name: c\n";
    let new = all_else_stays(&[pod, pod, pod].join("---\n"));
    assert_eq!(new.matches("hostUsers: false").count(), 3, "{new}");
    let items = "kind: List\nitems:\n- {kind: Pod, spec: {containers: [{name: c}]}}\n- {kind: Pod, spec: {containers: [{name: c}]}}\n";
    assert_eq!(cured(items, &containerd()).unwrap().matches("hostUsers: false").count(), 2);
}

/// As client libraries print them: what the list says of all its objects stands in none.
#[test]
fn lists_of_a_kind_are_changed_as_they_are() {
    for (kind, version, item) in [
        ("PodList", "v1", "  spec:\n    containers:\n    - name: c\n"),
        (
            "DeploymentList",
            "apps/v1",
            "  spec:\n    template:\n      spec:\n        containers:\n        - name: c\n",
        ),
    ] {
        let one = format!("- metadata:\n    name: p # keep\n{item}");
        let old = format!("apiVersion: {version}\nkind: {kind}\nitems:\n{one}{one}");
        let new = all_else_stays(&old);
        assert_eq!(new.matches("kind: ").count(), 1, "{new}");
        assert_eq!(new.matches("hostUsers: false").count(), 2, "{new}");
    }
    // one that has its own keeps it
    let own = "kind: PodList\nitems:\n- kind: Pod\n  spec:\n    containers:\n    - name: c\n";
    assert_eq!(all_else_stays(own).matches("kind: ").count(), 2);
}
