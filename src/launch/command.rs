//! A command to run in a sandbox, described.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Write;
use std::os::fd::{BorrowedFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Access, access};
use rustix::process::getuid;

use super::capture::{Capture, Handling, Stream};
use super::explain::Explain;
use super::limits::Limits;
use super::order::{Line, Recipe};
use super::pty::WindowSize;
use super::spawn::Family;
use super::stdio::{Stdio, StdioKind};
use super::stop::Terms;
use crate::bwrap::{Bwrap, ParseError, parse};
use crate::sandbox::{Advice, Circumstances, Descriptor, ENGINE_SOCKETS, Invalid, Place, Problem, Sandbox};

/// A command to run in a sandbox, as [`std::process::Command`].
///
/// It can be launched as often as you like, unless the sandbox reads descriptors. `Display` and `Debug` show
/// the bwrap command line that it stands for, fit to be pasted into a shell; secrets are left out.
///
/// Unlike in `std`, a file that the kernel cannot execute (`ENOEXEC`: no `#!` line, built for another machine, cut short) is
/// no error if the sandbox has a `/bin/sh`: bwrap executes with `execvp(3)`, which then lets that shell try the file, and its
/// status is the command's, often 2 or 127 after a syntax error on standard error.
///
/// ```
/// use bwrap_launch::{Command, Sandbox};
/// let sandbox = Sandbox::new().ro_bind("/", "/").dev("/dev").unshare_all().die_with_parent();
/// let mut command = Command::new(&sandbox, "sh");
/// let output = command.args(["-c", "echo $GREETING"]).env("GREETING", "hello").output()?;
/// assert!(output.status.success());
/// assert_eq!(output.stdout, b"hello\n");
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
///
/// A clone shares what is open in the first: of a file as standard input each reads what the other has not.
#[derive(Clone)]
pub struct Command {
    pub(super) recipe: Arc<Recipe>,
    pub(super) bwrap: Option<Bwrap>,
    pub(super) stdin: Option<Stdio>,
    pub(super) stdout: Option<Stdio>,
    pub(super) stderr: Option<Stdio>,
    pub(super) descriptors: Vec<(RawFd, Descriptor)>,
    pub(super) explain: Option<Explain>,
    pub(super) limits: Limits,
    pub(super) dies_with_caller: bool,
    pub(super) handling: Handling,
    pub(super) terminal: Option<WindowSize>,
    pub(super) keeps_ignored_signals: bool,
    pub(super) family: Family,
    pub(super) terms: Terms,
}

impl Sandbox {
    /// A command to run in this sandbox. Short for [`Command::new`].
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let sandbox = Sandbox::new().ro_bind("/", "/");
    /// assert!(sandbox.command("true").status()?.success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn command(&self, program: impl Into<OsString>) -> Command {
        Command::new(self, program)
    }
}

/// # What to run
///
/// ```
/// use bwrap_launch::{Sandbox, Stdio};
/// let mut command = Sandbox::new().ro_bind("/", "/").env("LC_ALL", "C").command("sh");
/// command
///     .arg("-c")
///     .args(["echo $1 $A$B$LC_ALL $PWD", "name", "hello"])
///     .env_clear()
///     .envs([("A", "1"), ("B", "2")])
///     .env_remove("B")
///     .current_dir("/usr")
///     .stdin(Stdio::null())
///     .stdout(Stdio::piped())
///     .stderr(Stdio::inherit());
/// assert_eq!((command.get_program().to_str(), command.get_args().len()), (Some("sh"), 4));
/// assert_eq!(command.get_sandbox().operations().len(), 1);
/// assert_eq!(command.output()?.stdout, b"hello 1 /usr\n");
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
impl Command {
    /// A command that runs `program` in a sandbox. A program without a slash is looked for in the `PATH` that
    /// the command sees, `/bin:/usr/bin` if it sees none.
    pub fn new(sandbox: &Sandbox, program: impl Into<OsString>) -> Self {
        Self::from_recipe(Recipe {
            sandbox: sandbox.clone(),
            program: program.into(),
            arguments: Vec::new(),
            arg0: None,
        })
    }

    /// Reads bwrap's arguments and the command after them, as [`Sandbox::from_args`] does.
    ///
    /// # Errors
    ///
    /// If bwrap would refuse the line or silently ignore a part of it, or if there is no command.
    ///
    /// ```
    /// use bwrap_launch::Command;
    /// let command = Command::from_args(["--ro-bind", "/", "/", "--", "echo", "hello"])?;
    /// assert_eq!(command.to_string(), "bwrap --ro-bind / / -- echo hello");
    /// # Ok::<(), bwrap_launch::ParseError>(())
    /// ```
    pub fn from_args<I>(args: I) -> Result<Self, ParseError>
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        let parsed = parse(args)?;
        let mut words = parsed.command.into_iter();
        let program = words.next().ok_or(ParseError::NoCommand)?;
        Ok(Self::from_recipe(Recipe {
            sandbox: parsed.sandbox,
            program,
            arguments: words.collect(),
            arg0: parsed.arg0,
        }))
    }

    fn from_recipe(recipe: Recipe) -> Self {
        Self {
            recipe: Arc::new(recipe),
            bwrap: None,
            stdin: None,
            stdout: None,
            stderr: None,
            descriptors: Vec::new(),
            explain: None,
            limits: Limits::new(),
            dies_with_caller: false,
            handling: Handling::default(),
            terminal: None,
            keeps_ignored_signals: false,
            family: Family::default(),
            terms: Terms::default(),
        }
    }

    fn recipe(&mut self) -> &mut Recipe {
        Arc::make_mut(&mut self.recipe)
    }

    fn edit(&mut self, change: impl FnOnce(Sandbox) -> Sandbox) -> &mut Self {
        let sandbox = &mut self.recipe().sandbox;
        *sandbox = change(std::mem::take(sandbox));
        self
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl Into<OsString>) -> &mut Self {
        self.recipe().arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> &mut Self {
        self.recipe().arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// The name under which the program sees itself (`--argv0`, bwrap 0.9); it is still looked up as it was
    /// given.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("busybox");
    /// command.arg0("ls");
    /// assert_eq!(command.to_string(), "bwrap --clearenv --ro-bind / / --argv0 ls -- busybox");
    /// ```
    pub fn arg0(&mut self, name: impl Into<OsString>) -> &mut Self {
        self.recipe().arg0 = Some(name.into());
        self
    }

    /// Sets an environment variable (`--setenv`).
    pub fn env(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> &mut Self {
        self.edit(|sandbox| sandbox.env(name, value))
    }

    /// Sets an environment variable whose value is never shown.
    ///
    /// No `Debug`, `Display`, log line or process list has it.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("sh");
    /// command.args(["-c", "echo $TOKEN"]).env_secret("TOKEN", "hunter2");
    /// assert!(!command.to_string().contains("hunter2"));
    /// assert_eq!(command.output()?.stdout, b"hunter2\n");
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn env_secret(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> &mut Self {
        self.edit(|sandbox| sandbox.env_secret(name, value))
    }

    /// Sets environment variables.
    pub fn envs<N: Into<OsString>, V: Into<OsString>>(
        &mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> &mut Self {
        self.edit(|sandbox| variables.into_iter().fold(sandbox, |sandbox, (n, v)| sandbox.env(n, v)))
    }

    /// Removes an environment variable (`--unsetenv`).
    pub fn env_remove(&mut self, name: impl Into<OsString>) -> &mut Self {
        self.edit(|sandbox| sandbox.env_remove(name))
    }

    /// Forgets every environment variable so far, those of the sandbox included.
    pub fn env_clear(&mut self) -> &mut Self {
        self.edit(Sandbox::env_clear)
    }

    /// The directory inside in which the command starts (`--chdir`).
    pub fn current_dir(&mut self, directory: impl Into<PathBuf>) -> &mut Self {
        self.edit(|sandbox| sandbox.current_dir(directory))
    }

    /// What the command reads from. By default that is inherited, and `/dev/null` for
    /// [`output`](Self::output).
    pub fn stdin(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.stdin = Some(stdio.into());
        self
    }

    /// Where the command writes to. By default that is inherited, and piped for [`output`](Self::output).
    pub fn stdout(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.stdout = Some(stdio.into());
        self
    }

    /// Where the command, and bwrap before it, write errors to. By default that is inherited, and piped for
    /// [`output`](Self::output).
    pub fn stderr(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.stderr = Some(stdio.into());
        self
    }

    /// Gives the command a terminal of its own, of this size (`pty(7)`): it is what streams are connected to about which nothing
    /// is said. Our end is [`Child::terminal`](crate::Child::terminal); somebody has to read it, or the command is blocked sooner or later. So
    /// [`status`](Self::status), [`output`](Self::output) and their twins, which keep it to themselves, take no stream on it
    /// ([`Problem::Conflict`]).
    ///
    /// It has nothing to do with the caller's terminal: whatever is pushed into it (`TIOCSTI`) comes back to the command alone.
    /// `bwrap` is put into a session of its own, which this terminal controls (`credentials(7)`), and the command with it. So
    /// colours, sizes (SIGWINCH), job control and `/dev/tty` work. Inside, `/dev/pts` is another instance that does not
    /// show it; `ttyname(3)` finds `/dev/console` with [`Sandbox::dev`].
    ///
    /// * **Ctrl-C** goes to the process group in the foreground. For a shell with job control (`bash -i`, `set -m`) that is its job
    ///   alone. Any other command shares its group with bwrap, which SIGINT, SIGQUIT and SIGHUP end, too: the launch then is
    ///   [`Undecided`](crate::Error::Undecided). Nobody but a process inside can give it another one; `bash -c 'set -m; "$@"; exit $?' bash PROGRAM...`
    ///   does that.
    /// * **With [`Sandbox::new_session`]** bwrap puts the command into a session that has no controlling terminal, as that option
    ///   says: colours and sizes work; there are no signals, no job control, no `/dev/tty`.
    ///
    /// ```
    /// use std::io::Read;
    /// use bwrap_launch::{Sandbox, WindowSize};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").dev("/dev").unshare_all();
    /// let mut command = sandbox.command("sh");
    /// command.args(["-c", "test -t 1 && stty size"]).terminal(WindowSize { rows: 40, columns: 120 });
    /// let mut child = command.spawn()?;
    /// let mut text = String::new();
    /// child.terminal.as_mut().unwrap().read_to_string(&mut text).unwrap();
    /// assert_eq!(text, "40 120\r\n");
    /// assert!(child.wait()?.success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn terminal(&mut self, size: WindowSize) -> &mut Self {
        self.terminal = Some(size);
        self
    }

    /// How much of each piped stream is kept by [`output`](Self::output) and [`Child::wait_with_output`](crate::Child::wait_with_output). By default that is
    /// [all](Capture::all).
    ///
    /// ```
    /// use bwrap_launch::{Capture, Sandbox};
    /// let mut command = Sandbox::new().ro_bind("/", "/").dev("/dev").command("head");
    /// command.args(["-c", "10M", "/dev/zero"]).capture(Capture::ends(1 << 10, 1 << 10));
    /// let output = command.output()?;
    /// assert_eq!((output.stdout.len(), output.stdout_cut().unwrap().missing), (2 << 10, (10 << 20) - (2 << 10)));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn capture(&mut self, capture: Capture) -> &mut Self {
        self.handling.capture = capture;
        self
    }

    /// Also writes what a piped stream yields to `writer`, as it is read: by [`output`](Self::output), [`Child::wait_with_output`](crate::Child::wait_with_output)
    /// and [`Child::lines`](crate::Child::lines). It is flushed each time, and gets all, whatever is [kept](Self::capture). Whoever it is that writes
    /// slowly there is waited for. If it cannot be written, that is the error ([`Step::PassOutputOn`](crate::Step::PassOutputOn)). Several are written to in
    /// turn, and launches of this command share them.
    ///
    /// ```
    /// use bwrap_launch::{Capture, Sandbox, Stream};
    /// use std::io::{Seek, read_to_string};
    /// let log = tempfile::tempfile().unwrap();
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("echo");
    /// command.arg("hello").capture(Capture::ends(0, 0)).tee(Stream::Stdout, log.try_clone().unwrap());
    /// assert_eq!(command.output()?.stdout, b"");
    /// (&log).rewind().unwrap();
    /// assert_eq!(read_to_string(log).unwrap(), "hello\n");
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn tee(&mut self, stream: Stream, writer: impl Write + Send + 'static) -> &mut Self {
        self.handling.tee(stream, writer);
        self
    }

    /// Has [`output`](Self::output), [`Child::wait_with_output`](crate::Child::wait_with_output) and [`Child::lines`](crate::Child::lines) end once the command has ended and all is
    /// read that was written by then, although a process that it left behind may hold its streams open. By default they wait for
    /// that process, as in `std`. With a PID namespace it makes no difference: nothing is
    /// left behind.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let mut command = Sandbox::new().ro_bind("/", "/").dev("/dev").command("sh");
    /// command.args(["-c", "sleep 20 & echo hello"]).output_ends_with_command(true);
    /// let begin = std::time::Instant::now();
    /// assert_eq!(command.output()?.stdout, b"hello\n");
    /// assert!(begin.elapsed().as_secs() < 20);
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn output_ends_with_command(&mut self, ends: bool) -> &mut Self {
        self.handling.ends_with_command = ends;
        self
    }

    /// Gives the command an open descriptor under this number, 3 to 1023. Nothing else is open in it but 0, 1
    /// and 2.
    ///
    /// ```
    /// use std::io::Read;
    /// use bwrap_launch::Sandbox;
    /// let (mut reader, writer) = std::io::pipe().unwrap();
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("sh");
    /// command.args(["-c", "echo hello >&7"]).fd(7, writer);
    /// assert!(command.status()?.success());
    /// drop(command);
    /// let mut text = String::new();
    /// reader.read_to_string(&mut text).unwrap();
    /// assert_eq!(text, "hello\n");
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn fd(&mut self, number: RawFd, descriptor: impl Into<Descriptor>) -> &mut Self {
        self.descriptors.retain(|(other, _)| *other != number);
        self.descriptors.push((number, descriptor.into()));
        self
    }

    /// Launches this bwrap instead of the one that [`Bwrap::find`] finds.
    ///
    /// ```
    /// use bwrap_launch::{Bwrap, Sandbox};
    /// let bwrap = Bwrap::find()?;
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("true");
    /// assert!(command.bwrap(&bwrap).status()?.success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn bwrap(&mut self, bwrap: &Bwrap) -> &mut Self {
        self.bwrap = Some(bwrap.clone());
        self
    }

    /// How much is done to explain a launch that fails. By default [`Explain::AskAgain`] for [`status`](Self::status) and
    /// [`output`](Self::output), else [`Explain::Facts`].
    ///
    /// ```
    /// use bwrap_launch::{Explain, Sandbox};
    /// let mut command = Sandbox::new().ro_bind("/nonexistent", "/").command("true");
    /// assert!(command.explain(Explain::Nothing).status().is_err());
    /// ```
    pub fn explain(&mut self, explain: Explain) -> &mut Self {
        self.explain = Some(explain);
        self
    }

    /// Has the command ignore the signals that the calling process ignores, as under `nohup(1)`. By default every signal has its
    /// default action in it. SIGPIPE and SIGCHLD have that in any case: bwrap needs them.
    ///
    /// A command that shares its PID namespace with bwrap can make use of ignored signals to end that quietly.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("true");
    /// assert!(command.keep_ignored_signals(true).status()?.success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn keep_ignored_signals(&mut self, keep: bool) -> &mut Self {
        self.keeps_ignored_signals = keep;
        self
    }

    /// Limits the command and all that it starts. Replaces the limits of an earlier call.
    ///
    /// A launch with limits waits until the sandbox is complete, to set them then: [`spawn`](Self::spawn) returns a few milliseconds
    /// later, and says itself that a sandbox could not be set up. As for [`prepare`](Self::prepare), there may be
    /// one system call filter at most, and a command without one gets one that allows everything.
    ///
    /// ```
    /// use bwrap_launch::{Limits, Sandbox};
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("nice");
    /// let output = command.limits(&Limits::new().nice(17)).output()?;
    /// assert_eq!(output.stdout, b"17\n");
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn limits(&mut self, limits: &Limits) -> &mut Self {
        self.limits = limits.clone();
        self
    }

    /// The limits.
    #[must_use = "it changes nothing"]
    pub fn get_limits(&self) -> &Limits {
        &self.limits
    }

    /// Stops the command when it has not ended after this time ([`Stop::Timeout`](crate::Stop::Timeout)), whether anybody waits for it or not: it is asked to end
    /// if there is a [`grace`](Self::grace), and killed. What it wrote until then is kept.
    ///
    /// The time counts from when bwrap is started, setting up included; for [`prepare`](Self::prepare), from
    /// [`Prepared::start`](crate::Prepared::start). What comes before is not in it: looking for bwrap, and reading a filter from a pipe
    /// that somebody is slow to fill (10 s at most); [`status_timeout`](Self::status_timeout) counts that, too. One thread of this crate watches the time of all sandboxes.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::{Ending, Sandbox, Stop};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
    /// let mut command = sandbox.command("sh");
    /// command.args(["-c", "echo half; sleep 60"]).timeout(Duration::from_secs(2));
    /// let output = command.output()?;
    /// assert_eq!(output.stdout, b"half\n");
    /// assert_eq!(output.status.ending(), Ending::Stopped(Stop::Timeout));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn timeout(&mut self, limit: Duration) -> &mut Self {
        self.terms.timeout = Some(limit);
        self
    }

    /// How long a command that has to end for its [`timeout`](Self::timeout), or because it was dropped, has for that between SIGTERM, to it
    /// and its descendants, and SIGKILL, as `timeout(1)`'s `--kill-after`. By default it is killed at once.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::{Sandbox, Stop};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
    /// let mut command = sandbox.command("sh");
    /// command.args(["-c", "trap 'echo tidied; exit 3' TERM; while :; do sleep 0.1; done"]);
    /// command.timeout(Duration::from_secs(2)).grace(Duration::from_secs(10));
    /// let output = command.output()?;
    /// assert_eq!((output.stdout.as_slice(), output.status.code()), (&b"tidied\n"[..], Some(3)));
    /// assert_eq!(output.status.stopped(), Some(Stop::Timeout));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn grace(&mut self, time: Duration) -> &mut Self {
        self.terms.grace = time;
        self
    }

    /// Stops the command when its [`Child`](crate::Child) is dropped ([`Stop::Drop`](crate::Stop::Drop)), as in tokio, with the [`grace`](Self::grace) there is. By default it
    /// runs on, as in `std`. Dropping does not wait for its end; an exit of this process waits until it was killed, or asked to end, two
    /// seconds at most.
    ///
    /// ```
    /// use bwrap_launch::{Sandbox, Stop};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
    /// let child = sandbox.command("sleep").arg("60").kill_on_drop(true).spawn()?;
    /// let killer = child.killer();
    /// drop(child);
    /// # let started = std::time::Instant::now();
    /// # while killer.stopped().is_none() && started.elapsed().as_secs() < 10 { std::thread::yield_now(); }
    /// assert_eq!(killer.stopped(), Some(Stop::Drop)); // in a moment, if bwrap has only just been started
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.terms.kill_on_drop = kill;
        self
    }

    /// Kills the sandbox when this process ends, whatever ends it, SIGKILL among others, and at whatever moment: nothing of it is left.
    ///
    /// It takes the place of [`Sandbox::die_with_parent`] (`--die-with-parent`, which bwrap then is not given). That relies on signals
    /// that are armed late: of 300 callers that were killed within 25 ms of a launch, 57 left something running. This relies
    /// on bwrap's own steps until the sandbox is complete, and from there on a watchdog: a process of this crate's, one for each calling process,
    /// which is told of the sandbox before the command may start.
    ///
    /// * **It costs** that process (`/bin/sh`, in a session of its own, no child of the caller's; some milliseconds to start with
    ///   the first such launch, a quarter of a megabyte), two descriptors, and what [`limits`](Self::limits) cost a launch: that waits until
    ///   the sandbox is complete, and there may be one system call filter at most.
    /// * **The caller's end** is the end of its last copy: a child that it forks and that executes nothing keeps the sandboxes running. A
    ///   caller that executes another program (`execve(2)`) ends.
    /// * **The watchdog** can be killed itself. The next launch that needs it notices, starts another one, and has
    ///   that know all sandboxes; until then the end of the caller does not end them. Requests to end (SIGTERM, SIGINT, SIGHUP) it ignores.
    /// * **Without a PID namespace** it ends who can be found: the command and what descends from it, as a [`Killer`](crate::Killer) does.
    /// * What this process may not kill, the watchdog may not.
    ///
    /// Control groups of [limits](Self::limits) stay behind, empty, until another process makes some in the same place.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
    /// let mut command = sandbox.command("sleep");
    /// let mut child = command.arg("0.1").die_with_caller(true).spawn()?;
    /// // if this process were killed now, the command would not sleep any longer
    /// assert!(child.wait()?.success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn die_with_caller(&mut self, die: bool) -> &mut Self {
        self.dies_with_caller = die;
        self
    }

    /// Puts bwrap, and the command with it, into this process group, 0 for a new one, as
    /// [`CommandExt::process_group`](std::os::unix::process::CommandExt::process_group). By default it is the caller's: Ctrl-C on a
    /// terminal (SIGINT to its foreground group) then ends bwrap, whatever the caller does about it, and nobody knows how the
    /// command ended. The command can do the same to the caller, and to every sandbox in the group: `kill 0` in a script
    /// (`kill(2)`) knows no namespaces. With a group of its own it reaches bwrap at most, and the launch is
    /// [`Undecided`](crate::Error::Undecided) then; with [`Sandbox::new_session`] nobody but its own processes.
    ///
    /// A group that is not in the foreground cannot read from the terminal (SIGTTIN). A terminal of the sandbox's own brings a session of its
    /// own, whatever is said here.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("true");
    /// assert!(command.process_group(0).status()?.success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn process_group(&mut self, group: i32) -> &mut Self {
        self.family = Family::Group(group);
        self
    }

    /// Puts bwrap, and the command with it, into a new session (`setsid(2)`), and so a new process group, without a controlling terminal. As the
    /// unstable `CommandExt::setsid` of `std`; [`Sandbox::new_session`] (`--new-session`) is for the command only, which bwrap, in the
    /// caller's group, still ends with.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("true");
    /// assert!(command.setsid(true).status()?.success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn setsid(&mut self, new_session: bool) -> &mut Self {
        match (new_session, self.family) {
            (true, _) => self.family = Family::Session,
            (false, Family::Session) => self.family = Family::Caller,
            // a process group was asked for
            (false, _) => {}
        }
        self
    }

    /// The program.
    #[must_use]
    pub fn get_program(&self) -> &OsStr {
        &self.recipe.program
    }

    /// The program's arguments.
    pub fn get_args(&self) -> impl ExactSizeIterator<Item = &OsStr> {
        self.recipe.arguments.iter().map(OsString::as_os_str)
    }

    /// The sandbox, with what was set on this command.
    pub fn get_sandbox(&self) -> &Sandbox {
        &self.recipe.sandbox
    }
}

/// # Before it is launched
impl Command {
    /// Checks what can be known before the launch, as every launch does first.
    ///
    /// # Errors
    ///
    /// The first part of the description that cannot work for this caller, and why.
    ///
    /// ```
    /// use bwrap_launch::{Place, Problem, Sandbox};
    /// let error = Sandbox::new().ro_bind("/", "/").command("").check().unwrap_err();
    /// assert_eq!((error.place, error.problem), (Place::Program, Problem::Empty("name")));
    /// ```
    pub fn check(&self) -> Result<(), Invalid> {
        check_merged([self.stdin.as_ref(), self.stdout.as_ref(), self.stderr.as_ref()])?;
        self.recipe.check(&self.descriptors)?;
        if let Family::Group(group @ ..0) = self.family {
            return Err(Invalid { place: Place::ProcessGroup, problem: Problem::ProcessGroup(group) });
        }
        if let Some(wish) = self.needs_gate() {
            self.recipe.check_gate(wish)?;
        }
        self.limits.check()
    }

    /// Checks what a call has to have that waits for the end itself: nobody reads the terminal then.
    pub(super) fn check_unattended(&self) -> Result<(), Invalid> {
        let streams = [&self.stdin, &self.stdout, &self.stderr];
        match (0..).zip(streams).find(|(_, stdio)| self.terminal.is_some() && stdio.is_none()) {
            Some((number, _)) => {
                let problem = Problem::Conflict("a stream on the terminal", "a call that waits for the end");
                Err(Invalid { place: Place::Descriptor(number), problem })
            }
            None => Ok(()),
        }
    }

    /// What can only be done while the sandbox waits at the gate, if it is wished.
    pub(super) fn needs_gate(&self) -> Option<&'static str> {
        let wishes = [("limits", !self.limits.is_empty()), ("die_with_caller", self.dies_with_caller)];
        wishes.into_iter().find_map(|(wish, wished)| wished.then_some(wish))
    }

    /// Says what is legal but unwise about this command's sandbox here, each with its reason.
    ///
    /// ```
    /// use bwrap_launch::{Lint, Sandbox};
    /// let command = Sandbox::new().ro_bind("/", "/").command("true");
    /// assert!(command.lint().iter().any(|advice| advice.lint == Lint::OutlivesCaller));
    /// ```
    #[must_use]
    pub fn lint(&self) -> Vec<Advice> {
        let bwrap = self.bwrap.clone().or_else(|| Bwrap::find().ok());
        let terminal = |stdio: &Option<Stdio>, own: BorrowedFd<'_>| match stdio {
            None if self.terminal.is_some() => false,
            None | Some(Stdio(StdioKind::Inherit)) => rustix::termios::isatty(own),
            Some(Stdio(StdioKind::Own(stream))) => rustix::termios::isatty(stream),
            Some(Stdio(StdioKind::Descriptor(descriptor))) => rustix::termios::isatty(descriptor),
            Some(_) => false,
        };
        let sandbox = &self.recipe.sandbox;
        let tied = self.dies_with_caller.then(|| sandbox.clone().die_with_parent());
        tied.as_ref().unwrap_or(sandbox).lint(&Circumstances {
            root: getuid().is_root(),
            terminal: terminal(&self.stdin, rustix::stdio::stdin())
                || terminal(&self.stdout, rustix::stdio::stdout())
                || terminal(&self.stderr, rustix::stdio::stderr()),
            shares_group: self.family == Family::Caller && self.terminal.is_none(),
            resolves_in_root: bwrap.as_ref().is_some_and(Bwrap::resolves_in_root),
            keeps_every_sync_fd: bwrap.as_ref().is_some_and(Bwrap::keeps_every_sync_fd),
            setuid: bwrap.as_ref().is_some_and(Bwrap::is_setuid),
            owns_bwrap: bwrap.as_ref().is_some_and(|bwrap| access(bwrap.path(), Access::WRITE_OK).is_ok()),
            engine_sockets: ENGINE_SOCKETS
                .map(PathBuf::from)
                .into_iter()
                .filter(|path| path.exists())
                .collect(),
        })
    }
}

/// Checks that what is to go where another stream goes has one to follow.
fn check_merged(streams: [Option<&Stdio>; 3]) -> Result<(), Invalid> {
    let wrong = |number, other| {
        Err(Invalid {
            place: Place::Descriptor(number),
            problem: Problem::Conflict("Stdio::merged()", other),
        })
    };
    match streams.map(|stdio| matches!(stdio, Some(Stdio(StdioKind::Merged)))) {
        [true, ..] => wrong(0, "standard input"),
        [_, true, true] => wrong(2, "standard output that is merged itself"),
        _ => Ok(()),
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Line { recipe: &self.recipe, descriptors: &self.descriptors, bwrap: None }.fmt(f)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
