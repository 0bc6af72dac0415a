//! Ranges of ids for a sandbox, written from outside while bwrap waits.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::num::NonZeroI32;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, StatVfsMountFlags, fcntl_setfl, getxattr, statvfs};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, geteuid};
use rustix::thread::no_new_privs;

use super::handle::Handle;
use super::processes::is_gone;
use super::wait::Sources;
use crate::bwrap::find_helper;
use crate::bwrap::status::Status;
use crate::sandbox::{IdRange, Identity};
use crate::visible;

/// So much of what somebody writes is read, and no more.
const MOST_BYTES: usize = 64 << 10;

/// So much of what a helper says is shown.
const MOST_SHOWN: usize = 1_000;

/// How often is looked whether there is room for bwrap's report.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a helper that was killed may take to disappear.
const DYING: Duration = Duration::from_millis(200);

/// The id maps of a sandbox on their way into the kernel. Never waits.
#[derive(Debug)]
pub(crate) struct Mapping {
    identity: Identity,
    /// Where the caller wants bwrap's report ([`Sandbox::info_fd`](crate::Sandbox::info_fd)).
    copy: Option<OwnedFd>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// bwrap has not yet said which process it is about.
    Reading { info: OwnedFd, text: Vec<u8> },
    /// Whoever gets bwrap's report, too, has to make room for it.
    Copying { pid: NonZeroI32, copy: File, text: Vec<u8> },
    /// `newuidmap(1)` or `newgidmap(1)` writes a map.
    Helping { pid: NonZeroI32, map: Map, helper: Helper },
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Pending,
    Done,
    /// bwrap ended before it said which process it is about.
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Map {
    Users,
    Groups,
}

impl Map {
    fn file(self, pid: NonZeroI32) -> String {
        match self {
            Self::Users => format!("/proc/{pid}/uid_map"),
            Self::Groups => format!("/proc/{pid}/gid_map"),
        }
    }

    fn helper(self) -> &'static str {
        match self {
            Self::Users => "newuidmap",
            Self::Groups => "newgidmap",
        }
    }

    fn ranges(self, identity: &Identity) -> &[IdRange] {
        match self {
            Self::Users => &identity.uid_map,
            Self::Groups => &identity.gid_map,
        }
    }
}

impl Mapping {
    /// `info` is our end of the pipe that bwrap writes `--info-fd` to.
    pub(crate) fn new(info: OwnedFd, identity: Identity, copy: Option<OwnedFd>) -> io::Result<Self> {
        fcntl_setfl(&info, OFlags::NONBLOCK)?;
        Ok(Self { identity, copy, state: State::Reading { info, text: Vec::new() } })
    }

    /// What it waits for.
    pub(crate) fn wants(&self) -> Sources<'_> {
        let source = match &self.state {
            State::Reading { info, .. } => info.as_fd(),
            State::Copying { .. } => {
                return Sources { descriptors: Vec::new(), until: Some(Instant::now() + PAUSE) };
            }
            State::Helping { helper, .. } => helper.handle.as_fd(),
        };
        Sources { descriptors: vec![(source, PollFlags::IN)], until: None }
    }

    /// Goes on as far as that takes no waiting.
    pub(crate) fn turn(&mut self) -> io::Result<Progress> {
        loop {
            let (pid, map) = match &mut self.state {
                State::Reading { info, text } => {
                    if !read_to_end(info, text)? {
                        return Ok(Progress::Pending);
                    }
                    let Some(pid) = Status::parse(text).child_pid else { return Ok(Progress::Gone) };
                    if let Some(copy) = self.copy.take() {
                        self.state =
                            State::Copying { pid, copy: File::from(copy), text: std::mem::take(text) };
                        continue;
                    }
                    (pid, Map::Users)
                }
                State::Copying { pid, copy, text } => {
                    if !has_room(copy)? {
                        return Ok(Progress::Pending);
                    }
                    copy.write_all(text).map_err(|error| {
                        io::Error::new(error.kind(), format!("write bwrap's report to `info_fd`: {error}"))
                    })?;
                    (*pid, Map::Users)
                }
                State::Helping { pid, map, helper } => {
                    if !helper.handle.has_ended(Duration::ZERO)? {
                        return Ok(Progress::Pending);
                    }
                    helper.judge(*pid, *map, &self.identity)?;
                    match map {
                        Map::Users => (*pid, Map::Groups),
                        Map::Groups => return Ok(Progress::Done),
                    }
                }
            };
            if geteuid().is_root() {
                write_map(pid, Map::Users, &self.identity)?;
                write_map(pid, Map::Groups, &self.identity)?;
                return Ok(Progress::Done);
            }
            let helper = Helper::start(pid, map, map.ranges(&self.identity))?;
            self.state = State::Helping { pid, map, helper };
        }
    }
}

/// Reads what there is. Says whether that is all there will be, or as much as is taken.
fn read_to_end(source: &OwnedFd, text: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    while text.len() < MOST_BYTES {
        match rustix::io::read(source, &mut buffer) {
            Ok(0) => return Ok(true),
            Ok(count) => text.extend(buffer.iter().take(count)),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Whether so little as bwrap reports can be written without waiting, or not at all.
fn has_room(copy: &File) -> io::Result<bool> {
    match poll(&mut [PollFd::new(copy, PollFlags::OUT)], Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The kernel takes a map in one write only.
fn write_map(pid: NonZeroI32, map: Map, identity: &Identity) -> io::Result<()> {
    let path = map.file(pid);
    let text: String = map.ranges(identity).iter().map(IdRange::line).collect();
    fs::write(&path, text).map_err(|error| {
        let advice = match error.kind() {
            ErrorKind::PermissionDenied => {
                "; root needs CAP_SETUID and CAP_SETGID for that, and may give only ids that its own user namespace has (/proc/self/uid_map and gid_map)"
            }
            ErrorKind::InvalidInput => "; ranges must not overlap, and Linux before 4.15 takes five of them",
            _ => "",
        };
        io::Error::new(error.kind(), format!("write {path}: {error}{advice}"))
    })
}

/// A setuid program that maps the ids which `/etc/subuid` and `/etc/subgid` grant.
#[derive(Debug)]
struct Helper {
    program: PathBuf,
    process: process::Child,
    /// Its end counts, not that of its standard error: what it starts may keep that open.
    handle: Handle,
    stderr: OwnedFd,
}

impl Helper {
    fn start(pid: NonZeroI32, map: Map, ranges: &[IdRange]) -> io::Result<Self> {
        let name = map.helper();
        let program = find_helper(name)
            .map_err(|missing| io::Error::other(format!("{missing}; install the package uidmap")))?;
        let numbers = ranges.iter().flat_map(|range| [range.inside, range.outside, range.count]);
        let mut process = Command::new(&program)
            .env_clear()
            .arg(pid.to_string())
            .args(numbers.map(|number| number.to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                io::Error::new(error.kind(), format!("run {}: {error}", visible::path(&program)))
            })?;
        let stderr = process.stderr.take().ok_or(ErrorKind::BrokenPipe)?;
        fcntl_setfl(&stderr, OFlags::NONBLOCK)?;
        let number =
            i32::try_from(process.id()).ok().and_then(Pid::from_raw).ok_or(ErrorKind::InvalidData)?;
        let handle = match Handle::open(number) {
            // somebody else has waited for it
            Err(error) if is_gone(&error) => Handle::gone()?,
            handle => handle?,
        };
        Ok(Self { program, process, handle, stderr: stderr.into() })
    }

    /// Once it has ended: whether the map is there.
    fn judge(&mut self, pid: NonZeroI32, map: Map, identity: &Identity) -> io::Result<()> {
        // where SIGCHLD is ignored there is no status: the map itself tells
        let status = self.process.try_wait().ok().flatten();
        if fs::read_to_string(map.file(pid))?.lines().count() == map.ranges(identity).len() {
            return Ok(());
        }
        let mut said = Vec::new();
        read_to_end(&self.stderr, &mut said)?;
        let said = String::from_utf8_lossy(&said);
        let advice = advice(&said, map, map.ranges(identity), powerless(&self.program));
        let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
        Err(io::Error::other(format!("{} refused: {}{advice}", map.helper(), words(said.trim(), status))))
    }
}

/// What it said on one line, or how it ended if it said nothing.
fn words(said: &str, status: Option<ExitStatus>) -> String {
    let end = said.char_indices().nth(MOST_SHOWN).map_or(said.len(), |(at, _)| at);
    match (said.get(..end).filter(|said| !said.is_empty()), status) {
        (Some(said), _) => visible::line(said).into_owned(),
        (None, Some(status)) => format!("it said nothing ({status})"),
        (None, None) => "it said nothing".to_owned(),
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // it has ended, unless the launch was given up
        let _ = self.handle.signal(Signal::KILL);
        if self.handle.has_ended(DYING).unwrap_or(false) {
            let _ = self.process.try_wait();
        }
    }
}

/// What to change, as far as the words of a helper and why it has no rights tell.
fn advice(said: &str, map: Map, ranges: &[IdRange], powerless: Option<String>) -> Option<String> {
    let (kind, file) = match map {
        Map::Users => ("subuids", "/etc/subuid"),
        Map::Groups => ("subgids", "/etc/subgid"),
    };
    if said.contains("not allowed") {
        // one id may be the caller's own
        let granted = ranges.iter().filter(|range| range.count > 1).map(|range| {
            let last = u64::from(range.outside) + u64::from(range.count) - 1;
            format!(" --add-{kind} {}-{last}", range.outside)
        });
        let granted: String = granted.collect();
        let give = if granted.is_empty() { format!(" --add-{kind} FIRST-LAST") } else { granted };
        return Some(format!(
            "{file} does not grant this user all of these ids: `usermod{give} USER` as root does, or ask for a range that is there"
        ));
    }
    if said.contains("user name") {
        return Some(format!(
            "this user has no name, and {file} grants ids to names: add it to /etc/passwd, or run as one that is there"
        ));
    }
    powerless.filter(|_| said.contains("not permitted") || said.contains("denied"))
}

/// Why a setuid program has no more rights than who runs it.
fn powerless(program: &Path) -> Option<String> {
    let name = program.display();
    let setuid = fs::metadata(program).is_ok_and(|file| file.mode() & 0o4000 != 0 && file.uid() == 0);
    let capable = getxattr(program, "security.capability", &mut [0_u8; 64]).is_ok();
    if !setuid && !capable {
        return Some(format!(
            "{name} has lost its setuid bit: `chown root {name} && chmod u+s {name}` as root"
        ));
    }
    if no_new_privs().unwrap_or(false) {
        return Some(format!(
            "no_new_privs is set here, so {name} gets no rights: systemd `NoNewPrivileges=no`, Kubernetes `allowPrivilegeEscalation: true`"
        ));
    }
    let nosuid = statvfs(program).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::NOSUID));
    nosuid.then(|| format!("{name} is on a mount with nosuid: `findmnt -T {name}`; mount that without"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_change() {
        let ranges = [IdRange::new(0, 1000, 1), IdRange::new(1, 100_000, 65536)];
        let advise = |said: &str, powerless: Option<&str>| {
            advice(said, Map::Users, &ranges, powerless.map(str::to_owned)).unwrap_or_default()
        };
        let range = "newuidmap: uid range [1-65537) -> [100000-165536) not allowed";
        assert!(advise(range, None).contains("`usermod --add-subuids 100000-165535 USER`"));
        assert!(advise("newuidmap: Cannot determine your user name.", None).contains("/etc/passwd"));
        let denied = "newuidmap: write to uid_map failed: Operation not permitted";
        assert_eq!((advise(denied, Some("x")), advise(denied, None)), ("x".into(), String::new()));
    }

    #[test]
    fn a_program_without_the_bit_is_named() {
        let program = tempfile::NamedTempFile::new().unwrap();
        let said = powerless(program.path()).unwrap();
        assert!(said.contains("has lost its setuid bit") && said.contains("chmod u+s"), "{said}");
    }
}
