//! Find bwrap, and say what it is.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::advisory::{ADVISORIES, Advisory};
use super::ask::{PATIENCE, ask};
use super::message::{Message, Severity};
use super::options::{self, Accepted, BwrapOption, MissingOption, find};
use super::version::Version;
use crate::process_local::ProcessLocal;
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

static FOUND: ProcessLocal<Option<Search>> = ProcessLocal::shared();

static KNOWN: ProcessLocal<HashMap<PathBuf, (Stamp, Bwrap)>> = ProcessLocal::shared();

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
        let known =
            FOUND.lock().as_ref().filter(|(asked, _)| *asked == question).map(|(_, path)| path.clone());
        if let Some(bwrap) = known.and_then(|path| Self::at(path).ok()) {
            return Ok(bwrap);
        }
        let bwrap = Self::search(&question.0, question.1.as_deref())?;
        *FOUND.lock() = Some((question, bwrap.path().to_owned()));
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
        if let Some((_, bwrap)) = KNOWN.lock().get(&path).filter(|(old, _)| *old == stamp) {
            return Ok(bwrap.clone());
        }
        let bwrap = Self::inspect(path.clone(), &meta)?;
        KNOWN.lock().insert(path, (stamp, bwrap.clone()));
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
                .take(100)
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
    /// if !bwrap.resolves_in_root() {
    ///     // CVE-2026-87766: mount nothing below a writable bind that the command may have filled
    ///     assert!(bwrap.version() < Some(Version::new(0, 12, 0)));
    /// }
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
        ADVISORIES
            .iter()
            .filter(move |advisory| version.is_some_and(|version| advisory.concerns(version, setuid)))
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

/// The same file that says the same of itself, whoever has asked it.
impl PartialEq for Bwrap {
    fn eq(&self, other: &Self) -> bool {
        let facts = |bwrap: &Self| (bwrap.is_setuid(), bwrap.owner());
        Arc::ptr_eq(&self.0, &other.0)
            || self.path() == other.path()
                && self.version_text() == other.version_text()
                && facts(self) == facts(other)
                && self.options().eq(other.options())
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

/// Finds another program that a launch needs, as [`Bwrap::find`] finds bwrap; else says where it is not.
pub(crate) fn find_helper(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    let found = look_up(name, &path, std::env::current_dir().ok().as_deref(), may_execute);
    found.map_err(|(searched, skipped)| {
        format!("{name} is not on the PATH (looked into {}{})", list(&searched), skipped_note(&skipped))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_search_reports_where_it_looked() {
        let error = Bwrap::search(OsStr::new("/nonexistent:bin"), Some(Path::new("/home"))).unwrap_err();
        let BwrapError::NotFound { searched, skipped } = &error else { panic!("{error}") };
        assert_eq!(searched, &[PathBuf::from("/nonexistent")]);
        assert_eq!(skipped, &[PathBuf::from("bin")]);
        assert!(error.to_string().contains("install bubblewrap"), "{error}");
    }
}
