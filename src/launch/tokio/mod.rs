//! Launching from asynchronous code: the same names and the same behaviour as in the crate's root, on [Tokio](::tokio).
//!
//! Feature `tokio`. It is a second front over the same launch, so what is said in the root about sandboxes, verdicts and errors
//! is true here; this page says what is different.
//!
//! ```
//! use bwrap_launch::{Sandbox, tokio::Command};
//!
//! # fn main() -> bwrap_launch::Result<()> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all().die_with_parent();
//! let output = Command::new(&sandbox, "echo").arg("hello").output().await?;
//! assert_eq!(output.stdout, b"hello\n");
//! # Ok(()) })
//! # }
//! ```
//!
//! # No call blocks
//!
//! A sandbox has no thread: its runtime watches the descriptors of its launch. What a launch does by itself on the way, a few
//! system calls and `posix_spawn(3)`, takes about as long as one of Tokio's own launches and happens where it is called. What may take longer
//! goes to threads of the crate's own, which end when there is no more of it, and only when it is needed: the runtime's may
//! be busy for as long as somebody likes. That is looking for bwrap ([`Bwrap::find`](crate::Bwrap::find); not with [`Command::bwrap`]), reading a filter from a
//! descriptor, starting the watchdog ([`Command::die_with_caller`]), writing to whoever else gets the output ([`Command::tee`]), and, of a launch that failed, reading the host and asking bwrap again ([`Explain`](crate::Explain)). Id maps
//! are waited for like everything else. One thing is not like that: where there is no PID namespace and bwrap itself was killed, what it
//! has left is looked for by whoever waits, about a tenth of a millisecond for each process.
//!
//! A sandbox gets what the thread has that polls the future (see the crate's root); with several worker threads these should
//! have the same.
//!
//! # What is dropped
//!
//! Every future may be dropped at any time, so [`timeout`](::tokio::time::timeout) and `select!` are fine.
//!
//! | dropped | what becomes of the sandbox |
//! |---|---|
//! | [`Command::status`], [`Command::output`], and those with a limit | it is killed |
//! | [`Command::spawn`], [`Command::prepare`] before they are done | it is killed |
//! | [`Child::wait`], [`Child::wait_ready`], [`Child::kill`] | nothing; they can be called again |
//! | [`Lines::next`], [`Lines::next_timeout`], [`Lines`] itself | nothing, and no line is lost |
//! | a [`Child`], or [`Child::wait_with_output`] | it runs on, and leaves no zombie; with [`Command::kill_on_drop`] it is killed |
//! | a [`Prepared`] | it is killed, nothing has run |
//!
//! Killing takes a moment after the drop, which nobody waits for: the crate's own thread sees to it, also when the runtime
//! is gone by then.
//!
//! # Which runtime
//!
//! One with I/O and time ([`enable_all`](::tokio::runtime::Builder::enable_all)), with one thread or several. Outside of a runtime there is an
//! [`Error::System`](crate::Error::System): before anything is launched ([`Step::EnterRuntime`](crate::Step::EnterRuntime)), or while
//! it is waited for. So there is in a runtime without I/O or without time; Tokio tells that by a panic, which is caught here after its
//! words have gone to standard error.

mod child;
mod command;
mod elsewhere;
mod group;
mod lines;
mod pool;
mod prepared;
mod pty;
mod reading;
mod stdio;
mod watch;

pub use child::Child;
pub use command::Command;
pub use group::Group;
pub use lines::Lines;
pub use pool::Pool;
pub use prepared::Prepared;
pub use pty::Terminal;
pub use stdio::{ChildStderr, ChildStdin, ChildStdout};
