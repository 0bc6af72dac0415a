//! Whose things are whose: nodes of a cloud, rights of other containers, profiles that somebody chose, volumes on what the image has.

use bwrap_launch::diagnosis::{Action, Cause};
use bwrap_launch::host::Fact;
use bwrap_launch::kubernetes::{Answer, Workload};
use bwrap_launch::{Command, Sandbox};

use crate::refused::{cure, pod, refused, starts, unmasked, with};
use crate::{LINE, containerd, foretell, line, one};

fn bound_proc() -> Sandbox {
    let bound = LINE.replace("--proc /proc", "--ro-bind /proc /proc");
    Command::from_args(bound.split_whitespace()).unwrap().get_sandbox().clone()
}

/// A pod with these fields of its metadata, and of its specification.
fn placed(metadata: &str, spec: &str) -> Workload {
    one(&format!(
        "kind: Pod\nmetadata: {{ name: p, {metadata} }}\nspec: {{ {spec} containers: [{{ name: c }}] }}\n"
    ))
}

const VIRTUAL_BY_AFFINITY: &str = "affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: \
                                   [{ matchExpressions: [{ key: type, operator: In, values: [virtual-kubelet] }] }] } } },";

#[test]
fn on_nodes_of_a_cloud_no_user_namespace_is_proposed() {
    for (metadata, spec) in [
        ("labels: { eks.amazonaws.com/fargate-profile: fp }", ""),
        ("", "schedulerName: fargate-scheduler,"),
        ("", "nodeName: fargate-ip-10-0-0-1.ec2.internal,"),
        ("", "nodeSelector: { eks.amazonaws.com/compute-type: fargate },"),
        ("", "nodeSelector: { type: virtual-kubelet },"),
        ("", "nodeName: virtual-node-aci-linux,"),
        ("", VIRTUAL_BY_AFFINITY),
    ] {
        let pod = placed(metadata, spec);
        let cure = cure(&[containerd()], &pod);
        assert!(cure.is_empty(), "{metadata} {spec}: {}", cure.patch());
        assert!(matches!(cure.left[0].remedies[0].action, Action::Sandbox(_)), "{:#?}", cure.left);
        // and whether the rest works there nobody knows
        let forecast = containerd().foretell(&pod, "c", &bound_proc()).unwrap();
        assert_eq!(forecast.answer, Answer::DependsOnNode, "{metadata} {spec}: {forecast:#?}");
        assert!(forecast.ask.iter().any(|ask| ask.contains("only trying tells")), "{:?}", forecast.ask);
    }
    // who may come to such nodes need not, and others are called alike
    for (metadata, spec) in [
        ("", "tolerations: [{ key: virtual-kubelet.io/provider, operator: Exists }],"),
        ("", "tolerations: [{ key: eks.amazonaws.com/compute-type, value: fargate }],"),
        ("", "nodeSelector: { type: gpu },"),
        ("", "schedulerName: volcano,"),
        ("", &VIRTUAL_BY_AFFINITY.replace("virtual-kubelet]", "virtual-kubelet, gpu]")),
        ("", &VIRTUAL_BY_AFFINITY.replace("operator: In", "operator: NotIn")),
        ("labels: { app: fargate-profile }", ""),
        ("annotations: { cloud.google.com/neg: x }", "nodeName: gke-pool-1,"),
    ] {
        let cure = cure(&[containerd()], &placed(metadata, spec));
        assert!(cure.patch().contains("hostUsers: false"), "{metadata} {spec}: {}", cure.patch());
        assert!(cure.forecasts.iter().all(|forecast| forecast.answer == Answer::Starts), "{metadata} {spec}");
    }
}

#[test]
fn fargate_takes_no_such_fields() {
    let fargate = "schedulerName: fargate-scheduler,";
    refused(
        &containerd(),
        &unmasked(fargate, ""),
        "AWS Fargate lets nobody set namespaces and /proc of a pod",
    );
    let privileged = pod(fargate, "securityContext: { privileged: true }");
    refused(&containerd(), &privileged, "Pod not supported on Fargate");
    let filter = "securityContext: { seccompProfile: { type: Localhost, localhostProfile: a.json } }";
    refused(&containerd(), &pod(fargate, filter), "the system call filter a.json is on no node");
    // the change leaves both out
    let cure = cure(&[containerd()], &unmasked(fargate, ""));
    assert!(
        !cure.manifest().contains("hostUsers") && !cure.manifest().contains("procMount"),
        "{}",
        cure.manifest()
    );
}

#[test]
fn autopilot_has_a_filter_for_those_who_name_none_and_no_place_for_another() {
    for (metadata, spec) in [
        ("annotations: { autopilot.gke.io/resource-adjustment: '{}' }", ""),
        ("", "nodeName: gk3-cluster-pool-1,"),
        ("", "nodeSelector: { cloud.google.com/compute-class: autopilot },"),
    ] {
        let pod = placed(metadata, spec);
        let forecast = foretell(&containerd(), &pod);
        assert_eq!(forecast.obstacles[0].cause, Cause::SeccompDeniesNamespaces, "{metadata} {spec}");
        let remedies = &forecast.obstacles[0].remedies;
        let not_so = |needs: &String| needs.starts_with("that this is not so: ");
        assert!(remedies.iter().all(|remedy| remedy.requires.iter().any(not_so)), "{remedies:#?}");
        let cure = cure(&[containerd()], &pod);
        assert!(!cure.patch().contains("seccomp"), "{}", cure.patch());
        assert_eq!(cure.forecasts[0].answer, Answer::Fails);
    }
    let own = "securityContext: { appArmorProfile: { type: Localhost, localhostProfile: mine } }";
    let text = format!("kind: Pod\nspec: {{ nodeName: gk3-x, containers: [{{ name: c, {own} }}] }}\n");
    refused(&containerd(), &one(&text), "the AppArmor profile mine is on no node");
    // of GKE's other nodes the class is one of many
    let other = placed("", "nodeSelector: { cloud.google.com/compute-class: n4 },");
    assert_eq!(foretell(&containerd(), &other).obstacles[0].cause, Cause::MaskedProc);
}

fn beside(list: &str, other: &str) -> Workload {
    one(&format!(
        "kind: Pod\nmetadata: {{ name: p }}\nspec: {{ {list}: [{{ name: s, {other} }}], containers: [{{ name: c }}] }}\n"
    ))
}

#[test]
fn a_container_that_the_pod_waits_for_keeps_its_rights() {
    for rights in
        ["privileged: true", "capabilities: { add: [SYS_MODULE] }", "capabilities: { add: [cap_sys_admin] }"]
    {
        let pod = beside("initContainers", &format!("securityContext: {{ {rights} }}"));
        let cure = cure(&[containerd()], &pod);
        assert!(cure.is_empty(), "{rights}: {}", cure.patch());
        let remedies = &cure.left[0].remedies;
        assert!(matches!(remedies[0].action, Action::Sandbox(_)), "{remedies:#?}");
        let why = &remedies.last().unwrap().requires;
        assert!(why.iter().any(|why| why.contains("the pod waits for container s, which ")), "{why:?}");
        // where it is so already, it is taken for granted
        let there = format!(
            "kind: Pod\nspec: {{ hostUsers: false, initContainers: [{{ name: s, securityContext: {{ {rights} }} }}], containers: [{{ name: c, \
             securityContext: {{ procMount: Unmasked }} }}] }}\n"
        );
        let forecast = containerd().foretell(&one(&there), "c", &line()).unwrap();
        assert_eq!(forecast.answer, Answer::Starts);
        assert!(forecast.assumed.iter().any(|one| one.contains("ends well")), "{:?}", forecast.assumed);
    }
    // those that are the pod's own are there in its user namespace, too
    for rights in
        ["", "capabilities: { add: [NET_ADMIN, SETFCAP, SYS_PTRACE] }", "privileged: false", "runAsUser: 0"]
    {
        let pod = beside("initContainers", &format!("securityContext: {{ {rights} }}"));
        assert!(cure(&[containerd()], &pod).patch().contains("hostUsers: false"), "{rights}");
    }
}

#[test]
fn others_that_lose_their_rights_are_in_the_price() {
    let dind = "restartPolicy: Always, securityContext: { privileged: true }";
    let two = |context: &str| {
        one(&format!(
            "kind: Pod\nspec: {{ containers: [{{ name: c }}, {{ name: s, securityContext: {{ {context} }} }}] }}\n"
        ))
    };
    for (pod, says) in [
        (
            beside("initContainers", dind),
            "container s, which is privileged, has its rights over the pod alone",
        ),
        (two("privileged: true"), "container s, which is privileged,"),
        (two("capabilities: { add: [NET_RAW, SYS_TIME] }"), "container s, which adds SYS_TIME,"),
        (two("capabilities: { add: [ALL] }"), "container s, which adds ALL,"),
    ] {
        let cure = cure(&[containerd()], &pod);
        assert!(cure.patch().contains("hostUsers: false"), "{says}");
        assert!(
            cure.remedies.iter().any(|remedy| remedy.opens.contains(says)),
            "{says}: {:#?}",
            cure.remedies
        );
    }
    // also where no more than that is missing
    let half = "kind: Pod\nspec: { containers: [{ name: c, securityContext: { procMount: Unmasked } }, { name: s, securityContext: { privileged: \
                true } }] }\n";
    let mended = cure(&[containerd()], &one(half)).mended;
    assert!(mended[0].remedy.contains("container s, which is privileged, has its rights"), "{mended:#?}");
    let alike = cure(&[containerd()], &two("capabilities: { add: [NET_ADMIN] }"));
    assert!(
        alike.remedies.iter().all(|remedy| !remedy.opens.contains("container s,")),
        "{:#?}",
        alike.remedies
    );
}

/// A profile of the nodes' own may be right: it is asked about, and stays.
#[test]
fn a_profile_that_somebody_chose_is_not_replaced() {
    let apparmor = with(|cluster| cluster.node.security.apparmor_enabled = Fact::Present(true));
    let filter = "seccompProfile: { type: Localhost, localhostProfile: ours/ci.json }";
    let profile = "appArmorProfile: { type: Localhost, localhostProfile: ci }";
    for (cluster, spec, context, says) in [
        (containerd(), "", filter, "the system call filter ours/ci.json may deny new namespaces"),
        (apparmor.clone(), "", profile, "the AppArmor profile ci may deny mounting"),
        // the pod's own is the container's
        (containerd(), "securityContext: { SECCOMP },", "", "filter ours/ci.json may deny"),
    ] {
        let spec = spec.replace("SECCOMP", filter);
        for pod in [unmasked(&spec, context), pod(&spec, &format!("securityContext: {{ {context} }}"))] {
            let cure = cure(std::slice::from_ref(&cluster), &pod);
            assert!(!cure.patch().contains("rofile"), "{}", cure.patch());
            assert_eq!(cure.forecasts[0].answer, Answer::DependsOnNode);
            let finding = &cure.left[0];
            assert!(finding.summary.contains(says), "{}", finding.summary);
            assert!(finding.remedies[0].summary.starts_with("Look whether the "), "{:#?}", finding.remedies);
            let asked = &cure.forecasts[0].ask;
            assert!(!asked.is_empty() && asked.iter().all(|ask| !ask.contains("whose filter")), "{asked:?}");
        }
    }
    // what is known to deny is nobody's choice
    let default = "seccompProfile: { type: RuntimeDefault }";
    assert!(cure(&[containerd()], &unmasked("", default)).patch().contains("profiles/bwrap.json"));
    let engines = "appArmorProfile: { type: Localhost, localhostProfile: cri-containerd.apparmor.d }";
    for context in ["appArmorProfile: { type: RuntimeDefault }", "", engines] {
        assert!(
            cure(std::slice::from_ref(&apparmor), &unmasked("", context)).patch().contains("bwrap-nested"),
            "{context}"
        );
    }
    // and what bwrap-doctor writes is known
    let ours = "seccompProfile: { type: Localhost, localhostProfile: profiles/bwrap.json }";
    starts(&containerd(), &unmasked("", ours));
}

#[test]
fn a_volume_on_the_programs_of_an_image_hides_bwrap() {
    let mounted = |point: &str, volume: &str| {
        one(&format!(
            "kind: Pod\nspec: {{ hostUsers: false, volumes: [{{ name: v, {volume} }}], containers: [{{ name: c, volumeMounts: [{{ name: v, mountPath: \
             {point} }}], securityContext: {{ procMount: Unmasked }} }}] }}\n"
        ))
    };
    for point in ["/usr", "/usr/", "/usr/bin", "/bin", "/usr/lib", "/lib64", "/lib/x86_64-linux-gnu"] {
        for volume in
            ["emptyDir: {}", "emptyDir: { medium: Memory }", "persistentVolumeClaim: { claimName: v }"]
        {
            let forecast = foretell(&containerd(), &mounted(point, volume));
            assert_eq!(forecast.answer, Answer::DependsOnNode, "{point} {volume}: {forecast:#?}");
            assert!(
                forecast.ask[0].starts_with("whether bwrap and its libraries are there"),
                "{:?}",
                forecast.ask
            );
            assert_eq!(forecast.ask[0].contains("emptyDir"), volume.starts_with("emptyDir"));
        }
    }
    for point in [
        "/usr/local/bin",
        "/usr/share",
        "/opt",
        "/usr/bin/tool",
        "/library",
        "/usr/lib/jvm",
        "/tmp",
        "/binaries",
    ] {
        starts(&containerd(), &mounted(point, "emptyDir: {}"));
    }
}
