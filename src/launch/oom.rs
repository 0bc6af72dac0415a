//! What the kernel counts of processes that it killed because memory ran out (`oom_kill` in `/proc/vmstat`, Linux 4.13), on the whole machine.

use std::time::{Duration, Instant};

use procfs_core::{FromBufRead, VmStat};

use crate::process_local::ProcessLocal;

/// How long a count is good for launches that begin later. What was killed between them and it makes an end uncertain that is not.
const FRESH: Duration = Duration::from_secs(1);

/// Read last, and when.
static LAST: ProcessLocal<Option<(i64, Instant)>> = ProcessLocal::shared();

/// The kills that were counted when a launch began.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kills(Option<i64>);

impl Kills {
    /// Up to now or a little earlier: reading the file takes as long as some ten other system calls, and so not every launch of many does.
    pub(super) fn so_far() -> Self {
        let last = LAST.lock().filter(|(_, read)| read.elapsed() < FRESH);
        Self(last.map(|(count, _)| count).or_else(count))
    }

    /// Whether the kernel has killed none since then for certain.
    pub(super) fn stand_still(self) -> bool {
        self.0.is_some() && self.0 == count()
    }
}

fn count() -> Option<i64> {
    let text = std::fs::read("/proc/vmstat").ok()?;
    // what is killed from now on is not in it
    let read = Instant::now();
    let count = VmStat::from_buf_read(text.as_slice()).ok()?.0.get("oom_kill").copied()?;
    *LAST.lock() = Some((count, read));
    Some(count)
}
