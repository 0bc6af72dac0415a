//! A command to run in a sandbox: the launch.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::{getgid, getuid};

use super::child::{Child, Words};
use super::descriptors::{self, MAX_NUMBER, layout};
use super::filter::lets_bwrap_report;
use super::handshake::{Caveats, Handshake};
use super::idmap;
use super::prepared::Prepared;
use super::running::Running;
use super::spawn::{self, Plan};
use super::stdio::{ChildStderr, ChildStdin, ChildStdout, Stdio, StdioKind};
use super::table::{Ours, Spent, Table, duplicate};
use super::{ExitStatus, Output, keeper};
use crate::bwrap::arguments::{Arguments, Audience, MAX_WORDS, Role, Source, write_line};
use crate::bwrap::{Bwrap, parse};
use crate::error::{Error, Result};
use crate::sandbox::{
    Advice, Circumstances, Content, ContentKind, Descriptor, Invalid, Place, Problem, Sandbox, check_text,
};

/// A command to run in a sandbox, as [`std::process::Command`].
///
/// It can be launched as often as you like, unless the sandbox reads descriptors. `Display` and `Debug` show the
/// bwrap command line that it stands for, fit to be pasted into a shell; secrets are left out.
///
/// ```
/// use bwrap_launch::{Command, Sandbox};
/// let sandbox = Sandbox::new().ro_bind("/", "/").dev("/dev").unshare_all().die_with_parent();
/// let output = Command::new(&sandbox, "sh").args(["-c", "echo $GREETING"]).env("GREETING", "hello").output()?;
/// assert!(output.status.success());
/// assert_eq!(output.stdout, b"hello\n");
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
pub struct Command {
    recipe: Arc<Recipe>,
    bwrap: Option<Bwrap>,
    stdin: Option<Stdio>,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
    descriptors: Vec<(RawFd, Descriptor)>,
}

/// What is to run, without its streams.
#[derive(Clone)]
pub(crate) struct Recipe {
    pub(crate) sandbox: Sandbox,
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) arg0: Option<OsString>,
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
impl Command {
    /// A command that runs `program` in a sandbox. A program without a slash is looked for in the `PATH` that the
    /// command sees, `/bin:/usr/bin` if it sees none.
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
    pub fn from_args<I>(args: I) -> Result<Self, crate::ParseError>
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        let parsed = parse(args)?;
        let mut words = parsed.command.into_iter();
        let program = words.next().ok_or(crate::ParseError::NoCommand)?;
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

    /// The name under which the program sees itself (`--argv0`, bwrap 0.9); it is still looked up as it was given.
    pub fn arg0(&mut self, name: impl Into<OsString>) -> &mut Self {
        self.recipe().arg0 = Some(name.into());
        self
    }

    /// Sets an environment variable (`--setenv`).
    pub fn env(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> &mut Self {
        self.edit(|sandbox| sandbox.env(name, value))
    }

    /// Sets an environment variable whose value is never shown.
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

    /// What the command reads from. By default that is inherited, and `/dev/null` for [`output`](Self::output).
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

    /// Gives the command an open descriptor under this number, 3 to 1023. Nothing else is open in it but 0, 1 and 2.
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
    pub fn bwrap(&mut self, bwrap: &Bwrap) -> &mut Self {
        self.bwrap = Some(bwrap.clone());
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

/// # Launching
impl Command {
    /// Launches the command and returns at once.
    ///
    /// # Errors
    ///
    /// If there is no usable bwrap, the description cannot work, or the system denies what the launch needs. Whether
    /// the sandbox could be set up is only known later: [`Child::wait_ready`] and [`Child::wait`] tell.
    pub fn spawn(&mut self) -> Result<Child> {
        Ok(self.launch(&StdioKind::Inherit, false)?.0)
    }

    /// Launches the command and waits for its end.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn), and if the command did not run ([`Error::failure`]).
    pub fn status(&mut self) -> Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Launches the command and collects what it writes.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status), and if its output cannot be read.
    pub fn output(&mut self) -> Result<Output> {
        self.launch(&StdioKind::Piped, false)?.0.wait_with_output()
    }

    /// Sets the sandbox up and holds it, complete and isolated, until it is told to start.
    ///
    /// The gate is the descriptor of a system call filter (`--seccomp`) that bwrap reads last of all. If this
    /// process dies first, the command never runs. A sandbox without a filter of its own gets one that allows
    /// everything, which costs about 30 ns a system call.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn), and if the sandbox could not be set up. A sandbox with several filters cannot be
    /// held ([`Problem::Conflict`]).
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let prepared = Sandbox::new().ro_bind("/", "/").unshare_all().command("true").prepare()?;
    /// println!("process {:?} is isolated and waits", prepared.sandbox_pid());
    /// assert!(prepared.start()?.wait()?.success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn prepare(&mut self) -> Result<Prepared> {
        let filter = match self.recipe.sandbox.privileges.filters.as_slice() {
            [] => ALLOW_ALL.to_vec(),
            [filter] => program_of(&filter.program)?,
            _ => {
                let problem = Problem::Conflict("prepare", "several seccomp filters");
                return Err(Invalid { place: Place::Privileges, problem }.into());
            }
        };
        let (child, gate) = self.launch(&StdioKind::Inherit, true)?;
        let mut prepared = Prepared::new(child, gate, filter);
        prepared.wait_ready()?;
        Ok(prepared)
    }

    /// Sets the sandbox up as [`prepare`](Self::prepare) does and then lets bwrap fail at the gate, to hear what it
    /// says.
    pub(super) fn rehearse(recipe: &Recipe, bwrap: &Bwrap) -> Option<Vec<u8>> {
        let readable = |(_, content): (Place, &Content)| content.descriptor().is_some();
        if recipe.sandbox.readers().any(readable) || recipe.sandbox.privileges.filters.len() > 1 {
            return None;
        }
        let mut command = Self::from_recipe(recipe.clone());
        command.edit(|mut sandbox| {
            // others wait for these
            (sandbox.lifetime.sync_fd, sandbox.lifetime.info_fd) = (None, None);
            sandbox
        });
        command.bwrap(bwrap).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let (child, gate) = command.launch(&StdioKind::Null, true).ok()?;
        drop(gate);
        child.words_at_end()
    }

    /// Checks what can be known before the launch, as every launch does first.
    ///
    /// # Errors
    ///
    /// The first part of the description that cannot work for this caller, and why.
    pub fn check(&self) -> Result<(), Invalid> {
        let sandbox = &self.recipe.sandbox;
        sandbox.check()?;
        sandbox.check_for(getuid().as_raw(), getgid().as_raw(), |capability| {
            caps::has_cap(None, caps::CapSet::Permitted, capability).unwrap_or(false)
        })?;
        let invalid = |place| move |problem| Invalid { place, problem };
        check_text("name", &self.recipe.program).map_err(invalid(Place::Program))?;
        let words = self.recipe.arg0.iter().map(|word| (0, word));
        for (index, word) in words.chain(self.recipe.arguments.iter().enumerate().map(|(i, w)| (i + 1, w))) {
            if word.as_bytes().contains(&0) {
                return Err(invalid(Place::Argument(index))(Problem::Nul("text")));
            }
        }
        // an empty word would end the option list
        if self.recipe.arg0.as_ref().is_some_and(|arg0| arg0.is_empty()) {
            return Err(invalid(Place::Argument(0))(Problem::Empty("name")));
        }
        for (number, _) in &self.descriptors {
            if !(3..=MAX_NUMBER).contains(number) {
                let problem = Problem::DescriptorRange { max: MAX_NUMBER };
                return Err(invalid(Place::Descriptor(*number))(problem));
            }
        }
        Ok(())
    }

    /// Says what is legal but unwise about this command's sandbox here, each with its reason.
    #[must_use]
    pub fn lint(&self) -> Vec<Advice> {
        let bwrap = self.bwrap.clone().or_else(|| Bwrap::find().ok());
        let terminal = |stdio: &Option<Stdio>, own: BorrowedFd<'_>| match stdio {
            None | Some(Stdio(StdioKind::Inherit)) => rustix::termios::isatty(own),
            Some(Stdio(StdioKind::Descriptor(descriptor))) => rustix::termios::isatty(descriptor),
            Some(_) => false,
        };
        self.recipe.sandbox.lint(&Circumstances {
            root: getuid().is_root(),
            terminal: terminal(&self.stdin, rustix::stdio::stdin())
                || terminal(&self.stdout, rustix::stdio::stdout())
                || terminal(&self.stderr, rustix::stdio::stderr()),
            resolves_in_root: bwrap.as_ref().is_some_and(Bwrap::resolves_in_root),
            setuid: bwrap.as_ref().is_some_and(Bwrap::is_setuid),
        })
    }

    fn launch(&mut self, default: &StdioKind, hold: bool) -> Result<(Child, Option<OwnedFd>)> {
        self.check()?;
        let bwrap = match &self.bwrap {
            Some(bwrap) => bwrap.clone(),
            None => Bwrap::find()?,
        };
        let recipe = &self.recipe;
        let mapped = recipe.sandbox.identity.mapped();
        let roles = [
            Some(Role::Arguments),
            Some(Role::Status),
            Some(Role::Ready),
            hold.then_some(Role::Gate),
            mapped.then_some(Role::IdMapInfo),
            mapped.then_some(Role::IdMapDone),
        ];
        let roles: Vec<Role> = roles.into_iter().flatten().collect();
        let taken: Vec<RawFd> = self.descriptors.iter().map(|(number, _)| *number).collect();
        let inherited = recipe.sandbox.environment.inherited(std::env::vars_os);
        let audience =
            Audience::Launch { bwrap: &bwrap, inherited: &inherited, taken: &taken, roles: &roles };
        let arguments = Arguments::of(&recipe.sandbox, recipe.arg0.as_deref(), audience)?;
        // bwrap counts its own argument list too: --args, its number, --, the program
        let count = arguments.words.len() + 4 + recipe.arguments.len();
        if count > MAX_WORDS {
            let problem = Problem::TooManyWords { count, limit: MAX_WORDS };
            return Err(Invalid { place: Place::CommandLine, problem }.into());
        }
        if log::log_enabled!(log::Level::Debug) {
            log::debug!("launching {self}");
        }
        let mut spent = Spent::default();
        spent.spend(&recipe.sandbox)?;
        let mut table = Table::default();
        let launched = self.start(&bwrap, &arguments, default, &mut table)?;
        spent.keep();
        Ok(launched)
    }

    /// Opens everything, spawns bwrap, and closes what is bwrap's.
    fn start(
        &self,
        bwrap: &Bwrap,
        arguments: &Arguments,
        default: &StdioKind,
        table: &mut Table,
    ) -> Result<(Child, Option<OwnedFd>)> {
        let recipe = &self.recipe;
        let identity = &recipe.sandbox.identity;
        let stdin = table.reads(0, stdio(self.stdin.as_ref(), default, true))?;
        let stdout = table.writes(1, stdio(self.stdout.as_ref(), default, false))?;
        let stderr_kind = stdio(self.stderr.as_ref(), default, false);
        let stderr = table.writes(2, stderr_kind)?.map(ChildStderr::new);
        let words = Words::of(stderr_kind, stderr.as_ref());
        for (number, descriptor) in &self.descriptors {
            table.place(descriptor, *number)?;
        }
        let (mut ours, mut arguments_number) = (Ours::default(), 0);
        for slot in &arguments.slots {
            match &slot.source {
                Source::Content(Content(ContentKind::Bytes { bytes, .. })) => {
                    let file = descriptors::sealed(bytes).map_err(Error::system("make a file's content"))?;
                    table.hold(file, slot.number);
                }
                Source::Content(Content(ContentKind::Descriptor(descriptor)))
                | Source::Descriptor(descriptor) => table.place(descriptor, slot.number)?,
                Source::Launcher(Role::Arguments) => {
                    arguments_number = slot.number;
                    let file = descriptors::sealed(&arguments.to_nul_separated());
                    table.hold(file.map_err(Error::system("write bwrap's arguments"))?, slot.number);
                }
                Source::Launcher(role) => ours
                    .make(*role, slot.number, table)
                    .map_err(Error::system("make the descriptors that watch bwrap"))?,
            }
        }
        if !identity.mapped() {
            ours.announce(b"r").map_err(Error::system("make the ready socket"))?;
        }
        let plan = self.plan(bwrap, arguments_number, table).map_err(Error::system("start bwrap"))?;
        let start = Error::system("start bwrap");
        let (pid, lease) = if recipe.sandbox.lifetime.die_with_parent {
            match keeper::run(move || spawn::spawn(&plan)) {
                Ok((pid, lease)) => (pid.map_err(start)?, Some(lease)),
                Err(error) => return Err(Error::system("start the keeper thread")(error)),
            }
        } else {
            (spawn::spawn(&plan).map_err(start)?, None)
        };
        table.release();
        let filters = &recipe.sandbox.privileges.filters;
        let caveats = Caveats {
            filter: !filters.iter().all(|filter| lets_report(&filter.program)),
            lock_file: !recipe.sandbox.lifetime.lock_files.is_empty(),
        };
        let (witnesses, gate, info) = ours
            .into_parts()
            .ok_or_else(|| Error::system("watch bwrap")(io::Error::other("a descriptor was not made")))?;
        let own_pids = recipe.sandbox.namespaces.new_pid();
        let mut running = Running::new(pid, witnesses, Handshake::new(caveats), own_pids, lease)
            .map_err(Error::system("watch bwrap"))?;
        if let Some(info) = info {
            self.map_ids(&mut running, info)?;
        }
        let dropped = arguments.dropped.clone();
        let mut child = Child::new(running, words, Arc::clone(recipe), bwrap.clone(), dropped);
        child.stdin = stdin.map(ChildStdin::new);
        child.stdout = stdout.map(ChildStdout::new);
        child.stderr = stderr;
        Ok((child, gate))
    }

    fn plan(&self, bwrap: &Bwrap, arguments: RawFd, table: &Table) -> io::Result<Plan> {
        let arguments = arguments.to_string();
        let own: [&[u8]; 4] = [b"bwrap", b"--args", arguments.as_bytes(), b"--"];
        let words = own.into_iter().chain([self.recipe.program.as_bytes()]);
        let words = words.chain(self.recipe.arguments.iter().map(|word| word.as_bytes()));
        Ok(Plan {
            path: spawn::c_string(bwrap.path().as_os_str().as_bytes())?,
            arguments: words.map(spawn::c_string).collect::<io::Result<_>>()?,
            actions: layout(&table.moves),
        })
    }

    /// Writes the id maps that bwrap waits for, and lets it go on. If bwrap fails before that, its end tells.
    fn map_ids(&self, running: &mut Running, info: OwnedFd) -> Result<()> {
        let Ok((pid, report)) = idmap::read_info(info) else { return Ok(()) };
        if let Some(descriptor) = &self.recipe.sandbox.lifetime.info_fd {
            let copy = duplicate(descriptor).and_then(|copy| {
                use std::io::Write;
                std::fs::File::from(copy).write_all(&report)
            });
            copy.map_err(Error::system("pass bwrap's report on to the info descriptor"))?;
        }
        let mapped = idmap::write_maps(pid, &self.recipe.sandbox.identity);
        // one byte for the map, one for the ready socket
        let mapped = mapped.and_then(|()| running.announce(b"mr"));
        mapped.map_err(|error| {
            running.destroy();
            Error::system("map the sandbox's ids")(error)
        })
    }
}

/// `BPF_RET | BPF_K` with `SECCOMP_RET_ALLOW`.
const ALLOW_ALL: [u8; 8] = if cfg!(target_endian = "little") {
    [6, 0, 0, 0, 0, 0, 0xff, 0x7f]
} else {
    [0, 6, 0, 0, 0x7f, 0xff, 0, 0]
};

/// Whether a filter is known to let bwrap report what became of the command.
fn lets_report(program: &Content) -> bool {
    match &program.0 {
        ContentKind::Bytes { bytes, .. } => lets_bwrap_report(bytes),
        ContentKind::Descriptor(_) => false,
    }
}

/// A filter's bytes.
fn program_of(program: &Content) -> Result<Vec<u8>> {
    match &program.0 {
        ContentKind::Bytes { bytes, .. } => Ok(bytes.to_vec()),
        ContentKind::Descriptor(descriptor) => {
            use std::io::Read;
            let mut bytes = Vec::new();
            let read = duplicate(descriptor)
                .and_then(|file| std::fs::File::from(file).take(4096 * 8 + 1).read_to_end(&mut bytes));
            read.map_err(Error::system("read the seccomp filter"))?;
            let size = bytes.len();
            if size == 0 || size % 8 != 0 || size > 4096 * 8 {
                let problem = Problem::FilterSize(size);
                return Err(Invalid { place: Place::Filter(0), problem }.into());
            }
            Ok(bytes)
        }
    }
}

fn stdio<'a>(stdio: Option<&'a Stdio>, default: &'a StdioKind, input: bool) -> &'a StdioKind {
    match (stdio, default) {
        (Some(stdio), _) => &stdio.0,
        // nobody is there to write to it
        (None, StdioKind::Piped) if input => &StdioKind::Null,
        (None, default) => default,
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = vec![self.program.as_os_str()];
        words.extend(self.arguments.iter().map(OsString::as_os_str));
        write_line(f, &Arguments::shown(&self.sandbox, self.arg0.as_deref()), &words)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&*self.recipe, f)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&*self.recipe, f)
    }
}
