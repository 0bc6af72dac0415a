//! Why a command ended, and who stopped it. No I/O.

use std::fmt;

/// Why this crate stopped a sandbox: the first reason counts.
///
/// ```
/// use std::time::Duration;
/// use bwrap_launch::{Sandbox, Stop};
/// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
/// let status = sandbox.command("sleep").arg("60").timeout(Duration::from_secs(2)).status()?;
/// assert_eq!(status.stopped(), Some(Stop::Timeout));
/// assert_eq!(Stop::Timeout.to_string(), "time limit");
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Stop {
    /// Somebody asked for it: [`Child::kill`](crate::Child::kill), or a [`Killer`](crate::Killer).
    Cancel,
    /// It took longer than [`Command::timeout`](crate::Command::timeout) allows.
    Timeout,
    /// It used more than it may of something: said by whoever watches that
    /// ([`Killer::because`](crate::Killer::because)).
    Limit,
    /// Its [`Child`](crate::Child) was dropped ([`Command::kill_on_drop`](crate::Command::kill_on_drop)).
    Drop,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cancel => "cancelled",
            Self::Timeout => "time limit",
            Self::Limit => "a limit was exceeded",
            Self::Drop => "dropped",
        })
    }
}

/// How a launch ended, in one word for a log, a database or a `match`: of a command that ran
/// ([`ExitStatus::ending`](crate::ExitStatus::ending)), or of whatever a launch returned ([`Ending::of`]).
///
/// With feature `serde` it is JSON such as `{"exited":3}`, `{"stopped":"timeout"}` or `"not-run"`.
///
/// ```
/// use std::time::Duration;
/// use bwrap_launch::{Ending, Sandbox, Stop};
/// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
/// let limited = |script: &str, limit| {
///     let mut command = sandbox.command("sh");
///     Ending::of(&command.args(["-c", script]).timeout(limit).status())
/// };
/// let phase = |script| limited(script, Duration::from_secs(3600));
/// assert_eq!(phase("exit 3"), Ending::Exited(3));
/// assert_eq!(limited("sleep 60", Duration::from_millis(200)), Ending::Stopped(Stop::Timeout));
/// // bwrap reports these two alike
/// assert_eq!(phase("exit 143"), phase("kill -TERM $$"));
/// assert_eq!(phase("kill -TERM $$").to_string(), "signal: 15 (or exit status: 143)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Ending {
    /// The command exited with this status.
    Exited(u8),
    /// The command was killed by `signal`, and not by this crate, or exited with `code`: bwrap reports both alike.
    ///
    /// The kernel did not do it for want of memory: that is [`OutOfMemory`](Self::OutOfMemory) or
    /// [`MaybeOutOfMemory`](Self::MaybeOutOfMemory).
    SignaledOrExited {
        /// The signal.
        signal: i32,
        /// The status, 128 + the signal.
        code: u8,
    },
    /// The command did not succeed, after the kernel had killed it, or others in its control group, because memory ran out
    /// ([`ExitStatus::out_of_memory`](crate::ExitStatus::out_of_memory)).
    OutOfMemory {
        /// The status, 137 if it was the command itself that was killed.
        code: u8,
    },
    /// The command was killed by signal 9 or exited with 137, and the kernel has killed a process somewhere on the machine meanwhile
    /// because memory ran out (`oom_kill` in `/proc/vmstat`), or that cannot be read. A control group tells for certain:
    /// [`Limit::Accounting`](crate::Limit::Accounting) suffices, where groups have the memory controller.
    MaybeOutOfMemory {
        /// The status, 137.
        code: u8,
    },
    /// This crate stopped it, before or after the command began.
    Stopped(Stop),
    /// Somebody else killed bwrap, and the command's status went with it.
    BwrapKilled {
        /// The signal that killed it.
        signal: i32,
    },
    /// The command did not run; the [`Error`](crate::Error) says why.
    NotRun,
    /// It cannot be known whether the command ran, or how it ended; the [`Error`](crate::Error) says why.
    Unknown,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit status: {code}"),
            Self::SignaledOrExited { signal, code } => {
                write!(f, "signal: {signal} (or exit status: {code})")
            }
            Self::OutOfMemory { code } => write!(f, "out of memory (exit status: {code})"),
            Self::MaybeOutOfMemory { code } => {
                write!(
                    f,
                    "signal: {} (or exit status: {code}; perhaps out of memory)",
                    code.saturating_sub(128)
                )
            }
            Self::Stopped(stop) => write!(f, "stopped: {stop}"),
            Self::BwrapKilled { signal } => write!(f, "bwrap was killed by signal {signal}"),
            Self::NotRun => f.write_str("the command did not run"),
            Self::Unknown => f.write_str("it is not known how it ended"),
        }
    }
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use super::*;

    #[test]
    fn json_and_back() {
        for (ending, json) in [
            (Ending::Exited(3), r#"{"exited":3}"#),
            (
                Ending::SignaledOrExited { signal: 9, code: 137 },
                r#"{"signaled-or-exited":{"signal":9,"code":137}}"#,
            ),
            (Ending::OutOfMemory { code: 137 }, r#"{"out-of-memory":{"code":137}}"#),
            (Ending::MaybeOutOfMemory { code: 137 }, r#"{"maybe-out-of-memory":{"code":137}}"#),
            (Ending::Stopped(Stop::Timeout), r#"{"stopped":"timeout"}"#),
            (Ending::BwrapKilled { signal: 15 }, r#"{"bwrap-killed":{"signal":15}}"#),
            (Ending::NotRun, r#""not-run""#),
            (Ending::Unknown, r#""unknown""#),
        ] {
            assert_eq!(serde_json::to_string(&ending).unwrap(), json);
            assert_eq!(serde_json::from_str::<Ending>(json).unwrap(), ending);
        }
    }
}
