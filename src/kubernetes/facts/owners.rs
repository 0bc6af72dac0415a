//! Nodes that a cloud runs, and nobody else sets up: AWS Fargate, virtual nodes, GKE Autopilot.

use serde_json::Value;

use crate::kubernetes::Workload;

/// Whose nodes a pod runs on, where that is no administrator of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kubernetes) enum Nodes {
    /// A machine for each pod, of which AWS lets nobody set anything.
    Fargate,
    /// A container service that a virtual kubelet stands for.
    Virtual,
    /// Google's, with admission rules of its own.
    Autopilot,
}

impl Nodes {
    /// Why no file of the nodes' own can be asked for there.
    pub(in crate::kubernetes) fn without_files(self) -> &'static str {
        match self {
            Self::Fargate => "AWS Fargate lets nobody put files there, as nodes of your own (EC2) do",
            Self::Virtual => {
                "the service behind the virtual node lets nobody put files there, as nodes of your own do"
            }
            Self::Autopilot => {
                "GKE Autopilot lets nobody put files there, by SSH or by a privileged DaemonSet, as node pools of GKE Standard do"
            }
        }
    }
}

/// What of a pod gives them away.
#[derive(Clone, Copy)]
enum Mark {
    Scheduler(&'static str),
    /// How the name of its node begins.
    Node(&'static str),
    Label(&'static str),
    /// How the name of an annotation begins.
    Annotation(&'static str),
    /// What its node must have for a label. A toleration is none: it lets a pod in, and does not send it there.
    Demanded(&'static str, &'static str),
}

const MARKS: &[(Mark, Nodes)] = &[
    (Mark::Scheduler("fargate-scheduler"), Nodes::Fargate),
    (Mark::Node("fargate-"), Nodes::Fargate),
    (Mark::Label("eks.amazonaws.com/fargate-profile"), Nodes::Fargate),
    (Mark::Demanded("eks.amazonaws.com/compute-type", "fargate"), Nodes::Fargate),
    (Mark::Demanded("type", "virtual-kubelet"), Nodes::Virtual),
    (Mark::Node("virtual-kubelet"), Nodes::Virtual),
    (Mark::Node("virtual-node"), Nodes::Virtual),
    (Mark::Annotation("autopilot.gke.io/"), Nodes::Autopilot),
    (Mark::Node("gk3-"), Nodes::Autopilot),
    (Mark::Demanded("cloud.google.com/compute-class", "autopilot"), Nodes::Autopilot),
    (Mark::Demanded("cloud.google.com/compute-class", "autopilot-spot"), Nodes::Autopilot),
    (Mark::Demanded("cloud.google.com/compute-class", "Balanced"), Nodes::Autopilot),
    (Mark::Demanded("cloud.google.com/compute-class", "Performance"), Nodes::Autopilot),
    (Mark::Demanded("cloud.google.com/compute-class", "Scale-Out"), Nodes::Autopilot),
];

/// Whether it runs on nodes of EKS Auto Mode, whose Bottlerocket allows no user namespaces.
pub(super) fn without_user_namespaces(workload: &Workload) -> bool {
    demanded(workload, "eks.amazonaws.com/compute-type") == Some("auto")
}

/// Whose nodes the pod runs on.
pub(in crate::kubernetes) fn nodes(workload: &Workload) -> Option<Nodes> {
    let text = |pointer: &str| workload.pod().pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let names = |pointer: &str, fits: &dyn Fn(&str) -> bool| {
        let map = workload.pod().pointer(pointer).and_then(Value::as_object);
        map.is_some_and(|map| map.keys().any(|name| fits(name)))
    };
    let has = |mark: Mark| match mark {
        Mark::Scheduler(name) => text("/spec/schedulerName") == name,
        Mark::Node(start) => text("/spec/nodeName").starts_with(start),
        Mark::Label(name) => names("/metadata/labels", &|other| other == name),
        Mark::Annotation(start) => names("/metadata/annotations", &|other| other.starts_with(start)),
        Mark::Demanded(label, value) => demanded(workload, label) == Some(value),
    };
    MARKS.iter().find(|(mark, _)| has(*mark)).map(|(_, nodes)| *nodes)
}

/// The one value that each node which the pod may run on must have for a label.
pub(in crate::kubernetes) fn demanded<'a>(workload: &'a Workload, label: &str) -> Option<&'a str> {
    let spec = workload.spec();
    if let Some(value) = spec.get("nodeSelector").and_then(|all| all.get(label)?.as_str()) {
        return Some(value);
    }
    let required = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let terms = spec.pointer(required).and_then(Value::as_array)?;
    // one of the terms is enough for a node, and all of a term must be so
    let mut values = terms.iter().map(|term| {
        let all = term.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
        let mut only = all.filter_map(|one| {
            let values = one.get("values").and_then(Value::as_array)?;
            let [value] = values.as_slice() else { return None };
            let fits = one.get("key").is_some_and(|key| key == label)
                && one.get("operator").is_some_and(|operator| operator == "In");
            value.as_str().filter(|_| fits)
        });
        only.next()
    });
    let first = values.next()??;
    values.all(|value| value == Some(first)).then_some(first)
}
