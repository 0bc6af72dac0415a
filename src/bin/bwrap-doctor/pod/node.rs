//! What `--node` names: facts that were read on a node, or the node as Kubernetes has it.

use std::path::Path;

use bwrap_launch::Version;
use bwrap_launch::host::{Fact, Host};
use bwrap_launch::kubernetes::Runtime;
use serde_json::Value;

use super::{kubernetes, runtime};
use crate::{Result, explain};

/// A node, with what only Kubernetes tells of it.
pub(super) struct Node {
    pub(super) host: Host,
    pub(super) runtime: Option<(Runtime, Option<Version>)>,
    pub(super) kubernetes: Option<(u32, u32)>,
}

pub(super) fn read(path: &Path) -> Result<Node> {
    let said = |what: &str| Err(format!("{}: {what}", path.display()));
    // what cannot be read, or is no JSON, is told below
    let text = std::fs::read(path).unwrap_or_default();
    let object = serde_json::from_slice::<Value>(&text).unwrap_or_default();
    match object.get("kind").and_then(Value::as_str) {
        Some("Node") => Ok(of_kubernetes(&object)),
        Some(_) => said(
            "a manifest, and no facts of a machine: `bwrap-doctor host --format json` prints them there, and `kubectl get node NAME -o json` some of them",
        ),
        None if object.is_null() && is_manifest(&text) => said(
            "a manifest, and no facts of a machine: of a node `kubectl get node NAME -o json` prints what is read here, and no YAML",
        ),
        None => Ok(Node { host: explain::read_host(path)?, runtime: None, kubernetes: None }),
    }
}

fn is_manifest(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    text.lines().any(|line| line.starts_with("kind:")) && text.contains("apiVersion:")
}

/// The versions that the kubelet tells; of the kernel's parameters and security modules it tells nothing.
fn of_kubernetes(object: &Value) -> Node {
    let told = |field: &str| object.pointer("/status/nodeInfo")?.get(field)?.as_str();
    let mut host = Host::default();
    if let Some(release) = told("kernelVersion") {
        host.kernel.release = Fact::Present(release.to_owned());
    }
    Node {
        host,
        runtime: told("containerRuntimeVersion").and_then(|text| runtime(text).ok()),
        kubernetes: told("kubeletVersion").and_then(|text| kubernetes(text).ok()),
    }
}
