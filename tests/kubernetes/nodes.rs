//! What nodes make of a pod: their kubelet, their runtime, and the classes of pods that others run.

use bwrap_launch::Version;
use bwrap_launch::diagnosis::{Action, Cause};
use bwrap_launch::kubernetes::{Answer, Cluster, Runtime, Workload, read};

use crate::refused::{cure, on_kubernetes, pod, refused, starts, unmasked, with};
use crate::{containerd, cri_o, foretell, line, one};

/// A pod with a user namespace or without, that mounts one volume.
fn with_volume(spec: &str, volume: &str) -> Workload {
    let unmasked = if spec.is_empty() { "runAsUser: 1000" } else { "procMount: Unmasked" };
    pod(
        &format!("{spec} volumes: [{{ name: v, {volume} }}],"),
        &format!("volumeMounts: [{{ name: v, mountPath: /v }}], securityContext: {{ {unmasked} }}"),
    )
}

#[test]
fn what_is_the_kernels_own_is_not_shown_under_other_ids() {
    let host = |path: &str| format!("hostPath: {{ path: {path} }}");
    for (path, kind) in [
        ("/proc", "procfs"),
        ("/proc/sys", "procfs"),
        ("/sys", "sysfs"),
        ("/sys/fs/cgroup", "cgroup2"),
        ("/dev", "devtmpfs"),
        ("/dev/", "devtmpfs"),
        ("/dev/fuse", "devtmpfs"),
        ("/dev/kvm", "devtmpfs"),
    ] {
        let asks = with_volume("hostUsers: false,", &host(path));
        refused(&containerd(), &asks, &format!("the volume v is {kind}"));
        // what starts without them is left without them; a whole procfs is what the kernel asks for
        if path == "/proc" {
            starts(&containerd(), &with_volume("", &host(path)));
            continue;
        }
        let free = with_volume("", &host(path));
        let forecast = foretell(&containerd(), &free);
        assert_eq!(forecast.answer, Answer::Fails, "{path}");
        let first = &forecast.obstacles[0].remedies[0];
        assert!(first.summary.starts_with("Bind the outer /proc"), "{path}: {first:#?}");
        assert!(!cure(&[containerd()], &free).patch().contains("hostUsers"), "{path}");
    }
    for path in ["/tmp", "/dev/shm", "/dev/log", "/run", "/devices", "/processes"] {
        starts(&containerd(), &with_volume("hostUsers: false,", &host(path)));
    }
    for driver in [
        "csi: { driver: efs.csi.aws.com }",
        "csi: { driver: nfs.csi.k8s.io }",
        "flexVolume: { driver: fstab/cifs }",
    ] {
        let forecast = foretell(&containerd(), &with_volume("hostUsers: false,", driver));
        assert_eq!(forecast.answer, Answer::DependsOnNode, "{driver}");
        assert!(forecast.ask[0].contains("volume v under other ids"), "{:?}", forecast.ask);
    }
    starts(&containerd(), &with_volume("hostUsers: false,", "csi: { driver: secrets-store.csi.k8s.io }"));
}

#[test]
fn kernel_parameters_are_the_nodes_or_the_pods() {
    let sets = |spec: &str, name: &str| {
        pod(
            &format!("{spec} securityContext: {{ sysctls: [{{ name: {name}, value: '1' }}] }},"),
            "securityContext: { privileged: true }",
        )
    };
    for name in [
        "user.max_user_namespaces",
        "user/max_user_namespaces",
        "kernel.unprivileged_userns_clone",
        "vm.swappiness",
    ] {
        let says = format!("forbidden sysctl: \"{}\" not allowlisted", name.replace('/', "."));
        refused(&containerd(), &sets("", name), &says);
    }
    for (spec, name, says) in [
        ("hostNetwork: true,", "net.ipv4.tcp_syncookies", "not allowed with host net enabled"),
        ("hostNetwork: true,", "net.core.somaxconn", "not allowed with host net enabled"),
        ("hostIPC: true,", "kernel.shm_rmid_forced", "not allowed with host ipc enabled"),
        ("hostIPC: true,", "kernel.sem", "not allowed with host ipc enabled"),
        ("hostIPC: true,", "fs.mqueue.msg_max", "not allowed with host ipc enabled"),
    ] {
        refused(&containerd(), &sets(spec, name), says);
    }
    starts(&containerd(), &sets("", "net.ipv4.tcp_syncookies"));
    starts(&containerd(), &sets("hostIPC: true,", "net/ipv4/tcp_syncookies"));
    for name in ["net.core.somaxconn", "kernel.msgmax", "net.ipv4.conf.eth0/100.forwarding"] {
        let forecast = foretell(&containerd(), &sets("", name));
        assert_eq!(forecast.answer, Answer::DependsOnNode, "{name}");
        assert!(forecast.ask[0].contains(&format!("lets pods set {name}")), "{:?}", forecast.ask);
    }
}

#[test]
fn names_that_are_no_capabilities_are_known() {
    let cri_o = || cri_o(Version::new(1, 34, 0));
    let named = |list: &str| unmasked("", &format!("runAsUser: 1000, capabilities: {{ {list} }}"));
    for (name, said, meant) in [
        ("SYS_ADMN", "CAP_SYS_ADMN", "name it SYS_ADMIN"),
        ("'SYS_ADMIN '", "CAP_SYS_ADMIN ", "name it SYS_ADMIN"),
        ("NET ADMIN", "CAP_NET ADMIN", "name it NET_ADMIN"),
        ("CAP_SETFCPA", "CAP_SETFCPA", "name it SETFCAP"),
        ("FOO", "CAP_FOO", "leave it out: man 7 capabilities"),
    ] {
        let pod = named(&format!("add: [{name}]"));
        refused(&cri_o(), &pod, &format!("CRI-O says: unknown capability \"{said}\" to add"));
        let forecast = foretell(&containerd(), &pod);
        assert_eq!(forecast.answer, Answer::Starts, "{name}");
        assert!(
            forecast.refused[0].text.starts_with("containerd passes over the capability"),
            "{forecast:#?}"
        );
        for forecast in [forecast, foretell(&cri_o(), &pod)] {
            assert!(forecast.refused[0].remedy.starts_with(meant), "{:?}", forecast.refused);
        }
    }
    for list in ["add: [ALL]", "add: [all]", "drop: [ALL], add: [chown]"] {
        for cluster in [cri_o(), containerd()] {
            assert!(foretell(&cluster, &named(list)).refused.is_empty(), "{list}");
        }
    }
    // what is dropped must be one as well; of a privileged one nothing is looked at
    refused(
        &cri_o(),
        &named("drop: [FOO]"),
        "CRI-O says: failed to drop cap CAP_FOO invalid capability: CAP_FOO",
    );
    refused(&cri_o(), &named("drop: [ALL, foo]"), "failed to drop cap CAP_FOO");
    starts(&containerd(), &named("drop: [FOO]"));
    starts(&cri_o(), &named("drop: [ALL, setfcap]"));
    let privileged = pod("", "securityContext: { privileged: true, capabilities: { add: [FOO] } }");
    assert!(foretell(&containerd(), &privileged).refused.is_empty());
}

#[test]
fn memory_that_is_no_memory_is_told() {
    let limited = |limit: &str| {
        pod(
            "hostUsers: false,",
            &format!(
                "resources: {{ limits: {{ memory: {limit} }} }}, securityContext: {{ procMount: Unmasked }}"
            ),
        )
    };
    for (limit, says, remedy) in [
        ("512m", "a limit of 512m of memory, which are 0.512 bytes", "say 512Mi or 512Gi"),
        ("1", "a limit of 1 of memory, which are 1 bytes", "say 1Mi or 1Gi"),
        ("'1'", "which are 1 bytes", "say 1Mi"),
        ("1e3", "1000", "Mi"),
        ("100k", "a limit of 100k", "say 100Mi"),
    ] {
        refused(&containerd(), &limited(limit), says);
        let forecast = foretell(&containerd(), &limited(limit));
        assert!(forecast.refused[0].remedy.contains(remedy), "{:?}", forecast.refused);
    }
    for limit in ["4Mi", "12M", "8000Ki"] {
        let forecast = foretell(&containerd(), &limited(limit));
        assert_eq!(forecast.answer, Answer::DependsOnNode, "{limit}");
        assert!(forecast.ask[0].contains(&format!("starts in {limit} of memory")), "{:?}", forecast.ask);
    }
    for limit in ["12Mi", "1.5G", "0", "2147483648"] {
        starts(&containerd(), &limited(limit));
    }
    // all of the pod's, which Kubernetes has since 1.34
    let of_pod = |kind: &str, limit: &str| {
        let spec = format!(
            "{{ hostUsers: false, resources: {{ limits: {{ memory: {limit} }} }}, containers: [{{ name: c, securityContext: {{ procMount: Unmasked }} }}] }}"
        );
        match kind {
            "CronJob" => one(&format!(
                "kind: CronJob\nspec: {{ jobTemplate: {{ spec: {{ template: {{ spec: {spec} }} }} }} }}\n"
            )),
            _ => one(&format!("kind: Pod\nspec: {spec}\n")),
        }
    };
    refused(&containerd(), &of_pod("Pod", "300Ki"), "a limit of 300Ki of memory");
    let forecast = foretell(&containerd(), &of_pod("CronJob", "300Ki"));
    let place = "say 300Mi or 300Gi in spec.jobTemplate.spec.template.spec.resources.limits.memory";
    assert_eq!(forecast.refused[0].remedy, place);
    assert_eq!(foretell(&containerd(), &of_pod("Pod", "4Mi")).answer, Answer::DependsOnNode);
    starts(&containerd(), &of_pod("Pod", "300Mi"));
    starts(&on_kubernetes(33), &of_pod("Pod", "300Ki"));
}

/// A pod in a namespace that has these labels.
fn labelled(labels: &str, context: &str) -> Workload {
    let restricted = "allowPrivilegeEscalation: false, runAsNonRoot: true, runAsUser: 1000, capabilities: { drop: [ALL] }, \
                      seccompProfile: { type: Localhost, localhostProfile: profiles/bwrap.json }";
    one(&format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{ name: ci, labels: {{ {labels} }} }}\n---\nkind: Pod\n\
         metadata: {{ name: p, namespace: ci }}\nspec: {{ {context} containers: [{{ name: c, securityContext: {{ {restricted} }} }}] }}\n"
    ))
}

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

#[test]
fn a_namespace_of_the_same_file_is_asked() {
    let restricted = format!("{ENFORCE}: restricted");
    // the change is what it does not admit
    let pod = labelled(&restricted, "");
    assert_eq!(foretell(&containerd(), &pod).answer, Answer::Fails);
    let change = cure(&[containerd()], &pod);
    assert!(change.is_empty(), "{}", change.patch());
    let last = change.left[0].remedies.iter().find(|remedy| matches!(remedy.action, Action::Pod(_))).unwrap();
    assert!(
        last.requires.iter().any(|needs| needs.contains("Namespace/ci in this file enforces restricted")),
        "{last:#?}"
    );
    // and so is the pod itself
    let pod = labelled(&restricted, "hostUsers: false, volumes: [{ name: h, hostPath: { path: / } }],");
    refused(
        &containerd(),
        &pod,
        "Namespace/ci in this file enforces restricted, which does not admit the pod",
    );
    let remedy = &foretell(&containerd(), &pod).refused[0].remedy;
    assert!(remedy.starts_with("change the pod, which has: a hostPath volume; or, last, "), "{remedy}");
    let label =
        format!("`kubectl label --overwrite namespace ci {ENFORCE}=privileged`, and the label in this file");
    assert!(remedy.ends_with(&label), "{remedy}");
    // rules of a release
    let of = |release: &str| labelled(&format!("{ENFORCE}: baseline, {ENFORCE}-version: {release}"), "");
    assert!(cure(&[containerd()], &of("latest")).patch().contains("Unmasked"));
    assert!(!cure(&[containerd()], &of("v1.34")).patch().contains("Unmasked"));
    assert!(!cure(&[on_kubernetes(34)], &of("latest")).patch().contains("Unmasked"));
    // what warns only, and what is another's
    for labels in ["pod-security.kubernetes.io/warn: restricted", "a: b"] {
        assert!(cure(&[containerd()], &labelled(labels, "")).patch().contains("Unmasked"), "{labels}");
    }
    let text = format!(
        "kind: Namespace\nmetadata: {{ name: other, labels: {{ {restricted} }} }}\n---\nkind: Pod\nspec: {{ containers: [{{ name: c }}] }}\n"
    );
    assert_ne!(foretell(&containerd(), &one(&text)).answer, Answer::NotStarted);
}

/// Where names alone are wrong nothing is opened: the namespace stays what it is.
#[test]
fn names_of_capabilities_are_mended_before_a_namespace_is_opened() {
    let of = |level: &str, add: &str| {
        one(&format!(
            "kind: Namespace\nmetadata: {{ name: ci, labels: {{ {ENFORCE}: {level} }} }}\n---\nkind: Pod\nmetadata: {{ name: p, namespace: ci }}\nspec: \
             {{ containers: [{{ name: c, securityContext: {{ capabilities: {{ add: [{add}] }} }} }}, {{ name: d, securityContext: {{ capabilities: {{ \
             add: [cap_chown], drop: [CAP_NET_RAW] }} }} }}] }}\n"
        ))
    };
    for add in ["CAP_SETFCAP", "setfcap", "cap_setfcap, KILL"] {
        let pod = of("baseline", add);
        let refused = &foretell(&containerd(), &pod).refused[0];
        assert!(refused.remedy.starts_with("name capabilities as Kubernetes does"), "{refused:#?}");
        assert!(!refused.remedy.contains("kubectl label"), "{refused:#?}");
        let cure = cure(&[containerd()], &pod);
        let text = cure.manifest();
        assert_eq!(cure.forecasts[0].answer, Answer::Starts, "{text}");
        for there in ["SETFCAP", "CHOWN", "NET_RAW"] {
            assert!(
                text.contains(&format!("- {there}\n")) || text.contains(&format!("- \"{there}\"\n")),
                "{there}: {text}"
            );
        }
        assert!(!text.to_uppercase().contains("CAP_"), "{text}");
    }
    // a right that is refused by its own name is not mended by a name
    for (level, add) in
        [("baseline", "CAP_SYS_ADMIN"), ("restricted", "CAP_SETFCAP"), ("baseline", "CAP_NONE")]
    {
        let pod = of(level, add);
        let refused = &foretell(&containerd(), &pod).refused[0];
        assert!(refused.remedy.starts_with("change the pod, which has: "), "{refused:#?}");
        assert!(cure(&[containerd()], &pod).is_empty(), "{level} {add}");
    }
}

#[test]
fn kubelets_may_have_a_filter_for_those_who_name_none() {
    let sure = foretell(&containerd(), &unmasked("", "seccompProfile: { type: Unconfined }"));
    assert_eq!((sure.answer, sure.assumed.len()), (Answer::Starts, 0));
    let unsaid = foretell(&containerd(), &unmasked("", ""));
    assert_eq!(unsaid.answer, Answer::Starts);
    assert!(
        unsaid.assumed[0].contains("seccompDefault is off") && unsaid.assumed[0].contains("NS01"),
        "{:?}",
        unsaid.assumed
    );
    let filtered = with(|cluster| cluster.seccomp_default = true);
    let forecast = foretell(&filtered, &unmasked("", ""));
    assert_eq!((forecast.answer, forecast.assumed.len()), (Answer::Fails, 0));
    assert_eq!(forecast.obstacles[0].cause, Cause::SeccompDeniesNamespaces);
    let change = cure(std::slice::from_ref(&filtered), &unmasked("", ""));
    assert!(change.patch().contains("profiles/bwrap.json"), "{}", change.patch());
    starts(&filtered, &change.changed);
    starts(&filtered, &pod("", "securityContext: { privileged: true }"));
}

#[test]
fn classes_of_other_runtimes_are_not_judged_by_these() {
    for class in ["kata-qemu", "kata", "sysbox-runc", "wasmtime", "edera", "urunc", "spin", "mine"] {
        let pod = pod(&format!("runtimeClassName: {class},"), "");
        let forecast = foretell(&containerd(), &pod);
        assert_eq!(forecast.answer, Answer::DependsOnNode, "{class}");
        assert!(forecast.ask[0].contains(&format!("RuntimeClass {class}")), "{:?}", forecast.ask);
        // whether they have user namespaces for pods nobody knows
        let change = cure(&[containerd(), cri_o(Version::new(1, 34, 0))], &pod);
        assert!(!change.patch().contains("hostUsers"), "{class}: {}", change.patch());
    }
    for class in ["nvidia", "runc", "crun", "nvidia-cdi", "''"] {
        let pod = pod(&format!("runtimeClassName: {class},"), "");
        assert_eq!(foretell(&containerd(), &pod).answer, Answer::Fails, "{class}");
        // cards go to no pod with a user namespace
        let asks = cure(&[containerd()], &pod).patch().contains("hostUsers: false");
        assert_eq!(asks, !class.starts_with("nvidia"), "{class}");
    }
}

/// Whatever the nodes have for others.
#[test]
fn the_class_of_gvisor_is_gvisors() {
    let gvisor = Cluster::new(Runtime::GVisor);
    for class in ["gvisor", "runsc", "gke-gvisor", "my-runsc"] {
        let pod = pod(&format!("runtimeClassName: {class},"), "");
        let forecast = foretell(&containerd(), &pod);
        assert_eq!(
            (forecast.runtime, forecast.answer),
            (Runtime::GVisor, foretell(&gvisor, &pod).answer),
            "{class}"
        );
        let change = cure(&[containerd(), cri_o(Version::new(1, 34, 0))], &pod);
        assert!(
            !change.patch().contains("hostUsers") && !change.patch().contains("runAsUser"),
            "{}",
            change.patch()
        );
        let asks = unmasked(&format!("runtimeClassName: {class},"), "");
        refused(&containerd(), &asks, "gVisor");
    }
    let text = "kind: Pod\nspec: { runtimeClassName: gvisor, containers: [{ name: c }] }\n";
    let pod = &read(text).unwrap()[0];
    let hosts = [containerd(), gvisor].map(|cluster| cluster.host(pod, "c").unwrap().kernel);
    assert_eq!(hosts[0], hosts[1]);
    assert!(containerd().foretell(pod, "c", &line()).is_ok());
}
