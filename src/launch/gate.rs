//! What a held sandbox waits for: its filter, which bwrap reads to its end just before it executes the command.

use std::io;
use std::os::fd::OwnedFd;

use super::descriptors::send_all;

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

    /// Lets the command start.
    pub(super) fn open(self) -> io::Result<()> {
        send_all(&self.socket, &self.filter)
    }
}
