//! The process beside bwrap: sees how far it comes, is gone once the command runs, and explains where none did.
//!
//! What it goes by, as launches of the library do: bwrap's report (a file), a socket that bwrap closes when the sandbox is
//! complete, having read a byte, and the end of bwrap. How bwrap ended, only its parent is told.

use std::ffi::OsString;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bwrap_launch::Verdict;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{RecvFlags, recv};
use rustix::process::{Pid, PidfdFlags, getppid, pidfd_open};
use rustix::stdio::{stdin, stdout};
use serde_json::Value;

use super::words::{self, Seen};
use crate::line;

/// The first word of a watcher. The others: bwrap's process id, the descriptors to keep, the real bwrap, `--`, the line.
pub(super) const CALLED: &str = "--watch-bwrap";

pub(super) fn run(words: Vec<OsString>) -> ExitCode {
    let mut words = words.into_iter();
    let mut next = || words.next().unwrap_or_default();
    let (pid, kept, real, _) = (next(), next(), PathBuf::from(next()), next());
    let pair = |pair: &str| {
        let (old, (new, offset)) =
            pair.split_once('=').and_then(|(old, new)| Some((old, new.split_once('@')?)))?;
        Some((old.parse().ok()?, new.parse().ok()?, offset.parse().ok()?))
    };
    let kept: Vec<(RawFd, RawFd, u64)> =
        kept.to_str().into_iter().flat_map(|kept| kept.split(',')).filter_map(pair).collect();
    // first of all: others wait for the end of what they share with bwrap
    for number in line::inherited().iter().filter(|number| kept.iter().all(|(_, kept, _)| kept != *number)) {
        let _ = nix::unistd::close(*number);
    }
    // a terminal that bwrap is the leader of hangs up when bwrap ends; there may be a file to write to
    let _ = signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::new(AtomicBool::new(false)));
    let Some(pid) = pid.to_str().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw) else {
        return ExitCode::FAILURE;
    };
    if let Some(seen) = Watch::begin(pid).outcome() {
        // bwrap has read from these files
        for (_, number, offset) in kept.iter().filter(|(_, number, _)| line::offset(*number).is_some()) {
            let Some(again) = line::reopened(*number, *offset) else { continue };
            let _ = nix::unistd::close(*number);
            // the lowest free one from there on
            let _ = fcntl_dupfd_cloexec(&again, *number).map(IntoRawFd::into_raw_fd);
        }
        let numbers: Vec<(RawFd, RawFd)> = kept.iter().map(|(old, new, _)| (*old, *new)).collect();
        words::explain(seen, &real, words.collect(), &numbers);
    }
    ExitCode::SUCCESS
}

/// How far bwrap has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Socket {
    /// bwrap's caller has one of its own.
    None,
    Open,
    /// Closed, with the byte read.
    Done,
    /// Closed, with the byte unread.
    Reset,
}

struct Watch {
    /// `None` if bwrap had ended before we looked, and where `pidfd_open(2)` is denied or lacking.
    process: Option<OwnedFd>,
    socket: Socket,
    has_status: bool,
    bwrap: Pid,
    /// What bwrap executes, once known.
    executes: Option<Executed>,
}

/// A file, by its device and number, and the words that it was started with: the command may be another bwrap.
type Executed = (u64, u64, Vec<u8>);

fn executed_by(pid: impl std::fmt::Display) -> Option<Executed> {
    let meta = fs::metadata(format!("/proc/{pid}/exe")).ok()?;
    Some((meta.dev(), meta.ino(), fs::read(format!("/proc/{pid}/cmdline")).ok()?))
}

/// How often the command is looked for, each time after twice as long.
const LOOKS: u32 = 12;
const FIRST_LOOK: Duration = Duration::from_micros(500);

/// How often bwrap is looked for where nothing tells of its end.
const PAUSE: Duration = Duration::from_millis(10);

impl Watch {
    fn begin(pid: Pid) -> Self {
        // the number is bwrap's as long as it is our parent's
        let is_parent = || getppid() == Some(pid);
        let process = if is_parent() { pidfd_open(pid, PidfdFlags::empty()).ok() } else { None };
        let process = process.filter(|_| is_parent());
        let is = |stream: BorrowedFd<'_>, kind: rustix::fs::FileType| {
            rustix::fs::fstat(stream)
                .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == kind)
        };
        let socket = if is(stdin(), rustix::fs::FileType::Socket) { Socket::Open } else { Socket::None };
        let has_status = is(stdout(), rustix::fs::FileType::RegularFile);
        Self { process, socket, has_status, bwrap: pid, executes: None }
    }

    /// Waits until the command runs, which is `None`, or bwrap has ended.
    fn outcome(mut self) -> Option<Seen> {
        let mut looks = 0;
        loop {
            let looking =
                matches!(self.socket, Socket::None | Socket::Done) && self.has_status && looks < LOOKS;
            let limit = looking.then(|| FIRST_LOOK * 2_u32.pow(looks));
            let ended = self.wait(limit);
            self.read_socket();
            if ended {
                return self.judge();
            }
            if looking {
                if self.command_runs(false) {
                    return None;
                }
                looks += 1;
            }
            if self.socket == Socket::Done && !self.has_status {
                // nobody will tell us more
                return None;
            }
        }
    }

    /// Whether bwrap has ended.
    fn wait(&self, limit: Option<Duration>) -> bool {
        // a child loses its parent when that ends
        let has_ended = || getppid() != Some(self.bwrap);
        let mut all: Vec<PollFd<'_>> =
            self.process.iter().map(|process| PollFd::new(process, PollFlags::IN)).collect();
        let limit = match &self.process {
            None if has_ended() => return true,
            None => Some(limit.map_or(PAUSE, |limit| limit.min(PAUSE))),
            Some(_) => limit,
        };
        let input = stdin();
        if self.socket == Socket::Open {
            all.push(PollFd::new(&input, PollFlags::IN));
        }
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        loop {
            match poll(&mut all, limit.as_ref()) {
                Err(Errno::INTR) => {}
                // without it nothing can be known
                Err(_) => return true,
                Ok(_) if self.process.is_none() => return has_ended(),
                Ok(_) => return all.first().is_some_and(|process| !process.revents().is_empty()),
            }
        }
    }

    fn read_socket(&mut self) {
        if self.socket != Socket::Open {
            return;
        }
        let mut byte = [0; 1];
        match recv(stdin(), &mut byte, RecvFlags::DONTWAIT) {
            Ok((_, 0)) => self.socket = Socket::Done,
            Err(Errno::CONNRESET) => self.socket = Socket::Reset,
            _ => {}
        }
    }

    fn judge(&mut self) -> Option<Seen> {
        let report = self.report();
        if report.executed {
            return None;
        }
        let refused = Seen::Failed(Verdict::Refused);
        match (self.socket, self.has_status) {
            (Socket::Reset, true) if report.child.is_none() => Some(refused),
            (Socket::Reset, true) => Some(Seen::Failed(Verdict::SetupFailed)),
            (Socket::Reset, false) => Some(Seen::Incomplete),
            // somebody ended bwrap, and what it set up goes on
            _ if self.command_runs(true) => None,
            (Socket::Done, true) => Some(Seen::Complete),
            (Socket::None, true) if report.child.is_none() => Some(refused),
            (Socket::None, true) => Some(Seen::Unreported),
            (Socket::Open | Socket::Done | Socket::None, _) => None,
        }
    }

    fn report(&self) -> Report {
        if !self.has_status {
            return Report::default();
        }
        let mut text = vec![0; 4096];
        let length = rustix::io::pread(stdout().as_fd(), &mut text, 0).unwrap_or(0);
        text.truncate(length);
        Report::read(&text)
    }

    /// Whether there is a process in the sandbox that executes something else than bwrap.
    fn command_runs(&mut self, ended: bool) -> bool {
        let Some(child) = self.report().child else { return false };
        if !ended {
            self.executes = self.executes.take().or_else(|| executed_by(self.bwrap.as_raw_nonzero()));
        }
        let Some(bwrap) = &self.executes else { return false };
        let is_other = |pid: u64| executed_by(pid).is_some_and(|other| other != *bwrap);
        let children = fs::read_to_string(format!("/proc/{child}/task/{child}/children")).unwrap_or_default();
        is_other(child) || children.split_whitespace().flat_map(str::parse).any(is_other)
    }
}

/// What bwrap has reported.
#[derive(Default, Debug, PartialEq, Eq)]
struct Report {
    child: Option<u64>,
    executed: bool,
}

impl Report {
    /// Reads what is there; what is no JSON, a command may have written that got hold of the descriptor: then it ran.
    fn read(text: &[u8]) -> Self {
        let mut report = Self::default();
        for document in serde_json::Deserializer::from_slice(text).into_iter::<Value>() {
            match document {
                Ok(document) => {
                    report.child = report.child.or_else(|| document.get("child-pid")?.as_u64());
                    report.executed |= document.get("exit-code").is_some();
                }
                Err(error) if error.is_eof() => {}
                Err(_) => report.executed = true,
            }
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::Report;

    #[test]
    fn reports_are_read_as_far_as_they_are_written() {
        let read = |text: &str| {
            let report = Report::read(text.as_bytes());
            (report.child, report.executed)
        };
        assert_eq!(read(""), (None, false));
        assert_eq!(read("{ \"child-pid\": 4"), (None, false));
        assert_eq!(read("{ \"child-pid\": 42, \"mnt-namespace\": 1 }\n{ \"exit"), (Some(42), false));
        assert_eq!(read("{ \"child-pid\": 42 }\n{ \"exit-code\": 1 }\n"), (Some(42), true));
        assert_eq!(read("{ \"child-pid\": 42 }\n\u{1}"), (Some(42), true));
    }
}
