//! Whom to signal: all that descends from a process. What is found stays known, so that nothing is done to another process.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use super::handle::Handle;
use super::processes::{DYING, children_in, is_gone};
use super::stat::{own_proc, stat_in};
use super::wait::{left, no_later};

/// A process that descends from another one.
#[derive(Debug)]
pub(super) struct Relative {
    pid: i32,
    known: Known,
}

#[derive(Debug)]
enum Known {
    Held(Handle),
    /// By the time at which it began, in ticks after boot: there may be more processes than we may have descriptors.
    Since(u64),
}

impl Relative {
    fn find(pid: i32, frugal: bool) -> io::Result<Option<Self>> {
        let Some(number) = Pid::from_raw(pid) else { return Ok(None) };
        let known = if frugal {
            stat_in(&format!("/proc/{pid}")).map(|stat| Known::Since(stat.starttime))
        } else {
            Handle::open(number).map(Known::Held)
        };
        match known {
            Ok(known) => Ok(Some(Self { pid, known })),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Does something with a handle on it. `None` if it is gone.
    fn with<T>(&self, act: impl FnOnce(&Handle) -> T) -> io::Result<Option<T>> {
        let since = match &self.known {
            Known::Held(handle) => return Ok(Some(act(handle))),
            Known::Since(since) => *since,
        };
        let Some(Self { known: Known::Held(handle), .. }) = Self::find(self.pid, false)? else {
            return Ok(None);
        };
        // whose number it is now, whatever it was before
        match stat_in(&format!("/proc/{}", self.pid)) {
            Ok(stat) if stat.starttime == since => Ok(Some(act(&handle))),
            Err(error) if !is_gone(&error) => Err(error),
            _ => Ok(None),
        }
    }

    /// Sends it a signal. Says whether it was there.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<bool> {
        self.with(|handle| handle.signal_if_there(signal))?.unwrap_or(Ok(false))
    }

    /// Whether it has ended, as far as can be seen.
    pub(super) fn has_ended(&self) -> bool {
        let ended = self.with(|handle| handle.has_ended(Duration::ZERO).unwrap_or(false));
        ended.is_ok_and(|ended| ended.unwrap_or(true))
    }

    /// A handle on it, if it is held.
    pub(super) fn into_handle(self) -> Option<Handle> {
        match self.known {
            Known::Held(handle) => Some(handle),
            Known::Since(_) => None,
        }
    }
}

/// Those that were found, parents before their children, and what kept others from being found.
type Found = (Vec<Relative>, io::Result<()>);

/// The children of a process. None if it has ended: its number may be another's.
pub(super) fn children_of(pid: i32, handle: &Handle) -> Found {
    by_own_proc(|| children_but(pid, handle, &BTreeSet::new(), false))
}

/// The same without those that are known.
fn children_but(pid: i32, handle: &Handle, known: &BTreeSet<i32>, frugal: bool) -> Found {
    let list = || {
        let mut all = children_in(&format!("/proc/{pid}"), pid)?;
        all.retain(|child| !known.contains(child));
        Ok(all)
    };
    let (mut children, mut complete) = (Vec::new(), Ok(()));
    for pid in list().unwrap_or_else(|error| {
        complete = Err(error);
        Vec::new()
    }) {
        match Relative::find(pid, frugal) {
            Ok(found) => children.extend(found),
            Err(error) => complete = Err(error),
        }
    }
    // still there after they were looked at: no number was taken over meanwhile
    match list() {
        _ if children.is_empty() => {}
        Ok(still) => children.retain(|child| still.contains(&child.pid)),
        Err(error) => {
            children.clear();
            complete = Err(error);
        }
    }
    match handle.has_ended(Duration::ZERO) {
        Ok(false) => (children, complete),
        Ok(true) => (Vec::new(), Ok(())),
        Err(error) => (Vec::new(), Err(error)),
    }
}

/// All that descends from a process. What has lost its parent descends from whoever took it in.
pub(super) fn descendants(root: i32, first: &Handle) -> Found {
    in_either_way(|frugal| below(root, first, |_| {}, None, frugal))
}

/// As [`descendants`], all of them stopped, below a process that is `stopped` or goes on. One that is in the middle of `fork(2)` when the signal
/// comes makes its child all the same, and stops then: each is looked at once more when it has, until
/// the deadline ([`TimedOut`](io::ErrorKind::TimedOut)).
pub(super) fn stop_below(root: i32, first: &Handle, stopped: bool, deadline: Option<Instant>) -> Found {
    in_either_way(|frugal| stop_all(root, first, stopped, deadline, frugal))
}

/// With a handle on each as far as there are descriptors for that, else without.
fn in_either_way(find: impl Fn(bool) -> Found) -> Found {
    by_own_proc(|| match find(false) {
        (found, Err(error)) if is_short_of_descriptors(&error) => {
            drop(found);
            find(true)
        }
        found => found,
    })
}

/// Nobody where `/proc` is about others.
fn by_own_proc(find: impl FnOnce() -> Found) -> Found {
    own_proc().map_or_else(|error| (Vec::new(), Err(error)), |()| find())
}

fn is_short_of_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// Each is `met` before its own children are looked for.
fn below(root: i32, first: &Handle, met: impl Fn(&Handle), late: Option<Instant>, frugal: bool) -> Found {
    let none = BTreeSet::new();
    let (mut found, mut complete) = children_but(root, first, &none, frugal);
    let mut next = 0;
    while let Some(relative) = found.get(next) {
        if left(late).is_zero() {
            return (found, Err(io::ErrorKind::TimedOut.into()));
        }
        let children = relative.with(|handle| {
            met(handle);
            children_but(relative.pid, handle, &none, frugal)
        });
        match children {
            Ok(Some((children, others))) => {
                found.extend(children);
                complete = complete.and(others);
            }
            Ok(None) => {}
            Err(error) => complete = complete.and(Err(error)),
        }
        next += 1;
    }
    (found, complete)
}

/// How long a process may take to stop, or several together.
const STOPPING: Duration = Duration::from_millis(200);

/// For how long nobody may say where a process waits that no signal stops, before it is taken to stand still.
const UNKNOWN: Duration = Duration::from_millis(20);

/// And at how many looks in a row: on a busy machine two may be as far apart.
const LOOKS: u32 = 4;

fn stop_all(root: i32, first: &Handle, stopped: bool, late: Option<Instant>, frugal: bool) -> Found {
    let stop = |process: &Handle| {
        let _ = process.signal(Signal::STOP);
    };
    let (mut found, mut complete) = below(root, first, stop, late, frugal);
    let mut known: BTreeSet<i32> = found.iter().map(Relative::pid).collect();
    let deadline = no_later(late, STOPPING);
    let mut next = 0;
    while next <= found.len() {
        if left(late).is_zero() {
            return (found, complete.and(Err(io::ErrorKind::TimedOut.into())));
        }
        let once_more = |pid: i32, handle: &Handle| {
            let stops = next > 0 || stopped;
            if stops && !handle.has_ended(Duration::ZERO).unwrap_or(true) {
                wait_until_still(pid, deadline);
            }
            children_but(pid, handle, &known, frugal)
        };
        let others = match next.checked_sub(1).and_then(|last| found.get(last)) {
            Some(relative) => relative.with(|handle| once_more(relative.pid, handle)),
            None => Ok(Some(once_more(root, first))),
        };
        match others {
            Ok(Some((children, others))) => {
                complete = complete.and(others);
                known.extend(children.iter().map(Relative::pid));
                for child in &children {
                    let _ = child.with(stop);
                }
                found.extend(children);
            }
            Ok(None) => {}
            Err(error) => complete = complete.and(Err(error)),
        }
        next += 1;
    }
    (found, complete)
}

/// Waits until no thread of a process that was stopped runs any more, as far as `/proc` tells.
fn wait_until_still(pid: i32, deadline: Instant) {
    let mut unknown = None;
    while Instant::now() < deadline {
        match standing(pid) {
            Standing::Still => return,
            Standing::Unknown => {
                let (since, looks) = unknown.get_or_insert_with(|| (Instant::now(), 0));
                *looks += 1;
                if since.elapsed() >= UNKNOWN && *looks >= LOOKS {
                    return;
                }
            }
            Standing::Moving => unknown = None,
        }
        thread::sleep(Duration::from_micros(100));
    }
}

/// How a process stands that was stopped, the least still of its threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Still,
    /// It waits, and nobody says for what.
    Unknown,
    Moving,
}

fn standing(pid: i32) -> Standing {
    let of_thread = |directory: &str| match stat_in(directory).map_or('X', |stat| stat.state) {
        'D' => waiting(directory),
        state if "TtZXx".contains(state) => Standing::Still,
        _ => Standing::Moving,
    };
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let threads = threads.filter_map(|thread| thread.path().to_str().map(of_thread));
    threads.max().unwrap_or(Standing::Still)
}

/// How a thread stands that no signal stops (D). One that waits for the child of a vfork(2) has made that already, which was stopped before it
/// executed anything. In the middle of a fork(2) it may wait for its own memory, which others look at. Nobody says where a thread is that
/// runs again by now; where nobody ever says, it waits for a child.
fn waiting(directory: &str) -> Standing {
    let places = ["vfork", "kernel_clone", "do_fork"];
    match fs::read_to_string(format!("{directory}/wchan")).as_deref() {
        Err(_) | Ok("" | "0") => Standing::Unknown,
        Ok(place) if places.iter().any(|name| place.contains(name)) => Standing::Still,
        Ok(_) => Standing::Moving,
    }
}

/// Kills a child of ours on which no handle can be had, and all that descends from it, by number: nobody has waited for the child, and
/// below one that stands still no number changes hands.
pub(super) fn kill_by_number(child: Pid) {
    let deadline = Instant::now() + STOPPING;
    let (mut found, mut next) = (vec![child], 0);
    while let Some(pid) = found.get(next).copied() {
        let _ = kill_process(pid, Signal::STOP);
        let number = pid.as_raw_pid();
        if own_proc().is_ok() {
            wait_until_still(number, deadline);
            let children = children_in(&format!("/proc/{number}"), number).unwrap_or_default();
            found.extend(children.into_iter().filter_map(Pid::from_raw));
        }
        next += 1;
    }
    // the last first: what has ended below one that stands still keeps its number, too
    for pid in found.into_iter().rev() {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Reaps those that have been killed, if they are ours to reap.
pub(super) fn reap(killed: &[Relative]) {
    let deadline = Instant::now() + DYING;
    for process in killed {
        let _ = process.with(|handle| handle.has_ended(deadline.saturating_duration_since(Instant::now())));
    }
    for process in killed {
        // ECHILD: it is not ours
        let _ = process.with(Handle::reap);
    }
}
