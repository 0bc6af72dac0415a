//! How what was launched is ended, with all that it has made.

use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::super::conduct::PATIENCE;
use super::super::descriptors::read_from;
use super::super::handle::Handle;
use super::super::keeper;
use super::super::leave::UnderWay;
use super::super::processes::{DYING, kill_holders, reap_orphan, reap_orphans};
use super::super::relatives::{Relative, kill_by_number};
use super::{Running, Witnesses};
use crate::bwrap::status::{MOST, Status};

impl Running {
    /// Kills bwrap and all, waits, and leaves nothing. What does not die in time is seen to its end elsewhere.
    pub(crate) fn destroy(mut self) {
        let under_way = UnderWay::begin();
        if !self.can_be_destroyed() {
            self.reach.await_child();
        }
        let descendants = self.strike();
        drop(under_way);
        let deadline = Instant::now() + PATIENCE;
        let over = self.wait_over(Some(deadline));
        if over.is_err() {
            // nobody can be waited for, and so nobody else does this
            self.strays.extend(kill_holders(&self.lost));
            reap_orphans(&self.strays);
        }
        for process in &descendants {
            let left = deadline.saturating_duration_since(Instant::now());
            if process.has_ended(left).unwrap_or(false) {
                reap_orphan(process);
            }
        }
        if matches!(over, Ok(false)) {
            keeper::adopt(self);
        }
    }

    /// Whether nothing would be missed now: what cannot be looked for must be reported first. A bwrap that hangs is not waited
    /// for longer than [`GRACE`].
    pub(crate) fn can_be_destroyed(&mut self) -> bool {
        // ends a helper that writes id maps
        self.mapping = None;
        self.has_reported() || self.reach.shows_children()
    }

    /// Kills bwrap and all, which is [under way](UnderWay) with whoever calls. Returns handles on what descends from it, to be
    /// [reaped](reap_orphan) when it has ended.
    pub(crate) fn strike(&mut self) -> Vec<Handle> {
        self.conduct.on_kill(Instant::now());
        let descendants = self.reach.stop_descendants();
        let _ = self.reach.kill_inside();
        let _ = self.reach.process().signal(Signal::KILL);
        for process in &descendants {
            let _ = process.signal(Signal::KILL);
        }
        descendants.into_iter().filter_map(Relative::into_handle).collect()
    }

    /// Ends a bwrap that was just spawned and that no handle can be had on, and what it has made so far.
    pub(super) fn give_up(pid: Pid, witnesses: &Witnesses) {
        let under_way = UnderWay::begin();
        // nobody has waited for it yet, so the number is still its own, and what it has reported is its child's while it stands still
        let _ = kill_process(pid, Signal::STOP);
        wait_a_moment(pid, WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT);
        let status =
            read_from(&witnesses.status, 0, MOST).map(|bytes| Status::parse(&bytes)).unwrap_or_default();
        let child = status.child_pid.and_then(|child| Pid::from_raw(child.get()));
        if let Some(child) = child.filter(|_| status.exit_code.is_none()) {
            kill_by_number(child);
        }
        kill_by_number(pid);
        drop(under_way);
        wait_a_moment(pid, WaitIdOptions::empty());
        reap_orphans(&kill_holders(&witnesses.lost));
    }
}

/// Waits for a child to end, or for whatever else is asked, but not for ever.
fn wait_a_moment(child: Pid, options: WaitIdOptions) {
    let deadline = Instant::now() + DYING;
    let options = options | WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    while matches!(waitid(WaitId::Pid(child), options), Ok(None) | Err(Errno::INTR))
        && Instant::now() < deadline
    {
        thread::sleep(Duration::from_micros(100));
    }
}
