//! What a cluster refuses or drops is told, and no change brings it about.

use bwrap_launch::diagnosis::{Action, Cause, Symptom, diagnose};
use bwrap_launch::host::{Fact, Host};
use bwrap_launch::kubernetes::{Answer, Cluster, Cure, Refusal, Runtime, Workload};
use bwrap_launch::{Command, Version};

use crate::{containerd, cri_o, foretell, line, one};

/// A pod with these fields beside its container, and these in the container.
pub(crate) fn pod(spec: &str, container: &str) -> Workload {
    one(&format!(
        "kind: Pod\nmetadata: {{ name: p }}\nspec: {{ {spec} containers: [{{ name: c, {container} }}] }}\n"
    ))
}

/// One that starts.
pub(crate) fn unmasked(spec: &str, context: &str) -> Workload {
    pod(
        &format!("hostUsers: false, {spec}"),
        &format!("securityContext: {{ procMount: Unmasked, {context} }}"),
    )
}

pub(crate) fn with(change: impl FnOnce(&mut Cluster)) -> Cluster {
    let mut cluster = containerd();
    change(&mut cluster);
    cluster
}

fn on_linux(release: &str) -> Cluster {
    with(|cluster| cluster.node.kernel.release = Fact::Present(release.to_owned()))
}

pub(crate) fn on_kubernetes(minor: u32) -> Cluster {
    with(|cluster| cluster.kubernetes = Some((1, minor)))
}

fn with_apparmor() -> Cluster {
    with(|cluster| cluster.node.security.apparmor_enabled = Fact::Present(true))
}

#[track_caller]
pub(crate) fn refused(cluster: &Cluster, pod: &Workload, says: &str) {
    let forecast = foretell(cluster, pod);
    let texts: Vec<&str> = forecast.refused.iter().map(|refused| refused.text.as_str()).collect();
    assert_eq!(forecast.answer, Answer::NotStarted, "{says}: {forecast:#?}");
    assert!(texts.iter().any(|text| text.contains(says)), "{says}: {texts:?}");
    forecast.refused.iter().for_each(is_known);
}

/// Whoever pastes what was foretold is told the same.
#[track_caller]
fn is_known(refused: &Refusal) {
    let Some(cause) = refused.cause else { return };
    let text = &refused.text;
    let found = diagnose(&Symptom::from_text(text.as_bytes()), &Host::default(), None).cause();
    // in the words of this file Pod Security minds one thing or another
    let admission = [Cause::AdmissionRefuses, Cause::PodSecurityForbidsUnmasked];
    let alike = admission.contains(&cause) && found.is_some_and(|found| admission.contains(&found));
    let dropped = cause == Cause::PodFieldsIgnored || text.contains(" passes over ");
    assert!(found == Some(cause) || alike || dropped, "{text}: {found:?}, not {cause:?}");
}

#[track_caller]
pub(crate) fn starts(cluster: &Cluster, pod: &Workload) {
    let forecast = foretell(cluster, pod);
    assert_eq!(forecast.answer, Answer::Starts, "{forecast:#?}");
}

pub(crate) fn cure(clusters: &[Cluster], pod: &Workload) -> Cure {
    Cure::of(clusters, pod, "c", &line()).unwrap()
}

/// Clusters and pods where a pod starts that may have no user namespace of its own.
fn without_user_namespaces() -> Vec<(Cluster, Workload)> {
    let user = "securityContext: { runAsUser: 1000 }";
    let here = |spec: &str| pod(spec, user);
    vec![
        (containerd(), here("hostNetwork: true,")),
        (containerd(), here("hostPID: true,")),
        (containerd(), here("hostIPC: true,")),
        (containerd(), here("securityContext: { fsGroup: 1000680000 },")),
        (containerd(), pod("", "securityContext: { runAsUser: 1000680000 }")),
        (containerd(), pod("", "volumeDevices: [{ name: d, devicePath: /dev/x }]")),
        (
            containerd(),
            pod("volumes: [{ name: s, nfs: { server: s } }],", "volumeMounts: [{ name: s, mountPath: /n }]"),
        ),
        (with(|cluster| cluster.image_user = Some(100_000)), pod("", "")),
        (with(|cluster| cluster.runtime_version = Some(Version::new(1, 7, 24))), here("")),
        (on_kubernetes(30), here("")),
        (on_linux("5.15.0-100-generic"), here("")),
        (
            with(|cluster| {
                cluster.node.sysctls.insert("user.max_user_namespaces".into(), Fact::Present("0".into()));
            }),
            here(""),
        ),
    ]
}

#[test]
fn no_user_namespace_is_proposed_where_it_is_refused() {
    for (cluster, pod) in without_user_namespaces() {
        let forecast = foretell(&cluster, &pod);
        assert_eq!(forecast.answer, Answer::Fails, "{forecast:#?}");
        let masked = forecast.obstacles.iter().find(|finding| finding.cause == Cause::MaskedProc).unwrap();
        assert!(masked.remedies[0].summary.starts_with("Bind the outer /proc"), "{:#?}", masked.remedies);
        // what it is refused for is said
        let last = masked.remedies.iter().find(|remedy| matches!(remedy.action, Action::Pod(_))).unwrap();
        assert!(last.requires.iter().any(|needs| needs.starts_with("that this is not so: ")), "{last:#?}");
        let cure = cure(std::slice::from_ref(&cluster), &pod);
        assert!(!cure.patch().contains("hostUsers"), "{}", cure.patch());
        assert_eq!(cure.forecasts[0].answer, Answer::Fails, "{}", cure.patch());
        assert!(cure.left.iter().any(|finding| finding.cause == Cause::MaskedProc));
    }
}

/// What one runtime needs and another refuses is no change for both.
#[test]
fn a_step_that_another_cluster_refuses_is_undone() {
    let old = with(|cluster| cluster.runtime_version = Some(Version::new(1, 7, 24)));
    let pod = pod("", "securityContext: { runAsUser: 0, seccompProfile: { type: RuntimeDefault } }");
    for clusters in [[containerd(), old.clone()], [old, containerd()]] {
        let cure = cure(&clusters, &pod);
        let patch = cure.patch();
        assert!(patch.contains("profiles/bwrap.json") && !patch.contains("hostUsers"), "{patch}");
        assert!(cure.forecasts.iter().all(|forecast| forecast.answer == Answer::Fails), "{patch}");
        let masked = cure.left.iter().find(|finding| finding.cause == Cause::MaskedProc).unwrap();
        assert!(masked.remedies[0].summary.starts_with("Bind the outer /proc"), "{:#?}", masked.remedies);
        let last = masked.remedies.iter().find(|remedy| matches!(remedy.action, Action::Pod(_))).unwrap();
        assert!(last.requires.iter().any(|needs| needs.contains("containerd 1.7.24")), "{last:#?}");
    }
}

/// An unmasked /proc wants what cannot be: it is left out, and the pod starts.
#[test]
fn the_change_of_a_refused_pod_makes_no_other_refused_pod() {
    for (spec, container) in [
        ("hostNetwork: true,", "securityContext: { procMount: Unmasked }"),
        ("", "securityContext: { procMount: Unmasked, runAsUser: 100000 }"),
    ] {
        let pod = pod(spec, container);
        refused(&containerd(), &pod, "procMount: Unmasked only with hostUsers: false");
        let cure = cure(&[containerd()], &pod);
        assert!(cure.patch().contains("procMount: null"), "{}", cure.patch());
        // and why is told
        assert!(cure.mended[0].remedy.starts_with("leave procMount out"), "{:?}", cure.mended);
        assert_eq!(cure.forecasts[0].answer, Answer::Fails);
    }
    let gvisor = Cluster::new(Runtime::GVisor);
    let pod = unmasked("", "runAsUser: 1000");
    refused(&gvisor, &pod, "gVisor");
    let cure = cure(&[gvisor], &pod);
    assert!(cure.patch().contains("hostUsers: null"), "{}", cure.patch());
    assert_ne!(cure.forecasts[0].answer, Answer::NotStarted, "{:#?}", cure.forecasts);
}

#[test]
fn ids_that_are_not_mapped_are_of_the_pod() {
    for spec in [
        "securityContext: { runAsUser: 65536 },",
        "securityContext: { runAsUser: 1000, runAsGroup: 1000680000 },",
        "securityContext: { fsGroup: 1000680000 },",
        "securityContext: { supplementalGroups: [7, 65536] },",
    ] {
        refused(&containerd(), &unmasked(spec, ""), "the ids below 65536");
        // where all ids are the node's
        let free = foretell(&containerd(), &pod(spec, ""));
        assert_ne!(free.answer, Answer::NotStarted, "{spec}");
    }
    starts(&containerd(), &unmasked("securityContext: { runAsUser: 65535, fsGroup: 65535 },", ""));
    refused(&with(|cluster| cluster.image_user = Some(100_000)), &unmasked("", ""), "the user 100000");
    // a field helps, also where groups are left to be changed
    let cure = cure(
        &[containerd()],
        &unmasked("securityContext: { runAsUser: 1000680000, fsGroup: 1000680000 },", ""),
    );
    assert!(cure.patch().contains("runAsUser: 1000\n"), "{}", cure.patch());
    assert!(cure.forecasts[0].refused.iter().all(|refused| refused.text.contains("fsGroup")));
}

#[test]
fn kernels_that_are_too_old_are_known() {
    let pod = unmasked("", "");
    refused(&on_linux("5.15.0-100-generic"), &pod, "needs Linux 6.3");
    refused(&on_linux("6.2.16-3-pve"), &pod, "6.2.16-3-pve");
    starts(&on_linux("6.3.0"), &pod);
    // a kernel of ten years has what others had later; and a pod may have no tmpfs
    for (release, spec) in [("5.14.0-427.el9.x86_64", ""), ("5.15.0", "automountServiceAccountToken: false,")]
    {
        let forecast = foretell(&on_linux(release), &unmasked(spec, ""));
        assert_eq!(forecast.answer, Answer::DependsOnNode, "{forecast:#?}");
        assert!(forecast.ask[0].contains(release), "{:?}", forecast.ask);
    }
    // what does not ask for a namespace does not need it
    assert_eq!(foretell(&on_linux("5.15.0"), &one(PLAIN)).answer, Answer::Fails);
}

const PLAIN: &str = "kind: Pod\nspec: { containers: [{ name: c }] }\n";

#[test]
fn volumes_must_show_other_ids() {
    let volume = |kind: &str| {
        one(&format!(
            "kind: Pod\nspec:\n  hostUsers: false\n  containers:\n  - name: c\n    volumeMounts: [{{ name: v, mountPath: /v }}]\n    \
             securityContext: {{ procMount: Unmasked }}\n  volumes: [{{ name: v, {kind} }}]\n"
        ))
    };
    refused(&containerd(), &volume("nfs: { server: s, path: / }"), "the volume v is NFS");
    starts(&containerd(), &volume("emptyDir: {}"));
    let forecast = foretell(&containerd(), &volume("cephfs: { monitors: [m] }"));
    assert_eq!(forecast.answer, Answer::DependsOnNode);
    assert!(forecast.ask[0].contains("cephfs volume v"), "{:?}", forecast.ask);
    // who gives the pod the namespace is told
    let text = "kind: Pod\nspec: { containers: [{ name: c, volumeMounts: [{ name: v, mountPath: /v }] }], \
                volumes: [{ name: v, persistentVolumeClaim: { claimName: x } }] }\n";
    let cure = cure(&[containerd()], &one(text));
    let needs = cure.remedies.iter().flat_map(|remedy| &remedy.requires);
    assert_eq!(needs.filter(|needs| needs.contains("in the volumes v")).count(), 1, "{:#?}", cure.remedies);
}

#[test]
fn what_does_not_go_together_is_refused() {
    let device = "volumeDevices: [{ name: d, devicePath: /dev/x }]";
    for (spec, container, says) in [
        ("hostUsers: false,", device, "volumeDevices"),
        (
            "",
            "securityContext: { privileged: true, allowPrivilegeEscalation: false }",
            "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
        ),
        (
            "",
            "securityContext: { capabilities: { add: [CAP_SYS_ADMIN] }, allowPrivilegeEscalation: false }",
            "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
        ),
        ("", "volumeMounts: [{ name: none, mountPath: /n }]", "no volume none"),
        (
            "",
            "volumeMounts: [{ name: none, mountPath: /n }, { name: none, mountPath: /n }]",
            "with the mountPath /n",
        ),
        (
            "volumes: [{ name: v, emptyDir: {} }, { name: v, emptyDir: {} }],",
            "",
            "no two volumes with the name v",
        ),
        (
            "volumes: [{ name: v, emptyDir: {} }],",
            "volumeMounts: [{ name: v, mountPath: /v, mountPropagation: Bidirectional }]",
            "available only to privileged containers",
        ),
        (
            "affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: \
             [{ key: kubernetes.io/os, operator: In, values: [windows] }] }] } } },",
            "",
            "for Windows",
        ),
        ("", "securityContext: { windowsOptions: { runAsUserName: x } }", "for Windows"),
        ("securityContext: { windowsOptions: { hostProcess: true } },", "", "for Windows"),
        ("os: { name: windows },", "", "for Windows"),
        ("os: { name: windows }, nodeSelector: { kubernetes.io/os: windows },", "", "for Windows"),
        ("os: { name: linux }, nodeSelector: { kubernetes.io/os: windows },", "", "its os.name is linux"),
        ("os: { name: windows }, nodeSelector: { kubernetes.io/os: linux },", "", "its os.name is windows"),
        (
            "os: { name: linux }, securityContext: { windowsOptions: { runAsUserName: x } },",
            "",
            "windows options cannot be set for a linux pod",
        ),
        ("nodeSelector: { kubernetes.io/os: windows },", "", "for Windows"),
    ] {
        refused(&containerd(), &pod(spec, container), says);
        // also where another container has it
        let other = one(&format!(
            "kind: Pod\nspec: {{ {spec} containers: [{{ name: c }}, {{ name: d, {container} }}] }}\n"
        ));
        refused(&containerd(), &other, says);
        let cure = cure(&[containerd()], &pod(spec, container));
        assert!(cure.is_empty() && cure.left.is_empty(), "{} {:#?}", cure.patch(), cure.left);
    }
    // of several places some have Linux
    let either = "affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: \
                  [{ key: kubernetes.io/os, operator: In, values: [windows, linux] }] }] } } },";
    let same = "os: { name: linux }, nodeSelector: { kubernetes.io/os: linux }, securityContext: { windowsOptions: {} },";
    for spec in [either, same] {
        assert_eq!(foretell(&containerd(), &pod(spec, "")).answer, Answer::Fails, "{spec}");
    }
    // it knows this name only
    let context = "securityContext: { capabilities: { add: [SYS_ADMIN] }, allowPrivilegeEscalation: false }";
    assert_ne!(foretell(&containerd(), &pod("", context)).answer, Answer::NotStarted);
    let claims = "kind: StatefulSet\nspec:\n  volumeClaimTemplates: [{ metadata: { name: v } }]\n  template:\n    spec:\n      containers: \
                  [{ name: c, volumeMounts: [{ name: v, mountPath: /v }] }]\n";
    assert_ne!(foretell(&containerd(), &one(claims)).answer, Answer::NotStarted);
}

#[test]
fn runc_mounts_nothing_inside_of_proc() {
    let at = |path: &str, volume: &str| {
        pod(
            &format!("volumes: [{{ name: v, {volume} }}],"),
            &format!(
                "volumeMounts: [{{ name: v, mountPath: {path} }}], securityContext: {{ runAsUser: 1000 }}"
            ),
        )
    };
    for path in ["/proc", "/proc/", "/proc/self2", "/./proc//x"] {
        refused(&containerd(), &at(path, "emptyDir: {}"), "inside /proc");
    }
    for (path, volume) in [
        ("/proc/cpuinfo", "hostPath: { path: /x }"),
        ("/proc", "hostPath: { path: /proc }"),
        ("/procs", "emptyDir: {}"),
    ] {
        assert_ne!(foretell(&containerd(), &at(path, volume)).answer, Answer::NotStarted, "{path}");
    }
}

pub(crate) const ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io";

/// The same with an annotation for AppArmor.
fn annotated(annotation: &str, context: &str) -> Workload {
    one(&format!(
        "kind: Pod\nmetadata: {{ name: p, annotations: {{ {ANNOTATION}/{annotation} }} }}\nspec: {{ hostUsers: false, \
         containers: [{{ name: c, securityContext: {{ procMount: Unmasked, {context} }} }}] }}\n"
    ))
}

#[test]
fn apparmor_is_not_asked_for_where_it_is_not() {
    let says = "AppArmor is not enabled on the host";
    refused(&containerd(), &unmasked("", "appArmorProfile: { type: RuntimeDefault }"), says);
    refused(&containerd(), &unmasked("", "appArmorProfile: { type: Localhost, localhostProfile: p }"), says);
    refused(&containerd(), &annotated("c: runtime/default", ""), says);
    starts(&containerd(), &annotated("c: unconfined", ""));
    starts(&containerd(), &unmasked("", "appArmorProfile: { type: Unconfined }"));
}

#[test]
fn the_annotation_of_apparmor_and_the_field_say_the_same() {
    let says = "apparmor type in annotation and field must match";
    refused(
        &with_apparmor(),
        &annotated("c: runtime/default", "appArmorProfile: { type: Unconfined }"),
        says,
    );
    starts(&with_apparmor(), &annotated("c: unconfined", "appArmorProfile: { type: Unconfined }"));
    refused(&with_apparmor(), &annotated("d: unconfined", ""), "container not found");
    // the change, too
    let cure = cure(&[with_apparmor()], &annotated("c: runtime/default", ""));
    assert!(cure.patch().contains(&format!("{ANNOTATION}/c: localhost/bwrap-nested")), "{}", cure.patch());
    assert!(cure.patch().contains("appArmorProfile"), "{}", cure.patch());
    starts(&with_apparmor(), &cure.changed);
}

/// Before 1.30 the field is dropped.
#[test]
fn old_releases_have_the_annotation_only() {
    let mut old = with_apparmor();
    old.kubernetes = Some((1, 28));
    let sandbox = Command::from_args(["--ro-bind", "/", "/", "--unshare-user", "true"]).unwrap();
    let sandbox = sandbox.get_sandbox().clone();
    let pod = pod("", "securityContext: { appArmorProfile: { type: Unconfined } }");
    let answer = |cluster: &Cluster| cluster.foretell(&pod, "c", &sandbox).unwrap().answer;
    assert_eq!((answer(&old), answer(&with_apparmor())), (Answer::Fails, Answer::Starts));
    let cure = Cure::of(std::slice::from_ref(&old), &one(PLAIN), "c", &sandbox).unwrap();
    assert_eq!(
        cure.patch(),
        format!("metadata:\n  annotations:\n    {ANNOTATION}/c: localhost/bwrap-nested\n")
    );
    assert_eq!(cure.forecasts[0].answer, Answer::Starts);
}

#[test]
fn privileged_containers_are_confined_by_a_profile_of_the_node() {
    let profile = "privileged: true, appArmorProfile: { type: Localhost, localhostProfile: narrow }";
    let pod = pod("", &format!("securityContext: {{ {profile} }}"));
    let forecast = foretell(&with_apparmor(), &pod);
    assert_eq!(forecast.answer, Answer::DependsOnNode, "{forecast:#?}");
    let free = self::pod("", "securityContext: { privileged: true }");
    starts(&with_apparmor(), &free);
}

#[test]
fn capabilities_have_no_cap_before_them() {
    let pod = |list: &str| unmasked("", &format!("capabilities: {{ {list} }}"));
    let added = pod("drop: [ALL], add: [CAP_SETFCAP]");
    let forecast = foretell(&containerd(), &added);
    assert_eq!((forecast.answer, forecast.obstacles[0].cause), (Answer::Fails, Cause::MissingSetfcap));
    assert!(forecast.refused[0].text.contains("passes over the capability CAP_SETFCAP"), "{forecast:#?}");
    assert_eq!(forecast.refused[0].remedy, "name it SETFCAP");
    starts(&cri_o(Version::new(1, 34, 0)), &added);
    // nothing is dropped there
    starts(&containerd(), &pod("drop: [CAP_SETFCAP]"));
    assert_eq!(foretell(&cri_o(Version::new(1, 34, 0)), &pod("drop: [CAP_SETFCAP]")).answer, Answer::Fails);
    assert_eq!(foretell(&containerd(), &pod("drop: [setfcap]")).answer, Answer::Fails);
}

/// Of a fault that an old API server does not have.
#[test]
fn old_api_servers_drop_what_newer_ones_refuse() {
    let pod = pod("", "securityContext: { procMount: Unmasked }");
    for minor in [24, 28, 30, 32] {
        let forecast = foretell(&on_kubernetes(minor), &pod);
        assert_eq!(
            (forecast.answer, forecast.refused[0].cause),
            (Answer::Fails, Some(Cause::PodFieldsIgnored))
        );
        assert_eq!(forecast.obstacles[0].cause, Cause::MaskedProc);
        assert!(forecast.obstacles[0].remedies[0].summary.starts_with("Bind the outer /proc"));
    }
    refused(&on_kubernetes(33), &pod, "only with hostUsers: false");
}

/// What root needs for itself is asked for where it lacks it.
#[test]
fn root_stays_root_where_it_can() {
    let root = pod("", "securityContext: { runAsUser: 0 }");
    let change = cure(&[containerd()], &root);
    assert!(
        change.patch().contains("procMount: Unmasked") && !change.patch().contains("runAs"),
        "{}",
        change.patch()
    );
    assert_eq!(change.forecasts[0].answer, Answer::Starts);
    let change = cure(&[cri_o(Version::new(1, 34, 0))], &root);
    assert!(change.patch().contains("runAsUser: 1000\n"), "{}", change.patch());
    assert_eq!(change.forecasts[0].answer, Answer::Starts);
    let told = change.remedies.iter().find(|remedy| remedy.summary.contains("as user 1000")).unwrap();
    assert!(told.opens.contains("files that only root may read"), "{}", told.opens);
    assert!(told.requires.iter().any(|needs| needs.contains("an image whose programs")), "{told:#?}");
}

/// What is not known of SELinux is asked for once, and of who knows it.
#[test]
fn a_node_that_was_asked_is_not_asked_again() {
    let selinux = with(|cluster| {
        cluster.node.security.selinux_filesystem = Fact::Present(true);
        cluster.node.security.selinux_enforcing = Fact::Present(true);
    });
    let forecast = foretell(&selinux, &unmasked("", ""));
    assert_eq!(forecast.answer, Answer::DependsOnNode);
    assert!(forecast.ask.len() == 1 && forecast.ask[0].contains("enable_selinux"), "{:?}", forecast.ask);
}
