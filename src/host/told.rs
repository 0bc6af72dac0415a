//! Hosts that are told instead of read: those of stand-ins for bwrap (feature `testing`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::Host;

/// By the path of their bwrap.
static HOSTS: LazyLock<Mutex<HashMap<PathBuf, Host>>> = LazyLock::new(Mutex::default);

fn hosts() -> MutexGuard<'static, HashMap<PathBuf, Host>> {
    HOSTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was told of the host of this bwrap.
pub(super) fn of(bwrap: &Path) -> Option<Host> {
    hosts().get(bwrap).cloned()
}

/// From now on, this is what the host says when it is asked with this bwrap.
pub(crate) fn tell(bwrap: &Path, host: Host) {
    hosts().insert(bwrap.to_owned(), host);
}

/// From now on, the host with this bwrap is read again.
pub(crate) fn forget(bwrap: &Path) {
    hosts().remove(bwrap);
}
