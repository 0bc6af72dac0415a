//! A launched bwrap: the descriptors and handles that its conduct looks at, and what it does to processes.

mod destroy;
mod look;

use std::io;
use std::num::NonZeroI32;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpid};

use super::cgroup::{Group, Removal};
use super::conduct::{Act, Cloned, Conduct};
use super::descriptors::send_all;
use super::handle::Handle;
use super::handshake::{Caveats, End, Handshake, Outcome, Phase};
use super::idmap::{Mapping, Progress};
use super::keeper::Lease;
use super::oom::Kills;
use super::processes::{Lost, adopts_orphans, is_gone, kill_holders, reap_orphans};
use super::reach::Reach;
use super::spawn;
use super::usage::Usage;
use super::wait::{Sources, Ward, drive};
use super::watchdog::{self, Target, Watch};
use crate::bwrap::status::Status;
use crate::process_local::Process;

/// A launched bwrap.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) pid: Pid,
    /// Who launched it: a fork has copies of all this, and nothing to do with it.
    process: Process,
    began: Instant,
    /// What others can get at, too.
    reach: Arc<Reach>,
    /// Until it has told what it can tell.
    ready: Option<OwnedFd>,
    /// To find who is left of a bwrap that told nobody its number.
    lost: Lost,
    announced: bool,
    /// What bwrap has reported, and that as it was written.
    told: (Status, Vec<u8>),
    /// What held the socket after bwrap's end, and was killed.
    strays: Vec<Handle>,
    /// Id maps that bwrap waits for.
    mapping: Option<Box<Mapping>>,
    conduct: Conduct,
    end: Option<End>,
    /// The resource limits that bwrap was started with, if the command can get at them.
    limits: Option<Vec<(libc::rlim_t, libc::rlim_t)>>,
    tampered: bool,
    outcome: Option<Outcome>,
    /// Removed with this.
    group: Option<Group>,
    /// Without one, what it is known to have used, if anybody can ask for that.
    used: Option<Usage>,
    oom: Kills,
    /// Has it ended with us.
    watch: Option<Watch>,
    _lease: Option<Lease>,
}

/// What a launch made for itself before it spawned bwrap.
#[derive(Debug)]
pub(crate) struct Witnesses {
    pub(crate) status: OwnedFd,
    pub(crate) ready: OwnedFd,
    pub(crate) lost: Lost,
    pub(super) oom: Kills,
    /// The byte that bwrap reads when everything is set up has been sent.
    pub(crate) announced: bool,
}

impl AsFd for Running {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reach.process().as_fd()
    }
}

impl Ward for Running {
    fn wants(&self) -> Sources<'_> {
        let wants = self.conduct.wants(Instant::now());
        let mut descriptors = Vec::with_capacity(3);
        if wants.process {
            descriptors.push((self.reach.process().as_fd(), PollFlags::IN));
        }
        if let Some(ready) = self.ready.as_ref().filter(|_| wants.ready) {
            // without events to wait for, its end is still reported
            descriptors.push((ready.as_fd(), PollFlags::empty()));
        }
        if let Some(child) = self.reach.child().filter(|_| wants.child) {
            descriptors.push((child.as_fd(), PollFlags::IN));
        }
        let mut until = wants.until;
        if let Some(mapping) = &self.mapping {
            let sources = mapping.wants();
            descriptors.extend(sources.descriptors);
            until = [until, sources.until].into_iter().flatten().min();
        }
        Sources { descriptors, until }
    }

    fn takes_long(&mut self) -> bool {
        // what it leaves has to be looked for
        self.reach.is_tree()
            && self.outcome.is_none()
            && self.reach.process().has_ended(Duration::ZERO).unwrap_or(false)
    }

    fn remains(&mut self) -> Option<Box<dyn Ward>> {
        Some(Box::new(Removal::of(self.take_group()?)))
    }

    fn turn(&mut self) -> io::Result<bool> {
        self.map_ids()?;
        loop {
            let seen = self.look()?;
            if let Some(since) = self.reach.record().killed_since() {
                self.conduct.on_kill(since);
            }
            match self.conduct.turn(&seen, Instant::now()) {
                Act::Wait => return Ok(false),
                // bwrap has ended, and what cannot be killed now cannot be killed at all
                Act::KillChild => drop(self.reach.kill_inside()),
                Act::KillBelow => self.reach.kill_below(),
                Act::KillHolders => self.strays.extend(kill_holders(&self.lost)),
                Act::ContinueChild => drop(self.reach.child().map(|child| child.signal(Signal::CONT))),
                Act::ContinueBwrap => drop(self.reach.process().signal(Signal::CONT)),
                Act::KillBwrap => drop(self.reach.process().signal(Signal::KILL)),
                Act::Over(outcome) => {
                    if self.conduct.adopts() {
                        // killed, they are gone in a moment
                        reap_orphans(self.reach.child().into_iter().chain(&self.strays));
                        self.reach.reap_struck();
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
        (caveats, cloned, spared): (Caveats, Cloned, bool),
        mapping: Option<Mapping>,
        lease: Option<Lease>,
    ) -> io::Result<Self> {
        let process = match Handle::open(pid) {
            Ok(process) => process,
            // it has ended, and somebody else has taken its status
            Err(error) if is_gone(&error) => Handle::gone()?,
            Err(error) => {
                Self::give_up(pid, &witnesses);
                return Err(error);
            }
        };
        let Witnesses { status, ready, lost, oom, announced } = witnesses;
        let conduct = Conduct::new(caveats, cloned, adopts_orphans());
        let reach = Arc::new(Reach::new(
            (pid, Arc::new(process), lost.since),
            status,
            (cloned, spared),
            conduct.adopts(),
        ));
        // its own, which it has just been given, or ours if we may not ask
        let own = || spawn::resource_limits(pid).or_else(|| spawn::resource_limits(getpid()));
        let limits = if conduct.is_exposed() { own() } else { None };
        Ok(Self {
            pid,
            process: Process::own(),
            began: Instant::now(),
            reach,
            ready: Some(ready),
            lost,
            announced,
            told: Default::default(),
            strays: Vec::new(),
            mapping: mapping.map(Box::new),
            conduct,
            end: None,
            limits,
            tampered: false,
            outcome: None,
            group: None,
            used: Some(Usage::default()),
            oom,
            watch: None,
            _lease: lease,
        })
    }

    pub(crate) fn handshake(&self) -> &Handshake {
        self.conduct.handshake()
    }

    /// Whether this process launched it, and not the one that it was forked from.
    pub(super) fn is_ours(&self) -> bool {
        self.process.is_own()
    }

    /// How it ended, once it is over.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// The handle on bwrap.
    pub(crate) fn process(&self) -> Arc<Handle> {
        Arc::clone(self.reach.process())
    }

    /// What others can get at, too.
    pub(super) fn reach(&self) -> &Arc<Reach> {
        &self.reach
    }

    /// Has the end of the set-up wake whoever waits.
    pub(crate) fn heed_ready(&mut self) {
        self.conduct.heed_ready();
    }

    /// Waits until everything is set up or it is over, whichever comes first, or the deadline has passed.
    pub(crate) fn wait_ready(&mut self, deadline: Option<Instant>) -> io::Result<bool> {
        self.heed_ready();
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
        drive(self, Self::is_mapped, Some(deadline))
    }

    /// What bwrap cloned and waits at the gate, if it is still there.
    pub(super) fn held(&self) -> Option<Pid> {
        let (child, pid) = (self.reach.child()?, Pid::from_raw(self.reach.child_pid()?)?);
        child.has_ended(Duration::ZERO).is_ok_and(|ended| !ended).then_some(pid)
    }

    /// Has the watchdog end with us what waits at the gate; asked again, sees that it still will.
    pub(super) fn watch(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        if let Some(watch) = &self.watch {
            return watch.renew(deadline);
        }
        let tree = self.conduct.is_exposed();
        if let Some(child) = self.held() {
            let watch = watchdog::watch(Target { monitor: self.pid, child, tree }, deadline)?;
            // the number was its own
            self.watch = self.held().map(|_| watch);
        }
        Ok(())
    }

    /// Keeps the control group of what was held.
    pub(super) fn set_group(&mut self, group: Option<Group>) {
        if let Some(group) = &group {
            self.reach.set_members(group.members());
        }
        self.group = group;
    }

    pub(super) fn take_group(&mut self) -> Option<Group> {
        self.group.take()
    }

    /// What the sandbox has used so far.
    pub(crate) fn usage(&mut self) -> Usage {
        if let Some(group) = &self.group {
            return group.usage();
        }
        let before = self.used.unwrap_or_default();
        if self.end.is_some() {
            return before;
        }
        let used = self.reach.usage().or_more(before);
        self.used = Some(used);
        used
    }

    /// Nobody will ask what it has used: reading that costs as much as what else is done at the end.
    pub(super) fn forgo_usage(&mut self) {
        self.used = None;
    }

    /// Whether the kernel has killed nothing for want of memory since the launch began, as far as that can be told.
    pub(super) fn is_spared_by_oom(&self) -> bool {
        self.oom.stand_still()
    }

    /// Writes the id maps that bwrap waits for, as far as that can be done without waiting, and lets it go on.
    fn map_ids(&mut self) -> io::Result<()> {
        let Some(mapping) = &mut self.mapping else { return Ok(()) };
        match mapping.turn()? {
            Progress::Pending => return Ok(()),
            // one byte for the map, one for the ready socket
            Progress::Done => {
                if let Some(ready) = &self.ready {
                    send_all(ready, b"mr")?;
                }
                self.announced = true;
            }
            // bwrap has ended before that: its end tells
            Progress::Gone => {}
        }
        self.mapping = None;
        Ok(())
    }

    /// Reads what bwrap has reported, and gets hold of the process that it reported.
    pub(crate) fn listen(&mut self) -> Status {
        if self.outcome.is_none() {
            let _ = self.turn();
        }
        *self.handshake().status()
    }

    /// Whether it is known what bwrap cloned, or will never be.
    pub(crate) fn has_reported(&mut self) -> bool {
        self.listen().child_pid.is_some() || self.end.is_some()
    }

    /// Whether bwrap has its id maps, or needs none any more.
    pub(crate) fn is_mapped(&self) -> bool {
        self.mapping.is_none()
    }
}

pub(super) fn process_is_gone(pid: NonZeroI32) -> bool {
    let Some(pid) = Pid::from_raw(pid.get()) else { return true };
    rustix::process::test_kill_process(pid) == Err(Errno::SRCH)
}
