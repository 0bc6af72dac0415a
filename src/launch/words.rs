//! bwrap's own words: where they go, and how to hear them there.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{OFlags, SeekFrom, fcntl_getfl, fstat, seek};

use super::descriptors::read_from;
use super::stdio::{ChildStderr, Listener, StdioKind};
use crate::bwrap::message::is_signed;
use crate::bwrap::{Message, Severity};

/// Where bwrap's words go, as far as they can be had.
#[derive(Debug)]
pub(crate) enum Words {
    Pipe(Listener),
    /// A regular file: they start at this offset.
    File {
        file: OwnedFd,
        offset: u64,
    },
    Elsewhere,
}

/// How much of a file is read for bwrap's words.
const WORDS_BYTES: usize = 64 << 10;

impl Words {
    pub(crate) fn of(kind: &StdioKind, pipe: Option<&ChildStderr>) -> Self {
        let file = match (kind, pipe) {
            (_, Some(pipe)) => return Self::Pipe(pipe.listener()),
            (StdioKind::Inherit, _) => rustix::stdio::stderr(),
            (StdioKind::Descriptor(descriptor), _) => descriptor.as_fd(),
            (StdioKind::Null | StdioKind::Piped, _) => return Self::Elsewhere,
        };
        let regular = |stat: &rustix::fs::Stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file();
        let Some(stat) = fstat(file).ok().filter(regular) else { return Self::Elsewhere };
        let appends = fcntl_getfl(file).is_ok_and(|flags| flags.contains(OFlags::APPEND));
        let offset =
            if appends { u64::try_from(stat.st_size).ok() } else { seek(file, SeekFrom::Current(0)).ok() };
        match (offset, file.try_clone_to_owned()) {
            (Some(offset), Ok(file)) => Self::File { file, offset },
            _ => Self::Elsewhere,
        }
    }

    /// What bwrap has said, and perhaps the command after it.
    pub(super) fn heard(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Pipe(listener) => listener.words(),
            // the descriptor may be open for writing only
            Self::File { file, offset } => {
                let file = File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
                Ok(own_lines(&read_from(&file, *offset, WORDS_BYTES)?))
            }
            Self::Elsewhere => Ok(Vec::new()),
        }
    }
}

/// The lines that bwrap wrote into a file in which others may write too.
fn own_lines(text: &[u8]) -> Vec<u8> {
    text.split_inclusive(|byte| *byte == b'\n').filter(|line| is_signed(line)).flatten().copied().collect()
}

/// bwrap's warnings at the beginning of what was written to standard error.
pub(super) fn warnings(stderr: &[u8]) -> Vec<Message> {
    let lines = stderr.split(|byte| *byte == b'\n').take_while(|line| is_signed(line));
    lines.map(Message::parse).take_while(|message| message.severity() == Severity::Warning).collect()
}
