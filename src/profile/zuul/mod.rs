//! What the executor of [Zuul](https://zuul-ci.org/) runs playbooks in: its bubblewrap driver, of version 14.3.0.
//!
//! The shape is Zuul's own: a [`Driver`] knows the host, a [`Context`] what a playbook may see, a [`Launcher`] where it works;
//! what is launched is a [`Command`] in a [`Sandbox`], and both can be changed before. [`Fixes`] says what is done better than
//! there, each of which can be switched back.
//!
//! ```
//! use bwrap_launch::Bwrap;
//! use bwrap_launch::profile::zuul::Driver;
//! let job = tempfile::tempdir()?;
//! let path = |name: &str| job.path().join(name);
//! for directory in ["work/tmp", "home", "trusted/group_vars"] {
//!     std::fs::create_dir_all(path(directory))?;
//! }
//!
//! let driver = Driver::new(&Bwrap::find()?)?;
//! driver.check()?;
//! let context = driver
//!     .context()
//!     .ro_path(path("trusted"))
//!     .secret(path("trusted/group_vars/all.yaml"), "password: hunter2\n");
//! let launcher = context.launcher(path("work"), path("home"));
//! let mut command = launcher.command(["cat", "../trusted/group_vars/all.yaml"])?;
//! assert_eq!(command.env("TMP", path("work/tmp")).output()?.stdout, b"password: hunter2\n");
//! // nothing of it is on the host
//! assert_eq!(std::fs::read_dir(path("trusted/group_vars"))?.count(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is inside
//!
//! The host's `/usr`, `/lib`, `/bin`, `/sbin` and some files of `/etc`, read-only; work and home directory, writable, under
//! their own paths; a tmpfs on `/tmp` and on `tmp` in the work directory; new `/proc` and `/dev`. Then, in this order, so that
//! later ones cover earlier ones: read-only paths, writable paths, for each directory that holds a secret a tmpfs with its
//! files, the agent's socket. All namespaces are new, the network's unless it is shared (it is by default), and user
//! namespaces are locked.
//!
//! Run as root, the command can write to `/proc/sys`, as it can with Zuul: let the executor be another user, or add
//! `.ro_bind("/proc/sys", "/proc/sys")`.
//!
//! A destination with `..` in it is refused when it is launched, as in every [`Sandbox`]; Zuul's bwrap follows it. Give paths
//! without.
//!
//! # What a port has to do itself
//!
//! * **Sessions.** The executor starts bwrap in a session of its own and kills its process group. [`Child::kill`] ends all of
//!   the sandbox without one.
//! * **The out-of-memory score.** Zuul's `choom` raises it, to [`Driver::oom_score_adj`].
//! * **AFS.** `setpag`, in the thread that launches.
//! * **Ambient capabilities.** bwrap refuses to start with any, unless it is root; Zuul has `setpriv` take them away. Clear them
//!   in the executor (`PR_CAP_AMBIENT_CLEAR_ALL` of `prctl(2)`).
//!
//! [`Child::kill`]: crate::Child::kill

mod error;
mod facts;
mod fixes;
mod format;
mod leftovers;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::Error;
use facts::Facts;
pub use fixes::Fixes;
pub use leftovers::Leftovers;

use crate::bwrap::{Bwrap, parse_after};
use crate::launch::{self, Command, ExitStatus};
use crate::sandbox::{Bind, Content, Namespaces, Sandbox};

/// Bound in any case.
const REQUIRED: &[&str] = &[
    "/usr",
    "/lib",
    "/bin",
    "/sbin",
    "/etc/ld.so.cache",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/localtime",
];

/// By how much Zuul raises the out-of-memory score of what it runs: some 20 % of the memory.
const OOM_SCORE_ADJ: i32 = 200;

/// Zuul's `BubblewrapDriver`: what is read once, when the executor starts. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Driver {
    facts: Arc<Facts>,
    bwrap: Bwrap,
    fixes: Fixes,
}

impl Driver {
    /// Looks at the host and at who we are.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub fn new(bwrap: &Bwrap) -> Result<Self, Error> {
        let facts = Facts::read(bwrap.accepts("--disable-userns"))?;
        Ok(Self { facts: Arc::new(facts), bwrap: bwrap.clone(), fixes: Fixes::all() })
    }

    /// Does these otherwise than Zuul, and the rest as Zuul.
    #[must_use]
    pub fn fixes(mut self, fixes: Fixes) -> Self {
        self.fixes = fixes;
        self
    }

    /// A context in which nothing but the base is seen (`getExecutionContext`).
    pub fn context(&self) -> Context {
        Context { driver: self.clone(), binds: Vec::new(), secrets: Vec::new() }
    }

    /// Runs `id` in the sandbox, as the executor does when it starts (`check`). Without [`Fixes::LEFTOVERS`] it makes
    /// `/tmp/tmp` on the host.
    ///
    /// # Errors
    ///
    /// [`Error::Launch`] or [`Error::Check`], with what bwrap said; [`Error::Validation`] without [`Fixes::MESSAGE`].
    pub fn check(&self) -> Result<(), Error> {
        let mut launcher = self.context().launcher("/tmp", "/tmp");
        launcher.binds_directories = !self.fixes.contains(Fixes::LEFTOVERS);
        let outcome = launcher.command(["id"])?.output();
        match outcome {
            Ok(output) if output.status.success() => Ok(()),
            _ if !self.fixes.contains(Fixes::MESSAGE) => Err(Error::Validation),
            Ok(output) => Err(Error::Check {
                status: output.status,
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// The out-of-memory score of a playbook, as `/proc/PID/oom_score_adj` takes it, -1000 to 1000: 200 above this process's.
    ///
    /// # Errors
    ///
    /// If `/proc/self/oom_score_adj` cannot be read.
    ///
    /// ```
    /// use bwrap_launch::Bwrap;
    /// use bwrap_launch::profile::zuul::Driver;
    /// let driver = Driver::new(&Bwrap::find()?)?;
    /// assert!((-800..=1000).contains(&driver.oom_score_adj()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn oom_score_adj(&self) -> io::Result<i32> {
        let own = std::fs::read_to_string("/proc/self/oom_score_adj")?;
        let own: i32 = own.trim().parse().map_err(io::Error::other)?;
        Ok((own + OOM_SCORE_ADJ).min(1000))
    }

    /// What a program such as `zuul-bwrap` exits with: the command's own status, 128 and the number of the signal that killed
    /// it, or what `env(1)` and `timeout(1)` say of a command that did not run ([`Error::exit_status`](crate::Error::exit_status)). Without
    /// [`Fixes::STATUS`] always 0.
    ///
    /// ```
    /// use bwrap_launch::Bwrap;
    /// use bwrap_launch::profile::zuul::Driver;
    /// let driver = Driver::new(&Bwrap::find()?)?;
    /// let work = tempfile::tempdir()?;
    /// let launcher = driver.context().launcher(work.path(), work.path());
    /// let mut command = launcher.command(["no-such-program"])?;
    /// assert_eq!(driver.exit_status(&command.status()), 127);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn exit_status(&self, outcome: &launch::Result<ExitStatus>) -> u8 {
        match outcome {
            _ if !self.fixes.contains(Fixes::STATUS) => 0,
            Ok(status) => status.raw(),
            Err(error) => error.exit_status(),
        }
    }
}

/// The number that Zuul's `Popen.wait` returns, and its executor acts on: an exit status, 128 and the number of a signal, the
/// negative number of the signal that killed bwrap itself, or 1 for everything else, the user's mistakes and the host's alike.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::profile::zuul::returncode;
/// let sandbox = Sandbox::new().ro_bind("/", "/");
/// assert_eq!(returncode(&sandbox.command("sh").args(["-c", "exit 4"]).status()), 4);
/// assert_eq!(returncode(&sandbox.command("no-such-program").status()), 1);
/// ```
#[must_use]
pub fn returncode(outcome: &launch::Result<ExitStatus>) -> i32 {
    match outcome {
        Ok(status) => status.raw().into(),
        Err(error) => error.failure().and_then(crate::Failure::signal).map_or(1, |signal| -signal),
    }
}

/// Zuul's `BubblewrapExecutionContext`: what a playbook may see, besides the base and the directories it works in.
#[derive(Debug, Clone)]
#[must_use = "a context does nothing until something is launched in it"]
pub struct Context {
    driver: Driver,
    /// Whether it is writable, and the path.
    binds: Vec<(bool, PathBuf)>,
    secrets: Vec<(PathBuf, Content)>,
}

impl Context {
    /// Lets a path of the host be read, inside under the same path.
    pub fn ro_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.binds.push((false, path.into()));
        self
    }

    /// Lets a path of the host be read and written, inside under the same path. Writable paths cover read-only ones.
    pub fn rw_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.binds.push((true, path.into()));
        self
    }

    /// Makes a file with this text, on a tmpfs that covers the whole directory which it is in: nothing of it is ever on the
    /// host. The directory must be there, or below a writable path. A second text for the same file takes the first one's
    /// place.
    pub fn secret(mut self, path: impl Into<PathBuf>, text: impl Into<Vec<u8>>) -> Self {
        let (path, content) = (path.into(), Content::secret(text));
        match self.secrets.iter_mut().find(|(known, _)| *known == path) {
            Some((_, old)) => *old = content,
            None => self.secrets.push((path, content)),
        }
        self
    }

    /// Where it works (`getPopen`), with the host's network and without an agent.
    pub fn launcher(&self, work_dir: impl Into<PathBuf>, home_dir: impl Into<PathBuf>) -> Launcher {
        Launcher {
            context: self.clone(),
            work_dir: work_dir.into(),
            home_dir: home_dir.into(),
            share_net: None,
            ssh_auth_sock: None,
            binds_directories: true,
        }
    }
}

/// Zuul's `WrappedPopen`: a sandbox that is described completely. It opens nothing and can be used again and again.
#[derive(Debug, Clone)]
#[must_use = "a launcher does nothing until its command is launched"]
pub struct Launcher {
    context: Context,
    work_dir: PathBuf,
    home_dir: PathBuf,
    share_net: Option<bool>,
    ssh_auth_sock: Option<PathBuf>,
    /// Work and home directory are the host's.
    binds_directories: bool,
}

/// Whether the host's user database lies in a directory, by whatever name that is called.
fn holds_etc(directory: &Path) -> bool {
    let real = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    Path::new("/etc/passwd").starts_with(real)
}

impl Launcher {
    /// Whether the host's network is shared (it is, unless this says no), or there is only a loopback device.
    pub fn share_net(mut self, shared: bool) -> Self {
        self.share_net = Some(shared);
        self
    }

    /// Lets the command talk to an `ssh-agent(1)`, of which only the socket is inside.
    pub fn ssh_auth_sock(mut self, socket: impl Into<PathBuf>) -> Self {
        self.ssh_auth_sock = Some(socket.into());
        self
    }

    fn fixes(&self) -> Fixes {
        self.context.driver.fixes
    }

    /// The sandbox, to be looked at or changed.
    ///
    /// # Errors
    ///
    /// [`Error::HoldsEtc`]; and without some of the [`Fixes`] what Zuul's Python would raise: [`Error::Braces`], [`Error::Unknown`].
    pub fn sandbox(&self) -> Result<Sandbox, Error> {
        let Driver { facts, .. } = &self.context.driver;
        let fixes = self.fixes();
        let same = |writable: bool, path: PathBuf| {
            if writable { Bind::read_write(path.clone(), path) } else { Bind::read_only(path.clone(), path) }
        };
        let mut sandbox =
            Sandbox::new().tmpfs("/tmp").dir("/var").dir("/var/tmp").dir(format!("/run/user/{}", facts.uid));
        for path in REQUIRED {
            let bind = same(false, path.into());
            sandbox = sandbox.add(if fixes.contains(Fixes::ABSENT) { bind.optional() } else { bind });
        }
        if self.binds_directories {
            for directory in [&self.work_dir, &self.home_dir] {
                if fixes.contains(Fixes::OWN_ETC) && holds_etc(directory) {
                    return Err(Error::HoldsEtc { path: directory.clone() });
                }
            }
            sandbox = sandbox
                .bind(&self.work_dir, &self.work_dir)
                .tmpfs(self.work_dir.join("tmp"))
                .bind(&self.home_dir, &self.home_dir);
        }
        sandbox = sandbox
            .proc("/proc")
            .dev("/dev")
            .current_dir(&self.work_dir)
            .unshare_all()
            .die_with_parent()
            .uid(facts.uid.as_raw())
            .gid(facts.gid.as_raw())
            .file(facts.passwd(&self.home_dir, fixes)?, "/etc/passwd")
            .file(facts.group(fixes)?, "/etc/group");
        if facts.locks_userns {
            sandbox = sandbox.unshare(Namespaces::USER).disable_userns();
        }
        for path in facts.optional.iter().map(PathBuf::as_path).chain(facts.releases(fixes)) {
            sandbox = sandbox.add(same(false, self.path(path)?));
        }
        for kind in [false, true] {
            for (_, path) in self.context.binds.iter().filter(|(writable, _)| *writable == kind) {
                sandbox = sandbox.add(same(kind, self.path(path)?));
            }
        }
        let mut covered: Vec<&Path> = Vec::new();
        for (path, content) in &self.context.secrets {
            let directory = secret_directory(path);
            if !covered.contains(&directory) {
                sandbox = sandbox.tmpfs(self.path(directory)?);
                covered.push(directory);
            }
            sandbox = sandbox.file(content.clone(), self.path(path)?);
        }
        if self.share_net.unwrap_or(true) {
            sandbox = sandbox.share_net();
        }
        if let Some(socket) = &self.ssh_auth_sock {
            sandbox = sandbox.add(same(false, self.path(socket)?));
        }
        Ok(if fixes.contains(Fixes::ENVIRONMENT) { sandbox } else { sandbox.inherit_env() })
    }

    /// A program and its arguments in this sandbox. Its streams are inherited; the executor gives it `/dev/null`, and one pipe
    /// for output and errors.
    ///
    /// # Errors
    ///
    /// As [`sandbox`](Self::sandbox), [`Error::NoCommand`], and [`Error::Options`] without [`Fixes::SEPARATOR`].
    pub fn command(&self, words: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Command, Error> {
        let mut sandbox = self.sandbox()?;
        let mut words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        let mut arg0 = None;
        if !self.fixes().contains(Fixes::SEPARATOR) {
            let parsed = parse_after(sandbox, words)?;
            (sandbox, words, arg0) = (parsed.sandbox, parsed.command, parsed.arg0);
        }
        let mut words = words.into_iter();
        let mut command = sandbox.command(words.next().ok_or(Error::NoCommand)?);
        command.args(words).bwrap(&self.context.driver.bwrap);
        if let Some(name) = arg0 {
            command.arg0(name);
        }
        Ok(command)
    }

    /// What the launch will leave on the host, to be removed when it is dropped; nothing without [`Fixes::LEFTOVERS`]. Call it
    /// before the launch.
    pub fn leftovers(&self) -> Leftovers {
        if !self.fixes().contains(Fixes::LEFTOVERS) {
            return Leftovers::of([]);
        }
        let temporary = self.work_dir.join("tmp");
        let secrets = self.context.secrets.iter().map(|(path, _)| secret_directory(path));
        Leftovers::of(secrets.chain([temporary.as_path()]))
    }

    /// A path as it is, or with its braces filled in.
    fn path(&self, path: &Path) -> Result<PathBuf, Error> {
        if self.fixes().contains(Fixes::BRACES) {
            return Ok(path.to_owned());
        }
        let facts = &self.context.driver.facts;
        let shared = self.share_net.map(|shared| OsString::from(if shared { "True" } else { "False" }));
        let fields = [
            ("work_dir", Some(self.work_dir.clone().into_os_string())),
            ("home_dir", Some(self.home_dir.clone().into_os_string())),
            ("ssh_auth_sock", self.ssh_auth_sock.clone().map(PathBuf::into_os_string)),
            ("share_net", shared),
            ("uid", Some(facts.uid.to_string().into())),
            ("gid", Some(facts.gid.to_string().into())),
        ];
        format::format(path, &fields)
    }
}

fn secret_directory(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}
