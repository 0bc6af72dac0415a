//! What the stand-in must know of a bwrap line before bwrap reads it: which descriptors it names, and whether its caller asks for
//! the reports that tell how far bwrap came.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use bwrap_launch::Bwrap;
use rustix::fs::{MemfdFlags, OFlags, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

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
    pub(super) fn read(words: &'a [OsString]) -> Option<Self> {
        let (has_status, has_block, numbers, contents) = (false, false, Vec::new(), Vec::new());
        let mut line = Self { words, has_status, has_block, numbers, contents, count: 0, lists: 0 };
        let ends = line.scan(words)?;
        (ends == Ends::InCommand).then_some(line)
    }

    /// Whether bwrap takes no more words.
    pub(super) fn is_full(&self) -> bool {
        self.count > MOST_WORDS
    }

    /// `None` if it cannot be known what the line says.
    fn scan(&mut self, words: &[OsString]) -> Option<Ends> {
        self.count += words.len();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let word = word.to_str().unwrap_or("command");
            if word == "--" {
                return Some(if rest.next().is_some() { Ends::InCommand } else { Ends::Without });
            }
            if !word.starts_with('-') {
                return Some(Ends::InCommand);
            }
            if word == "--help" || word == "--version" {
                return None;
            }
            let arguments: Vec<&OsString> = rest.by_ref().take(Bwrap::words_after(word)?).collect();
            if arguments.len() < Bwrap::words_after(word)? {
                return None;
            }
            let is_content = CONTENT.contains(&word);
            if !is_content && !CHANNELS.contains(&word) {
                continue;
            }
            let number = arguments.first()?.to_str()?.parse::<RawFd>().ok().filter(|number| *number >= 0)?;
            self.numbers.push(number);
            self.has_status |= word == STATUS;
            self.has_block |= word == BLOCK;
            if is_content {
                self.contents.push(number);
            }
            if word == ARGS {
                self.lists += 1;
                let list = list(number).filter(|_| self.lists <= MOST_LISTS)?;
                // what follows a command in a list, bwrap passes over
                self.scan(&list)?;
            }
        }
        Some(Ends::Without)
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

/// The list of arguments that a descriptor holds; bwrap can still read it afterwards.
fn list(number: RawFd) -> Option<Vec<OsString>> {
    let path = format!("/proc/self/fd/{number}");
    let kind = fs::metadata(&path).ok()?.file_type();
    let mut bytes = Vec::new();
    if kind.is_file() {
        // opened anew: the offset of the caller's stays where it is
        let position = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?;
        let position = position.lines().find_map(|line| line.strip_prefix("pos:")?.trim().parse().ok())?;
        let mut file = File::open(&path).ok()?;
        file.seek(SeekFrom::Start(position)).ok()?;
        file.read_to_end(&mut bytes).ok()?;
    } else if kind.is_fifo() {
        // one that has a name would wait for a writer to come
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).ok()?;
        let mut pipe = File::options().read(true).custom_flags(nonblocking).open(&path).ok()?;
        fcntl_setfl(&pipe, OFlags::empty()).ok()?;
        let file = rustix::fs::memfd_create("arguments", MemfdFlags::CLOEXEC).ok()?;
        pipe.read_to_end(&mut bytes).ok()?;
        put(number, File::from(file), &bytes)?;
    } else {
        return None;
    }
    let Some(bytes) = bytes.strip_suffix(b"\0").or(Some(&bytes)).filter(|bytes| !bytes.is_empty()) else {
        return Some(Vec::new());
    };
    Some(bytes.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect())
}

/// Puts a file with this content in a descriptor's place.
fn put(number: RawFd, mut file: File, bytes: &[u8]) -> Option<()> {
    file.write_all(bytes).ok()?;
    file.rewind().ok()?;
    nix::unistd::close(number).ok()?;
    // the lowest free one from there on
    let placed: OwnedFd = fcntl_dupfd_cloexec(&file, number).ok()?;
    fcntl_setfd(&placed, FdFlags::empty()).ok()?;
    // bwrap's
    let _ = placed.into_raw_fd();
    Some(())
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
