//! What of a launch can be reached from any thread: handles on its processes, and how each is killed or signalled.
//!
//! Whoever waits for the launch owns it; everybody else has a weak reference, and what is asked of a sandbox that is over is done.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::num::NonZeroI32;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use procfs_core::process::Stat;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpid};

use super::cgroup::Members;
use super::conduct::{Cloned, PATIENCE};
use super::descriptors::read_from;
use super::ending::Stop;
use super::handle::Handle;
use super::keeper;
use super::leave::UnderWay;
use super::processes::{all_below, descends, is_gone, is_init, is_orphan_of_ours};
use super::record::{Means, Record};
use super::relatives::{self, Relative, children_of, descendants, stop_below};
use super::stat::{is_own, stat_in};
use super::tally::{used_below, used_by};
use super::usage::Usage;
use crate::bwrap::status::{MOST, Status};

/// How long bwrap gets to report its child before it is killed. It takes about a millisecond; one that hangs never does.
pub(super) const GRACE: Duration = Duration::from_millis(500);

/// How long processes may take to stop before they are asked to end all the same: somebody among them may resume the others.
const ASKING: Duration = Duration::from_millis(100);

/// How long the same may take where nothing else is wanted.
const SUSPENDING: Duration = Duration::from_secs(5);

/// The processes of a launch that is not over yet.
pub(super) struct Reach {
    pid: Pid,
    /// bwrap itself, the monitor.
    process: Arc<Handle>,
    /// The process that it cloned, process 1 inside or the command itself, with its number. What is reported later is not asked any
    /// more: a command that gets at the report can write there whose number it likes.
    child: OnceLock<(i32, Handle)>,
    /// When bwrap was spawned, in clock ticks after boot.
    since: u64,
    status: OwnedFd,
    cloned: Cloned,
    /// What bwrap cloned is bwrap's own, and only what descends from it is the command's.
    spared: bool,
    adopts: bool,
    record: Arc<Record>,
    /// Without a PID namespace, whoever was asked to end: what has not done so is killed when it is over.
    asked: Mutex<Vec<Relative>>,
    /// Whom we have killed, and may have to reap, below what bwrap cloned.
    struck: Mutex<Vec<Relative>>,
    /// Its control group.
    members: OnceLock<Members>,
    /// The keeper has an appointment with it.
    awaited: AtomicBool,
}

impl Reach {
    /// `adopts`: what loses its parent becomes our child.
    pub(super) fn new(
        (pid, process, since): (Pid, Arc<Handle>, u64),
        status: OwnedFd,
        (cloned, spared): (Cloned, bool),
        adopts: bool,
    ) -> Self {
        let (child, record, awaited) = (OnceLock::new(), Arc::default(), AtomicBool::new(false));
        let (asked, struck, members) = (Mutex::default(), Mutex::default(), OnceLock::new());
        Self {
            pid,
            process,
            child,
            since,
            status,
            cloned,
            spared,
            adopts,
            record,
            asked,
            struck,
            members,
            awaited,
        }
    }

    pub(super) fn process(&self) -> &Arc<Handle> {
        &self.process
    }

    pub(super) fn child(&self) -> Option<&Handle> {
        self.child.get().map(|(_, handle)| handle)
    }

    /// The number of what bwrap cloned, once there is a handle on it.
    pub(super) fn child_pid(&self) -> Option<i32> {
        self.child.get().map(|(pid, _)| *pid)
    }

    pub(super) fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// Whether its processes have to be looked for one by one: no process 1 ends them all.
    pub(super) fn is_tree(&self) -> bool {
        self.cloned != Cloned::Init
    }

    /// From now on it has a control group.
    pub(super) fn set_members(&self, members: Members) {
        let _ = self.members.set(members);
    }

    /// What bwrap has reported so far.
    pub(super) fn status(&self) -> io::Result<Status> {
        Ok(Status::parse(&self.reported()?))
    }

    /// The same as it was written, as far as bwrap may have written it: a command that gets at it may write without end.
    pub(super) fn reported(&self) -> io::Result<Vec<u8>> {
        read_from(&self.status, 0, MOST)
    }

    /// Has the keeper told when it is over.
    pub(super) fn await_end(&self) {
        self.awaited.store(true, Ordering::Release);
    }

    /// Gets hold of the process that bwrap has reported, unless the number is another's by now.
    ///
    /// Fails if no handle can be had, for lack of descriptors.
    pub(super) fn hold(&self, status: &Status) -> io::Result<()> {
        if self.child.get().is_none()
            && let Some(pid) = status.child_pid
            && let Some(handle) = self.open_child(pid, status)?
        {
            // another thread may have been faster
            let _ = self.child.set((pid.get(), handle));
        }
        Ok(())
    }

    /// A handle on the reported process, if it is our bwrap's for certain: the kernel says so, or it is what a bwrap left that has ended.
    fn open_child(&self, pid: NonZeroI32, status: &Status) -> io::Result<Option<Handle>> {
        let Some(number) = Pid::from_raw(pid.get()) else { return Ok(None) };
        let handle = match Handle::open(number) {
            Ok(handle) => handle,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        // without a look at /proc, what it keeps in mind of the process need not be cleared away at its end
        if handle.is_child_of(self.pid) {
            return Ok(Some(handle));
        }
        let own = match is_own().then(|| stat_in(&format!("/proc/{pid}"))) {
            Some(Ok(stat)) => {
                descends(&stat, self.pid.as_raw_pid())
                    || self.has_ended() && self.may_be_left(&stat) && self.is_left(pid, &handle, status)
            }
            // where /proc tells nothing, that bwrap has not waited for it must do
            _ => self.is_unreaped(status),
        };
        Ok(own.then_some(handle))
    }

    /// Whether a process may be an orphan of our bwrap: it began since then, and who has taken it in is above us, or we are.
    fn may_be_left(&self, process: &Stat) -> bool {
        let above = || stat_in("/proc/self").is_ok_and(|own| descends(&own, process.ppid));
        let taken_in =
            if process.ppid == getpid().as_raw_pid() { self.adopts } else { process.ppid <= 1 || above() };
        process.starttime >= self.since && taken_in
    }

    /// Whether it is what our bwrap has left: it is in the mount namespace that bwrap made and reported, or it is dying and became
    /// our child, to be reaped.
    fn is_left(&self, pid: NonZeroI32, handle: &Handle, status: &Status) -> bool {
        let namespace_of =
            |pid: &str| fs::metadata(format!("/proc/{pid}/ns/mnt")).ok().map(|meta| meta.ino());
        let namespace = namespace_of(&pid.to_string());
        namespace.is_some() && namespace == status.namespaces.mnt && namespace != namespace_of("thread-self")
            || self.adopts && is_orphan_of_ours(pid)
            // a process 1 that ends has no namespaces any more, and takes the others of its own with it
            || self.cloned == Cloned::Init && namespace.is_none() && is_init(handle)
    }

    /// Whether the number that bwrap reported is its child's: nobody else gets it before bwrap has waited for that
    /// child, and then bwrap reports and ends at once.
    fn is_unreaped(&self, status: &Status) -> bool {
        status.exit_code.is_none() && !self.has_ended()
    }

    /// Whether bwrap has ended.
    fn has_ended(&self) -> bool {
        self.process.has_ended(Duration::ZERO).unwrap_or(false)
    }

    /// Lets bwrap come to where it reports its child: killed before that, it leaves one behind that only a search of all
    /// processes finds.
    pub(super) fn await_child(&self) {
        let deadline = Instant::now() + GRACE;
        let mut pause = Duration::from_millis(1);
        while !self.is_reported() && Instant::now() < deadline {
            match self.process.has_ended(pause) {
                Ok(true) => break,
                Ok(false) => {}
                // a filter denies to wait for it
                Err(_) => std::thread::sleep(pause),
            }
            pause = pause.saturating_mul(2).min(Duration::from_millis(20));
        }
    }

    /// Whether bwrap has reported its child, or has ended and never will.
    pub(super) fn is_reported(&self) -> bool {
        self.child.get().is_some()
            || self.status().is_ok_and(|status| status.child_pid.is_some())
            || self.has_ended()
    }

    /// Kills the sandbox. Its end is then to be waited for. A bwrap that has not reported what it made is killed itself.
    pub(super) fn kill(&self, stop: Stop) -> io::Result<()> {
        if self.has_ended() {
            // its process 1 may live for another moment
            return self.kill_inside().map(drop);
        }
        self.record.note(stop, Means::Killed);
        let killed = match self.kill_inside() {
            // once it is killed inside, bwrap still reports how the command ended
            Ok(true) => Ok(()),
            Ok(false) => self.kill_descendants(),
            Err(error) => Err(error),
        };
        if killed.is_err() {
            self.record.withdraw(stop, Means::Killed);
        }
        killed
    }

    /// Kills a bwrap that has not reported yet what it cloned, or whose report was tampered with, and whatever it has started.
    fn kill_descendants(&self) -> io::Result<()> {
        let under_way = UnderWay::begin();
        let others = self.stop_descendants();
        let killed = self.process.signal_if_there(Signal::KILL);
        let killed = others.iter().fold(killed, |killed, other| killed.and(other.signal(Signal::KILL)));
        drop(under_way);
        if self.adopts && self.process.has_ended(GRACE).unwrap_or(false) {
            relatives::reap(&others);
        }
        killed.map(drop)
    }

    /// Kills what bwrap cloned. Says whether there was anything to kill.
    pub(super) fn kill_inside(&self) -> io::Result<bool> {
        if self.child.get().is_some() {
            return self.kill_child().map(|()| true);
        }
        let status = self.status()?;
        let Err(error) = self.hold(&status) else {
            return self.kill_child().map(|()| self.child.get().is_some());
        };
        // no descriptor is left for a handle
        let pid = status.child_pid.and_then(|pid| Pid::from_raw(pid.get()));
        let Some(pid) = pid.filter(|_| self.is_unreaped(&status)) else { return Ok(false) };
        if self.cloned == Cloned::Parent {
            return Err(error);
        }
        match rustix::process::kill_process(pid, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Kills what bwrap cloned, and the command and what has descended from it.
    ///
    /// Fails if that is denied, or, and then leaves everything as it is, if it would miss the command.
    pub(super) fn kill_child(&self) -> io::Result<()> {
        let Some((pid, child)) = self.child.get() else { return Ok(()) };
        let mut others = Vec::new();
        let under_way = UnderWay::begin();
        if self.is_tree() {
            // stopped, it makes no more of them
            let _ = child.signal(Signal::STOP);
            let (found, complete) = stop_below(*pid, child, true, None);
            // where /proc tells nothing, or nothing can be opened to read it, the command itself is at hand all the same
            if self.cloned == Cloned::Parent && complete.is_err() {
                let _ = child.signal(Signal::CONT);
                for process in &found {
                    let _ = process.signal(Signal::CONT);
                }
                return complete;
            }
            others = found;
        }
        let mut killed = child.signal_if_there(Signal::KILL);
        for process in &others {
            killed = killed.and(process.signal(Signal::KILL));
        }
        if self.adopts {
            let mut struck = self.struck.lock().unwrap_or_else(PoisonError::into_inner);
            struck.extend(others);
        }
        if let Some(members) = self.members.get().filter(|_| self.is_tree()) {
            // who has lost the parent, too
            members.kill();
        }
        drop(under_way);
        killed.map(drop)
    }

    /// Kills what descends from what bwrap cloned, and that was killed and is still there: whoever traces process 1 holds up its end, and
    /// with that everybody's.
    pub(super) fn kill_below(&self) {
        let Some((pid, child)) = self.child.get() else { return };
        let _exit_waits = UnderWay::begin();
        let (found, _) = stop_below(*pid, child, false, Some(Instant::now() + ASKING));
        for process in &found {
            let _ = process.signal(Signal::KILL);
        }
    }

    /// Whether what bwrap cloned has ended, or bwrap, if it has reported nothing, or does so in that time.
    pub(super) fn ends_inside(&self, time: Duration) -> bool {
        self.child().unwrap_or(&self.process).has_ended(time).unwrap_or(true)
    }

    /// Sees that what was killed ends. Says whether that is so, or all was done that can be.
    pub(super) fn insist(&self) -> bool {
        let Some(since) = self.record.killed_since() else { return true };
        if self.ends_inside(Duration::ZERO) {
            return true;
        }
        if since.elapsed() < PATIENCE {
            self.kill_below();
            return false;
        }
        // whoever waits for it waits no longer
        let _ = self.process.signal(Signal::KILL);
        true
    }

    /// Reaps those whom we have killed below what bwrap cloned, and who have become our children. They have ended by now, or are about to.
    pub(super) fn reap_struck(&self) {
        let struck = std::mem::take(&mut *self.struck.lock().unwrap_or_else(PoisonError::into_inner));
        relatives::reap(&struck);
    }

    /// All that descends from bwrap. Everything is stopped on the way, so that nothing is missed; it is all to
    /// be killed. A wrapper in bwrap's place may have started more than was reported.
    pub(super) fn stop_descendants(&self) -> Vec<Relative> {
        let _ = self.process.signal(Signal::STOP);
        stop_below(self.pid.as_raw_pid(), &self.process, true, None).0
    }

    /// The command and what has descended from it, as far as it can be found. Nobody, if it has not begun or is over.
    pub(super) fn processes(&self) -> io::Result<BTreeSet<i32>> {
        self.hold(&self.status()?)?;
        let Some((pid, child)) = self.child.get() else { return Ok(BTreeSet::new()) };
        let pid = *pid;
        let mut found = all_below(pid, child)?;
        if let Some(members) = self.members.get().filter(|_| self.is_tree()) {
            found.extend(members.list());
        }
        if child.has_ended(Duration::ZERO)? || self.spared {
            found.remove(&pid);
        } else {
            found.insert(pid);
        }
        Ok(found)
    }

    /// What the command and what descends from it has used so far, as far as `/proc` tells.
    pub(super) fn usage(&self) -> Usage {
        if let Ok(status) = self.status() {
            let _ = self.hold(&status);
        }
        let used = |(pid, child): &(i32, Handle)| used_below(*pid, child, self.spared);
        self.child.get().map(used).unwrap_or_default()
    }

    /// The same once bwrap has ended, which nobody has waited for.
    pub(super) fn usage_at_end(&self) -> Usage {
        let init = self.child.get().filter(|_| self.cloned == Cloned::Init && self.spared);
        let used = init.map(|(pid, init)| used_by(*pid, init, true)).unwrap_or_default();
        if used != Usage::default() {
            return used;
        }
        // it has waited for the command, or for a process 1 that was faster than it
        used_by(self.pid.as_raw_pid(), &self.process, true)
    }

    /// Whether everything that bwrap has started can be found.
    pub(super) fn shows_children(&self) -> bool {
        children_of(self.pid.as_raw_pid(), &self.process).1.is_ok()
    }

    /// Sends signals to the command and all that has descended from it, as far as it can be found: to each the first one, then to
    /// each the next. Says whether there was anybody.
    pub(super) fn signal(&self, signals: &[Signal]) -> io::Result<bool> {
        let (reached, sent) = self.signal_found(signals);
        sent.map(|()| reached.is_some())
    }

    /// As [`signal`](Self::signal). Returns the descendants, if anybody was reached, and what kept others from that.
    fn signal_found(&self, signals: &[Signal]) -> (Option<Vec<Relative>>, io::Result<()>) {
        if let Err(error) = self.status().and_then(|status| self.hold(&status)) {
            return (None, Err(error));
        }
        let Some((pid, child)) = self.child.get() else { return (None, Ok(())) };
        let (found, mut sent) = descendants(*pid, child);
        // who has ended takes signals until somebody has waited for it, and is reached by none
        let spared = self.spared || child.has_ended(Duration::ZERO).unwrap_or(false);
        let living: Vec<&Relative> = found.iter().filter(|process| !process.has_ended()).collect();
        let mut reached = false;
        for signal in signals {
            let mut note = |there: io::Result<bool>| match there {
                Ok(there) => reached |= there,
                Err(error) if sent.is_ok() => sent = Err(error),
                Err(_) => {}
            };
            if !spared {
                note(child.signal_if_there(*signal));
            }
            for process in &living {
                note(process.signal(*signal));
            }
        }
        (reached.then_some(found), sent)
    }

    /// Asks the command to end (SIGTERM, and SIGCONT in case it is suspended). Says whether there was anybody to ask.
    pub(super) fn ask(&self, stop: Stop) -> io::Result<bool> {
        if self.has_ended() {
            return Ok(false);
        }
        self.record.note(stop, Means::Asked);
        let under_way = UnderWay::begin();
        if self.is_tree() {
            // suspended, nobody starts anything that would miss it, and lose its parent
            let _ = self.suspend_until(Instant::now() + ASKING);
        }
        let (asked, sent) = self.signal_found(&[Signal::TERM, Signal::CONT]);
        drop(under_way);
        let Some(found) = asked else {
            self.record.withdraw(stop, Means::Asked);
            return sent.map(|()| false);
        };
        // who could not be asked is killed when the time for it is over
        if let Err(error) = sent {
            log::debug!("not all of a sandbox's processes were asked to end: {error}");
        }
        if self.is_tree() {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
        }
        Ok(true)
    }

    /// Stops the command and all that has descended from it, until nobody runs.
    pub(super) fn suspend(&self) -> io::Result<()> {
        self.suspend_until(Instant::now() + SUSPENDING)
    }

    fn suspend_until(&self, deadline: Instant) -> io::Result<()> {
        self.hold(&self.status()?)?;
        let Some((pid, child)) = self.child.get() else { return Ok(()) };
        if !self.spared {
            child.signal_if_there(Signal::STOP)?;
        }
        // who is stopped makes no more of them: when these are the same as before, they are all
        let mut before = Vec::new();
        while Instant::now() < deadline {
            let (found, complete) = stop_below(*pid, child, !self.spared, Some(deadline));
            match complete {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => break,
                complete => complete?,
            }
            let now = found.iter().map(Relative::pid).collect();
            if before == now {
                return Ok(());
            }
            before = now;
        }
        let why = "its processes are made, or resumed, faster than they can be stopped";
        Err(io::Error::new(io::ErrorKind::TimedOut, why))
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach").field("pid", &self.pid).field("record", &self.record).finish_non_exhaustive()
    }
}

impl Drop for Reach {
    fn drop(&mut self) {
        let asked = self.asked.get_mut().unwrap_or_else(PoisonError::into_inner);
        for process in &*asked {
            let _ = process.signal(Signal::KILL);
        }
        if self.adopts {
            relatives::reap(asked);
            self.reap_struck();
        }
        if *self.awaited.get_mut() {
            keeper::nudge();
        }
    }
}
