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
/// [`start`](Self::start) starts it; dropping it destroys it without running anything. If this process dies, the command
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
    /// `None` once it is started.
    child: Option<Child>,
    gate: Option<Gate>,
}

impl Prepared {
    pub(super) fn new(child: Child, gate: Option<Gate>) -> Self {
        Self { child: Some(child), gate }
    }

    /// Waits until the sandbox is complete. Says whether it is.
    pub(super) fn wait_ready(&mut self, deadline: Option<Instant>) -> Result<bool> {
        let Some(child) = &mut self.child else { return Ok(true) };
        let ready = child.wait_ready_until(deadline)?;
        if ready {
            child.watch()?;
        }
        Ok(ready)
    }

    /// Whether it has not ended.
    pub(super) fn is_held(&self) -> bool {
        let process = self.process();
        process.is_some_and(|process| process.has_ended(Duration::ZERO).is_ok_and(|ended| !ended))
    }

    /// The handle on bwrap.
    pub(super) fn process(&self) -> Option<Arc<Handle>> {
        self.child.as_ref().map(Child::process)
    }

    /// Gives up the blocking front.
    #[cfg(feature = "tokio")]
    pub(super) fn into_parts(mut self) -> Option<(Child, Option<Gate>)> {
        Some((self.child.take()?, self.gate.take()))
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

    /// A handle that stops the sandbox from any thread, before and after it is started.
    #[must_use]
    pub fn killer(&self) -> Option<Killer> {
        self.child.as_ref().map(Child::killer)
    }

    /// Starts the command, with the limits of [`Command::limits`](crate::Command::limits). Its time
    /// ([`Command::timeout`](crate::Command::timeout)) counts from now.
    ///
    /// # Errors
    ///
    /// If the sandbox has been destroyed meanwhile ([`Error::Stopped`] if a [`Killer`] did that), or a limit that must hold cannot be
    /// set ([`Error::Limit`]).
    pub fn start(self) -> Result<Child> {
        self.open()?.begin()
    }

    /// Sets the limits, now and not when the command starts.
    pub(super) fn limit(&mut self) -> Result<()> {
        self.child.as_mut().map_or(Ok(()), Child::apply_limits)
    }

    /// Sets the limits and lets the command start. Its time is another matter.
    pub(super) fn open(mut self) -> Result<Child> {
        // dropped, it is destroyed
        self.limit()?;
        if let Some(child) = &mut self.child {
            child.watch()?;
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
