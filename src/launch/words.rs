//! bwrap's own words: where they go, and how to hear them there.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{OFlags, SeekFrom, fcntl_getfl, fstat, seek};

use super::descriptors::read_from;
use super::ear::Listener;
use super::handshake::Outcome;
use super::order::Recipe;
use super::stdio::StdioKind;
use crate::bwrap::arguments::{Arguments, Word};
use crate::bwrap::message::is_signed;
use crate::bwrap::{Message, Severity, Stage};

/// Where bwrap's words go, as far as they can be had.
#[derive(Debug)]
pub(crate) enum Words {
    Pipe(Listener),
    /// A regular file: they start at this offset. Others may write to it, too: nobody can tell.
    File {
        file: OwnedFd,
        offset: u64,
    },
    Elsewhere,
}

/// How much of a file is read for bwrap's words.
const WORDS_BYTES: usize = 64 << 10;

impl Words {
    /// Of what bwrap's standard error is connected to: its kind, the caller's own stream for it, and who listens if it is a pipe.
    pub(crate) fn of(kind: &StdioKind, own: BorrowedFd<'_>, listener: Option<Listener>) -> Self {
        let file = match (kind, listener) {
            (_, Some(listener)) => return Self::Pipe(listener),
            (StdioKind::Inherit, _) => own,
            (StdioKind::Own(stream), _) => stream.as_fd(),
            (StdioKind::Descriptor(descriptor), _) => descriptor.as_fd(),
            (StdioKind::Null | StdioKind::Piped | StdioKind::Merged, _) => return Self::Elsewhere,
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

    /// Whether bwrap surely wrote nothing: what it says when it cannot execute the command, it says on standard error.
    pub(super) fn are_missing(&self) -> bool {
        match self {
            Self::Pipe(listener) => {
                listener.knows_all()
                    && listener.words().is_ok_and(|words| !words.split(|byte| *byte == b'\n').any(is_signed))
            }
            Self::File { .. } | Self::Elsewhere => false,
        }
    }

    /// What has been written there: by bwrap, perhaps by the command after it, and into a file by anybody.
    pub(super) fn heard(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Pipe(listener) => listener.words(),
            // the descriptor may be open for writing only
            Self::File { file, offset } => {
                let file = File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
                Ok(read_from(&file, *offset, WORDS_BYTES)?)
            }
            Self::Elsewhere => Ok(Vec::new()),
        }
    }
}

/// The lines of a file that may be this launch's: bwrap's, fit for how it ended, about nothing that it does not have.
pub(super) fn plausible(text: &[u8], outcome: Outcome, recipe: &Recipe) -> Vec<u8> {
    let arguments = Arguments::shown(&recipe.sandbox, None, None);
    let words = || {
        arguments.words.iter().filter_map(|word| match word {
            Word::Text(text) => Some(text.as_os_str()),
            Word::Secret(_) | Word::Shell(_) => None,
        })
    };
    let fits = |line: &[u8]| {
        let message = Message::parse(line);
        let in_time = match (outcome, message.stage()) {
            // two launches that write at once make lines that nobody knows
            _ if message.pattern().is_none() => false,
            (_, Stage::Exec) if message.subject() != Some(recipe.program.as_os_str()) => false,
            (Outcome::NotExecuted { .. }, stage) => stage == Stage::Exec,
            (Outcome::Refused { .. } | Outcome::SetupFailed { .. }, stage) => {
                !(Stage::Environment..=Stage::Exec).contains(&stage)
            }
            (Outcome::Ended(_) | Outcome::Undecided(_), _) => true,
        };
        let mut paths = [message.path(), message.source()].into_iter().flatten().peekable();
        let known = match (paths.peek(), message.operation()) {
            (None, Some("--unshare-net")) => {
                words().any(|word| word == "--unshare-net" || word == "--unshare-all")
            }
            // so it says of --json-status-fd, too, which every launch has
            (None, Some("--info-fd")) => true,
            (None, Some(option)) => words().any(|word| word == option),
            _ => paths.all(|path| words().any(|word| Path::new(word) == path)),
        };
        in_time && known
    };
    text.split_inclusive(|byte| *byte == b'\n')
        .filter(|line| is_signed(line) && fits(line))
        .flatten()
        .copied()
        .collect()
}

/// bwrap's warnings at the beginning of what was written to standard error.
pub(super) fn warnings(stderr: &[u8]) -> Vec<Message> {
    let lines = stderr.split(|byte| *byte == b'\n').take_while(|line| is_signed(line));
    lines.map(Message::parse).take_while(|message| message.severity() == Severity::Warning).collect()
}
