//! A launched command, waited for by a runtime.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::super::apply::{Applied, apply};
use super::super::capture::{Cuts, Kept, Stream};
use super::super::cgroup::Left;
use super::super::child;
use super::super::doomed::{Doomed, doom};
use super::super::ending::Stop;
use super::super::error::{Error, Result, Step};
use super::super::handshake::Phase;
use super::super::keeper;
use super::super::launched::given_up;
use super::super::limits::Unapplied;
use super::super::output::{ExitStatus, Output};
use super::super::reach::GRACE;
use super::super::running::Running;
use super::super::stop::{self, Killer};
use super::super::usage::Usage;
use super::super::wait::{self, Ward, deadline, left};
use super::super::watchdog;
use super::elsewhere::{Task, apart, blocking};
use super::pty::Terminal;
use super::reading::{Next, Passing, Reading};
use super::stdio::{ChildStderr, ChildStdin, ChildStdout};
use super::watch::{drive, rest};
use crate::bwrap::{Message, NamespaceIds};
use crate::sandbox::Feature;

/// A launched command, as the crate's [`Child`](crate::Child) and [`tokio::process::Child`].
///
/// Dropping it neither kills the command, unless that was wished ([`Command::kill_on_drop`](super::Command::kill_on_drop)), nor waits
/// for it; no zombie is left. Every method can be given up, by dropping its future, and called again.
///
/// [`tokio::process::Child`]: https://docs.rs/tokio/latest/tokio/process/struct.Child.html
///
/// ```
/// use std::time::Duration;
/// use bwrap_launch::{Sandbox, tokio::Command};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
/// let mut child = Command::new(&sandbox, "sleep").arg("60").spawn().await?;
/// child.wait_ready().await?;
/// assert!(tokio::time::timeout(Duration::from_millis(20), child.wait()).await.is_err());
/// child.kill().await?;
/// assert!(!child.wait().await.is_ok_and(|status| status.success()));
/// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
/// ```
pub struct Child {
    /// The command's standard input, if it is piped.
    pub stdin: Option<ChildStdin>,
    /// The command's standard output, if it is piped.
    pub stdout: Option<ChildStdout>,
    /// The command's and bwrap's standard error, if it is piped.
    pub stderr: Option<ChildStderr>,
    /// Our end of the command's [terminal](super::Command::terminal), if it has one of its own.
    pub terminal: Option<Terminal>,
    held: Held,
    /// Passes on what [lines](super::Lines) read that were dropped.
    pub(super) passing: Option<Passing>,
    /// Finds out why it failed.
    inquiry: Option<Task<Error>>,
    /// Removes its control group.
    removal: Option<Task<()>>,
}

/// A child, and what its end is to be if nobody waits for it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) child: child::Child,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(running) = self.child.take_unclaimed() {
            doom(running);
        }
    }
}

/// How long the rest of a PID namespace may hold up a runtime's thread.
const AT_ONCE: Duration = Duration::from_millis(1);

/// What is being killed. Given up, it is still seen to its end.
struct Doom(Option<Doomed>);

impl Drop for Doom {
    fn drop(&mut self) {
        if let Some(doomed) = self.0.take() {
            keeper::adopt(doomed);
        }
    }
}

impl Child {
    /// Takes charge of the streams, too, within a runtime.
    pub(super) fn new(mut held: Held) -> Result<Self> {
        let pipe = Error::system(Step::MakePipe);
        let child = &mut held.child;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (stderr, terminal) = (child.stderr.take(), child.terminal.take());
        let streams = || {
            let stdin = stdin.map(ChildStdin::new).transpose()?;
            let stdout = stdout.map(ChildStdout::new).transpose()?;
            let stderr = stderr.map(ChildStderr::new).transpose()?;
            Ok((stdin, stdout, stderr, terminal.map(Terminal::new).transpose()?))
        };
        match streams() {
            Ok((stdin, stdout, stderr, terminal)) => Ok(Self {
                stdin,
                stdout,
                stderr,
                terminal,
                held,
                passing: None,
                inquiry: None,
                removal: None,
            }),
            Err(error) => Err(pipe(error)),
        }
    }

    /// What is waited for, until the outcome is known.
    pub(super) fn running(&mut self) -> Option<&mut Running> {
        self.held.child.running()
    }

    /// The same, to be watched.
    pub(super) fn ward(&self) -> Option<&Running> {
        self.held.child.ward()
    }

    /// From now on it is somebody's, and does when it is dropped what its command says.
    pub(super) fn hand_over(&mut self) {
        self.held.child.hand_over();
    }

    pub(super) fn limit(&self) -> Result<()> {
        self.held.child.limit()
    }

    /// A handle that stops the sandbox from any thread or task, while another one waits here. It takes the calling thread's time, as
    /// [`Killer`] says: killing up to half a second where bwrap has only just been started, suspending up to five, and without a PID
    /// namespace as long as there are processes to look for.
    #[must_use]
    pub fn killer(&self) -> Killer {
        self.held.child.killer()
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
        self.held.child.id()
    }

    /// The process id, outside, of the sandbox's first process, once bwrap has reported it
    /// ([`Child::sandbox_pid`](crate::Child::sandbox_pid)).
    #[must_use]
    pub fn sandbox_pid(&mut self) -> Option<u32> {
        self.held.child.sandbox_pid()
    }

    pub(super) fn known_sandbox_pid(&self) -> Option<u32> {
        self.held.child.known_sandbox_pid()
    }

    pub(super) fn known_namespaces(&self) -> Option<NamespaceIds> {
        self.held.child.known_namespaces()
    }

    /// The namespaces that bwrap made, once it has reported them.
    #[must_use]
    pub fn namespaces(&mut self) -> Option<NamespaceIds> {
        self.held.child.namespaces()
    }

    /// Features that this bwrap lacks and the sandbox declared dispensable: they were left out.
    #[must_use]
    pub fn dropped(&self) -> &[Feature] {
        self.held.child.dropped()
    }

    /// Optional limits that could not be set ([`Limits::optional`](crate::Limits::optional)): the command runs without.
    #[must_use]
    pub fn unapplied(&self) -> &[Unapplied] {
        self.held.child.unapplied()
    }

    /// What the sandbox has used so far, or, at its end, in all ([`Child::usage`](crate::Child::usage)).
    #[must_use]
    pub fn usage(&mut self) -> Usage {
        self.held.child.usage()
    }

    /// Sets the limits on the sandbox, which waits at the gate. Control groups are files, and may take time.
    pub(super) async fn apply_limits(&mut self) -> Result<()> {
        let (limits, held) = (self.held.child.limits.clone(), self.held.child.held());
        if limits.is_empty() {
            return Ok(());
        }
        // nobody may come for it any more
        let apply =
            move || apply(&limits, held).map(|mut applied| (Left::new(applied.group.take()), applied));
        match blocking(Step::StartCommand, apply).await? {
            Ok((mut group, applied)) => {
                self.held.child.keep(Applied { group: group.take(), ..applied });
                Ok(())
            }
            Err(unapplied) => self.end_or(unapplied.into()).await,
        }
    }

    /// Has the sandbox end with this process, if that is wished. It must wait at the gate.
    pub(super) async fn watch(&mut self, deadline: Option<Instant>) -> Result<()> {
        if self.held.child.dies_with_caller && !watchdog::is_ready() {
            let started = blocking(Step::StartWatchdog, move || watchdog::ready(deadline)).await?;
            started.map_err(Error::system(Step::StartWatchdog))?;
        }
        // one that is gone again by now is not waited for here
        match self.held.child.try_to_watch(Some(Instant::now())) {
            Err(error) => self.end_or(Error::system(Step::StartWatchdog)(error)).await,
            Ok(()) => Ok(()),
        }
    }

    /// The end of what ended while something was done to it, which tells more than the error that this led to.
    async fn end_or(&mut self, error: Error) -> Result<()> {
        let ended = self.held.child.is_ending() && self.wait_timeout(GRACE).await?.is_some();
        if ended { Ok(()) } else { Err(error) }
    }

    /// bwrap's warnings so far, if standard error is piped. A command can forge them.
    #[must_use]
    pub fn warnings(&self) -> Vec<Message> {
        self.held.child.warnings()
    }

    /// Waits until the sandbox is set up and the command is about to be executed.
    ///
    /// # Errors
    ///
    /// If the sandbox could not be set up.
    ///
    /// ```
    /// use bwrap_launch::{Error, Sandbox, tokio::Command};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let mut child = Command::new(&Sandbox::new().ro_bind("/nonexistent", "/"), "true").spawn().await?;
    /// assert!(matches!(child.wait_ready().await, Err(Error::SetupFailed(_))));
    /// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
    /// ```
    pub async fn wait_ready(&mut self) -> Result<()> {
        self.wait_ready_until(None).await.map(|_| ())
    }

    /// As [`wait_ready`](Self::wait_ready), but not longer than `limit`. Says whether the sandbox is set up; if it is not, it goes
    /// on being set up.
    ///
    /// # Errors
    ///
    /// As [`wait_ready`](Self::wait_ready).
    pub async fn wait_ready_timeout(&mut self, limit: Duration) -> Result<bool> {
        self.wait_ready_until(deadline(limit)).await
    }

    pub(super) async fn wait_ready_until(&mut self, deadline: Option<Instant>) -> Result<bool> {
        let Some(running) = self.held.child.running() else {
            return self.conclude(deadline).await.map(|_| true);
        };
        let ready = match wait_ready(running, deadline).await {
            Ok(ready) => ready,
            // a launch that cannot be watched any more is ended
            Err(error) => {
                self.destroy().await;
                return Err(Error::system(Step::WaitForBwrap)(error));
            }
        };
        if running.handshake().phase() == Phase::Ended {
            return self.conclude(deadline).await.map(|_| true);
        }
        let _ = self.held.child.sandbox_pid();
        Ok(ready)
    }

    /// Waits for the command's end, after closing its standard input. Asked again, it says the same.
    ///
    /// With a PID namespace nothing of it is there any more when this is done; see [`Child::wait`](crate::Child::wait).
    ///
    /// # Errors
    ///
    /// If the command did not run, or it cannot be known whether it did ([`Error::failure`]).
    ///
    /// ```
    /// use bwrap_launch::{Sandbox, tokio::Command};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let mut child = Command::new(&Sandbox::new().ro_bind("/", "/"), "false").spawn().await?;
    /// assert_eq!(child.wait().await?.code(), Some(1));
    /// assert_eq!(child.wait().await?.code(), Some(1));
    /// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
    /// ```
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        drop(self.stdin.take());
        self.wait_over(None).await?;
        self.conclude(None).await
    }

    /// As [`wait`](Self::wait), but not longer than `limit`: `None` if the command still runs then. It runs on, its standard
    /// input closed.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub async fn wait_timeout(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let deadline = deadline(limit);
        drop(self.stdin.take());
        if self.wait_over(deadline).await? { self.conclude(deadline).await.map(Some) } else { Ok(None) }
    }

    async fn wait_over(&mut self, deadline: Option<Instant>) -> Result<bool> {
        let Some(running) = self.held.child.running() else { return Ok(true) };
        drive(running, |_| false, deadline).await.map_err(Error::system(Step::WaitForBwrap))
    }

    /// As [`wait_timeout`](Self::wait_timeout), but when the time has passed nothing is left of it.
    pub(super) async fn wait_until(&mut self, deadline: Option<Instant>) -> Result<Option<ExitStatus>> {
        drop(self.stdin.take());
        if self.wait_over(deadline).await? {
            return self.conclude(deadline).await.map(Some);
        }
        self.destroy().await;
        Ok(None)
    }

    /// Says how the command ended, or `None` while it runs, or while it is still found out why it did not: that is left
    /// to a thread of the crate's.
    ///
    /// Once bwrap has ended, it sees the rest of its PID namespace off, which takes a tenth of a millisecond; what takes longer than one is
    /// left to [`wait`](Self::wait), and to be asked for again.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// use bwrap_launch::{Sandbox, Stdio, tokio::Command};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let mut child = Command::new(&Sandbox::new().ro_bind("/", "/"), "cat").stdin(Stdio::piped()).spawn().await?;
    /// assert_eq!(child.try_wait()?, None);
    /// child.wait().await?; // closes its input
    /// assert!(child.try_wait()?.unwrap().success());
    /// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
    /// ```
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        if let Some(running) = self.held.child.running() {
            let wait = Error::system(Step::WaitForBwrap);
            let over = running.turn().and_then(|over| {
                let ended = running.handshake().phase() == Phase::Ended;
                if over || !ended { Ok(over) } else { running.wait_over(Some(Instant::now() + AT_ONCE)) }
            });
            if !over.map_err(wait)? {
                return Ok(None);
            }
        }
        match self.poll_conclusion(&mut Context::from_waker(Waker::noop()), None) {
            Poll::Ready(outcome) => outcome.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    /// Once it is over: how it ended, for which the host may have to be read.
    async fn conclude(&mut self, deadline: Option<Instant>) -> Result<ExitStatus> {
        poll_fn(|context| self.poll_conclusion(context, deadline)).await
    }

    fn poll_conclusion(
        &mut self,
        context: &mut Context<'_>,
        deadline: Option<Instant>,
    ) -> Poll<Result<ExitStatus>> {
        let inquiry = self.held.child.close();
        if let Some(group) = self.held.child.take_group() {
            // without a thread for it, it is removed at once
            self.removal = Task::start(move || drop(group)).ok();
        }
        if let Some(inquiry) = inquiry {
            let limit = left(deadline);
            match Task::start(move || inquiry.conclude(limit)) {
                Ok(task) => self.inquiry = Some(task),
                // what is known must not be lost for want of a thread
                Err((_, conclude)) => self.held.child.settle(conclude()),
            }
        }
        if let Some(task) = &mut self.inquiry {
            let Poll::Ready(found) = Pin::new(task).poll(context) else { return Poll::Pending };
            self.inquiry = None;
            self.held.child.settle(found.unwrap_or_else(Error::system(Step::WaitForBwrap)));
        }
        if let Some(task) = &mut self.removal {
            let Poll::Ready(_) = Pin::new(task).poll(context) else { return Poll::Pending };
            self.removal = None;
        }
        Poll::Ready(self.held.child.outcome())
    }

    /// Kills the sandbox (SIGKILL), as [`Child::kill`](crate::Child::kill) does. Its end is still to be waited for. Does nothing if it
    /// has ended. A bwrap that has not yet reported what it made is given half a second for that.
    ///
    /// # Errors
    ///
    /// If the system denies it: then it runs on.
    pub async fn kill(&mut self) -> Result<()> {
        let Some(running) = self.held.child.running() else { return Ok(()) };
        let deadline = Instant::now() + GRACE;
        let mut pause = Duration::from_millis(1);
        while !running.has_reported() && Instant::now() < deadline {
            // no descriptor announces the report
            rest(pause).await.map_err(Error::system(Step::Kill))?;
            pause = pause.saturating_mul(2).min(Duration::from_millis(20));
        }
        let reach = Arc::clone(running.reach());
        let kill = move || stop::kill(&reach, Stop::Cancel);
        // processes that have to be looked for are not looked for here
        let killed =
            if running.reach().is_tree() { apart(kill).await.and_then(|killed| killed) } else { kill() };
        killed.map_err(Error::system(Step::Kill))
    }

    /// Waits for the command's end and collects what it writes to piped streams, after closing its standard input
    /// ([`Child::wait_with_output`](crate::Child::wait_with_output)).
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and if its output cannot be read, or not be [passed on](super::Command::tee): then the sandbox is
    /// ended, and nothing is left of it.
    ///
    /// ```
    /// use bwrap_launch::{Sandbox, Stdio, tokio::Command};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let mut command = Command::new(&Sandbox::new().ro_bind("/", "/"), "echo");
    /// let child = command.arg("hello").stdout(Stdio::piped()).spawn().await?;
    /// assert_eq!(child.wait_with_output().await?.stdout, b"hello\n");
    /// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
    /// ```
    pub async fn wait_with_output(mut self) -> Result<Output> {
        // without a deadline it comes to the end
        self.output_until(None).await?.ok_or_else(given_up)
    }

    /// As [`wait_with_output`](Self::wait_with_output), but not longer than `limit`: `None` if it takes longer, and then nothing is left of
    /// the sandbox, nor of what was written so far.
    ///
    /// # Errors
    ///
    /// As [`wait_with_output`](Self::wait_with_output).
    pub async fn wait_with_output_timeout(mut self, limit: Duration) -> Result<Option<Output>> {
        self.output_until(deadline(limit)).await
    }

    /// As [`wait_with_output`](Self::wait_with_output), but when the deadline has passed nothing is left of it.
    pub(super) async fn output_until(&mut self, deadline: Option<Instant>) -> Result<Option<Output>> {
        drop(self.stdin.take());
        let mut reading = self.take_reading();
        let capture = self.held.child.handling.capture;
        let [mut stdout, mut stderr] = [Kept::new(capture), Kept::new(capture)];
        let all = loop {
            match reading.next(self.held.child.running(), deadline).await {
                Ok(Next::Bytes(stream, bytes)) => {
                    let kept = if stream == Stream::Stdout { &mut stdout } else { &mut stderr };
                    kept.push(bytes);
                    // a command that writes on and on leaves no moment without something to read
                    if left(deadline).is_zero() {
                        break false;
                    }
                }
                Ok(Next::End) => break true,
                Ok(Next::Late) => break false,
                Err(error) => {
                    self.destroy().await;
                    return Err(error);
                }
            }
        };
        drop(reading);
        if !all || !self.wait_over(deadline).await? {
            self.destroy().await;
            return Ok(None);
        }
        let status = self.conclude(deadline).await?;
        let ((stdout, stdout_cut), (stderr, stderr_cut)) = (stdout.finish(), stderr.finish());
        let (cuts, warnings) = (Cuts::of(stdout_cut, stderr_cut), self.held.child.warnings());
        let dropped = self.held.child.take_dropped();
        Ok(Some(Output { status, stdout, stderr, cuts, warnings, dropped }))
    }

    /// Both streams, to be read.
    pub(super) fn take_reading(&mut self) -> Reading {
        let handling = self.held.child.handling.clone();
        Reading::new(self.stdout.take(), self.stderr.take(), handling, self.passing.take())
    }

    /// Kills it all, and waits for that.
    pub(super) async fn destroy(&mut self) {
        let Some(mut running) = self.held.child.take_running() else { return };
        let mut group = Left::new(running.take_group());
        if running.reach().is_tree() {
            let mut doomed = Doomed::new(running);
            let _ = apart(move || wait::drive(&mut doomed, |_| false, None)).await;
        } else {
            let mut doom = Doom(Some(Doomed::new(running)));
            if let Some(doomed) = &mut doom.0
                && drive(doomed, |_| false, None).await.is_ok()
            {
                doom.0 = None;
            }
        }
        if let Some(group) = group.take() {
            // given up, it is removed nevertheless
            let _ = blocking(Step::WaitForBwrap, move || drop(group)).await;
        }
    }
}

/// Waits until everything is set up or it is over, whichever comes first, or the deadline has passed.
async fn wait_ready(running: &mut Running, deadline: Option<Instant>) -> io::Result<bool> {
    running.heed_ready();
    drive(running, |running| running.handshake().phase() >= Phase::Ready, deadline).await?;
    // a bwrap that has ended leaves something to be seen off, for a moment
    if running.handshake().phase() == Phase::Ended {
        drive(running, |_| false, None).await?;
    }
    Ok(running.handshake().phase() >= Phase::Ready)
}

impl AsFd for Child {
    /// As that of the crate's [`Child`](crate::Child#impl-AsFd-for-Child): it is readable once bwrap has ended. Why a launch has failed is
    /// found out after that, so [`try_wait`](Self::try_wait) may not know it yet.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.held.child.as_fd()
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.held.child.fmt(f)
    }
}
