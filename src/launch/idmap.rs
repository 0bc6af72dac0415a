//! Ranges of ids for a sandbox, written from outside while bwrap waits.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::num::NonZeroI32;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{self, Command, Stdio};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::geteuid;

use crate::bwrap::find_helper;
use crate::bwrap::status::Status;
use crate::sandbox::{IdRange, Identity};

/// The id maps of a sandbox on their way into the kernel. Never waits; what it waits for is its [`AsFd`].
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

impl AsFd for Mapping {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.state {
            State::Reading { info, .. } => info.as_fd(),
            State::Helping { helper, .. } => helper.stderr.as_fd(),
        }
    }
}

impl Mapping {
    /// `info` is our end of the pipe that bwrap writes `--info-fd` to.
    pub(crate) fn new(info: OwnedFd, identity: Identity, copy: Option<OwnedFd>) -> io::Result<Self> {
        fcntl_setfl(&info, OFlags::NONBLOCK)?;
        Ok(Self { identity, copy, state: State::Reading { info, text: Vec::new() } })
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
                        File::from(copy).write_all(text)?;
                    }
                    (pid, Map::Users)
                }
                State::Helping { pid, map, helper } => {
                    if !read_to_end(&helper.stderr, &mut helper.said)? {
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

/// Reads what there is. Says whether that is all there will be.
fn read_to_end(source: &OwnedFd, text: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::read(source, &mut buffer) {
            Ok(0) => return Ok(true),
            Ok(count) => text.extend(buffer.iter().take(count)),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The kernel takes a map in one write only.
fn write_map(pid: NonZeroI32, map: Map, identity: &Identity) -> io::Result<()> {
    let path = map.file(pid);
    let text: String = map.ranges(identity).iter().map(IdRange::line).collect();
    fs::write(&path, text).map_err(|error| io::Error::new(error.kind(), format!("write {path}: {error}")))
}

/// A setuid program that maps the ids which `/etc/subuid` and `/etc/subgid` grant.
#[derive(Debug)]
struct Helper {
    process: process::Child,
    stderr: OwnedFd,
    said: Vec<u8>,
}

impl Helper {
    fn start(pid: NonZeroI32, map: Map, ranges: &[IdRange]) -> io::Result<Self> {
        let name = map.helper();
        let missing = || io::Error::other(format!("{name} is not on the PATH; install the package uidmap"));
        let program = find_helper(name).ok_or_else(missing)?;
        let numbers = ranges.iter().flat_map(|range| [range.inside, range.outside, range.count]);
        let mut process = Command::new(program)
            .env_clear()
            .arg(pid.to_string())
            .args(numbers.map(|number| number.to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("run {name}: {error}")))?;
        let stderr = process.stderr.take().ok_or(ErrorKind::BrokenPipe)?;
        let helper = Self { process, stderr: stderr.into(), said: Vec::new() };
        fcntl_setfl(&helper.stderr, OFlags::NONBLOCK)?;
        Ok(helper)
    }

    /// Once it has closed its standard error: whether the map is there.
    fn judge(&mut self, pid: NonZeroI32, map: Map, identity: &Identity) -> io::Result<()> {
        // where SIGCHLD is ignored there is no status: the map itself tells
        let _ = self.process.wait();
        if fs::read_to_string(map.file(pid))?.lines().count() == map.ranges(identity).len() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&self.said);
        Err(io::Error::other(format!("{} refused: {}", map.helper(), said.trim())))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // it has ended, unless the launch was given up
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
