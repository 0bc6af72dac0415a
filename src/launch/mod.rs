//! How it is run: `std::process` for sandboxes.
//!
//! `command` describes; `start` takes an `order`, opens descriptors and spawns; `handshake` judges and `conduct` says what to do next, both
//! without I/O; `running` looks, kills and reaps for it, `wait` is the one poll loop, `keeper` the thread that stays. `child`
//! and `prepared` are what callers hold. `limits` are described, and `apply`ed at the gate, with a `cgroup` if need be. What failed is `gather`ed, its causes are weighed when somebody asks (`explain`), and only
//! `rehearsal` asks bwrap again. All unsafe code is in `spawn`.

mod apply;
mod cgroup;
mod child;
mod command;
mod conduct;
mod descriptors;
mod error;
mod explain;
mod failure;
mod filter;
mod gate;
mod gather;
mod handshake;
mod idmap;
mod keeper;
mod limits;
mod order;
mod output;
mod prepared;
mod processes;
mod rehearsal;
mod running;
mod spawn;
mod start;
mod stdio;
mod table;
mod usage;
mod wait;
mod words;

pub use child::Child;
pub use command::Command;
pub(crate) use command::Streams;
pub use error::{Error, Result, Step};
pub use explain::{Explain, Explanation};
pub use failure::{Failure, Heard};
pub use handshake::Undecided;
pub use limits::{IoMax, IoPriority, Limit, Limits, Resource, Scheduling, Unapplied};
pub use output::{Ending, ExitStatus, Output};
pub use prepared::Prepared;
pub use stdio::{ChildStderr, ChildStdin, ChildStdout, Stdio};
pub use usage::{Figure, Usage};
