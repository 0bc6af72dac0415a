//! How a control group is removed: what is in it is killed first, and leaves it a moment later.

use std::fs;
use std::io::{self, ErrorKind};
use std::thread;
use std::time::{Duration, Instant};

#[cfg(feature = "tokio")]
use super::super::keeper;
use super::super::wait::{Sources, Ward};
use super::nested::{PATIENCE, groups_in};
use super::{Group, Part};

/// How long somebody looks for groups in it at a time.
const STEP: Duration = Duration::from_millis(20);

const FIRST_PAUSE: Duration = Duration::from_micros(100);

impl Group {
    /// Kills what is left in it, and removes it, as far as that is possible now. Until the deadline, what is not empty is left for another
    /// time. Groups in it are looked for until `late`. Says whether there is nothing left to be done.
    fn remove(&mut self, deadline: Instant, late: Instant) -> bool {
        self.parts.retain(|part| match fs::remove_dir(&part.directory) {
            // a process is in it, or was a moment ago, or another group
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < deadline => {
                part.kill();
                for directory in groups_in(&part.directory, late) {
                    Part { directory: directory.clone(), ..part.clone() }.kill();
                    let _ = fs::remove_dir(directory);
                }
                true
            }
            Err(error) if error.kind() != ErrorKind::NotFound => {
                log::warn!("could not remove the control group {}: {error}", part.directory.display());
                false
            }
            Ok(()) | Err(_) => false,
        });
        self.parts.is_empty()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let (deadline, mut pause) = (Instant::now() + PATIENCE, FIRST_PAUSE);
        while !self.remove(deadline, deadline) {
            thread::sleep(pause);
            pause = longer(pause);
        }
    }
}

/// One that somebody is about to take on: where nobody comes for it, the keeper removes it.
#[cfg(feature = "tokio")]
pub(in super::super) struct Left(Option<Group>);

#[cfg(feature = "tokio")]
impl Left {
    pub(in super::super) fn new(group: Option<Group>) -> Self {
        Self(group)
    }

    pub(in super::super) fn take(&mut self) -> Option<Group> {
        self.0.take()
    }
}

#[cfg(feature = "tokio")]
impl Drop for Left {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            keeper::adopt(Removal::of(group));
        }
    }
}

/// One that is removed by and by, by somebody who has more to do.
pub(in super::super) struct Removal {
    group: Group,
    deadline: Instant,
    next: Instant,
    pause: Duration,
}

impl Removal {
    pub(in super::super) fn of(group: Group) -> Self {
        let now = Instant::now();
        Self { group, deadline: now + PATIENCE, next: now, pause: FIRST_PAUSE }
    }
}

impl Ward for Removal {
    fn wants(&self) -> Sources<'_> {
        Sources { descriptors: Vec::new(), until: Some(self.next) }
    }

    fn turn(&mut self) -> io::Result<bool> {
        let due = Instant::now() >= self.next;
        if due && self.group.remove(self.deadline, Instant::now() + STEP) {
            return Ok(true);
        }
        if due {
            self.next = Instant::now() + self.pause;
            self.pause = longer(self.pause);
        }
        Ok(false)
    }
}

fn longer(pause: Duration) -> Duration {
    pause.saturating_mul(2).min(Duration::from_millis(10))
}
