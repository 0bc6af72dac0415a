//! One change of a manifest that takes all out of the way that a manifest can.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::change::{Change, Nulls, merge, of_pod, with};
use super::manifest::Workload;
use super::refusal::{self, Refusal, of_change};
use super::{Answer, Cluster, Forecast, ManifestError, anew, change, facts, own, yaml};
use crate::diagnosis::{Action, Finding, PodPatch, Remedy};
use crate::sandbox::Sandbox;

/// So many changes after one another are merged; no pod takes more.
const STEPS: usize = 12;

/// What makes a sandbox start in a container of a workload, merged into one change.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::kubernetes::{Cluster, Cure, Runtime, read};
/// let workloads = read("{ kind: Pod, metadata: { name: p }, spec: { containers: [{ name: c }] } }")?;
/// let sandbox = Sandbox::new().ro_bind("/usr", "/usr").proc("/proc").unshare_all();
/// let cure = Cure::of(&[Cluster::new(Runtime::Containerd)], &workloads[0], "c", &sandbox)?;
/// assert!(cure.patch().contains("procMount: Unmasked"));
/// assert!(cure.left.is_empty());
/// // applied once, nothing else is left to change
/// let again = Cure::of(&[Cluster::new(Runtime::Containerd)], &cure.changed, "c", &sandbox)?;
/// assert!(again.is_empty());
/// # Ok::<(), bwrap_launch::kubernetes::ManifestError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Cure {
    /// The object as it was read.
    pub(super) before: Arc<Value>,
    /// The fields of the pod to change, as a strategic merge patch of it.
    pub(super) patch: Value,
    /// The workload with the change.
    pub changed: Workload,
    /// The remedies that were merged, with their prices, needs and files.
    pub remedies: Vec<Remedy>,
    /// What was refused and is not with the change.
    pub mended: Vec<Refusal>,
    /// What it comes to with each of the clusters, in their order, with the change.
    pub forecasts: Vec<Forecast>,
    /// What no field of a pod takes away, each with its own remedies: for the node's owner, or for the author of the line.
    pub left: Vec<Finding>,
}

impl Cure {
    /// Finds what to change so that the sandbox starts with each of these.
    ///
    /// # Errors
    ///
    /// If the workload has no container of this name, or one that is [ephemeral](Workload::is_ephemeral).
    pub fn of(
        clusters: &[Cluster],
        workload: &Workload,
        container: &str,
        sandbox: &Sandbox,
    ) -> Result<Self, ManifestError> {
        let clusters: Vec<_> =
            clusters.iter().map(|cluster| facts::cluster_of(cluster, workload).into_owned()).collect();
        let mut cure = Self {
            before: Arc::clone(&workload.object),
            patch: Value::Object(Map::new()),
            changed: workload.clone(),
            remedies: Vec::new(),
            mended: Vec::new(),
            forecasts: Vec::new(),
            left: Vec::new(),
        };
        if workload.is_ephemeral(container) {
            return Err(ManifestError(format!(
                "{}: {} is an ephemeral container, which nobody can change: kubectl debug adds another one",
                workload.title(),
                crate::visible::line(container)
            )));
        }
        let foretell = |workload: &Workload| {
            let all = clusters.iter().map(|cluster| cluster.foretell(workload, container, sandbox));
            all.collect::<Result<Vec<_>, _>>()
        };
        cure.forecasts = foretell(workload)?;
        // what was of no use to one of them is not tried again
        let mut undone: Vec<(Change, String)> = Vec::new();
        let mut steps = 0;
        while let (Some(cluster), true) = (clusters.first(), steps < STEPS) {
            let wanted = cure.wanted(&clusters, container).into_iter();
            let mut wanted = wanted.filter(|(change, _)| !undone.iter().any(|(other, _)| other == change));
            let step = wanted.find_map(|(change, why)| {
                let fields = cure.fields(cluster, container, &change)?;
                Some((change, why, fields))
            });
            let Some((change, why, fields)) = step else { break };
            let both = clusters.iter().zip(&cure.forecasts);
            let worse = both.into_iter().find_map(|(cluster, now)| {
                let next = of_change(cluster, &cure.changed, container, &change, &now.refused)?;
                Some(format!("{}: {}", cluster.runtime, next.text))
            });
            if let Some(worse) = worse {
                undone.push((change, worse));
                continue;
            }
            cure.changed = with(&cure.changed, &fields);
            // another constraint admits what the one before did not
            if change.set.required_scc.is_some() {
                undone.clear();
            }
            cure.forecasts = foretell(&cure.changed)?;
            merge(&mut cure.patch, &fields, Nulls::Stay);
            match why {
                Why::Remedy(remedy) => cure.remedies.push(remedy),
                Why::Refusal(refused) => cure.mended.push(refused),
            }
            steps += 1;
        }
        cure.left = left(&cure.forecasts, &undone);
        Ok(cure)
    }

    /// Whether nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patch.as_object().is_none_or(Map::is_empty)
    }

    /// The change as YAML, for `kubectl patch --type strategic`.
    #[must_use]
    pub fn patch(&self) -> String {
        let mut text = String::new();
        yaml::written(&self.wrapped(), 0, &mut text);
        text
    }

    /// The change as a strategic merge patch of the object.
    pub(super) fn wrapped(&self) -> Value {
        self.changed.way().wrapped(self.patch.clone())
    }

    /// The whole object with the change, as YAML.
    #[must_use]
    pub fn manifest(&self) -> String {
        let mut text = String::new();
        yaml::written(&self.changed.object, 0, &mut text);
        text
    }

    /// The same for a cluster that has none of this name: of an object that was read from one, without what it had put there (its
    /// `status` and `uid`, a pod's node, a job's selector), which is refused or would bind it.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// use bwrap_launch::kubernetes::{Cluster, Cure, Runtime, read};
    /// let text = "{ kind: Pod, metadata: { name: p, uid: 7a }, spec: { nodeName: node-1, containers: [{ name: c }] }, status: {} }";
    /// let sandbox = Sandbox::new().ro_bind("/usr", "/usr").proc("/proc").unshare_all();
    /// let cure = Cure::of(&[Cluster::new(Runtime::Containerd)], &read(text)?[0], "c", &sandbox)?;
    /// assert!(cure.anew().contains("procMount: Unmasked"));
    /// assert!(!["uid", "nodeName", "status"].iter().any(|gone| cure.anew().contains(gone)));
    /// # Ok::<(), bwrap_launch::kubernetes::ManifestError>(())
    /// ```
    #[must_use]
    pub fn anew(&self) -> String {
        let mut text = String::new();
        yaml::written(&anew::anew(&self.changed), 0, &mut text);
        text
    }

    /// Takes up the change of another pod of the same object, so that [`anew`](Self::anew) and [`manifest`](Self::manifest) are the
    /// object with both; the patches stay those of one pod. Whether it is the same object.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// use bwrap_launch::kubernetes::{Cluster, Cure, Runtime, read};
    /// let task = "{ template: { spec: { containers: [{ name: c }] } } }";
    /// let text = format!("{{ kind: Job, apiVersion: batch.volcano.sh/v1alpha1, spec: {{ tasks: [{task}, {task}] }} }}");
    /// let sandbox = Sandbox::new().ro_bind("/usr", "/usr").proc("/proc").unshare_all();
    /// let of = |one| Cure::of(&[Cluster::new(Runtime::Containerd)], one, "c", &sandbox);
    /// let both = read(&text)?;
    /// let mut cure = of(&both[0])?;
    /// assert!(cure.take_up(&of(&both[1])?));
    /// assert_eq!(cure.manifest().matches("hostUsers: false").count(), 2);
    /// # Ok::<(), bwrap_launch::kubernetes::ManifestError>(())
    /// ```
    pub fn take_up(&mut self, other: &Self) -> bool {
        let same = Arc::ptr_eq(&self.before, &other.before);
        if same {
            let (way, pod) = (other.changed.way(), other.changed.pod());
            self.changed.object = way.replaced(&self.changed.object, pod).into();
        }
        same
    }

    /// What takes something out of the way that fields of the pod can, of each cluster, the first first.
    fn wanted(&self, clusters: &[Cluster], container: &str) -> Vec<(Change, Why)> {
        let mut wanted = Vec::new();
        for (cluster, forecast) in clusters.iter().zip(&self.forecasts) {
            let refused = forecast.refused.iter();
            wanted.extend(
                refused.filter_map(|refused| Some((refused.patch.clone()?, Why::Refusal(refused.clone())))),
            );
            if !matches!(forecast.answer, Answer::Fails | Answer::DependsOnNode) {
                continue;
            }
            for finding in &forecast.obstacles {
                // a later one opens more: the first is for the node, or for the line, if it is none of the pod's
                let Some(remedy) = finding.remedies.first() else { continue };
                let Action::Pod(patch) = &remedy.action else { continue };
                if own::may_be_right(cluster, &self.changed, container, finding, patch) {
                    continue;
                }
                wanted.push((patch.clone().into(), Why::Remedy(remedy.clone())));
            }
        }
        wanted
    }

    /// The fields of a change, if they are others than there are.
    fn fields(&self, cluster: &Cluster, container: &str, change: &Change) -> Option<Value> {
        let fields = of_pod(cluster, &self.changed, container, change)?;
        (with(&self.changed, &fields).pod() != self.changed.pod()).then_some(fields)
    }
}

/// What a change is for.
enum Why {
    Remedy(Remedy),
    Refusal(Refusal),
}

/// What is left, each with what can be done; what was undone comes last, with the reason.
fn left(forecasts: &[Forecast], undone: &[(Change, String)]) -> Vec<Finding> {
    let mut left: Vec<Finding> = Vec::new();
    // what is not started has nothing in bwrap's way
    let started = forecasts.iter().filter(|forecast| forecast.answer != Answer::NotStarted);
    for finding in started.flat_map(|forecast| &forecast.obstacles) {
        if !left.iter().any(|other| other.cause == finding.cause) {
            left.push(finding.clone());
        }
    }
    for finding in &mut left {
        put_last(finding, |patch| {
            let undone = undone.iter().find(|(change, _)| change.is(patch));
            undone.map(|(_, why)| why.clone())
        });
    }
    left
}

/// Volumes whose filesystem the manifest does not tell.
const OF_ANY_FILESYSTEM: &[&str] = &["csi", "ephemeral", "flexVolume", "hostPath", "persistentVolumeClaim"];

/// Adds to each change that gives the pod a user namespace what it needs of the volumes that its containers mount.
pub(super) fn name_volumes(workload: &Workload, findings: &mut [Finding]) {
    let doubtful = workload
        .mounted()
        .into_iter()
        .filter(|volume| OF_ANY_FILESYSTEM.iter().any(|kind| volume.get(*kind).is_some()));
    let names: BTreeSet<&str> = doubtful.filter_map(|volume| volume.get("name")?.as_str()).collect();
    if names.is_empty() {
        return;
    }
    let names = names.into_iter().map(crate::visible::line).collect::<Vec<_>>().join(", ");
    for remedy in findings.iter_mut().flat_map(|finding| &mut finding.remedies) {
        if matches!(&remedy.action, Action::Pod(patch) if patch.host_users == Some(false)) {
            remedy.requires.push(format!(
                "filesystems that can be shown under other ids, as ext4, XFS and Btrfs can and NFS cannot, in the volumes {names}"
            ));
        }
    }
}

/// Puts the changes last that this cluster would refuse, each with the reason. Where one of them asks for another constraint of
/// OpenShift's, all are for a pod that has that one.
pub(super) fn put_refused_last(
    cluster: &Cluster,
    workload: &Workload,
    container: &str,
    now: &[Refusal],
    findings: &mut [Finding],
) {
    let actions = findings.iter().flat_map(|finding| &finding.remedies).map(|remedy| &remedy.action);
    let mut constrained = actions.filter_map(|action| match action {
        Action::Pod(patch) if patch.required_scc.is_some() => Some(Change::from(patch.clone())),
        _ => None,
    });
    let constrained = constrained.find_map(|change| {
        let helps = of_change(cluster, workload, container, &change, now).is_none();
        let changed = helps.then(|| change::changed(cluster, workload, container, &change)).flatten()?;
        let then = refusal::all(cluster, &changed, changed.container(container)?.0);
        Some((changed, then))
    });
    for finding in findings {
        put_last(finding, |patch| {
            let change = patch.clone().into();
            let refused = of_change(cluster, workload, container, &change, now)?;
            let admits = |(other, then): &(Workload, Vec<Refusal>)| {
                of_change(cluster, other, container, &change, then).is_none()
            };
            let admitted = constrained.as_ref().is_some_and(admits);
            (!admitted).then(|| format!("{}: {}", cluster.runtime, refused.text))
        });
    }
}

/// Puts changes of the pod last that are of no use, and says why.
fn put_last(finding: &mut Finding, why: impl Fn(&PodPatch) -> Option<String>) {
    let remedies = std::mem::take(&mut finding.remedies);
    let (mut first, mut last): (Vec<Remedy>, Vec<Remedy>) = (Vec::new(), Vec::new());
    for mut remedy in remedies {
        let Action::Pod(patch) = &remedy.action else {
            first.push(remedy);
            continue;
        };
        match why(patch) {
            None => first.push(remedy),
            Some(why) => {
                let why = format!("that this is not so: {why}");
                if !remedy.requires.contains(&why) {
                    remedy.requires.push(why);
                }
                last.push(remedy);
            }
        }
    }
    finding.remedies = first;
    finding.remedies.extend(last);
}
