//! Pods, and /proc in whatever contains us.

use super::super::case::Case;
use super::super::remedy::{Action, Engine, PodPatch, Profile, Remedy};
use super::engine::options;
use super::host::unit_of;
use super::{Setting, allow_nesting, commands, everywhere, manual};
use crate::host::Platform;
use crate::shell::quoted;

impl PodPatch {
    /// The part of a pod's manifest, in YAML. `CONTAINER` stands for the name of the container that runs bwrap.
    ///
    /// Hardly any of it can be changed while the pod lives: put it into what creates the pod.
    ///
    /// ```
    /// use bwrap_launch::diagnosis::PodPatch;
    /// let mut pod = PodPatch::default();
    /// pod.host_users = Some(false);
    /// pod.unmasked_proc = true;
    /// assert_eq!(pod.yaml(), r#"spec:
    ///   hostUsers: false
    ///   containers:
    ///   - name: CONTAINER
    ///     securityContext:
    ///       procMount: Unmasked
    /// "#);
    /// ```
    #[must_use]
    pub fn yaml(&self) -> String {
        let mut lines = Vec::new();
        if let Some(scc) = &self.required_scc {
            lines.push("metadata:".to_owned());
            lines.push("  annotations:".to_owned());
            lines.push(format!("    openshift.io/required-scc: {}", quoted(scc)));
        }
        lines.push("spec:".to_owned());
        if let Some(host_users) = self.host_users {
            lines.push(format!("  hostUsers: {host_users}"));
        }
        let context = self.security_context();
        if !context.is_empty() || self.empty_dir.is_some() {
            lines.push("  containers:".to_owned());
            lines.push("  - name: CONTAINER".to_owned());
        }
        if !context.is_empty() {
            lines.push("    securityContext:".to_owned());
            lines.extend(context.into_iter().map(|line| format!("      {line}")));
        }
        if let Some(directory) = self.empty_dir.as_deref() {
            lines.push("    volumeMounts:".to_owned());
            lines.push("    - name: bwrap".to_owned());
            lines.push(format!("      mountPath: {}", quoted(&directory.to_string_lossy())));
            lines.push("  volumes:".to_owned());
            lines.push("  - name: bwrap".to_owned());
            lines.push("    emptyDir: {}".to_owned());
        }
        if lines.len() == 1 {
            return "spec: {}\n".to_owned();
        }
        lines.push(String::new());
        lines.join("\n")
    }

    /// The lines of the container's `securityContext`.
    fn security_context(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(user) = self.run_as_user {
            lines.push(format!("runAsUser: {user}"));
            lines.push(format!("runAsNonRoot: {}", user != 0));
        }
        if self.unmasked_proc {
            lines.push("procMount: Unmasked".to_owned());
        }
        if !self.add_capabilities.is_empty() {
            lines.push("capabilities:".to_owned());
            lines.push("  add:".to_owned());
            // Kubernetes wants them without the prefix
            let names = self.add_capabilities.iter().map(ToString::to_string);
            lines.extend(names.map(|name| format!("  - {}", name.trim_start_matches("CAP_"))));
        }
        for (field, profile) in [("seccompProfile", &self.seccomp), ("appArmorProfile", &self.apparmor)] {
            match profile {
                Some(Profile::Unconfined) => {
                    lines.push(format!("{field}:"));
                    lines.push("  type: Unconfined".to_owned());
                }
                Some(Profile::Localhost(name)) => {
                    lines.push(format!("{field}:"));
                    lines.push("  type: Localhost".to_owned());
                    lines.push(format!("  localhostProfile: {}", quoted(name)));
                }
                None => {}
            }
        }
        if let Some(selinux) = &self.selinux_type {
            lines.push("seLinuxOptions:".to_owned());
            lines.push(format!("  type: {}", quoted(selinux)));
        }
        lines
    }
}

/// What a pod with a user namespace of its own takes.
pub(super) const USER_NAMESPACE_NODE: &str =
    "nodes with Linux 6.3 or later, containerd 2.0 or CRI-O 1.25 or later, runc 1.2 or crun 1.9 or later";

/// Leave /proc unmasked, in whatever started us; in a pod that takes a user namespace.
pub(in super::super) fn unmask_proc(case: &Case<'_>) -> Vec<Remedy> {
    const AS_ROOT: &str = "what the engine hides of /proc is reachable in the container: kcore, keys, timer_list, and for \
                           its root also sysrq-trigger and the kernel's settings; run it as a user (--user=1000) and these \
                           stay closed";
    let root = case.root() != Some(false);
    match Setting::of(case) {
        Setting::Kubernetes { openshift } => {
            let patch = PodPatch {
                host_users: Some(false),
                unmasked_proc: true,
                // root of the pod would need CAP_SETFCAP next
                run_as_user: root.then_some(1000),
                required_scc: openshift.then(|| "nested-container".to_owned()),
                ..PodPatch::default()
            };
            let remedy = Remedy::new(
                "Give the pod a user namespace of its own, and its container an unmasked /proc",
                Action::Pod(patch),
                "the container sees all of /proc, kcore, keys and sysrq-trigger included; as a user of its own namespace it \
                 may use none of these",
            );
            vec![if openshift {
                remedy
                    .requires("OpenShift 4.20 or later (4.19 as a technology preview)")
                    .requires(
                        "the SCC for the pod's service account: oc adm policy add-scc-to-user nested-container -z ACCOUNT",
                    )
            } else {
                remedy
                    .requires(
                        "Kubernetes 1.33 or later, or the feature gates ProcMountType and UserNamespacesSupport switched on \
                         before (procMount is dropped without a word where the gate is off)",
                    )
                    .requires(USER_NAMESPACE_NODE)
                    .requires(
                        "Pod Security Standards that allow it: baseline of version 1.35 or later, or privileged; restricted \
                         never does",
                    )
            }]
        }
        // docker's program makes something else of systempaths=unconfined, and the runner talks to the engine
        Setting::Container(Engine::Docker) if case.on(Platform::GitLabCi) => vec![
            Remedy::new(
                "Let the runner use Podman, and start the container with an unmasked /proc",
                options(Engine::Podman, &["--security-opt=unmask=/proc/*"], &[]),
                AS_ROOT,
            )
            .requires(
                "Podman on the machine of the runner, and its socket as `host` in [runners.docker]: Docker cannot be told \
                 by a runner to unmask /proc",
            ),
        ],
        Setting::Container(Engine::Docker) => {
            let action = options(Engine::Docker, &["--security-opt=systempaths=unconfined"], &[]);
            vec![Remedy::new("Start the container with an unmasked /proc", action, AS_ROOT)]
        }
        Setting::Container(Engine::Podman) => {
            let unmask =
                |paths: &str| options(Engine::Podman, &[&format!("--security-opt=unmask={paths}")], &[]);
            vec![
                Remedy::new("Start the container with an unmasked /proc", unmask("/proc/*"), AS_ROOT),
                Remedy::new(
                    "Start the container with an unmasked /proc and /sys",
                    unmask("ALL"),
                    format!("{AS_ROOT}; /sys/firmware and others of /sys, too"),
                ),
            ]
        }
        Setting::OtherContainer => vec![manual(
            "Start the container with an unmasked /proc",
            "Empty `linux.maskedPaths` and `linux.readonlyPaths` of the OCI configuration (nerdctl: \
             --security-opt=systempaths=unconfined).",
            AS_ROOT,
        )],
        Setting::Lxc => allow_nesting(case),
        Setting::Nspawn => {
            vec![another_proc().requires(
                "root in a container that has no user namespace of its own (without --private-users)",
            )]
        }
        Setting::Unit => vec![
            Remedy::new(
                "Leave /proc as it is in the systemd unit",
                unit_of(
                    case,
                    &[("ProtectKernelTunables", "no"), ("ProtectKernelLogs", "no"), ("ProcSubset", "all")],
                ),
                "the service sees all of /proc; as a user other than root it may change none of the kernel's settings there",
            ),
            another_proc().for_root(case),
        ],
        Setting::Machine => vec![another_proc().for_root(case)],
        Setting::Unknown => everywhere(case, unmask_proc),
    }
}

/// One whole procfs is enough for the kernel, wherever it is.
fn another_proc() -> Remedy {
    commands(
        "Mount a second, whole /proc beside the covered one",
        &["mkdir -p /run/unmasked-proc", "mount -t proc proc /run/unmasked-proc"],
        "what covers parts of /proc hides them no longer from whoever looks there",
    )
    .requires("the mount namespace in which bwrap starts: of a service with one of its own, nsenter -t PID -m first; and again after \
         each boot")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::fixtures::{docker, machine, only_on, pod};
    use crate::host::{Fact, Host};
    use crate::sandbox::Capability;

    fn remedies(host: &Host) -> Vec<Remedy> {
        unmask_proc(&Case::new(None, host, None))
    }

    #[test]
    fn every_field_in_its_place() {
        let patch = PodPatch {
            host_users: Some(false),
            unmasked_proc: true,
            run_as_user: Some(1000),
            add_capabilities: vec![Capability::CAP_SETFCAP],
            seccomp: Some(Profile::Localhost("profiles/bwrap.json".into())),
            apparmor: Some(Profile::Unconfined),
            selinux_type: Some("container_engine_t".into()),
            empty_dir: Some("/tmp".into()),
            required_scc: Some("nested-container".into()),
        };
        let expected = r#"metadata:
  annotations:
    openshift.io/required-scc: "nested-container"
spec:
  hostUsers: false
  containers:
  - name: CONTAINER
    securityContext:
      runAsUser: 1000
      runAsNonRoot: true
      procMount: Unmasked
      capabilities:
        add:
        - SETFCAP
      seccompProfile:
        type: Localhost
        localhostProfile: "profiles/bwrap.json"
      appArmorProfile:
        type: Unconfined
      seLinuxOptions:
        type: "container_engine_t"
    volumeMounts:
    - name: bwrap
      mountPath: "/tmp"
  volumes:
  - name: bwrap
    emptyDir: {}
"#;
        assert_eq!(patch.yaml(), expected);
        assert_eq!(PodPatch::default().yaml(), "spec: {}\n");
    }

    #[test]
    fn a_pod_gets_a_user_namespace_with_it() {
        let found = remedies(&pod());
        let Action::Pod(patch) = &found[0].action else { panic!() };
        assert_eq!(
            (patch.host_users, patch.unmasked_proc, patch.run_as_user),
            (Some(false), true, Some(1000))
        );
        assert!(found[0].requires.iter().any(|text| text.contains("1.33")));
        assert!(found[0].requires.iter().any(|text| text.contains("Linux 6.3")));
        let mut user = pod();
        user.process.uid = Fact::Present(1000);
        assert!(!remedies(&user)[0].instructions().contains("runAsUser"));
    }

    #[test]
    fn openshift_has_a_context_for_it() {
        let found = remedies(&only_on(docker(), Platform::OpenShift));
        assert!(found[0].instructions().contains("openshift.io/required-scc: \"nested-container\""));
        assert!(found[0].requires.iter().any(|text| text.contains("add-scc-to-user")));
    }

    #[test]
    fn engines_have_options_for_it() {
        assert_eq!(
            remedies(&docker())[0].instructions(),
            "docker run --security-opt=systempaths=unconfined IMAGE\n"
        );
        let podman = remedies(&only_on(docker(), Platform::Podman));
        assert_eq!(podman[0].instructions(), "podman run '--security-opt=unmask=/proc/*' IMAGE\n");
        assert_eq!(podman[1].instructions(), "podman run --security-opt=unmask=ALL IMAGE\n");
    }

    #[test]
    fn others_are_told_where_to_look() {
        assert!(remedies(&only_on(docker(), Platform::Containerd))[0].instructions().contains("maskedPaths"));
        assert!(
            remedies(&only_on(docker(), Platform::Lxc))[0].instructions().contains("security.nesting=true")
        );
        assert!(remedies(&only_on(docker(), Platform::Nspawn))[0].instructions().contains("mount -t proc"));
        assert!(
            remedies(&only_on(docker(), Platform::SystemdUnit))[0]
                .instructions()
                .contains("ProtectKernelTunables=no")
        );
        assert!(remedies(&machine())[0].instructions().contains("mount -t proc proc /run/unmasked-proc"));
    }
}
