//! Cards of NVIDIA's, whose container toolkit has a hand in /proc.

use serde_json::Value;

use crate::kubernetes::Workload;
use crate::sandbox::{Operation, Sandbox};

/// How its resources are called: `nvidia.com/gpu`, `nvidia.com/mig-1g.5gb`.
const RESOURCES: &str = "nvidia.com/";
/// What tells the toolkit which cards a container is to see.
const VISIBLE: &str = "NVIDIA_VISIBLE_DEVICES";

/// Whether a container of the pod gets cards, or any may by its `RuntimeClass`.
pub(in crate::kubernetes) fn asks_for_cards(workload: &Workload) -> bool {
    workload.listed().any(|(container, _)| has_cards(workload, container))
}

fn has_cards(workload: &Workload, container: &Value) -> bool {
    let asks = |list: &str| {
        let resources = container.pointer(&format!("/resources/{list}")).and_then(Value::as_object);
        resources.is_some_and(|all| {
            all.iter().any(|(name, amount)| name.starts_with(RESOURCES) && *amount != 0 && amount != "0")
        })
    };
    let env = container.get("env").and_then(Value::as_array).into_iter().flatten();
    let mut visible = env.filter(|one| one.get("name").is_some_and(|name| name == VISIBLE));
    let sees = visible.any(|one| {
        let value = one.get("value").and_then(Value::as_str).unwrap_or_default();
        !["", "none", "void"].contains(&value)
    });
    asks("limits") || asks("requests") || sees || class(workload).starts_with("nvidia")
}

fn class(workload: &Workload) -> &str {
    super::class::handler(workload).unwrap_or_default()
}

/// What only the node knows of such a container.
pub(super) fn questions(
    workload: &Workload,
    container: &Value,
    sandbox: &Sandbox,
    userns: bool,
) -> Vec<String> {
    let mut ask = Vec::new();
    let mounts_proc = sandbox.operations().iter().any(|one| matches!(one, Operation::Proc(_)));
    if mounts_proc && has_cards(workload, container) {
        ask.push(
            "whether NVIDIA's toolkit mounts a tmpfs on /proc/driver/nvidia, as it does unless it hands out cards by CDI: \
             `grep nvidia /proc/self/mountinfo` in such a pod; where it does, only the outer /proc can be bound in the sandbox [PR02]"
                .to_owned(),
        );
    }
    if userns && asks_for_cards(workload) {
        ask.push(format!("whether the pod gets its cards: {NO_USER_NAMESPACES}"));
    }
    ask
}

/// What NVIDIA says of pods with a user namespace.
pub(in crate::kubernetes) const NO_USER_NAMESPACES: &str =
    "NVIDIA's device plugin and GPU operator do not support hostUsers: false";
