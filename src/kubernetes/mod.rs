//! Manifests, judged before they are applied: will bwrap start in this pod, and if not, what is to be changed?
//!
//! A manifest, a runtime and what is known of the node become the facts that [`Host`] would have inside of the container; then
//! [`predict`] judges, as it does for a machine that is there. What only the node can tell is asked for.
//!
//! ```
//! use bwrap_launch::Sandbox;
//! use bwrap_launch::diagnosis::Cause;
//! use bwrap_launch::kubernetes::{Answer, Cluster, Runtime, read};
//! let workloads = read("
//! apiVersion: v1
//! kind: Pod
//! metadata: { name: executor }
//! spec:
//!   containers:
//!   - name: main
//!     image: quay.io/zuul-ci/zuul-executor
//! ")?;
//! let sandbox = Sandbox::new().ro_bind("/usr", "/usr").proc("/proc").unshare_all();
//! let forecast = Cluster::new(Runtime::Containerd).foretell(&workloads[0], "main", &sandbox)?;
//! assert_eq!(forecast.answer, Answer::Fails);
//! assert_eq!(forecast.obstacles[0].cause, Cause::MaskedProc);
//! # Ok::<(), bwrap_launch::kubernetes::ManifestError>(())
//! ```

mod anew;
mod assumed;
mod change;
mod cure;
mod edit;
mod facts;
mod fields;
mod forms;
mod manifest;
mod neighbours;
mod own;
mod probe;
mod quantity;
mod refusal;
mod standards;
mod strangers;
mod sysctls;
mod yaml;

use std::fmt;
use std::str::FromStr;

pub use cure::Cure;
pub use edit::edited;
pub use manifest::Workload;
pub use probe::probe;
pub use refusal::Refusal;
pub use standards::{Standard, standard};

use crate::bwrap::Version;
use crate::diagnosis::{Bearing, Finding, Outlook, predict};
use crate::host::Host;
use crate::sandbox::Sandbox;

/// Why a manifest cannot be read: a line that says what is wrong, and where.
///
/// ```
/// use bwrap_launch::kubernetes::read;
/// let error = read("kind: Service\n").unwrap_err();
/// assert!(error.to_string().starts_with("no pod in it, but Service"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ManifestError(String);

/// Reads manifests, YAML or JSON, several documents and lists included. Objects that make no pods are passed over.
///
/// # Errors
///
/// If it is neither, if nothing in it makes pods, if a field that decides has a value of another kind or is misspelt, and if it is
/// larger than anybody means: a million values (aliases count for what they stand for), a thousand containers.
pub fn read(text: &str) -> Result<Vec<Workload>, ManifestError> {
    let documents = yaml::documents(text).map_err(|error| strangers::template(text, error));
    let read = documents.and_then(|documents| manifest::workloads(documents, || yaml::lines(text)));
    read.map_err(|error| strangers::named(text, error))
}

/// What runs the containers of a node (the Container Runtime Interface's implementation; gVisor by its `RuntimeClass`).
///
/// ```
/// use bwrap_launch::kubernetes::Runtime;
/// assert_eq!("cri-o".parse(), Ok(Runtime::CriO));
/// assert_eq!(Runtime::CriO.to_string(), "CRI-O");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Runtime {
    /// containerd, with runc or crun.
    Containerd,
    /// CRI-O, with runc or crun.
    CriO,
    /// containerd with gVisor's runsc.
    #[cfg_attr(feature = "serde", serde(rename = "gvisor"))]
    GVisor,
}

impl Runtime {
    /// Every one.
    pub const ALL: &'static [Self] = &[Self::Containerd, Self::CriO, Self::GVisor];
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Containerd => "containerd",
            Self::CriO => "CRI-O",
            Self::GVisor => "gVisor",
        })
    }
}

impl FromStr for Runtime {
    type Err = ManifestError;

    /// By its name, in any case: `containerd`, `cri-o` or `crio`, `gvisor` or `runsc`.
    fn from_str(name: &str) -> Result<Self, ManifestError> {
        match name.to_ascii_lowercase().as_str() {
            "containerd" => Ok(Self::Containerd),
            "cri-o" | "crio" => Ok(Self::CriO),
            "gvisor" | "runsc" => Ok(Self::GVisor),
            _ => Err(ManifestError(format!(
                "no runtime is called {}: containerd, cri-o and gvisor are known",
                crate::visible::line(name)
            ))),
        }
    }
}

/// Where pods are to run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cluster {
    /// What runs the containers.
    pub runtime: Runtime,
    /// Its version, if that is known.
    pub runtime_version: Option<Version>,
    /// Kubernetes' version; [`None`]: one of these days, with which [`hostUsers`](https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/)
    /// is there.
    pub kubernetes: Option<(u32, u32)>,
    /// What is known of the node: its kernel, its kernel parameters, its security modules. A snapshot that was made on it outside
    /// of any container; facts that are [`Unknown`](crate::host::Fact::Unknown) are asked for.
    pub node: Host,
    /// The user of the image (`USER`), for pods that name none. [`None`]: root, unless the pod says that it is not.
    pub image_user: Option<u32>,
    /// Whether the kubelets' `seccompDefault` is on, as GKE Autopilot and Talos have it: a container that names no system call filter has
    /// the runtime's.
    pub seccomp_default: bool,
}

impl Cluster {
    /// Nodes with this runtime, of which nothing else is known.
    #[must_use]
    pub fn new(runtime: Runtime) -> Self {
        Self {
            runtime,
            runtime_version: None,
            kubernetes: None,
            node: Host::default(),
            image_user: None,
            seccomp_default: false,
        }
    }

    /// Whether the version of the runtime is known to be this or later.
    fn runtime_since(&self, major: u32, minor: u32) -> Option<bool> {
        self.runtime_version.map(|version| version >= Version::new(major, minor, 0))
    }

    /// Whether it is known to be older than the first of containerd's, or of CRI-O's, that has something.
    fn lacks(&self, containerd: (u32, u32), cri_o: (u32, u32)) -> bool {
        let (major, minor) = match self.runtime {
            Runtime::Containerd => containerd,
            Runtime::CriO => cri_o,
            Runtime::GVisor => return false,
        };
        self.runtime_since(major, minor) == Some(false)
    }

    /// What `host` would read in a container of this workload, as far as manifest and node tell.
    ///
    /// # Errors
    ///
    /// If the workload has no container of this name.
    pub fn host(&self, workload: &Workload, container: &str) -> Result<Host, ManifestError> {
        Ok(facts::inside(&facts::cluster_of(self, workload), workload, workload.find(container)?))
    }

    /// Says whether a sandbox will start in a container of this workload, and why not. A workload whose `RuntimeClass` is called as
    /// gVisor's is judged as with [`Runtime::GVisor`].
    ///
    /// # Errors
    ///
    /// If the workload has no container of this name.
    pub fn foretell(
        &self,
        workload: &Workload,
        container: &str,
        sandbox: &Sandbox,
    ) -> Result<Forecast, ManifestError> {
        let workload = workload.narrowed(container);
        facts::cluster_of(self, &workload).judge(&workload, container, sandbox)
    }

    fn judge(
        &self,
        workload: &Workload,
        container: &str,
        sandbox: &Sandbox,
    ) -> Result<Forecast, ManifestError> {
        let found = workload.find(container)?;
        let refused = refusal::all(self, workload, found);
        let host = facts::inside(self, workload, found);
        let mut prediction = predict(&host, sandbox);
        cure::put_refused_last(self, workload, container, &refused, &mut prediction.obstacles);
        cure::name_volumes(workload, &mut prediction.obstacles);
        own::look_first(self, workload, found, &mut prediction.obstacles);
        neighbours::name_in_prices(workload, container, &mut prediction.obstacles);
        let mut ask = facts::questions(self, workload, found, sandbox);
        let open = prediction.obstacles.iter().flat_map(|finding| &finding.evidence);
        let open =
            open.filter(|evidence| evidence.bearing == Bearing::Unknown).map(|evidence| &evidence.text);
        // the node's own answer is there; what is not is asked for already
        let labels = facts::labels_unknown(self);
        for text in open.filter(|text| !(labels && text.contains("SELinux enforces"))) {
            if !ask.contains(text) {
                ask.push(text.clone());
            }
        }
        let answer = match prediction.outlook {
            _ if refused.iter().any(Refusal::stops) => Answer::NotStarted,
            Outlook::Fails if facts::other_class(self, workload).is_none() => Answer::Fails,
            Outlook::Starts if ask.is_empty() => Answer::Starts,
            _ => Answer::DependsOnNode,
        };
        if matches!(answer, Answer::NotStarted | Answer::Fails) {
            ask.clear();
        }
        let starts = answer == Answer::Starts;
        let assumed = if starts { assumed::all(self, workload, found, sandbox) } else { Vec::new() };
        Ok(Forecast {
            runtime: self.runtime,
            answer,
            refused,
            obstacles: prediction.obstacles,
            ask,
            assumed,
            host,
        })
    }
}

/// Whether a sandbox will start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Answer {
    /// Nothing stands in the way.
    Starts,
    /// The container starts, and bwrap does not in it.
    Fails,
    /// The container itself is refused.
    NotStarted,
    /// What is not known of the node decides.
    DependsOnNode,
}

/// What is to be expected of a sandbox in a container.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::kubernetes::{Answer, Cluster, Runtime, read};
/// let text = "{ kind: Pod, spec: { hostUsers: false, containers: [{ name: c, securityContext: { procMount: Unmasked } }] } }";
/// let sandbox = Sandbox::new().ro_bind("/usr", "/usr").proc("/proc").unshare_all();
/// let forecast = Cluster::new(Runtime::Containerd).foretell(&read(text)?[0], "c", &sandbox)?;
/// assert_eq!(forecast.answer, Answer::DependsOnNode);
/// assert!(forecast.ask.iter().any(|question| question.contains("AppArmor")));
/// # Ok::<(), bwrap_launch::kubernetes::ManifestError>(())
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Forecast {
    /// The runtime that it is about.
    pub runtime: Runtime,
    /// Whether it starts.
    pub answer: Answer,
    /// Why the container does not start, or which of its fields count for nothing.
    pub refused: Vec<Refusal>,
    /// What stands in bwrap's way, in the order in which bwrap meets it.
    pub obstacles: Vec<Finding>,
    /// What decides and is not known, each with where it can be read.
    pub ask: Vec<String>,
    /// What is taken for granted where it starts, and would keep it from starting.
    pub assumed: Vec<String>,
    /// The facts that were judged.
    pub host: Host,
}
