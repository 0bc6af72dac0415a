//! How it is run: `std::process` for sandboxes.
//!
//! `command` describes, `start` opens descriptors and spawns; `handshake` judges, without I/O; `running` waits, kills and cleans up;
//! `child` and `prepared` are what callers hold; a failure is explained by `diagnosis` when it is met. All unsafe code is in
//! `spawn`.

mod child;
mod command;
mod descriptors;
mod filter;
mod handshake;
mod idmap;
mod keeper;
mod outcome;
mod prepared;
mod running;
mod spawn;
mod start;
mod stdio;
mod table;
mod words;

pub use child::Child;
pub use command::Command;
pub use handshake::Undecided;
pub use outcome::{Ending, ExitStatus, Failure, Heard, Output};
pub use prepared::Prepared;
pub use stdio::{ChildStderr, ChildStdin, ChildStdout, Stdio};
