//! A sandbox that is to be killed and seen off while nobody waits for that.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::conduct::PATIENCE;
use super::handle::Handle;
use super::keeper;
use super::leave::UnderWay;
use super::processes::reap_orphan;
use super::reach::GRACE;
use super::running::Running;
use super::wait::{Sources, Ward};

/// How often bwrap's report is looked for, which no descriptor announces.
const PAUSE: Duration = Duration::from_millis(2);

#[derive(Debug)]
pub(super) struct Doomed {
    running: Running,
    /// What descended from bwrap, and was killed.
    descendants: Vec<Handle>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// What bwrap made is not known yet, and would be missed.
    Unreported {
        until: Instant,
        /// An exit of this process waits.
        _under_way: UnderWay,
    },
    Struck,
    /// Only what descended from bwrap may still be there.
    SeeingOff {
        until: Instant,
    },
}

/// Ends a sandbox at once, as far as that takes no waiting; the keeper sees to the rest.
pub(super) fn doom(running: Running) {
    if !running.is_ours() {
        return std::mem::forget(running);
    }
    let mut doomed = Doomed::new(running);
    if doomed.running.reach().is_tree() {
        match keeper::attend_to(Box::new(doomed)) {
            Ok(()) => return,
            Err((_, back)) => doomed = *back,
        }
    }
    if !doomed.turn().unwrap_or(true) {
        keeper::adopt(doomed);
    }
}

impl Doomed {
    pub(super) fn new(running: Running) -> Self {
        Self {
            running,
            descendants: Vec::new(),
            state: State::Unreported { until: Instant::now() + GRACE, _under_way: UnderWay::begin() },
        }
    }
}

impl Ward for Doomed {
    fn wants(&self) -> Sources<'_> {
        match self.state {
            State::Unreported { until, .. } => {
                let mut sources = self.running.wants();
                let next = until.min(Instant::now() + PAUSE);
                sources.until = Some(sources.until.map_or(next, |until| until.min(next)));
                sources
            }
            State::Struck => self.running.wants(),
            State::SeeingOff { until } => Sources {
                descriptors: self
                    .descendants
                    .iter()
                    .map(|process| (process.as_fd(), PollFlags::IN))
                    .collect(),
                until: Some(until),
            },
        }
    }

    fn takes_long(&mut self) -> bool {
        let State::Unreported { until, .. } = self.state else { return false };
        self.running.reach().is_tree() && (self.running.can_be_destroyed() || Instant::now() >= until)
    }

    fn remains(&mut self) -> Option<Box<dyn Ward>> {
        self.running.remains()
    }

    fn turn(&mut self) -> io::Result<bool> {
        loop {
            match self.state {
                State::Unreported { until, .. } => {
                    if !self.running.can_be_destroyed() && Instant::now() < until {
                        return Ok(false);
                    }
                    self.descendants = self.running.strike();
                    self.state = State::Struck;
                }
                State::Struck => {
                    if !self.running.turn()? {
                        return Ok(false);
                    }
                    self.state = State::SeeingOff { until: Instant::now() + PATIENCE };
                }
                State::SeeingOff { until } => {
                    self.descendants.retain(|process| {
                        let ended = process.has_ended(Duration::ZERO).unwrap_or(true);
                        if ended {
                            reap_orphan(process);
                        }
                        !ended
                    });
                    return Ok(self.descendants.is_empty() || Instant::now() >= until);
                }
            }
        }
    }
}
