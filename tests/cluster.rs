//! Kubernetes itself: pods on a real API server, with containerd and with CRI-O; manifests judged before they are applied, and
//! remedies applied as they are printed.
//!
//! This program is both sides. On the host it builds and starts clusters of one node (`tests/cluster/cluster`), with itself as
//! what they run, and reports each case; on a node it applies the manifests and remedies; and in the pods it tries sandboxes.
//! It is not part of `cargo test`: `make test-cluster` runs it. Where a cluster cannot be had every case counts as skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "cluster/cases.rs"]
mod cases;
#[path = "cluster/forms.rs"]
mod forms;
#[path = "cluster/generated.rs"]
mod generated;
#[path = "cluster/host.rs"]
mod host;
#[path = "cluster/kubectl.rs"]
mod kubectl;
#[path = "common/machines.rs"]
mod machines;
#[path = "cluster/node.rs"]
mod node;
mod seeded;
#[path = "common/trying.rs"]
mod trying;
#[path = "cluster/whole.rs"]
mod whole;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    match words.get(1).map(String::as_str) {
        Some("--try") => {
            trying::try_line(&words[2..]);
            ExitCode::SUCCESS
        }
        None if std::path::Path::new(node::BOOT).exists() => node::main(),
        _ => host::main(),
    }
}
