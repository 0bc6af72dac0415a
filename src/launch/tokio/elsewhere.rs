//! Work that may block, done elsewhere: on threads of this crate's own, which stay for a moment to do more. The runtime's may all be
//! busy, for as long as somebody likes, and where no more can be started its functions panic.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use ::tokio::sync::oneshot;

use super::super::error::{Error, Result, Step};
use super::super::spawn;
use crate::process_local::ProcessLocal;

/// How long a thread stays without work.
const LINGER: Duration = Duration::from_millis(250);

type Work = Box<dyn FnOnce() + Send>;

/// Threads that wait for work.
#[derive(Default)]
struct Idle {
    next: u64,
    threads: Vec<(u64, Sender<Work>)>,
}

static IDLE: ProcessLocal<Idle> = ProcessLocal::new();

/// Something that is done, and what comes of it. Dropped, it is done nevertheless.
#[derive(Debug)]
pub(super) struct Task<T>(oneshot::Receiver<T>);

impl<T: Send + 'static> Task<T> {
    /// # Errors
    ///
    /// If there is no thread for it. What was to be done is returned.
    pub(super) fn start<W>(work: W) -> Result<Self, (io::Error, W)>
    where
        W: FnOnce() -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        // it is taken back if no thread comes for it
        let work = Arc::new(Mutex::new(Some(work)));
        let taken = Arc::clone(&work);
        let job: Work = Box::new(move || {
            let work = taken.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(work) = work {
                // nobody may wait for it any more
                let _ = sender.send(work());
            }
        });
        match run(job) {
            Ok(()) => Ok(Self(receiver)),
            Err(error) => {
                let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
                work.map_or(Ok(Self(receiver)), |work| Err((error, work)))
            }
        }
    }
}

impl<T> Future for Task<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        // only a panic ends a thread before that
        Pin::new(&mut self.0).poll(context).map_err(io::Error::other)
    }
}

/// Does what may block where that is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    step: Step,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let done = match Task::start(work) {
        Ok(task) => task.await,
        Err((error, _)) => Err(error),
    };
    done.map_err(Error::system(step))
}

/// The same of what is done in any case: where there is no thread for it, here.
pub(super) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    match Task::start(work) {
        Ok(task) => task.await,
        Err((_, work)) => Ok(work()),
    }
}

fn run(mut job: Work) -> io::Result<()> {
    let mut idle = IDLE.lock();
    while let Some((_, thread)) = idle.threads.pop() {
        match thread.send(job) {
            Ok(()) => return Ok(()),
            Err(unsent) => job = unsent.0,
        }
    }
    idle.next += 1;
    let number = idle.next;
    drop(idle);
    let thread = thread::Builder::new().name("bwrap-blocking".to_owned());
    thread.spawn(move || serve(number, job)).map(drop)
}

/// A thread: does one thing after the other.
fn serve(number: u64, mut job: Work) {
    spawn::block_signals();
    let (sender, receiver) = channel::<Work>();
    loop {
        job();
        IDLE.lock().threads.push((number, sender.clone()));
        let next = match receiver.recv_timeout(LINGER) {
            Err(RecvTimeoutError::Timeout) => {
                let mut idle = IDLE.lock();
                let before = idle.threads.len();
                idle.threads.retain(|(other, _)| *other != number);
                // who has taken the other end has something to do
                if idle.threads.len() < before { None } else { receiver.try_recv().ok() }
            }
            next => next.ok(),
        };
        let Some(next) = next else { return };
        job = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_do_more_than_one_thing_and_end() {
        let runtime = ::tokio::runtime::Builder::new_current_thread().build().unwrap();
        let who = || thread::current().id();
        runtime.block_on(async {
            let first = blocking(Step::EnterRuntime, who).await.unwrap();
            // it may not wait for more yet
            let again = (0..50).map(|_| {
                thread::sleep(Duration::from_millis(1));
                blocking(Step::EnterRuntime, who)
            });
            let mut same = false;
            for task in again {
                same |= task.await.unwrap() == first;
            }
            assert!(same);
            let all: Vec<_> = (0..8).map(|n| Task::start(move || n).unwrap_or_else(|_| panic!())).collect();
            for (n, task) in all.into_iter().enumerate() {
                assert_eq!(task.await.unwrap(), n);
            }
        });
    }
}
