//! How it is run: `std::process` for sandboxes.
//!
//! `command` describes, and `launching` launches: `start` takes an `order`, opens descriptors and spawns; `handshake` judges and
//! `conduct` says what to do next, both without I/O; `running` looks and reaps for it, `reach` finds and signals what there is to
//! signal, from any thread, `wait` is the one poll loop, a `handle` holds a process, `keeper` is the thread that stays, `watchdog` the
//! process that outlives us. `child` and `prepared` are what callers hold, and a `stop`'s killer; a child's end is `waiting`'s, and
//! what was `launched` says what it was. `limits` are described, and `apply`ed at the gate, with a `cgroup` if need be. What failed is
//! `gather`ed, its causes are weighed when somebody asks (`explain`), and only `rehearsal` asks bwrap again. All unsafe code is in
//! `spawn`.
//!
//! The words of this room:
//!
//! | word | what it is | who has it |
//! |---|---|---|
//! | monitor | bwrap's first process, our child: it ends with what the command came to | `Reach` |
//! | child (of bwrap) | what bwrap cloned: process 1 of a PID namespace, the command's parent, or the command (`Cloned`) | `Reach` |
//! | status | the file in memory that bwrap reports to (`--json-status-fd`) | `Reach` |
//! | ready socket | bwrap reads a byte from it, last of all (`--block-fd`); how it is closed tells how far it came | `Running` |
//! | gate | the descriptor of a filter that bwrap waits for; a held sandbox stands there | `Prepared` |
//! | `Recipe`, `Order` | what is to run; the same with streams and all that one launch is told | `Command`; `start` |
//! | `Running` | a launch that is not over: who waits for it owns it | `Child`, or the keeper |
//! | `Reach` | what of it other threads can get at, to signal it | `Running`; killers have a weak one |
//! | `Ward` | whatever goes on by itself when it is turned: a `Running`, a time limit, a group's removal | a poll loop |
//! | `Record` | who has stopped it, and why | it outlives the launch |

mod apply;
mod capture;
mod cgroup;
mod child;
mod command;
mod conduct;
mod descriptors;
#[cfg(feature = "tokio")]
mod doomed;
mod ear;
mod ending;
mod error;
mod explain;
mod failure;
mod filter;
mod gate;
mod gather;
mod group;
mod handle;
mod handshake;
mod idmap;
mod inherited;
mod keeper;
mod launched;
mod launching;
mod leave;
mod limits;
mod lines;
mod memory;
mod oom;
mod order;
mod output;
mod pool;
mod prepared;
mod processes;
mod pty;
mod reach;
mod reading;
mod record;
mod rehearsal;
mod relatives;
mod running;
mod spawn;
mod start;
mod stat;
mod stdio;
mod stop;
mod table;
mod tally;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub mod tokio;
mod usage;
mod wait;
mod waiting;
mod watchdog;
mod words;

pub use capture::{Capture, Cut, Stream};
pub use child::Child;
pub use command::Command;
pub use ending::{Ending, Stop};
pub use error::{Error, Result, Step};
pub use explain::{Explain, Explanation};
pub(crate) use failure::outcome_of;
pub use failure::{Failure, Heard};
pub(crate) use gather::{broken_link, program_problem};
pub use group::Group;
pub use handshake::Undecided;
pub(crate) use launching::Streams;
pub use limits::{IoMax, IoPriority, Limit, Limits, Resource, Scheduling, Unapplied};
pub use lines::{Line, LineEnd, Lines, NextLine};
pub use output::{ExitStatus, Output};
pub use pool::Pool;
pub use prepared::Prepared;
pub use processes::adopt_orphans;
pub use pty::{Terminal, WindowSize};
pub use stdio::{ChildStderr, ChildStdin, ChildStdout, Stdio};
pub use stop::Killer;
pub use usage::{Figure, Usage};
