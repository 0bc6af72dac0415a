//! What a pod must say.

use std::path::PathBuf;

use crate::sandbox::Capability;
use crate::shell::quoted;

/// What a pod must say. [`yaml`](Self::yaml) is that part of its manifest, or a patch for a kustomization.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PodPatch {
    /// `spec.hostUsers`.
    pub host_users: Option<bool>,
    /// `securityContext.procMount: Unmasked`.
    pub unmasked_proc: bool,
    /// `securityContext.runAsUser`, with `runAsNonRoot: true`.
    pub run_as_user: Option<u32>,
    /// `securityContext.capabilities.add`.
    #[cfg_attr(feature = "serde", serde(serialize_with = "names"))]
    pub add_capabilities: Vec<Capability>,
    /// `securityContext.seccompProfile`.
    pub seccomp: Option<Profile>,
    /// `securityContext.appArmorProfile`.
    pub apparmor: Option<Profile>,
    /// `securityContext.seLinuxOptions.type`.
    pub selinux_type: Option<String>,
    /// An `emptyDir` on this path.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::host::lossy::option"))]
    pub empty_dir: Option<PathBuf>,
    /// `openshift.io/required-scc` in the annotations.
    pub required_scc: Option<String>,
}

/// A security profile that a pod or container names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Profile {
    /// None.
    Unconfined,
    /// One of the node's: a file below `/var/lib/kubelet/seccomp`, or the name of a loaded AppArmor profile.
    Localhost(String),
}

#[cfg(feature = "serde")]
fn names<S: serde::Serializer>(capabilities: &[Capability], serializer: S) -> Result<S::Ok, S::Error> {
    serializer
        .collect_seq(capabilities.iter().map(|one| one.to_string().trim_start_matches("CAP_").to_owned()))
}

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

    /// With the commands that write what it names.
    pub(super) fn typed(&self, files: &str) -> String {
        let place = if files.is_empty() { "" } else { "# on every node that runs the pod:\n" };
        format!(
            "{place}{files}# in the pod's manifest (of a Deployment, StatefulSet or Job: below spec.template); CONTAINER is the \
             one that runs bwrap:\n{}",
            self.yaml()
        )
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

#[cfg(test)]
mod tests {
    use super::*;
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
}
