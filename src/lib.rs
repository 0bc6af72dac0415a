//! Launch [Bubblewrap](https://github.com/containers/bubblewrap) (`bwrap`) sandboxes from Rust.
//!
//! A [`Sandbox`] describes, in types and in order, what bwrap is to build. A [`Command`] runs a program in it, with the
//! names and shapes of [`std::process`]. What comes back is never mistaken for something else: an [`ExitStatus`] is the
//! command's own, and an [`Error`] says that it did not run, or that this cannot be known.
//!
//! ```
//! use bwrap_launch::{Result, Sandbox};
//!
//! fn main() -> Result<()> {
//!     let sandbox = Sandbox::new()
//!         .ro_bind("/usr", "/usr")
//!         .symlink("usr/bin", "/bin")
//!         .symlink("usr/lib", "/lib")
//!         .symlink("usr/lib64", "/lib64")
//!         .proc("/proc")
//!         .dev("/dev")
//!         .tmpfs("/tmp")
//!         .unshare_all()
//!         .new_session()
//!         .die_with_parent();
//!     let output = sandbox.command("echo").arg("hello").output()?;
//!     assert_eq!(output.stdout, b"hello\n");
//!     Ok(())
//! }
//! ```
//!
//! # What can happen
//!
//! bwrap exits with status 1 for everything: for its own failures and for commands that end so. This crate does not
//! trust the exit status alone: it watches bwrap's JSON status reports, and a descriptor that bwrap reads only once
//! the set-up is complete.
//!
//! | what happened | what you get |
//! |---|---|
//! | bwrap refused: arguments, privileges, namespaces | [`Error::Refused`] |
//! | the sandbox could not be set up: ids, network, mounts | [`Error::SetupFailed`] |
//! | the sandbox was ready, the command could not be executed | [`Error::NotExecuted`] |
//! | the command ran and exited | [`ExitStatus::code`] |
//! | the command ran and was killed by a signal | [`ExitStatus::signal`] |
//! | nobody can know, for a reason that is given | [`Error::Undecided`] |
//!
//! What bwrap printed never decides; it is attached as [`Message`]s that name stage, path and system error: of what was piped or
//! written to a file at once, and wherever else standard error goes by asking bwrap once more, as [`Command::status`] does. A command that prints `bwrap: Can't mount proc` and exits 1 is a command that exited 1.
//!
//! # Why it did not start
//!
//! A failure has its verdict and bwrap's captured words at once. What the host says is taken at that moment, and weighed when you
//! ask: [`Error::diagnosis`] has the [`Cause`](diagnosis::Cause) with a stable code, the evidence, what would prove
//! it wrong, and typed remedies for the environment at hand (Kubernetes, Docker, SELinux, systemd, ...), the least privilege
//! first. [`Error::report`] is all of it as text. How much is done for that is yours to say ([`Explain`]). What the [`host`] says is one snapshot, which can be attached to a bug
//! report and diagnosed elsewhere; [`doctor`] says beforehand what will fail. The program `bwrap-doctor` (feature `cli`) is
//! the same for a terminal.
//!
//! ```
//! use bwrap_launch::Sandbox;
//! use bwrap_launch::diagnosis::Cause;
//! let error = Sandbox::new().ro_bind("/nonexistent", "/opt").command("true").status().unwrap_err();
//! let diagnosis = error.diagnosis().unwrap();
//! assert_eq!(diagnosis.cause(), Some(Cause::SourceMissing));
//! println!("{}", diagnosis.remedy().unwrap().instructions());
//! ```
//!
//! # Features
//!
//! None is on by default. `serde`: [`Host`](host::Host) as JSON and back, diagnoses as JSON. `cli`: the program `bwrap-doctor`.
//! `testing`: a stand-in for bwrap, for the unit tests of programs that launch sandboxes. `tokio`: the same launches from
//! asynchronous code. `kubernetes`: manifests judged before they are applied.
//!
//! # Ready-made sandboxes
//!
//! [`profile`] has one for a build, one for a coding agent, and the one of Zuul's executor, each to be changed as any other.
//!
//! # What is taken care of
//!
//! * **Order is meaning.** Operations reach bwrap in the order in which they were added. What it ignores, reorders or
//!   truncates silently cannot be written, or is an error before anything runs ([`Sandbox::check`]). What is legal but
//!   unwise is pointed out ([`Sandbox::lint`]).
//! * **Nothing is inherited by accident.** The environment is empty unless asked, but for `PWD`; the command sees descriptors 0, 1
//!   and 2 and those [given to it](Command::fd). Where it starts, [`Sandbox::current_dir`] says; without, bwrap takes the caller's
//!   directory, by its path, if it is there inside. bwrap itself starts with an empty environment. No signal is blocked or
//!   ignored in it, whatever the caller does with its own ([`Command::keep_ignored_signals`]). What the kernel hands on from the thread that launches stays: umask,
//!   resource limits (`getrlimit(2)`), niceness, scheduling, CPU affinity, control groups, session keyring, security label.
//! * **Secrets stay secret.** Arguments travel in a sealed memory file; content and variables marked as secret appear
//!   in no process list, no log and no `Debug`.
//! * **Launching stays cheap.** `posix_spawn(3)`, whatever the size of the caller. No code of the caller's runs between
//!   fork and exec.
//! * **Nothing is left behind.** No process, zombie, descriptor or thread, however a launch ends. When [`Child::wait`] returns,
//!   nothing of a PID namespace is there any more; without one, processes that the command started may run on. Only what does not die
//!   although it is killed (a process that waits for a server of NFS or FUSE, say) is left, after 2 s.
//! * **No call blocks without a twin that has a limit:** [`Child::wait_timeout`], [`Child::wait_ready_timeout`],
//!   [`Command::prepare_timeout`], [`Command::status_timeout`], [`Command::output_timeout`], [`Lines::next_timeout`].
//! * **Output comes as you want it:** collected within a [limit](Command::capture), [line by line](Child::lines), [passed on](Command::tee)
//!   as it comes, both streams in [one pipe](Stdio::merged). A command is never blocked by what nobody keeps.
//!
//! # Every option of bwrap
//!
//! | option | here |
//! |---|---|
//! | `--args` | automatic |
//! | `--argv0` | [`Command::arg0`] |
//! | `--add-seccomp-fd`, `--seccomp` | [`Sandbox::seccomp`] |
//! | `--as-pid-1` | [`Sandbox::as_pid_1`] |
//! | `--assert-userns-disabled` | [`Sandbox::assert_userns_disabled`] |
//! | `--bind`, `--dev-bind`, `--ro-bind` | [`op::Bind`] |
//! | `--bind-try`, `--dev-bind-try`, `--ro-bind-try` | [`op::Bind::optional`] |
//! | `--bind-data`, `--ro-bind-data` | [`op::BindData`] |
//! | `--bind-fd`, `--ro-bind-fd` | [`op::BindFd`] |
//! | `--block-fd` | automatic, and [`Command::prepare`] |
//! | `--cap-add`, `--cap-drop` | [`Sandbox::cap_add`], [`Sandbox::cap_drop`], [`Sandbox::cap_add_all`], [`Sandbox::cap_drop_all`] |
//! | `--chdir` | [`Command::current_dir`], [`Sandbox::current_dir`] |
//! | `--chmod` | [`op::Chmod`] |
//! | `--clearenv` | always, unless [`Sandbox::inherit_env`] |
//! | `--debug-opt` | [`Sandbox::debug_option`] |
//! | `--dev` | [`op::Dev`] |
//! | `--die-with-parent` | [`Sandbox::die_with_parent`] |
//! | `--dir` | [`op::Dir`] |
//! | `--disable-userns` | [`Sandbox::disable_userns`] |
//! | `--exec-label`, `--file-label` | [`Sandbox::exec_label`], [`Sandbox::file_label`] |
//! | `--file` | [`op::File`] |
//! | `--gid`, `--uid` | [`Sandbox::gid`], [`Sandbox::uid`] |
//! | `--help`, `--version` | [`Bwrap::accepts`], [`Bwrap::version`] |
//! | `--hostname` | [`Sandbox::hostname`] |
//! | `--info-fd` | [`Child::namespaces`], [`Sandbox::info_fd`] |
//! | `--json-status-fd` | automatic: [`Child::sandbox_pid`], [`ExitStatus`] |
//! | `--level-prefix` | [`Sandbox::level_prefix`] |
//! | `--lock-file` | [`Sandbox::lock_file`] |
//! | `--mqueue` | [`op::Mqueue`] |
//! | `--new-session` | [`Sandbox::new_session`] |
//! | `--not-a-security-boundary` | [`Sandbox::not_a_security_boundary`] |
//! | `--overlay`, `--overlay-src`, `--ro-overlay`, `--tmp-overlay` | [`op::Overlay`] |
//! | `--overlay-opt` | [`op::Overlay::option`] |
//! | `--perms` | `mode` of [`op::Tmpfs`], [`op::Dir`], [`op::File`], [`op::BindData`] |
//! | `--pidns`, `--userns`, `--userns2` | [`Sandbox::join_pid`], [`Sandbox::join_user`], [`Sandbox::join_user_after_setup`] |
//! | `--proc` | [`op::Proc`] |
//! | `--remount-ro` | [`op::RemountRo`] |
//! | `--setenv`, `--unsetenv` | [`Command::env`], [`Sandbox::env`], [`Sandbox::env_secret`], [`Sandbox::env_remove`] |
//! | `--share-net` | [`Sandbox::share_net`] |
//! | `--size` | [`op::Tmpfs::size`] |
//! | `--symlink` | [`op::Symlink`] |
//! | `--sync-fd` | [`Sandbox::sync_fd`] |
//! | `--tmpfs` | [`op::Tmpfs`] |
//! | `--unshare-all` | [`Sandbox::unshare_all`] |
//! | `--unshare-cgroup`, `--unshare-cgroup-try`, `--unshare-ipc`, `--unshare-net`, `--unshare-pid`, `--unshare-user`, `--unshare-user-try`, `--unshare-uts` | [`Namespaces`] |
//! | `--userns-block-fd` | [`Sandbox::map_uids`], [`Sandbox::map_gids`] |
//!
//! # What this crate does not do
//!
//! It bundles no bwrap and is no sandbox of its own. It runs no hook of the caller's before exec. It knows no policy
//! but that of a [`profile`] which was asked for: an empty sandbox is empty, and what is in it was put there by name. A command that is root on the host, without a
//! user namespace and with the host's `/proc`, is confined by nothing; it can even write into bwrap's reports.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(target_os = "linux"))]
compile_error!("bwrap-launch launches Bubblewrap, which needs Linux namespaces: it builds for Linux only");

mod bwrap;
mod capability;
pub mod diagnosis;
pub mod doctor;
pub mod host;
#[cfg(feature = "kubernetes")]
#[cfg_attr(docsrs, doc(cfg(feature = "kubernetes")))]
pub mod kubernetes;
mod launch;
mod process_local;
pub mod profile;
mod results;
mod sandbox;
mod shell;
#[cfg(feature = "testing")]
pub mod testing;
mod visible;

pub use bwrap::message::Errno;
pub use bwrap::{
    Advisory, Bwrap, BwrapError, Message, MissingOption, NamespaceIds, ParseError, Severity, Stage, Version,
};
pub use capability::{Capability, UnknownCapability};
pub use diagnosis::{ProgramProblem, Verdict};
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub use launch::tokio;
pub use launch::{
    Capture, Child, ChildStderr, ChildStdin, ChildStdout, Command, Cut, Ending, Error, ExitStatus, Explain,
    Explanation, Failure, Figure, Group, Heard, IoMax, IoPriority, Killer, Limit, Limits, Line, LineEnd,
    Lines, NextLine, Output, Pool, Prepared, Resource, Result, Scheduling, Stdio, Step, Stop, Stream,
    Terminal, Unapplied, Undecided, Usage, WindowSize, adopt_orphans,
};
pub use results::{Results, ResultsEntry, ResultsError, ResultsKind};
pub use sandbox::{
    Advice, CapabilityChange, Circumstances, Content, Descriptor, Feature, Filter, IdRange, Inherit, Invalid,
    Lint, Namespaces, Place, Problem, Sandbox, Setting, UnsupportedArchitecture, op,
};

/// The README's examples are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
