//! The watchdog: a process that outlives the caller, and kills the sandboxes that are to end with it.
//!
//! There is one for each caller, a `/bin/sh` that reads what to kill from a socket and does so at its end, whatever brought that about. It
//! is told of a sandbox that waits at the gate. bwrap sees to what comes before that: it fails if nobody opens the gate. So there
//! is no moment in which nobody would end the sandbox, and no parent-death signal is needed, which has such moments.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::{Pid, Signal, Uid, WaitId, WaitIdOptions, geteuid, kill_process, waitid};

use super::descriptors::{above_streams, layout, sockets};
use super::handle::Handle;
use super::spawn::{self, Family, Plan};
use super::stat::stat_in;

const SHELL: &str = "/bin/sh";
const SCRIPT: &str = include_str!("watchdog.sh");

/// How long it may take to start. It takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it may read nothing although some hundred lines wait.
const PAUSE: Duration = Duration::from_millis(100);

/// What of a sandbox is to be killed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    /// bwrap itself.
    pub(super) monitor: Pid,
    /// What it cloned.
    pub(super) child: Pid,
    /// What descends from that does not end with it.
    pub(super) tree: bool,
}

/// Has a sandbox ended with this process, until this is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    process: u32,
    user: Uid,
    slot: usize,
}

struct Watchdog {
    /// Who started it: it may kill what this user may.
    user: Uid,
    /// Its end is the caller's.
    socket: OwnedFd,
    process: Handle,
    number: Pid,
    /// The resource limits that it began with. With others it may be unable to read a line.
    limits: Option<Vec<(libc::rlim_t, libc::rlim_t)>>,
    /// What it is to kill, as lines. Without that, a slot is free.
    slots: Vec<Option<String>>,
}

struct Kennel {
    /// The process that all this belongs to. A fork inherits it, and has to start its own.
    process: u32,
    /// One for each user that this process has been.
    watchdogs: Vec<Watchdog>,
}

static KENNEL: Mutex<Kennel> = Mutex::new(Kennel { process: 0, watchdogs: Vec::new() });

fn kennel() -> MutexGuard<'static, Kennel> {
    KENNEL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a watchdog is there that may be told of a sandbox, as far as can be said without waiting.
#[cfg(feature = "tokio")]
pub(super) fn is_ready() -> bool {
    KENNEL.try_lock().is_ok_and(|mut kennel| kennel.find().is_some_and(|watchdog| !watchdog.is_gone()))
}

/// Sees that there is a watchdog.
///
/// # Errors
///
/// If it cannot be started.
#[cfg(feature = "tokio")]
pub(super) fn ready() -> io::Result<()> {
    kennel().ready().map(drop)
}

/// Tells the watchdog of a sandbox, whose processes must still be there afterwards.
///
/// # Errors
///
/// If the watchdog cannot be started, or one of the processes is not there.
pub(super) fn watch(target: Target) -> io::Result<Watch> {
    let Target { monitor, child, tree } = target;
    let line = format!(
        "{} {} {} {} {}",
        u8::from(tree),
        monitor.as_raw_pid(),
        began(monitor)?,
        child.as_raw_pid(),
        began(child)?
    );
    let mut kennel = kennel();
    let watchdog = kennel.ready()?;
    let slot = watchdog.take_slot(line);
    let watch = Watch { process: std::process::id(), user: watchdog.user, slot };
    // what was done to it meanwhile, before it read this, is seen now
    let told = watchdog.tell(slot, PAUSE).is_ok() && !watchdog.is_gone();
    let told = if told { Ok(()) } else { watchdog.replace() };
    drop(kennel);
    // dropped otherwise, which needs the lock
    told.map(|()| watch)
}

impl Watch {
    /// Sees that the watchdog still knows the sandbox.
    ///
    /// # Errors
    ///
    /// If it is gone, and no other can be started.
    pub(super) fn renew(&self) -> io::Result<()> {
        let mut kennel = kennel();
        kennel.claim();
        match kennel.of(self) {
            Some(watchdog) if watchdog.is_gone() => watchdog.replace(),
            _ => Ok(()),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(slot) = kennel().of(self).and_then(|watchdog| watchdog.slots.get_mut(self.slot)) {
            // until the slot is taken again it is not missed: its processes began at another time
            *slot = None;
        }
    }
}

impl Kennel {
    /// Forgets what belongs to the process that this one was forked from.
    fn claim(&mut self) {
        let process = std::process::id();
        if self.process != process {
            self.process = process;
            self.watchdogs.clear();
        }
    }

    fn find(&mut self) -> Option<&mut Watchdog> {
        self.claim();
        let user = geteuid();
        self.watchdogs.iter_mut().find(|watchdog| watchdog.user == user)
    }

    fn of(&mut self, watch: &Watch) -> Option<&mut Watchdog> {
        let own = self.process == watch.process;
        self.watchdogs.iter_mut().find(|watchdog| own && watchdog.user == watch.user)
    }

    fn ready(&mut self) -> io::Result<&mut Watchdog> {
        if self.find().is_none() {
            self.watchdogs.push(start()?);
        }
        let watchdog = self.find().ok_or(io::ErrorKind::NotFound)?;
        if watchdog.is_gone() {
            watchdog.replace()?;
        }
        Ok(watchdog)
    }
}

impl Watchdog {
    /// Somebody has killed, stopped or crippled it: a command of the same user that sees it, say.
    fn is_gone(&self) -> bool {
        self.process.has_ended(Duration::ZERO).unwrap_or(true)
            || self.process.is_stopped()
            || self.limits.is_some() && spawn::resource_limits(self.number) != self.limits
    }

    fn take_slot(&mut self, line: String) -> usize {
        let slot = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        match self.slots.get_mut(slot) {
            Some(free) => *free = Some(line),
            None => self.slots.push(Some(line)),
        }
        slot
    }

    /// What is sent is read, even if this process ends at once: it needs no answer. Fails if it is not taken for so long.
    fn tell(&self, slot: usize, patience: Duration) -> io::Result<()> {
        let Some(Some(line)) = self.slots.get(slot) else { return Ok(()) };
        let line = format!("{slot} {line}\n");
        loop {
            match send(&self.socket, line.as_bytes(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(sent) if sent == line.len() => return Ok(()),
                // a socket takes a line of this size as a whole, or not at all
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => wait_for(&self.socket, PollFlags::OUT, patience)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Starts another in its place, and tells that one of every sandbox.
    fn replace(&mut self) -> io::Result<()> {
        log::warn!("the watchdog is gone, or does not read any more: another one is started");
        let new = start()?;
        // before the end of its socket, which would have it kill them all
        let _ = self.process.signal(Signal::KILL);
        let _ = self.process.has_ended(PATIENCE);
        // it is ours where orphans become our children
        let _ = self.process.reap();
        let slots = std::mem::take(&mut self.slots);
        *self = Self { slots, ..new };
        (0..self.slots.len()).try_for_each(|slot| self.tell(slot, PATIENCE))
    }
}

/// When a process began, in ticks: together with its number, that is no other's.
fn began(pid: Pid) -> io::Result<u64> {
    let directory = format!("/proc/{}", pid.as_raw_pid());
    Ok(stat_in(&directory).map_err(|error| at(&directory, &error))?.starttime)
}

fn at(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// Starts a watchdog that knows nobody.
fn start() -> io::Result<Watchdog> {
    let (ours, theirs) = sockets()?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let null = above_streams(null.into())?;
    let [null_number, number] = [null.as_raw_fd(), theirs.as_raw_fd()];
    let words = ["sh", "-c", SCRIPT, "bwrap-watchdog"].map(|word| spawn::c_string(word.as_bytes()));
    let plan = Plan {
        path: spawn::c_string(SHELL.as_bytes())?,
        arguments: words.into_iter().collect::<io::Result<Vec<CString>>>()?,
        actions: layout(&[(null_number, 0), (null_number, 1), (null_number, 2), (number, 3)], &[]),
        keeps_ignored_signals: false,
        // signals to the caller's group, such as Ctrl-C, are not for it
        family: Family::Session,
    };
    let shell = spawn::spawn(&plan).map_err(|error| at(SHELL, &error))?;
    drop(theirs);
    let number = number_from(&ours);
    if number.is_err() {
        let _ = kill_process(shell, Signal::KILL);
    }
    // it ends as soon as it has said the number; whoever waits for all children may have taken it
    while let Err(Errno::INTR) = waitid(WaitId::Pid(shell), WaitIdOptions::EXITED) {}
    let number = number.map_err(|error| at(SHELL, &error))?;
    let process = Handle::open(number)?;
    let limits = spawn::resource_limits(number);
    Ok(Watchdog { user: geteuid(), socket: ours, process, number, limits, slots: Vec::new() })
}

fn wait_for(socket: &OwnedFd, event: PollFlags, patience: Duration) -> io::Result<()> {
    match poll(&mut [PollFd::new(socket, event)], Timespec::try_from(patience).ok().as_ref()) {
        Ok(0) => Err(io::ErrorKind::TimedOut.into()),
        // whoever waits tries again
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The number that the shell says, which is the watchdog's.
fn number_from(socket: &OwnedFd) -> io::Result<Pid> {
    let mut buffer = [0_u8; 32];
    let count = loop {
        match recv(socket, &mut buffer, RecvFlags::DONTWAIT) {
            Ok((count, _)) => break count,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for(socket, PollFlags::IN, PATIENCE)?,
            Err(error) => return Err(error.into()),
        }
    };
    let text = buffer.get(..count).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    let number = text.trim().parse().ok().and_then(Pid::from_raw);
    number.ok_or_else(|| io::Error::other("it ended before it could watch"))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> (Child, Target) {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_child(&child);
        (child, Target { monitor: pid, child: pid, tree: false })
    }

    fn number() -> Pid {
        let kennel = kennel();
        kennel.watchdogs.first().unwrap().number
    }

    #[test]
    fn one_that_does_not_read_is_replaced_and_kills_nobody() {
        let (mut sleeper, target) = sleeper();
        let first = watch(target).unwrap();
        let before = number();
        kill_process(before, Signal::STOP).unwrap();
        let others: Vec<Watch> =
            (0..2000).map_while(|_| (number() == before).then(|| watch(target).unwrap())).collect();
        assert!(number() != before && !others.is_empty());
        first.renew().unwrap();
        // its end would have killed what it knew, had it not been killed itself
        std::thread::sleep(Duration::from_millis(50));
        assert!(sleeper.try_wait().unwrap().is_none());
        let taken = kennel().watchdogs.first().unwrap().slots.iter().flatten().count();
        drop((first, others));
        let free = kennel().watchdogs.first().unwrap().slots.iter().filter(|slot| slot.is_none()).count();
        assert!(taken >= 2 && free >= taken, "{taken} {free}");
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    }

    #[test]
    fn who_is_not_there_is_not_watched() {
        let (mut sleeper, target) = sleeper();
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        assert!(watch(target).is_err());
    }
}
