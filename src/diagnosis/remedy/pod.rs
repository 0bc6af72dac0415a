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
        let scc = self.required_scc.as_deref().map(quoted);
        let scc = scc.map(|scc| format!("metadata:\n  annotations:\n    openshift.io/required-scc: {scc}\n"));
        let users = self.host_users.map(|users| format!("  hostUsers: {users}\n"));
        let context = self.security_context();
        let directory = self.empty_dir.as_deref().map(|path| quoted(&path.to_string_lossy()));
        let container = !context.is_empty() || directory.is_some();
        let context = (!context.is_empty()).then(|| format!("    securityContext:\n{}", indented(&context)));
        let spec: String = users
            .into_iter()
            .chain(container.then(|| "  containers:\n  - name: CONTAINER\n".to_owned()))
            .chain(context)
            .chain(directory.map(|path| format!(include_str!("files/empty-dir.yaml"), path = path)))
            .collect();
        let spec =
            if spec.is_empty() && scc.is_none() { "spec: {}\n".to_owned() } else { format!("spec:\n{spec}") };
        scc.unwrap_or_default() + &spec
    }

    /// With the commands that write what it names.
    pub(super) fn typed(&self, files: &str) -> String {
        let place = if files.is_empty() { "" } else { "# on every node that runs the pod:\n" };
        let drops = !self.add_capabilities.is_empty();
        let drops =
            if drops { "# (what capabilities.drop names there stays dropped: take it out)\n" } else { "" };
        format!(
            "{place}{files}# in the pod's manifest (of a Deployment, StatefulSet or Job below spec.template, of a CronJob below \
             spec.jobTemplate.spec.template); CONTAINER is the one that runs bwrap:\n{drops}{}",
            self.yaml()
        )
    }

    /// The container's `securityContext`.
    fn security_context(&self) -> String {
        // Kubernetes wants them without the prefix
        let names = self.add_capabilities.iter().map(ToString::to_string);
        let names: Vec<String> =
            names.map(|name| format!("\n  - {}", name.trim_start_matches("CAP_"))).collect();
        [
            self.run_as_user.map(|user| format!("runAsUser: {user}\nrunAsNonRoot: {}\n", user != 0)),
            self.unmasked_proc.then(|| "procMount: Unmasked\n".to_owned()),
            (!names.is_empty()).then(|| format!("capabilities:\n  add:{}\n", names.concat())),
            self.seccomp.as_ref().map(|profile| format!("seccompProfile:\n{}", profile.yaml())),
            self.apparmor.as_ref().map(|profile| format!("appArmorProfile:\n{}", profile.yaml())),
            self.selinux_type.as_ref().map(|name| format!("seLinuxOptions:\n  type: {}\n", quoted(name))),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Profile {
    fn yaml(&self) -> String {
        match self {
            Self::Unconfined => "  type: Unconfined\n".to_owned(),
            Self::Localhost(name) => format!("  type: Localhost\n  localhostProfile: {}\n", quoted(name)),
        }
    }
}

/// As deep as the fields of a container's `securityContext` stand.
fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["      ", line, "\n"]).collect()
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
