//! A sandbox that is set up and waits at the gate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::child::Child;
use super::error::{Error, Result, Step};
use super::gate::Gate;
use super::handle::Handle;
use super::stop::Killer;
use crate::bwrap::NamespaceIds;

/// A sandbox that is complete and isolated, and whose command has not started.
///
/// [`start`](Self::start) starts it; dropping it destroys it without running anything, and waits for that: some milliseconds, and 2 s at
/// most where something does not die although it is killed. If this process dies, the command
/// never runs. Once it is started, the end of this process ends it with
/// [`Command::die_with_caller`](crate::Command::die_with_caller); with
/// [`Sandbox::die_with_parent`](crate::Sandbox::die_with_parent) most often, for bwrap arms that a moment before it executes
/// the command, and a bwrap that is killed with this process in the middle of its set-up may leave a process that waits for ever.
///
/// ```
/// use bwrap_launch::Sandbox;
/// let mut command = Sandbox::new().ro_bind("/", "/").tmpfs("/tmp").command("ls");
/// let prepared = command.arg("/tmp").prepare()?;
/// // the place for what must be there before the command: a network, limits, a file
/// let pid = prepared.sandbox_pid().unwrap();
/// assert!(pid != prepared.id() && prepared.namespaces().unwrap().mnt.is_some());
/// let mut child = prepared.start()?;
/// assert!(child.wait()?.success());
/// drop(command.prepare()?); // never runs
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping it destroys the sandbox"]
pub struct Prepared {
    /// Dropped, it is destroyed. Before the gate is: bwrap complains when it is left alone there.
    child: Child,
    gate: Option<Gate>,
}

impl Prepared {
    pub(super) fn new(child: Child, gate: Option<Gate>) -> Self {
        Self { child, gate }
    }

    /// Waits until the sandbox is complete. Says whether it is.
    pub(super) fn wait_ready(&mut self, deadline: Option<Instant>) -> Result<bool> {
        let ready = self.is_ready_by(deadline)?;
        if ready {
            self.child.watch(deadline)?;
        }
        Ok(ready)
    }

    /// The same, but nobody ends it with the caller yet: it is asked again, or [opened](Self::open).
    pub(super) fn is_ready_by(&mut self, deadline: Option<Instant>) -> Result<bool> {
        self.child.wait_ready_until(deadline)
    }

    /// Whether it has not ended.
    pub(super) fn is_held(&self) -> bool {
        self.process().has_ended(Duration::ZERO).is_ok_and(|ended| !ended)
    }

    /// The handle on bwrap.
    pub(super) fn process(&self) -> Arc<Handle> {
        self.child.process()
    }

    /// Gives up the blocking front.
    #[cfg(feature = "tokio")]
    pub(super) fn into_parts(self) -> (Child, Option<Gate>) {
        (self.child, self.gate)
    }

    /// The process id of bwrap itself.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The process id, outside, of the sandbox's first process: `/proc/PID/root` is the sandbox's root.
    #[must_use]
    pub fn sandbox_pid(&self) -> Option<u32> {
        self.child.known_sandbox_pid()
    }

    /// The namespaces that bwrap made.
    #[must_use]
    pub fn namespaces(&self) -> Option<NamespaceIds> {
        self.child.known_namespaces()
    }

    /// A handle that stops the sandbox from any thread, before and after it is started.
    #[must_use]
    pub fn killer(&self) -> Killer {
        self.child.killer()
    }

    /// Starts the command, with the limits of [`Command::limits`](crate::Command::limits). Its time
    /// ([`Command::timeout`](crate::Command::timeout)) counts from now.
    ///
    /// # Errors
    ///
    /// If the sandbox has been destroyed meanwhile ([`Error::Stopped`] if a [`Killer`] did that), or a limit that must hold cannot be
    /// set ([`Error::Limit`]).
    pub fn start(self) -> Result<Child> {
        let mut child = self.open(None)?;
        child.limit()?;
        child.hand_over();
        Ok(child)
    }

    /// Sets the limits, now and not when the command starts.
    pub(super) fn limit(&mut self) -> Result<()> {
        self.child.apply_limits()
    }

    /// Sets the limits and lets the command start. Its time is another matter; dropped, it is destroyed still.
    pub(super) fn open(mut self, deadline: Option<Instant>) -> Result<Child> {
        self.limit()?;
        self.child.watch(deadline)?;
        let Self { mut child, gate } = self;
        match gate.map(Gate::open) {
            Some(Ok(())) => Ok(child),
            // its end tells why, and if not, it is not there to be started
            _ => Err(child.wait().err().unwrap_or_else(gone)),
        }
    }
}

fn gone() -> Error {
    Error::system(Step::StartCommand)(std::io::ErrorKind::BrokenPipe.into())
}
