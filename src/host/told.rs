//! Hosts that are told instead of read: those of stand-ins for bwrap (feature `testing`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Host;
use crate::process_local::ProcessLocal;

/// By the path of their bwrap.
static HOSTS: ProcessLocal<HashMap<PathBuf, Host>> = ProcessLocal::shared();

/// What was told of the host of this bwrap.
pub(super) fn of(bwrap: &Path) -> Option<Host> {
    HOSTS.lock().get(bwrap).cloned()
}

/// From now on, this is what the host says when it is asked with this bwrap.
pub(crate) fn tell(bwrap: &Path, host: Host) {
    HOSTS.lock().insert(bwrap.to_owned(), host);
}

/// From now on, the host with this bwrap is read again.
pub(crate) fn forget(bwrap: &Path) {
    HOSTS.lock().remove(bwrap);
}
