//! A launched command: its streams, its end, and what became of it.

use std::fmt;
use std::io;
use std::num::NonZeroI32;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::apply::{Applied, apply};
use super::capture::{Cuts, Handling, Kept, Stream};
use super::cgroup::Group;
use super::error::{Error, Result, Step};
use super::explain::Explain;
use super::gather::{Scene, gather};
use super::handle::Handle;
use super::handshake::{Outcome, Phase, Undecided};
use super::keeper;
use super::limits::{Limits, Unapplied};
use super::order::Recipe;
use super::output::{ExitStatus, Output};
use super::pty::Terminal;
use super::reach::{GRACE, Record};
use super::reading::{Next, Reading};
use super::running::{Running, process_is_gone};
use super::start::{self, Started, in_reach};
use super::stdio::{ChildStderr, ChildStdin, ChildStdout};
use super::stop::{self, Killer, Terms};
use super::usage::{Figure, Usage};
use super::wait::Ward;
use super::words::{Words, warnings};
use crate::bwrap::status::Status;
use crate::bwrap::{Bwrap, Message, NamespaceIds};
use crate::sandbox::Feature;

/// A launched command, as [`std::process::Child`].
///
/// Dropping it neither kills the command nor waits for it, as in `std` (but see
/// [`Command::kill_on_drop`](crate::Command::kill_on_drop)); unlike there, no zombie is left: a
/// thread of this crate sees it to its end. When the command ends, everything else in its PID namespace is killed; without one,
/// what the command has started may live on.
///
/// It is readable ([`AsFd`], `poll(2)`, `epoll(7)`) once bwrap has ended; [`try_wait`](Self::try_wait) then knows the end.
///
/// ```
/// use std::io::Write;
/// use bwrap_launch::{Sandbox, Stdio};
/// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
/// let mut child = sandbox.command("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
/// child.stdin.take().unwrap().write_all(b"hello").unwrap();
/// let output = child.wait_with_output()?;
/// assert_eq!(output.stdout, b"hello");
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
pub struct Child {
    /// The command's standard input, if it is piped.
    pub stdin: Option<ChildStdin>,
    /// The command's standard output, if it is piped; with [`Stdio::merged`](super::Stdio::merged), its standard error, too.
    pub stdout: Option<ChildStdout>,
    /// The command's and bwrap's standard error, if it is piped.
    pub stderr: Option<ChildStderr>,
    /// Our end of the command's [terminal](super::Command::terminal), if it has one of its own.
    pub terminal: Option<Terminal>,
    pub(super) handling: Handling,
    /// To be set at the gate.
    pub(super) limits: Limits,
    pub(super) dies_with_caller: bool,
    launch: Launch,
}

/// A launch from its start to its outcome.
struct Launch {
    id: u32,
    /// `None` once the outcome is known.
    running: Option<Running>,
    /// A handle on bwrap.
    process: Arc<Handle>,
    record: Arc<Record>,
    terms: Terms,
    outcome: Option<Result<ExitStatus>>,
    words: Arc<Words>,
    /// Without descriptors that somebody else waits for.
    recipe: Arc<Recipe>,
    /// What bwrap has read cannot be read again.
    reads_once: bool,
    /// The command line, if the recipe does not show all of it any more.
    line: Option<String>,
    bwrap: Bwrap,
    dropped: Vec<Feature>,
    unapplied: Vec<Unapplied>,
    /// What had been used at the end.
    usage: Usage,
    /// To be removed at the end.
    group: Option<Group>,
    explain: Explain,
    sandbox_pid: Option<u32>,
    namespaces: Option<NamespaceIds>,
    /// Nobody else has it yet: dropped, it leaves nothing.
    unclaimed: bool,
}

/// How long bwrap may take to say its words once more.
const REHEARSAL: Duration = Duration::from_secs(5);

/// `None` if that is too far away to be told.
pub(super) fn deadline(limit: Duration) -> Option<Instant> {
    Instant::now().checked_add(limit)
}

/// How much of the time is left. As good as all of it without a deadline.
pub(super) fn left(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()))
}

impl Child {
    pub(super) fn new(
        started: Started,
        recipe: &Arc<Recipe>,
        bwrap: Bwrap,
        (explain, terms): (Explain, Terms),
    ) -> Self {
        let Started { running, stdin, stdout, stderr, terminal, words, gate: _, dropped } = started;
        let reads_once = recipe.sandbox.reads_descriptors();
        let (line, recipe) = match recipe.without_descriptors() {
            Some(rest) => (Some(recipe.line_for(&bwrap)), Arc::new(rest)),
            None => (None, Arc::clone(recipe)),
        };
        let launch = Launch {
            id: running.pid.as_raw_pid().unsigned_abs(),
            process: running.process(),
            record: Arc::clone(running.reach().record()),
            terms,
            running: Some(running),
            outcome: None,
            words: Arc::new(words),
            recipe,
            reads_once,
            line,
            bwrap,
            dropped,
            unapplied: Vec::new(),
            usage: Usage::default(),
            group: None,
            explain,
            sandbox_pid: None,
            namespaces: None,
            unclaimed: true,
        };
        Self {
            stdin,
            stdout,
            stderr,
            terminal,
            handling: Handling::default(),
            limits: Limits::new(),
            dies_with_caller: false,
            launch,
        }
    }

    /// Waits until bwrap has its id maps, if there are any.
    pub(super) fn wait_mapped(&mut self, deadline: Option<Instant>) -> Result<()> {
        self.launch.running.as_mut().map_or(Ok(()), |running| start::wait_mapped(running, deadline))
    }

    /// The command begins: from now on its time counts.
    pub(super) fn limit(&self) -> Result<()> {
        let Some(running) = &self.launch.running else { return Ok(()) };
        stop::limit(running.reach(), self.launch.terms).map_err(Error::system(Step::Limit))
    }

    /// A handle that stops the sandbox from any thread, while another one waits here.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::Sandbox;
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
    /// let mut child = sandbox.command("sleep").arg("60").spawn()?;
    /// let killer = child.killer();
    /// std::thread::scope(|scope| {
    ///     let waiting = scope.spawn(|| child.wait());
    ///     killer.terminate(Duration::from_secs(1))?;
    ///     println!("{:?}", waiting.join().unwrap());
    ///     Ok::<(), bwrap_launch::Error>(())
    /// })?;
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    #[must_use]
    pub fn killer(&self) -> Killer {
        Killer::new(self.launch.running.as_ref().map(Running::reach), &self.launch.record)
    }

    /// The process ids, outside, of what runs in the sandbox ([`Killer::processes`]).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn processes(&self) -> Result<Vec<u32>> {
        self.killer().processes()
    }

    /// The process id of bwrap itself.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.launch.id
    }

    /// The process id, outside, of the sandbox's first process, once bwrap has reported it: process 1 of a
    /// PID namespace, the command itself without one, or its parent if there
    /// is a descriptor to keep open ([`Sandbox::sync_fd`](crate::Sandbox::sync_fd)).
    ///
    /// A command that can get at bwrap's descriptors may have written the report itself: then a process that is there counts only
    /// if it is bwrap's.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let mut child = Sandbox::new().ro_bind("/", "/").command("true").spawn()?;
    /// child.wait_ready()?;
    /// assert_ne!(child.sandbox_pid(), Some(child.id()));
    /// child.wait()?;
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    #[must_use]
    pub fn sandbox_pid(&mut self) -> Option<u32> {
        self.launch.listen();
        self.launch.sandbox_pid
    }

    /// The handle on bwrap.
    pub(super) fn process(&self) -> Arc<Handle> {
        Arc::clone(&self.launch.process)
    }

    pub(super) fn known_sandbox_pid(&self) -> Option<u32> {
        self.launch.sandbox_pid
    }

    pub(super) fn known_namespaces(&self) -> Option<NamespaceIds> {
        self.launch.namespaces
    }

    /// The namespaces that bwrap made, once it has reported them.
    #[must_use]
    pub fn namespaces(&mut self) -> Option<NamespaceIds> {
        self.launch.listen();
        self.launch.namespaces
    }

    /// Features that this bwrap lacks and the sandbox declared dispensable: they were left out.
    #[must_use]
    pub fn dropped(&self) -> &[Feature] {
        &self.launch.dropped
    }

    /// Optional limits that could not be set ([`Limits::optional`]): the command runs without.
    ///
    /// ```
    /// use bwrap_launch::{Limit, Limits, Sandbox};
    /// let limits = Limits::new().optional(Limit::MemoryMax(1 << 30)).below("/no/such/group");
    /// let mut child = Sandbox::new().ro_bind("/", "/").command("true").limits(&limits).spawn()?;
    /// assert_eq!(child.unapplied().len(), 1);
    /// child.wait()?;
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    #[must_use]
    pub fn unapplied(&self) -> &[Unapplied] {
        &self.launch.unapplied
    }

    /// Sets the limits on the sandbox, which waits at the gate, if that was not done before.
    pub(super) fn apply_limits(&mut self) -> Result<()> {
        let limits = std::mem::take(&mut self.limits);
        if limits.is_empty() {
            return Ok(());
        }
        match apply(&limits, self.held()) {
            Ok(applied) => {
                self.keep(applied);
                Ok(())
            }
            Err(unapplied) => self.end_or(unapplied.into()),
        }
    }

    /// Has the sandbox end with this process, if that is wished. It must wait at the gate.
    pub(super) fn watch(&mut self, deadline: Option<Instant>) -> Result<()> {
        match self.try_to_watch(deadline) {
            Err(error) => self.end_or(Error::system(Step::StartWatchdog)(error)),
            Ok(()) => Ok(()),
        }
    }

    /// The end of what ended while something was done to it, which tells more than the error that this led to.
    fn end_or(&mut self, error: Error) -> Result<()> {
        let ended = self.is_ending() && self.wait_timeout(GRACE)?.is_some();
        if ended { Ok(()) } else { Err(error) }
    }

    /// Whether what waits at the gate has ended, or was killed: bwrap itself ends a moment later.
    pub(super) fn is_ending(&self) -> bool {
        self.held().is_none() || self.launch.record.is_killed()
    }

    /// As [`watch`](Self::watch), but what has ended meanwhile is not concluded.
    pub(super) fn try_to_watch(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        let running = self.launch.running.as_mut().filter(|_| self.dies_with_caller);
        running.map_or(Ok(()), |running| running.watch(deadline))
    }

    /// The process to be limited, if it is still there.
    pub(super) fn held(&self) -> Option<Pid> {
        self.launch.running.as_ref().and_then(Running::held)
    }

    /// Keeps what became of the limits.
    pub(super) fn keep(&mut self, applied: Applied) {
        self.launch.unapplied = applied.unapplied;
        if let Some(running) = &mut self.launch.running {
            running.set_group(applied.group);
        }
    }

    /// What the sandbox has used so far, or, at its end, in all.
    ///
    /// With a control group of its own ([`Limit::Accounting`](crate::Limit::Accounting)) that is what the kernel has counted; without one it is less
    /// sure, and says so ([`Usage`]).
    ///
    /// ```
    /// use bwrap_launch::{Limit, Limits, Sandbox};
    /// let limits = Limits::new().optional(Limit::Accounting);
    /// let mut child = Sandbox::new().ro_bind("/", "/").command("true").limits(&limits).spawn()?;
    /// child.wait()?;
    /// println!("{:?}", child.usage());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    #[must_use]
    pub fn usage(&mut self) -> Usage {
        match &mut self.launch.running {
            Some(running) => running.usage(),
            None => self.launch.usage,
        }
    }

    /// bwrap's warnings so far, if standard error is piped. A command can forge them.
    ///
    /// It goes on after a complaint under [`Sandbox::not_a_security_boundary`](crate::Sandbox::not_a_security_boundary)
    /// only. Where its words go elsewhere, [`doctor::try_sandbox`](crate::doctor::try_sandbox) hears them.
    ///
    /// ```
    /// use bwrap_launch::{Sandbox, Stdio};
    /// let mut child = Sandbox::new().ro_bind("/", "/").command("true").stderr(Stdio::piped()).spawn()?;
    /// child.wait()?;
    /// assert!(child.warnings().is_empty());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    #[must_use]
    pub fn warnings(&self) -> Vec<Message> {
        match &*self.launch.words {
            words @ Words::Pipe(_) => warnings(&words.heard().unwrap_or_default()),
            // in a file there may be those of others
            Words::File { .. } | Words::Elsewhere => Vec::new(),
        }
    }

    /// Waits until the sandbox is set up and the command is about to be executed.
    ///
    /// # Errors
    ///
    /// If the sandbox could not be set up.
    ///
    /// ```
    /// use bwrap_launch::{Error, Sandbox};
    /// let mut child = Sandbox::new().ro_bind("/nonexistent", "/").command("true").spawn()?;
    /// assert!(matches!(child.wait_ready(), Err(Error::SetupFailed(_))));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn wait_ready(&mut self) -> Result<()> {
        self.wait_ready_until(None).map(|_| ())
    }

    /// As [`wait_ready`](Self::wait_ready), but not longer than `limit`. Says whether the sandbox is set up; if it is not, it goes
    /// on being set up.
    ///
    /// # Errors
    ///
    /// As [`wait_ready`](Self::wait_ready).
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::Sandbox;
    /// let mut child = Sandbox::new().ro_bind("/", "/").command("true").spawn()?;
    /// assert!(child.wait_ready_timeout(Duration::from_secs(10))?);
    /// child.wait()?;
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn wait_ready_timeout(&mut self, limit: Duration) -> Result<bool> {
        self.wait_ready_until(deadline(limit))
    }

    pub(super) fn wait_ready_until(&mut self, deadline: Option<Instant>) -> Result<bool> {
        let Some(running) = &mut self.launch.running else { return self.outcome().map(|_| true) };
        let waited = running.wait_ready(deadline).map_err(Error::system(Step::WaitForBwrap));
        let ready = self.or_destroyed(waited)?;
        if self.launch.running.as_ref().is_some_and(|running| running.handshake().phase() == Phase::Ended) {
            self.launch.conclude(left(deadline));
            return self.outcome().map(|_| true);
        }
        self.launch.listen();
        Ok(ready)
    }

    /// A launch that cannot be watched any more is ended.
    fn or_destroyed<T>(&mut self, waited: Result<T>) -> Result<T> {
        if waited.is_err() {
            self.destroy();
        }
        waited
    }

    /// Waits for the command's end, after closing its standard input. Asked again, it says the same.
    ///
    /// With a PID namespace nothing of it is there any more when this returns; what does not die although it is killed (a
    /// process in an uninterruptible wait) is left behind after 2 s. Without one, processes that the command has started may
    /// run on. If the launch failed, what the host says is read, as the calling thread sees it ([`Explain`]).
    ///
    /// # Errors
    ///
    /// If the command did not run, or it cannot be known whether it did ([`Error::failure`]).
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let mut child = Sandbox::new().ro_bind("/", "/").command("false").spawn()?;
    /// assert_eq!(child.wait()?.code(), Some(1));
    /// assert_eq!(child.wait()?.code(), Some(1));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn wait(&mut self) -> Result<ExitStatus> {
        drop(self.stdin.take());
        self.wait_over(None)?;
        self.outcome()
    }

    /// As [`wait`](Self::wait), but not longer than `limit`: `None` if the command still runs then. It runs on.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::Sandbox;
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
    /// let mut child = sandbox.command("sleep").arg("60").spawn()?;
    /// assert_eq!(child.wait_timeout(Duration::from_millis(50))?, None);
    /// child.kill()?;
    /// // killed before the command could run, it is `Error::Stopped`
    /// assert!(!matches!(child.wait_timeout(Duration::from_secs(10)), Ok(None)));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn wait_timeout(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        drop(self.stdin.take());
        if self.wait_over(deadline(limit))? { self.outcome().map(Some) } else { Ok(None) }
    }

    fn wait_over(&mut self, deadline: Option<Instant>) -> Result<bool> {
        let Some(running) = &mut self.launch.running else { return Ok(true) };
        let over = running.wait_over(deadline).map_err(Error::system(Step::WaitForBwrap))?;
        self.launch.conclude(left(deadline));
        Ok(over)
    }

    /// As [`wait_timeout`](Self::wait_timeout), but when the time has passed, or it cannot be waited for, nothing is left of it.
    pub(crate) fn wait_until(&mut self, deadline: Option<Instant>) -> Result<Option<ExitStatus>> {
        drop(self.stdin.take());
        match self.wait_over(deadline) {
            Ok(true) => self.outcome().map(Some),
            unfinished => {
                self.destroy();
                unfinished.map(|_| None)
            }
        }
    }

    /// Says how the command ended, or `None` while it runs.
    ///
    /// It does not wait for the command. Once bwrap has ended, it sees the rest of its PID namespace off, which takes a tenth of a
    /// millisecond, and, as [`wait`](Self::wait), 2 s at most for what does not die. It never asks bwrap again.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// use bwrap_launch::{Sandbox, Stdio};
    /// let mut child = Sandbox::new().ro_bind("/", "/").command("cat").stdin(Stdio::piped()).spawn()?;
    /// assert_eq!(child.try_wait()?, None);
    /// drop(child.stdin.take());
    /// child.wait()?;
    /// assert!(child.try_wait()?.unwrap().success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        let Some(running) = &mut self.launch.running else { return self.outcome().map(Some) };
        let wait = Error::system(Step::WaitForBwrap);
        if !running.turn().map_err(wait)? {
            if running.handshake().phase() != Phase::Ended {
                return Ok(None);
            }
            running.wait_over(None).map_err(Error::system(Step::WaitForBwrap))?;
        }
        self.launch.conclude(Duration::ZERO);
        self.outcome().map(Some)
    }

    /// Kills the sandbox (SIGKILL): every process of its PID namespace, or, without one, the command and all that descends from it
    /// ([`Killer`] says who is found). Its end is still to be waited for. Does nothing if it has ended. A bwrap that has not yet reported what
    /// it made is given half a second for that.
    ///
    /// Killed before the command was executed, the launch ends with [`Error::Stopped`], not with a status.
    ///
    /// # Errors
    ///
    /// If the system denies it: then it runs on.
    ///
    /// ```
    /// use bwrap_launch::{Namespaces, Sandbox};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare(Namespaces::PID);
    /// let mut child = sandbox.command("sh").args(["-c", "echo; sleep 60"]).stdout(Stdio::piped()).spawn()?;
    /// # use std::io::Read;
    /// # use bwrap_launch::Stdio;
    /// child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap(); // it runs
    /// child.kill()?;
    /// assert_eq!(child.wait()?.signal(), Some(9));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn kill(&mut self) -> Result<()> {
        self.killer().kill()
    }

    /// Waits for the command's end and collects what it writes to piped streams, after closing its standard
    /// input. How much of it is kept, and who else gets it, is the [command's](super::Command::capture) to say.
    ///
    /// As in `std`, it waits until nobody can write any more. With a PID namespace that is the command's end; without one, a process
    /// that the command left behind may hold the streams open for as long as it lives, unless output is to
    /// [end with the command](super::Command::output_ends_with_command).
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and if its output cannot be read, or not be [passed on](super::Command::tee): then the sandbox is
    /// ended, and nothing is left of it.
    ///
    /// ```
    /// use bwrap_launch::{Sandbox, Stdio};
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("echo");
    /// let child = command.arg("hello").stdout(Stdio::piped()).spawn()?;
    /// assert_eq!(child.wait_with_output()?.stdout, b"hello\n");
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn wait_with_output(mut self) -> Result<Output> {
        // without a deadline it comes to the end
        self.output_until(None)?.ok_or_else(given_up)
    }

    /// As [`wait_with_output`](Self::wait_with_output), but not longer than `limit`: `None` if it takes longer, and then nothing is left of
    /// the sandbox, nor of what was written so far.
    ///
    /// # Errors
    ///
    /// As [`wait_with_output`](Self::wait_with_output).
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::{Sandbox, Stdio};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").dev("/dev").unshare_all();
    /// let child = sandbox.command("sleep").arg("60").stdout(Stdio::piped()).spawn()?;
    /// assert!(child.wait_with_output_timeout(Duration::from_millis(50))?.is_none());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn wait_with_output_timeout(mut self, limit: Duration) -> Result<Option<Output>> {
        self.output_until(deadline(limit))
    }

    /// As [`wait_with_output`](Self::wait_with_output), but when the deadline has passed nothing is left of it.
    pub(super) fn output_until(&mut self, deadline: Option<Instant>) -> Result<Option<Output>> {
        let output = self.collect(deadline);
        if !matches!(output, Ok(Some(_))) {
            self.destroy();
        }
        output
    }

    /// The output, unless the deadline passes before its end.
    fn collect(&mut self, deadline: Option<Instant>) -> Result<Option<Output>> {
        drop(self.stdin.take());
        let mut reading = self.take_reading();
        let [mut stdout, mut stderr] = [Kept::new(self.handling.capture), Kept::new(self.handling.capture)];
        loop {
            match reading
                .next(self.launch.running.as_mut(), deadline)
                .map_err(Error::system(Step::ReadOutput))?
            {
                Next::Bytes(stream, bytes, before) => {
                    let kept = if stream == Stream::Stdout { &mut stdout } else { &mut stderr };
                    kept.push(bytes);
                    let passed = self.handling.pass_on(stream, bytes, before);
                    passed.map_err(Error::system(Step::PassOutputOn))?;
                    // a command that writes on and on leaves no moment without something to read
                    if left(deadline).is_zero() {
                        return Ok(None);
                    }
                }
                Next::End => break,
                Next::Late => return Ok(None),
            }
        }
        drop(reading);
        if !self.wait_over(deadline)? {
            return Ok(None);
        }
        let status = self.outcome()?;
        let ((stdout, stdout_cut), (stderr, stderr_cut)) = (stdout.finish(), stderr.finish());
        let (warnings, dropped) = (self.warnings(), self.take_dropped());
        let cuts = Cuts::of(stdout_cut, stderr_cut);
        Ok(Some(Output { status, stdout, stderr, cuts, warnings, dropped }))
    }

    /// Both streams, to be read.
    pub(super) fn take_reading(&mut self) -> Reading {
        Reading::new(self.stdout.take(), self.stderr.take(), self.handling.ends_with_command)
    }

    /// What is waited for, until the outcome is known.
    pub(super) fn running(&mut self) -> Option<&mut Running> {
        self.launch.running.as_mut()
    }

    /// From now on it is somebody's, and does when it is dropped what its command says.
    pub(super) fn hand_over(&mut self) {
        self.launch.unclaimed = false;
    }

    /// Takes away what would have to be destroyed now, if it is dropped before anybody else has it.
    #[cfg(feature = "tokio")]
    pub(super) fn take_unclaimed(&mut self) -> Option<Running> {
        if self.launch.unclaimed { self.launch.running.take() } else { None }
    }

    /// Nobody can ask what it has used: the child stays with us.
    pub(super) fn forgo_usage(&mut self) {
        if let Some(running) = self.running() {
            running.forgo_usage();
        }
    }

    /// The same, to be watched.
    pub(super) fn ward(&self) -> Option<&Running> {
        self.launch.running.as_ref()
    }

    pub(super) fn take_dropped(&mut self) -> Vec<Feature> {
        std::mem::take(&mut self.launch.dropped)
    }

    pub(super) fn outcome(&self) -> Result<ExitStatus> {
        self.launch.outcome.clone().unwrap_or_else(|| Err(given_up()))
    }

    /// Kills and reaps it all at once.
    pub(super) fn destroy(&mut self) {
        if let Some(running) = self.launch.running.take() {
            running.destroy();
        }
    }
}

/// For a front that waits in its own way.
#[cfg(feature = "tokio")]
impl Child {
    /// For those who see it to its end themselves.
    pub(super) fn take_running(&mut self) -> Option<Running> {
        self.launch.running.take()
    }

    /// Once it is over: lets go of everything. What failed is to be inquired into, and then [settled](Self::settle).
    pub(super) fn close(&mut self) -> Option<Inquiry> {
        self.launch.close()
    }

    /// What is left to be removed, which may take a while.
    pub(super) fn take_group(&mut self) -> Option<Group> {
        self.launch.group.take()
    }

    pub(super) fn settle(&mut self, error: Error) {
        self.launch.outcome = Some(Err(error));
    }
}

pub(super) fn given_up() -> Error {
    Error::system(Step::WaitForBwrap)(io::Error::other("it was given up before its end"))
}

impl Launch {
    /// Reads what bwrap has reported.
    fn listen(&mut self) {
        let Some(running) = &mut self.running else { return };
        if self.sandbox_pid.is_some() {
            return;
        }
        let status = running.listen();
        let held = running.reach().child_pid();
        self.note(&status, held);
    }

    /// Keeps what bwrap has reported first. Where the command can get at the report, a process that is there counts only if it was
    /// found to be bwrap's.
    fn note(&mut self, status: &Status, held: Option<i32>) {
        let is_ours = |pid: &NonZeroI32| !in_reach(&self.recipe.sandbox) || process_is_gone(*pid);
        let reported = status.child_pid.filter(is_ours).map(NonZeroI32::get);
        if let Some(pid) = held.or(reported).filter(|_| self.sandbox_pid.is_none()) {
            self.sandbox_pid = Some(pid.unsigned_abs());
            self.namespaces = Some(status.namespaces);
        }
    }

    /// The status, and whether memory ran out.
    fn with_memory(&mut self, status: ExitStatus, spared: impl FnOnce() -> bool) -> ExitStatus {
        match self.usage.memory_kills.value() {
            _ if status.success() => status,
            Some(0) => status,
            Some(_) => status.with_out_of_memory(),
            None if status.signal() != Some(libc::SIGKILL) => status,
            None if spared() => {
                self.usage.memory_kills = Figure::Exact(0);
                status
            }
            None => status.with_maybe_out_of_memory(),
        }
    }

    fn command_line(&self) -> String {
        self.line.clone().unwrap_or_else(|| self.recipe.line_for(&self.bwrap))
    }

    /// Once it is over: turns what was seen into the outcome, and lets go of everything.
    fn conclude(&mut self, limit: Duration) {
        let inquiry = self.close();
        self.group = None;
        if let Some(inquiry) = inquiry {
            self.outcome = Some(Err(inquiry.conclude(limit)));
        }
    }

    /// As [`conclude`](Self::conclude), but for what reads the host.
    fn close(&mut self) -> Option<Inquiry> {
        let outcome = self.running.as_ref().and_then(Running::outcome)?;
        let mut running = self.running.take()?;
        self.usage = running.usage();
        self.group = running.take_group();
        self.note(running.handshake().status(), running.reach().child_pid());
        let outcome = match outcome {
            // bwrap never fails to say that it cannot execute the command
            Outcome::NotExecuted { signal: None } if self.words.are_missing() => {
                Outcome::Undecided(Undecided::BwrapEndedEarly { status: 1 })
            }
            outcome => outcome,
        };
        let why = self.record.of(outcome);
        let outcome = match outcome {
            // nobody looks into what was stopped any further
            Outcome::NotExecuted { .. } if why.is_some() && in_reach(&self.recipe.sandbox) => {
                Outcome::Undecided(Undecided::BwrapEndedEarly { status: 1 })
            }
            outcome => outcome,
        };
        self.outcome = match (outcome, why) {
            (Outcome::Ended(status), Some(why)) => Some(Ok(status.with_stop(why))),
            (Outcome::Ended(status), None) => {
                Some(Ok(self.with_memory(status, || running.is_spared_by_oom())))
            }
            (failed, Some(why)) => Some(Err(Error::stopped(why, failed))),
            (_, None) => None,
        };
        if self.outcome.is_some() {
            return None;
        }
        Some(Inquiry {
            outcome,
            words: Arc::clone(&self.words),
            recipe: Arc::clone(&self.recipe),
            repeatable: !self.reads_once && self.recipe.sandbox.is_repeatable(),
            bwrap: self.bwrap.clone(),
            command: self.command_line(),
            namespaces: self.namespaces,
            dropped: self.dropped.clone(),
            explain: self.explain,
        })
    }
}

/// A launch that is over and failed, and what is needed to find out more about that. It can be carried to where blocking is
/// allowed.
pub(super) struct Inquiry {
    outcome: Outcome,
    words: Arc<Words>,
    recipe: Arc<Recipe>,
    repeatable: bool,
    bwrap: Bwrap,
    command: String,
    namespaces: Option<NamespaceIds>,
    dropped: Vec<Feature>,
    explain: Explain,
}

impl Inquiry {
    /// Reads the host, and has bwrap asked once more within this time, as far as that is wanted.
    pub(super) fn conclude(self, limit: Duration) -> Error {
        let explain = self.explain;
        let failure = gather(
            self.outcome,
            Scene {
                words: &self.words,
                recipe: &self.recipe,
                repeatable: self.repeatable,
                bwrap: &self.bwrap,
                command: self.command,
                namespaces: self.namespaces,
                dropped: &self.dropped,
                explain,
            },
        );
        let failure = match explain {
            Explain::AskAgain => failure.ask_again(limit.min(REHEARSAL)),
            _ => failure,
        };
        failure.or_doubted().into()
    }
}

impl AsFd for Child {
    /// A handle on bwrap itself (`pidfd_open(2)`), readable once that has ended.
    ///
    /// Where that call is denied or lacking, as in gVisor, it is an event (`eventfd(2)`) instead: readable some milliseconds after bwrap's end, and
    /// nothing to send signals with; [`killer`](Self::killer) does so in any case.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.launch.process.as_fd()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let Some(mut running) = self.launch.running.take() else { return };
        if self.launch.unclaimed {
            return running.destroy();
        }
        if !running.turn().unwrap_or(false) {
            if self.launch.terms.kill_on_drop {
                stop::on_drop(running.reach(), self.launch.terms);
            }
            keeper::adopt(running);
        }
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("id", &self.launch.id)
            .field("command", &format_args!("{}", self.launch.command_line()))
            .field("outcome", &self.launch.outcome)
            .finish_non_exhaustive()
    }
}
