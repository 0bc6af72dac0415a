//! What `/proc` says of one process.

use std::fs::{self, File};
use std::io;

use procfs_core::FromRead;
use procfs_core::process::Stat;
use rustix::process::getpid;

/// The beginning of a file in `/proc` by one call, which is all of a short one. Nobody looks at its size and end, for which the usual
/// ways to read a file take as long as for the rest.
pub(super) fn read_once<'a>(path: &str, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let file = File::open(path)?;
    let count = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut *buffer))?;
    Ok(buffer.get(..count).unwrap_or_default())
}

/// What `/proc/PID/stat` in this directory says.
pub(super) fn stat_in(directory: &str) -> io::Result<Stat> {
    // some fifty numbers and a name
    let mut buffer = [0; 2048];
    Stat::from_read(read_once(&format!("{directory}/stat"), &mut buffer)?).map_err(io::Error::other)
}

/// Our own number as this `/proc` has it, which may be that of a PID namespace around ours.
pub(super) fn own_number() -> Option<i32> {
    fs::read_link("/proc/self").ok()?.to_str()?.parse().ok()
}

/// Whether this `/proc` numbers processes as we do.
pub(super) fn is_own() -> bool {
    own_number() == Some(getpid().as_raw_pid())
}

/// Fails where `/proc` numbers processes otherwise: what it says of a number is about somebody else.
pub(super) fn own_proc() -> io::Result<()> {
    let why = "/proc is not that of this PID namespace; mount one here (`unshare --mount-proc`, bwrap's --proc /proc)";
    if is_own() { Ok(()) } else { Err(io::Error::new(io::ErrorKind::Unsupported, why)) }
}
