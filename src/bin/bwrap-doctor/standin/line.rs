//! What the stand-in must know of a bwrap line before bwrap reads it: which descriptors it names, and whether its caller asks for
//! the reports that tell how far bwrap came.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use bwrap_launch::Bwrap;
use rustix::fs::{MemfdFlags, OFlags, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::pipe::PipeFlags;
use rustix::process::{Resource, getrlimit};

pub(super) const STATUS: &str = "--json-status-fd";
pub(super) const BLOCK: &str = "--block-fd";
pub(super) const ARGS: &str = "--args";

/// Options whose descriptor holds something that stays when bwrap has read it, if it is a file or a directory. Nobody waits for the
/// end of such a one.
const CONTENT: &[&str] = &[
    ARGS,
    "--add-seccomp-fd",
    "--bind-data",
    "--bind-fd",
    "--file",
    "--pidns",
    "--ro-bind-data",
    "--ro-bind-fd",
    "--seccomp",
    "--userns",
    "--userns2",
];

/// Options with another descriptor.
const CHANNELS: &[&str] = &[BLOCK, "--info-fd", STATUS, "--sync-fd", "--userns-block-fd"];

/// bwrap takes no more words than that (9000), lists of arguments included; some are ours.
pub(super) const MOST_WORDS: usize = 8990;

/// How often a line may name a list of arguments: lists may name further ones.
const MOST_LISTS: usize = 100;

/// A line that is going to run something.
pub(super) struct Line<'a> {
    pub(super) words: &'a [OsString],
    pub(super) has_status: bool,
    pub(super) has_block: bool,
    /// Every descriptor that it names.
    pub(super) numbers: Vec<RawFd>,
    contents: Vec<RawFd>,
    count: usize,
    lists: usize,
}

impl<'a> Line<'a> {
    /// Reads a line. `None` for what cannot be read, and for what runs nothing: bwrap knows what to say.
    ///
    /// A list of arguments that comes through a pipe is read, as bwrap would, and a file with the same content takes its
    /// descriptor's place.
    ///
    /// # Errors
    ///
    /// Such a list was read, and bwrap cannot be given it any more: without it the sandbox would be another one.
    pub(super) fn read(words: &'a [OsString]) -> Result<Option<Self>, Lost> {
        let (has_status, has_block, numbers, contents) = (false, false, Vec::new(), Vec::new());
        let mut line = Self { words, has_status, has_block, numbers, contents, count: 0, lists: 0 };
        let ends = line.scan(words)?;
        Ok((ends == Some(Ends::InCommand)).then_some(line))
    }

    /// Whether bwrap takes no more words.
    pub(super) fn is_full(&self) -> bool {
        self.count > MOST_WORDS
    }

    /// `None` if it cannot be known what the line says.
    fn scan(&mut self, words: &[OsString]) -> Result<Option<Ends>, Lost> {
        self.count += words.len();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let word = word.to_str().unwrap_or("command");
            if word == "--" {
                return Ok(Some(if rest.next().is_some() { Ends::InCommand } else { Ends::Without }));
            }
            if !word.starts_with('-') {
                return Ok(Some(Ends::InCommand));
            }
            if word == "--help" || word == "--version" {
                return Ok(None);
            }
            let Some(count) = Bwrap::words_after(word) else { return Ok(None) };
            let arguments: Vec<&OsString> = rest.by_ref().take(count).collect();
            if arguments.len() < count {
                return Ok(None);
            }
            let is_content = CONTENT.contains(&word);
            if !is_content && !CHANNELS.contains(&word) {
                continue;
            }
            let number = arguments.first().and_then(|word| word.to_str()?.parse::<RawFd>().ok());
            let Some(number) = number.filter(|number| *number >= 0) else { return Ok(None) };
            self.numbers.push(number);
            self.has_status |= word == STATUS;
            self.has_block |= word == BLOCK;
            if is_content {
                self.contents.push(number);
            }
            if word == ARGS {
                self.lists += 1;
                let Some(list) = list(number)?.filter(|_| self.lists <= MOST_LISTS) else { return Ok(None) };
                // what follows a command in a list, bwrap passes over
                if self.scan(&list)?.is_none() {
                    return Ok(None);
                }
            }
        }
        Ok(Some(Ends::Without))
    }

    /// The descriptors that the watcher may hold, to have the same set up once more.
    pub(super) fn kept_for_watcher(&self) -> Vec<RawFd> {
        let stays = |number: &&RawFd| {
            let kind = fs::metadata(format!("/proc/self/fd/{number}")).map(|meta| meta.file_type());
            kind.is_ok_and(|kind| kind.is_file() || kind.is_dir())
        };
        self.contents.iter().filter(stays).copied().collect()
    }
}

/// The same words, with other numbers for descriptors that hold content.
pub(super) fn renumbered(mut words: Vec<OsString>, numbers: &[(RawFd, RawFd)]) -> Vec<OsString> {
    let mut at = 0;
    while let Some(word) = words.get(at).and_then(|word| word.to_str()) {
        let Some(arguments) = Bwrap::words_after(word) else { break };
        let is_content = CONTENT.contains(&word);
        if let Some(number) = words.get_mut(at + 1).filter(|_| is_content) {
            let found = numbers.iter().find(|(old, _)| *number == *old.to_string());
            if let Some((_, new)) = found {
                *number = new.to_string().into();
            }
        }
        at += 1 + arguments;
    }
    words
}

/// Whether bwrap does no more than tell about itself.
pub(super) fn runs_nothing(words: &[OsString]) -> bool {
    words.first().is_none_or(|word| word == "--help" || word == "--version")
}

/// Where the options end.
#[derive(PartialEq, Eq)]
enum Ends {
    InCommand,
    Without,
}

/// Arguments that came through a pipe, and that bwrap cannot be given any more.
pub(super) struct Lost {
    pub(super) number: RawFd,
    pub(super) why: io::Error,
}

/// The list of arguments that a descriptor holds; bwrap can still read it afterwards.
fn list(number: RawFd) -> Result<Option<Vec<OsString>>, Lost> {
    if let Some(bytes) = crate::line::from_offset(number) {
        return Ok(Some(crate::line::nul_separated(&bytes)));
    }
    let Some(mut pipe) = pipe(number) else { return Ok(None) };
    let mut bytes = Vec::new();
    let read = pipe.read_to_end(&mut bytes).and_then(|_| put(number, &bytes));
    read.map_err(|why| Lost { number, why })?;
    Ok(Some(crate::line::nul_separated(&bytes)))
}

/// The same pipe once more, if it is one: opened anew, since one that has a name would wait for a writer to come.
fn pipe(number: RawFd) -> Option<File> {
    let path = format!("/proc/self/fd/{number}");
    fs::metadata(&path).ok().filter(|meta| meta.file_type().is_fifo())?;
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).ok()?;
    let pipe = File::options().read(true).custom_flags(nonblocking).open(&path).ok()?;
    fcntl_setfl(&pipe, OFlags::empty()).ok()?;
    Some(pipe)
}

/// Puts what holds this content in a descriptor's place: a file, or else a pipe.
fn put(number: RawFd, bytes: &[u8]) -> io::Result<()> {
    let held = in_file(bytes).or_else(|why| in_pipe(bytes).ok_or(why))?;
    nix::unistd::close(number)?;
    // the lowest free one from there on
    let placed = fcntl_dupfd_cloexec(&held, number)?;
    fcntl_setfd(&placed, FdFlags::empty())?;
    // bwrap's
    let _ = placed.into_raw_fd();
    Ok(())
}

fn in_file(bytes: &[u8]) -> io::Result<OwnedFd> {
    // beyond the limit the kernel would end us by a signal
    if file_size_limit().is_some_and(|limit| u64::try_from(bytes.len()).is_ok_and(|length| length > limit)) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut file = File::from(rustix::fs::memfd_create("arguments", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// A pipe that holds all of it, if one can.
fn in_pipe(bytes: &[u8]) -> Option<OwnedFd> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
    // what more than the usual 64 KiB takes may be refused
    let _ = rustix::pipe::fcntl_setpipe_size(&write, bytes.len());
    File::from(write).write_all(bytes).ok()?;
    fcntl_setfl(&read, OFlags::empty()).ok()?;
    Some(read)
}

/// How large this process and bwrap may make files, in bytes (`RLIMIT_FSIZE`).
pub(super) fn file_size_limit() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// An option of a new bwrap that takes a descriptor is to be listed here, too.
    #[test]
    fn every_descriptor_is_known() {
        let listed = std::env::var("BWRAP_LAUNCH_TEST_BWRAPS").unwrap_or_default();
        for bwrap in listed.split(':').filter(|path| !path.is_empty()).chain(["bwrap"]) {
            let help = Command::new(bwrap).arg("--help").output().unwrap();
            let help = String::from_utf8([help.stdout, help.stderr].concat()).unwrap();
            let options = help.lines().filter_map(|line| {
                let mut words = line.split_whitespace();
                let option = words.next()?;
                (words.next() == Some("FD")).then_some(option)
            });
            let options: Vec<&str> = options.collect();
            assert!(options.len() > 10, "{bwrap}: {options:?}");
            let known = |option: &&str| CONTENT.contains(option) || CHANNELS.contains(option);
            let unknown: Vec<_> = options.into_iter().filter(|option| !known(option)).collect();
            assert!(unknown.is_empty(), "{bwrap}: {unknown:?}");
        }
    }
}
