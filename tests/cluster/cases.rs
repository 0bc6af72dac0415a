//! What is shown in clusters.

/// The pods, and what bwrap said in each: `tests/kubernetes.rs` holds forecasts against the same table.
pub(crate) const PODS: &str = include_str!("../data/kubernetes/pods.yaml");
const SAID: &str = include_str!("../data/kubernetes/pods.tsv");

/// The line that is run in them.
pub(crate) const LINE: &str = "--ro-bind /lib /lib --ro-bind /usr /usr --symlink /usr/lib64 /lib64 --proc /proc --dev /dev \
                               --tmpfs /tmp --unshare-all --new-session ps afx";

/// What runs the containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Runtime {
    Containerd,
    /// With masks that no pod lifts, as 1.33.0 and 1.33.1.
    CriO,
    /// containerd on a kernel that enforces SELinux: in a guest of `tests/vm`.
    Selinux,
}

impl Runtime {
    pub(crate) const ALL: [Self; 3] = [Self::Containerd, Self::CriO, Self::Selinux];

    /// As titles and the table have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Selinux => "selinux",
        }
    }

    /// As `tests/cluster/cluster` starts it.
    pub(crate) fn started_by(self) -> &'static [&'static str] {
        match self {
            Self::Containerd => &["run", "--runtime", "containerd", "--watch-stdin"],
            Self::CriO => &["run", "--runtime", "crio", "--watch-stdin"],
            Self::Selinux => &["guest"],
        }
    }

    /// As `bwrap-doctor pod --runtime` has it. Of CRI-O it is the state that has these versions.
    pub(crate) fn versioned(self) -> &'static str {
        match self {
            Self::Containerd | Self::Selinux => "containerd=2.4.2",
            Self::CriO => "cri-o=1.33.1",
        }
    }

    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|runtime| runtime.name() == name)
    }
}

/// A pod of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) pod: &'static str,
    pub(crate) manifest: &'static str,
    /// bwrap's first words, `starts`, or `not started: REASON`.
    pub(crate) said: &'static str,
}

pub(crate) fn rows(runtime: Runtime) -> Vec<Row> {
    let manifest = |pod: &str| {
        let name = format!("\n  name: {pod}\n");
        PODS.split("---\n").find(|document| document.contains(&name)).unwrap_or_else(|| panic!("{pod}"))
    };
    let row = |line: &'static str| match line.split('\t').collect::<Vec<_>>()[..] {
        [name, pod, said] if name == runtime.name() => Some(Row { pod, manifest: manifest(pod), said }),
        _ => None,
    };
    SAID.lines().filter(|line| !line.starts_with('#')).filter_map(row).collect()
}

/// What is done in a cluster of each runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// The first brief's story: `kubectl apply`, `kubectl exec`, and only what our report printed in between.
    Story,
    /// What bwrap says in a pod, what is foretold of it in the pod and of its manifest, and which cause is named.
    Pod(&'static str),
    /// One patch, applied once, after which the line starts.
    Patch(&'static str),
    /// The first remedies as printed, one after the other, until it starts.
    Remedies(&'static str),
    /// Each other remedy for Kubernetes, as printed.
    Alternatives(&'static str),
    /// The change by JSON Patch, by kustomize, as the whole object, and written into the file.
    Forms(&'static str),
    /// What makes pods, changed in its place.
    Deployment,
    /// Custom resources that make pods.
    Custom,
    /// Pod Security as the API server judges it.
    Standards,
    /// This crate's programs in a pod.
    Programs,
    /// Security contexts that nobody wrote.
    Generated,
}

/// Pods of different causes, whose change is tried in its other forms.
const FORMED: &[&str] = &["plain", "drop-setfcap", "seccomp", "restricted"];

/// The cases, by their names.
pub(crate) fn cases(runtime: Runtime) -> Vec<(String, What)> {
    let story = ("story".to_owned(), What::Story);
    if runtime == Runtime::Selinux {
        // an emulated machine is slow, and what it has of its own is in the story
        return vec![story];
    }
    let mut cases = vec![
        story,
        ("standards".to_owned(), What::Standards),
        ("programs".to_owned(), What::Programs),
        ("deployment".to_owned(), What::Deployment),
        ("custom".to_owned(), What::Custom),
        ("generated".to_owned(), What::Generated),
    ];
    for row in rows(runtime) {
        cases.push((format!("pod-{}", row.pod), What::Pod(row.pod)));
        // what starts needs none, and what is not started has no place to try
        if row.said.starts_with("bwrap: ") {
            cases.push((format!("patch-{}", row.pod), What::Patch(row.pod)));
            cases.push((format!("remedies-{}", row.pod), What::Remedies(row.pod)));
            cases.push((format!("alternatives-{}", row.pod), What::Alternatives(row.pod)));
            if FORMED.contains(&row.pod) {
                cases.push((format!("forms-{}", row.pod), What::Forms(row.pod)));
            }
        }
    }
    cases
}
