//! How long the sandbox lives and whom it tells.

use std::path::PathBuf;

use super::Descriptor;

/// All that a sandbox says about its processes' lives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Lifetime {
    pub(crate) die_with_parent: bool,
    pub(crate) as_pid_1: bool,
    pub(crate) lock_files: Vec<PathBuf>,
    pub(crate) sync_fd: Option<Descriptor>,
    pub(crate) info_fd: Option<Descriptor>,
}
