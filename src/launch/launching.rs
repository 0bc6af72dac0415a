//! A command, launched: the calls of `std::process::Command`, and how they come to a child.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::child::Child;
use super::command::Command;
use super::error::{Error, Result, Step};
use super::explain::Explain;
use super::failure::Failure;
use super::gate::Gate;
use super::gather::gather_elsewhere;
use super::handshake::Outcome;
use super::launched::given_up;
use super::order::{Order, Recipe};
use super::output::{ExitStatus, Output};
use super::prepared::Prepared;
use super::pty::Terminal;
use super::start::{self, Started, is_late};
use super::stdio::{Stdio, StdioKind};
use super::wait::deadline;
use crate::bwrap::Bwrap;

/// What streams are connected to about which nothing was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    Inherited,
    /// The input is empty: nobody is there to write to it.
    Piped,
    Null,
}

/// How a command is set up this time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup {
    pub(super) streams: Streams,
    /// It is not to begin by itself.
    pub(super) hold: bool,
    /// When what comes before it, to be read or written, has taken too long.
    pub(super) deadline: Option<Instant>,
}

impl Streams {
    fn output(self, stdio: Option<&Stdio>) -> &StdioKind {
        match (stdio, self) {
            (Some(stdio), _) => &stdio.0,
            (None, Self::Inherited) => &StdioKind::Inherit,
            (None, Self::Piped) => &StdioKind::Piped,
            (None, Self::Null) => &StdioKind::Null,
        }
    }

    fn input(self, stdio: Option<&Stdio>) -> &StdioKind {
        match (stdio, self) {
            (None, Self::Piped) => &StdioKind::Null,
            _ => self.output(stdio),
        }
    }
}

/// # Launching
///
/// ```
/// use bwrap_launch::Sandbox;
/// let mut command = Sandbox::new().ro_bind("/", "/").command("echo");
/// command.arg("hello");
/// command.check()?;
/// assert_eq!(command.output()?.stdout, b"hello\n");
/// assert!(command.status()?.success());
/// assert!(command.spawn()?.wait()?.success());
/// assert!(command.prepare()?.start()?.wait()?.success());
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
impl Command {
    /// Launches the command and returns at once.
    ///
    /// # Errors
    ///
    /// If there is no usable bwrap, the description cannot work, or the system denies what the launch needs.
    /// Whether the sandbox could be set up is only known later: [`Child::wait_ready`] and [`Child::wait`]
    /// tell.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let mut child = Sandbox::new().ro_bind("/", "/").command("true").spawn()?;
    /// // ... something else meanwhile ...
    /// assert!(child.wait()?.success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn spawn(&mut self) -> Result<Child> {
        let mut child = self.launch(Streams::Inherited, Explain::Facts)?;
        child.hand_over();
        Ok(child)
    }

    /// Launches the command and waits for its end.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn), and if the command did not run ([`Error::failure`](crate::Error::failure)).
    ///
    /// ```
    /// use bwrap_launch::{Error, Sandbox};
    /// let sandbox = Sandbox::new().ro_bind("/", "/");
    /// assert_eq!(sandbox.command("false").status()?.code(), Some(1));
    /// assert!(matches!(sandbox.command("no-such-program").status(), Err(Error::NotExecuted(_))));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn status(&mut self) -> Result<ExitStatus> {
        self.check_unattended()?;
        let mut child = self.launch(Streams::Inherited, Explain::AskAgain)?;
        child.forgo_usage();
        child.wait()
    }

    /// Launches the command and collects what it writes.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status), and if its output cannot be read.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let output = Sandbox::new().ro_bind("/", "/").command("echo").arg("hello").output()?;
    /// assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"hello\n"[..]));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn output(&mut self) -> Result<Output> {
        self.check_unattended()?;
        let mut child = self.launch(Streams::Piped, Explain::AskAgain)?;
        child.forgo_usage();
        child.wait_with_output()
    }

    /// As [`status`](Self::status), but not longer than `limit`: `None` if it takes longer, and then nothing is left of the sandbox. What does not die although it is killed takes
    /// 2 s more, and is left behind then. Without a PID namespace all processes are looked for one by one, about a tenth of a millisecond each,
    /// and longer if they start others as fast.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status). bwrap is asked again only within the limit. Outside of it is looking for bwrap where
    /// [`bwrap`](Self::bwrap) names none: one that does not answer is waited for as [`Bwrap::find`] says.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::Sandbox;
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
    /// assert!(sandbox.command("true").status_timeout(Duration::from_secs(10))?.is_some());
    /// assert!(sandbox.command("sleep").arg("60").status_timeout(Duration::from_millis(50))?.is_none());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn status_timeout(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        match self.launch_until(Streams::Inherited, deadline(limit))? {
            Some((mut child, deadline)) => child.wait_until(deadline),
            None => Ok(None),
        }
    }

    /// As [`output`](Self::output), but not longer than `limit`: `None` if it takes longer, and then nothing is left of the sandbox,
    /// nor of what was written so far.
    ///
    /// # Errors
    ///
    /// As [`output`](Self::output). bwrap is asked again only within the limit, and looked for outside of it, as
    /// [`status_timeout`](Self::status_timeout) says. Whoever its output is [passed on](Self::tee) to is waited for, however long that takes.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::Sandbox;
    /// let sandbox = Sandbox::new().ro_bind("/", "/").dev("/dev").unshare_all();
    /// let output = sandbox.command("echo").arg("hello").output_timeout(Duration::from_secs(10))?;
    /// assert_eq!(output.unwrap().stdout, b"hello\n");
    /// let script = "echo; sleep 60 & wait";
    /// let output = sandbox.command("sh").args(["-c", script]).output_timeout(Duration::from_millis(50))?;
    /// assert!(output.is_none());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn output_timeout(&mut self, limit: Duration) -> Result<Option<Output>> {
        match self.launch_until(Streams::Piped, deadline(limit))? {
            Some((mut child, deadline)) => child.output_until(deadline),
            None => Ok(None),
        }
    }

    /// Launches, and passes the deadline on. `None` if that has passed before the command could begin.
    fn launch_until(
        &self,
        streams: Streams,
        deadline: Option<Instant>,
    ) -> Result<Option<(Child, Option<Instant>)>> {
        self.check_unattended()?;
        let explain = self.explain.unwrap_or(Explain::AskAgain);
        match self.run(Setup { streams, hold: false, deadline }, explain) {
            Err(error) if is_late(&error, deadline) => Ok(None),
            child => Ok(child?.map(|mut child| {
                child.forgo_usage();
                (child, deadline)
            })),
        }
    }

    /// Launches, by way of the gate if there is something to be done there. `None` if the deadline has passed before that.
    fn run(&self, setup: Setup, explain: Explain) -> Result<Option<Child>> {
        let (child, gate) = self.start(setup, explain)?;
        if gate.is_none() {
            return Ok(Some(child));
        }
        let mut prepared = Prepared::new(child, gate);
        // dropped, it is destroyed
        if prepared.wait_ready(setup.deadline)? { prepared.open(setup.deadline).map(Some) } else { Ok(None) }
    }

    /// Sets the sandbox up and holds it, complete and isolated, until it is told to start.
    ///
    /// The gate is the descriptor of a system call filter (`--seccomp`) that bwrap reads last of all. If this
    /// process dies first, the command never runs. A sandbox without a filter of its own gets one that allows
    /// everything, which costs about 30 ns a system call.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn), and if the sandbox could not be set up. A sandbox with several filters
    /// cannot be held ([`Problem::Conflict`](crate::Problem::Conflict)).
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let prepared = Sandbox::new().ro_bind("/", "/").unshare_all().command("true").prepare()?;
    /// println!("process {:?} is isolated and waits", prepared.sandbox_pid());
    /// assert!(prepared.start()?.wait()?.success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn prepare(&mut self) -> Result<Prepared> {
        let explain = self.explain.unwrap_or(Explain::Facts);
        let mut prepared = self.hold(Streams::Inherited, None, explain)?;
        prepared.wait_ready(None)?;
        Ok(prepared)
    }

    /// As [`prepare`](Self::prepare), but not longer than `limit`: `None` if it takes longer, and then nothing is left of it. What does not die although it is killed takes
    /// 2 s more, and is left behind then.
    ///
    /// # Errors
    ///
    /// As [`prepare`](Self::prepare). bwrap is looked for outside of the limit, as [`status_timeout`](Self::status_timeout) says.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::Sandbox;
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("true");
    /// match command.prepare_timeout(Duration::from_secs(10))? {
    ///     Some(prepared) => assert!(prepared.start()?.wait()?.success()),
    ///     None => eprintln!("a source does not answer"),
    /// }
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn prepare_timeout(&mut self, limit: Duration) -> Result<Option<Prepared>> {
        self.prepare_until(Streams::Inherited, deadline(limit))
    }

    pub(crate) fn prepare_until(
        &self,
        streams: Streams,
        deadline: Option<Instant>,
    ) -> Result<Option<Prepared>> {
        let explain = self.explain.unwrap_or(Explain::Facts);
        let prepare = || {
            let mut prepared = self.hold(streams, deadline, explain)?;
            // dropped, it is destroyed
            Ok(prepared.wait_ready(deadline)?.then_some(prepared))
        };
        match prepare() {
            Err(error) if is_late(&error, deadline) => Ok(None),
            prepared => prepared,
        }
    }

    /// What keeps a launch with this bwrap from starting it: the same checks, and nothing is opened.
    pub(crate) fn refusal(&self, bwrap: &Bwrap) -> Option<Error> {
        let setup = Setup { streams: Streams::Null, hold: false, deadline: None };
        let checked = self.check().map_err(Error::from);
        checked.and_then(|()| start::arguments(&self.order(bwrap, setup)).map(drop)).err()
    }

    /// The same launch with another program, and without the arguments.
    pub(crate) fn instead(&self, program: &str) -> Self {
        let recipe = Recipe {
            sandbox: self.recipe.sandbox.clone(),
            program: program.into(),
            arguments: Vec::new(),
            arg0: None,
        };
        Self { recipe: Arc::new(recipe), ..self.clone() }
    }

    /// What is known of a launch of this command that somebody else made.
    pub(crate) fn failed_elsewhere(&self, bwrap: &Bwrap, outcome: Outcome) -> Failure {
        let mut recipe = Recipe::clone(&self.recipe);
        recipe.sandbox = recipe.sandbox.with_contents(|descriptor| {
            let path = format!("/proc/self/fd/{}", descriptor.current_number());
            // of what is no file, bwrap has read all there was
            let is_file = std::fs::metadata(&path).is_ok_and(|meta| meta.is_file());
            if is_file { std::fs::read(&path).ok() } else { None }
        });
        gather_elsewhere(outcome, &Arc::new(recipe), bwrap)
    }

    pub(super) fn hold(
        &self,
        streams: Streams,
        deadline: Option<Instant>,
        explain: Explain,
    ) -> Result<Prepared> {
        let (child, gate) = self.start(Setup { streams, hold: true, deadline }, explain)?;
        Ok(Prepared::new(child, gate))
    }

    pub(super) fn child(&self, started: Started, bwrap: Bwrap, explain: Explain) -> Child {
        let mut child = Child::new(started, &self.recipe, bwrap, (explain, self.terms));
        child.handling = self.handling.clone();
        child.limits = self.limits.clone();
        child.dies_with_caller = self.dies_with_caller;
        child
    }

    fn launch(&self, streams: Streams, explain: Explain) -> Result<Child> {
        let setup = Setup { streams, hold: false, deadline: None };
        self.run(setup, self.explain.unwrap_or(explain))?.ok_or_else(given_up)
    }

    /// Starts bwrap, and waits for id maps. There is a gate if it is to be held, or something is to be done there. If it is not to
    /// be held, its time begins, although it is still to be set up.
    fn start(&self, setup: Setup, explain: Explain) -> Result<(Child, Option<Gate>)> {
        let start = || {
            // a description that is wrong is, whatever bwrap there is
            self.check()?;
            let bwrap = match &self.bwrap {
                Some(bwrap) => bwrap.clone(),
                None => Bwrap::find()?,
            };
            let mut started = self.started(&bwrap, setup, start::begin)?;
            let gate = started.gate.take();
            // dropped, it is destroyed
            let mut child = self.child(started, bwrap, explain);
            if !setup.hold {
                child.limit()?;
            }
            child.wait_mapped(setup.deadline)?;
            Ok((child, gate))
        };
        start().map_err(|error: Error| match explain {
            Explain::Nothing => error,
            _ => error.explain_here(),
        })
    }

    /// Has it started in this way, with a terminal of its own if that is wished.
    pub(super) fn started(
        &self,
        bwrap: &Bwrap,
        setup: Setup,
        start: impl FnOnce(&Order<'_>) -> Result<Started>,
    ) -> Result<Started> {
        let opened = self.terminal.map(Terminal::open).transpose();
        let Some((ours, theirs)) = opened.map_err(Error::system(Step::OpenTerminal))? else {
            return start(&self.order(bwrap, setup));
        };
        let terminal = theirs.as_raw_fd();
        let theirs = StdioKind::Descriptor(Arc::new(theirs));
        let mut order = self.order(bwrap, setup);
        for (stdio, kind) in [
            (&self.stdin, &mut order.stdin),
            (&self.stdout, &mut order.stdout),
            (&self.stderr, &mut order.stderr),
        ] {
            if stdio.is_none() {
                *kind = &theirs;
            }
        }
        // otherwise bwrap makes the command a session without one
        order.terminal = (!self.recipe.sandbox.privileges.new_session).then_some(terminal);
        let mut started = start(&order)?;
        started.terminal = Some(ours);
        Ok(started)
    }

    fn order<'a>(&'a self, bwrap: &'a Bwrap, setup: Setup) -> Order<'a> {
        let Setup { streams, hold, deadline } = setup;
        Order {
            recipe: &self.recipe,
            bwrap,
            stdin: streams.input(self.stdin.as_ref()),
            stdout: streams.output(self.stdout.as_ref()),
            stderr: streams.output(self.stderr.as_ref()),
            descriptors: &self.descriptors,
            // whoever launches it gets the gate, and must do what is to be done there before it opens it
            hold: hold || self.needs_gate().is_some(),
            deadline,
            dies_with_caller: self.dies_with_caller,
            keeps_ignored_signals: self.keeps_ignored_signals,
            terminal: None,
            family: self.family,
        }
    }
}
