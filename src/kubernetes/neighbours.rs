//! Containers beside the one that runs bwrap, whose rights over the node a user namespace of the pod takes away.

use serde_json::Value;

use super::Workload;
use super::facts::{is, own, privileged};
use super::manifest::starts_up;
use crate::diagnosis::{Action, Finding};

/// Capabilities that somebody adds for something of the node's. In a user namespace of the pod they are there, and count for what is
/// the pod's own.
const OVER_THE_NODE: &[&str] = &[
    "ALL",
    "AUDIT_CONTROL",
    "BLOCK_SUSPEND",
    "BPF",
    "DAC_READ_SEARCH",
    "IPC_LOCK",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "PERFMON",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "WAKE_ALARM",
];

/// A container with rights over the node.
pub(super) struct Neighbour {
    /// `container dind, which is privileged`.
    shown: String,
    /// Whether the pod waits for its end.
    waited_for: bool,
}

/// What is lost with hostUsers: false, and nobody sees from outside.
const LOST: &str = "has its rights over the pod alone: what it does to the node, as with kernel modules, devices and most kernel \
                    parameters, is denied";

/// Those beside this one.
fn beside(workload: &Workload, name: &str) -> Vec<Neighbour> {
    let others = workload.listed().filter(|(one, _)| one.get("name").is_none_or(|other| other != name));
    let strong = others.filter_map(|(one, list)| {
        let name = crate::visible::line(one.get("name")?.as_str()?);
        let what = rights(one)?;
        Some(Neighbour { shown: format!("container {name}, which {what}"), waited_for: starts_up(one, list) })
    });
    strong.collect()
}

fn rights(container: &Value) -> Option<String> {
    if privileged(container) {
        return Some("is privileged".to_owned());
    }
    let added = own(container, "capabilities").and_then(|both| both.get("add")?.as_array())?;
    let strong = added.iter().filter_map(Value::as_str).find(|name| {
        let upper = name.to_ascii_uppercase();
        OVER_THE_NODE.contains(&upper.strip_prefix("CAP_").unwrap_or(&upper))
    })?;
    Some(format!("adds {}", crate::visible::line(strong)))
}

/// Why no user namespace is proposed for a pod: it waits for a container that may need rights over the node, as one that sets a kernel
/// parameter does.
pub(super) fn that_may_not_end(workload: &Workload, name: &str) -> Option<String> {
    let one = beside(workload, name).into_iter().find(|one| one.waited_for)?;
    Some(format!("the pod waits for {}; with hostUsers: false it {LOST}", one.shown))
}

/// What is taken for granted of a pod that has a user namespace already.
pub(super) fn taken_for_granted(workload: &Workload, name: &str) -> Option<String> {
    if !is(workload.spec().get("hostUsers"), false) {
        return None;
    }
    let one = beside(workload, name).into_iter().find(|one| one.waited_for)?;
    Some(format!("{}, and for which the pod waits, ends well: with hostUsers: false it {LOST}", one.shown))
}

/// Who else loses by a user namespace of the pod, behind a price.
pub(super) fn price(workload: &Workload, name: &str) -> String {
    if is(workload.spec().get("hostUsers"), false) {
        return String::new();
    }
    beside(workload, name).iter().fold(String::new(), |price, one| price + "; " + &one.shown + ", " + LOST)
}

/// Adds it to that of each change that gives the pod one.
pub(super) fn name_in_prices(workload: &Workload, name: &str, findings: &mut [Finding]) {
    let price = price(workload, name);
    for remedy in findings.iter_mut().flat_map(|finding| &mut finding.remedies) {
        if matches!(&remedy.action, Action::Pod(patch) if patch.host_users == Some(false)) {
            remedy.opens.push_str(&price);
        }
    }
}
