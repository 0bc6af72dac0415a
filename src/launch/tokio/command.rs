//! A command to run in a sandbox, launched from a runtime.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Write;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::super::capture::{Capture, Stream};
use super::super::command;
use super::super::error::{Error, Result, Step};
use super::super::explain::Explain;
use super::super::gate::Gate;
use super::super::launched::given_up;
use super::super::launching::{Setup, Streams};
use super::super::limits::Limits;
use super::super::output::{ExitStatus, Output};
use super::super::pty::WindowSize;
use super::super::running::Running;
use super::super::start;
use super::super::stdio::Stdio;
use super::super::wait::deadline;
use super::child::{Child, Held};
use super::elsewhere::blocking;
use super::prepared::Prepared;
use super::watch::{drive, runtime};
use crate::bwrap::Bwrap;
use crate::sandbox::{Advice, Descriptor, Invalid, Sandbox};

/// A command to run in a sandbox, as the crate's [`Command`](crate::Command) and [`tokio::process::Command`].
///
/// It is described as there, and [`From`] takes one that is described already. What is not named here is set on
/// [`as_std_mut`](Self::as_std_mut).
///
/// [`tokio::process::Command`]: https://docs.rs/tokio/latest/tokio/process/struct.Command.html
///
/// ```
/// use bwrap_launch::{Sandbox, tokio::Command};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let sandbox = Sandbox::new().ro_bind("/", "/").dev("/dev").unshare_all().die_with_parent();
/// let mut command = Command::from(sandbox.command("sh"));
/// let output = command.args(["-c", "echo $GREETING"]).env("GREETING", "hello").output().await?;
/// assert_eq!((output.status.success(), output.stdout.as_slice()), (true, &b"hello\n"[..]));
/// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Command {
    pub(super) command: command::Command,
}

impl From<command::Command> for Command {
    fn from(command: command::Command) -> Self {
        Self { command }
    }
}

/// # What to run
impl Command {
    /// A command that runs `program` in a sandbox ([`Command::new`](crate::Command::new)).
    pub fn new(sandbox: &Sandbox, program: impl Into<OsString>) -> Self {
        command::Command::new(sandbox, program).into()
    }

    /// The same command, to be launched by a thread that may block.
    #[must_use]
    pub fn as_std(&self) -> &command::Command {
        &self.command
    }

    /// The same command, to set on it what is not named here.
    pub fn as_std_mut(&mut self) -> &mut command::Command {
        &mut self.command
    }

    /// Gives up the asynchronous front.
    #[must_use]
    pub fn into_std(self) -> command::Command {
        self.command
    }

    /// Has a [`Child`] that is dropped before its end stopped, with all that runs inside, after its [`grace`](Self::grace). By default it
    /// runs on.
    ///
    /// ```
    /// use bwrap_launch::{Sandbox, tokio::Command};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
    /// let child = Command::new(&sandbox, "sleep").arg("60").kill_on_drop(true).spawn().await?;
    /// drop(child); // it does not sleep for a minute
    /// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
    /// ```
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.command.kill_on_drop(kill);
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> &mut Self {
        self.command.args(arguments);
        self
    }

    /// Sets environment variables.
    pub fn envs<N: Into<OsString>, V: Into<OsString>>(
        &mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> &mut Self {
        self.command.envs(variables);
        self
    }

    /// The program.
    #[must_use]
    pub fn get_program(&self) -> &OsStr {
        self.command.get_program()
    }

    /// The program's arguments.
    #[must_use]
    pub fn get_args(&self) -> impl ExactSizeIterator<Item = &OsStr> {
        self.command.get_args()
    }

    /// The sandbox, with what was set on this command.
    pub fn get_sandbox(&self) -> &Sandbox {
        self.command.get_sandbox()
    }
}

macro_rules! forward {
    ($($name:ident($($argument:ident: $kind:ty),*))+) => {
        /// # As in the crate's [`Command`](crate::Command)
        impl Command {
            $(
                #[doc = concat!("See [`Command::", stringify!($name), "`](command::Command::", stringify!($name), ").")]
                pub fn $name(&mut self $(, $argument: $kind)*) -> &mut Self {
                    self.command.$name($($argument),*);
                    self
                }
            )+
        }
    };
}
forward! {
    arg(argument: impl Into<OsString>)
    arg0(name: impl Into<OsString>)
    env(name: impl Into<OsString>, value: impl Into<OsString>)
    env_secret(name: impl Into<OsString>, value: impl Into<OsString>)
    env_remove(name: impl Into<OsString>)
    env_clear()
    current_dir(directory: impl Into<PathBuf>)
    stdin(stdio: impl Into<Stdio>)
    stdout(stdio: impl Into<Stdio>)
    stderr(stdio: impl Into<Stdio>)
    fd(number: RawFd, descriptor: impl Into<Descriptor>)
    bwrap(bwrap: &Bwrap)
    explain(explain: Explain)
    keep_ignored_signals(keep: bool)
    timeout(limit: Duration)
    grace(time: Duration)
    process_group(group: i32)
    setsid(new_session: bool)
    terminal(size: WindowSize)
    capture(capture: Capture)
    tee(stream: Stream, writer: impl Write + Send + 'static)
    output_ends_with_command(ends: bool)
    limits(limits: &Limits)
    die_with_caller(die: bool)
}

/// # Launching
///
/// What is said about dropping is said of a future before it is done.
///
/// ```
/// use bwrap_launch::{Sandbox, tokio::Command};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let mut command = Command::new(&Sandbox::new().ro_bind("/", "/"), "echo");
/// command.arg("hello");
/// command.check()?;
/// assert_eq!(command.output().await?.stdout, b"hello\n");
/// assert!(command.status().await?.success());
/// assert!(command.spawn().await?.wait().await?.success());
/// assert!(command.prepare().await?.start().await?.wait().await?.success());
/// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
/// ```
impl Command {
    /// Launches the command. It does not wait for the sandbox, but may have to look for bwrap, or wait for id maps.
    ///
    /// Dropped, it leaves nothing running.
    ///
    /// # Errors
    ///
    /// As [`Command::spawn`](crate::Command::spawn), and outside of a runtime.
    pub async fn spawn(&mut self) -> Result<Child> {
        let mut child = self.run(Streams::Inherited, None, Explain::Facts).await?.ok_or_else(given_up)?;
        child.hand_over();
        Ok(child)
    }

    /// Launches the command and waits for its end.
    ///
    /// Dropped, it leaves nothing running.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn), and if the command did not run ([`Error::failure`](crate::Error::failure)).
    pub async fn status(&mut self) -> Result<ExitStatus> {
        let child = self.whole(Streams::Inherited, None).await?;
        child.ok_or_else(given_up)?.wait().await
    }

    /// Launches the command and collects what it writes.
    ///
    /// Dropped, it leaves nothing running.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status), and if its output cannot be read.
    pub async fn output(&mut self) -> Result<Output> {
        let child = self.whole(Streams::Piped, None).await?;
        child.ok_or_else(given_up)?.wait_with_output().await
    }

    /// As [`status`](Self::status), but not longer than `limit`: `None` if it takes longer, and then nothing is left of the sandbox. What does not die although it is killed takes
    /// 2 s more, and is left behind then.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status). bwrap is asked again only within the limit.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::{Sandbox, tokio::Command};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
    /// let mut command = Command::new(&sandbox, "sleep");
    /// assert!(command.arg("60").status_timeout(Duration::from_millis(50)).await?.is_none());
    /// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
    /// ```
    pub async fn status_timeout(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let deadline = deadline(limit);
        match self.whole(Streams::Inherited, deadline).await {
            Err(error) if start::is_late(&error, deadline) => Ok(None),
            child => match child? {
                Some(mut child) => child.wait_until(deadline).await,
                None => Ok(None),
            },
        }
    }

    /// As [`output`](Self::output), but not longer than `limit`: `None` if it takes longer, and then nothing is left of the sandbox,
    /// nor of what was written so far.
    ///
    /// # Errors
    ///
    /// As [`output`](Self::output). bwrap is asked again only within the limit.
    pub async fn output_timeout(&mut self, limit: Duration) -> Result<Option<Output>> {
        let deadline = deadline(limit);
        match self.whole(Streams::Piped, deadline).await {
            Err(error) if start::is_late(&error, deadline) => Ok(None),
            child => match child? {
                Some(mut child) => child.output_until(deadline).await,
                None => Ok(None),
            },
        }
    }

    /// Sets the sandbox up and holds it, complete and isolated, until it is told to start
    /// ([`Command::prepare`](crate::Command::prepare)).
    ///
    /// Dropped, it leaves nothing.
    ///
    /// # Errors
    ///
    /// As there, and outside of a runtime.
    pub async fn prepare(&mut self) -> Result<Prepared> {
        let mut prepared = self.hold(None).await?;
        prepared.wait_ready(None).await?;
        Ok(prepared)
    }

    /// As [`prepare`](Self::prepare), but not longer than `limit`: `None` if it takes longer, and then nothing is left of it. What does not die although it is killed takes
    /// 2 s more, and is left behind then.
    ///
    /// # Errors
    ///
    /// As [`prepare`](Self::prepare).
    pub async fn prepare_timeout(&mut self, limit: Duration) -> Result<Option<Prepared>> {
        let deadline = deadline(limit);
        let prepare = async {
            let mut prepared = self.hold(deadline).await?;
            Ok(prepared.wait_ready(deadline).await?.then_some(prepared))
        };
        match prepare.await {
            Err(error) if start::is_late(&error, deadline) => Ok(None),
            prepared => prepared,
        }
    }

    async fn hold(&mut self, deadline: Option<Instant>) -> Result<Prepared> {
        let (child, gate) =
            self.launch(Setup { streams: Streams::Inherited, hold: true, deadline }, Explain::Facts).await?;
        Ok(Prepared::new(child, gate))
    }

    /// For a call that waits for the end, too: nobody can ask what it has used.
    async fn whole(&self, streams: Streams, deadline: Option<Instant>) -> Result<Option<Child>> {
        self.command.check_unattended()?;
        let mut child = self.run(streams, deadline, Explain::AskAgain).await?;
        if let Some(running) = child.as_mut().and_then(Child::running) {
            running.forgo_usage();
        }
        Ok(child)
    }

    /// Launches, by way of the gate if there is something to be done there. `None` if the deadline has passed before that.
    /// What comes of it is killed when it is dropped.
    async fn run(
        &self,
        streams: Streams,
        deadline: Option<Instant>,
        explain: Explain,
    ) -> Result<Option<Child>> {
        let (child, gate) = self.launch(Setup { streams, hold: false, deadline }, explain).await?;
        if gate.is_none() {
            return Ok(Some(child));
        }
        let mut prepared = Prepared::new(child, gate);
        if prepared.wait_ready(deadline).await? { prepared.open(deadline).await.map(Some) } else { Ok(None) }
    }

    /// Launches, and waits for id maps. There is a gate if it is to be held, or something is to be done there. What comes of
    /// it is killed when it is dropped.
    async fn launch(&self, setup: Setup, explain: Explain) -> Result<(Child, Option<Gate>)> {
        let explain = self.command.explain.unwrap_or(explain);
        match self.start(setup, explain).await {
            // outside of a runtime nothing explains it
            Err(error) if explain != Explain::Nothing && runtime().is_ok() => {
                let same = error.clone();
                Err(blocking(Step::StartBwrap, || error.explain_here()).await.unwrap_or(same))
            }
            launched => launched,
        }
    }

    async fn start(&self, setup: Setup, explain: Explain) -> Result<(Child, Option<Gate>)> {
        // a description that is wrong is, whatever bwrap there is
        self.command.check()?;
        runtime().map_err(Error::system(Step::EnterRuntime))?;
        let bwrap = match &self.command.bwrap {
            Some(bwrap) => bwrap.clone(),
            None => blocking(Step::StartBwrap, Bwrap::find).await??,
        };
        let (mut launched, gate) = if self.reads_filters() {
            let command = self.command.clone();
            let launch = move || begin(&command, bwrap, setup, explain);
            blocking(Step::StartBwrap, launch).await??
        } else {
            begin(&self.command, bwrap, setup, explain)?
        };
        if !setup.hold {
            launched.child.limit()?;
        }
        if let Some(running) = launched.child.running().filter(|running| !running.is_mapped()) {
            let deadline = setup.deadline.unwrap_or_else(start::mapping_deadline);
            start::in_time(drive(running, Running::is_mapped, Some(deadline)).await)?;
        }
        Ok((Child::new(launched)?, gate))
    }

    /// Filters are read before the launch, and whoever writes them may take time.
    fn reads_filters(&self) -> bool {
        let filters = &self.command.get_sandbox().privileges.filters;
        filters.iter().any(|filter| filter.program.descriptor().is_some())
    }

    /// Checks what can be known before the launch, as every launch does first.
    ///
    /// # Errors
    ///
    /// The first part of the description that cannot work for this caller, and why.
    pub fn check(&self) -> Result<(), Invalid> {
        self.command.check()
    }

    /// Says what is legal but unwise about this command's sandbox here ([`Command::lint`](crate::Command::lint)). Looks for bwrap,
    /// and so may block.
    #[must_use]
    pub fn lint(&self) -> Vec<Advice> {
        self.command.lint()
    }
}

/// Starts bwrap. What comes of it is killed when it is dropped.
fn begin(
    command: &command::Command,
    bwrap: Bwrap,
    setup: Setup,
    explain: Explain,
) -> Result<(Held, Option<Gate>)> {
    let mut started = command.started(&bwrap, setup, start::begin)?;
    let gate = started.gate.take();
    let child = command.child(started, bwrap, explain);
    Ok((Held { child }, gate))
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.command.fmt(f)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
