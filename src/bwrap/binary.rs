//! Find bwrap, and say what it is.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getuid, kill_process_group, test_kill_process, waitid,
};

use super::message::{Message, Severity};
use super::options::{self, Accepted, BwrapOption, MissingOption, find};
use super::version::Version;
use crate::visible;

/// A bwrap binary: where it is and what it can do.
///
/// What it accepts is read from its `--help`, once for each file, and remembered for as long as the file
/// stays the same. Cloning is cheap.
///
/// ```
/// use bwrap_launch::Bwrap;
/// let bwrap = Bwrap::find()?;
/// println!("{} is bubblewrap {}", bwrap.path().display(), bwrap.version_text());
/// if !bwrap.accepts("--overlay") {
///     println!("it cannot mount overlays");
/// }
/// for advisory in bwrap.advisories() {
///     println!("{advisory}");
/// }
/// assert!(bwrap.accepts("--ro-bind"));
/// # Ok::<(), bwrap_launch::BwrapError>(())
/// ```
#[derive(Clone)]
pub struct Bwrap(Arc<Facts>);

struct Facts {
    path: PathBuf,
    version: Option<Version>,
    version_text: String,
    accepted: Accepted,
    setuid: bool,
    owner: u32,
}

/// How much of a version is kept.
const LONGEST_VERSION: usize = 100;

/// No usable bwrap.
///
/// `Display` says what to do about it.
///
/// ```
/// use bwrap_launch::{Bwrap, BwrapError};
/// assert!(matches!(Bwrap::at("bin/bwrap"), Err(BwrapError::NotAbsolute(_))));
/// assert!(matches!(Bwrap::at("/nonexistent/bwrap"), Err(BwrapError::Unusable { .. })));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BwrapError {
    /// There is none on the `PATH`.
    #[error(
        "no bwrap on the PATH (looked into {}{}); install bubblewrap (apt, dnf, apk, zypper or pacman have it \
         under that name), or name a binary with the BWRAP variable",
        list(searched),
        skipped_note(skipped)
    )]
    #[non_exhaustive]
    NotFound {
        /// The directories that were searched.
        searched: Vec<PathBuf>,
        /// The directories that were not: relative ones, and those below the working directory.
        skipped: Vec<PathBuf>,
    },
    /// The path is not absolute, so that the working directory would decide what runs.
    #[error("{:?} is no absolute path; give bwrap's full path, such as /usr/bin/bwrap", .0.as_os_str())]
    NotAbsolute(PathBuf),
    /// The file cannot be looked at or executed, or does not answer within five seconds ([`io::ErrorKind::TimedOut`]).
    #[error("cannot run {}: {source}", visible::path(path))]
    #[non_exhaustive]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is bwrap, and refuses to run here, even for its help: for its privileges, or for a host that lacks what it needs.
    #[error("{} refuses to run: {}", visible::path(path), visible::line(&message.to_string()))]
    #[non_exhaustive]
    Refuses {
        /// The file.
        path: PathBuf,
        /// What it says.
        message: Box<Message>,
    },
    /// It runs, but it is not bwrap, or it cannot even print its help.
    #[error("{} does not answer --help as bwrap does{}", visible::path(path), said(output))]
    #[non_exhaustive]
    NotBwrap {
        /// The file.
        path: PathBuf,
        /// The beginning of what it printed instead.
        output: String,
    },
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| visible::path(path)).collect();
    if paths.is_empty() { "no directory".to_owned() } else { paths.join(", ") }
}

fn skipped_note(skipped: &[PathBuf]) -> String {
    if skipped.is_empty() {
        return String::new();
    }
    format!("; not into {}, which the working directory controls", list(skipped))
}

fn said(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!(": {}", visible::line(output)) }
}

/// A known vulnerability that a bwrap has by its version number. Distributions mend some without a new
/// number.
///
/// ```
/// use bwrap_launch::{Bwrap, Version};
/// let bwrap = Bwrap::find()?;
/// let newest = bwrap.advisories().map(|advisory| advisory.fixed_in).max();
/// // CVE-2026-87766 was mended in 0.12.0
/// assert!(newest == Some(Version::new(0, 12, 0)) || bwrap.version() >= Some(Version::new(0, 12, 0)));
/// # Ok::<(), bwrap_launch::BwrapError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advisory {
    /// Its name.
    pub id: &'static str,
    /// What can happen.
    pub summary: &'static str,
    /// The first release without it.
    pub fixed_in: Version,
    since: Version,
    setuid_only: bool,
}

impl fmt::Display for Advisory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; fixed in bubblewrap {}", self.id, self.summary, self.fixed_in)
    }
}

const ADVISORIES: &[Advisory] = &[
    Advisory {
        id: "CVE-2016-8659",
        summary: "a user can attach to the privileged bwrap and take it over (setuid only)",
        since: Version::new(0, 1, 0),
        fixed_in: Version::new(0, 1, 3),
        setuid_only: true,
    },
    Advisory {
        id: "CVE-2019-12439",
        summary: "another user can plant files in the temporary directory that bwrap builds the root in",
        since: Version::new(0, 1, 0),
        fixed_in: Version::new(0, 3, 3),
        setuid_only: false,
    },
    Advisory {
        id: "CVE-2020-5291",
        summary: "--userns2 gives the caller root (setuid only)",
        since: Version::new(0, 4, 0),
        fixed_in: Version::new(0, 4, 1),
        setuid_only: true,
    },
    Advisory {
        id: "CVE-2026-41163",
        summary: "a user can trace bwrap's helper and mount overlays anywhere (setuid only)",
        since: Version::new(0, 11, 0),
        fixed_in: Version::new(0, 11, 2),
        setuid_only: true,
    },
    Advisory {
        id: "CVE-2026-87766",
        summary: "a symlink left in a writable bind leads the next run to create files on the host",
        since: Version::new(0, 1, 0),
        fixed_in: Version::new(0, 12, 0),
        setuid_only: false,
    },
];

/// What tells one file from another, and a file from its replacement.
#[derive(PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// The last search: `PATH`, the working directory, and where bwrap was.
type Search = ((OsString, Option<PathBuf>), PathBuf);

static FOUND: Mutex<Option<Search>> = Mutex::new(None);

static KNOWN: LazyLock<Mutex<HashMap<PathBuf, (Stamp, Bwrap)>>> = LazyLock::new(Mutex::default);

impl Bwrap {
    /// Finds bwrap: the absolute path in the variable `BWRAP`, or the first one in a directory of `PATH`.
    ///
    /// Directories that the working directory controls are passed over: relative ones, and those below the
    /// working directory unless that is a system directory (`/`, `/usr` and below). What was found is looked
    /// at first the next time, for the same `PATH` and working directory.
    ///
    /// # Errors
    ///
    /// If there is none, or it is not usable.
    ///
    /// ```
    /// use bwrap_launch::Bwrap;
    /// let bwrap = Bwrap::find()?;
    /// assert!(bwrap.path().is_absolute());
    /// # Ok::<(), bwrap_launch::BwrapError>(())
    /// ```
    pub fn find() -> Result<Self, BwrapError> {
        if let Some(path) = std::env::var_os("BWRAP").filter(|path| !path.is_empty()) {
            return Self::at(PathBuf::from(path));
        }
        let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
        let question = (path, std::env::current_dir().ok());
        let found = || FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        let known = found().as_ref().filter(|(asked, _)| *asked == question).map(|(_, path)| path.clone());
        if let Some(bwrap) = known.and_then(|path| Self::at(path).ok()) {
            return Ok(bwrap);
        }
        let bwrap = Self::search(&question.0, question.1.as_deref())?;
        *found() = Some((question, bwrap.path().to_owned()));
        Ok(bwrap)
    }

    fn search(path: &OsStr, working: Option<&Path>) -> Result<Self, BwrapError> {
        match look_up("bwrap", path, working, may_execute) {
            Ok(found) => Self::at(found),
            Err((searched, skipped)) => Err(BwrapError::NotFound { searched, skipped }),
        }
    }

    /// The bwrap at an absolute path.
    ///
    /// # Errors
    ///
    /// If the path is not absolute, the file cannot be executed, or it is not bwrap.
    ///
    /// ```
    /// use bwrap_launch::{Bwrap, Sandbox};
    /// let bwrap = Bwrap::at(Bwrap::find()?.path())?;
    /// let sandbox = Sandbox::new().ro_bind("/", "/");
    /// assert!(sandbox.command("true").bwrap(&bwrap).status()?.success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn at(path: impl Into<PathBuf>) -> Result<Self, BwrapError> {
        let path = path.into();
        if !path.is_absolute() {
            return Err(BwrapError::NotAbsolute(path));
        }
        let meta = match std::fs::metadata(&path) {
            Ok(meta) => meta,
            Err(source) => return Err(BwrapError::Unusable { path, source }),
        };
        let stamp = Stamp {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            changed: (meta.ctime(), meta.ctime_nsec()),
        };
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bwrap)) = known().get(&path).filter(|(old, _)| *old == stamp) {
            return Ok(bwrap.clone());
        }
        let bwrap = Self::inspect(path.clone(), &meta)?;
        known().insert(path, (stamp, bwrap.clone()));
        Ok(bwrap)
    }

    fn inspect(path: PathBuf, meta: &std::fs::Metadata) -> Result<Self, BwrapError> {
        let deadline = Instant::now() + PATIENCE;
        let ask = |option| ask(&path, option, deadline);
        let (help, version) = match ask("--help").and_then(|help| Ok((help, ask("--version")?))) {
            Ok(answers) => answers,
            Err(source) => return Err(BwrapError::Unusable { path, source }),
        };
        let accepted = Accepted::from_help(&help);
        // a bwrap without these two options can be neither launched nor judged
        if !accepted.contains("--args") || !accepted.contains("--json-status-fd") {
            // a dynamic loader prints its complaint without bwrap's name
            let message = help
                .lines()
                .map(|line| Message::parse(line.as_bytes()))
                .find(|message| message.severity() == Severity::Fatal && message.pattern().is_some());
            if let Some(message) = message {
                return Err(BwrapError::Refuses { path, message: Box::new(message) });
            }
            let output: String = help.lines().next().unwrap_or_default().chars().take(200).collect();
            return Err(BwrapError::NotBwrap { path, output });
        }
        // whatever it is, it is shown in the middle of a line
        let version_text = version.trim().lines().next().unwrap_or_default().trim_start_matches("bubblewrap");
        let version_text: String = visible::line(version_text.trim()).chars().take(LONGEST_VERSION).collect();
        Ok(Self(Arc::new(Facts {
            path,
            version: Version::parse(&version_text),
            version_text,
            accepted,
            setuid: meta.mode() & 0o4000 != 0,
            owner: meta.uid(),
        })))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Its version number, if it has one. It says little: distributions add options and mend faults without
    /// changing it.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.0.version
    }

    /// What it calls its version, such as `0.8.0`.
    #[must_use]
    pub fn version_text(&self) -> &str {
        &self.0.version_text
    }

    /// Whether it lists this option, such as `--overlay`, in its help.
    #[must_use]
    pub fn accepts(&self, option: &str) -> bool {
        self.0.accepted.contains(option)
    }

    /// How many words follow an option in bwrap's arguments, whatever the release. `None` for what is no option of any bwrap.
    ///
    /// ```
    /// use bwrap_launch::Bwrap;
    /// assert_eq!(["--bind", "--args", "--unshare-all"].map(Bwrap::words_after), [Some(2), Some(1), Some(0)]);
    /// assert_eq!(Bwrap::words_after("--no-such-option"), None);
    /// ```
    #[must_use]
    pub fn words_after(option: &str) -> Option<usize> {
        find(option).map(|option| option.arguments)
    }

    /// Every option that it lists in its help.
    ///
    /// ```
    /// use bwrap_launch::Bwrap;
    /// let bwrap = Bwrap::find()?;
    /// assert!(bwrap.options().any(|option| option == "--unshare-all"));
    /// assert!(bwrap.options().all(|option| bwrap.accepts(option)));
    /// # Ok::<(), bwrap_launch::BwrapError>(())
    /// ```
    pub fn options(&self) -> impl Iterator<Item = &str> {
        self.0.accepted.iter()
    }

    /// Whether the file has the setuid bit: a risk in old versions, and refused by new ones.
    #[must_use]
    pub fn is_setuid(&self) -> bool {
        self.0.setuid
    }

    /// The user id of the file's owner, who can replace what runs.
    #[must_use]
    pub fn owner(&self) -> u32 {
        self.0.owner
    }

    /// Whether it resolves destinations inside the new root only, as 0.12 and newer do.
    ///
    /// ```
    /// use bwrap_launch::{Bwrap, Version};
    /// let bwrap = Bwrap::find()?;
    /// // without, CVE-2026-87766: mount nothing below a writable bind that the command may have filled
    /// assert!(bwrap.resolves_in_root() || bwrap.version() < Some(Version::new(0, 12, 0)));
    /// # Ok::<(), bwrap_launch::BwrapError>(())
    /// ```
    #[must_use]
    pub fn resolves_in_root(&self) -> bool {
        self.accepts("--not-a-security-boundary") || self.version() >= Some(Version::new(0, 12, 0))
    }

    /// Whether each `--sync-fd` is kept, and not only the last. Nothing but the version tells.
    pub(crate) fn keeps_every_sync_fd(&self) -> bool {
        self.version() >= options::SECOND_SYNC_FD.release()
    }

    /// The known vulnerabilities of its version, those that need the setuid bit only if it is set.
    pub fn advisories(&self) -> impl Iterator<Item = &'static Advisory> {
        let (version, setuid) = (self.version(), self.is_setuid());
        ADVISORIES.iter().filter(move |advisory| {
            version.is_some_and(|version| advisory.since <= version && version < advisory.fixed_in)
                && (setuid || !advisory.setuid_only)
        })
    }

    pub(crate) fn missing(&self, option: &BwrapOption) -> MissingOption {
        MissingOption {
            option: option.name,
            since: option.since,
            bwrap: self.path().to_owned(),
            version: self.version_text().to_owned(),
        }
    }
}

impl fmt::Debug for Bwrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bwrap")
            .field("path", &self.path())
            .field("version", &self.version_text())
            .field("setuid", &self.is_setuid())
            .field("owner", &self.owner())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Bwrap {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Bwrap {}

/// Finds a program in the directories of a `PATH`, those that the working directory controls excepted. As for a shell, one
/// that we may not execute is taken only if there is no other. Otherwise says which directories were searched and which
/// were not.
fn look_up(
    name: &str,
    path: &OsStr,
    working: Option<&Path>,
    may_execute: fn(&Path) -> bool,
) -> Result<PathBuf, (Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut searched, mut skipped, mut forbidden) = (Vec::new(), Vec::new(), None);
    for directory in std::env::split_paths(path) {
        if controlled(&directory, working) {
            // an empty entry of PATH means the working directory
            skipped.push(if directory.as_os_str().is_empty() { PathBuf::from(".") } else { directory });
            continue;
        }
        let candidate = directory.join(name);
        if std::fs::metadata(&candidate).is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0) {
            if may_execute(&candidate) {
                return Ok(candidate);
            }
            forbidden.get_or_insert(candidate);
        }
        searched.push(directory);
    }
    forbidden.ok_or((searched, skipped))
}

/// Whether we may, by permissions, mount and security module.
fn may_execute(path: &Path) -> bool {
    accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

/// Finds another program that a launch needs, as [`Bwrap::find`] finds bwrap.
pub(crate) fn find_helper(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    look_up(name, &path, std::env::current_dir().ok().as_deref(), may_execute).ok()
}

/// Whether whoever fills the working directory decides what is in `directory`.
fn controlled(directory: &Path, working: Option<&Path>) -> bool {
    if !directory.is_absolute() {
        return true;
    }
    let Some(working) = working else { return false };
    let system = working == Path::new("/") || working.starts_with("/usr");
    let real = std::fs::canonicalize(directory);
    !system && (directory.starts_with(working) || real.is_ok_and(|real| real.starts_with(working)))
}

/// How long bwrap may take to say what it is. It takes a few milliseconds, but what is found may be a wrapper.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a killed process may take to disappear before we go on without it.
const DEATH: Duration = Duration::from_secs(2);

/// How often a process is looked for that has not closed its streams: its end alone wakes nobody, without `pidfd_open(2)`.
const PAUSE: Duration = Duration::from_millis(1);

/// The most that is read of an answer. bwrap's help has some kilobytes.
const LONGEST: usize = 1 << 20;

/// Runs bwrap with one option and returns what it prints, on either stream. Later than the deadline it is killed.
fn ask(path: &Path, option: &str, deadline: Instant) -> io::Result<String> {
    let mut command = Command::new(path);
    command
        .arg(option)
        .env_clear()
        // a pipe, not /dev/null, which a sandbox around us may lack
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // a process group, so that a wrapper is killed with all that it has started
        .process_group(0);
    let mut child = match command.spawn() {
        // a command with a user is forked, without clone3(2)
        Err(error) if Errno::from_io_error(&error).is_some_and(is_denial) => {
            match command.uid(getuid().as_raw()).spawn() {
                Ok(mut child) => {
                    let _ = child.wait();
                    return Err(denied_clone3(&error));
                }
                Err(_) => return Err(error),
            }
        }
        child => child?,
    };
    let heard = listen(&mut child, deadline);
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // nobody has waited for the process, so its number is still its own
    let complete = matches!(heard, Ok((_, true)));
    if let Some(group) = group.filter(|_| !complete) {
        let _ = kill_process_group(group, Signal::KILL);
        wait_for(group, DEATH);
    }
    // otherwise we ignore the exit status: a caller that ignores SIGCHLD gets none
    if let Ok(Some(status)) = child.try_wait()
        && status.signal() == Some(libc::SIGSYS)
    {
        let what = "a system call filter ended it (SIGSYS) before it could say what it is; the number of the call is in the kernel log";
        return Err(io::Error::other(what));
    }
    match heard {
        Ok((text, _)) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            let seconds = PATIENCE.as_secs();
            let what = format!("it did not answer {option} within {seconds} seconds, and was killed");
            Err(io::Error::new(io::ErrorKind::TimedOut, what))
        }
        Err(error) => Err(error),
    }
}

/// What a system call filter answers, or a kernel without the call.
pub(crate) fn is_denial(error: Errno) -> bool {
    [Errno::PERM, Errno::ACCESS, Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP].contains(&error)
}

/// That clone3(2) was denied: what that is needed for, and what to do.
fn denied_clone3(error: &io::Error) -> io::Error {
    let what = format!(
        "clone3(2) was denied ({error}), and the C library starts programs and threads with it. Mostly that is the system call filter \
         of a container engine older than Docker 20.10.10: update the engine, or have the filter answer ENOSYS, with which the library \
         does without"
    );
    io::Error::new(error.kind(), what)
}

/// What a process prints until it ends, and whether it has ended: else it prints without end.
fn listen(child: &mut Child, deadline: Instant) -> io::Result<(String, bool)> {
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut ended = false;
    loop {
        let mut buffer = [0; 4096];
        let mut heard = false;
        heard |= read_ready(&mut stdout, &mut out, &mut buffer)?;
        heard |= read_ready(&mut stderr, &mut err, &mut buffer)?;
        if out.len() + err.len() > LONGEST {
            break;
        }
        if heard {
            continue;
        }
        // a process that still holds the pipes after bwrap's end has nothing to say to us
        if ended {
            break;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let streams = [stdout.as_ref().map(AsFd::as_fd), stderr.as_ref().map(AsFd::as_fd)];
        let streams = streams.into_iter().flatten();
        let mut polled: Vec<PollFd<'_>> =
            streams.map(|stream| PollFd::from_borrowed_fd(stream, PollFlags::IN)).collect();
        match poll(&mut polled, Timespec::try_from(left.min(PAUSE)).ok().as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ended = has_ended(Pid::from_child(child));
    }
    // put errors last, whichever stream they came from
    out.append(&mut err);
    Ok((String::from_utf8_lossy(&out).into_owned(), ended))
}

/// Reads once from a stream, if there is something to read. Says whether there was; `None` replaces a stream at its end.
fn read_ready(
    stream: &mut Option<impl Read + AsFd>,
    text: &mut Vec<u8>,
    buffer: &mut [u8],
) -> io::Result<bool> {
    let Some(source) = stream else { return Ok(false) };
    let ready = poll(&mut [PollFd::new(source, PollFlags::IN)], Some(&Timespec::default()));
    if !ready.is_ok_and(|count| count > 0) {
        return Ok(false);
    }
    match source.read(buffer) {
        Ok(0) => *stream = None,
        Ok(count) => text.extend(buffer.iter().take(count)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(error) => return Err(error),
    }
    Ok(true)
}

/// Whether a child has ended, which stays to be waited for. Where the caller ignores SIGCHLD it is gone then.
fn has_ended(pid: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(pid), options) {
        Ok(status) => status.is_some(),
        Err(error) => error == Errno::CHILD && test_kill_process(pid) == Err(Errno::SRCH),
    }
}

/// Waits for the end of a child, not for long.
fn wait_for(pid: Pid, patience: Duration) {
    let deadline = Instant::now() + patience;
    while !has_ended(pid) && Instant::now() < deadline {
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::super::stand_in::{self, lives};
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(Version::parse("bubblewrap 0.8.0"), Some(Version::new(0, 8, 0)));
        assert_eq!(Version::parse("0.13"), Some(Version::new(0, 13, 0)));
        assert_eq!(Version::parse("unknown"), None);
    }

    #[test]
    fn the_working_directory_chooses_nothing() {
        let here = Path::new("/home/me/checkout");
        for (directory, expected) in [
            ("", true),
            (".", true),
            ("bin", true),
            ("/home/me/checkout/bin", true),
            ("/home/me/checkout", true),
            ("/home/me/bin", false),
            ("/usr/bin", false),
        ] {
            assert_eq!(controlled(Path::new(directory), Some(here)), expected, "{directory}");
        }
        assert!(!controlled(Path::new("/usr/bin"), Some(Path::new("/"))));
        assert!(!controlled(Path::new("/usr/bin"), Some(Path::new("/usr"))));
    }

    #[test]
    fn one_that_may_not_be_executed_is_taken_last() {
        let root = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| root.path().join(name));
        for directory in [&first, &second] {
            std::fs::create_dir(directory).unwrap();
            std::os::unix::fs::symlink("/bin/sh", directory.join("bwrap")).unwrap();
        }
        let path = std::env::join_paths([&first, &second]).unwrap();
        let found = |may| look_up("bwrap", &path, None, may).unwrap();
        assert_eq!(found(|_| true), first.join("bwrap"));
        assert_eq!(found(|path| path.parent().unwrap().ends_with("second")), second.join("bwrap"));
        assert_eq!(found(|_| false), first.join("bwrap"));
        // an empty entry
        assert_eq!(look_up("bwrap", OsStr::new(""), None, may_execute).unwrap_err().1, [Path::new(".")]);
    }

    /// A script that is asked something.
    fn script(directory: &tempfile::TempDir, text: &str) -> PathBuf {
        let path = directory.path().join("bwrap");
        stand_in::script(&path, text);
        path
    }

    #[test]
    fn an_answer_has_a_time_limit() {
        let directory = tempfile::tempdir().unwrap();
        let pids = directory.path().join("pids");
        for (what, end) in [
            ("it hangs", "sleep 60"),
            ("it closes its streams and hangs", "exec >/dev/null 2>&1 <&1; sleep 60"),
        ] {
            let text = format!("sleep 60 & echo $$ $! >{}; {end}", pids.display());
            let path = script(&directory, &text);
            let began = Instant::now();
            let error = ask(&path, "--help", began + Duration::from_millis(400)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{what}: {error}");
            assert!(began.elapsed() < Duration::from_secs(2), "{what}");
            let said = std::fs::read_to_string(&pids).unwrap();
            let mut numbers = said.split_whitespace();
            let own = numbers.next().unwrap();
            assert!(!Path::new(&format!("/proc/{own}")).exists(), "{what}: not even a zombie");
            std::thread::sleep(Duration::from_millis(50));
            assert!(numbers.all(|pid| !lives(pid)), "{what}");
        }
    }

    #[test]
    fn an_answer_ends_with_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let pid = directory.path().join("pid");
        let text = format!("echo err >&2; sleep 20 & echo $! >{}; echo out", pid.display());
        let began = Instant::now();
        let answer = ask(&script(&directory, &text), "--help", began + PATIENCE).unwrap();
        assert_eq!(answer, "out\nerr\n");
        assert!(began.elapsed() < Duration::from_secs(2));
        let pid = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        // without end
        let answer = ask(&script(&directory, "yes"), "--help", Instant::now() + PATIENCE).unwrap();
        assert!(answer.len() > LONGEST && answer.len() < 2 * LONGEST);
    }

    #[test]
    fn a_search_reports_where_it_looked() {
        let error = Bwrap::search(OsStr::new("/nonexistent:bin"), Some(Path::new("/home"))).unwrap_err();
        let BwrapError::NotFound { searched, skipped } = &error else { panic!("{error}") };
        assert_eq!(searched, &[PathBuf::from("/nonexistent")]);
        assert_eq!(skipped, &[PathBuf::from("bin")]);
        assert!(error.to_string().contains("install bubblewrap"), "{error}");
    }
}
