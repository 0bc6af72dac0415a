//! The thread that stays the parent.
//!
//! The parent-death signal follows the thread that spawned, not the process: a sandbox with `--die-with-parent` that
//! a pool's thread launched would be killed when the pool retires the thread. So such launches happen on this
//! thread, unless it is the main thread that asks. It also waits for children that their owner dropped, so that no zombie is
//! left, and stops sandboxes at their time limits. It lives as long as one of them needs it, and a moment longer for the next
//! launch.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::getpid;
use rustix::thread::gettid;

use super::descriptors::event;
use super::inherited::{Context, Surroundings};
use super::spawn;
use super::wait::{self, Ward};
use crate::process_local::{Process, ProcessLocal};

/// How long the thread stays without work: starting it anew costs more than a launch should.
const LINGER: Duration = Duration::from_millis(250);

/// How long until it is tried again to start it.
const AGAIN: Duration = Duration::from_millis(50);

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Keeper {
    /// The event that wakes the thread.
    thread: Option<Arc<OwnedFd>>,
    jobs: VecDeque<Job>,
    /// Children whose owner dropped them, until the thread takes them.
    abandoned: Vec<Box<dyn Ward>>,
    /// How many of them are [turned](turn_apart) elsewhere.
    apart: usize,
    leases: usize,
    /// What the thread was started with.
    context: Option<Context>,
    /// A thread waits until it can be started.
    retries: bool,
}

static KEEPER: ProcessLocal<Keeper> = ProcessLocal::new();

fn wake(event: &OwnedFd) {
    // it can only fail when the counter is full, and then the thread is awake
    let _ = rustix::io::write(event, &1_u64.to_ne_bytes());
}

/// Keeps the thread alive, and with it the children that it is the parent of.
#[derive(Debug)]
pub(crate) enum Lease {
    /// Of the one keeper of this process.
    Shared(Process),
    /// Of a thread that waits for the end of this channel.
    Own(#[allow(dead_code, reason = "its end is what counts")] Sender<()>),
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !matches!(self, Self::Shared(process) if process.is_own()) {
            return;
        }
        let mut keeper = KEEPER.lock();
        keeper.leases = keeper.leases.saturating_sub(1);
        if let Some(event) = keeper.thread.as_ref().filter(|_| keeper.leases == 0) {
            wake(event);
        }
    }
}

impl Keeper {
    /// Starts the thread if there is none. Says how to wake it, once there is something to do.
    fn ensure(&mut self, here: impl FnOnce() -> Context) -> io::Result<Arc<OwnedFd>> {
        if let Some(event) = &self.thread {
            return Ok(Arc::clone(event));
        }
        // looking at it takes a descriptor for a moment, and it inherits what is there now
        let context = here();
        let event = Arc::new(event(0)?);
        let own = Arc::clone(&event);
        start(move || keep(&own))?;
        self.context = Some(context);
        self.thread = Some(Arc::clone(&event));
        Ok(event)
    }

    /// Has the thread see to the children that were dropped. Where it cannot be started now, that is tried again: what bwrap left when it ran
    /// out of descriptors, as we have, ends with nobody else. Where no thread can be had at all, a later launch tries again.
    fn attend(&mut self) {
        match self.ensure(Context::here) {
            Ok(event) => wake(&event),
            Err(_) if self.retries => {}
            Err(_) => self.retries = start(retry).is_ok(),
        }
    }
}

/// Runs a job on the keeper's thread and waits for it. The lease keeps the thread, and its children, alive.
///
/// A caller whose thread has what the keeper has not, such as other namespaces, gets a thread of its own instead, which
/// inherits it. The process ends with its main thread, which therefore needs neither.
pub(crate) fn run<T: Send + 'static>(
    job: impl FnOnce() -> T + Send + 'static,
) -> io::Result<(T, Option<Lease>)> {
    if gettid() == getpid() {
        return Ok((job(), None));
    }
    let (here, surroundings) = (Context::here(), Surroundings::here());
    let (sender, receiver) = channel();
    let (event, lease) = {
        let mut keeper = KEEPER.lock();
        let event = keeper.ensure(|| here.clone())?;
        if keeper.context.as_ref() != Some(&here) {
            drop(keeper);
            return run_apart(job);
        }
        keeper.jobs.push_back(Box::new(move || {
            let fits = Surroundings::here() == surroundings;
            let _ = sender.send(if fits { Ok(job()) } else { Err(job) });
        }));
        keeper.leases += 1;
        (event, Lease::Shared(Process::own()))
    };
    // not before the lock is free, which the thread wants first
    wake(&event);
    match receiver.recv().map_err(|_| io::Error::other("the keeper thread is gone"))? {
        Ok(result) => Ok((result, Some(lease))),
        Err(job) => run_apart(job),
    }
}

/// Runs a job on a new thread, which stays until the lease ends.
fn run_apart<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> io::Result<(T, Option<Lease>)> {
    let (sender, receiver) = channel();
    let (lease, end) = channel::<()>();
    let work = move || {
        spawn::block_signals();
        let _ = sender.send(job());
        // nothing is ever sent: it ends with the lease
        let _ = end.recv();
    };
    start(work)?;
    let result = receiver.recv().map_err(|_| io::Error::other("the keeper thread is gone"))?;
    Ok((result, Some(Lease::Own(lease))))
}

/// Turns a ward once on a thread of its own, and then has it back. Where none can be started, that is done here.
fn turn_apart(ward: Box<dyn Ward>) {
    let ward = Arc::new(Mutex::new(Some(ward)));
    let taken = Arc::clone(&ward);
    let turn = move || {
        let ward = taken.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut ward) = ward else { return };
        let next = if ward.turn().unwrap_or(true) { ward.remains() } else { Some(ward) };
        let mut keeper = KEEPER.lock();
        keeper.apart = keeper.apart.saturating_sub(1);
        keeper.abandoned.extend(next);
        keeper.attend();
    };
    KEEPER.lock().apart += 1;
    let apart = turn.clone();
    if start(move || {
        spawn::block_signals();
        apart();
    })
    .is_err()
    {
        turn();
    }
}

fn start(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("bwrap-keeper".to_owned()).stack_size(256 << 10).spawn(work)?;
    Ok(())
}

/// Sees a child to its end whose owner has dropped it. It runs on, as a dropped `std::process::Child` does.
pub(crate) fn adopt(child: impl Ward + 'static) {
    let mut keeper = KEEPER.lock();
    keeper.abandoned.push(Box::new(child));
    keeper.attend();
}

/// Turns a ward until it is over, whoever waits elsewhere.
///
/// # Errors
///
/// If the thread cannot be started; then nothing is done, and the ward returned.
pub(crate) fn attend_to<W: Ward + 'static>(ward: Box<W>) -> Result<(), (io::Error, Box<W>)> {
    let mut keeper = KEEPER.lock();
    match keeper.ensure(Context::here) {
        Ok(event) => {
            keeper.abandoned.push(ward);
            wake(&event);
            Ok(())
        }
        Err(error) => Err((error, ward)),
    }
}

/// Has every ward turned: something happened that no descriptor tells.
pub(crate) fn nudge() {
    let keeper = KEEPER.lock();
    if let Some(event) = &keeper.thread {
        wake(event);
    }
}

/// Sees to the children that were dropped while the thread could not be started.
pub(crate) fn catch_up() {
    let mut keeper = KEEPER.lock();
    if !keeper.abandoned.is_empty() {
        keeper.attend();
    }
}

/// Starts the thread once there is a descriptor for that, if it is still needed.
fn retry() {
    spawn::block_signals();
    loop {
        thread::sleep(AGAIN);
        let mut keeper = KEEPER.lock();
        if keeper.abandoned.is_empty() || keeper.ensure(Context::here).map(|event| wake(&event)).is_ok() {
            keeper.retries = false;
            return;
        }
    }
}

/// Has another thread take over from one that panics: nobody waits for that one for ever.
struct Relief;

impl Drop for Relief {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut keeper = KEEPER.lock();
            keeper.thread = None;
            // who waits for one of these is told by its end
            keeper.jobs.clear();
            keeper.attend();
        }
    }
}

fn keep(event: &OwnedFd) {
    let _relief = Relief;
    spawn::block_signals();
    let mut children: Vec<Kept> = Vec::new();
    let mut rested = false;
    loop {
        let idle;
        let jobs = {
            let mut keeper = KEEPER.lock();
            children.extend(keeper.abandoned.drain(..).map(Kept::new));
            let jobs = std::mem::take(&mut keeper.jobs);
            idle = jobs.is_empty() && children.is_empty() && keeper.leases == 0 && keeper.apart == 0;
            if idle && rested {
                keeper.thread = None;
                return;
            }
            jobs
        };
        for job in jobs {
            job();
        }
        rested = !attend(event, &mut children, idle.then_some(LINGER));
    }
}

/// What the thread sees to.
struct Kept {
    ward: Box<dyn Ward>,
    /// Something may have happened to it.
    due: bool,
}

impl Kept {
    fn new(ward: Box<dyn Ward>) -> Self {
        Self { ward, due: true }
    }
}

/// Waits for work, and lets go of children that have ended. Says whether anything happened.
fn attend(event: &OwnedFd, children: &mut Vec<Kept>, idle: Option<Duration>) -> bool {
    for index in (0..children.len()).rev() {
        if children.get_mut(index).is_some_and(|child| child.due && child.ward.takes_long()) {
            turn_apart(children.swap_remove(index).ward);
        }
    }
    let before = children.len();
    let mut remains = Vec::new();
    children.retain_mut(|child| {
        if !std::mem::take(&mut child.due) {
            return true;
        }
        // what fails to be watched cannot be seen to its end
        let over = child.ward.turn().unwrap_or(true);
        if over {
            remains.extend(child.ward.remains().map(Kept::new));
        }
        !over
    });
    let over = children.len() < before;
    children.append(&mut remains);
    if over {
        return true;
    }
    let deadline = idle.map(|idle| Instant::now() + idle);
    let wards = children.iter().map(|child| &*child.ward);
    let Ok(woken) = wait::wait(wards, &[event.as_fd()], deadline) else {
        thread::sleep(Duration::from_millis(10));
        for child in children {
            child.due = true;
        }
        return true;
    };
    // of what is told by no descriptor anybody may be concerned
    let nudged = woken.readable.contains(&true);
    for (child, due) in children.iter_mut().zip(woken.due) {
        child.due = due || nudged;
    }
    let _ = rustix::io::read(event, &mut [0_u8; 8]);
    idle.is_none() || nudged
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;

    use super::*;

    /// What takes long: it ends when another one has.
    struct Slow(Receiver<()>, Sender<bool>);
    struct Quick(Sender<()>);

    impl Ward for Slow {
        fn wants(&self) -> wait::Sources<'_> {
            wait::Sources::default()
        }

        fn takes_long(&mut self) -> bool {
            true
        }

        fn turn(&mut self) -> io::Result<bool> {
            let _ = self.1.send(self.0.recv_timeout(Duration::from_secs(30)).is_ok());
            Ok(true)
        }
    }

    impl Ward for Quick {
        fn wants(&self) -> wait::Sources<'_> {
            wait::Sources::default()
        }

        fn turn(&mut self) -> io::Result<bool> {
            let _ = self.0.send(());
            Ok(true)
        }
    }

    #[test]
    fn what_takes_long_holds_up_nobody() {
        let (quick, heard) = channel();
        let (slow, said) = channel();
        assert!(attend_to(Box::new(Slow(heard, slow))).is_ok());
        // it is under way by then
        thread::sleep(Duration::from_millis(20));
        assert!(attend_to(Box::new(Quick(quick))).is_ok());
        assert!(said.recv().unwrap(), "the other one has waited for it");
    }
}
