//! What the kernel counts of processes that it killed because memory ran out (`oom_kill` in `/proc/vmstat`, Linux 4.13), on the whole machine.

use std::sync::RwLock;

use procfs_core::{FromBufRead, VmStat};

/// Read last. It only grows, so an earlier count is as good for a beginning.
static LAST: RwLock<Option<i64>> = RwLock::new(None);

/// The kills that were counted when a launch began.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kills(Option<i64>);

impl Kills {
    /// Up to now or a little earlier. Only a caller's first launch reads the file, which takes as long as some ten other system calls.
    pub(super) fn so_far() -> Self {
        let last = || LAST.read().map_or(None, |last| *last);
        Self(last().or_else(count))
    }

    /// Whether the kernel has killed none since then for certain.
    pub(super) fn stand_still(self) -> bool {
        self.0.is_some() && self.0 == count()
    }
}

fn count() -> Option<i64> {
    let text = std::fs::read("/proc/vmstat").ok()?;
    let count = VmStat::from_buf_read(text.as_slice()).ok()?.0.get("oom_kill").copied();
    if let Ok(mut last) = LAST.write() {
        *last = (*last).max(count);
    }
    count
}
