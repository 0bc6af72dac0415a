//! A sandbox that is set up and waits at the gate.

use std::time::Instant;

use super::child::Child;
use super::error::{Error, Result, Step};
use super::gate::Gate;
use super::limits::Limits;
use crate::bwrap::NamespaceIds;

/// A sandbox that is complete and isolated, and whose command has not started.
///
/// [`start`](Self::start) starts it; dropping it destroys it without running anything. If this process dies, the command
/// never runs; a bwrap that is killed with it in the middle of its set-up may leave a process that waits for ever.
/// Once it is started, the end of this process ends it with
/// [`Sandbox::die_with_parent`](crate::Sandbox::die_with_parent) only, and bwrap arms that a moment before it executes
/// the command.
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
    /// `None` once it is started.
    child: Option<Child>,
    gate: Option<Gate>,
    limits: Limits,
}

impl Prepared {
    pub(super) fn new(child: Child, gate: Option<Gate>, limits: Limits) -> Self {
        Self { child: Some(child), gate, limits }
    }

    /// Waits until the sandbox is complete. Says whether it is.
    pub(super) fn wait_ready(&mut self, deadline: Option<Instant>) -> Result<bool> {
        self.child.as_mut().map_or(Ok(true), |child| child.wait_ready_until(deadline))
    }

    /// The process id of bwrap itself.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// The process id, outside, of the sandbox's first process: `/proc/PID/root` is the sandbox's root.
    #[must_use]
    pub fn sandbox_pid(&self) -> Option<u32> {
        self.child.as_ref()?.known_sandbox_pid()
    }

    /// The namespaces that bwrap made.
    #[must_use]
    pub fn namespaces(&self) -> Option<NamespaceIds> {
        self.child.as_ref()?.known_namespaces()
    }

    /// Starts the command, with the limits of [`Command::limits`](crate::Command::limits).
    ///
    /// # Errors
    ///
    /// If the sandbox has been destroyed meanwhile, or a limit that must hold cannot be set ([`Error::Limit`]).
    pub fn start(mut self) -> Result<Child> {
        if let Some(child) = self.child.as_mut().filter(|_| !self.limits.is_empty()) {
            // dropped, it is destroyed
            child.limit(&self.limits)?;
        }
        let sent = self.gate.take().map(Gate::open);
        let Some(mut child) = self.child.take() else { return Err(gone()) };
        match sent {
            Some(Ok(())) => Ok(child),
            // its end tells why, and if not, it is not there to be started
            _ => Err(child.wait().err().unwrap_or_else(gone)),
        }
    }
}

fn gone() -> Error {
    Error::system(Step::StartCommand)(std::io::ErrorKind::BrokenPipe.into())
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.destroy();
        }
    }
}
