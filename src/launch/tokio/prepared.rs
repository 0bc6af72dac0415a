//! A sandbox that is set up and waits at the gate, for a runtime.

use std::io;
use std::time::Instant;

use super::super::error::{Error, Result, Step};
use super::super::gate::Gate;
use super::super::stop::Killer;
use super::child::Child;
use crate::bwrap::NamespaceIds;

/// A sandbox that is complete and isolated, and whose command has not started, as the crate's [`Prepared`](crate::Prepared).
///
/// [`start`](Self::start) starts it; dropping it kills it, and nothing has run.
///
/// ```
/// use bwrap_launch::{Sandbox, tokio::Command};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let mut command = Command::new(&Sandbox::new().ro_bind("/", "/").tmpfs("/tmp"), "ls");
/// let prepared = command.arg("/tmp").prepare().await?;
/// assert!(prepared.sandbox_pid().is_some_and(|pid| pid != prepared.id()));
/// assert!(prepared.start().await?.wait().await?.success());
/// drop(command.prepare().await?); // never runs
/// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "dropping it destroys the sandbox"]
pub struct Prepared {
    /// It is killed if it is dropped.
    child: Child,
    gate: Option<Gate>,
}

impl Prepared {
    pub(super) fn new(child: Child, gate: Option<Gate>) -> Self {
        Self { child, gate }
    }

    /// Waits until the sandbox is complete. Says whether it is.
    pub(super) async fn wait_ready(&mut self, deadline: Option<Instant>) -> Result<bool> {
        let ready = self.child.wait_ready_until(deadline).await?;
        if !ready {
            self.child.destroy().await;
            return Ok(false);
        }
        self.child.watch(deadline).await?;
        Ok(true)
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

    /// A handle that stops the sandbox from any thread or task, before and after it is started.
    #[must_use]
    pub fn killer(&self) -> Killer {
        self.child.killer()
    }

    /// The namespaces that bwrap made.
    #[must_use]
    pub fn namespaces(&self) -> Option<NamespaceIds> {
        self.child.known_namespaces()
    }

    /// Starts the command, with the limits of [`Command::limits`](super::Command::limits).
    ///
    /// # Errors
    ///
    /// If the sandbox has been destroyed meanwhile, or a limit that must hold cannot be set
    /// ([`Error::Limit`]).
    pub async fn start(self) -> Result<Child> {
        let mut child = self.open(None).await?;
        child.limit()?;
        child.hand_over();
        Ok(child)
    }

    /// Sets the limits and lets the command start. Its time is another matter; it is killed if it is dropped.
    pub(super) async fn open(mut self, deadline: Option<Instant>) -> Result<Child> {
        let mut done = self.child.apply_limits().await;
        if done.is_ok() {
            done = self.child.watch(deadline).await;
        }
        if let Err(error) = done {
            self.child.destroy().await;
            return Err(error);
        }
        if self.gate.take().is_some_and(|gate| gate.open().is_ok()) {
            return Ok(self.child);
        }
        // its end tells why, and if not, it is not there to be started
        let gone = || Error::system(Step::StartCommand)(io::ErrorKind::BrokenPipe.into());
        Err(self.child.wait().await.err().unwrap_or_else(gone))
    }
}
