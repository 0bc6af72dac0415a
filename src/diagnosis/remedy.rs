//! What to change: typed, so that a program can apply it, and with the text that a person types.

use std::path::PathBuf;

use crate::sandbox::Capability;

/// Something that removes a cause.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::diagnosis::{Action, SandboxChange, Symptom, diagnose};
/// use bwrap_launch::host::Host;
/// let sandbox = Sandbox::new().ro_bind("/nonexistent", "/mnt");
/// let symptom = Symptom::from_text(b"bwrap: Can't find source path /nonexistent: No such file or directory");
/// let diagnosis = diagnose(&symptom, &Host::snapshot(), Some(&sandbox));
/// let changed = diagnosis.causes[0].remedies.iter().find_map(|remedy| match &remedy.action {
///     Action::Sandbox(change @ SandboxChange::OptionalSource { .. }) => Some(change.apply(&sandbox)),
///     _ => None,
/// });
/// assert_eq!(changed.unwrap().to_string(), "bwrap --clearenv --ro-bind-try /nonexistent /mnt");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remedy {
    /// What to do, in a line that begins with a verb: `Run the container as another user than root`. Where nothing tells
    /// what started bwrap, that comes before it: `In Docker: run the container as another user than root`.
    pub summary: String,
    /// What exactly to change.
    pub action: Action,
    /// What it opens up, or takes away: the price.
    pub opens: String,
    /// What must be there for it to work: versions, feature gates, privileges.
    pub requires: Vec<String>,
    /// Files that go with it: a seccomp profile, say.
    pub files: Vec<RemedyFile>,
    /// A change of the sandbox in the words of the one at hand.
    pub(super) wording: Option<String>,
}

/// A file that goes with a remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RemedyFile {
    /// Where it goes.
    #[cfg_attr(feature = "serde", serde(with = "crate::host::lossy"))]
    pub path: PathBuf,
    /// What is in it.
    pub content: String,
}

/// What exactly to change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Action {
    /// The sandbox itself.
    Sandbox(SandboxChange),
    /// The pod.
    Pod(PodPatch),
    /// The options with which a container is started.
    Container(ContainerOptions),
    /// The SELinux policy.
    Selinux(SelinuxModule),
    /// The AppArmor policy of the host: load this profile.
    AppArmor(AppArmorProfile),
    /// A kernel parameter.
    Sysctl(Sysctl),
    /// The systemd unit.
    Unit(UnitSettings),
    /// What to type, as root unless it says otherwise.
    Commands(Vec<String>),
    /// What to do, where nothing can be typed.
    Manual(String),
}

/// A change of the sandbox. [`apply`](Self::apply) makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum SandboxChange {
    /// Bind the outer `/proc` read-only instead of mounting one.
    BindProc {
        /// The operation that mounts it.
        operation: usize,
    },
    /// Bind the outer `/dev` instead of making one.
    BindDev {
        /// The operation that makes it.
        operation: usize,
    },
    /// Add a user namespace ([`Namespaces::USER`](crate::Namespaces::USER)).
    UnshareUser,
    /// Make no user namespace: root keeps the caller's.
    KeepUserNamespace,
    /// Make a PID namespace of the sandbox's own.
    UnsharePid,
    /// Keep the caller's network.
    ShareNet,
    /// Leave further user namespaces possible inside.
    AllowUserNamespaces,
    /// Leave the host name as it is.
    KeepHostname,
    /// Give the command no capabilities that are not there.
    DropCapabilities,
    /// Go on without a source that is not there.
    OptionalSource {
        /// The bind.
        operation: usize,
    },
    /// Leave an operation out.
    Remove {
        /// The operation.
        operation: usize,
    },
    /// Perform an operation earlier: before the one that makes its destination read-only.
    MoveBefore {
        /// The operation.
        operation: usize,
        /// The one that it must precede.
        before: usize,
    },
    /// Give an operation another destination: the path that a symbolic link stands for, say.
    Destination {
        /// The operation.
        operation: usize,
        /// The path.
        #[cfg_attr(feature = "serde", serde(with = "crate::host::lossy"))]
        path: PathBuf,
    },
    /// Bind something more, read-only, where it is.
    RoBind {
        /// What.
        #[cfg_attr(feature = "serde", serde(with = "crate::host::lossy"))]
        path: PathBuf,
    },
}

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

/// Options with which a container engine starts a container.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ContainerOptions {
    /// The engine.
    pub engine: Engine,
    /// What to add to `docker run` or `podman run`.
    pub add: Vec<String>,
    /// What to take away from it.
    pub remove: Vec<String>,
    /// The CI service that starts the container for its jobs, and keeps options in a file of its own.
    pub service: Option<CiService>,
}

/// A CI service whose jobs run in containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum CiService {
    /// GitLab CI: `config.toml` of the runner.
    GitLab,
    /// GitHub Actions: the workflow.
    GitHub,
}

/// A container engine with a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Engine {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
}

/// Rules to add to the SELinux policy. [`te`](Self::te) is text for `checkmodule(8)`, [`cil`](Self::cil) for
/// `semodule(8)` and `secilc(8)`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelinuxModule {
    /// The module's name.
    pub name: String,
    /// The domain that gets the permissions.
    pub domain: String,
    /// What it gets.
    pub rules: Vec<SelinuxRule>,
}

/// `allow DOMAIN TARGET:CLASS PERMISSIONS`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SelinuxRule {
    /// The type that it is about; `self` for the domain.
    pub target: &'static str,
    /// The object class.
    pub class: &'static str,
    /// The permissions.
    pub permissions: &'static [&'static str],
}

/// An AppArmor profile.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct AppArmorProfile {
    /// Its name.
    pub name: String,
    /// The program that it attaches to; `None` for one that a container names.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::host::lossy::option"))]
    pub program: Option<PathBuf>,
    /// Where it is kept.
    #[cfg_attr(feature = "serde", serde(with = "crate::host::lossy"))]
    pub path: PathBuf,
    /// Its text, for `apparmor_parser(8)`.
    pub text: String,
}

/// A kernel parameter. [`conf`](Self::conf) is the line that keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Sysctl {
    /// `user.max_user_namespaces`.
    pub name: String,
    /// The value that it needs.
    pub value: String,
    /// Where it is kept over a reboot.
    #[cfg_attr(feature = "serde", serde(with = "crate::host::lossy"))]
    pub file: PathBuf,
}

/// Settings of a systemd unit. [`drop_in`](Self::drop_in) is text for a drop-in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct UnitSettings {
    /// The unit, if it is known: `build.service`.
    pub unit: Option<String>,
    /// A user's own manager runs it (`systemctl --user`), instead of the system's.
    pub user: bool,
    /// `[Service]` settings, in order: some add to what an earlier one set.
    pub settings: Vec<(String, String)>,
}

#[cfg(feature = "serde")]
fn names<S: serde::Serializer>(capabilities: &[Capability], serializer: S) -> Result<S::Ok, S::Error> {
    serializer
        .collect_seq(capabilities.iter().map(|one| one.to_string().trim_start_matches("CAP_").to_owned()))
}
