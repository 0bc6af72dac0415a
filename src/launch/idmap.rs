//! Ranges of ids for a sandbox, written from outside while bwrap waits.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::num::NonZeroI32;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};

use rustix::fs::{OFlags, StatVfsMountFlags, fcntl_setfl, getxattr, statvfs};
use rustix::process::geteuid;
use rustix::thread::no_new_privs;

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
    stderr: OwnedFd,
    said: Vec<u8>,
}

impl Helper {
    fn start(pid: NonZeroI32, map: Map, ranges: &[IdRange]) -> io::Result<Self> {
        let name = map.helper();
        let missing = || io::Error::other(format!("{name} is not on the PATH; install the package uidmap"));
        let program = find_helper(name).ok_or_else(missing)?;
        let numbers = ranges.iter().flat_map(|range| [range.inside, range.outside, range.count]);
        let mut process = Command::new(&program)
            .env_clear()
            .arg(pid.to_string())
            .args(numbers.map(|number| number.to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("run {name}: {error}")))?;
        let stderr = process.stderr.take().ok_or(ErrorKind::BrokenPipe)?;
        let helper = Self { program, process, stderr: stderr.into(), said: Vec::new() };
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
        let advice = advice(&said, map, map.ranges(identity), powerless(&self.program));
        let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
        Err(io::Error::other(format!("{} refused: {}{advice}", map.helper(), said.trim())))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // it has ended, unless the launch was given up
        let _ = self.process.kill();
        let _ = self.process.wait();
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
