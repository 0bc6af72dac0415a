//! What a place has of its own: cards, constraints of OpenShift, classes and volumes that stand in the same manifest.

use bwrap_launch::host::Fact;
use bwrap_launch::kubernetes::{Answer, Cluster, Runtime, read};
use bwrap_launch::{Command, Sandbox};

use crate::refused::{cure, on_kubernetes, pod, refused, starts, unmasked, with};
use crate::{containerd, foretell, one};

const CARD: &str = "resources: { limits: { nvidia.com/gpu: 1 } }";

fn bound_proc() -> Sandbox {
    let words = "--ro-bind /usr /usr --ro-bind /proc /proc --dev /dev --unshare-all ps";
    Command::from_args(words.split_whitespace()).unwrap().get_sandbox().clone()
}

#[test]
fn cards_are_asked_about_and_get_no_user_namespace() {
    for plain in [
        pod("", CARD),
        pod("runtimeClassName: nvidia,", ""),
        pod("", "env: [{ name: NVIDIA_VISIBLE_DEVICES, value: all }]"),
    ] {
        let cure = cure(&[containerd()], &plain);
        assert!(!cure.patch().contains("hostUsers"), "{}", cure.patch());
        let masked = &cure.left[0].remedies;
        assert!(masked[0].summary.starts_with("Bind the outer /proc"), "{masked:#?}");
        assert!(masked.iter().any(|remedy| remedy.requires.iter().any(|needs| needs.contains("NVIDIA"))));
    }
    let asks = |pod| foretell(&containerd(), pod).ask.join("; ");
    let privileged = pod("", &format!("securityContext: {{ privileged: true }}, {CARD}"));
    assert_eq!(foretell(&containerd(), &privileged).answer, Answer::DependsOnNode);
    assert!(asks(&privileged).contains("/proc/driver/nvidia") && asks(&privileged).contains("[PR02]"));
    assert!(
        asks(&pod("hostUsers: false,", &format!("securityContext: {{ procMount: Unmasked }}, {CARD}")))
            .contains("hostUsers")
    );
    // nobody hides anything from whoever binds it
    assert_eq!(containerd().foretell(&privileged, "c", &bound_proc()).unwrap().answer, Answer::Starts);
    // none for this container, or none at all
    starts(&containerd(), &unmasked("", "runAsUser: 7"));
    for none in [
        "resources: { limits: { nvidia.com/gpu: 0 } }",
        "env: [{ name: NVIDIA_VISIBLE_DEVICES, value: void }]",
        "resources: { limits: { amd.com/gpu: 1 } }",
    ] {
        assert!(cure(&[containerd()], &pod("", none)).patch().contains("hostUsers: false"), "{none}");
    }
}

/// The overflow user, of whom only a setuid bwrap has two.
#[test]
fn nobody_is_a_user_like_others() {
    for context in [
        "runAsUser: 65534",
        "runAsUser: 1000, runAsGroup: 65534",
        "runAsUser: 65534, allowPrivilegeEscalation: false",
    ] {
        let nobody = unmasked("", context);
        starts(&containerd(), &nobody);
        let assumed = foretell(&containerd(), &nobody).assumed.join("; ");
        assert_eq!(assumed.contains("[UM14]"), !context.contains("allow"), "{context}: {assumed}");
    }
    assert!(
        foretell(&containerd(), &unmasked("", "runAsUser: 1000"))
            .assumed
            .iter()
            .all(|text| !text.contains("setuid"))
    );
}

fn with_class(handler: &str) -> Vec<bwrap_launch::kubernetes::Workload> {
    let class = format!(
        "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {{ name: mine }}\nhandler: {handler}\n"
    );
    read(&format!("{class}---\nkind: Pod\nmetadata: {{ name: p }}\nspec: {{ runtimeClassName: mine, containers: [{{ name: c }}] }}\n")).unwrap()
}

#[test]
fn a_class_of_the_same_manifest_tells_what_runs_it() {
    assert_eq!(foretell(&containerd(), &with_class("runsc")[0]).runtime, Runtime::GVisor);
    for usual in ["crun", "runc"] {
        let forecast = foretell(&containerd(), &with_class(usual)[0]);
        assert_eq!((forecast.answer, forecast.ask.len()), (Answer::Fails, 0), "{usual}");
        assert!(cure(&[containerd()], &with_class(usual)[0]).patch().contains("hostUsers: false"));
    }
    assert_eq!(foretell(&containerd(), &with_class("kata")[0]).answer, Answer::DependsOnNode);
}

#[test]
fn volumes_of_strange_filesystems_are_asked_about() {
    let of = |volume: &str| {
        let text = format!("volumes: [{{ name: v, {volume} }}],");
        pod(
            &format!("hostUsers: false, {text}"),
            "securityContext: { procMount: Unmasked }, volumeMounts: [{ name: v, mountPath: /v }]",
        )
    };
    for driver in [
        "s3.csi.aws.com",
        "gcsfuse.csi.storage.gke.io",
        "blob.csi.azure.com",
        "csi.juicefs.com",
        "cvmfs.csi.cern.ch",
        "csi-fuse.mine",
    ] {
        let forecast = foretell(&containerd(), &of(&format!("csi: {{ driver: {driver} }}")));
        assert_eq!(forecast.answer, Answer::DependsOnNode, "{driver}");
        assert!(forecast.ask[0].contains(driver), "{:?}", forecast.ask);
    }
    for driver in ["ebs.csi.aws.com", "secrets-store.csi.k8s.io", "rbd.csi.ceph.com"] {
        starts(&containerd(), &of(&format!("csi: {{ driver: {driver} }}")));
    }
    let on = |release: &str| {
        with(|cluster: &mut Cluster| cluster.node.kernel.release = Fact::Present(release.to_owned()))
    };
    let huge = of("emptyDir: { medium: HugePages-2Mi }");
    refused(&on("6.5.0"), &huge, "hugetlbfs");
    starts(&on("6.12.0"), &huge);
    starts(&on("6.5.0"), &of("emptyDir: { medium: Memory }"));
}

#[test]
fn a_claim_is_what_it_is_bound_to_in_the_same_manifest() {
    let claim = |source: &str, named: &str| {
        format!(
            "kind: PersistentVolume\napiVersion: v1\nmetadata: {{ name: pv }}\nspec: {{ {source}, claimRef: {{ name: {named} }} }}\n---\n\
             kind: Pod\nmetadata: {{ name: p }}\nspec: {{ hostUsers: false, volumes: [{{ name: d, persistentVolumeClaim: {{ claimName: data }} }}], containers: [{{ name: c, \
             securityContext: {{ procMount: Unmasked }}, volumeMounts: [{{ name: d, mountPath: /d }}] }}] }}\n"
        )
    };
    refused(&containerd(), &one(&claim("nfs: { server: s }", "data")), "the volume d is NFS");
    starts(&containerd(), &one(&claim("nfs: { server: s }", "other")));
    starts(&containerd(), &one(&claim("csi: { driver: ebs.csi.aws.com }", "data")));
    let by_name = claim("nfs: { server: s }", "other").replacen(
        "---",
        "---\nkind: PersistentVolumeClaim\napiVersion: v1\nmetadata: { name: data }\nspec: { volumeName: pv }\n---",
        1,
    );
    refused(&containerd(), &one(&by_name), "the volume d is NFS");
}

/// The annotations that came before the field, while they count.
#[test]
fn annotations_of_filters_count_until_they_do_not() {
    for (annotation, value, filtered) in [
        ("seccomp.security.alpha.kubernetes.io/pod", "runtime/default", true),
        ("container.seccomp.security.alpha.kubernetes.io/c", "docker/default", true),
        ("container.seccomp.security.alpha.kubernetes.io/other", "runtime/default", false),
        ("seccomp.security.alpha.kubernetes.io/pod", "unconfined", false),
    ] {
        let pod = one(&format!(
            "kind: Pod\nmetadata: {{ name: p, annotations: {{ {annotation}: {value} }} }}\nspec: {{ containers: [{{ name: c, securityContext: {{ runAsUser: 7 }} }}] }}\n"
        ));
        let first = |minor| foretell(&on_kubernetes(minor), &pod).obstacles[0].cause.code();
        assert_eq!(first(26) == "NS01", filtered, "{annotation}: {value}");
        assert_ne!(first(27), "NS01", "{annotation}: {value}");
    }
}
