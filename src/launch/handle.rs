//! A handle on a process: what is done to it is never done to another that has got its number, and it can be waited for.
//!
//! That is what `pidfd_open(2)` is for. Where it fails (a filter denies it, Linux before 5.3 and gVisor lack it), a process is known by
//! its number and the time at which it began, an event stands for its end, and one thread looks whether that has come.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, pidfd_open,
    pidfd_send_signal, test_kill_process, waitid,
};

use super::descriptors::{above_streams, event};
use super::spawn;
use super::stat::{is_own, stat_in};
use crate::bwrap::is_denial;
use crate::process_local::ProcessLocal;

/// A handle on a process. It is readable once the process has ended, whether or not somebody has waited for it.
#[derive(Debug)]
pub(crate) struct Handle(Kind);

#[derive(Debug)]
enum Kind {
    /// With the number, if it is that of our PID namespace.
    Pidfd(OwnedFd, Option<Pid>),
    Watched(Arc<Watched>),
    /// It has ended, and somebody has waited for it: what is always readable.
    Gone(OwnedFd),
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Kind::Pidfd(descriptor, _) | Kind::Gone(descriptor) => descriptor.as_fd(),
            Kind::Watched(watched) => watched.end.as_fd(),
        }
    }
}

impl Handle {
    /// # Errors
    ///
    /// `ESRCH` if there is no such process.
    pub(crate) fn open(pid: Pid) -> io::Result<Self> {
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => Ok(Self(Kind::Pidfd(above_streams(descriptor)?, Some(pid)))),
            Err(Errno::SRCH) => Err(Errno::SRCH.into()),
            // whatever else it is, a process that runs is not given up for it: where no descriptor is left, there is none for the event
            Err(_) => Ok(Self(Kind::Watched(Watched::begin(pid)?))),
        }
    }

    /// A process by its directory in a `/proc` that may be of another PID namespace. It takes signals; its end is not to be seen.
    pub(super) fn of_directory(directory: OwnedFd) -> Self {
        Self(Kind::Pidfd(directory, None))
    }

    /// For a process that could not be held before it was gone.
    pub(super) fn gone() -> io::Result<Self> {
        Ok(Self(Kind::Gone(event(1)?)))
    }

    /// Whether it has ended, or does so in that time.
    pub(crate) fn has_ended(&self, timeout: Duration) -> io::Result<bool> {
        self.look();
        let deadline = Instant::now() + timeout;
        loop {
            let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).ok();
            match poll(&mut [PollFd::new(self, PollFlags::IN)], left.as_ref()) {
                Ok(count) => return Ok(count > 0),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sees to it that the descriptor is readable if the process has ended by now.
    pub(super) fn look(&self) {
        if let Kind::Watched(watched) = &self.0 {
            watched.look();
        }
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// `ESRCH` if it has ended and somebody has waited for it.
    pub(super) fn signal(&self, signal: Signal) -> rustix::io::Result<()> {
        match &self.0 {
            Kind::Pidfd(descriptor, pid) => match (pidfd_send_signal(descriptor, signal), pid) {
                // what runs has its number, and what we may not do we may not do by number either
                (Err(error), Some(pid))
                    if is_denial(error) && self.has_ended(Duration::ZERO).is_ok_and(|ended| !ended) =>
                {
                    kill_process(*pid, signal)
                }
                (sent, _) => sent,
            },
            Kind::Watched(watched) if watched.is_unreaped() => kill_process(watched.pid, signal),
            Kind::Watched(_) | Kind::Gone(_) => Err(Errno::SRCH),
        }
    }

    /// Sends a signal, if it is there. Says whether it was.
    pub(super) fn signal_if_there(&self, signal: Signal) -> io::Result<bool> {
        match self.signal(signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Its status, if it is our child and has ended: then it is gone.
    ///
    /// # Errors
    ///
    /// `ECHILD` if it is not ours to wait for, or not any more.
    pub(super) fn reap(&self) -> rustix::io::Result<Option<WaitIdStatus>> {
        let id = match &self.0 {
            Kind::Pidfd(descriptor, _) => WaitId::PidFd(descriptor.as_fd()),
            Kind::Watched(watched) if watched.is_unreaped() => WaitId::Pid(watched.pid),
            Kind::Watched(_) | Kind::Gone(_) => return Err(Errno::CHILD),
        };
        waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
    }

    /// Whether its number is still its own: nobody has waited for it.
    pub(super) fn is_unreaped(&self) -> bool {
        match &self.0 {
            Kind::Pidfd(descriptor, _) => spawn::is_there(descriptor),
            Kind::Watched(watched) => watched.is_unreaped(),
            Kind::Gone(_) => false,
        }
    }

    /// Whether the kernel says that this is its parent. Otherwise `/proc` is to be asked: not every kernel tells.
    pub(super) fn is_child_of(&self, parent: Pid) -> bool {
        let Kind::Pidfd(descriptor, Some(_)) = &self.0 else { return false };
        spawn::parent_of(descriptor.as_fd())
            .is_some_and(|pid| i64::from(pid) == i64::from(parent.as_raw_pid()))
    }

    /// Whether a signal or a tracer has stopped it, as far as `/proc` tells.
    pub(super) fn is_stopped(&self) -> bool {
        let pid = match &self.0 {
            Kind::Pidfd(_, Some(pid)) => *pid,
            Kind::Watched(watched) => watched.pid,
            Kind::Pidfd(_, None) | Kind::Gone(_) => return false,
        };
        stat_in(&directory(pid)).is_ok_and(|stat| "Tt".contains(stat.state))
    }

    /// The file of `/proc` that tells its numbers in each PID namespace (`NSpid:`).
    pub(super) fn numbers_file(&self) -> String {
        match &self.0 {
            Kind::Watched(watched) => format!("/proc/{}/status", watched.pid.as_raw_pid()),
            Kind::Pidfd(descriptor, _) | Kind::Gone(descriptor) => {
                format!("/proc/self/fdinfo/{}", descriptor.as_raw_fd())
            }
        }
    }
}

/// How long the end of a process may stay unseen: a part of the time that it has run, within these.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(20);

/// A process that is known by its number.
#[derive(Debug)]
struct Watched {
    pid: Pid,
    /// In ticks after boot. Not known where `/proc` is not that of our PID namespace: then the number must do.
    began: Option<u64>,
    since: Instant,
    /// Readable once it has ended.
    end: OwnedFd,
}

impl Watched {
    fn begin(pid: Pid) -> io::Result<Arc<Self>> {
        let began = if is_own() { Some(stat_in(&directory(pid))?.starttime) } else { None };
        if began.is_none() && test_kill_process(pid) == Err(Errno::SRCH) {
            return Err(Errno::SRCH.into());
        }
        let watched = Arc::new(Self { pid, began, since: Instant::now(), end: event(0)? });
        watch(&watched)?;
        Ok(watched)
    }

    /// Whether it is there, or has ended and nobody has waited for it.
    ///
    /// Between this and what follows from it another process may get the number: it has to go round all numbers in that moment.
    fn is_unreaped(&self) -> bool {
        match self.began {
            Some(began) => stat_in(&directory(self.pid)).is_ok_and(|stat| stat.starttime == began),
            None => test_kill_process(self.pid) != Err(Errno::SRCH),
        }
    }

    fn has_ended(&self) -> bool {
        let Some(began) = self.began else {
            let ours = waitid(
                WaitId::Pid(self.pid),
                WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT,
            );
            return ours.is_ok_and(|ended| ended.is_some()) || !self.is_unreaped();
        };
        // a main thread may end before the others
        stat_in(&directory(self.pid)).map_or(true, |stat| {
            stat.starttime != began || "ZX".contains(stat.state) && stat.num_threads <= 1
        })
    }

    /// Has the event tell if it has ended. Says whether it has.
    fn look(&self) -> bool {
        let ended = self.has_ended();
        if ended {
            // it fails when the counter is full, and then it is readable
            let _ = rustix::io::write(&self.end, &1_u64.to_ne_bytes());
        }
        ended
    }

    /// How long it need not be looked at.
    fn pause(&self) -> Duration {
        (self.since.elapsed() / 50).clamp(SHORTEST, LONGEST)
    }
}

fn directory(pid: Pid) -> String {
    format!("/proc/{}", pid.as_raw_pid())
}

/// The thread that looks, as long as there is something to look at.
struct Watcher {
    thread: Option<Thread>,
    watched: Vec<Weak<Watched>>,
    /// How long it sleeps.
    pause: Duration,
}

impl Default for Watcher {
    fn default() -> Self {
        Self { thread: None, watched: Vec::new(), pause: SHORTEST }
    }
}

static WATCHER: ProcessLocal<Watcher> = ProcessLocal::new();

fn watch(watched: &Arc<Watched>) -> io::Result<()> {
    let mut all = WATCHER.lock();
    if let Some(thread) = &all.thread {
        if all.pause > SHORTEST {
            thread.unpark();
            all.pause = SHORTEST;
        }
    } else {
        log::debug!("pidfd_open(2) fails: processes are known by number and beginning");
        let builder = thread::Builder::new().name("bwrap-watcher".to_owned()).stack_size(128 << 10);
        all.thread = Some(builder.spawn(look_at_all)?.thread().clone());
    }
    all.watched.push(Arc::downgrade(watched));
    Ok(())
}

fn look_at_all() {
    spawn::block_signals();
    loop {
        // without the lock: others have more to be watched meanwhile
        let mut watched = std::mem::take(&mut WATCHER.lock().watched);
        let mut pause = LONGEST;
        watched.retain(|watched| {
            let running = watched.upgrade().filter(|watched| !watched.look());
            pause = running.as_ref().map_or(pause, |watched| pause.min(watched.pause()));
            running.is_some()
        });
        let mut all = WATCHER.lock();
        if all.watched.is_empty() && watched.is_empty() {
            all.thread = None;
            return;
        }
        all.pause = if all.watched.is_empty() { pause } else { SHORTEST };
        all.watched.append(&mut watched);
        let pause = all.pause;
        drop(all);
        thread::park_timeout(pause);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use rustix::process::getpid;

    use super::*;

    /// As where `pidfd_open(2)` is lacking.
    fn by_number(child: &Child) -> Handle {
        Handle(Kind::Watched(Watched::begin(Pid::from_child(child)).unwrap()))
    }

    #[test]
    fn an_end_is_told_and_the_status_left_to_whoever_asks_first() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let [one, other] = [by_number(&child), by_number(&child)];
        assert!(!one.has_ended(Duration::from_millis(20)).unwrap());
        one.signal(Signal::TERM).unwrap();
        // without a look of our own
        let mut polled = [PollFd::new(&one, PollFlags::IN)];
        let limit = Timespec::try_from(Duration::from_secs(5)).unwrap();
        assert_eq!(poll(&mut polled, Some(&limit)).unwrap(), 1);
        assert!(one.is_unreaped() && other.has_ended(Duration::ZERO).unwrap());
        assert_eq!(other.reap().unwrap().unwrap().terminating_signal(), Some(libc::SIGTERM));
        assert!(!one.is_unreaped() && child.try_wait().is_err());
        assert!(one.reap().is_err() && one.signal(Signal::KILL) == Err(Errno::SRCH));
        drop((one, other));
        let deadline = Instant::now() + Duration::from_secs(5);
        while WATCHER.lock().thread.is_some() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(WATCHER.lock().thread.is_none(), "it stays without anything to look at");
    }

    #[test]
    fn the_kernel_names_the_parent_until_somebody_has_waited() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let handle = Handle::open(Pid::from_child(&child)).unwrap();
        let said = |handle: &Handle| spawn::parent_of(handle.as_fd());
        // (Linux 6.13)
        let tells = said(&handle).is_some();
        assert_eq!(handle.is_child_of(getpid()), tells);
        assert!(!handle.is_child_of(Pid::INIT) && !by_number(&child).is_child_of(getpid()));
        child.kill().unwrap();
        assert!(handle.has_ended(Duration::from_secs(5)).unwrap());
        assert_eq!(handle.is_child_of(getpid()), tells, "one that nobody has waited for is there");
        child.wait().unwrap();
        assert_eq!(said(&handle), None);
    }

    #[test]
    fn who_has_the_number_by_now_is_not_hit() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let Kind::Watched(watched) = by_number(&child).0 else { unreachable!() };
        let before = Watched {
            pid: watched.pid,
            began: watched.began.map(|began| began - 1),
            since: Instant::now(),
            end: event(0).unwrap(),
        };
        let before = Handle(Kind::Watched(Arc::new(before)));
        assert!(before.has_ended(Duration::ZERO).unwrap() && !before.is_unreaped());
        assert_eq!(before.signal(Signal::KILL), Err(Errno::SRCH));
        assert_eq!(before.reap().err(), Some(Errno::CHILD));
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
