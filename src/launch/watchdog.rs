//! The watchdog: a process that outlives the caller, and kills the sandboxes that are to end with it.
//!
//! There is one for each caller, a `/bin/sh` that reads what to kill from a socket and does so at its end, whatever brought that about. It
//! is told of a sandbox that waits at the gate. bwrap sees to what comes before that: it fails if nobody opens the gate. So there
//! is no moment in which nobody would end the sandbox, and no parent-death signal is needed, which has such moments.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::MutexGuard;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::{Pid, Signal, Uid, geteuid, getpid};

use super::descriptors::{above_streams, layout, sockets};
use super::handle::Handle;
use super::processes::{DYING, reap_orphan};
use super::relatives::descendants;
use super::spawn::{self, Family, Plan};
use super::stat::{own_proc, stat_in};
use super::wait::no_later;
use crate::process_local::{Process, ProcessLocal};

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
    process: Process,
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
    /// It did not take a line.
    mute: bool,
    /// What it is to kill, as lines. Without that, a slot is free.
    slots: Vec<Option<String>>,
}

#[derive(Default)]
struct Kennel {
    /// One for each user that this process has been.
    watchdogs: Vec<Watchdog>,
}

/// A fork has to start its own, and lets go of what it has got: a watchdog acts when the last end of its socket is closed.
static KENNEL: ProcessLocal<Kennel> = ProcessLocal::inheriting(|kennel| {
    kennel.watchdogs.clear();
    Kennel::default()
});

/// One is started at a time, and not within [`KENNEL`]: whoever only lets go of a sandbox waits for nobody.
static STARTING: ProcessLocal<()> = ProcessLocal::new();

/// Whether a watchdog is there that may be told of a sandbox, as far as can be said without waiting.
#[cfg(feature = "tokio")]
pub(super) fn is_ready() -> bool {
    KENNEL.try_lock().is_some_and(|mut kennel| kennel.has_one())
}

/// Sees that there is a watchdog, which has to be there by the deadline.
///
/// # Errors
///
/// If it cannot be started, or cannot do its work.
pub(super) fn ready(deadline: Option<Instant>) -> io::Result<()> {
    let deadline = no_later(deadline, PATIENCE);
    if KENNEL.lock().has_one() {
        return Ok(());
    }
    let _turn = turn(deadline)?;
    if KENNEL.lock().has_one() {
        return Ok(());
    }
    let new = start(deadline)?;
    KENNEL.lock().admit(new, deadline)
}

fn turn(deadline: Instant) -> io::Result<MutexGuard<'static, ()>> {
    loop {
        if let Some(turn) = STARTING.try_lock() {
            return Ok(turn);
        }
        if Instant::now() >= deadline {
            let why = "another thread has not started it in time";
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Tells the watchdog of a sandbox, whose processes must still be there afterwards. If there is none, it has to be there by the deadline.
///
/// # Errors
///
/// If the watchdog cannot be started, or one of the processes is not there.
pub(super) fn watch(target: Target, deadline: Option<Instant>) -> io::Result<Watch> {
    let Target { monitor, child, tree } = target;
    // others would be watched
    own_proc()?;
    let line = format!(
        "{} {} {} {} {}",
        u8::from(tree),
        monitor.as_raw_pid(),
        began(monitor)?,
        child.as_raw_pid(),
        began(child)?
    );
    ready(deadline)?;
    let mut kennel = KENNEL.lock();
    let watchdog = kennel.find().ok_or(io::ErrorKind::NotFound)?;
    let slot = watchdog.take_slot(line);
    let watch = Watch { process: Process::own(), user: watchdog.user, slot };
    // what was done to it meanwhile, before it read this, is seen now
    let told = watchdog.tell(slot, PAUSE).is_ok() && !watchdog.is_gone();
    watchdog.mute |= !told;
    drop(kennel);
    if !told {
        ready(deadline)?;
    }
    Ok(watch)
}

impl Watch {
    /// Sees that the watchdog still knows the sandbox.
    ///
    /// # Errors
    ///
    /// If it is gone, and no other can be started.
    pub(super) fn renew(&self, deadline: Option<Instant>) -> io::Result<()> {
        let mut kennel = KENNEL.lock();
        let gone = kennel.of(self).is_some_and(|watchdog| watchdog.is_gone());
        drop(kennel);
        if gone { ready(deadline) } else { Ok(()) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(slot) = KENNEL.lock().of(self).and_then(|watchdog| watchdog.slots.get_mut(self.slot)) {
            // until the slot is taken again it is not missed: its processes began at another time
            *slot = None;
        }
    }
}

impl Kennel {
    fn find(&mut self) -> Option<&mut Watchdog> {
        let user = geteuid();
        self.watchdogs.iter_mut().find(|watchdog| watchdog.user == user)
    }

    fn of(&mut self, watch: &Watch) -> Option<&mut Watchdog> {
        let own = watch.process.is_own();
        self.watchdogs.iter_mut().find(|watchdog| own && watchdog.user == watch.user)
    }

    /// Whether there is one that does its work.
    fn has_one(&mut self) -> bool {
        self.find().is_some_and(|watchdog| !watchdog.is_gone())
    }

    /// Takes it in, in the place of one that is gone, and tells it of every sandbox that this was told of.
    fn admit(&mut self, new: Watchdog, deadline: Instant) -> io::Result<()> {
        let Some(old) = self.find() else {
            self.watchdogs.push(new);
            return Ok(());
        };
        log::warn!("the watchdog is gone, or does not read any more: another one takes its place");
        // before the end of its socket, which would have it kill them all
        let _ = old.process.signal(Signal::KILL);
        let _ = old.process.has_ended(DYING);
        // it is ours where orphans become our children
        let _ = old.process.reap();
        let slots = std::mem::take(&mut old.slots);
        *old = Watchdog { slots, ..new };
        let left = || deadline.saturating_duration_since(Instant::now());
        let told = (0..old.slots.len()).try_for_each(|slot| old.tell(slot, left()));
        old.mute = told.is_err();
        told
    }
}

impl Watchdog {
    /// Somebody has killed, stopped or crippled it: a command of the same user that sees it, say.
    fn is_gone(&self) -> bool {
        self.process.has_ended(Duration::ZERO).unwrap_or(true)
            || self.mute
            || self.process.is_stopped()
            || self.has_other_limits()
    }

    /// Somebody has changed its limits. They are not to be seen where this process has given up its privileges since it was started.
    fn has_other_limits(&self) -> bool {
        let now = spawn::resource_limits(self.number);
        now.is_some() && self.limits.is_some() && now != self.limits
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
}

/// When a process began, in ticks: together with its number, that is no other's.
fn began(pid: Pid) -> io::Result<u64> {
    let directory = format!("/proc/{}", pid.as_raw_pid());
    Ok(stat_in(&directory).map_err(|error| at(&directory, &error))?.starttime)
}

fn at(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// Starts a watchdog that knows nobody, and has it prove that it sees processes as we do, and may signal them: it has what the thread has
/// that starts it, such as a system call filter or another time namespace.
fn start(deadline: Instant) -> io::Result<Watchdog> {
    let (ours, theirs) = sockets()?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let null = above_streams(null.into())?;
    let [null_number, number] = [null.as_raw_fd(), theirs.as_raw_fd()];
    let own = getpid().as_raw_pid().to_string();
    let words = ["sh", "-c", SCRIPT, "bwrap-watchdog", &own].map(|word| spawn::c_string(word.as_bytes()));
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
    let said = said_by(&ours, deadline);
    let known = said.as_ref().ok().map(|(number, _)| *number);
    let started = said.and_then(|(number, seen)| {
        let process = Handle::open(number)?;
        if seen != Some(began(getpid())?) {
            let _ = process.signal(Signal::KILL);
            return Err(io::Error::other("it cannot see or signal this process; launch from a thread without a filter or namespaces of its own"));
        }
        Ok((number, process))
    });
    see_off(shell, started.is_err(), deadline);
    let (number, process) = match started {
        Ok(started) => started,
        Err(error) => {
            // it ends with its socket, and may have become our child
            drop((ours, null));
            if let Some(process) = known.and_then(|number| Handle::open(number).ok()) {
                reap_orphan(&process);
            }
            return Err(at(SHELL, &error));
        }
    };
    let limits = spawn::resource_limits(number);
    Ok(Watchdog { user: geteuid(), socket: ours, process, number, limits, mute: false, slots: Vec::new() })
}

/// The shell ends as soon as it has said a number; whoever waits for all children may have taken it. A process that meddles with it can keep
/// it from that, but not us: then it is killed, with the watchdog below it if that is of no use.
fn see_off(shell: Pid, useless: bool, deadline: Instant) {
    let Ok(handle) = Handle::open(shell) else { return };
    let left = deadline.saturating_duration_since(Instant::now()).min(DYING);
    if useless || !handle.has_ended(left).unwrap_or(false) {
        if useless {
            for relative in descendants(shell.as_raw_pid(), &handle).0 {
                let _ = relative.signal(Signal::KILL);
            }
        }
        let _ = handle.signal(Signal::KILL);
        let _ = handle.has_ended(DYING);
    }
    let _ = handle.reap();
}

fn wait_for(socket: &OwnedFd, event: PollFlags, patience: Duration) -> io::Result<()> {
    match poll(&mut [PollFd::new(socket, event)], Timespec::try_from(patience).ok().as_ref()) {
        Ok(0) => Err(io::ErrorKind::TimedOut.into()),
        // whoever waits tries again
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The number that the shell says, which is the watchdog's, and when we began as that sees it, if it may signal us.
fn said_by(socket: &OwnedFd, deadline: Instant) -> io::Result<(Pid, Option<u64>)> {
    let mut buffer = [0_u8; 64];
    let mut length = 0;
    while !buffer.get(..length).is_some_and(|said| said.contains(&b'\n')) {
        let Some(room) = buffer.get_mut(length..).filter(|room| !room.is_empty()) else { break };
        match recv(socket, room, RecvFlags::DONTWAIT) {
            Ok((0, _)) => break,
            Ok((count, _)) => length += count,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                wait_for(socket, PollFlags::IN, deadline.saturating_duration_since(Instant::now()))?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let text = buffer.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    let mut words = text.split_whitespace();
    let number = words.next().and_then(|word| word.parse().ok()).and_then(Pid::from_raw);
    let number = number.ok_or_else(|| io::Error::other("it ended before it could watch"))?;
    Ok((number, words.next().and_then(|word| word.parse().ok())))
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
        let kennel = KENNEL.lock();
        kennel.watchdogs.first().unwrap().number
    }

    #[test]
    fn one_that_does_not_read_is_replaced_and_kills_nobody() {
        let (mut sleeper, target) = sleeper();
        let first = watch(target, None).unwrap();
        let before = number();
        rustix::process::kill_process(before, Signal::STOP).unwrap();
        let others: Vec<Watch> =
            (0..2000).map_while(|_| (number() == before).then(|| watch(target, None).unwrap())).collect();
        assert!(number() != before && !others.is_empty());
        first.renew(None).unwrap();
        // its end would have killed what it knew, had it not been killed itself
        std::thread::sleep(Duration::from_millis(50));
        assert!(sleeper.try_wait().unwrap().is_none());
        let taken = KENNEL.lock().watchdogs.first().unwrap().slots.iter().flatten().count();
        drop((first, others));
        let free =
            KENNEL.lock().watchdogs.first().unwrap().slots.iter().filter(|slot| slot.is_none()).count();
        assert!(taken >= 2 && free >= taken, "{taken} {free}");
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    }

    #[test]
    fn who_is_not_there_is_not_watched() {
        let (mut sleeper, target) = sleeper();
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        assert!(watch(target, None).is_err());
    }
}
