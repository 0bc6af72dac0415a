//! Files in memory, through which bwrap is given things and reports.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

use super::descriptors::above_streams;
use super::spawn;
use crate::bwrap::is_denial;

/// A file in memory that nobody can change any more, to be read from its beginning.
pub(super) fn sealed(bytes: &[u8]) -> io::Result<OwnedFd> {
    // beyond the limit the kernel would kill us (SIGXFSZ) instead of saying no
    if let Some(limit) = spawn::file_size_limit()
        && u64::try_from(bytes.len()).map_or(true, |len| len > limit)
    {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!(
                "{} bytes are more than the file size limit (RLIMIT_FSIZE) of {limit} allows",
                bytes.len()
            ),
        ));
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = memfd_create("bwrap-launch", flags).map_err(needed("memfd_create(2)"))?;
    let file = above_streams(file)?;
    write_all(&file, bytes)?;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    fcntl_add_seals(&file, seals).map_err(needed("fcntl(2) with F_ADD_SEALS"))?;
    Ok(file)
}

/// An empty file in memory for bwrap to write to. Unlike a pipe it needs no reader: a caller that goes away early
/// does not end bwrap by SIGPIPE and strand what it started.
pub(super) fn written() -> io::Result<OwnedFd> {
    let file = memfd_create("bwrap-status", MemfdFlags::CLOEXEC).map_err(needed("memfd_create(2)"))?;
    above_streams(file)
}

fn write_all(file: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        // pwrite leaves the offset at the beginning, where bwrap starts to read
        match rustix::io::pwrite(file, rest, u64::try_from(written).unwrap_or(u64::MAX)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What is said of a call without which there are no files in memory.
fn needed(call: &str) -> impl Fn(Errno) -> io::Error {
    move |error| {
        let cause = io::Error::from(error);
        if !is_denial(error) {
            return cause;
        }
        let what = format!(
            "{call} was denied ({cause}): what bwrap is given and what it reports goes through files in memory. Mostly that is a system \
             call filter: have it permit the call"
        );
        io::Error::new(cause.kind(), what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_file_is_read_from_its_beginning_and_never_changes() {
        let file = sealed(b"hello").unwrap();
        let mut buffer = [0_u8; 16];
        assert_eq!(rustix::io::read(&file, &mut buffer).unwrap(), 5);
        assert_eq!(rustix::io::pwrite(&file, b"x", 0), Err(Errno::PERM));
        assert_eq!(rustix::fs::ftruncate(&file, 0), Err(Errno::PERM));
    }
}
