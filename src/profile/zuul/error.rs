//! Why there is no sandbox for Zuul, or why it does not do.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::bwrap::ParseError;
use crate::launch::{self, ExitStatus};

/// Why there is no sandbox, or why it does not do.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The user or group database cannot be asked (`getpwuid(3)`, `getgrgid(3)`).
    #[error("could not look this process's {what} up: {source}")]
    Database {
        /// `user` or `group`.
        what: &'static str,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The caller is in no database; only without [`Fixes::ABSENT`](super::Fixes::ABSENT).
    #[error("no {what} has the id {id}, and Zuul wants it to be known; add it, or switch Fixes::ABSENT on")]
    Unknown {
        /// `user` or `group`.
        what: &'static str,
        /// The id.
        id: u32,
    },
    /// Python's `str.format` would raise an error for this path; only without [`Fixes::BRACES`](super::Fixes::BRACES).
    #[error(
        "{path:?} has braces, which Zuul fills in as str.format does, and these name nothing; double them, or switch Fixes::BRACES on"
    )]
    Braces {
        /// The path.
        path: PathBuf,
    },
    /// bwrap would overwrite the host's `/etc/passwd` and `/etc/group`; only with [`Fixes::OWN_ETC`](super::Fixes::OWN_ETC).
    #[error(
        "{path:?} holds /etc/passwd, which would be overwritten with the command's; name a directory of its own for the work and one for the \
         home"
    )]
    HoldsEtc {
        /// The work or home directory.
        path: PathBuf,
    },
    /// The command begins with what is no option of bwrap; only without [`Fixes::SEPARATOR`](super::Fixes::SEPARATOR).
    #[error(
        "the command is read as bwrap's options: {0}; write \"--\" before it, or switch Fixes::SEPARATOR on"
    )]
    Options(#[from] ParseError),
    /// There is no command.
    #[error("there is no command; name a program")]
    NoCommand,
    /// The check's command did not run.
    #[error("this machine does not start Zuul's sandbox: {0}")]
    Launch(#[from] launch::Error),
    /// The check's command ran and failed.
    #[error("the sandbox starts, but `id` in it fails ({status}): {}", crate::visible::line(stderr.trim_end()))]
    Check {
        /// How it ended.
        status: ExitStatus,
        /// What it wrote.
        stderr: String,
    },
    /// What Zuul says; only without [`Fixes::MESSAGE`](super::Fixes::MESSAGE).
    #[error(
        "bwrap execution validation failed. You can use `zuul-bwrap /tmp /tmp id` to investigate manually."
    )]
    Validation,
}
