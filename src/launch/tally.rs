//! What `/proc` says that processes have used, and those that they have waited for. What nobody has waited for is in no sum.

use std::time::Duration;

use procfs_core::FromRead;
use procfs_core::process::{Io, Status};
use rustix::param::clock_ticks_per_second;

use super::handle::Handle;
use super::processes::pass_below;
use super::stat::{is_own, stat_in};
use super::usage::{Figure, Usage};

#[derive(Debug, Default)]
struct Tally {
    /// In ticks of the clock.
    user: u64,
    system: u64,
    peak: Option<u64>,
    read: Option<u64>,
    written: Option<u64>,
}

/// What has been used so far by all that descends from a process, and by that itself if it is not `spared`.
pub(super) fn used_below(pid: i32, handle: &Handle, spared: bool) -> Usage {
    let mut tally = Tally::default();
    let met = |met: i32, directory: &str| tally.add(directory, met == pid && spared);
    match pass_below(pid, handle, met) {
        Ok(_) => tally.into_usage(),
        Err(_) => Usage::default(),
    }
}

/// What was used by those that a process has waited for, and by that itself if it is not `spared`. It may have ended, if nobody has
/// waited for it.
pub(super) fn used_by(pid: i32, handle: &Handle, spared: bool) -> Usage {
    let mut tally = Tally::default();
    tally.add_times(&format!("/proc/{pid}"), spared);
    // until then the number is its own
    if handle.is_unreaped() && is_own() { tally.into_usage() } else { Usage::default() }
}

impl Tally {
    /// Adds the process of this directory. Of one that is `spared` counts only whom it has waited for.
    fn add(&mut self, directory: &str, spared: bool) {
        self.add_times(directory, spared);
        let status = Status::from_file(format!("{directory}/status")).ok().filter(|_| !spared);
        let peak = status.and_then(|status| status.vmhwm).map(|kilobytes| kilobytes.saturating_mul(1024));
        self.peak = self.peak.max(peak);
        if let Ok(io) = Io::from_file(format!("{directory}/io")) {
            self.read = Some(self.read.unwrap_or(0).saturating_add(io.read_bytes));
            self.written = Some(self.written.unwrap_or(0).saturating_add(io.write_bytes));
        }
    }

    fn add_times(&mut self, directory: &str, spared: bool) {
        let Ok(stat) = stat_in(directory) else { return };
        let own = if spared { (0, 0) } else { (stat.utime, stat.stime) };
        let waited_for = [stat.cutime, stat.cstime].map(|ticks| u64::try_from(ticks).unwrap_or(0));
        let [user, system] = waited_for;
        self.user = self.user.saturating_add(own.0).saturating_add(user);
        self.system = self.system.saturating_add(own.1).saturating_add(system);
    }

    fn into_usage(self) -> Usage {
        let time = |ticks: u64| {
            let milliseconds = ticks.saturating_mul(1000).checked_div(clock_ticks_per_second());
            Figure::at_least(milliseconds.map(Duration::from_millis))
        };
        Usage {
            user: time(self.user),
            system: time(self.system),
            peak_memory: Figure::at_least(self.peak),
            read: Figure::at_least(self.read),
            written: Figure::at_least(self.written),
            memory_kills: Figure::Unknown,
        }
    }
}
