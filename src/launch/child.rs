//! A launched command: its streams, its end, and what became of it.

use std::fmt;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::{Error, Result, Step};
use super::explain::Explain;
use super::failure::Failure;
use super::gather::{Scene, gather};
use super::handshake::{Outcome, Phase, Undecided};
use super::keeper;
use super::limits::{Limits, Unapplied};
use super::order::Recipe;
use super::output::{ExitStatus, Output};
use super::running::Running;
use super::start::Started;
use super::stdio::{ChildStderr, ChildStdin, ChildStdout};
use super::usage::Usage;
use super::wait::{self, Ward};
use super::words::{Words, warnings};
use crate::bwrap::status::Status;
use crate::bwrap::{Bwrap, Message, NamespaceIds};
use crate::sandbox::Feature;

/// A launched command, as [`std::process::Child`].
///
/// Dropping it neither kills the command nor waits for it, as in `std`; unlike there, no zombie is left: a
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
    /// The command's standard output, if it is piped.
    pub stdout: Option<ChildStdout>,
    /// The command's and bwrap's standard error, if it is piped.
    pub stderr: Option<ChildStderr>,
    launch: Launch,
}

/// A launch from its start to its outcome.
struct Launch {
    id: u32,
    /// `None` once the outcome is known.
    running: Option<Running>,
    /// A handle on bwrap.
    process: Arc<OwnedFd>,
    outcome: Option<Result<ExitStatus>>,
    words: Words,
    /// Without descriptors that somebody else waits for.
    recipe: Arc<Recipe>,
    /// It can be set up once more without harm.
    repeatable: bool,
    /// The command line, if the recipe does not show all of it any more.
    line: Option<String>,
    bwrap: Bwrap,
    dropped: Vec<Feature>,
    unapplied: Vec<Unapplied>,
    /// What had been used at the end.
    usage: Usage,
    explain: Explain,
    sandbox_pid: Option<u32>,
    namespaces: Option<NamespaceIds>,
}

/// How long bwrap may take to say its words once more.
const REHEARSAL: Duration = Duration::from_secs(5);

/// `None` if that is too far away to be told.
pub(super) fn deadline(limit: Duration) -> Option<Instant> {
    Instant::now().checked_add(limit)
}

/// How much of the time is left. As good as all of it without a deadline.
fn left(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()))
}

impl Child {
    pub(super) fn new(started: Started, recipe: &Arc<Recipe>, bwrap: Bwrap, explain: Explain) -> Self {
        let Started { running, stdin, stdout, stderr, words, gate: _, dropped } = started;
        let repeatable = recipe.sandbox.is_repeatable();
        let (line, recipe) = match recipe.without_descriptors() {
            Some(rest) => (Some(recipe.line_for(&bwrap)), Arc::new(rest)),
            None => (None, Arc::clone(recipe)),
        };
        let launch = Launch {
            id: running.pid.as_raw_pid().unsigned_abs(),
            process: running.process(),
            running: Some(running),
            outcome: None,
            words,
            recipe,
            repeatable,
            line,
            bwrap,
            dropped,
            unapplied: Vec::new(),
            usage: Usage::default(),
            explain,
            sandbox_pid: None,
            namespaces: None,
        };
        Self { stdin, stdout, stderr, launch }
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

    /// Sets limits on the sandbox, which waits at the gate.
    pub(super) fn limit(&mut self, limits: &Limits) -> Result<()> {
        let Some(running) = &mut self.launch.running else { return self.outcome().map(drop) };
        match running.limit(limits) {
            Ok(unapplied) => {
                self.launch.unapplied = unapplied;
                Ok(())
            }
            // the end tells more
            Err(_) if running.turn().is_ok_and(|over| over) => {
                self.launch.conclude(Duration::ZERO);
                self.outcome().map(drop)
            }
            Err(unapplied) => Err(unapplied.into()),
        }
    }

    /// What the sandbox has used so far, or, at its end, in all.
    ///
    /// With a control group of its own ([`Limit::Accounting`](crate::Limit::Accounting)) that is what the kernel has counted.
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
        match &self.launch.words {
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
    /// child.wait_ready()?;
    /// child.kill()?;
    /// assert!(child.wait_timeout(Duration::from_secs(10)).is_ok());
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

    /// As [`wait_timeout`](Self::wait_timeout), but when the time has passed nothing is left of it.
    pub(crate) fn wait_until(&mut self, deadline: Option<Instant>) -> Result<Option<ExitStatus>> {
        drop(self.stdin.take());
        if self.wait_over(deadline)? {
            return self.outcome().map(Some);
        }
        self.destroy();
        Ok(None)
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

    /// Kills the sandbox (SIGKILL): every process of its PID namespace, or, without one, the command and at most its direct
    /// children; what those have started lives on. Its end is still to be waited for. Does nothing if it has ended. A bwrap that
    /// has not yet reported what it made is given half a second for that.
    ///
    /// Killed before the command was executed, the launch ends with an error, not with a status.
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
        match &mut self.launch.running {
            Some(running) => running.kill().map_err(Error::system(Step::Kill)),
            None => Ok(()),
        }
    }

    /// Waits for the command's end and collects what it writes to piped streams, after closing its standard
    /// input.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and if its output cannot be read.
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

    /// As [`wait_with_output`](Self::wait_with_output), but when the deadline has passed nothing is left of it.
    pub(super) fn output_until(&mut self, deadline: Option<Instant>) -> Result<Option<Output>> {
        drop(self.stdin.take());
        let (mut stdout, mut stderr) = (self.stdout.take(), self.stderr.take());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let read = Error::system(Step::ReadOutput);
        let all = self.collect((&mut stdout, &mut out), (&mut stderr, &mut err), deadline).map_err(read)?;
        if !all || !self.wait_over(deadline)? {
            self.destroy();
            return Ok(None);
        }
        let status = self.outcome()?;
        let dropped = std::mem::take(&mut self.launch.dropped);
        Ok(Some(Output { status, warnings: warnings(&err), stdout: out, stderr: err, dropped }))
    }

    /// Reads both streams to their ends. Says whether there was time for that. bwrap's end comes first if the command leaves processes behind that
    /// hold them open; those of a PID namespace are ended with it.
    fn collect(
        &mut self,
        (stdout, out): (&mut Option<ChildStdout>, &mut Vec<u8>),
        (stderr, err): (&mut Option<ChildStderr>, &mut Vec<u8>),
        deadline: Option<Instant>,
    ) -> io::Result<bool> {
        let mut buffer = vec![0; 64 << 10];
        while stdout.is_some() || stderr.is_some() {
            if left(deadline).is_zero() {
                return Ok(false);
            }
            if let Some(running) = self.launch.running.as_mut().filter(|running| running.outcome().is_none())
            {
                running.turn()?;
            }
            let watched = self.launch.running.as_ref().filter(|running| running.outcome().is_none());
            let mut streams = Vec::with_capacity(2);
            streams.extend(stdout.as_ref().map(|stream| (true, stream.as_fd())));
            streams.extend(stderr.as_ref().map(|stream| (false, stream.as_fd())));
            let (which, descriptors): (Vec<bool>, Vec<BorrowedFd<'_>>) = streams.into_iter().unzip();
            let readable = wait::wait(watched.map(|running| running as &dyn Ward), &descriptors, deadline)?;
            for (is_stdout, _) in which.into_iter().zip(readable).filter(|(_, readable)| *readable) {
                if is_stdout {
                    drain(stdout, out, &mut buffer)?;
                } else {
                    drain(stderr, err, &mut buffer)?;
                }
            }
        }
        Ok(true)
    }

    fn outcome(&self) -> Result<ExitStatus> {
        self.launch.outcome.clone().unwrap_or_else(|| Err(given_up()))
    }

    /// Kills and reaps it all at once.
    pub(super) fn destroy(&mut self) {
        if let Some(mut running) = self.launch.running.take() {
            running.destroy();
        }
    }
}

fn given_up() -> Error {
    Error::system(Step::WaitForBwrap)(io::Error::other("it was given up before its end"))
}

fn drain(stream: &mut Option<impl Read>, bytes: &mut Vec<u8>, buffer: &mut [u8]) -> io::Result<()> {
    let Some(source) = stream else { return Ok(()) };
    match source.read(buffer) {
        Ok(0) => *stream = None,
        Ok(count) => bytes.extend(buffer.iter().take(count)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

impl Launch {
    /// Reads what bwrap has reported.
    fn listen(&mut self) {
        let Some(running) = &mut self.running else { return };
        let status =
            if self.sandbox_pid.is_some() { *running.handshake().status() } else { running.listen() };
        self.note(&status);
    }

    fn note(&mut self, status: &Status) {
        if let Some(pid) = status.child_pid {
            self.sandbox_pid = Some(pid.get().unsigned_abs());
            self.namespaces = Some(status.namespaces);
        }
    }

    fn command_line(&self) -> String {
        self.line.clone().unwrap_or_else(|| self.recipe.line_for(&self.bwrap))
    }

    /// Once it is over: turns what was seen into the outcome, and lets go of everything.
    fn conclude(&mut self, limit: Duration) {
        let Some(outcome) = self.running.as_ref().and_then(Running::outcome) else { return };
        let Some(running) = self.running.take() else { return };
        self.usage = running.usage();
        self.note(running.handshake().status());
        let outcome = match outcome {
            // bwrap never fails to say that it cannot execute the command
            Outcome::NotExecuted { signal: None } if self.words.are_missing() => {
                Outcome::Undecided(Undecided::BwrapEndedEarly { status: 1 })
            }
            outcome => outcome,
        };
        self.outcome = Some(match outcome {
            Outcome::Ended(status) => Ok(status),
            failed => Err(self.failure(failed, limit).into()),
        });
    }

    fn failure(&self, outcome: Outcome, limit: Duration) -> Failure {
        let failure = gather(
            outcome,
            Scene {
                words: &self.words,
                recipe: &self.recipe,
                repeatable: self.repeatable,
                bwrap: &self.bwrap,
                command: self.command_line(),
                namespaces: self.namespaces,
                dropped: &self.dropped,
                explain: self.explain,
            },
        );
        if self.explain == Explain::AskAgain { failure.ask_again(limit.min(REHEARSAL)) } else { failure }
    }
}

impl AsFd for Child {
    /// A handle on bwrap itself (`pidfd_open(2)`).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.launch.process.as_fd()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let Some(mut running) = self.launch.running.take() else { return };
        if !running.turn().unwrap_or(false) {
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
