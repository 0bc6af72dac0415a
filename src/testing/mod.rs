//! A stand-in for bwrap, for the unit tests of programs that launch sandboxes (feature `testing`).
//!
//! What a program does when a sandbox fails can only be tested if sandboxes fail. A [`StandIn`] is a program that is told what is
//! to happen and plays it to the launcher the way the real bwrap does, with its reports, its ready socket and its messages: it
//! needs no privileges, no namespaces and no bwrap, only `bash`. Nothing is run: what the command prints and how it ends is part of
//! the [`Outcome`]. It plays no part of the caller's: sandboxes that map ranges of ids ([`Sandbox::map_uids`](crate::Sandbox::map_uids))
//! do not start with it. As there is no command, there is nobody to list or to signal: [`Killer::terminate`](crate::Killer::terminate) kills at once.
//!
//! ```
//! use bwrap_launch::testing::{Outcome, StandIn};
//! use bwrap_launch::{Error, Sandbox, Version};
//!
//! let version = Version::new(0, 11, 0);
//! let bwrap = StandIn::new(version, &Outcome::exits(3).stdout("hello\n"))?;
//! let mut command = Sandbox::new().ro_bind("/", "/").command("make");
//! let output = command.arg("check").bwrap(bwrap.bwrap()).output()?;
//! assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), &b"hello\n"[..]));
//! assert_eq!(bwrap.launches()?[0].get_program(), "make");
//!
//! bwrap.next(&Outcome::set_up_fails("Can't mount proc on /newroot/proc: Operation not permitted"))?;
//! let error = command.output().unwrap_err();
//! assert!(matches!(error, Error::SetupFailed(_)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Why a sandbox failed is read from the host. [`StandIn::on`] says which host that is to be, and [`StandIn::fails_for`] makes one
//! that fails for a given cause.

mod scene;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::Duration;

pub use scene::{causes, healthy_host};
use tempfile::TempDir;

use crate::bwrap::{Bwrap, Version, options};
use crate::diagnosis::Cause;
use crate::host::{Host, told};
use crate::launch::Command;
use crate::shell;

const SCRIPT: &str = include_str!("bwrap.bash");

/// The signals that there are: signal(7).
const SIGNALS: RangeInclusive<u8> = 1..=64;

/// How far bwrap gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum At {
    /// Before it has made a process: arguments, privileges, namespaces.
    Start,
    /// While the sandbox is set up: ids, network, mounts.
    SetUp,
    /// When everything is set up, and the command is to be executed.
    Execute,
    /// While the command runs.
    Run,
}

impl At {
    fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::SetUp => "set-up",
            Self::Execute => "execute",
            Self::Run => "run",
        }
    }
}

/// What is to become of a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an outcome is to be given to a StandIn"]
pub struct Outcome {
    what: What,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    takes: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Ends { status: u8 },
    Killed { signal: u8 },
    Fails { at: At, words: String },
    Hangs { at: At },
    Dies { at: At, signal: u8 },
}

impl Outcome {
    fn new(what: What) -> Self {
        Self { what, stdout: Vec::new(), stderr: Vec::new(), takes: Duration::ZERO }
    }

    fn fails(at: At, words: impl Into<String>) -> Self {
        Self::new(What::Fails { at, words: words.into() })
    }

    /// The command runs and exits with this status.
    pub fn exits(status: u8) -> Self {
        Self::new(What::Ends { status })
    }

    /// The command runs and is killed by this signal, 1 to 64: any other makes [`StandIn::new`] and [`StandIn::next`] fail.
    pub fn killed(signal: u8) -> Self {
        Self::new(What::Killed { signal })
    }

    /// bwrap makes no sandbox, and says so in these words (without `bwrap: ` before them).
    pub fn refuses(words: impl Into<String>) -> Self {
        Self::fails(At::Start, words)
    }

    /// The sandbox cannot be set up, and bwrap says so in these words.
    pub fn set_up_fails(words: impl Into<String>) -> Self {
        Self::fails(At::SetUp, words)
    }

    /// The command cannot be executed, and bwrap says so in these words, such as `execvp make: No such file or directory`.
    pub fn not_executed(words: impl Into<String>) -> Self {
        Self::fails(At::Execute, words)
    }

    /// bwrap gets so far, and no further, until it is killed or the caller is gone.
    pub fn hangs(at: At) -> Self {
        Self::new(What::Hangs { at })
    }

    /// bwrap gets so far, and somebody kills it, by this signal, 1 to 64, as with [`killed`](Self::killed).
    pub fn dies(at: At, signal: u8) -> Self {
        Self::new(What::Dies { at, signal })
    }

    /// What the command writes to its standard output.
    pub fn stdout(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdout = bytes.into();
        self
    }

    /// What the command writes to its standard error.
    pub fn stderr(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stderr = bytes.into();
        self
    }

    /// How long the command goes on after it has written.
    pub fn takes(mut self, time: Duration) -> Self {
        self.takes = time;
        self
    }

    /// That a signal is one.
    fn check(&self) -> io::Result<()> {
        match self.what {
            What::Killed { signal } | What::Dies { signal, .. } if !SIGNALS.contains(&signal) => {
                let what = format!("signal {signal}: there are {} to {}", SIGNALS.start(), SIGNALS.end());
                Err(io::Error::new(io::ErrorKind::InvalidInput, what))
            }
            _ => Ok(()),
        }
    }

    /// As the script reads it.
    fn lines(&self) -> String {
        let (what, stage, number, words) = match &self.what {
            What::Ends { status } => ("ends", "", *status, ""),
            // as bwrap passes it on
            What::Killed { signal } => ("ends", "", signal.saturating_add(128), ""),
            What::Fails { at, words } => ("fails", at.word(), 0, words.as_str()),
            What::Hangs { at } => ("hangs", at.word(), 0, ""),
            What::Dies { at, signal } => ("dies", at.word(), *signal, ""),
        };
        let seconds = self.takes.as_secs_f64();
        format!(
            "what={what} stage={stage:?} number={number} seconds={seconds} words={}\n",
            shell::word(words)
        )
    }
}

/// A program that takes bwrap's place. It is gone when this is dropped.
#[derive(Debug)]
pub struct StandIn {
    directory: TempDir,
    bwrap: Bwrap,
}

impl StandIn {
    /// A stand-in for this version of bwrap, from 0.3.2 on, and what becomes of its launches. It has that version's options, and
    /// refuses others as that does.
    ///
    /// # Errors
    ///
    /// If there is no `bash` (4.4 or newer) on `PATH`, the outcome's signal is none, or the files cannot be made.
    pub fn new(version: Version, outcome: &Outcome) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("bwrap-stand-in.").tempdir()?;
        let path = directory.path().join("bwrap");
        fs::create_dir(directory.path().join("launches"))?;
        fs::write(directory.path().join("help"), help(version))?;
        write(&path, &script(directory.path(), version)?)?;
        let bwrap = Bwrap::at(path).map_err(io::Error::other)?;
        let stand_in = Self { directory, bwrap };
        stand_in.next(outcome)?;
        Ok(stand_in)
    }

    /// A stand-in whose launches fail for this cause, one of [`causes`]: bwrap says what it says then, and the host is a
    /// [`healthy_host`] but for that. The sandbox must be one that can fail so: a network namespace is set up only where there is
    /// to be one.
    ///
    /// ```
    /// use bwrap_launch::diagnosis::Cause;
    /// use bwrap_launch::testing::StandIn;
    /// use bwrap_launch::{Sandbox, Version};
    /// let bwrap = StandIn::fails_for(Version::new(0, 11, 0), Cause::MaskedProc)?;
    /// let sandbox = Sandbox::new().ro_bind("/", "/").proc("/proc").unshare_all();
    /// let error = sandbox.command("true").bwrap(bwrap.bwrap()).output().unwrap_err();
    /// assert_eq!(error.diagnosis().unwrap().cause(), Some(Cause::MaskedProc));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and if the cause is none of them, or one of an option that this version lacks.
    pub fn fails_for(version: Version, cause: Cause) -> io::Result<Self> {
        let (outcome, host) = scene::scene(cause, version).ok_or_else(|| {
            let what = format!(
                "{cause}: no stand-in of {version} fails for that; say how with Outcome and StandIn::on"
            );
            io::Error::new(io::ErrorKind::InvalidInput, what)
        })?;
        Ok(Self::new(version, &outcome)?.on(host))
    }

    /// To be given to [`Command::bwrap`], or as its path in the variable `BWRAP` to a program.
    #[must_use]
    pub fn bwrap(&self) -> &Bwrap {
        &self.bwrap
    }

    /// What becomes of launches from now on.
    ///
    /// # Errors
    ///
    /// If its signal is none, or it cannot be written down.
    pub fn next(&self, outcome: &Outcome) -> io::Result<()> {
        outcome.check()?;
        let path = |name: &str| self.directory.path().join(name);
        fs::write(path("stdout"), &outcome.stdout)?;
        fs::write(path("stderr"), &outcome.stderr)?;
        fs::write(path("new"), outcome.lines())?;
        fs::rename(path("new"), path("outcome"))
    }

    /// Says that it is on this host: failures are diagnosed from its facts, instead of those of the machine that runs the test.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// use bwrap_launch::diagnosis::Cause;
    /// use bwrap_launch::host::{Fact, Host};
    /// use bwrap_launch::testing::{Outcome, StandIn};
    ///
    /// let mut host = Host::snapshot();
    /// host.sysctls.insert("user.max_user_namespaces".into(), Fact::Present("0".into()));
    /// let words = "Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)";
    /// let version = bwrap_launch::Version::new(0, 8, 0);
    /// let bwrap = StandIn::new(version, &Outcome::refuses(words))?.on(host);
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
    /// let error = sandbox.command("true").bwrap(bwrap.bwrap()).output().unwrap_err();
    /// assert_eq!(error.diagnosis().unwrap().cause(), Some(Cause::NoUserNamespacesAllowed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on(self, host: Host) -> Self {
        told::tell(self.bwrap.path(), host);
        self
    }

    /// What was asked for, launch by launch. One that fails while nobody listens to its standard error is asked for its words once
    /// more, and stands here twice.
    ///
    /// # Errors
    ///
    /// If the records cannot be read.
    pub fn launches(&self) -> io::Result<Vec<Command>> {
        let mut all = Vec::new();
        for number in 0.. {
            let path = self.directory.path().join("launches").join(format!("{number}/words"));
            let text = match fs::read(path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            };
            let words = text.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
            let mut words: Vec<OsString> = words.collect();
            // each word ends with a zero
            words.pop();
            all.push(Command::from_args(without_launchers(words)).map_err(io::Error::other)?);
        }
        Ok(all)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        told::forget(self.bwrap.path());
    }
}

/// The line without what the launcher adds for itself.
fn without_launchers(words: Vec<OsString>) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let option = word.to_str().and_then(options::find);
        let takes = option.map_or(0, |option| option.arguments);
        let own = ["--json-status-fd", "--block-fd", "--userns-block-fd"];
        let is_own = option.is_some_and(|option| own.contains(&option.name));
        let is_end = option.is_none();
        kept.extend((!is_own).then_some(word));
        let values: Vec<OsString> = words.by_ref().take(takes).collect();
        kept.extend(values.into_iter().filter(|_| !is_own));
        if is_end {
            break;
        }
    }
    kept.extend(words);
    kept
}

/// The options that a version has.
fn options_of(version: Version) -> impl Iterator<Item = &'static options::BwrapOption> {
    options::OPTIONS.iter().filter(move |option| option.release().is_some_and(|release| release <= version))
}

fn help(version: Version) -> String {
    let options = options_of(version).map(|option| {
        let values = ["", " VALUE", " SRC DEST", " RWSRC WORKDIR DEST"].get(option.arguments).copied();
        format!("    {}{}\n", option.name, values.unwrap_or_default())
    });
    format!("usage: bwrap [OPTIONS...] [--] COMMAND [ARGS...]\n\n{}", options.collect::<String>())
}

/// The whole program.
fn script(directory: &Path, version: Version) -> io::Result<Vec<u8>> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let mut bash = std::env::split_paths(&path).map(|directory| directory.join("bash"));
    let bash = bash.find(|path| path.is_absolute() && path.is_file()).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            "the stand-in for bwrap is a script, and there is no bash in PATH; install it",
        )
    })?;
    let mut text = Vec::new();
    writeln!(text, "#!{}", bash.display())?;
    for (name, value) in [("dir", directory.as_os_str()), ("PATH", path.as_os_str())] {
        writeln!(text, "{name}={}", shell::word(value))?;
    }
    writeln!(text, "version={version}")?;
    for (arguments, name) in ["none", "one", "two", "three"].into_iter().enumerate() {
        let names = options_of(version).filter(|option| option.arguments == arguments);
        let names: Vec<&str> = names.map(|option| option.name).collect();
        writeln!(text, "{name}=' {} '", names.join(" "))?;
    }
    text.extend(SCRIPT.as_bytes());
    Ok(text)
}

/// Makes a program. Another process writes it: one that this process had open for writing could not be executed while a thread
/// of it forks.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut process = Process::new("sh");
    process.args(["-c", "cat >\"$0\" && chmod 755 \"$0\""]).arg(path).stdin(Stdio::piped());
    let mut process = process.spawn()?;
    let written = process.stdin.take().map_or(Ok(()), |mut pipe| pipe.write_all(text));
    let status = process.wait()?;
    written?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other("the stand-in for bwrap could not be written"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sandbox;

    #[test]
    fn a_signal_that_does_not_exist_is_refused() {
        let version = Version::new(0, 11, 0);
        let bwrap = StandIn::new(version, &Outcome::killed(64)).unwrap();
        for outcome in [Outcome::killed(0), Outcome::killed(200), Outcome::dies(At::Run, 65)] {
            let errors = [bwrap.next(&outcome).unwrap_err(), StandIn::new(version, &outcome).unwrap_err()];
            assert!(errors.iter().all(|error| error.kind() == io::ErrorKind::InvalidInput), "{errors:?}");
        }
        let command = || Sandbox::new().ro_bind("/", "/").command("make");
        let status = command().bwrap(bwrap.bwrap()).status().unwrap();
        assert_eq!(status.signal(), Some(64), "the one before stays");
    }
}
