//! What kubectl's command line calls a workload, and who else has a say in it.

use serde_json::Value;

use super::Workload;
use super::form::NATIVE;

/// Custom resources whose webhooks refuse a change of their pods.
const IMMUTABLE: &[(&str, &str)] = &[("JobSet", "jobset.x-k8s.io"), ("Job", "batch.volcano.sh")];

impl Workload {
    /// As kubectl's command line names it, `Deployment/web -n team`; [`None`] where it gets its name from the API server only
    /// (`generateName`).
    #[must_use]
    pub fn kubectl_name(&self) -> Option<String> {
        let text = |pointer: &str| self.object.pointer(pointer).and_then(Value::as_str);
        let name = text("/metadata/name").filter(is_plain)?;
        // by its kind alone, what `OpenKruise` calls a StatefulSet would be Kubernetes' own
        let native = NATIVE.iter().any(|form| form.kind == self.kind);
        let group = text("/apiVersion").and_then(|version| version.rsplit_once('/'));
        let kind = match group.filter(|_| self.custom && native) {
            Some((group, _)) => format!("{}.{group}", self.kind),
            None => self.kind.clone(),
        };
        Some(format!("{kind}/{name}{}", self.in_namespace()))
    }

    /// The namespace, as kubectl's command line names it.
    fn in_namespace(&self) -> String {
        let namespace = self.object.pointer("/metadata/namespace").and_then(Value::as_str).filter(is_plain);
        namespace.map_or_else(String::new, |namespace| format!(" -n {namespace}"))
    }

    /// What made the object, and undoes a change of it, as kubectl's command line names it: `ReplicaSet/web-5d -n team`.
    ///
    /// ```
    /// use bwrap_launch::kubernetes::read;
    /// let pod = read("
    /// kind: Pod
    /// metadata: { name: p, ownerReferences: [{ apiVersion: apps/v1, kind: ReplicaSet, name: r, controller: true }] }
    /// spec: { containers: [{ name: c }] }
    /// ")?;
    /// assert_eq!(pod[0].owner().as_deref(), Some("ReplicaSet.apps/r"));
    /// # Ok::<(), bwrap_launch::kubernetes::ManifestError>(())
    /// ```
    #[must_use]
    pub fn owner(&self) -> Option<String> {
        let owners = self.object.pointer("/metadata/ownerReferences")?.as_array()?;
        let owner = owners.iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)))?;
        let text = |field: &str| owner.get(field).and_then(Value::as_str);
        let group = text("apiVersion").and_then(|version| version.rsplit_once('/')).map(|(group, _)| group);
        let group = group.filter(is_plain).map_or_else(String::new, |group| format!(".{group}"));
        let kind = text("kind").filter(|kind| kind.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
        let name = text("name").filter(is_plain)?;
        Some(format!("{kind}{group}/{name}{}", self.in_namespace()))
    }

    /// Whether no cluster has it as it stands here: it is the template of a pod in the configuration of something else, as the
    /// hooks of Actions Runner Controller and Jenkins read one.
    ///
    /// ```
    /// use bwrap_launch::kubernetes::read;
    /// let of = |kind: &str| read(&format!("{kind}\nspec: {{ containers: [{{ name: c }}] }}\n"));
    /// assert!(of("kind: PodTemplate")?[0].is_part() && of("metadata: {}")?[0].is_part());
    /// assert!(!of("kind: Pod")?[0].is_part());
    /// # Ok::<(), bwrap_launch::kubernetes::ManifestError>(())
    /// ```
    #[must_use]
    pub fn is_part(&self) -> bool {
        self.way().is_here() && self.object.get("kind").is_none_or(|kind| kind != "Pod")
    }

    /// Whether a cluster takes no change of the pods that it makes, and it has to be made anew.
    ///
    /// ```
    /// use bwrap_launch::kubernetes::read;
    /// let of = |kind: &str| read(&format!("{kind}\nspec: {{ template: {{ spec: {{ containers: [{{ name: c }}] }} }} }}\n"));
    /// assert!(of("kind: Job")?[0].is_immutable() && of("apiVersion: jobset.x-k8s.io/v1alpha2\nkind: JobSet")?[0].is_immutable());
    /// assert!(!of("kind: Deployment")?[0].is_immutable());
    /// # Ok::<(), bwrap_launch::kubernetes::ManifestError>(())
    /// ```
    #[must_use]
    pub fn is_immutable(&self) -> bool {
        let group = self.object.get("apiVersion").and_then(Value::as_str);
        let group = group.and_then(|version| version.rsplit_once('/')).map(|(group, _)| group);
        match (self.kind.as_str(), self.custom) {
            ("Pod" | "Job", false) => true,
            (kind, true) => IMMUTABLE.iter().any(|row| *row == (kind, group.unwrap_or_default())),
            _ => false,
        }
    }

    /// Whether nothing comes of a change until somebody resumes it: a Deployment that is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.kind == "Deployment" && self.object.pointer("/spec/paused") == Some(&true.into())
    }

    /// Whether pods that it has made stay as they are when it is changed, until somebody deletes them.
    #[must_use]
    pub fn keeps_its_pods(&self) -> bool {
        let on_delete = || self.object.pointer("/spec/updateStrategy/type") == Some(&"OnDelete".into());
        match self.kind.as_str() {
            "ReplicaSet" | "ReplicationController" => true,
            "DaemonSet" | "StatefulSet" => on_delete(),
            _ => false,
        }
    }
}

/// A name that may stand on a command line.
fn is_plain(name: &&str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    !name.is_empty() && !name.starts_with('-') && name.bytes().all(inside)
}
