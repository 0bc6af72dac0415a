//! What `/proc` says about processes that a launch has to do with.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::num::NonZeroI32;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use procfs_core::FromRead;
use procfs_core::process::{Stat, Status};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, getpid};
use rustix::time::{ClockId, clock_gettime};

use super::handle::Handle;
use super::stat::{own_number, own_proc, read_once, stat_in};

/// How often processes are looked for that were started or moved meanwhile.
const PASSES: usize = 16;

/// Whether processes that lose their parent inside a sandbox become our children.
pub(super) fn adopts_orphans() -> bool {
    getpid().as_raw_pid() == 1 || rustix::process::child_subreaper().is_ok_and(|reaper| reaper.is_some())
}

/// Has this process become the parent of what loses its own below it (a subreaper, `PR_SET_CHILD_SUBREAPER` of `prctl(2)`), and launches
/// from now on reap what they leave of that kind.
///
/// For callers whose process 1 does not reap, as in a container that is started without `--init`: bwrap's own process 1 ends a moment after
/// bwrap and is handed on to that one, so that each launch with a PID namespace leaves a zombie. As process 1 itself, a caller needs nothing: its launches
/// reap in any case.
///
/// It is for the whole process and for as long as it runs. Whatever else loses its parent below this process becomes its child, too, and is
/// for others to wait for: what other children than sandboxes leave behind, and, of sandboxes without a PID namespace, what outlives the command.
/// A program that is executed (`execve(2)`) inherits it, a child does not.
///
/// # Errors
///
/// If the system denies it; a system call filter may.
///
/// ```
/// use bwrap_launch::{Sandbox, adopt_orphans};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// adopt_orphans()?; // at the start of `main`
/// assert!(Sandbox::new().ro_bind("/", "/").unshare_all().command("true").status()?.success());
/// # Ok(())
/// # }
/// ```
pub fn adopt_orphans() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(getpid()))?)
}

/// All that descends from a process and runs, as far as it has not lost its parent to somebody else. Empty if that process has ended.
///
/// It needs no handle for each, and so no more descriptors than one.
pub(super) fn all_below(pid: i32, handle: &Handle) -> io::Result<BTreeSet<i32>> {
    let mut before = BTreeSet::new();
    for _ in 0..PASSES {
        let found = pass_below(pid, handle, |_, _| {})?;
        // what loses its parent on the way may go to one whose children have been looked at
        if found.is_subset(&before) {
            return Ok(found);
        }
        before = found;
    }
    Ok(before)
}

/// As [`all_below`], but what loses its parent on the way may be missed. Each that is `met`, the first and zombies among them, is so by the
/// path of its directory.
pub(super) fn pass_below(
    root: i32,
    handle: &Handle,
    mut met: impl FnMut(i32, &str),
) -> io::Result<BTreeSet<i32>> {
    own_proc()?;
    let (mut found, mut next) = (BTreeSet::new(), vec![root]);
    while let Some(pid) = next.pop() {
        // whoever else gets the number, this is of the process that has it now
        let directory = match File::open(format!("/proc/{pid}")) {
            Ok(directory) => directory,
            Err(error) if is_gone(&error) => continue,
            Err(error) => return Err(error),
        };
        let directory = format!("/proc/self/fd/{}", directory.as_raw_fd());
        let mut threads = None;
        if pid == root {
            if handle.has_ended(Duration::ZERO)? {
                return Ok(BTreeSet::new());
            }
            met(pid, &directory);
        } else {
            let Ok(stat) = stat_in(&directory) else { continue };
            let is_ours = stat.ppid == root || found.contains(&stat.ppid);
            if !is_ours || found.contains(&pid) {
                continue;
            }
            met(pid, &directory);
            // one whose first thread has ended before the others is no zombie
            if stat.state == 'Z' && stat.num_threads <= 1 {
                continue;
            }
            found.insert(pid);
            threads = Some(stat.num_threads);
        }
        let children = match threads {
            // no directory to list; another thread would be found by the next pass
            Some(1) if *LISTS_CHILDREN => {
                fs::read_to_string(format!("{directory}/task/{pid}/children")).map(|text| numbers(&text))
            }
            _ => children_in(&directory, pid),
        };
        match children {
            Ok(children) => next.extend(children),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Whether `/proc` lists the children of a process: kernels may be without (`CONFIG_PROC_CHILDREN`), and gVisor is.
static LISTS_CHILDREN: LazyLock<bool> = LazyLock::new(|| Path::new("/proc/thread-self/children").exists());

/// The children of the process whose directory in `/proc` this is.
pub(super) fn children_in(directory: &str, pid: i32) -> io::Result<Vec<i32>> {
    if !*LISTS_CHILDREN {
        return children_among_all(pid);
    }
    let mut children = Vec::new();
    for thread in fs::read_dir(format!("{directory}/task"))? {
        match fs::read_to_string(thread?.path().join("children")) {
            Ok(text) => children.extend(numbers(&text)),
            // it has ended meanwhile
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(children)
}

/// The children of a process, from what each process says of its parent.
fn children_among_all(pid: i32) -> io::Result<Vec<i32>> {
    let all = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |child: &i32| stat_in(&format!("/proc/{child}")).is_ok_and(|stat| stat.ppid == pid);
    Ok(all.filter(is_child).collect())
}

/// Whether a process or thread could not be looked at because it is no longer there.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::SRCH))
}

pub(super) fn numbers(text: &str) -> Vec<i32> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// How long a process that was killed may take to end before nobody waits for it any more.
pub(super) const DYING: Duration = Duration::from_millis(500);

/// How far up a process's ancestors are followed. A circle of them cannot be, but numbers may change hands on the way.
const DEPTH: usize = 64;

/// Whether a process, of which this is known, descends from another one that nobody has waited for.
pub(super) fn descends(process: &Stat, from: i32) -> bool {
    let mut parent = process.ppid;
    for _ in 0..DEPTH {
        if parent == from {
            return true;
        }
        match stat_in(&format!("/proc/{parent}")) {
            Ok(stat) if stat.ppid > 0 => parent = stat.ppid,
            _ => return false,
        }
    }
    false
}

/// What `/proc/PID/status` says.
pub(super) fn status_of(pid: &str) -> Option<Status> {
    Status::from_file(format!("/proc/{pid}/status")).ok()
}

/// How many PID namespaces a process is in: its own and those around it, as far as they are seen here.
fn depth(status: &Status) -> usize {
    status.nspid.as_ref().map_or(0, Vec::len)
}

/// Whether a process is our child although it lives in a PID namespace below ours, as no bwrap that we spawned does.
pub(super) fn is_orphan_of_ours(pid: NonZeroI32) -> bool {
    let (Some(its), Some(ours)) = (status_of(&pid.to_string()), status_of("self")) else { return false };
    its.ppid == getpid().as_raw_pid() && depth(&its) > depth(&ours)
}

/// Whether a process is process 1 of a PID namespace below ours; one that has ended still is.
pub(super) fn is_init(handle: &Handle) -> bool {
    let mut buffer = [0; 4096];
    let bytes = read_once(&handle.numbers_file(), &mut buffer);
    let text = bytes.ok().and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    let numbers = text.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    let mut numbers = numbers.split_whitespace();
    numbers.next().is_some() && numbers.last() == Some("1")
}

/// Waits for the end of a process that was killed, and reaps it if it became our child.
pub(super) fn reap_orphan(process: &Handle) {
    let _ = process.has_ended(DYING);
    // ECHILD: it is not ours
    let _ = process.reap();
}

/// The same of several, which take no longer together than one may take: a parent among them keeps the others until it has ended.
pub(super) fn reap_orphans<'a>(processes: impl IntoIterator<Item = &'a Handle> + Clone) {
    let deadline = Instant::now() + DYING;
    for process in processes.clone() {
        let _ = process.has_ended(deadline.saturating_duration_since(Instant::now()));
    }
    for process in processes {
        let _ = process.reap();
    }
}

/// What a process of a launch is known by whose number nobody was told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lost {
    /// The inode number of the ready socket's far end, which it holds.
    pub(crate) socket: u64,
    /// bwrap's command line, which it has until it executes another program.
    pub(crate) words: Vec<u8>,
    /// When bwrap was spawned, in clock ticks after boot.
    pub(crate) since: u64,
}

/// Now, in clock ticks after boot, as processes' start is told.
pub(super) fn ticks() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let per_second = clock_ticks_per_second();
    let part = u64::try_from(now.tv_nsec).unwrap_or_default() * per_second / 1_000_000_000;
    u64::try_from(now.tv_sec).unwrap_or_default() * per_second + part
}

/// Kills every process of a launch whose bwrap is gone: what holds the socket, and where descriptors cannot be seen, what bwrap
/// cloned at that time and has lost its parent. Whoever runs our own program is spared: it is us, or a child that another thread
/// is just spawning.
///
/// Returns handles on those that it killed.
pub(super) fn kill_holders(lost: &Lost) -> Vec<Handle> {
    let mut killed = Vec::new();
    let own = fs::read_link("/proc/self/exe").ok();
    let link = format!("socket:[{}]", lost.socket);
    // as this /proc numbers us: it may be that of a PID namespace around ours
    let number = own_number();
    let foreign = number != Some(getpid().as_raw_pid());
    let Ok(processes) = fs::read_dir("/proc") else { return killed };
    let named = |entry: fs::DirEntry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?);
    // to the end before anything else is opened: there may be descriptors left for two, but not for three
    let pids: Vec<Pid> = processes.flatten().filter_map(named).collect();
    for pid in pids.into_iter().filter(|pid| Some(pid.as_raw_pid()) != number) {
        let path = Path::new("/proc").join(pid.as_raw_pid().to_string());
        let holds = || {
            let Ok(descriptors) = fs::read_dir(path.join("fd")) else { return is_cut_off(&path, lost) };
            fs::read_link(path.join("exe")).ok() != own
                && descriptors.flatten().any(|descriptor| {
                    fs::read_link(descriptor.path()).is_ok_and(|to| to.as_os_str() == &*link)
                })
        };
        // the handle first, so that it is the holder that is killed and not a successor of its number; a directory of /proc
        // takes signals, too
        let handle = if foreign { directory(&path).map(Handle::of_directory) } else { Handle::open(pid) };
        if let Ok(handle) = handle
            && holds()
            && handle.signal(Signal::KILL).is_ok()
        {
            killed.push(handle);
        }
    }
    killed
}

fn directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Whether it is what bwrap cloned since then, and bwrap is gone: a parent that waits for it has the same words.
fn is_cut_off(process: &Path, lost: &Lost) -> bool {
    let words = |process: &Path| fs::read(process.join("cmdline")).unwrap_or_default();
    let Ok(stat) = Stat::from_file(process.join("stat")) else { return false };
    let parent = Path::new("/proc").join(stat.ppid.to_string());
    !lost.words.is_empty()
        && stat.starttime >= lost.since
        && words(process) == lost.words
        && words(&parent) != lost.words
}
