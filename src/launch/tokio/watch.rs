//! What is waited for, as a runtime waits.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ::tokio::io::Interest;
use ::tokio::io::unix::AsyncFd;
use ::tokio::runtime::Handle;
use ::tokio::time::{Sleep, sleep, sleep_until};

use super::super::wait::Ward;

/// The runtime of the calling task.
pub(super) fn runtime() -> io::Result<Handle> {
    Handle::try_current().map_err(io::Error::other)
}

/// Makes what a runtime panics at that was built without a part of it, and has no other way to say so.
fn driven<T>(part: &str, make: impl FnOnce() -> T) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(make)).map_err(|_| {
        io::Error::other(format!(
            "this Tokio runtime was built without {part}: call `enable_all()` on its builder"
        ))
    })
}

/// Waits for so long.
pub(super) async fn rest(time: Duration) -> io::Result<()> {
    runtime()?;
    driven("timers", || Box::pin(sleep(time)))?.await;
    Ok(())
}

/// Has a runtime watch a descriptor of our own.
///
/// It is to be called within one.
pub(super) fn register<T: AsRawFd>(descriptor: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // Tokio has this replaced by a function that is unsafe, because an implementation of `AsRawFd` may name a descriptor that
    // it does not keep open; what is given here are those of `std`, and streams that own theirs
    #[allow(deprecated, reason = "sound for what is given")]
    driven("I/O", || AsyncFd::with_interest(descriptor, interest))?
}

/// The descriptors and the time that a ward waits for, watched once.
pub(super) struct Watch<'a> {
    descriptors: Vec<AsyncFd<BorrowedFd<'a>>>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<'a> Watch<'a> {
    /// Fails outside of a runtime.
    pub(super) fn on(ward: Option<&'a impl Ward>, deadline: Option<Instant>) -> io::Result<Self> {
        runtime()?;
        let sources = ward.map(Ward::wants).unwrap_or_default();
        let until = [deadline, sources.until].into_iter().flatten().min();
        let mut descriptors = Vec::with_capacity(sources.descriptors.len());
        for (descriptor, _) in sources.descriptors {
            // an end or an error is reported in any case
            descriptors.push(register(descriptor, Interest::READABLE)?);
        }
        let sleep = until.map(|until| driven("timers", || Box::pin(sleep_until(until.into()))));
        Ok(Self { descriptors, sleep: sleep.transpose()? })
    }

    /// Whether something happened, or the time has come. It is then used up: what was seen is not forgotten.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut happened = false;
        for descriptor in &self.descriptors {
            happened |= descriptor.poll_read_ready(context).is_ready();
        }
        if let Some(sleep) = &mut self.sleep {
            happened |= sleep.as_mut().poll(context).is_ready();
        }
        if happened { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Turns a ward until it has come where `there` says, or the deadline has passed. Dropped, it has done nothing by halves.
pub(super) async fn drive<W: Ward + Sync>(
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
        let mut watch = Watch::on(Some(&*ward), deadline)?;
        poll_fn(|context| watch.poll(context)).await;
    }
}
