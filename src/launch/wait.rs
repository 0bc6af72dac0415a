//! The one poll loop: sleeps until something happens to what is waited for.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// The end of this time. `None` if that is too far away to be told.
pub(super) fn deadline(limit: Duration) -> Option<Instant> {
    Instant::now().checked_add(limit)
}

/// The end of this time, or the deadline if that is sooner.
pub(super) fn no_later(deadline: Option<Instant>, patience: Duration) -> Instant {
    let end = Instant::now() + patience;
    deadline.map_or(end, |deadline| deadline.min(end))
}

/// How much of the time is left. As good as all of it without a deadline.
pub(super) fn left(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()))
}

/// Something that is waited for, and goes on by itself when it is [turned](Ward::turn).
pub(crate) trait Ward: Send {
    /// What it waits for.
    fn wants(&self) -> Sources<'_>;

    /// Does what there is to do without waiting. Says whether it is over.
    ///
    /// # Errors
    ///
    /// If the system denies what it needs to go on.
    fn turn(&mut self) -> io::Result<bool>;

    /// Whether the next [turn](Self::turn) takes as long as there are processes to look for: others must not wait for that.
    fn takes_long(&mut self) -> bool {
        false
    }

    /// What is left to be done once it is over, where it must hold up nobody.
    fn remains(&mut self) -> Option<Box<dyn Ward>> {
        None
    }
}

/// Descriptors to poll, and when to wake up in any case.
#[derive(Debug, Default)]
pub(crate) struct Sources<'a> {
    pub(crate) descriptors: Vec<(BorrowedFd<'a>, PollFlags)>,
    pub(crate) until: Option<Instant>,
}

/// What a wait came to.
#[derive(Debug)]
pub(crate) struct Woken {
    /// Of each ward whether something happened to it: it is to be turned.
    pub(crate) due: Vec<bool>,
    /// Which of the others can be read.
    pub(crate) readable: Vec<bool>,
}

/// Waits until something happened to one of the wards, one of the others can be read, or the deadline has passed.
pub(crate) fn wait<'a>(
    wards: impl IntoIterator<Item = &'a dyn Ward>,
    others: &[BorrowedFd<'_>],
    deadline: Option<Instant>,
) -> io::Result<Woken> {
    let others = others.iter().copied();
    let count = others.len();
    let mut polled: Vec<PollFd<'_>> =
        others.map(|other| PollFd::from_borrowed_fd(other, PollFlags::IN)).collect();
    // of each ward when it wakes in any case, and how many descriptors it has
    let mut waiting = Vec::new();
    for ward in wards {
        let Sources { descriptors, until } = ward.wants();
        waiting.push((until, descriptors.len()));
        let descriptors = descriptors.into_iter();
        polled.extend(descriptors.map(|(source, flags)| PollFd::from_borrowed_fd(source, flags)));
    }
    let until = waiting.iter().map(|(until, _)| *until).chain([deadline]).flatten().min();
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let timeout = left.and_then(|left| Timespec::try_from(left).ok());
    match poll(&mut polled, timeout.as_ref()) {
        // whoever waits looks anew
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let now = Instant::now();
    let mut happened = polled.iter().map(|source| !source.revents().is_empty());
    let readable = happened.by_ref().take(count).collect();
    let due = waiting.iter().map(|(until, descriptors)| {
        // all of its own are taken
        let woken = happened.by_ref().take(*descriptors).filter(|woken| *woken).count() > 0;
        woken || until.is_some_and(|until| now >= until)
    });
    Ok(Woken { due: due.collect(), readable })
}

/// Turns a ward until it has come where `there` says, or the deadline has passed.
pub(crate) fn drive<W: Ward>(
    ward: &mut W,
    there: impl Fn(&W) -> bool,
    deadline: Option<Instant>,
) -> io::Result<bool> {
    loop {
        let over = ward.turn()?;
        if over || there(ward) {
            return Ok(true);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(false);
        }
        wait([ward as &dyn Ward], &[], deadline)?;
    }
}
