#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::diagnosis::Confidence;
use crate::diagnosis::fixtures::machine;
use crate::diagnosis::{Symptom, diagnose};
use crate::host::Host;

const API: &str = "The Pod \"p\" is invalid: spec.containers[0].securityContext.procMount: Invalid value: \
                   \"Unmasked\": `hostUsers` must be false to use `Unmasked`";
const ADMISSION: &str = "pods \"p\" is forbidden: violates PodSecurity \"baseline:v1.34\": procMount (container \
                         \"c\" must not set securityContext.procMount to \"Unmasked\")";
const RUNTIME: &str = "Failed to create pod sandbox: failed to start noop process for unshare: fork/exec \
                       /proc/self/exe: no space left on device";

#[test]
fn texts_of_kubernetes() {
    assert_eq!(kubernetes_text(API, false), Some(Cause::UnmaskedNeedsUserNamespace));
    assert_eq!(kubernetes_text(ADMISSION, false), Some(Cause::PodSecurityForbidsUnmasked));
    assert_eq!(kubernetes_text(&RUNTIME.replace(' ', "\n  "), false), Some(Cause::NodeWithoutUserNamespaces));
    assert_eq!(kubernetes_text("bwrap: Can't mount proc on /proc: Operation not permitted", false), None);
    assert_eq!(kubernetes_text("write /x: no space left on device", false), None);
}

#[test]
fn what_is_said_is_looked_for_in_small_letters() {
    let rows =
        |name: &'static str| Cause::ALL.iter().flat_map(move |cause| section(cause.text(), name).lines());
    assert!(rows("said").count() > 12 && rows("minded").count() > 5);
    for words in rows("said").chain(rows("minded").filter_map(|row| Some(row.split_once('\t')?.0))) {
        assert!(!words.is_empty() && words == words.to_lowercase(), "{words}");
    }
    assert!(rows("minded").all(|row| row.contains('\t')));
    let known = super::super::all().map(|rule| rule.cause);
    let looked: Vec<&str> = known.flat_map(|cause| section(cause.text(), "said").lines()).collect();
    assert_eq!(looked.len(), rows("said").count());
}

#[test]
fn a_pasted_text_is_diagnosed() {
    for (text, code) in [(API, "K801"), (ADMISSION, "K804"), (RUNTIME, "K802")] {
        let diagnosis = diagnose(&Symptom::from_text(text.as_bytes()), &machine(), None);
        assert_eq!(diagnosis.cause().unwrap().code(), code);
        assert_eq!(diagnosis.causes[0].confidence, Confidence::High);
        assert!(!diagnosis.causes[0].remedies.is_empty());
    }
}

/// As kubelets, runtimes, API servers and admission print them, with the codes.
const SAID: &str = include_str!("said.tsv");

fn said() -> impl Iterator<Item = (&'static str, &'static str)> {
    SAID.lines().map(|line| line.split_once('\t').unwrap())
}

fn code(text: &str) -> &'static str {
    diagnose(&Symptom::from_text(text.as_bytes()), &machine(), None).cause().unwrap().code()
}

#[test]
fn a_pod_that_was_not_started_is_none_of_bwraps_failures() {
    for (code, text) in said() {
        for text in
            [text.to_owned(), format!("  Warning  Failed  3s  kubelet  {text}"), format!("bwrap: {text}")]
        {
            let diagnosis = diagnose(&Symptom::from_text(text.as_bytes()), &machine(), None);
            assert_eq!(diagnosis.cause().unwrap().code(), code, "{text}");
            let report = diagnosis.brief();
            let begins = match code {
                _ if text.contains("Warning: would") => "Kubernetes made this, with a warning; ",
                "K812" => "Kubernetes refused the change; what was there runs on ",
                _ => "Kubernetes did not start the pod; bwrap did not run.\n",
            };
            assert!(report.starts_with(begins), "{report}");
        }
    }
    let said = "violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"c\" must set ...), \
                runAsNonRoot != true (pod must set ...)";
    let diagnosis = diagnose(&Symptom::from_text(said.as_bytes()), &machine(), None);
    let minded = diagnosis.causes[0].evidence.iter().filter(|seen| seen.text.contains("suits bwrap")).count();
    assert_eq!(minded, 2, "{diagnosis}");
    // where it is off, there is nothing to load
    let of = |text: &str| {
        diagnose(&Symptom::from_text(text.as_bytes()), &machine(), None).causes[0].remedies[0].summary.clone()
    };
    assert!(of("AppArmor is not enabled on the host").starts_with("Leave"));
    assert!(of("apparmor profile not found bwrap-nested").starts_with("Load"));
}

#[test]
fn a_noop_process_can_fail_for_other_reasons() {
    let text = b"failed to start noop process for unshare: fork/exec /proc/self/exe: permission denied";
    let diagnosis = diagnose(&Symptom::from_text(text), &machine(), None);
    assert_eq!(diagnosis.causes[0].confidence, Confidence::Low);
}

/// What others say in words like these.
#[test]
fn what_is_none_of_kubernetes_words_is_not_taken_for_them() {
    for text in [
        "docker: Error response from daemon: OCI runtime create failed: runc create failed: unable to start container process: x: unknown",
        "setpriv: unknown capability \"x\"",
        "json: unknown field \"procMount\"",
        "error: unable to recognize \"i.yaml\": no matches for kind \"Ingress\" in version \"extensions/v1beta1\"",
        "error: resource mapping not found for name: \"v\": no matches for kind \"Job\" in version \"batch.volcano.sh/v1alpha1\"",
        "PersistentVolumeClaim in version \"v1\" cannot be handled as a PersistentVolumeClaim: quantities must match the regular expression",
        "slurm: 3 nodes are available: waiting",
        "permission is configured elsewhere",
        "squid: denied the request",
        "make: *** [all] invalid argument",
        "psql: Error from server: FATAL: password authentication failed for user \"x\"",
        "ValueError: object cannot be handled as a dict",
        "error: Project version is invalid: specifier must match PEP 440",
        "ray.exceptions: No nodes are available: waiting for autoscaler",
        "Error from server (NotFound): deployments.apps \"web\" not found",
        "Error from server: error dialing backend: dial tcp 10.0.0.1:10250: i/o timeout",
        "$ podman run x\nError: OCI runtime error: container create failed: crun: x",
        "$ nerdctl run x\nFATA[0000] failed to create shim task: OCI runtime create failed: x",
        "ERROR: for web Cannot start service web: OCI runtime create failed: x",
        // what it says of objects that are no pods
        "Error from server (BadRequest): error when creating \"i.yaml\": admission webhook \"validate.nginx.ingress.kubernetes.io\" denied the request: host \"a\" and path \"/\" is already defined in ingress default/x",
        "Error from server: error when creating \"s.yaml\": admission webhook \"validate.kyverno.svc-fail\" denied the request:\n\nresource Service/default/s was blocked due to the following policies\n\nno-nodeport:\n  x: validation error",
        "Error from server (Forbidden): admission webhook \"validation.gatekeeper.sh\" denied the request: [ns-must-have-owner] namespace must have label owner",
        "Error from server (BadRequest): error when creating \"s.yaml\": Service in version \"v1\" cannot be handled as a Service: strict decoding error: unknown field \"spec.port\"",
        "Error from server (Forbidden): error when creating \"svc.yaml\": services \"x\" is forbidden: exceeded quota: q, requested: services.loadbalancers=1",
        "Error from server (InternalError): error when creating \"issuer.yaml\": Internal error occurred: failed calling webhook \"webhook.cert-manager.io\": context deadline exceeded",
        "if strings.Contains(err.Error(), \"failed to create containerd task\") { return retry }",
        "error: error validating \"s.yaml\": error validating data: [ValidationError(Service.spec): unknown field \"port\" in io.k8s.api.core.v1.ServiceSpec]",
        "Error from server (Forbidden): pods is forbidden: User \"dev\" cannot list resource \"pods\" in API group \"\" in the namespace \"ci\"",
        // what runtimes say everywhere
        "runc create failed: unable to start container process: error during container init: error mounting \"proc\" to rootfs at \"/proc\": operation not permitted: unknown",
        // what others say in words like these
        "json: cannot unmarshal bool into Go struct field Config.spec.name of type string",
        "Error: unable to decode \"s.yaml\": json: cannot unmarshal string into Go struct field ServiceSpec.spec.ports of type int32",
        "Error: INSTALLATION FAILED: Service \"x\" is invalid: spec.ports[0].nodePort: Invalid value: 1",
        "Error: INSTALLATION FAILED: failed to create resource: Ingress.networking.k8s.io \"x\" is invalid: spec.rules: Required value",
        "error: failed to create typed patch object (ci/x; v1, Kind=Service): .spec.port: field not declared in schema",
        "docker: Error response from daemon: failed to create task for container: OCI runtime create failed: runc create failed: unable to start container process: error during container init: failed to write sysctl net.ipv4.ping_group_range = \"0 4294967295\": invalid argument: unknown",
        "runc run failed: unable to start container process: can't apply capabilities: operation not permitted",
        "set memory limit for the JVM to 64m, which is too low",
        "my policy: validation error: failed at path /x",
        "docker: Error response from daemon: path /srv is mounted on / but it is not a shared mount.",
        "write /run/secrets/kubernetes.io/serviceaccount/x: no space left on device",
        // and of a pod that has started since
        "Events:\n  Warning  FailedMount  60s  kubelet  MountVolume.SetUp failed for volume \"x\" : x\n  Normal   Started  50s  kubelet  Started container c\n",
    ] {
        assert!(!code(text).starts_with("K8"), "{text}: {}", code(text));
    }
    // what comes on several lines
    for text in [
        "  Warning  Failed     3s (x8 over 90s)  kubelet  Error: ErrImageNeverPull\n  Warning  ErrImageNeverPull  3s  kubelet  Container image \"x\" is not present",
        "    reason: Unschedulable\n    message: '0/5 nodes are available: 4 Insufficient cpu.'",
    ] {
        assert_eq!(code(text), "K810", "{text}");
    }
    // bwrap's own word counts more, whoever passes it on
    let passed = "Error from server: command terminated: bwrap: setting up uid map: Permission denied";
    assert!(!code(passed).starts_with("K8"), "{}", code(passed));
    let missing = "OCI runtime create failed: unable to start container process: exec: \"bwrap\": executable file not found in $PATH";
    assert_eq!(code(missing), "CP07");
    let escaped = "Error: container create failed: time=\"2026-03-02T10:11:12Z\" level=error msg=\"runc create failed: unable to start \
                   container process: exec: \\\"bwrap\\\": executable file not found in $PATH\"";
    assert_eq!(code(escaped), "CP07");
    assert_eq!(code(&escaped.replace("bwrap", "executor")), "K810");
    let said = diagnose(&Symptom::from_text(missing.as_bytes()), &machine(), None).to_string();
    assert!(said.contains("the container's runtime says so") && !said.contains("the shell"), "{said}");
}

/// Which fields, in the one line that all see.
#[test]
fn what_admission_minds_is_named_at_once() {
    let all = "pods \"p\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (x), unrestricted \
               capabilities (x), runAsNonRoot != true (x), seccompProfile (x)";
    let brief =
        diagnose(&Symptom::from_text(all.as_bytes()), &machine(), None).brief().replace("\n    ", " ");
    for field in ["seccompProfile", "capabilities", "allowPrivilegeEscalation", "runAsNonRoot"] {
        assert!(
            brief.split("Cause: ").nth(1).unwrap().split('[').next().unwrap().contains(field),
            "{field}: {brief}"
        );
    }
    let warning = "Warning: would violate PodSecurity \"baseline:latest\": privileged (x)";
    let text = diagnose(&Symptom::from_text(warning.as_bytes()), &machine(), None).to_string();
    assert!(text.contains("the object itself was created"), "{text}");
}

/// What was made with a warning may run.
#[test]
fn a_warning_stops_no_pod() {
    for text in [
        "Warning: would violate PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (x)\npod/p created",
        "W0101 10:00:00.000 123 warnings.go:70] would violate PodSecurity \"baseline:latest\": privileged (x)\nSTATUS: deployed",
        "Warning: unknown field \"spec.securityContext.procMount\"\npod/p created",
        "Warning: policy disallow-proc-mount.check-proc-mount: validation error: Changing the proc mount is not allowed. rule check-proc-mount failed at path /spec/containers/0/securityContext/procMount/\npod/executor created",
    ] {
        let report = diagnose(&Symptom::from_text(text.as_bytes()), &machine(), None).brief();
        assert!(report.starts_with("Kubernetes made this, with a warning"), "{report}");
        assert!(report.contains("Cause: a warning: ") && !report.contains("not started"), "{report}");
    }
    let events = "  Warning  FailedMount  50s  kubelet  MountVolume.SetUp failed for volume \"x\" : x\n  \
                  Normal   Started  60s  kubelet  Started container c";
    assert_eq!(code(events), "K810");
    // another container's start says nothing
    let events = "  Normal   Started  5s  kubelet  Started container istio-proxy\n  \
                  Warning  Failed   6s  kubelet  Error: failed to create containerd task: user namespaces are not supported";
    assert_eq!(code(events), "K810");
}

/// An image's files are no volume, and a selector is no template.
#[test]
fn remedies_are_for_what_the_text_names() {
    let first = |text: &str| {
        let diagnosis = diagnose(&Symptom::from_text(text.as_bytes()), &machine(), None);
        diagnosis.causes[0].remedies[0].summary.clone()
    };
    for (text, remedy) in [
        (
            "snapshotter \"overlayfs\" doesn't support idmap mounts on this host, configure `slow_chown`",
            "image's files",
        ),
        ("failed to set MOUNT_ATTR_IDMAP on /var/lib/x: invalid argument", "that volume"),
        (
            "failed to create containerd task: failed to set MOUNT_ATTR_IDMAP on /var/lib/kubelet/pods/0f3c/volumes/kubernetes.io~projected/kube-api-access-abcde: invalid argument",
            "Linux 6.3",
        ),
        ("the feature gate \"UserNamespacesSupport\" is disabled: can't set spec.HostUsers", "kubelet has"),
        ("can't set spec.hostUsers: false, runtime does not support user namespaces", "whose runtime"),
        (
            "failed to start noop process for unshare: fork/exec /proc/self/exe: operation not permitted",
            "the node itself",
        ),
        (
            "failed to start noop process for unshare: fork/exec /proc/self/exe: invalid argument",
            "the kubelet",
        ),
        (
            "admission webhook \"validation.gatekeeper.sh\" denied the request: [psp-proc-mount] ProcMount type is not allowed, container: c",
            "outer /proc",
        ),
        (
            "pods \"p\" is forbidden: unable to validate against any security context constraint: [provider restricted-v2: .containers[0].procMount: Invalid value: \"Unmasked\", provider \"nested-container\": Forbidden: not usable by user or serviceaccount]",
            "nested-container",
        ),
        (
            "admission webhook \"x.io\" denied the request: container c must not be privileged",
            "needs the least",
        ),
        (
            "failed to create containerd task: OCI runtime create failed: error running createContainer hook #0: fork/exec /kind/bin/mount-product-files.sh: permission denied",
            "hook of kind",
        ),
        (
            "failed to create containerd task: OCI runtime create failed: error running createContainer hook #0: exit status 1",
            "the cluster says",
        ),
        ("The Deployment \"d\" is invalid: spec.selector: Invalid value: {}: field is immutable", "selector"),
        ("The Job \"j\" is invalid: spec.template: Invalid value: {}: field is immutable", "anew"),
    ] {
        assert!(first(text).contains(remedy), "{text}: {}", first(text));
    }
}

/// What people say before it is none of Kubernetes' words.
#[test]
fn the_line_that_decides_is_quoted() {
    let evidence = |text: &str| {
        let symptom = Symptom::from_text(text.as_bytes());
        diagnose(&symptom, &Host::default(), None).causes[0].evidence[0].text.clone()
    };
    let said = "Failed to create pod sandbox: rpc error: code = Unknown desc = the handler does not support user namespaces";
    let long = format!(
        "Pods do not start here, whatever I try.\n\n  Warning  FailedCreatePodSandBox  3m1s  kubelet  {said}"
    );
    assert!(evidence(&long).starts_with("Kubernetes says so: "), "{}", evidence(&long));
    assert!(!evidence(&long).contains("whatever I try"), "{}", evidence(&long));
    assert!(evidence(&long).contains("does not support user namespaces"), "{}", evidence(&long));
    // a short one is whole, and what goes over several lines as well
    let short = "Pod \"x\" is invalid: hostUsers: false needs Linux 5.19";
    assert!(evidence(short).ends_with(short), "{}", evidence(short));
}

#[test]
fn whose_ids_and_whose_files_is_told_apart() {
    let first = |text: &str| {
        let symptom = Symptom::from_text(text.as_bytes());
        let found = diagnose(&symptom, &Host::default(), None).causes.remove(0);
        found.remedies[0].instructions()
    };
    let sandbox = "Failed to create pod sandbox: rpc error: code = Unknown desc = ";
    for (said, helps) in [
        ("not enough unused IDs in user namespace", "containers:1000000"),
        ("could not find an empty slot to allocate a user namespace", "kubelet:65536"),
        (
            "create mapped mount for \"/var/lib/containers/storage/overlay\" on \"/x\": invalid argument",
            "findmnt",
        ),
        ("failed to set MOUNT_ATTR_IDMAP on /var/lib/kubelet/pods/x/volumes/y: invalid argument", "ext4"),
        (
            "error mounting \"sysfs\" to rootfs at \"/sys\": mount src=sysfs: operation not permitted\nhostUsers: false",
            "no privileged: true",
        ),
        (
            "error mounting \"sysfs\" to rootfs at \"/sys\": mount src=sysfs: operation not permitted",
            "kubectl describe",
        ),
        ("error mounting \"sysfs\" to rootfs at \"/sys\": no such file or directory", "kubectl describe"),
        (
            "cannot load seccomp profile \"/var/lib/kubelet/seccomp/localhost/x\": no such file or directory",
            "localhostProfile is the path",
        ),
        (
            "cannot load seccomp profile \"/var/lib/kubelet/seccomp/localhost/x\": permission denied",
            "Security Profiles Operator",
        ),
        (
            "cannot load seccomp profile \"/var/lib/kubelet/seccomp/profiles/x\": no such file or directory",
            "Security Profiles Operator",
        ),
        ("error mounting \"proc\" to rootfs at \"/proc\": operation not permitted", "kubectl describe"),
    ] {
        let told = first(&format!("{sandbox}{said}"));
        assert!(told.contains(helps), "{said}: {told}");
    }
}

#[test]
fn all_that_admission_minds_is_named() {
    let found =
        |text: &str| diagnose(&Symptom::from_text(text.as_bytes()), &Host::default(), None).causes.remove(0);
    let standard = "pods \"n\" is forbidden: violates PodSecurity \"restricted:latest\": restricted volume types (volume \"a\" uses restricted \
                    volume type \"hostPath\"), seccompProfile (pod must set it)";
    assert!(found(standard).summary.contains("volumes, seccompProfile"), "{}", found(standard).summary);
    let constraint = "pods \"n\" is forbidden: unable to validate against any\n  security context constraint: [annotations: Forbidden: seccomp may not\n be \
                      set, provider restricted-v2: .spec.securityContext.fsGroup: Invalid value: [1]: 1 is not an allowed group]";
    let found = found(constraint);
    assert!(found.summary.contains("seccomp, fsGroup"), "{}", found.summary);
    assert!(found.remedies[0].instructions().contains("oc adm policy scc-subject-review"), "{found:?}");
    assert!(found.evidence[0].text.contains("unable to validate"), "{found:?}");
}

/// Its own sentence has the words of a runtime's in it, wherever it stands.
#[test]
fn what_bwrap_says_of_the_kernel_is_no_word_of_a_runtime() {
    let first = |text: &str| {
        let symptom = Symptom::from_text(text.as_bytes());
        diagnose(&symptom, &Host::default(), None).causes[0].cause.code()
    };
    let bwrap = "Creating new namespace failed, likely because the kernel does not support user namespaces.";
    for text in [format!("{{\"body\": \"$ bwrap true\\n{bwrap}\"}}"), format!("I got: {bwrap} What now?")] {
        assert_ne!(first(&text), "K805", "{text}");
    }
    for said in [
        "can't set spec.hostUsers: false, runtime does not support user namespaces",
        "RuntimeClass handler \"runsc\" does not support user namespaces",
    ] {
        assert_eq!(first(said), "K805", "{said}");
    }
}
