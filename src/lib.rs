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
//! bwrap exits with status 1 for everything: for its own failures and for commands that end so. This crate listens to
//! what bwrap cannot say otherwise, its status reports and the descriptor that it reads once all is set up:
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
//! What bwrap printed never decides; it is attached as [`Message`]s that name stage, path and system error, wherever
//! standard error goes. A command that prints `bwrap: Can't mount proc` and exits 1 is a command that exited 1.
//!
//! # Why it did not start
//!
//! Every failure is [diagnosed](diagnosis): its [`Cause`](diagnosis::Cause) with a stable code, the evidence, what would prove
//! it wrong, and typed remedies for the environment at hand (Kubernetes, Docker, SELinux, systemd, ...), the least privilege
//! first. [`Error::report`] is all of it as text. What the [`host`] says is one snapshot, which can be attached to a bug
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
//! `testing`: a stand-in for bwrap, for the unit tests of programs that launch sandboxes.
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
//! * **Nothing is inherited by accident.** The environment is empty unless asked; the command sees descriptors 0, 1
//!   and 2 and those [given to it](Command::fd). bwrap itself starts with an empty environment.
//! * **Secrets stay secret.** Arguments travel in a sealed memory file; content and variables marked as secret appear
//!   in no process list, no log and no `Debug`.
//! * **Launching stays cheap.** `posix_spawn(3)`, whatever the size of the caller. No code of the caller's runs between
//!   fork and exec.
//! * **Nothing is left behind.** No process, zombie, descriptor or thread, however a launch ends.
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
//! | `--bind`, `--dev-bind`, `--ro-bind` | [`Bind`] |
//! | `--bind-try`, `--dev-bind-try`, `--ro-bind-try` | [`Bind::optional`] |
//! | `--bind-data`, `--ro-bind-data` | [`BindData`] |
//! | `--bind-fd`, `--ro-bind-fd` | [`BindFd`] |
//! | `--block-fd` | automatic, and [`Command::prepare`] |
//! | `--cap-add`, `--cap-drop` | [`Sandbox::cap_add`], [`Sandbox::cap_drop`], [`Sandbox::cap_add_all`], [`Sandbox::cap_drop_all`] |
//! | `--chdir` | [`Command::current_dir`], [`Sandbox::current_dir`] |
//! | `--chmod` | [`Chmod`] |
//! | `--clearenv` | always, unless [`Sandbox::inherit_env`] |
//! | `--debug-opt` | [`Sandbox::debug_option`] |
//! | `--dev` | [`Dev`] |
//! | `--die-with-parent` | [`Sandbox::die_with_parent`] |
//! | `--dir` | [`Dir`] |
//! | `--disable-userns` | [`Sandbox::disable_userns`] |
//! | `--exec-label`, `--file-label` | [`Sandbox::exec_label`], [`Sandbox::file_label`] |
//! | `--file` | [`File`] |
//! | `--gid`, `--uid` | [`Sandbox::gid`], [`Sandbox::uid`] |
//! | `--help`, `--version` | [`Bwrap::accepts`], [`Bwrap::version`] |
//! | `--hostname` | [`Sandbox::hostname`] |
//! | `--info-fd` | [`Child::namespaces`], [`Sandbox::info_fd`] |
//! | `--json-status-fd` | automatic: [`Child::sandbox_pid`], [`ExitStatus`] |
//! | `--level-prefix` | [`Sandbox::level_prefix`] |
//! | `--lock-file` | [`Sandbox::lock_file`] |
//! | `--mqueue` | [`Mqueue`] |
//! | `--new-session` | [`Sandbox::new_session`] |
//! | `--not-a-security-boundary` | [`Sandbox::not_a_security_boundary`] |
//! | `--overlay`, `--overlay-src`, `--ro-overlay`, `--tmp-overlay` | [`Overlay`] |
//! | `--overlay-opt` | [`Overlay::option`] |
//! | `--perms` | `mode` of [`Tmpfs`], [`Dir`], [`File`], [`BindData`] |
//! | `--pidns`, `--userns`, `--userns2` | [`Sandbox::join_pid`], [`Sandbox::join_user`], [`Sandbox::join_user_after_setup`] |
//! | `--proc` | [`Proc`] |
//! | `--remount-ro` | [`RemountRo`] |
//! | `--setenv`, `--unsetenv` | [`Command::env`], [`Sandbox::env`], [`Sandbox::env_secret`], [`Sandbox::env_remove`] |
//! | `--share-net` | [`Sandbox::share_net`] |
//! | `--size` | [`Tmpfs::size`] |
//! | `--symlink` | [`Symlink`] |
//! | `--sync-fd` | [`Sandbox::sync_fd`] |
//! | `--tmpfs` | [`Tmpfs`] |
//! | `--unshare-all` | [`Sandbox::unshare_all`] |
//! | `--unshare-cgroup`, `--unshare-cgroup-try`, `--unshare-ipc`, `--unshare-net`, `--unshare-pid`, `--unshare-user`, `--unshare-user-try`, `--unshare-uts` | [`Namespaces`] |
//! | `--userns-block-fd` | [`Sandbox::map_uids`], [`Sandbox::map_gids`] |
//!
//! # What this crate does not do
//!
//! It bundles no bwrap and is no sandbox of its own. It runs no hook of the caller's before exec. It knows no policy
//! but that of a [`profile`] which was asked for: an empty sandbox is empty, and what is in it was put there by name. A command that is root on the host, without a
//! user namespace and with the host's `/proc`, is confined by nothing; it can even write into bwrap's reports.

mod bwrap;
pub mod diagnosis;
pub mod doctor;
mod error;
pub mod host;
mod launch;
pub mod profile;
mod sandbox;
#[cfg(feature = "testing")]
pub mod testing;

pub use bwrap::message::Errno;
pub use bwrap::{
    Advisory, Bwrap, BwrapError, Message, MissingOption, NamespaceIds, ParseError, Severity, Stage, Version,
};
pub use diagnosis::ProgramProblem;
pub use error::{Error, Result};
pub use launch::{
    Child, ChildStderr, ChildStdin, ChildStdout, Command, Ending, ExitStatus, Failure, Heard, Output,
    Prepared, Stdio, Undecided,
};
pub use sandbox::{
    Access, Advice, Bind, BindData, BindFd, Capability, Chmod, Circumstances, Content, Descriptor, Dev, Dir,
    Feature, File, Filter, IdRange, Invalid, Lint, Mqueue, Namespaces, Operation, Overlay, Place, Problem,
    Proc, RemountRo, Sandbox, Symlink, Tmpfs, UnsupportedArchitecture,
};

/// The README's examples are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
