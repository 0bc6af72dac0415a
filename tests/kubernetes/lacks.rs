//! What a runtime, or a release of Kubernetes, has not or does not do; each with a neighbour that is well.

use bwrap_launch::Version;
use bwrap_launch::host::{CapabilitySet, Fact};
use bwrap_launch::kubernetes::{Answer, Cluster, Runtime};

use crate::refused::{on_kubernetes, pod, refused, starts, with};
use crate::server::with_fields;
use crate::{containerd, foretell, one};

/// What a release or a runtime has no more, or not yet.
#[test]
fn what_the_node_has_not_is_told() {
    use bwrap_launch::Version;
    use bwrap_launch::kubernetes::Runtime;
    let pod = |spec: &str, fields: &str| {
        one(&format!(
            "kind: Pod\nmetadata: {{ name: p }}\nspec: {{ {spec} containers: [{{ name: c, image: x, {fields} securityContext: {{ privileged: true }} }}] }}\n"
        ))
    };
    let on = |runtime: Runtime, version: Version, minor: u32| {
        with(|cluster| {
            cluster.runtime = runtime;
            cluster.runtime_version = Some(version);
            cluster.kubernetes = Some((1, minor));
        })
    };
    let (old, new) = (Version::new(1, 7, 20), Version::new(2, 1, 0));
    let mounted = |volume: &str, mount: &str| {
        pod(
            &format!("volumes: [{{ name: v, {volume} }}],"),
            &format!("volumeMounts: [{{ name: v, mountPath: /v, {mount} }}],"),
        )
    };
    let strict = pod("securityContext: { supplementalGroupsPolicy: Strict },", "");
    refused(&on(Runtime::Containerd, old, 33), &strict, "SupplementalGroupsPolicyNotSupported");
    starts(&on(Runtime::Containerd, new, 33), &strict);
    starts(&on(Runtime::Containerd, old, 31), &strict);
    starts(
        &on(Runtime::Containerd, old, 33),
        &pod("securityContext: { supplementalGroupsPolicy: Merge },", ""),
    );
    let image = mounted("image: { reference: a }", "");
    refused(&on(Runtime::Containerd, Version::new(2, 0, 0), 35), &image, "failed to mount image volume");
    starts(&on(Runtime::Containerd, new, 35), &image);
    let cri_o = foretell(&on(Runtime::CriO, Version::new(1, 34, 0), 35), &image);
    assert!(!cri_o.refused.iter().any(|refused| refused.text.contains("image volume")));
    let gone = mounted("rbd: { monitors: [a], image: b }", "");
    refused(&containerd(), &gone, "no volume plugin matched");
    starts(&on_kubernetes(30), &gone);
    starts(&containerd(), &mounted("awsElasticBlockStore: { volumeID: a }", ""));
    refused(&containerd(), &mounted("emptyDir: { medium: memory }", ""), "unknown storage medium \"memory\"");
    for medium in ["Memory", "''", "HugePages-2Mi"] {
        starts(&containerd(), &mounted(&format!("emptyDir: {{ medium: {medium} }}"), ""));
    }
}

/// Handlers that begin as the usual ones are called, and run a machine.
#[test]
fn a_handler_is_known_by_its_whole_name() {
    for (handler, asked) in [
        ("crun-vm", true),
        ("crun-krun", true),
        ("runcvm", true),
        ("kata", true),
        ("crun", false),
        ("nvidia-cdi", false),
        ("runc-userns", false),
    ] {
        let text = format!(
            "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {{ name: foo }}\nhandler: {handler}\n---\n{}",
            with_fields("runtimeClassName: foo,", "")
        );
        let forecast = foretell(&containerd(), &one(&text));
        let found = forecast.ask.iter().any(|question| question.contains("what runs the RuntimeClass foo"));
        assert_eq!(found, asked, "{handler}");
    }
}

/// A node of Red Hat's, with a runtime.
fn confining(runtime: Runtime, version: Version) -> Cluster {
    with(|cluster| {
        cluster.runtime = runtime;
        cluster.runtime_version = Some(version);
        cluster.node.process.bounding = Fact::Present(CapabilitySet(0x1ff_ffff_ffff));
        cluster.node.security.selinux_filesystem = Fact::Present(true);
        cluster.node.security.selinux_enforcing = Fact::Present(true);
    })
}

/// Who shares a namespace with the node, or is privileged, has no label, whatever he asks for.
#[test]
fn no_label_is_given_to_those_that_share_a_namespace_or_are_privileged() {
    let cri_o = confining(Runtime::CriO, Version::new(1, 33, 5));
    let user = "securityContext: { runAsUser: 1000 }";
    let first = |cluster: &Cluster, pod| {
        let forecast = foretell(cluster, &pod);
        forecast.obstacles.first().map(|finding| finding.cause.code())
    };
    for host in ["hostNetwork", "hostPID", "hostIPC"] {
        assert_eq!(first(&cri_o, pod(&format!("{host}: true,"), user)), Some("PR01"), "{host}");
        let with_proc = pod(
            &format!("{host}: true, volumes: [{{ name: p, hostPath: {{ path: / }} }}],"),
            &format!("{user}, volumeMounts: [{{ name: p, mountPath: /host }}]"),
        );
        starts(&cri_o, &with_proc);
    }
    assert_eq!(first(&cri_o, pod("", user)), Some("PR05"));
    assert_eq!(first(&cri_o, pod("hostNetwork: false,", user)), Some("PR05"));
    let containerd = confining(Runtime::Containerd, Version::new(2, 2, 0));
    let open = foretell(&containerd, &pod("hostNetwork: true,", user));
    assert!(open.obstacles.iter().any(|finding| finding.cause.code() == "PR05"), "{:#?}", open.obstacles);
    let typed = |privileged: bool, kind: &str| {
        pod(
            "",
            &format!(
                "securityContext: {{ privileged: {privileged}, runAsUser: 1000, seLinuxOptions: {{ type: {kind} }} }}"
            ),
        )
    };
    for cluster in [&cri_o, &containerd] {
        starts(cluster, &typed(true, "container_t"));
        let all = pod(
            "securityContext: { seLinuxOptions: { type: container_t } },",
            "securityContext: { privileged: true, runAsUser: 1000 }",
        );
        starts(cluster, &all);
        assert!(
            foretell(cluster, &typed(false, "container_t"))
                .obstacles
                .iter()
                .any(|one| one.cause.code() == "PR05")
        );
        assert!(
            !foretell(cluster, &typed(false, "spc_t")).obstacles.iter().any(|one| one.cause.code() == "PR05")
        );
    }
}

/// CRI-O takes filters from registries, by an annotation.
#[test]
fn a_filter_from_a_registry_is_asked_about() {
    let cri_o = with(|cluster| {
        cluster.runtime = Runtime::CriO;
        cluster.runtime_version = Some(Version::new(1, 34, 1));
        cluster.node.process.bounding = Fact::Present(CapabilitySet(0x1ff_ffff_ffff));
    });
    let of = |key: &str, context: &str| {
        let text = format!(
            "kind: Pod\nmetadata: {{ name: p, annotations: {{ {key}: quay.io/x:v1 }} }}\nspec: {{ {context} }}\n"
        );
        one(&text)
    };
    let user = "hostUsers: false, containers: [{ name: c, securityContext: { procMount: Unmasked, runAsUser: 1000 } }]";
    for key in [
        "seccomp-profile.kubernetes.cri-o.io/c",
        "seccomp-profile.kubernetes.cri-o.io/POD",
        "seccomp-profile.crio.io/c",
    ] {
        let forecast = foretell(&cri_o, &of(key, user));
        assert_eq!(forecast.answer, Answer::DependsOnNode, "{key}");
        assert!(forecast.ask[0].contains("quay.io/x:v1"), "{:?}", forecast.ask);
        starts(&containerd(), &of(key, user));
        starts(&cri_o, &of(key, "containers: [{ name: c, securityContext: { privileged: true } }]"));
    }
    starts(&cri_o, &of("seccomp-profile.kubernetes.cri-o.io/d", user));
}

/// The ids of a pod's containers begin with what made them.
#[test]
fn a_pod_that_runs_tells_its_runtime() {
    let of = |status: &str| {
        one(&format!("kind: Pod\nspec: {{ containers: [{{ name: c }}] }}\nstatus: {{ {status} }}\n"))
            .runtime()
    };
    for (status, runtime) in [
        ("containerStatuses: [{ name: c, containerID: 'containerd://7a' }]", Some(Runtime::Containerd)),
        (
            "containerStatuses: [{ name: c }], initContainerStatuses: [{ containerID: 'cri-o://7a' }]",
            Some(Runtime::CriO),
        ),
        ("containerStatuses: [{ name: c, containerID: 'docker://7a' }]", None),
        ("containerStatuses: [{ name: c, containerID: '' }]", None),
        ("phase: Pending", None),
    ] {
        assert_eq!(of(status), runtime, "{status}");
    }
}
