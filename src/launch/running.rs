//! A launched bwrap and how it is brought to its end: judged, reaped, and with nothing left of it.

use std::fs;
use std::io;
use std::num::NonZeroI32;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, geteuid, getpid, pidfd_send_signal, waitid};

use super::descriptors::{contents, event, process, send_all};
use super::handshake::{End, Handshake, Phase, Ready, Verdict};
use super::keeper::Lease;
use super::spawn;
use crate::bwrap::status::Status;

/// How long a killed process may take to disappear before we go on without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long bwrap gets to report its child before it is killed. It takes about a millisecond; one that hangs never does.
const GRACE: Duration = Duration::from_millis(500);

/// How long to wait for an event that may never come, before looking for its effect.
const NOW_AND_THEN: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// A launched bwrap.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) pid: Pid,
    /// bwrap itself, the monitor.
    process: OwnedFd,
    /// The process that it cloned: process 1 inside, or the command itself.
    child: Option<OwnedFd>,
    status: OwnedFd,
    ready: OwnedFd,
    /// The inode number of bwrap's end of the ready socket, to find whoever still holds it.
    far_end: u64,
    announced: bool,
    handshake: Handshake,
    cloned: Cloned,
    /// We killed it.
    killed: bool,
    _lease: Option<Lease>,
}

/// What the process is that bwrap clones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cloned {
    /// Process 1 of a PID namespace, which ends with it.
    Init,
    /// The command's parent, whose death ends nothing.
    Parent,
    /// The command.
    Command,
}

/// What a launch made for itself before it spawned bwrap.
#[derive(Debug)]
pub(crate) struct Witnesses {
    pub(crate) status: OwnedFd,
    pub(crate) ready: OwnedFd,
    pub(crate) far_end: u64,
    /// The byte that bwrap reads when everything is set up has been sent.
    pub(crate) announced: bool,
}

impl AsFd for Running {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }
}

impl Running {
    /// Takes charge of a bwrap that was just spawned.
    pub(crate) fn new(
        pid: Pid,
        witnesses: Witnesses,
        handshake: Handshake,
        cloned: Cloned,
        lease: Option<Lease>,
    ) -> io::Result<Self> {
        let process = match process(pid) {
            Ok(process) => process,
            // it has ended, and somebody else has taken its status: what is always readable stands for it
            Err(error) if is_gone(&error) => event(1)?,
            Err(error) => {
                // nobody has waited for it yet, so the number is still its own
                let _ = rustix::process::kill_process(pid, Signal::KILL);
                let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
                for holder in kill_holders(witnesses.far_end) {
                    reap_orphan(&holder);
                }
                return Err(error);
            }
        };
        let Witnesses { status, ready, far_end, announced } = witnesses;
        Ok(Self {
            pid,
            process,
            child: None,
            status,
            ready,
            far_end,
            announced,
            handshake,
            cloned,
            killed: false,
            _lease: lease,
        })
    }

    /// Reads what bwrap has reported, and gets hold of the process that it reported.
    pub(crate) fn listen(&mut self) -> Status {
        self.hear();
        // without a handle there is still the number
        let _ = self.hold();
        *self.handshake.status()
    }

    /// Reads what bwrap has reported, and whether it has read.
    fn hear(&mut self) {
        if let Ok(bytes) = contents(&self.status) {
            self.handshake.on_status(Status::parse(&bytes));
        }
        if self.handshake.ready() == Ready::Open {
            self.handshake.on_ready(self.look());
        }
    }

    /// Gets hold of the process that bwrap has reported, unless the number is another's by now.
    ///
    /// Fails if no handle can be had, for lack of descriptors.
    fn hold(&mut self) -> io::Result<()> {
        let status = self.handshake.status();
        if self.child.is_none()
            && let Some(pid) = status.child_pid
        {
            self.child = self.open_child(pid, status.namespaces.mnt)?;
        }
        Ok(())
    }

    /// A handle on the reported process, if the number is still its own: it is in the mount namespace that bwrap
    /// reported, it is our bwrap's to wait for, or it is dying and became our child, to be reaped.
    fn open_child(&self, pid: NonZeroI32, mount_namespace: Option<u64>) -> io::Result<Option<OwnedFd>> {
        let Some(number) = Pid::from_raw(pid.get()) else { return Ok(None) };
        let handle = match process(number) {
            Ok(handle) => handle,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let namespace = fs::metadata(format!("/proc/{pid}/ns/mnt")).ok().map(|meta| meta.ino());
        let own = namespace.is_some() && namespace == mount_namespace
            // where /proc tells nothing, that bwrap has not waited for it must do
            || self.is_unreaped() && parent_of(pid).is_none_or(|parent| parent == self.pid.as_raw_pid())
            || adopts_orphans() && is_orphan_of_ours(pid);
        Ok(own.then_some(handle))
    }

    /// Whether the number that bwrap reported is its child's: nobody else gets it before bwrap has waited for that
    /// child, and then bwrap reports and ends at once.
    fn is_unreaped(&self) -> bool {
        self.handshake.status().exit_code.is_none()
            && self.handshake.phase() != Phase::Ended
            && self.has_ended().is_ok_and(|ended| !ended)
    }

    pub(crate) fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// Waits until everything is set up or bwrap has ended, whichever comes first, or the deadline has passed.
    pub(crate) fn wait_ready(&mut self, deadline: Option<Instant>) -> io::Result<Phase> {
        loop {
            let phase = self.handshake.phase();
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if phase >= Phase::Ready || left.is_some_and(|left| left.is_zero()) {
                return Ok(phase);
            }
            let soon = left.and_then(|left| Timespec::try_from(left).ok());
            let timeout = soon.filter(|soon| *soon < NOW_AND_THEN).unwrap_or(NOW_AND_THEN);
            let mut sources = [
                PollFd::new(&self.process, PollFlags::IN),
                // without events to wait for, its end is still reported
                PollFd::new(&self.ready, PollFlags::empty()),
            ];
            // now and then the socket itself is asked, whose other end may be kept open elsewhere
            match poll(&mut sources, Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let ended = sources.first().is_some_and(|source| !source.revents().is_empty());
            self.listen();
            if ended {
                return Ok(Phase::Ended);
            }
            // closed without being read: bwrap is about to end, or a wrapper in its place has closed what it does not know
            if self.handshake.ready() == Ready::Unread {
                let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                let ended = wait_for(&self.process, left)?;
                return Ok(if ended { Phase::Ended } else { self.handshake.phase() });
            }
        }
    }

    /// Waits for bwrap's end.
    pub(crate) fn wait_end(&mut self) -> io::Result<Verdict> {
        // process 1 inside may be ours to reap; a command without one may be unreadable for us later
        if adopts_orphans() || self.cloned != Cloned::Init && !geteuid().is_root() {
            self.wait_ready(None)?;
        }
        wait_for(&self.process, None)?;
        Ok(self.finish())
    }

    /// Waits for bwrap's end, not beyond a deadline. Says whether it has ended.
    pub(crate) fn wait_end_until(&self, deadline: Instant) -> io::Result<bool> {
        wait_for(&self.process, Some(deadline.saturating_duration_since(Instant::now())))
    }

    /// Sends bytes to the ready socket.
    pub(crate) fn announce(&mut self, bytes: &[u8]) -> io::Result<()> {
        send_all(&self.ready, bytes)?;
        self.announced = true;
        Ok(())
    }

    /// How the ready socket stands. A reset is reported once only.
    fn look(&self) -> Ready {
        match recv(&self.ready, &mut [0_u8; 1], RecvFlags::DONTWAIT) {
            // an end without anything to read before
            Ok(_) if !self.announced => Ready::Unread,
            Ok(_) => Ready::Read,
            // whoever else may have a copy of the other end
            Err(Errno::AGAIN) if self.announced && spawn::unread(&self.ready) == Some(0) => Ready::Read,
            Err(Errno::AGAIN | Errno::INTR) => Ready::Open,
            Err(_) => Ready::Unread,
        }
    }

    /// Whether bwrap has ended.
    pub(crate) fn has_ended(&self) -> io::Result<bool> {
        wait_for(&self.process, Some(Duration::ZERO))
    }

    /// Once bwrap has ended: judges, and leaves nothing of the sandbox behind.
    pub(crate) fn finish(&mut self) -> Verdict {
        self.handshake.on_end(reap(&self.process));
        self.hear();
        let init = self.cloned == Cloned::Init;
        if self.handshake.ready() == Ready::Open || init || !self.is_over() || adopts_orphans() {
            // what cannot be had now cannot be had at all: bwrap is no longer there to vouch for the number
            let _ = self.hold().and_then(|()| self.kill_child());
        }
        if self.handshake.ready() == Ready::Open {
            self.free_stuck();
        }
        self.see_child_off();
        // the end is known, so there is a verdict
        self.handshake.verdict().unwrap_or(Verdict::Refused { signal: None })
    }

    /// Once bwrap has ended: whether nothing holds [`finish`](Self::finish) up.
    pub(crate) fn is_quick(&mut self) -> bool {
        self.hear();
        self.handshake.status().exit_code.is_some() && !self.killed && !adopts_orphans()
    }

    /// Whether the command is known to have ended, or never to have begun.
    fn is_over(&self) -> bool {
        matches!(self.handshake.verdict(), Some(Verdict::Ended(_) | Verdict::NotExecuted { .. }))
    }

    /// Kills what bwrap cloned, and the command with it.
    ///
    /// Fails, and leaves everything as it is, if that would miss the command.
    fn kill_child(&self) -> io::Result<()> {
        let Some(child) = &self.child else { return Ok(()) };
        let mut command = Vec::new();
        if self.cloned != Cloned::Init {
            // stopped, it makes no more of them
            let _ = pidfd_send_signal(child, Signal::STOP);
            let pid = self.handshake.status().child_pid.map_or(0, NonZeroI32::get);
            let (children, complete) = children_of(pid, child);
            if self.cloned == Cloned::Parent && complete.is_err() {
                let _ = pidfd_send_signal(child, Signal::CONT);
                return complete;
            }
            command = children;
        }
        // they may be gone already
        let _ = pidfd_send_signal(child, Signal::KILL);
        for (_, process) in command {
            let _ = pidfd_send_signal(&process, Signal::KILL);
        }
        Ok(())
    }

    /// Handles on all that descends from bwrap. Everything is stopped on the way, so that nothing is missed; it is all to
    /// be killed. A wrapper in bwrap's place may have started more than was reported.
    fn stop_descendants(&self) -> Vec<OwnedFd> {
        let _ = pidfd_send_signal(&self.process, Signal::STOP);
        let mut found = children_of(self.pid.as_raw_pid(), &self.process).0;
        let mut next = 0;
        while let Some((pid, handle)) = found.get(next) {
            let _ = pidfd_send_signal(handle, Signal::STOP);
            let (children, _) = children_of(*pid, handle);
            found.extend(children);
            next += 1;
        }
        found.into_iter().map(|(_, handle)| handle).collect()
    }

    /// A bwrap that ended early may leave its child behind, waiting for ever and holding every descriptor. Whoever
    /// still has the ready socket is it, whether bwrap reported it or not.
    fn free_stuck(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        // most often it is just about to end by itself
        let mut pause = Duration::from_millis(2);
        while Instant::now() < deadline {
            let _ = poll_one(&self.ready, PollFlags::empty(), Some(pause));
            self.handshake.on_ready(self.look());
            if self.handshake.ready() != Ready::Open {
                return;
            }
            for holder in kill_holders(self.far_end) {
                reap_orphan(&holder);
            }
            pause = Duration::from_millis(20);
        }
    }

    /// Waits for the end of what was killed, and reaps it where orphans become our children. A command that ended by
    /// itself takes its process 1 with it; nobody needs to wait for that.
    fn see_child_off(&self) {
        let Some(child) = &self.child else { return };
        let ended = matches!(self.handshake.verdict(), Some(Verdict::Ended(_)));
        if !ended || self.killed || adopts_orphans() {
            reap_orphan(child);
        }
    }

    /// Kills the sandbox. Its end is then to be waited for.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.await_child();
        let inside = self.kill_inside()?;
        self.killed = true;
        if inside {
            // bwrap still reports how the command ended
            return Ok(());
        }
        match pidfd_send_signal(&self.process, Signal::KILL) {
            // it has ended, or is ending
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets bwrap come to where it reports its child: killed before that, it leaves one behind that only a search of all
    /// processes finds.
    fn await_child(&mut self) {
        let deadline = Instant::now() + GRACE;
        let mut pause = Duration::from_micros(250);
        loop {
            self.hear();
            let known = self.handshake.status().child_pid.is_some();
            if known || Instant::now() >= deadline || wait_for(&self.process, Some(pause)).unwrap_or(true) {
                return;
            }
            pause = pause.saturating_mul(2).min(Duration::from_millis(20));
        }
    }

    /// Kills what bwrap cloned, and the command with it. Says whether there was anything to kill.
    fn kill_inside(&mut self) -> io::Result<bool> {
        let Err(error) = self.hold() else {
            return self.kill_child().map(|()| self.child.is_some());
        };
        // no descriptor is left for a handle
        let pid = self.handshake.status().child_pid.and_then(|pid| Pid::from_raw(pid.get()));
        let Some(pid) = pid.filter(|_| self.is_unreaped()) else { return Ok(false) };
        if self.cloned == Cloned::Parent {
            return Err(error);
        }
        let _ = rustix::process::kill_process(pid, Signal::KILL);
        Ok(true)
    }

    /// Kills bwrap and all, waits, and leaves nothing.
    pub(crate) fn destroy(&mut self) {
        self.listen();
        // what cannot be looked for must be reported; a bwrap that hangs is not waited for
        if self.child.is_none() && children_of(self.pid.as_raw_pid(), &self.process).1.is_err() {
            self.await_child();
        }
        self.killed = true;
        let descendants = self.stop_descendants();
        let _ = self.kill_inside();
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
        for process in &descendants {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        if wait_for(&self.process, Some(PATIENCE)).unwrap_or(false) {
            self.finish();
        }
        descendants.iter().for_each(reap_orphan);
    }
}

/// The status of a bwrap that has ended.
fn reap(process: &OwnedFd) -> End {
    loop {
        return match waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => End::Exited(code),
                (_, Some(signal)) => End::Signaled(signal),
                _ => End::Unknown,
            },
            Err(Errno::INTR) => continue,
            // ECHILD: the kernel or somebody else took it
            Ok(None) | Err(_) => End::Unknown,
        };
    }
}

/// Whether processes that lose their parent inside a sandbox become our children.
fn adopts_orphans() -> bool {
    getpid().as_raw_pid() == 1 || rustix::process::child_subreaper().is_ok_and(|reaper| reaper.is_some())
}

/// The children of a process, each with a handle on it, and what kept others from being found. None if the process has
/// ended: its number may be another's.
fn children_of(pid: i32, handle: &OwnedFd) -> (Vec<(i32, OwnedFd)>, io::Result<()>) {
    let list = || -> io::Result<Vec<i32>> {
        let mut children = Vec::new();
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            match fs::read_to_string(thread?.path().join("children")) {
                Ok(text) => children.extend(numbers(&text)),
                // it has ended meanwhile
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(children)
    };
    let open = |pid: i32| -> io::Result<Option<OwnedFd>> {
        let Some(number) = Pid::from_raw(pid) else { return Ok(None) };
        let handle = process(number)?;
        // still there after the handle was opened: the number was not taken over meanwhile
        Ok(list()?.contains(&pid).then_some(handle))
    };
    let (mut children, mut complete) = (Vec::new(), Ok(()));
    for pid in list().unwrap_or_else(|error| {
        complete = Err(error);
        Vec::new()
    }) {
        match open(pid) {
            Ok(handle) => children.extend(handle.map(|handle| (pid, handle))),
            Err(error) if is_gone(&error) => {}
            Err(error) => complete = Err(error),
        }
    }
    match wait_for(handle, Some(Duration::ZERO)) {
        Ok(false) => (children, complete),
        Ok(true) => (Vec::new(), Ok(())),
        Err(error) => (Vec::new(), Err(error)),
    }
}

/// Whether a process or thread could not be looked at because it is no longer there.
fn is_gone(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::SRCH))
}

fn numbers(text: &str) -> Vec<i32> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// The parent of a process, from the file that everybody may read.
fn parent_of(pid: NonZeroI32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // the name before may hold anything
    stat.get(stat.rfind(')')? + 1..)?.split_whitespace().nth(1)?.parse().ok()
}

/// Whether a process is our child although it lives in a PID namespace below ours, as no bwrap that we spawned does.
fn is_orphan_of_ours(pid: NonZeroI32) -> bool {
    let facts = |pid: &str| fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |text: &str, name: &str| -> Vec<String> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect()
    };
    let (its, ours) = (facts(&pid.to_string()), facts("self"));
    field(&its, "PPid:") == [std::process::id().to_string()]
        && field(&its, "NSpid:").len() > field(&ours, "NSpid:").len()
}

/// Waits for the end of a process that was killed, and reaps it if it became our child.
fn reap_orphan(process: &OwnedFd) {
    if wait_for(process, Some(PATIENCE)).unwrap_or(false) && adopts_orphans() {
        // ECHILD: it was not ours after all
        let _ = waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
}

/// Waits for a process to end. Says whether it has.
fn wait_for(process: &OwnedFd, timeout: Option<Duration>) -> io::Result<bool> {
    poll_one(process, PollFlags::IN, timeout)
}

fn poll_one(descriptor: &OwnedFd, events: PollFlags, timeout: Option<Duration>) -> io::Result<bool> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(descriptor, events)], left.as_ref()) {
            Ok(count) => return Ok(count > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Kills every process that has the socket of this inode number open. Whoever runs our own program is spared: it is
/// us, or a child that another thread is just spawning.
///
/// Returns handles on those that it killed.
fn kill_holders(inode: u64) -> Vec<OwnedFd> {
    let mut killed = Vec::new();
    let own = fs::read_link("/proc/self/exe").ok();
    let link = format!("socket:[{inode}]");
    let Ok(processes) = fs::read_dir("/proc") else { return killed };
    for entry in processes.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Some(pid) = Pid::from_raw(pid).filter(|pid| *pid != getpid()) else { continue };
        let holds = || {
            if fs::read_link(entry.path().join("exe")).ok() == own {
                return false;
            }
            let Ok(descriptors) = fs::read_dir(entry.path().join("fd")) else { return false };
            descriptors
                .flatten()
                .any(|descriptor| fs::read_link(descriptor.path()).is_ok_and(|to| to.as_os_str() == &*link))
        };
        // the handle first, so that it is the holder that is killed and not a successor of its number
        if let Ok(handle) = process(pid)
            && holds()
            && pidfd_send_signal(&handle, Signal::KILL).is_ok()
        {
            killed.push(handle);
        }
    }
    killed
}
