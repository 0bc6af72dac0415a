//! What counts for all of a pod, or for its sandbox, whatever the container that runs bwrap says of itself; and values that the API
//! server does not take.

use bwrap_launch::diagnosis::Cause;
use bwrap_launch::host::{Fact, Mount};
use bwrap_launch::kubernetes::{Answer, Cluster, Standard, Workload, edited, read, standard};
use bwrap_launch::{Command, Version};

use crate::refused::{cure, pod, refused, starts, unmasked, with};
use crate::{containerd, cri_o, cured, foretell, line, one};

fn of_cri_o() -> Cluster {
    cri_o(Version::new(1, 34, 0))
}

#[track_caller]
fn asks(cluster: &Cluster, pod: &Workload, says: &str) {
    let forecast = foretell(cluster, pod);
    assert_eq!(forecast.answer, Answer::DependsOnNode, "{forecast:#?}");
    assert!(forecast.ask.iter().any(|question| question.contains(says)), "{says}: {:?}", forecast.ask);
}

/// A pod without rights over the node, to which a user namespace would be given.
fn user(spec: &str) -> Workload {
    pod(spec, "securityContext: { runAsUser: 1000 }")
}

#[track_caller]
fn gets_no_user_namespace(cluster: &Cluster, pod: &Workload) {
    let cure = cure(std::slice::from_ref(cluster), pod);
    assert!(!cure.patch().contains("hostUsers"), "{}", cure.patch());
}

#[test]
fn groups_that_may_ping_are_those_of_the_pod() {
    let sets = |name: &str, value: &str| {
        format!("securityContext: {{ runAsUser: 1000, sysctls: [{{ name: {name}, value: '{value}' }}] }},")
    };
    for (name, value) in [
        ("net.ipv4.ping_group_range", "0 2147483647"),
        ("net/ipv4/ping_group_range", "0 65536"),
        ("net.ipv4.ping_group_range", "100000\t200000"),
    ] {
        let spec = sets(name, value);
        refused(&containerd(), &unmasked(&spec, ""), "failed to write sysctl net.ipv4.ping_group_range");
        gets_no_user_namespace(&containerd(), &pod(&spec, ""));
        starts(&of_cri_o(), &unmasked(&spec, ""));
    }
    for (name, value) in [
        ("net.ipv4.ping_group_range", "0 65535"),
        ("net.ipv4.ping_group_range", "1 0"),
        ("net.ipv4.tcp_fin_timeout", "70000"),
    ] {
        starts(&containerd(), &unmasked(&sets(name, value), ""));
        assert!(cure(&[containerd()], &pod(&sets(name, value), "")).patch().contains("hostUsers: false"));
    }
}

/// containerd makes the sandbox as the pod's own user and group.
#[test]
fn the_sandbox_has_the_ids_of_the_pod() {
    let own = "runAsUser: 1000, runAsGroup: 5";
    for (spec, says) in [
        ("securityContext: { runAsUser: 70000 },", "the pod's runAsUser 70000"),
        ("securityContext: { runAsUser: 1000, runAsGroup: 70000 },", "the pod's runAsGroup 70000"),
    ] {
        refused(&containerd(), &unmasked(spec, own), says);
        starts(&of_cri_o(), &unmasked(spec, own));
        gets_no_user_namespace(&containerd(), &pod(spec, &format!("securityContext: {{ {own} }}")));
    }
    // what is said of the sandbox is said once, and mended there
    let whole = unmasked("securityContext: { runAsUser: 70000 },", "");
    assert_eq!(foretell(&containerd(), &whole).refused.len(), 1);
    let done = cure(&[containerd()], &whole);
    assert_eq!(done.forecasts[0].answer, Answer::Starts, "{}", done.patch());
    assert!(done.patch().starts_with("spec:\n  securityContext:\n    runAsUser: 1000\n"), "{}", done.patch());
    // a container's own
    let own = unmasked("securityContext: { runAsUser: 1000 },", "runAsUser: 70000");
    refused(&containerd(), &own, "the user 70000");
    assert!(cure(&[containerd()], &own).patch().contains("containers:"));
    starts(&containerd(), &unmasked("securityContext: { runAsUser: 65535, runAsGroup: 65535 },", ""));
}

#[test]
fn a_group_of_the_sandbox_wants_a_user() {
    let group = "securityContext: { runAsGroup: 1000 },";
    for pod in [unmasked(group, "runAsUser: 1000"), unmasked(group, ""), user(group)] {
        refused(&containerd(), &pod, "user group \"1000\" is specified without user");
        assert_ne!(foretell(&of_cri_o(), &pod).answer, Answer::NotStarted);
    }
    // who runs as what stays as it is
    let patch = |cluster: &Cluster, pod: &Workload| cure(std::slice::from_ref(cluster), pod).patch();
    assert!(patch(&containerd(), &unmasked(group, "runAsUser: 7")).contains("runAsUser: 1000"));
    assert_eq!(patch(&containerd(), &unmasked(group, "")), "");
    let known = with(|cluster| cluster.image_user = Some(10001));
    assert!(patch(&known, &unmasked(group, "")).contains("runAsUser: 10001"));
    starts(&containerd(), &unmasked("securityContext: { runAsUser: 0, runAsGroup: 1000 },", ""));
    starts(&containerd(), &unmasked("", "runAsUser: 1000, runAsGroup: 1000"));
}

#[test]
fn the_kubelet_looks_for_apparmor_in_all_of_a_pod() {
    let says = "AppArmor is not enabled on the host";
    let default = "appArmorProfile: { type: RuntimeDefault }";
    let free = "appArmorProfile: { type: Unconfined }";
    let beside = |own: &str, other: &str| {
        one(&format!(
            "kind: Pod\nmetadata: {{ name: p }}\nspec: {{ hostUsers: false, containers: [{{ name: c, securityContext: {{ procMount: Unmasked, {own} }} }}, \
             {{ name: d, securityContext: {{ {other} }} }}] }}\n"
        ))
    };
    refused(&containerd(), &unmasked(&format!("securityContext: {{ {default} }},"), free), says);
    refused(&containerd(), &beside("", default), says);
    refused(&of_cri_o(), &beside(free, default), says);
    starts(&containerd(), &unmasked(&format!("securityContext: {{ {free} }},"), free));
    starts(&containerd(), &beside(free, free));
    // without the field there is nothing to look for
    let old = with(|cluster| cluster.kubernetes = Some((1, 29)));
    assert!(foretell(&old, &beside("", default)).refused.iter().all(|one| !one.text.contains(says)));
}

#[test]
fn files_of_filters_are_asked_for_where_they_are_loaded() {
    let file = "seccompProfile: { type: Localhost, localhostProfile: none.json }";
    let first = |context: &str| {
        unmasked(&format!("initContainers: [{{ name: i, securityContext: {{ {context} }} }}],"), "")
    };
    let of_c = |pod: &Workload| containerd().foretell(pod, "c", &line()).unwrap();
    let asked = of_c(&first(file));
    assert_eq!(asked.answer, Answer::DependsOnNode, "{asked:#?}");
    assert!(asked.ask[0].contains("whether the filter none.json is on the nodes"), "{:?}", asked.ask);
    assert_ne!(foretell(&containerd(), &unmasked("", file)).answer, Answer::Starts);
    assert_eq!(of_c(&first("seccompProfile: { type: RuntimeDefault }")).answer, Answer::Starts);
    // a privileged container has none, and loads none
    assert_eq!(of_c(&first(&format!("privileged: true, {file}"))).answer, Answer::Starts);
    starts(
        &containerd(),
        &pod(&format!("securityContext: {{ {file} }},"), "securityContext: { privileged: true }"),
    );
}

#[test]
fn what_the_node_lacks_it_cannot_give() {
    let adds = |context: &str| pod("", &format!("securityContext: {{ {context} }}"));
    let named = adds("capabilities: { add: [SYS_RESOURCE] }");
    refused(&containerd(), &named, "containerd cannot give CAP_SYS_RESOURCE to the container");
    refused(&of_cri_o(), &named, "CRI-O cannot give CAP_SYS_RESOURCE to the container");
    let all = adds("capabilities: { add: [ALL] }");
    refused(&of_cri_o(), &all, "cannot give CAP_SYS_RESOURCE");
    refused(&of_cri_o(), &adds("privileged: true"), "to a privileged container");
    // containerd gives what there is, and what is dropped is not asked for
    assert_eq!(foretell(&containerd(), &all).answer, Answer::Fails);
    starts(&containerd(), &adds("privileged: true"));
    let dropped = adds("capabilities: { add: [SYS_RESOURCE], drop: [SYS_RESOURCE] }");
    assert_eq!(foretell(&of_cri_o(), &dropped).answer, Answer::Fails);
    // the first process of a user namespace has all of them
    for cluster in [containerd(), of_cri_o()] {
        starts(&cluster, &unmasked("", "runAsUser: 1000, capabilities: { add: [SYS_RESOURCE] }"));
        starts(&cluster, &pod("hostUsers: false,", "securityContext: { privileged: true }"));
    }
    assert_eq!(cure(&[containerd()], &named).forecasts[0].answer, Answer::Starts);
    let whole = with(|cluster| cluster.node.process.bounding = Fact::Unknown);
    assert_eq!(foretell(&whole, &named).answer, Answer::Fails);
}

#[test]
fn volumes_lie_where_runtimes_take_them_to_be() {
    let at = |path: &str| {
        pod(
            "hostUsers: false, volumes: [{ name: v, emptyDir: {} }],",
            &format!(
                "volumeMounts: [{{ name: v, mountPath: {path} }}], securityContext: {{ procMount: Unmasked, runAsUser: 1000 }}"
            ),
        )
    };
    for path in ["/proc/foo", "proc/foo", "/tmp/../proc/foo", "/proc/./foo/../bar"] {
        refused(&containerd(), &at(path), "runc mounts no volume inside /proc");
        // a line that mounts no /proc of its own
        let bound = Command::from_args("--ro-bind / / --unshare-all true".split_whitespace()).unwrap();
        let forecast = of_cri_o().foretell(&at(path), "c", bound.get_sandbox()).unwrap();
        assert_eq!(forecast.answer, Answer::DependsOnNode, "{path}");
        assert!(forecast.ask[0].contains("runc mounts no volume inside /proc"), "{:?}", forecast.ask);
    }
    for path in ["/", "//", "/a/.."] {
        refused(&containerd(), &at(path), "mounts no volume on the root of a container");
        refused(&of_cri_o(), &at(path), "mounts no volume on the root of a container");
    }
    for path in ["data", "/data/../x", "/processes"] {
        starts(&containerd(), &at(path));
        starts(&of_cri_o(), &at(path));
    }
    asks(&containerd(), &at("/dev"), "whether the devices that --dev binds are there");
    starts(&containerd(), &at("/dev/shm"));
    let devices = pod(
        "volumes: [{ name: v, hostPath: { path: /dev } }],",
        "volumeMounts: [{ name: v, mountPath: /dev }], securityContext: { privileged: true }",
    );
    starts(&containerd(), &devices);
}

#[test]
fn a_node_says_itself_what_it_has_where() {
    let mounted = |lines: &[&str]| {
        let mounts = lines.iter().filter_map(|line| Mount::parse(line)).collect();
        with(|cluster| cluster.node.mounts = Fact::Present(mounts))
    };
    let of = |path: &str| {
        pod(
            &format!("hostUsers: false, volumes: [{{ name: v, hostPath: {{ path: {path} }} }}],"),
            "volumeMounts: [{ name: v, mountPath: /v }], securityContext: { procMount: Unmasked }",
        )
    };
    let kind = mounted(&[
        "1 0 0:1 / / rw - overlay overlay rw",
        "2 1 0:2 / /sys rw - sysfs sysfs rw",
        "3 2 0:3 / /sys/fs/cgroup rw - tmpfs tmpfs rw",
        "4 1 8:1 / /var rw - ext4 /dev/sda1 rw",
    ]);
    refused(&kind, &of("/etc"), "the volume v is overlay");
    refused(&kind, &of("/sys/kernel"), "the volume v is sysfs");
    for path in ["/var/lib/x", "/sys/fs/cgroup"] {
        starts(&kind, &of(path));
    }
    starts(&mounted(&["1 0 8:1 / / rw - ext4 /dev/sda1 rw"]), &of("/etc"));
}

#[test]
fn an_image_is_mapped_by_containerd_alone() {
    let image = |spec: &str, context: &str| {
        pod(
            &format!("{spec} volumes: [{{ name: v, image: {{ reference: x }} }}],"),
            &format!("volumeMounts: [{{ name: v, mountPath: /v }}], securityContext: {{ {context} }}"),
        )
    };
    let apart = image("hostUsers: false,", "procMount: Unmasked, runAsUser: 1000");
    refused(&of_cri_o(), &apart, "the volume v is an overlay that CRI-O makes of an image");
    starts(&containerd(), &apart);
    gets_no_user_namespace(&of_cri_o(), &image("", "runAsUser: 1000"));
}

#[test]
fn pod_security_reads_what_is_written() {
    let sets = |name: &str| {
        let spec = format!("securityContext: {{ sysctls: [{{ name: {name}, value: '1' }}] }},");
        standard(&user(&spec), &containerd()).0
    };
    assert_eq!(sets("net/ipv4/ip_unprivileged_port_start"), Standard::Privileged);
    assert_eq!(sets("net.ipv4.ip_unprivileged_port_start"), Standard::Baseline);
    let restricted = |volume: &str| {
        let spec = format!(
            "volumes: [{{ name: v, {volume} }}], securityContext: {{ runAsNonRoot: true, seccompProfile: {{ type: RuntimeDefault }} }},"
        );
        let context = "securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }";
        standard(&pod(&spec, context), &containerd()).0
    };
    assert_eq!(restricted("image: { reference: x }"), Standard::Restricted);
    assert_eq!(restricted("nfs: { server: s }"), Standard::Baseline);
}

#[test]
fn values_that_are_not_taken() {
    let container = |fields: &str| {
        pod("hostUsers: false,", &format!("{fields}, securityContext: {{ procMount: Unmasked }}"))
    };
    for (fields, says) in [
        ("env: [{ name: A, value: true }]", "cannot unmarshal bool into Go struct field EnvVar.value"),
        ("env: [{ name: A, value: 1 }]", "cannot unmarshal number into Go struct field EnvVar.value"),
        ("args: [--port, 80]", "cannot unmarshal number into Go struct field Container.args"),
        ("command: [sleep, on]", "cannot unmarshal bool into Go struct field Container.command"),
        (
            "resources: { limits: { memory: 64Mi }, requests: { memory: 128Mi } }",
            "must be less than or equal to memory limit of 64Mi",
        ),
        (
            "resources: { limits: { cpu: 100m }, requests: { cpu: 1 } }",
            "must be less than or equal to cpu limit of 100m",
        ),
        (
            "ports: [{ name: a, containerPort: 1 }, { name: a, containerPort: 2 }]",
            "takes no two ports with the name a",
        ),
    ] {
        refused(&containerd(), &container(fields), says);
    }
    for fields in [
        "env: [{ name: A, value: 'true' }, { name: B }, { name: C, value: }]",
        "args: ['80']",
        "resources: { limits: { memory: 1Gi, cpu: 100m }, requests: { memory: 1024Mi, cpu: 0.1 } }",
        "resources: { requests: { memory: 128Mi } }",
        "ports: [{ containerPort: 1 }, { containerPort: 2 }]",
    ] {
        starts(&containerd(), &container(fields));
    }
    let below = |path: &str| {
        pod(
            "hostUsers: false, volumes: [{ name: v, emptyDir: {} }],",
            &format!(
                "volumeMounts: [{{ name: v, mountPath: /v, subPath: {path} }}], securityContext: {{ procMount: Unmasked }}"
            ),
        )
    };
    for path in ["../x", "a/../b", "/x"] {
        refused(&containerd(), &below(path), "the API server takes no subPath");
    }
    starts(&containerd(), &below("a..b/c"));
    // a custom resource's are its controller's
    let custom = one(
        "apiVersion: x.io/v1\nkind: Runner\nspec: { template: { spec: { hostUsers: false, containers: [{ name: c, env: [{ name: A, value: 1 }], securityContext: { procMount: Unmasked } }] } } }\n",
    );
    starts(&containerd(), &custom);
    for name in ["y", "123", "true", "{}"] {
        let text =
            format!("kind: Pod\nmetadata: {{ name: {name} }}\nspec: {{ containers: [{{ name: c }}] }}\n");
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains("metadata.name must be a text"), "{error}");
    }
    assert!(read("kind: Pod\nmetadata: { name: 'y' }\nspec: { containers: [{ name: c }] }\n").is_ok());
}

#[test]
fn annotations_name_profiles() {
    let annotated = |value: &str| {
        one(&format!(
            "kind: Pod\nmetadata: {{ name: p, annotations: {{ container.apparmor.security.beta.kubernetes.io/c: {value} }} }}\n\
             spec: {{ hostUsers: false, containers: [{{ name: c, securityContext: {{ procMount: Unmasked }} }}] }}\n"
        ))
    };
    refused(&containerd(), &annotated("foo"), "invalid AppArmor profile name: \"foo\"");
    refused(&containerd(), &annotated("runtime/default"), "AppArmor is not enabled on the host");
    refused(&containerd(), &annotated("localhost/foo"), "AppArmor is not enabled on the host");
    starts(&containerd(), &annotated("unconfined"));
    starts(&containerd(), &annotated("''"));
}

/// Clouds refuse by rules of their own what elsewhere nobody minds.
#[test]
fn clouds_let_in_what_they_let_in() {
    let fargate = "schedulerName: fargate-scheduler,";
    let autopilot = "nodeSelector: { cloud.google.com/compute-class: autopilot },";
    let root = "securityContext: { privileged: true }";
    for (spec, container, says) in [
        (
            format!("{fargate} hostNetwork: true, hostPID: true,"),
            "",
            "fields not supported: HostNetwork, HostPID",
        ),
        (
            fargate.to_owned(),
            "ports: [{ containerPort: 1, hostPort: 1 }]",
            "port contains HostIP or HostPort",
        ),
        (fargate.to_owned(), root, "invalid SecurityContext fields: Privileged"),
        (
            format!("{fargate} volumes: [{{ name: v, hostPath: {{ path: /x }} }}],"),
            "",
            "volumes not supported: hostPath",
        ),
        (format!("{autopilot} hostPID: true, hostIPC: true,"), "", "hostPID: true, hostIPC: true"),
        (autopilot.to_owned(), root, "not allowed in Autopilot"),
        (
            autopilot.to_owned(),
            "securityContext: { capabilities: { add: [SYS_ADMIN] } }",
            "the capability SYS_ADMIN",
        ),
        (
            autopilot.to_owned(),
            "securityContext: { seccompProfile: { type: Unconfined } }",
            "seccompProfile: Unconfined",
        ),
    ] {
        let pod = pod(&spec, container);
        refused(&containerd(), &pod, says);
        let forecast = foretell(&containerd(), &pod);
        assert!(
            forecast.refused.iter().any(|one| one.cause == Some(Cause::AdmissionRefuses)),
            "{forecast:#?}"
        );
    }
    for (spec, container) in [
        (fargate, "securityContext: { runAsUser: 1000, privileged: false }"),
        (fargate, "ports: [{ containerPort: 1 }]"),
        (autopilot, "securityContext: { capabilities: { add: [SETFCAP, SYS_PTRACE] } }"),
        ("", "securityContext: { privileged: true }"),
        ("hostPID: true,", ""),
    ] {
        assert_ne!(
            foretell(&containerd(), &pod(spec, container)).answer,
            Answer::NotStarted,
            "{spec} {container}"
        );
    }
    let allowed = one(&format!(
        "kind: Pod\nmetadata: {{ name: p, labels: {{ cloud.google.com/matching-allowlist: x }} }}\nspec: {{ {autopilot} containers: [{{ name: c, {root} }}] }}\n"
    ));
    assert_ne!(foretell(&containerd(), &allowed).answer, Answer::NotStarted);
}

#[test]
fn tabs_may_stand_before_values() {
    let old = "apiVersion: v1\nkind:\tPod # a\nmetadata:\t\t{name: a}\nspec:\n  containers:\n  - name:\tc\n    args: [\"a:\tb\"]\n    image: x\n";
    assert_eq!(read(old).unwrap()[0].title(), "Pod/a");
    // what a block has stays as it is
    let block = "kind:\tConfigMap\ndata:\n  Makefile: |\n    all:\tx\n---\nkind: Pod\nspec: {containers: [{name: c}]}\n";
    assert!(read(block).is_ok());
    for bad in ["kind:\tPod\nspec: [\n", "\tkind: Pod\n", "a:\tb: c\n"] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn documents_of_json_are_changed_each_by_itself() {
    let pod = |name: &str| {
        format!(
            "{{\n\t\"kind\": \"Pod\",\n\t\"metadata\": {{ \"name\": \"{name}\" }},\n\t\"spec\": {{ \"containers\": [{{ \"name\": \"c\" }}] }}\n}}"
        )
    };
    let service = "{ \"kind\": \"Service\",   \"spec\": {} }";
    for gap in ["\n", "\n\n", " ", ""] {
        let old = format!("{}{gap}{service}{gap}{}\n", pod("a"), pod("b"));
        let new = cured(&old, &containerd()).unwrap();
        assert_eq!(new.matches("Unmasked").count(), 2, "{new}");
        assert!(new.contains(&format!("}}{gap}{service}{gap}{{")) && new.ends_with("}\n"), "{new}");
        assert_eq!(cured(&new, &containerd()).as_deref(), Ok(new.as_str()), "twice is as once");
    }
    assert!(edited("{} {", &[]).is_err());
}
