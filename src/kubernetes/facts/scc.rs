//! Security context constraints of OpenShift, as the annotations of a pod name them.

use serde_json::Value;

use crate::kubernetes::Workload;

/// The one that a pod asks for, and no other admits it.
const REQUIRED: &str = "openshift.io/required-scc";
/// The one that has admitted it.
const ADMITTED: &str = "openshift.io/scc";

/// Ids that a constraint admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kubernetes) enum Ids {
    Any,
    /// Those of a range that the namespace was given. It begins at a billion.
    OfNamespace,
    NotRoot,
    Between(u64, u64),
}

/// System call filters that it admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kubernetes) enum Filters {
    Any,
    /// The runtime's, which pods that name none are given.
    Default,
    /// None that somebody names, be that the runtime's.
    Unnamed,
}

/// What a constraint admits, of those that come with OpenShift; privileged containers, what is the node's, and other volumes than
/// those that Pod Security's restricted lets be mounted none of these do.
#[derive(Debug)]
pub(in crate::kubernetes) struct Constraint {
    pub(in crate::kubernetes) name: &'static str,
    pub(in crate::kubernetes) users: Ids,
    pub(in crate::kubernetes) fs_groups: Ids,
    pub(in crate::kubernetes) groups: Ids,
    pub(in crate::kubernetes) filters: Filters,
    pub(in crate::kubernetes) capabilities: &'static [&'static str],
    /// Whether containers may get more rights than they begin with.
    pub(in crate::kubernetes) escalates: bool,
    /// Whether pods must have a user namespace.
    pub(in crate::kubernetes) apart: bool,
    pub(in crate::kubernetes) unmasked: bool,
    /// The type of SELinux that it gives a pod, and takes no other.
    pub(in crate::kubernetes) selinux_type: Option<&'static str>,
}

const RESTRICTED: Constraint = Constraint {
    name: "restricted",
    users: Ids::OfNamespace,
    fs_groups: Ids::OfNamespace,
    groups: Ids::Any,
    filters: Filters::Unnamed,
    capabilities: &[],
    escalates: true,
    apart: false,
    unmasked: false,
    selinux_type: None,
};

const RESTRICTED_V2: Constraint = Constraint {
    name: "restricted-v2",
    filters: Filters::Default,
    capabilities: &["NET_BIND_SERVICE"],
    escalates: false,
    ..RESTRICTED
};

const IN_A_POD: Ids = Ids::Between(1000, 65_534);

const CONSTRAINTS: &[Constraint] = &[
    RESTRICTED,
    RESTRICTED_V2,
    Constraint {
        name: "restricted-v3",
        users: IN_A_POD,
        fs_groups: IN_A_POD,
        groups: IN_A_POD,
        apart: true,
        unmasked: true,
        ..RESTRICTED_V2
    },
    Constraint { name: "nonroot", users: Ids::NotRoot, fs_groups: Ids::Any, ..RESTRICTED },
    Constraint { name: "nonroot-v2", users: Ids::NotRoot, fs_groups: Ids::Any, ..RESTRICTED_V2 },
    Constraint { name: "anyuid", users: Ids::Any, fs_groups: Ids::Any, ..RESTRICTED },
    Constraint {
        name: NESTED,
        users: Ids::Any,
        fs_groups: Ids::Between(0, 65_534),
        groups: Ids::Between(0, 65_534),
        filters: Filters::Any,
        capabilities: &["SETUID", "SETGID"],
        escalates: true,
        apart: true,
        unmasked: true,
        selinux_type: Some("container_engine_t"),
    },
];

/// The one that is made for what bwrap does, of OpenShift 4.20 and later.
pub(in crate::kubernetes) const NESTED: &str = "nested-container";

/// What is known of a constraint; `None` of one that somebody made.
pub(in crate::kubernetes) fn constraint(name: &str) -> Option<&'static Constraint> {
    CONSTRAINTS.iter().find(|one| one.name == name)
}

fn annotation<'a>(workload: &'a Workload, name: &str) -> Option<&'a str> {
    workload.pod().pointer("/metadata/annotations")?.get(name)?.as_str()
}

pub(in crate::kubernetes) fn required(workload: &Workload) -> Option<&str> {
    annotation(workload, REQUIRED)
}

/// The one that a pod names, in whichever way.
fn named(workload: &Workload) -> Option<&str> {
    required(workload).or_else(|| annotation(workload, ADMITTED))
}

pub(super) fn is_openshift(workload: &Workload) -> bool {
    named(workload).is_some()
}

fn of(workload: &Workload) -> Option<&'static Constraint> {
    named(workload).and_then(constraint)
}

/// Whether it gives the pod another user than root where the pod names none, or lets no image's root start.
pub(super) fn chooses_user(workload: &Workload) -> bool {
    let ours = named(workload).is_some_and(|name| name.starts_with("restricted"));
    (ours || of(workload).is_some_and(|scc| scc.users != Ids::Any))
        && workload.spec().pointer("/securityContext/runAsUser").is_none_or(Value::is_null)
}

/// The type of SELinux that it gives a pod that names none.
pub(super) fn selinux_type(workload: &Workload) -> Option<&'static str> {
    of(workload)?.selinux_type
}

/// Whether it gives a pod that names none the runtime's system call filter.
pub(super) fn filters(workload: &Workload) -> bool {
    of(workload).is_some_and(|scc| scc.filters == Filters::Default)
}
