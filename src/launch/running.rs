//! A launched bwrap: the descriptors and handles that its conduct looks at, and what it does to processes.

use std::fs;
use std::io;
use std::num::NonZeroI32;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::apply::apply;
use super::cgroup::Group;
use super::conduct::{Act, Child, Cloned, Conduct, PATIENCE, Seen};
use super::descriptors::{contents, event, process, send_all};
use super::handshake::{Caveats, End, Handshake, Outcome, Phase, Ready};
use super::idmap::{Mapping, Progress};
use super::keeper::Lease;
use super::limits::{Limits, Unapplied};
use super::processes::{
    adopts_orphans, children_of, is_dying_init, is_gone, is_orphan_of_ours, kill_holders, limits_of,
    parent_of,
};
use super::spawn;
use super::usage::Usage;
use super::wait::{Sources, Ward, drive, has_ended};
use crate::bwrap::status::Status;

/// How long bwrap gets to report its child before it is killed. It takes about a millisecond; one that hangs never does.
const GRACE: Duration = Duration::from_millis(500);

/// A launched bwrap.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) pid: Pid,
    /// bwrap itself, the monitor.
    process: Arc<OwnedFd>,
    /// The process that it cloned: process 1 inside, or the command itself.
    child: Option<OwnedFd>,
    status: OwnedFd,
    ready: OwnedFd,
    /// The inode number of bwrap's end of the ready socket, to find whoever still holds it.
    far_end: u64,
    announced: bool,
    /// What held the socket after bwrap's end, and was killed.
    strays: Vec<OwnedFd>,
    /// Id maps that bwrap waits for.
    mapping: Option<Mapping>,
    conduct: Conduct,
    end: Option<End>,
    /// The resource limits that bwrap was started with, if the command can get at them.
    limits: Option<String>,
    tampered: bool,
    outcome: Option<Outcome>,
    /// Removed with this.
    group: Option<Group>,
    _lease: Option<Lease>,
}

/// What a launch made for itself before it spawned bwrap.
#[derive(Debug)]
pub(crate) struct Witnesses {
    pub(crate) status: OwnedFd,
    pub(crate) ready: OwnedFd,
    pub(crate) far_end: u64,
    /// The byte that bwrap reads when everything is set up has been sent.
    pub(crate) announced: bool,
}

impl AsFd for Running {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }
}

impl Ward for Running {
    fn wants(&self) -> Sources<'_> {
        let wants = self.conduct.wants(Instant::now());
        let mut descriptors = Vec::with_capacity(3);
        if wants.process {
            descriptors.push((self.process.as_fd(), PollFlags::IN));
        }
        if wants.ready {
            // without events to wait for, its end is still reported
            descriptors.push((self.ready.as_fd(), PollFlags::empty()));
        }
        if let Some(child) = self.child.as_ref().filter(|_| wants.child) {
            descriptors.push((child.as_fd(), PollFlags::IN));
        }
        if let Some(mapping) = &self.mapping {
            descriptors.push((mapping.as_fd(), PollFlags::IN));
        }
        Sources { descriptors, until: wants.until }
    }

    fn turn(&mut self) -> io::Result<bool> {
        self.map_ids()?;
        loop {
            let seen = self.look()?;
            match self.conduct.turn(&seen, Instant::now()) {
                Act::Wait => return Ok(false),
                // bwrap has ended, and what cannot be killed now cannot be killed at all
                Act::KillChild => drop(self.hold().and_then(|()| self.kill_child())),
                Act::KillHolders => self.strays.extend(kill_holders(self.far_end)),
                Act::ContinueBwrap => drop(pidfd_send_signal(&self.process, Signal::CONT)),
                Act::KillBwrap => drop(pidfd_send_signal(&self.process, Signal::KILL)),
                Act::Over(outcome) => {
                    if self.conduct.adopts() {
                        // killed, they are gone in a moment
                        self.child.iter().chain(&self.strays).for_each(reap_orphan);
                    }
                    self.outcome = Some(outcome);
                    return Ok(true);
                }
            }
        }
    }
}

impl Running {
    /// Takes charge of a bwrap that was just spawned.
    pub(crate) fn new(
        pid: Pid,
        witnesses: Witnesses,
        (caveats, cloned): (Caveats, Cloned),
        mapping: Option<Mapping>,
        lease: Option<Lease>,
    ) -> io::Result<Self> {
        let process = match process(pid) {
            Ok(process) => process,
            // it has ended, and somebody else has taken its status: what is always readable stands for it
            Err(error) if is_gone(&error) => event(1)?,
            Err(error) => {
                // nobody has waited for it yet, so the number is still its own
                let _ = rustix::process::kill_process(pid, Signal::KILL);
                let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
                kill_holders(witnesses.far_end).iter().for_each(reap_orphan);
                return Err(error);
            }
        };
        let Witnesses { status, ready, far_end, announced } = witnesses;
        let conduct = Conduct::new(caveats, cloned, adopts_orphans());
        let limits = if conduct.is_exposed() { limits_of("self") } else { None };
        Ok(Self {
            pid,
            process: Arc::new(process),
            child: None,
            status,
            ready,
            far_end,
            announced,
            strays: Vec::new(),
            mapping,
            conduct,
            end: None,
            limits,
            tampered: false,
            outcome: None,
            group: None,
            _lease: lease,
        })
    }

    pub(crate) fn handshake(&self) -> &Handshake {
        self.conduct.handshake()
    }

    /// How it ended, once it is over.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// The handle on bwrap.
    pub(crate) fn process(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.process)
    }

    /// Waits until everything is set up or it is over, whichever comes first, or the deadline has passed.
    pub(crate) fn wait_ready(&mut self, deadline: Option<Instant>) -> io::Result<bool> {
        drive(self, |running| running.handshake().phase() >= Phase::Ready, deadline)?;
        // a bwrap that has ended leaves something to be seen off, for a moment
        if self.handshake().phase() == Phase::Ended {
            drive(self, |_| false, None)?;
        }
        Ok(self.handshake().phase() >= Phase::Ready)
    }

    /// Waits until it is over: bwrap has ended, and of a PID namespace nothing is left. Says whether it is.
    pub(crate) fn wait_over(&mut self, deadline: Option<Instant>) -> io::Result<bool> {
        drive(self, |_| false, deadline)
    }

    /// Waits until bwrap has its id maps, or has ended. Says whether it has.
    pub(crate) fn wait_mapped(&mut self, deadline: Instant) -> io::Result<bool> {
        drive(self, |running| running.mapping.is_none(), Some(deadline))
    }

    /// Sets limits on what bwrap cloned, which waits at the gate. Returns optional ones that could not be set.
    pub(crate) fn limit(&mut self, limits: &Limits) -> Result<Vec<Unapplied>, Unapplied> {
        let pid = self.handshake().status().child_pid.and_then(|pid| Pid::from_raw(pid.get()));
        let held = pid.filter(|_| {
            self.child
                .as_ref()
                .is_some_and(|child| has_ended(child, Duration::ZERO).is_ok_and(|ended| !ended))
        });
        let applied = apply(limits, held)?;
        self.group = applied.group;
        Ok(applied.unapplied)
    }

    /// What the sandbox has used so far.
    pub(crate) fn usage(&self) -> Usage {
        self.group.as_ref().map(Group::usage).unwrap_or_default()
    }

    /// Writes the id maps that bwrap waits for, as far as that can be done without waiting, and lets it go on.
    fn map_ids(&mut self) -> io::Result<()> {
        let Some(mapping) = &mut self.mapping else { return Ok(()) };
        match mapping.turn()? {
            Progress::Pending => return Ok(()),
            // one byte for the map, one for the ready socket
            Progress::Done => {
                send_all(&self.ready, b"mr")?;
                self.announced = true;
            }
            // bwrap has ended before that: its end tells
            Progress::Gone => {}
        }
        self.mapping = None;
        Ok(())
    }

    /// Everything that can be seen without waiting.
    fn look(&mut self) -> io::Result<Seen> {
        let status = self.read_status();
        if self.end.is_none() {
            // without a handle there is still the number
            let _ = self.hold_reported(status);
        }
        let (ended, child) = self.look_at_processes(status)?;
        if ended && self.end.is_none() {
            // until it is reaped it has its limits
            let now = self.limits.as_ref().and_then(|_| limits_of(&self.pid.as_raw_pid().to_string()));
            self.tampered = now.is_some() && now != self.limits || self.has_survivors(&status);
            self.end = Some(reap(&self.process));
        }
        let mut ready = self.handshake().ready();
        if ready == Ready::Open {
            ready = self.look_at_ready()?;
        }
        // once more, for what it reported just before its end
        let status = if ended { self.read_status() } else { status };
        Ok(Seen { status, ready, end: self.end, child, tampered: self.tampered })
    }

    /// Whether process 1 has children although bwrap has ended as if it had made none: then it did not end by itself.
    fn has_survivors(&self, status: &Status) -> bool {
        let Some(child) = self.child.as_ref().filter(|_| self.conduct.cloned() == Cloned::Init) else {
            return false;
        };
        let pid = status.child_pid.map_or(0, NonZeroI32::get);
        status.exit_code.is_none() && !children_of(pid, child).0.is_empty()
    }

    fn read_status(&self) -> Status {
        match contents(&self.status) {
            Ok(bytes) => Status::parse(&bytes),
            Err(_) => *self.handshake().status(),
        }
    }

    /// Whether bwrap has ended, and how the process stands that it cloned, both at one moment.
    fn look_at_processes(&self, status: Status) -> io::Result<(bool, Child)> {
        let mut polled = vec![PollFd::new(&self.process, PollFlags::IN)];
        polled.extend(self.child.iter().map(|child| PollFd::new(child, PollFlags::IN)));
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        while let Err(error) = poll(&mut polled, Some(&now)) {
            if error != Errno::INTR {
                return Err(error.into());
            }
        }
        let mut signs = polled.iter().map(|source| !source.revents().is_empty());
        let ended = signs.next().unwrap_or(false);
        let child = match (signs.next(), status.child_pid) {
            (Some(true), _) => Child::Gone,
            (Some(false), _) => Child::Alive,
            (None, Some(pid)) if process_is_gone(pid) => Child::Gone,
            (None, _) => Child::Unknown,
        };
        Ok((ended, child))
    }

    /// How the ready socket stands. A reset is reported once only.
    fn look_at_ready(&self) -> io::Result<Ready> {
        Ok(match recv(&self.ready, &mut [0_u8; 1], RecvFlags::DONTWAIT) {
            // an end without anything to read before
            Ok(_) if !self.announced => Ready::Unread,
            Ok(_) => Ready::Read,
            // whoever else may have a copy of the other end
            Err(Errno::AGAIN) if self.announced && spawn::unread(&self.ready) == Some(0) => {
                // what was unread is gone, too, with an end that was closed in between, and that is told now
                match recv(&self.ready, &mut [0_u8; 1], RecvFlags::DONTWAIT) {
                    Err(Errno::CONNRESET) => Ready::Unread,
                    _ => Ready::Read,
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => Ready::Open,
            Err(Errno::CONNRESET) => Ready::Unread,
            Err(error) => return Err(error.into()),
        })
    }

    /// Reads what bwrap has reported, and gets hold of the process that it reported.
    pub(crate) fn listen(&mut self) -> Status {
        if self.outcome.is_none() {
            let _ = self.turn();
        }
        *self.handshake().status()
    }

    /// Gets hold of the process that bwrap has reported, unless the number is another's by now.
    ///
    /// Fails if no handle can be had, for lack of descriptors.
    fn hold(&mut self) -> io::Result<()> {
        self.hold_reported(*self.handshake().status())
    }

    fn hold_reported(&mut self, status: Status) -> io::Result<()> {
        if self.child.is_none()
            && let Some(pid) = status.child_pid
        {
            self.child = self.open_child(pid, &status)?;
        }
        Ok(())
    }

    /// A handle on the reported process, if the number is still its own: it is in the mount namespace that bwrap
    /// reported, it is our bwrap's to wait for, or it is dying and became our child, to be reaped.
    fn open_child(&self, pid: NonZeroI32, status: &Status) -> io::Result<Option<OwnedFd>> {
        let Some(number) = Pid::from_raw(pid.get()) else { return Ok(None) };
        let handle = match process(number) {
            Ok(handle) => handle,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let namespace = fs::metadata(format!("/proc/{pid}/ns/mnt")).ok().map(|meta| meta.ino());
        let own = namespace.is_some() && namespace == status.namespaces.mnt
            // where /proc tells nothing, that bwrap has not waited for it must do
            || self.is_unreaped(status) && parent_of(pid).is_none_or(|parent| parent == self.pid.as_raw_pid())
            || self.conduct.adopts() && is_orphan_of_ours(pid)
            // a process 1 that ends has no namespaces any more, and takes the others of its own with it
            || self.conduct.cloned() == Cloned::Init && namespace.is_none() && is_dying_init(pid);
        Ok(own.then_some(handle))
    }

    /// Whether the number that bwrap reported is its child's: nobody else gets it before bwrap has waited for that
    /// child, and then bwrap reports and ends at once.
    fn is_unreaped(&self, status: &Status) -> bool {
        status.exit_code.is_none()
            && self.end.is_none()
            && has_ended(&self.process, Duration::ZERO).is_ok_and(|e| !e)
    }

    /// Kills what bwrap cloned, and the command with it.
    ///
    /// Fails if that is denied, or, and then leaves everything as it is, if it would miss the command.
    fn kill_child(&self) -> io::Result<()> {
        let Some(child) = &self.child else { return Ok(()) };
        let mut command = Vec::new();
        if self.conduct.cloned() != Cloned::Init {
            // stopped, it makes no more of them
            let _ = pidfd_send_signal(child, Signal::STOP);
            let pid = self.handshake().status().child_pid.map_or(0, NonZeroI32::get);
            let (children, complete) = children_of(pid, child);
            if self.conduct.cloned() == Cloned::Parent && complete.is_err() {
                let _ = pidfd_send_signal(child, Signal::CONT);
                return complete;
            }
            command = children;
        }
        let mut killed = kill(child);
        for (_, process) in command {
            killed = killed.and(kill(&process));
        }
        killed
    }

    /// Handles on all that descends from bwrap. Everything is stopped on the way, so that nothing is missed; it is all to
    /// be killed. A wrapper in bwrap's place may have started more than was reported.
    fn stop_descendants(&self) -> Vec<OwnedFd> {
        let _ = pidfd_send_signal(&self.process, Signal::STOP);
        let mut found = children_of(self.pid.as_raw_pid(), &self.process).0;
        let mut next = 0;
        while let Some((pid, handle)) = found.get(next) {
            let _ = pidfd_send_signal(handle, Signal::STOP);
            let (children, _) = children_of(*pid, handle);
            found.extend(children);
            next += 1;
        }
        found.into_iter().map(|(_, handle)| handle).collect()
    }

    /// Kills the sandbox. Its end is then to be waited for.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.await_child();
        let inside = self.kill_inside()?;
        self.conduct.on_kill();
        // once it is killed inside, bwrap still reports how the command ended
        if inside { Ok(()) } else { kill(&self.process) }
    }

    /// Lets bwrap come to where it reports its child: killed before that, it leaves one behind that only a search of all
    /// processes finds.
    fn await_child(&mut self) {
        let deadline = Instant::now() + GRACE;
        let mut pause = Duration::from_millis(1);
        loop {
            let known = self.listen().child_pid.is_some() || self.end.is_some();
            if known || Instant::now() >= deadline || has_ended(&self.process, pause).unwrap_or(true) {
                return;
            }
            pause = pause.saturating_mul(2).min(Duration::from_millis(20));
        }
    }

    /// Kills what bwrap cloned, and the command with it. Says whether there was anything to kill.
    fn kill_inside(&mut self) -> io::Result<bool> {
        let Err(error) = self.hold() else {
            return self.kill_child().map(|()| self.child.is_some());
        };
        // no descriptor is left for a handle
        let status = *self.handshake().status();
        let pid = status.child_pid.and_then(|pid| Pid::from_raw(pid.get()));
        let Some(pid) = pid.filter(|_| self.is_unreaped(&status)) else { return Ok(false) };
        if self.conduct.cloned() == Cloned::Parent {
            return Err(error);
        }
        match rustix::process::kill_process(pid, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Kills bwrap and all, waits, and leaves nothing.
    pub(crate) fn destroy(&mut self) {
        // ends a helper that writes id maps
        self.mapping = None;
        self.listen();
        // what cannot be looked for must be reported; a bwrap that hangs is not waited for
        if self.child.is_none() && children_of(self.pid.as_raw_pid(), &self.process).1.is_err() {
            self.await_child();
        }
        self.conduct.on_kill();
        let descendants = self.stop_descendants();
        let _ = self.kill_inside();
        let _ = kill(&self.process);
        for process in &descendants {
            let _ = kill(process);
        }
        let deadline = Instant::now() + PATIENCE;
        let _ = self.wait_over(Some(deadline));
        for process in &descendants {
            let left = deadline.saturating_duration_since(Instant::now());
            if has_ended(process, left).unwrap_or(false) {
                reap_orphan(process);
            }
        }
    }
}

/// Kills a process. That it has ended already is fine.
fn kill(process: &OwnedFd) -> io::Result<()> {
    match pidfd_send_signal(process, Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The status of a bwrap that has ended.
fn reap(process: &OwnedFd) -> End {
    loop {
        return match waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => End::Exited(code),
                (_, Some(signal)) => End::Signaled(signal),
                _ => End::Unknown,
            },
            Err(Errno::INTR) => continue,
            // ECHILD: the kernel or somebody else took it
            Ok(None) | Err(_) => End::Unknown,
        };
    }
}

/// Waits for the end of a process that was killed, and reaps it if it became our child.
fn reap_orphan(process: &OwnedFd) {
    let _ = has_ended(process, GRACE);
    // ECHILD: it is not ours
    let _ = waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
}

fn process_is_gone(pid: NonZeroI32) -> bool {
    let Some(pid) = Pid::from_raw(pid.get()) else { return true };
    rustix::process::test_kill_process(pid) == Err(Errno::SRCH)
}
