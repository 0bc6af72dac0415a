//! Pod Security Standards: which of them lets a pod in.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::facts::{APPARMOR, annotated_apparmor, context, is, own, privileged, profile, unmasked};
use super::{Cluster, Workload, sysctls};

/// A level of the Pod Security Standards.
///
/// ```
/// use bwrap_launch::kubernetes::Standard;
/// assert!(Standard::Restricted < Standard::Privileged);
/// assert_eq!(Standard::Baseline.to_string(), "baseline");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
pub enum Standard {
    /// What is hardened passes.
    Restricted,
    /// What cannot escape by design passes.
    Baseline,
    /// Everything passes.
    Privileged,
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restricted => "restricted",
            Self::Baseline => "baseline",
            Self::Privileged => "privileged",
        })
    }
}

/// Capabilities that baseline lets be added.
const ADDED: &str = "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID \
                     SYS_CHROOT";

/// Domains of SELinux that baseline lets be named, and since when.
const DOMAINS: &[(&str, (u32, u32))] = &[
    ("container_engine_t", (1, 31)),
    ("container_init_t", (1, 0)),
    ("container_kvm_t", (1, 0)),
    ("container_t", (1, 0)),
];

/// Volumes that restricted lets be mounted.
const VOLUMES: &[&str] = &[
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

fn listed(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}

/// The strictest level whose checks a workload passes, and what keeps it from a stricter one.
///
/// What is checked is what the standards say of Linux; a cluster's own policies may say more.
///
/// ```
/// use bwrap_launch::kubernetes::{Cluster, Runtime, Standard, read, standard};
/// let text = "{ kind: Pod, spec: { hostUsers: false, containers: [{ name: c, securityContext: { procMount: Unmasked } }] } }";
/// let mut cluster = Cluster::new(Runtime::Containerd);
/// assert_eq!(standard(&read(text)?[0], &cluster).0, Standard::Baseline);
/// cluster.kubernetes = Some((1, 34));
/// assert_eq!(standard(&read(text)?[0], &cluster).0, Standard::Privileged);
/// # Ok::<(), bwrap_launch::kubernetes::ManifestError>(())
/// ```
#[must_use]
pub fn standard(workload: &Workload, cluster: &Cluster) -> (Standard, Vec<String>) {
    let (mut baseline, mut restricted) = (Vec::new(), Vec::new());
    let spec = workload.spec();
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        if is(spec.get(field), true) {
            baseline.push(format!("{field}: true"));
        }
    }
    for volume in listed(spec.get("volumes")) {
        for kind in kinds_of_volumes(volume) {
            if kind == "hostPath" {
                baseline.push("a hostPath volume".to_owned());
            } else {
                restricted.push(format!("a volume of the kind {}", crate::visible::line(kind)));
            }
        }
    }
    // by these names and no others: the one with slashes is none of them
    let unsafe_ones = sysctls::written(workload).filter(|(name, _)| !sysctls::is_safe(cluster, name));
    baseline.extend(unsafe_ones.map(|(name, _)| format!("the sysctl {}", crate::visible::line(name))));
    for (container, _) in workload.listed() {
        against(workload, cluster, container, &mut baseline, &mut restricted);
    }
    for list in [&mut baseline, &mut restricted] {
        let mut seen = BTreeSet::new();
        list.retain(|why| seen.insert(why.clone()));
    }
    if !baseline.is_empty() {
        return (Standard::Privileged, baseline);
    }
    let level = if restricted.is_empty() { Standard::Restricted } else { Standard::Baseline };
    (level, restricted)
}

/// What a volume is, where that is none of those that restricted lets be mounted.
pub(super) fn kinds_of_volumes(volume: &Value) -> impl Iterator<Item = &str> {
    let fields = volume.as_object().into_iter().flatten();
    let kinds = fields.filter(|(name, value)| *name != "name" && !value.is_null());
    kinds.map(|(kind, _)| kind.as_str()).filter(|kind| !VOLUMES.contains(kind))
}

/// Whether a probe or hook asks another host than its pod.
fn names_a_host(container: &Value) -> bool {
    let handlers =
        ["/livenessProbe", "/readinessProbe", "/startupProbe", "/lifecycle/postStart", "/lifecycle/preStop"];
    let handlers = handlers.into_iter().filter_map(|pointer| container.pointer(pointer));
    handlers
        .flat_map(|handler| [handler.pointer("/httpGet/host"), handler.pointer("/tcpSocket/host")])
        .flatten()
        .any(|host| host.as_str().is_some_and(|host| !host.is_empty()))
}

fn against(
    workload: &Workload,
    cluster: &Cluster,
    container: &Value,
    baseline: &mut Vec<String>,
    restricted: &mut Vec<String>,
) {
    let among = |names: &str, name: &str| names.split_whitespace().any(|known| known == name);
    if privileged(container) {
        baseline.push("privileged: true".to_owned());
    }
    let apart = is(workload.spec().get("hostUsers"), false);
    let relaxed = apart && cluster.kubernetes.is_none_or(|version| version >= (1, 35));
    if unmasked(container) {
        let list = if relaxed { &mut *restricted } else { &mut *baseline };
        list.push("procMount: Unmasked".to_owned());
    }
    let capabilities = own(container, "capabilities");
    let listed = |list: &str| listed(capabilities.and_then(|both| both.get(list)));
    // by these names and no others: CAP_SETFCAP is none of them
    for name in listed("add").filter_map(Value::as_str) {
        if !among(ADDED, name) {
            baseline.push(format!("the capability {}", crate::visible::line(name)));
        } else if name != "NET_BIND_SERVICE" {
            restricted.push(format!("the capability {name}"));
        }
    }
    if !listed("drop").any(|name| name == "ALL") {
        restricted.push("capabilities.drop without ALL".to_owned());
    }
    // what a pod sets counts, even if its containers set something else
    let set = |field: &'static str| {
        [workload.spec(), container].into_iter().filter_map(move |place| own(place, field))
    };
    if set("seccompProfile").filter_map(profile).any(|name| name == "Unconfined") {
        baseline.push("seccompProfile: Unconfined".to_owned());
    } else if set("seccompProfile").next().is_none() {
        restricted.push("no seccompProfile".to_owned());
    }
    if set("appArmorProfile").filter_map(profile).any(|name| name == "Unconfined") {
        baseline.push("appArmorProfile: Unconfined".to_owned());
    }
    if annotated_apparmor(workload, container).is_some_and(|name| name == "Unconfined") {
        baseline.push(format!("the annotation {APPARMOR}: unconfined"));
    }
    for port in self::listed(container.get("ports")).filter_map(|port| port.get("hostPort")?.as_u64()) {
        if port != 0 {
            baseline.push(format!("hostPort: {port}"));
        }
    }
    for domain in set("seLinuxOptions").filter_map(|options| options.get("type")?.as_str()) {
        let since = DOMAINS.iter().find(|(name, _)| *name == domain).map(|(_, since)| *since);
        let admitted = since.is_some_and(|since| cluster.kubernetes.is_none_or(|version| version >= since));
        if !domain.is_empty() && !admitted {
            baseline.push(format!("the SELinux type {}", crate::visible::line(domain)));
        }
    }
    if cluster.kubernetes.is_none_or(|version| version >= (1, 34)) && names_a_host(container) {
        baseline.push("a probe or lifecycle hook with a host".to_owned());
    }
    for field in ["user", "role"] {
        let named = set("seLinuxOptions").filter_map(|options| options.get(field)?.as_str());
        if named.filter(|name| !name.is_empty()).count() > 0 {
            baseline.push(format!("seLinuxOptions.{field}"));
        }
    }
    if !is(own(container, "allowPrivilegeEscalation"), false) {
        restricted.push("allowPrivilegeEscalation is not false".to_owned());
    }
    // the root of a user namespace is nobody outside
    if relaxed {
        return;
    }
    if !is(context(workload, container, "runAsNonRoot"), true)
        || set("runAsNonRoot").any(|value| value == false)
    {
        restricted.push("runAsNonRoot is not true".to_owned());
    }
    if set("runAsUser").any(|user| user == 0) {
        restricted.push("runAsUser: 0".to_owned());
    }
}
