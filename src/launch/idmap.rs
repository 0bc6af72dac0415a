//! Ranges of ids for a sandbox, written from outside while bwrap waits.

use std::fs::{self, File};
use std::io::{self, Read};
use std::num::NonZeroI32;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use crate::bwrap::find_helper;
use crate::bwrap::status::Status;
use crate::sandbox::{IdRange, Identity};

/// Reads what bwrap reports on `--info-fd`, to its end.
pub(crate) fn read_info(info: OwnedFd) -> io::Result<(NonZeroI32, Vec<u8>)> {
    let mut text = Vec::new();
    File::from(info).read_to_end(&mut text)?;
    let pid = Status::parse(&text).child_pid.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((pid, text))
}

/// Writes both maps of the process that bwrap has cloned.
pub(crate) fn write_maps(pid: NonZeroI32, identity: &Identity) -> io::Result<()> {
    write_map(pid, "uid_map", "newuidmap", &identity.uid_map)?;
    write_map(pid, "gid_map", "newgidmap", &identity.gid_map)
}

fn write_map(pid: NonZeroI32, file: &str, helper: &str, ranges: &[IdRange]) -> io::Result<()> {
    let path = format!("/proc/{pid}/{file}");
    if geteuid().is_root() {
        // the kernel takes a map in one write only
        let map: String = ranges.iter().map(IdRange::line).collect();
        return fs::write(&path, map)
            .map_err(|error| io::Error::new(error.kind(), format!("write {path}: {error}")));
    }
    let numbers = ranges.iter().flat_map(|range| [range.inside, range.outside, range.count]);
    let missing = || io::Error::other(format!("{helper} is not on the PATH; install the package uidmap"));
    let program = find_helper(helper).ok_or_else(missing)?;
    let mut child = Command::new(program)
        .env_clear()
        .arg(pid.to_string())
        .args(numbers.map(|number| number.to_string()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("run {helper}: {error}")))?;
    let mut said = Vec::new();
    let read = child.stderr.take().map(|stderr| stderr.take(4096).read_to_end(&mut said));
    // where SIGCHLD is ignored there is no status: the map itself tells
    let _ = child.wait();
    read.transpose()?;
    if fs::read_to_string(&path)?.lines().count() == ranges.len() {
        return Ok(());
    }
    Err(io::Error::other(format!("{helper} refused: {}", String::from_utf8_lossy(&said).trim())))
}
