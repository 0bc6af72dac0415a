//! Control groups that a command has made below its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long what was killed may take to leave the group.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// The groups that somebody has made below one, as far as there is time: a command to which the hierarchy is writable. Each before that
/// which it is in.
pub(super) fn groups_in(directory: &Path, deadline: Instant) -> Vec<PathBuf> {
    let below = |directory: &Path| {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        groups.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let mut all = below(directory);
    let mut next = 0;
    while let Some(directory) = all.get(next).filter(|_| Instant::now() < deadline) {
        let more = below(directory);
        all.extend(more);
        next += 1;
    }
    all.reverse();
    all
}
