//! What a command that ran leaves behind: its status and its output.

use std::borrow::Cow;
use std::fmt;
use std::os::unix::process::ExitStatusExt;

use super::capture::{Cut, Cuts};
use super::ending::{Ending, Stop};
use crate::bwrap::Message;
use crate::sandbox::Feature;

/// How a command that ran in a sandbox ended, as [`std::process::ExitStatus`].
///
/// bwrap reports a command that was killed by signal *n* as status 128 + *n*, like a shell, and a command
/// that exits with that number likewise. So a status from 129 to 192 leaves two stories:
/// [`signal`](Self::signal) takes the likely one, [`ending`](Self::ending) tells both.
///
/// It converts into [`std::process::ExitStatus`].
///
/// ```
/// use bwrap_launch::Sandbox;
/// let sandbox = Sandbox::new().ro_bind("/", "/");
/// let status = sandbox.command("sh").args(["-c", "exit 3"]).status()?;
/// assert_eq!((status.success(), status.code(), status.signal(), status.raw()), (false, Some(3), None, 3));
/// let killed = sandbox.command("sh").args(["-c", "kill -9 $$"]).status()?;
/// assert_eq!((killed.code(), killed.signal(), killed.raw()), (None, Some(9), 137));
/// assert_eq!(std::process::ExitStatus::from(status).code(), Some(3));
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExitStatus {
    number: u8,
    stopped: Option<Stop>,
    memory: Memory,
}

/// Whether the kernel killed something because memory ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Memory {
    Enough,
    RanOut,
    MayHaveRunOut,
}

/// The largest signal number of Linux (`SIGRTMAX`).
const LAST_SIGNAL: u8 = 64;

impl ExitStatus {
    pub(crate) const fn from_bwrap(code: u8) -> Self {
        Self { number: code, stopped: None, memory: Memory::Enough }
    }

    /// The status that bwrap reports as this number, as a shell would show it in `$?`: for tests of what handles it.
    ///
    /// ```
    /// use bwrap_launch::ExitStatus;
    /// assert_eq!(ExitStatus::from_raw(3).code(), Some(3));
    /// assert_eq!(ExitStatus::from_raw(137).signal(), Some(9));
    /// ```
    #[must_use]
    pub const fn from_raw(number: u8) -> Self {
        Self::from_bwrap(number)
    }

    /// The status of a command that was stopped for this reason: for tests of what handles it.
    ///
    /// ```
    /// use bwrap_launch::{Ending, ExitStatus, Stop};
    /// let status = ExitStatus::from_raw(137).with_stop(Stop::Timeout);
    /// assert_eq!(status.ending(), Ending::Stopped(Stop::Timeout));
    /// assert_eq!(status.to_string(), "signal: 9 (stopped: time limit)");
    /// ```
    #[must_use]
    pub const fn with_stop(self, stop: Stop) -> Self {
        Self { stopped: Some(stop), ..self }
    }

    /// The status of a command that memory ran out for: for tests of what handles it.
    ///
    /// ```
    /// use bwrap_launch::{Ending, ExitStatus};
    /// let status = ExitStatus::from_raw(2).with_out_of_memory();
    /// assert_eq!(status.ending(), Ending::OutOfMemory { code: 2 });
    /// assert_eq!(status.to_string(), "exit status: 2 (out of memory)");
    /// ```
    #[must_use]
    pub const fn with_out_of_memory(self) -> Self {
        Self { memory: Memory::RanOut, ..self }
    }

    /// The status of a command that memory may have run out for: for tests of what handles it.
    ///
    /// ```
    /// use bwrap_launch::{Ending, ExitStatus};
    /// let status = ExitStatus::from_raw(137).with_maybe_out_of_memory();
    /// assert_eq!(status.ending(), Ending::MaybeOutOfMemory { code: 137 });
    /// assert_eq!(status.to_string(), "signal: 9 (or exit status: 137; perhaps out of memory)");
    /// assert!(!status.out_of_memory());
    /// ```
    #[must_use]
    pub const fn with_maybe_out_of_memory(self) -> Self {
        Self { memory: Memory::MayHaveRunOut, ..self }
    }

    /// Whether the command did not succeed and the kernel had killed it, or other processes of its control group, because memory ran out there
    /// ([`Usage::memory_kills`](crate::Usage::memory_kills)): only with a [limit](crate::Limits::memory_max) of memory, or
    /// [`Limit::Accounting`](crate::Limit::Accounting), that is known. What is killed because the whole machine is out of memory counts, too.
    /// Without them [`ending`](Self::ending) says where it may be so.
    #[must_use]
    pub fn out_of_memory(self) -> bool {
        self.memory == Memory::RanOut
    }

    /// Why this crate stopped the command, if it did. The status is then what the command made of it: signal 9 if it was killed,
    /// whatever it likes if it was asked to end first.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::{Sandbox, Stop};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").dev("/dev").unshare_all();
    /// let mut command = sandbox.command("sh");
    /// command.args(["-c", "trap 'exit 7' TERM; sleep 60 & wait"]);
    /// let status = command.timeout(Duration::from_secs(2)).grace(Duration::from_secs(10)).status()?;
    /// assert_eq!((status.stopped(), status.code()), (Some(Stop::Timeout), Some(7)));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    #[must_use]
    pub fn stopped(self) -> Option<Stop> {
        self.stopped
    }

    /// Whether the command exited with status 0. One that was asked to end, as by [`Command::timeout`](crate::Command::timeout) with a
    /// [`grace`](crate::Command::grace), may do so, too: [`stopped`](Self::stopped) tells.
    #[must_use]
    pub fn success(self) -> bool {
        self.number == 0
    }

    /// The command's status, or `None` if it was killed by a signal, as far as bwrap tells.
    #[must_use]
    pub fn code(self) -> Option<i32> {
        if self.signal().is_some() { None } else { Some(self.number.into()) }
    }

    /// The signal that killed the command, as far as bwrap tells.
    #[must_use]
    pub fn signal(self) -> Option<i32> {
        match self.number.checked_sub(128) {
            Some(signal @ 1..=LAST_SIGNAL) => Some(signal.into()),
            _ => None,
        }
    }

    /// How the command ended: stopped, for want of memory, or by itself, with both stories where there are two.
    ///
    /// ```
    /// use bwrap_launch::{Ending, Sandbox};
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("sh");
    /// let status = command.args(["-c", "exit 143"]).status()?;
    /// assert_eq!(status.ending(), Ending::SignaledOrExited { signal: 15, code: 143 });
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    #[must_use]
    pub fn ending(self) -> Ending {
        match (self.stopped, self.signal()) {
            (Some(stop), _) => Ending::Stopped(stop),
            _ if self.memory == Memory::RanOut => Ending::OutOfMemory { code: self.number },
            _ if self.memory == Memory::MayHaveRunOut => Ending::MaybeOutOfMemory { code: self.number },
            (None, Some(signal)) => Ending::SignaledOrExited { signal, code: self.number },
            (None, None) => Ending::Exited(self.number),
        }
    }

    /// The number as bwrap reports it and as a shell would show it in `$?`.
    #[must_use]
    pub fn raw(self) -> u8 {
        self.number
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.stopped.is_none() && !self.out_of_memory() {
            return self.ending().fmt(f);
        }
        match self.signal() {
            Some(signal) => write!(f, "signal: {signal}")?,
            None => write!(f, "exit status: {}", self.number)?,
        }
        match self.stopped {
            Some(stop) => write!(f, " (stopped: {stop})"),
            None => f.write_str(" (out of memory)"),
        }
    }
}

impl From<ExitStatus> for std::process::ExitStatus {
    fn from(status: ExitStatus) -> Self {
        Self::from_raw(status.signal().unwrap_or_else(|| i32::from(status.number) << 8))
    }
}

/// What a command that ran left behind, as [`std::process::Output`].
///
/// ```
/// use bwrap_launch::Sandbox;
/// let sandbox = Sandbox::new().ro_bind("/", "/");
/// let output = sandbox.command("sh").args(["-c", "echo out; echo err >&2; exit 1"]).output()?;
/// assert_eq!(output.status.code(), Some(1));
/// assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
/// assert!(output.warnings.is_empty() && output.dropped.is_empty());
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output, if that was piped.
    pub stdout: Vec<u8>,
    /// What it, and bwrap before it, wrote to standard error, if that was piped.
    pub stderr: Vec<u8>,
    pub(super) cuts: Cuts,
    /// bwrap's warnings at the beginning of `stderr`, or of `stdout` if that is [merged](crate::Stdio::merged). A command can forge them.
    pub warnings: Vec<Message>,
    /// Features that this bwrap lacks and the sandbox declared dispensable: they were left out.
    pub dropped: Vec<Feature>,
}

impl Output {
    /// The output of a command that ended so and wrote this: for tests of what handles it.
    ///
    /// ```
    /// use bwrap_launch::{ExitStatus, Output};
    /// let output = Output::new(ExitStatus::from_raw(0), "hello\n", "");
    /// assert_eq!(output.stdout, b"hello\n");
    /// ```
    #[must_use]
    pub fn new(status: ExitStatus, stdout: impl Into<Vec<u8>>, stderr: impl Into<Vec<u8>>) -> Self {
        let (warnings, dropped) = (Vec::new(), Vec::new());
        let (stdout, stderr) = (stdout.into(), stderr.into());
        Self { status, stdout, stderr, cuts: Cuts::default(), warnings, dropped }
    }

    /// Where something is missing in `stdout`, if it was more than was to be [kept](crate::Capture).
    ///
    /// ```
    /// use bwrap_launch::{Capture, Sandbox};
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("seq");
    /// let output = command.arg("6").capture(Capture::ends(4, 2)).output()?;
    /// assert_eq!(output.stdout_cut().map(|cut| (cut.at, cut.missing)), Some((4, 6)));
    /// assert_eq!(output.stderr_cut(), None);
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    #[must_use]
    pub fn stdout_cut(&self) -> Option<Cut> {
        self.cuts.stdout()
    }

    /// Where something is missing in `stderr`, as [`stdout_cut`](Self::stdout_cut).
    #[must_use]
    pub fn stderr_cut(&self) -> Option<Cut> {
        self.cuts.stderr()
    }

    /// `stdout` for people: with a line where something is missing, as in `[6888884 bytes are left out here]`.
    ///
    /// ```
    /// use bwrap_launch::{Capture, Sandbox};
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("seq");
    /// let output = command.arg("6").capture(Capture::ends(4, 2)).output()?;
    /// assert_eq!(output.stdout_marked(), &b"1\n2\n[6 bytes are left out here]\n6\n"[..]);
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    #[must_use]
    pub fn stdout_marked(&self) -> Cow<'_, [u8]> {
        marked(&self.stdout, self.stdout_cut())
    }

    /// `stderr` for people, as [`stdout_marked`](Self::stdout_marked).
    #[must_use]
    pub fn stderr_marked(&self) -> Cow<'_, [u8]> {
        marked(&self.stderr, self.stderr_cut())
    }
}

fn marked(kept: &[u8], cut: Option<Cut>) -> Cow<'_, [u8]> {
    cut.map_or(Cow::Borrowed(kept), |cut| Cow::Owned(cut.mark(kept)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_ending() {
        for raw in 0..=255_u8 {
            let status = ExitStatus::from_bwrap(raw);
            assert_eq!(status.raw(), raw);
            assert!(status.code().is_some() != status.signal().is_some());
            let std = std::process::ExitStatus::from(status);
            assert_eq!((std.code(), std.signal()), (status.code(), status.signal()), "{raw}");
        }
        assert_eq!(ExitStatus::from_bwrap(128).code(), Some(128));
        assert_eq!(ExitStatus::from_bwrap(137).signal(), Some(9));
        assert_eq!(ExitStatus::from_bwrap(193).code(), Some(193));
        assert_eq!(ExitStatus::from_bwrap(137).to_string(), "signal: 9 (or exit status: 137)");
    }
}
