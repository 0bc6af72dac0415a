//! Constraints of OpenShift: what each refuses, what it gives a pod, and which one a change asks for.

use bwrap_launch::Version;
use bwrap_launch::host::Fact;
use bwrap_launch::kubernetes::{Answer, Cluster, Cure, Workload};

use crate::refused::{refused, starts};
use crate::{cri_o, foretell, line, one};

fn with_scc(annotation: &str, value: &str, rest: &str) -> String {
    format!(
        "kind: Pod\nmetadata: {{ name: p, annotations: {{ openshift.io/{annotation}: {value} }} }}\nspec: {rest}\n"
    )
}

#[test]
fn constraints_of_openshift_are_asked_for_by_name() {
    let clusters = [cri_o(Version::new(1, 34, 0))];
    let plain = "{ containers: [{ name: c }] }";
    for (annotation, value) in
        [("required-scc", "restricted-v2"), ("scc", "restricted-v2"), ("required-scc", "nested-container")]
    {
        let patch =
            Cure::of(&clusters, &one(&with_scc(annotation, value, plain)), "c", &line()).unwrap().patch();
        assert!(
            patch.contains("hostUsers: false") && patch.contains("required-scc: nested-container"),
            "{patch}"
        );
        assert!(!patch.contains("SETFCAP"), "{patch}");
    }
    let asks = "{ hostUsers: false, containers: [{ name: c, securityContext: { runAsUser: 1000, procMount: Unmasked } }] }";
    refused(
        &clusters[0],
        &one(&with_scc("required-scc", "restricted-v2", asks)),
        "openshift.io/required-scc is restricted-v2",
    );
    starts(&clusters[0], &one(&with_scc("required-scc", "nested-container", asks)));
    // of others nobody here knows what they admit
    starts(&clusters[0], &one(&with_scc("required-scc", "ours", asks)));
}

/// A pod of one container that asks for a constraint.
fn asks(scc: &str, spec: &str, container: &str) -> Workload {
    one(&with_scc("required-scc", scc, &format!("{{ {spec} containers: [{{ name: c, {container} }}] }}")))
}

fn openshift() -> Cluster {
    let mut cluster = cri_o(Version::new(1, 34, 0));
    cluster.node.security.selinux_filesystem = Fact::Present(true);
    cluster.node.security.selinux_enforcing = Fact::Present(true);
    cluster
}

/// Those that came with OpenShift 4.11 and later.
const ALL_V2: &[&str] = &["restricted-v2", "restricted-v3", "nonroot-v2"];

const ALL: &[&str] =
    &["restricted", "restricted-v2", "restricted-v3", "nonroot", "nonroot-v2", "anyuid", "nested-container"];

#[test]
fn each_constraint_refuses_what_it_does_not_admit() {
    let context = |fields: &str| format!("securityContext: {{ {fields} }}");
    let volume = "volumes: [{ name: v, hostPath: { path: /srv } }],";
    // by every one of them
    for (spec, container, what) in [
        ("hostNetwork: true,", String::new(), "hostNetwork: true"),
        ("hostPID: true,", String::new(), "hostPID: true"),
        ("hostIPC: true,", String::new(), "hostIPC: true"),
        ("", "ports: [{ containerPort: 80, hostPort: 80 }]".to_owned(), "a hostPort"),
        ("", context("privileged: true"), "privileged: true"),
        ("", context("seLinuxOptions: { type: spc_t }"), "seLinuxOptions.type spc_t"),
        ("", context("capabilities: { add: [SYS_ADMIN] }"), "the capability SYS_ADMIN"),
        (volume, String::new(), "a volume of the kind hostPath"),
    ] {
        for scc in ALL {
            refused(
                &openshift(),
                &asks(scc, spec, &container),
                &format!("{scc}, which does not admit: {what}"),
            );
        }
    }
    // by these, and by no other
    for (spec, container, what, by) in [
        ("", "allowPrivilegeEscalation: true", "allowPrivilegeEscalation", ALL_V2),
        (
            "",
            "capabilities: { add: [NET_BIND_SERVICE] }",
            "the capability",
            &["restricted", "nonroot", "anyuid", "nested-container"][..],
        ),
        ("", "capabilities: { add: [SETUID] }", "the capability", &ALL[..6]),
        (
            "",
            "seccompProfile: { type: RuntimeDefault }",
            "a seccompProfile",
            &["restricted", "nonroot", "anyuid"][..],
        ),
        (
            "",
            "seccompProfile: { type: Localhost, localhostProfile: a.json }",
            "another seccompProfile",
            &["restricted-v2", "restricted-v3", "nonroot-v2"][..],
        ),
        ("", "runAsUser: 1000", "runAsUser 1000", &["restricted", "restricted-v2"][..]),
        ("", "runAsUser: 0", "runAsUser 0", &ALL[..5]),
        ("", "runAsUser: 1000680000", "runAsUser", &["restricted-v3"][..]),
        ("securityContext: { fsGroup: 1000 },", "", "fsGroup 1000", &["restricted", "restricted-v2"][..]),
        ("securityContext: { supplementalGroups: [7] },", "", "supplementalGroups 7", &["restricted-v3"][..]),
        (
            "",
            "runAsNonRoot: true",
            "a pod without hostUsers: false",
            &["restricted-v3", "nested-container"][..],
        ),
    ] {
        for scc in ALL {
            let forecast = foretell(&openshift(), &asks(scc, spec, &context(container)));
            let says = |text: &str| text.contains(&format!("does not admit: {what}"));
            let said = forecast.refused.iter().any(|refused| says(&refused.text));
            assert_eq!(said, by.contains(scc), "{scc}: {spec} {container}: {:#?}", forecast.refused);
        }
    }
    // of others nobody here knows
    assert_ne!(foretell(&openshift(), &asks("ours", "hostPID: true,", "")).answer, Answer::NotStarted);
}

#[test]
fn a_constraint_gives_what_a_pod_does_not_name() {
    let unmasked = "securityContext: { procMount: Unmasked, runAsUser: 1000 }";
    starts(&openshift(), &asks("nested-container", "hostUsers: false,", unmasked));
    let first = |scc: &str, container: &str| {
        foretell(&openshift(), &asks(scc, "", container))
            .obstacles
            .first()
            .map(|finding| finding.cause.code())
    };
    assert_eq!(first("restricted-v2", ""), Some("NS01"));
    assert_eq!(first("restricted", ""), Some("PR05"));
    // its own type counts where it has one
    let mut pod =
        with_scc("scc", "ours", &format!("{{ hostUsers: false, containers: [{{ name: c, {unmasked} }}] }}"));
    assert_eq!(foretell(&openshift(), &one(&pod)).answer, Answer::Fails);
    pod = pod.replace("runAsUser: 1000", "runAsUser: 1000, seLinuxOptions: { type: container_engine_t }");
    starts(&openshift(), &one(&pod));
}

/// All of a change is for the constraint that it asks for, and nothing is left for the next time.
#[test]
fn a_change_is_held_against_its_own_constraint() {
    let hard = "allowPrivilegeEscalation: false, capabilities: { drop: [ALL] }, seccompProfile: { type: RuntimeDefault }";
    for (scc, spec, container) in [
        ("restricted-v2", "", format!("securityContext: {{ {hard} }}")),
        ("restricted-v2", "", String::new()),
        (
            "anyuid",
            "securityContext: { seccompProfile: { type: RuntimeDefault } },",
            "securityContext: { runAsUser: 0 }".to_owned(),
        ),
        ("nested-container", "", "securityContext: { runAsUser: 1000 }".to_owned()),
    ] {
        let pod = asks(scc, spec, &container);
        let cure = Cure::of(&[openshift()], &pod, "c", &line()).unwrap();
        assert_eq!(cure.forecasts[0].answer, Answer::Starts, "{scc} {spec}: {:#?}", cure.forecasts[0]);
        assert!(cure.left.is_empty(), "{:#?}", cure.left);
        assert!(
            Cure::of(&[openshift()], &cure.changed, "c", &line()).unwrap().is_empty(),
            "{}",
            cure.patch()
        );
        let refused = foretell(&openshift(), &pod).obstacles;
        let undone = refused.iter().filter_map(|finding| finding.remedies.first());
        for remedy in undone {
            assert!(!remedy.requires.iter().any(|need| need.contains("not so")), "{remedy:#?}");
        }
    }
    // what the other one does not admit either is not mended by it
    let pod = asks("restricted-v2", "hostPID: true,", "securityContext: { runAsUser: 1000 }");
    assert!(Cure::of(&[openshift()], &pod, "c", &line()).unwrap().is_empty());
}
