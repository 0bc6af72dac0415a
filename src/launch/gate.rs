//! What a held sandbox waits for: its filter, which bwrap reads to its end just before it executes the command.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{Shutdown, shutdown};

use super::descriptors::send_all;
use super::leave::AtExit;
use crate::process_local::Process;

#[derive(Debug)]
pub(super) struct Gate {
    socket: OwnedFd,
    filter: Vec<u8>,
    /// Whose it is: a fork that ends has not given up what its parent holds.
    process: Process,
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
        Self { socket, filter, process: Process::own(), _at_exit: AtExit::new(give_up) }
    }

    /// Lets the command start.
    pub(super) fn open(self) -> io::Result<()> {
        send_all(&self.socket, &self.filter)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if self.process.is_own() {
            // that is the end for bwrap, whoever was forked meanwhile and still has a copy
            let _ = shutdown(&self.socket, Shutdown::Write);
        }
    }
}
