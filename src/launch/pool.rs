//! Sandboxes of one description, kept prepared.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::command::Command;
use super::descriptors::event;
use super::error::{Error, Result, Step};
use super::explain::Explain;
use super::handle::Handle;
use super::launched::given_up;
use super::launching::Streams;
use super::leave::{self, UnderWay};
use super::prepared::Prepared;
use super::wait::{deadline, wait};
use crate::process_local::Process;

/// How long the next attempt waits after one that failed, unless a sandbox is taken before that.
const PAUSE: Duration = Duration::from_secs(1);

/// How long what was taken has the processors to itself before another is made in its place. A short command has ended by then.
const RESPITE: Duration = Duration::from_millis(5);

/// Sandboxes of one command, complete and held ([`Command::prepare`]), so that taking one and starting it costs little more
/// than the command itself.
///
/// A sandbox that is held has everything but its start, the command line included. So a pool is of one command, and what
/// differs from one to the next comes through its streams: with [`Stdio::piped`](crate::Stdio::piped) each has
/// pipes of its own. The limits of its command ([`Command::limits`]) are set while it is prepared: whoever takes it does not wait for a
/// control group ([`Limit`](crate::Limit)), and what cannot be set is an error of [`take`](Self::take) and [`fill`](Self::fill).
///
/// One thread refills the pool, whatever its size, and throws away what has ended meanwhile. It begins 5 ms after one was taken, which
/// has the processors to itself so long, and at once when fewer than half are left or somebody waits for all ([`fill`](Self::fill)). That thread has what the one had
/// that made the pool. Dropping the pool ends what nobody took, a moment later. What is held costs about as much memory as two idle
/// processes, and a few descriptors here.
///
/// ```
/// use std::io::Write;
/// use bwrap_launch::{Pool, Sandbox, Stdio};
///
/// let mut command = Sandbox::new().ro_bind("/", "/").unshare_all().die_with_parent().command("sh");
/// command.stdin(Stdio::piped()).stdout(Stdio::piped());
/// let pool = Pool::new(command, 2)?;
/// pool.fill()?;
/// for (script, said) in [("echo $((6 * 7))", "42\n"), ("echo hello", "hello\n")] {
///     let mut child = pool.take()?.start()?;
///     child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
///     assert_eq!(child.wait_with_output()?.stdout, said.as_bytes());
/// }
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    command: Command,
    size: usize,
    state: Mutex<State>,
    /// Something was prepared, or could not be.
    changed: Condvar,
    /// Wakes the thread.
    wake: OwnedFd,
    /// Whose sandboxes these are.
    process: Process,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Prepared>,
    /// Why the last attempt failed.
    error: Option<Error>,
    /// How many attempts there were.
    attempts: u64,
    /// When the first was taken of those that are missing.
    taken: Option<Instant>,
    /// Somebody waits until it is full.
    hurried: bool,
    closed: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is full, or why an attempt that began after the first `before` ones could not make it so.
    fn filled(&self, state: &State, before: u64) -> Option<Result<()>> {
        match &state.error {
            _ if state.ready.len() >= self.size => Some(Ok(())),
            Some(error) if state.attempts > before => Some(Err(error.clone())),
            _ => None,
        }
    }

    /// When it is to be filled, if not at once.
    fn respite(&self, state: &State) -> Option<Instant> {
        let leisure = !state.hurried && state.ready.len().saturating_mul(2) >= self.size;
        let until = state.taken.filter(|_| leisure)?.checked_add(RESPITE)?;
        (Instant::now() < until).then_some(until)
    }

    fn wake(&self) {
        // it can only fail when the counter is full, and then the thread is awake
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

impl Pool {
    /// Keeps `size` sandboxes of this command prepared. Returns at once; [`fill`](Self::fill) waits for them.
    ///
    /// # Errors
    ///
    /// If the description cannot work or cannot be held, or there can be no thread.
    pub fn new(command: Command, size: usize) -> Result<Self> {
        command.check()?;
        command.recipe.check_gate("prepare")?;
        let thread = Error::system(Step::StartPool);
        let wake = event(0).map_err(Error::system(Step::StartPool))?;
        let state = Mutex::default();
        leave::prepare();
        let (changed, process) = (Condvar::new(), Process::own());
        let shared = Arc::new(Shared { command, size, state, changed, wake, process });
        let own = Arc::clone(&shared);
        let builder = thread::Builder::new().name("bwrap-pool".to_owned()).stack_size(512 << 10);
        builder.spawn(move || own.tend()).map_err(thread)?;
        Ok(Self { shared })
    }

    /// The command that its sandboxes are for.
    #[must_use]
    pub fn command(&self) -> &Command {
        &self.shared.command
    }

    /// How many it keeps prepared.
    #[must_use]
    pub fn size(&self) -> usize {
        self.shared.size
    }

    /// Whether it is full, or an attempt after these could not make it so.
    #[cfg(feature = "tokio")]
    pub(super) fn filled(&self, before: u64) -> Option<Result<()>> {
        self.shared.filled(&self.shared.state(), before)
    }

    /// How many are prepared now.
    #[must_use]
    pub fn ready(&self) -> usize {
        // a fork has copies of what its parent holds, and its lock may be held for ever
        if self.shared.process.is_own() { self.shared.state().ready.len() } else { 0 }
    }

    /// Takes a sandbox that is prepared; if there is none, prepares one now, as [`Command::prepare`] does.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn take(&self) -> Result<Prepared> {
        match self.take_ready() {
            Some(prepared) => Ok(prepared),
            None => self.shared.command.prepare_until(Streams::Inherited, None)?.ok_or_else(given_up),
        }
    }

    /// As [`take`](Self::take), but not longer than `limit`: `None` if it takes longer.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::{Pool, Sandbox};
    /// let pool = Pool::new(Sandbox::new().ro_bind("/", "/").command("true"), 1)?;
    /// let prepared = pool.take_timeout(Duration::from_secs(10))?.unwrap();
    /// assert!(prepared.start()?.wait()?.success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn take_timeout(&self, limit: Duration) -> Result<Option<Prepared>> {
        match self.take_ready() {
            Some(prepared) => Ok(Some(prepared)),
            None => self.shared.command.prepare_until(Streams::Inherited, deadline(limit)),
        }
    }

    /// Takes one that is prepared, if there is one.
    pub(super) fn take_ready(&self) -> Option<Prepared> {
        if !self.shared.process.is_own() {
            return None;
        }
        let mut state = self.shared.state();
        let mut broken = Vec::new();
        let taken = loop {
            match state.ready.pop_front() {
                Some(prepared) if prepared.is_held() => break Some(prepared),
                Some(prepared) => broken.push(prepared),
                None => break None,
            }
        };
        // the thread has time for them
        state.ready.extend(broken);
        if taken.is_some() {
            state.taken.get_or_insert_with(Instant::now);
        }
        drop(state);
        self.shared.wake();
        taken
    }

    /// Waits until it is full.
    ///
    /// # Errors
    ///
    /// If a sandbox could not be prepared. In a fork, which has none of the pool's threads: there each one that is taken is prepared then.
    pub fn fill(&self) -> Result<()> {
        self.fill_until(None).map(|_| ())
    }

    /// As [`fill`](Self::fill), but not longer than `limit`. Says whether it is full; if it is not, it goes on being filled.
    ///
    /// # Errors
    ///
    /// As [`fill`](Self::fill).
    pub fn fill_timeout(&self, limit: Duration) -> Result<bool> {
        self.fill_until(deadline(limit))
    }

    /// Has it filled, and says how many attempts there were so far.
    pub(super) fn begin_to_fill(&self) -> Result<u64> {
        if !self.shared.process.is_own() {
            let fork = io::Error::other(
                "this is a fork of the process that made the pool, and has no thread to fill it",
            );
            return Err(Error::system(Step::StartPool)(fork));
        }
        let mut state = self.shared.state();
        state.hurried = true;
        let attempts = state.attempts;
        drop(state);
        self.shared.wake();
        Ok(attempts)
    }

    fn fill_until(&self, deadline: Option<Instant>) -> Result<bool> {
        let before = self.begin_to_fill()?;
        let mut state = self.shared.state();
        loop {
            if let Some(filled) = self.shared.filled(&state, before) {
                return filled.map(|()| true);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            state = match left {
                Some(Duration::ZERO) => return Ok(false),
                Some(left) => {
                    let waited = self.shared.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// What the thread does.
impl Shared {
    /// Fills the pool and throws away what has ended, until nobody wants it any more.
    fn tend(&self) {
        super::spawn::block_signals();
        loop {
            let (missing, respite, watched) = {
                let mut state = self.state();
                let all = std::mem::take(&mut state.ready).into_iter();
                let (held, ended): (Vec<_>, Vec<_>) =
                    all.partition(|prepared| !state.closed && prepared.is_held());
                let watched: Vec<_> = held.iter().map(Prepared::process).collect();
                let (missing, closed) = (held.len() < self.size, state.closed);
                state.ready = held.into();
                if !missing {
                    (state.taken, state.hurried) = (None, false);
                }
                let respite = self.respite(&state);
                drop(state);
                // that takes its time
                drop(ended);
                if closed {
                    return;
                }
                (missing, respite, watched)
            };
            if !missing || respite.is_some() {
                self.sleep(&watched, respite);
            } else if !self.add() {
                self.sleep(&watched, deadline(PAUSE));
            }
        }
    }

    /// Prepares one more. Says whether that was possible.
    fn add(&self) -> bool {
        let prepared = self.prepare();
        let mut state = self.state();
        state.attempts += 1;
        let (prepared, error) = match prepared {
            Ok(prepared) => (prepared, None),
            Err(error) => (None, Some(error)),
        };
        let added = error.is_none();
        state.error = error;
        state.ready.extend(prepared);
        self.changed.notify_all();
        added
    }

    /// Prepares one, unless nobody wants it any more.
    fn prepare(&self) -> Result<Option<Prepared>> {
        // a bwrap that loses us halfway through its set-up may leave a process that waits for it, for ever; a complete one ends
        let _exit_waits = UnderWay::begin();
        let explain = self.command.explain.unwrap_or(Explain::Facts);
        let mut prepared = self.command.hold(Streams::Inherited, None, explain)?;
        while !self.state().closed {
            // a source may never answer; what comes then has the time that it takes
            if prepared.is_ready_by(deadline(PAUSE))? {
                prepared.wait_ready(None)?;
                prepared.limit()?;
                return Ok(Some(prepared));
            }
        }
        Ok(None)
    }

    /// Waits until somebody takes one, or one of these ends.
    fn sleep(&self, watched: &[Arc<Handle>], until: Option<Instant>) {
        let descriptors: Vec<BorrowedFd<'_>> =
            [self.wake.as_fd()].into_iter().chain(watched.iter().map(|process| process.as_fd())).collect();
        if let Err(error) = wait([], &descriptors, until) {
            log::debug!("a pool cannot watch its sandboxes: {error}");
            thread::sleep(PAUSE.min(Duration::from_millis(10)));
        }
        let _ = rustix::io::read(&self.wake, &mut [0_u8; 8]);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if !self.shared.process.is_own() {
            return;
        }
        self.shared.state().closed = true;
        // it ends what is held, and then itself
        self.shared.wake();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("command", &self.shared.command)
            .field("size", &self.shared.size)
            .field("ready", &self.ready())
            .finish()
    }
}
