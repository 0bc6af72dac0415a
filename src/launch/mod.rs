//! How it is run: `std::process` for sandboxes.
//!
//! `command` describes; `start` takes an `order`, opens descriptors and spawns; `handshake` judges and `conduct` says what to do next, both
//! without I/O; `running` looks, kills and reaps for it, `wait` is the one poll loop, `keeper` the thread that stays. `child`
//! and `prepared` are what callers hold. What failed is `gather`ed, its causes are weighed when somebody asks (`explain`), and only
//! `rehearsal` asks bwrap again. All unsafe code is in `spawn`.

mod capture;
mod child;
mod command;
mod conduct;
mod descriptors;
#[cfg(feature = "tokio")]
mod doomed;
mod ear;
mod error;
mod explain;
mod failure;
mod filter;
mod gate;
mod gather;
mod group;
mod handshake;
mod idmap;
mod keeper;
mod lines;
mod order;
mod output;
mod pool;
mod prepared;
mod processes;
mod pty;
mod reading;
mod rehearsal;
mod running;
mod spawn;
mod start;
mod stdio;
mod table;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub mod tokio;
mod wait;
mod words;

pub use capture::{Capture, Cut, Stream};
pub use child::Child;
pub use command::Command;
pub(crate) use command::Streams;
pub use error::{Error, Result, Step};
pub use explain::{Explain, Explanation};
pub(crate) use failure::outcome_of;
pub use failure::{Failure, Heard};
pub use group::Group;
pub use handshake::Undecided;
pub use lines::{Line, LineEnd, Lines, NextLine};
pub use output::{Ending, ExitStatus, Output};
pub use pool::Pool;
pub use prepared::Prepared;
pub use pty::{Terminal, WindowSize};
pub use stdio::{ChildStderr, ChildStdin, ChildStdout, Stdio};
