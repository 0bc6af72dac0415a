//! What a release has and another has not, and what some clouds have of their own.

use bwrap_launch::kubernetes::{Answer, Cluster, Cure, Runtime, Standard, read, standard};

use crate::refused::{ANNOTATION, on_kubernetes, pod, refused, starts, unmasked, with};
use crate::{containerd, foretell, line, one};

#[test]
fn a_kernel_parameter_is_safe_from_a_release_on() {
    for (name, since) in [
        ("net.ipv4.ip_local_reserved_ports", 27),
        ("net.ipv4.tcp_keepalive_time", 29),
        ("net.ipv4.tcp_fin_timeout", 29),
        ("net.ipv4.tcp_rmem", 32),
        ("net.ipv4.tcp_slow_start_after_idle", 37),
    ] {
        let sets = |container: &str| {
            pod(&format!("securityContext: {{ sysctls: [{{ name: {name}, value: '1' }}] }},"), container)
        };
        let strong = sets("securityContext: { privileged: true }");
        starts(&on_kubernetes(since), &strong);
        let before = foretell(&on_kubernetes(since - 1), &strong);
        assert_eq!(before.answer, Answer::DependsOnNode, "{name}");
        assert!(before.ask[0].contains(&format!("lets pods set {name}")), "{:?}", before.ask);
        let plain = sets("image: x");
        assert_eq!(standard(&plain, &on_kubernetes(since)).0, Standard::Baseline, "{name}");
        assert_eq!(standard(&plain, &on_kubernetes(since - 1)).0, Standard::Privileged, "{name}");
    }
    // of a release that nobody tells, the latest is not counted on
    let nobody = with(|cluster| cluster.kubernetes = None);
    let sets = |name: &str| {
        let spec = format!("securityContext: {{ sysctls: [{{ name: {name}, value: '1' }}] }},");
        foretell(&nobody, &pod(&spec, "securityContext: { privileged: true }")).answer
    };
    assert_eq!(sets("net.ipv4.tcp_rmem"), Answer::Starts);
    assert_eq!(sets("net.ipv4.tcp_notsent_lowat"), Answer::DependsOnNode);
}

#[test]
fn a_field_that_is_not_there_is_compared_with_nothing() {
    let field = pod(
        "",
        "securityContext: { runAsUser: 1000, appArmorProfile: { type: Localhost, localhostProfile: foo } }",
    );
    let on = |minor: u32| {
        let mut cluster = on_kubernetes(minor);
        cluster.node.security.apparmor_enabled = bwrap_launch::host::Fact::Present(true);
        cluster
    };
    let forecast = foretell(&on(28), &field);
    assert!(forecast.refused.iter().any(|refused| refused.text.contains("has no field appArmorProfile")));
    assert_eq!(forecast.answer, Answer::Fails);
    let cure = Cure::of(&[on(28)], &field, "c", &line()).unwrap();
    assert!(cure.patch().contains("localhost/bwrap-nested"), "{}", cure.patch());
    assert!(!foretell(&on(30), &field).refused.iter().any(|refused| refused.text.contains("has no field")));
    let other = |minor: u32| {
        let text = format!(
            "kind: Pod\nmetadata: {{ name: p, annotations: {{ {ANNOTATION}/c: unconfined }} }}\nspec: {{ containers: [{{ name: c, securityContext: \
             {{ runAsUser: 1000, appArmorProfile: {{ type: RuntimeDefault }} }} }}] }}\n"
        );
        foretell(&on(minor), &one(&text)).answer
    };
    assert_eq!((other(29), other(30)), (Answer::Fails, Answer::NotStarted));
}

#[test]
fn what_pod_security_admits_depends_on_its_release() {
    let typed = pod("", "securityContext: { seLinuxOptions: { type: container_engine_t } }");
    assert_eq!(standard(&typed, &on_kubernetes(30)).0, Standard::Privileged);
    assert_eq!(standard(&typed, &on_kubernetes(31)).0, Standard::Baseline);
}

#[test]
fn a_sidecar_stays_where_it_is_known() {
    let beside = unmasked("initContainers: [{ name: s, restartPolicy: Always }],", "");
    let of = |minor: u32| {
        let forecast = on_kubernetes(minor).foretell(&beside, "c", &line()).unwrap();
        forecast
            .refused
            .into_iter()
            .any(|refused| refused.text.contains("drops restartPolicy of the init container s"))
    };
    assert!(of(27) && of(28) && !of(29));
    let itself = on_kubernetes(27).foretell(&beside, "s", &line()).unwrap();
    assert!(!itself.refused.iter().any(|refused| refused.text.contains("drops restartPolicy")));
}

#[test]
fn eks_auto_mode_has_no_user_namespaces() {
    let of = |kind: &str| {
        pod(
            &format!("nodeSelector: {{ eks.amazonaws.com/compute-type: {kind} }},"),
            "securityContext: { runAsUser: 1000 }",
        )
    };
    let nobody = Cluster::new(Runtime::Containerd);
    let forecast = foretell(&nobody, &of("auto"));
    assert_eq!(forecast.obstacles[0].cause.code(), "NS12", "{forecast:#?}");
    assert!(Cure::of(std::slice::from_ref(&nobody), &of("auto"), "c", &line()).unwrap().is_empty());
    assert_eq!(foretell(&nobody, &of("ec2")).obstacles[0].cause.code(), "PR01");
    // what was read on a node of the kind counts
    assert_eq!(foretell(&containerd(), &of("auto")).obstacles[0].cause.code(), "PR01");
}

#[test]
fn autopilot_is_known_by_its_classes_and_asked_about_one_capability() {
    let class = |name: &str, added: &str| {
        pod(
            &format!("nodeSelector: {{ cloud.google.com/compute-class: {name} }},"),
            &format!("securityContext: {{ runAsUser: 1000, capabilities: {{ add: [{added}] }} }}"),
        )
    };
    for name in ["autopilot", "Balanced", "Scale-Out", "Performance"] {
        refused(&containerd(), &class(name, "SYS_ADMIN"), "GKE Warden says");
        assert_ne!(foretell(&containerd(), &class(name, "NET_ADMIN")).answer, Answer::NotStarted, "{name}");
    }
    assert_ne!(foretell(&containerd(), &class("mine", "SYS_ADMIN")).answer, Answer::NotStarted);
}

/// Containers of Google's service are in no pod.
#[test]
fn cloud_run_is_no_kubernetes() {
    let containers = "containers: [{ name: c, image: x }]";
    for text in [
        format!(
            "apiVersion: run.googleapis.com/v1\nkind: Job\nmetadata: {{ name: j }}\nspec: {{ template: {{ spec: {{ template: {{ spec: {{ {containers} }} }} }} }} }}\n"
        ),
        format!(
            "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {{ name: s, annotations: {{ run.googleapis.com/ingress: all }} }}\n\
             spec: {{ template: {{ spec: {{ {containers} }} }} }}\n"
        ),
    ] {
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains("Cloud Run") && !error.contains("kubectl get pod"), "{error}");
    }
    let knative = "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: { name: s }\nspec: { template: { spec: { containers: [{ image: x }] } } }\n";
    assert!(!read(knative).unwrap_err().to_string().contains("Cloud Run"));
}
