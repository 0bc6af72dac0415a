//! A launched command: its streams, its end, and what became of it.

use std::fmt;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::command::{Command, Recipe};
use super::handshake::{Phase, Verdict};
use super::outcome::{Failure, Heard, Text};
use super::running::Running;
use super::stdio::{ChildStderr, ChildStdin, ChildStdout};
use super::words::{Words, plausible, warnings};
use super::{ExitStatus, Output, keeper};
use crate::bwrap::message::find;
use crate::bwrap::{Bwrap, Message, NamespaceIds, Severity, Stage};
use crate::diagnosis::{ProgramProblem, decisive, diagnose};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::host::inside::{self, Attempt, Sought};
use crate::sandbox::Feature;

/// A launched command, as [`std::process::Child`].
///
/// Dropping it neither kills the command nor waits for it, as in `std`; unlike there, no zombie is left: a
/// thread of this crate sees it to its end. What of a PID namespace is still running when the command ends is
/// killed. Dropping it takes no time, unless bwrap has ended and left a broken sandbox behind: what of that does not die
/// when it is killed is waited for, 2 s at most for each process.
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
    sandbox_pid: Option<u32>,
    namespaces: Option<NamespaceIds>,
}

/// How long bwrap may take to say its words once more.
const REHEARSAL: Duration = Duration::from_secs(5);

impl Child {
    pub(crate) fn new(
        running: Running,
        words: Words,
        recipe: Arc<Recipe>,
        bwrap: Bwrap,
        dropped: Vec<Feature>,
    ) -> Self {
        let repeatable = recipe.sandbox.is_repeatable();
        let (line, recipe) = match recipe.without_descriptors() {
            Some(rest) => (Some(recipe.line_for(&bwrap)), Arc::new(rest)),
            None => (None, recipe),
        };
        let launch = Launch {
            id: running.pid.as_raw_pid().unsigned_abs(),
            running: Some(running),
            outcome: None,
            words,
            recipe,
            repeatable,
            line,
            bwrap,
            dropped,
            sandbox_pid: None,
            namespaces: None,
        };
        Self { stdin: None, stdout: None, stderr: None, launch }
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

    /// bwrap's warnings so far. A command can forge them.
    ///
    /// Where standard error is no pipe to this process, bwrap is asked to set up the same sandbox once more without
    /// running anything, if it can have warned at all ([`Sandbox::not_a_security_boundary`](crate::Sandbox)).
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
        let launch = &self.launch;
        // the one setting under which bwrap goes on after a complaint
        let warns = launch.recipe.sandbox.privileges.not_a_security_boundary;
        let words = match &launch.words {
            Words::Pipe(_) => launch.words.heard().ok(),
            // in a file there may be those of others
            Words::File { .. } | Words::Elsewhere if warns => launch.rehearse().map(|(_, words)| words),
            Words::File { .. } | Words::Elsewhere => None,
        };
        warnings(&words.unwrap_or_default())
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
        let Some(running) = &mut self.launch.running else {
            return self.outcome().map(|_| ());
        };
        if running.wait_ready(None).map_err(Error::system("wait for bwrap"))? == Phase::Ended {
            self.wait()?;
        }
        self.launch.listen();
        Ok(())
    }

    /// As [`wait_ready`](Self::wait_ready), but not beyond a deadline. Says whether it is ready. If bwrap fails without a
    /// word, it is not asked again: there is no time for that.
    pub(super) fn wait_ready_until(&mut self, deadline: Instant) -> Result<bool> {
        self.launch.repeatable = false;
        let Some(running) = &mut self.launch.running else { return self.outcome().map(|_| true) };
        let phase = running.wait_ready(Some(deadline)).map_err(Error::system("wait for bwrap"))?;
        if phase == Phase::Ended {
            self.wait()?;
        }
        Ok(phase >= Phase::Ready)
    }

    /// Waits for the command's end, after closing its standard input. Asked again, it says the same.
    ///
    /// A launch that failed is looked into before this returns: bwrap may be asked for its words once more, which takes 5 s
    /// at most (mostly some milliseconds), and the host is read, as the calling thread sees it. What of a broken sandbox
    /// does not die when it is killed is waited for, 2 s at most for each process, and then left behind.
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
        if let Some(running) = &mut self.launch.running {
            let verdict = running.wait_end().map_err(Error::system("wait for bwrap"))?;
            self.launch.conclude(verdict);
        }
        self.outcome()
    }

    /// As [`wait`](Self::wait), but not beyond a deadline: `None` if it takes longer, and then nothing is left of it.
    pub(crate) fn wait_until(&mut self, deadline: Instant) -> Result<Option<ExitStatus>> {
        if let Some(running) = &self.launch.running
            && !running.wait_end_until(deadline).map_err(Error::system("wait for bwrap"))?
        {
            self.destroy();
            return Ok(None);
        }
        self.wait().map(Some)
    }

    /// Says how the command ended, or `None` while it runs.
    ///
    /// It does not wait for the command; but once bwrap has ended, and the launch failed, it takes as long as
    /// [`wait`](Self::wait) to find out why.
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
        if let Some(running) = &mut self.launch.running {
            if !running.has_ended().map_err(Error::system("wait for bwrap"))? {
                return Ok(None);
            }
            let verdict = running.finish();
            self.launch.conclude(verdict);
        }
        self.outcome().map(Some)
    }

    /// Kills the sandbox (SIGKILL): every process of its PID namespace, or, without one, the command and at most its direct
    /// children; what those have started lives on. Its end is still to be waited for. Does nothing if it has ended.
    ///
    /// # Errors
    ///
    /// If the system denies it.
    ///
    /// Killed before the command was executed, the launch ends with an error, not with a status.
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
            Some(running) => running.kill().map_err(Error::system("kill the sandbox")),
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
        drop(self.stdin.take());
        let (mut stdout, mut stderr) = (self.stdout.take(), self.stderr.take());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let read = Error::system("read the command's output");
        self.collect((&mut stdout, &mut out), (&mut stderr, &mut err)).map_err(read)?;
        let status = self.wait()?;
        let dropped = std::mem::take(&mut self.launch.dropped);
        Ok(Output { status, warnings: warnings(&err), stdout: out, stderr: err, dropped })
    }

    /// Reads both streams to their ends. bwrap's end comes first if the command leaves processes behind that
    /// hold them open; those of a PID namespace are ended with it.
    fn collect(
        &mut self,
        (stdout, out): (&mut Option<ChildStdout>, &mut Vec<u8>),
        (stderr, err): (&mut Option<ChildStderr>, &mut Vec<u8>),
    ) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        while stdout.is_some() || stderr.is_some() {
            let running = self.launch.running.as_ref();
            let sources = [
                stdout.as_ref().map(AsFd::as_fd),
                stderr.as_ref().map(AsFd::as_fd),
                running.map(AsFd::as_fd),
            ];
            let present = |source: &Option<_>| source.is_some();
            let which: Vec<usize> =
                sources.iter().enumerate().filter(|(_, s)| present(s)).map(|(i, _)| i).collect();
            let mut polled: Vec<PollFd<'_>> = sources
                .into_iter()
                .flatten()
                .map(|source| PollFd::from_borrowed_fd(source, PollFlags::IN))
                .collect();
            match poll(&mut polled, None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let ready = polled.iter().zip(which).filter(|(source, _)| !source.revents().is_empty());
            let ready: Vec<usize> = ready.map(|(_, index)| index).collect();
            for index in ready {
                match index {
                    0 => drain(stdout, out, &mut buffer)?,
                    1 => drain(stderr, err, &mut buffer)?,
                    _ => {
                        if let Some(running) = &mut self.launch.running {
                            let verdict = running.finish();
                            self.launch.conclude(verdict);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn outcome(&self) -> Result<ExitStatus> {
        self.launch.outcome.clone().unwrap_or_else(|| {
            Err(Error::system("wait for bwrap")(io::Error::other("it was given up before its end")))
        })
    }

    /// Lets bwrap end and returns how it did and its words, for a rehearsal.
    pub(super) fn end_with_words(mut self) -> Option<(Verdict, Vec<u8>)> {
        let mut running = self.launch.running.take()?;
        if !running.wait_end_until(Instant::now() + REHEARSAL).unwrap_or(false) {
            running.destroy();
            return None;
        }
        let verdict = running.finish();
        Some((verdict, self.launch.words.heard().ok()?))
    }

    /// Kills and reaps it all at once.
    pub(super) fn destroy(&mut self) {
        if let Some(mut running) = self.launch.running.take() {
            running.destroy();
        }
    }
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
    fn listen(&mut self) {
        let Some(running) = &mut self.running else { return };
        let status =
            if self.sandbox_pid.is_some() { *running.handshake().status() } else { running.listen() };
        if let Some(pid) = status.child_pid {
            self.sandbox_pid = Some(pid.get().unsigned_abs());
            self.namespaces = Some(status.namespaces);
        }
    }

    fn command_line(&self) -> String {
        self.line.clone().unwrap_or_else(|| self.recipe.line_for(&self.bwrap))
    }

    /// Turns the verdict into the outcome, and lets go of everything.
    fn conclude(&mut self, verdict: Verdict) {
        self.listen();
        self.running = None;
        self.outcome = Some(match verdict {
            Verdict::Ended(status) => Ok(status),
            Verdict::Refused { .. } => Err(Error::Refused(self.failure(verdict))),
            Verdict::SetupFailed { .. } => Err(Error::SetupFailed(self.failure(verdict))),
            Verdict::NotExecuted { .. } => Err(Error::NotExecuted(self.failure(verdict))),
            Verdict::Undecided(_) => Err(Error::Undecided(self.failure(verdict))),
        });
    }

    fn failure(&self, verdict: Verdict) -> Arc<Failure> {
        let mut failure = Failure {
            verdict,
            words: Text::default(),
            heard: Heard::Lost,
            messages: Vec::new(),
            program: None,
            diagnosis: None,
            command: self.command_line(),
            namespaces: self.namespaces,
            dropped: self.dropped.clone(),
        };
        self.hear(&mut failure);
        let executing = failure.stage().is_none_or(|stage| stage == Stage::Exec);
        if matches!(verdict, Verdict::NotExecuted { .. }) && failure.had_words() && executing {
            let sandbox = &self.recipe.sandbox;
            let inherited = sandbox.environment.inherited(std::env::vars_os);
            let environment = &sandbox.environment;
            let sought = Sought {
                program: &self.recipe.program,
                path: environment.value("PATH", &inherited),
                home: environment.value("HOME", &inherited).filter(|_| !environment.is_secret("HOME")),
                attempt: Attempt::Failed(failure.message().and_then(|message| message.errno()?.code())),
            };
            let found = inside::find(sandbox, sought);
            // what was searched is what PATH says
            let secret =
                sandbox.environment.is_secret("PATH") && !self.recipe.program.as_bytes().contains(&b'/');
            failure.program = if secret { found.and_then(ProgramProblem::without_search) } else { found };
        }
        if failure.undecided().is_none() {
            let host = Host::snapshot_for(self.bwrap.path(), self.bwrap.version_text());
            failure.diagnosis = Some(diagnose(&failure.symptom(), &host, Some(&self.recipe.sandbox)));
        }
        Arc::new(failure)
    }

    /// Comes by bwrap's words where they were written, or lets it say them once more.
    fn hear(&self, failure: &mut Failure) {
        let written = self.words.heard().unwrap_or_default();
        let asks = failure.had_words() && failure.undecided().is_none();
        if let Words::Pipe(_) = self.words {
            failure.messages = Message::parse_all(&written);
            if failure.message().is_some() || !asks {
                (failure.words, failure.heard) = (Text(written), Heard::Captured);
                return;
            }
        }
        // what may have run must not run again
        if asks && let Some((words, messages)) = self.repeat(failure.verdict) {
            let stands = |message: &Message| find(&written, message.text().as_bytes()).is_some();
            failure.heard = if messages.iter().all(stands) { Heard::Captured } else { Heard::AskedAgain };
            (failure.words, failure.messages) = (Text(words), messages);
            return;
        }
        let words = match self.words {
            Words::File { .. } => plausible(&written, failure.verdict, &self.recipe),
            Words::Pipe(_) | Words::Elsewhere => written,
        };
        failure.messages = Message::parse_all(&words);
        if failure.message().is_some() {
            failure.heard = Heard::Overheard;
        }
        failure.words = Text(words);
    }

    /// What bwrap says once more about a failure, if it fails in the same way.
    fn repeat(&self, verdict: Verdict) -> Option<(Vec<u8>, Vec<Message>)> {
        let (again, words) = self.rehearse()?;
        let mut messages = Message::parse_all(&words);
        match (verdict, again) {
            (Verdict::Refused { .. }, Verdict::Refused { .. })
            | (Verdict::SetupFailed { .. }, Verdict::SetupFailed { .. }) => {}
            // at the latest it fails at the gate, which nobody opens in a rehearsal; two processes complain about that, and
            // their words may end up in one line
            (Verdict::NotExecuted { .. }, Verdict::NotExecuted { .. }) => messages.retain(|message| {
                message.stage() == Stage::Environment || message.severity() == Severity::Warning
            }),
            _ => return None,
        }
        decisive(&messages)?;
        Some((words, messages))
    }

    /// Lets bwrap set the sandbox up once more, without running anything, where that does no harm.
    fn rehearse(&self) -> Option<(Verdict, Vec<u8>)> {
        if self.repeatable { Command::rehearse(&self.recipe, &self.bwrap) } else { None }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let Some(mut running) = self.launch.running.take() else { return };
        match running.has_ended() {
            Ok(true) => {
                running.finish();
            }
            _ => keeper::adopt(running),
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
