//! What a held sandbox waits for: its filter, which bwrap reads to its end just before it executes the command.

use std::io;
use std::os::fd::OwnedFd;

use super::descriptors::send_all;
use super::leave::AtExit;

#[derive(Debug)]
pub(super) struct Gate {
    socket: OwnedFd,
    filter: Vec<u8>,
    _at_exit: AtExit,
}

/// `BPF_RET | BPF_K` with `SECCOMP_RET_ALLOW`.
const ALLOW_ALL: [u8; 8] = if cfg!(target_endian = "little") {
    [6, 0, 0, 0, 0, 0, 0xff, 0x7f]
} else {
    [0, 6, 0, 0, 0x7f, 0xff, 0, 0]
};

impl Gate {
    /// `give_up` ends the sandbox: what this process does if it exits before the gate was opened.
    pub(super) fn new(
        socket: OwnedFd,
        filter: Option<Vec<u8>>,
        give_up: impl FnOnce() + Send + 'static,
    ) -> Self {
        let filter = filter.unwrap_or_else(|| ALLOW_ALL.to_vec());
        Self { socket, filter, _at_exit: AtExit::new(give_up) }
    }

    /// Lets the command start.
    pub(super) fn open(self) -> io::Result<()> {
        send_all(&self.socket, &self.filter)
    }
}
