//! What can be seen of a launch without waiting.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::super::conduct::{Child, Cloned, Seen};
use super::super::handle::Handle;
use super::super::handshake::{End, Ready};
use super::super::relatives::children_of;
use super::super::spawn;
use super::super::usage::{STEP, Usage};
use super::{Running, process_is_gone};
use crate::bwrap::status::Status;

impl Running {
    /// Everything that can be seen without waiting.
    pub(super) fn look(&mut self) -> io::Result<Seen> {
        let mut status = *self.handshake().status();
        let (mut ended, mut child) = self.look_at_processes(status)?;
        // after that, so that what bwrap reported just before its end is in it
        status = self.read_status()?;
        if self.reach.child().is_none() && self.end.is_none() && status.child_pid.is_some() {
            // without a handle there is still the number
            let _ = self.reach.hold(&status);
            let before = ended;
            (ended, child) = self.look_at_processes(status)?;
            if ended && !before {
                status = self.read_status()?;
            }
        }
        if ended && self.end.is_none() {
            // a reported exit code leaves no doubt; else, until it is reaped it has its limits
            if status.exit_code.is_none() {
                let now = self.limits.as_ref().and_then(|_| spawn::resource_limits(self.pid));
                self.tampered = now.is_some() && now != self.limits || self.has_survivors();
            }
            if let (None, Some(before)) = (&self.group, self.used) {
                // shorter than a step of the figures in /proc, it need not be asked
                let short = self.began.elapsed() < STEP;
                let used = if short { Usage::below_a_step() } else { self.reach.usage_at_end() };
                self.used = Some(used.or_more(before));
            }
            self.end = Some(reap(self.reach.process()));
        }
        let mut ready = self.handshake().ready();
        if ready == Ready::Open
            && let Some(socket) = &self.ready
        {
            ready = look_at_ready(socket, self.announced)?;
            if ready != Ready::Open {
                // many sandboxes may be held at a time
                self.ready = None;
            }
        }
        // bwrap's own between it and the command; what is the command's may stop if it likes
        let between = self.conduct.cloned() == Cloned::Parent && child == Child::Alive;
        let stopped = between && self.reach.child().is_some_and(Handle::is_stopped);
        Ok(Seen { status, ready, end: self.end, child, stopped, tampered: self.tampered })
    }

    /// Whether process 1 has children although bwrap has ended as if it had made none: then it did not end by itself.
    fn has_survivors(&self) -> bool {
        let Some(child) = self.reach.child().filter(|_| self.conduct.cloned() == Cloned::Init) else {
            return false;
        };
        !children_of(self.reach.child_pid().unwrap_or(0), child).0.is_empty()
    }

    /// What bwrap has reported. Once it has ended and that was read, nothing of its own can follow.
    fn read_status(&mut self) -> io::Result<Status> {
        if self.end.is_none() {
            let bytes = self.reach.reported()?;
            if bytes != self.told.1 {
                self.told = (Status::parse(&bytes), bytes);
            }
        }
        Ok(self.told.0)
    }

    /// Whether bwrap has ended, and how the process stands that it cloned, both at one moment.
    fn look_at_processes(&self, status: Status) -> io::Result<(bool, Child)> {
        let handles = [&**self.reach.process()].into_iter().chain(self.reach.child());
        let mut polled: Vec<PollFd<'_>> = handles
            .inspect(|handle| handle.look())
            .map(|handle| PollFd::new(handle, PollFlags::IN))
            .collect();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        while let Err(error) = poll(&mut polled, Some(&now)) {
            if error != Errno::INTR {
                return Err(error.into());
            }
        }
        let mut signs = polled.iter().map(|source| !source.revents().is_empty());
        let ended = signs.next().unwrap_or(false);
        let child = match (signs.next(), status.child_pid) {
            (Some(true), _) => Child::Gone,
            (Some(false), _) => Child::Alive,
            (None, Some(pid)) if process_is_gone(pid) => Child::Gone,
            (None, _) => Child::Unknown,
        };
        Ok((ended, child))
    }
}

/// How the ready socket stands. A reset is reported once only.
fn look_at_ready(socket: &OwnedFd, announced: bool) -> io::Result<Ready> {
    Ok(match recv(socket, &mut [0_u8; 1], RecvFlags::DONTWAIT) {
        // an end without anything to read before
        Ok(_) if !announced => Ready::Unread,
        Ok(_) => Ready::Read,
        // whoever else may have a copy of the other end
        Err(Errno::AGAIN) if announced && spawn::unread(socket) == Some(0) => {
            // what was unread is gone, too, with an end that was closed in between, and that is told now
            match recv(socket, &mut [0_u8; 1], RecvFlags::DONTWAIT) {
                Err(Errno::CONNRESET) => Ready::Unread,
                _ => Ready::Read,
            }
        }
        Err(Errno::AGAIN | Errno::INTR) => Ready::Open,
        Err(Errno::CONNRESET) => Ready::Unread,
        Err(error) => return Err(error.into()),
    })
}

/// The status of a bwrap that has ended.
fn reap(process: &Handle) -> End {
    let mut failed = false;
    loop {
        return match process.reap() {
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => End::Exited(code),
                (_, Some(signal)) => End::Signaled(signal),
                _ => End::Unknown,
            },
            Err(Errno::INTR) => continue,
            // it is there, and would stay as a zombie
            Err(_) if !failed && process.is_unreaped() => {
                failed = true;
                continue;
            }
            // ECHILD: the kernel or somebody else took it
            Ok(None) | Err(_) => End::Unknown,
        };
    }
}
