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
        let ignores_sigpipe = ignored_signals().is_some_and(|mask| mask & 1 << (SIGPIPE - 1) != 0);
        let _ = ENTRY.set(Entry { ignores_sigpipe, closed });
    }
}

/// The signals that this process ignores, as bits, the lowest signal's the lowest; `None` if nobody knows.
pub(crate) fn ignored_signals() -> Option<u64> {
    const LABEL: &[u8] = b"\nSigIgn:\t";
    const PATH: &CStr = c"/proc/self/status";
    let mut text = [0; 4096];
    let file = open(PATH, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let length = file.and_then(|file| read(&file, &mut text)).ok()?;
    let text = text.get(..length)?;
    let at = text.windows(LABEL.len()).position(|window| window == LABEL)? + LABEL.len();
    // 16 digits, the lowest signal last
    let digits = std::str::from_utf8(text.get(at..at + 16)?).ok()?;
    u64::from_str_radix(digits, 16).ok()
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
