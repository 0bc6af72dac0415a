//! A launched command: its streams, its end, and what became of it.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::process::Pid;

use super::apply::{Applied, apply};
use super::capture::Handling;
#[cfg(feature = "tokio")]
use super::cgroup::Group;
use super::error::{Error, Result, Step};
use super::explain::Explain;
use super::handle::Handle;
use super::keeper;
#[cfg(feature = "tokio")]
use super::launched::Inquiry;
use super::launched::{Launch, given_up};
use super::limits::{Limits, Unapplied};
use super::order::Recipe;
use super::output::ExitStatus;
use super::pty::Terminal;
use super::reach::GRACE;
use super::running::Running;
use super::start::{self, Started};
use super::stdio::{ChildStderr, ChildStdin, ChildStdout};
use super::stop::{self, Killer, Terms};
use super::usage::Usage;
use super::wait::Ward;
use super::words::{Words, warnings};
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
    pub(super) launch: Launch,
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

    /// Kills the sandbox (SIGKILL): every process of its PID namespace, or, without one, the command and all that descends from it
    /// ([`Killer`](Killer) says who is found). Its end is still to be waited for. Does nothing if it has ended. A bwrap that has not yet reported what
    /// it made is given half a second for that.
    ///
    /// Killed before the command was executed, the launch ends with [`Error::Stopped`], not with a status.
    ///
    /// # Errors
    ///
    /// If the system denies it: then it runs on.
    ///
    /// ```
    /// use std::io::Read;
    /// use bwrap_launch::{Namespaces, Sandbox, Stdio};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare(Namespaces::PID);
    /// let mut child = sandbox.command("sh").args(["-c", "echo; sleep 60"]).stdout(Stdio::piped()).spawn()?;
    /// child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap(); // it runs
    /// child.kill()?;
    /// assert_eq!(child.wait()?.signal(), Some(9));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn kill(&mut self) -> Result<()> {
        self.killer().kill()
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
        if !running.is_ours() {
            return std::mem::forget(running);
        }
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
