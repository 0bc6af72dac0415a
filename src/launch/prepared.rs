//! A sandbox that is set up and waits at the gate.

use std::os::fd::OwnedFd;

use super::Child;
use super::descriptors::send_all;
use crate::bwrap::NamespaceIds;
use crate::error::{Error, Result};

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
}

/// What a held sandbox waits for: its filter, and then the end of file.
#[derive(Debug)]
pub(super) struct Gate {
    socket: OwnedFd,
    filter: Vec<u8>,
}

/// `BPF_RET | BPF_K` with `SECCOMP_RET_ALLOW`.
const ALLOW_ALL: [u8; 8] = if cfg!(target_endian = "little") {
    [6, 0, 0, 0, 0, 0, 0xff, 0x7f]
} else {
    [0, 6, 0, 0, 0x7f, 0xff, 0, 0]
};

impl Gate {
    pub(super) fn new(socket: OwnedFd, filter: Option<Vec<u8>>) -> Self {
        Self { socket, filter: filter.unwrap_or_else(|| ALLOW_ALL.to_vec()) }
    }
}

impl Prepared {
    pub(super) fn new(child: Child, gate: Option<Gate>) -> Self {
        Self { child: Some(child), gate }
    }

    pub(crate) fn wait_ready(&mut self) -> Result<()> {
        self.child.as_mut().map_or(Ok(()), Child::wait_ready)
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

    /// Starts the command.
    ///
    /// # Errors
    ///
    /// If the sandbox has been destroyed meanwhile.
    pub fn start(mut self) -> Result<Child> {
        let sent = self.gate.take().map(|gate| send_all(&gate.socket, &gate.filter));
        let Some(mut child) = self.child.take() else { return Err(gone()) };
        match sent {
            Some(Ok(())) => Ok(child),
            // its end tells why, and if not, it is not there to be started
            _ => Err(child.wait().err().unwrap_or_else(gone)),
        }
    }
}

fn gone() -> Error {
    Error::system("start the command")(std::io::ErrorKind::BrokenPipe.into())
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.destroy();
        }
    }
}
