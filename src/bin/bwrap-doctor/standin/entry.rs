//! What this process was given by its caller and Rust's runtime changes before `main`: it ignores SIGPIPE, and opens /dev/null in
//! the place of standard streams that are closed.

use std::ffi::CStr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use rustix::fd::BorrowedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, FdFlags, fcntl_getfd, fcntl_setfd, read};
use rustix::stdio::{stderr, stdin, stdout};
use signal_hook::consts::SIGPIPE;

/// As it was on entry.
struct Entry {
    ignores_sigpipe: bool,
    closed: [bool; 3],
}

static ENTRY: OnceLock<Entry> = OnceLock::new();

fn streams() -> [BorrowedFd<'static>; 3] {
    [stdin(), stdout(), stderr()]
}

ctor::declarative::ctor! {
    // Safe before `main`: it makes system calls and sets a static, and needs nothing that the runtime sets up.
    #[ctor(unsafe)]
    fn look() {
        let closed = streams().map(|stream| fcntl_getfd(stream) == Err(Errno::BADF));
        let _ = ENTRY.set(Entry { ignores_sigpipe: ignores_sigpipe(), closed });
    }
}

fn ignores_sigpipe() -> bool {
    const LABEL: &[u8] = b"\nSigIgn:\t";
    const PATH: &CStr = c"/proc/self/status";
    let mut text = [0; 4096];
    let file = open(PATH, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let length = file.and_then(|file| read(&file, &mut text)).unwrap_or(0);
    let text = text.get(..length).unwrap_or_default();
    let at = text.windows(LABEL.len()).position(|window| window == LABEL);
    // 16 digits, the lowest signal last
    let digits = at.and_then(|at| text.get(at + LABEL.len()..at + LABEL.len() + 16));
    let mask = digits.and_then(|digits| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
    mask.unwrap_or_default() & (1 << (SIGPIPE - 1)) != 0
}

/// Has the next program find it all as it was: to be called just before that is executed.
pub(super) fn restore() {
    let Some(entry) = ENTRY.get() else { return };
    for (stream, _) in streams().into_iter().zip(entry.closed).filter(|(_, closed)| *closed) {
        let _ = fcntl_setfd(stream, FdFlags::CLOEXEC);
    }
    if !entry.ignores_sigpipe {
        // a handler is not inherited: the program begins with the default action
        let _ = signal_hook::flag::register(SIGPIPE, Arc::new(AtomicBool::new(false)));
    }
}
