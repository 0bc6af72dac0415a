//! Called under the name `bwrap`: this process becomes the real bwrap, so whoever started it signals and waits for that one. What
//! explains a sandbox that does not start is a second process, the watcher, which is gone as soon as the command runs.

mod entry;
mod line;
mod real;
mod watcher;
mod words;

use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use rustix::fs::MemfdFlags;
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

pub(crate) use entry::ignored_signals;
use line::{Line, Lost};
use real::OVERRIDE;
pub(crate) use real::{find as real, is_stand_in};

use crate::output;

/// What a shell says where a command is not there, and where it cannot be executed.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// The name of a file in memory that the bwrap that is called gets from us, by which a stand-in knows that another one called it.
const MARK: &str = "bwrap-doctor";

/// Plays bwrap, or the watcher, if this process was called so.
pub(crate) fn played() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    let name = words.next()?;
    if Path::new(&name).file_name() == Some(OsStr::new("bwrap")) {
        return Some(play(&name, &words.collect::<Vec<_>>()));
    }
    words.next().is_some_and(|word| word == watcher::CALLED).then(|| watcher::run(words.collect()))
}

fn play(name: &OsStr, words: &[OsString]) -> ExitCode {
    if called_by_another(words) {
        output::complain(&format!(
            "the bwrap on the PATH leads back to a stand-in for it: name the real one in {OVERRIDE}"
        ));
        return ExitCode::FAILURE;
    }
    let real = match real() {
        Ok(real) => real,
        Err(trouble) => {
            output::complain(&trouble);
            return ExitCode::from(NOT_FOUND);
        }
    };
    let line = match Line::read(words) {
        Ok(line) => line,
        // without them bwrap would make another sandbox
        Err(Lost { number, why }) => {
            output::complain(&format!(
                "the arguments of --args {number}, which came through a pipe, cannot be handed on to bwrap ({why}): nothing was run"
            ));
            return ExitCode::FAILURE;
        }
    };
    let beside = line.as_ref().and_then(|line| Watched::begin(line, &real));
    let (mut watcher, mut options) =
        beside.map_or((None, Vec::new()), |watched| (Some(watched.watcher), watched.options));
    let is_full = line.as_ref().map_or(words.len() > line::MOST_WORDS, Line::is_full);
    if !is_full && !options.iter().any(|(option, _)| *option == line::STATUS) {
        options.extend(mark(line.as_ref()));
    }
    let error = execute(&real, name, words, &options);
    if let Some(watcher) = &mut watcher {
        let _ = watcher.kill();
    }
    output::complain(&format!("cannot execute {}: {error}", real.display()));
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE })
}

/// Whether another stand-in took this program for the real bwrap. The process is the same one, and so are its descriptors.
fn called_by_another(words: &[OsString]) -> bool {
    let named = match (words.first(), words.get(1)) {
        (Some(option), Some(number)) if option == line::STATUS || option == line::ARGS => number.to_str(),
        // what runs nothing
        _ => None,
    };
    let is_mark = |number: &str| {
        let file = fs::read_link(format!("/proc/self/fd/{number}")).unwrap_or_default();
        file.as_os_str().as_bytes().starts_with(format!("/memfd:{MARK}").as_bytes())
    };
    named.map_or_else(|| crate::line::inherited().iter().any(|number| is_mark(&number.to_string())), is_mark)
}

/// An option for bwrap, and the descriptor that it names.
type Given = (&'static str, OwnedFd);

/// An empty list of arguments: bwrap reads and closes it, and another stand-in knows it.
fn mark(line: Option<&Line>) -> Option<Given> {
    let file = rustix::fs::memfd_create(MARK, MemfdFlags::CLOEXEC).ok()?;
    Some((line::ARGS, away(&file, line.map_or(&[], |line| &line.numbers))?))
}

/// No report of bwrap's is longer, in bytes.
const REPORT: u64 = 4096;

/// What bwrap is given so that a watcher can tell how far it came.
struct Watched {
    watcher: Child,
    options: Vec<Given>,
}

impl Watched {
    /// Starts the watcher. Where there is none, nothing is explained; bwrap runs all the same.
    fn begin(line: &Line, real: &Path) -> Option<Self> {
        // how far bwrap came is known to its caller then, and to nobody else
        if line.has_status && line.has_block || line.is_full() {
            return None;
        }
        let mut options = Vec::new();
        let mut watcher = Command::new("/proc/self/exe");
        // dropped once the watcher has them
        let (kept, _moved) = handed_on(line)?;
        watcher.arg0("bwrap-doctor").arg(watcher::CALLED).stderr(Stdio::inherit());
        watcher.arg(std::process::id().to_string()).arg(kept).arg(real);
        // beyond the limit the kernel would end bwrap by a signal when it reports
        let is_small = line::file_size_limit().is_some_and(|limit| limit < REPORT);
        if line.has_status || is_small {
            watcher.stdout(Stdio::null());
        } else {
            let status = rustix::fs::memfd_create(MARK, MemfdFlags::CLOEXEC).ok()?;
            options.push((line::STATUS, away(&status, &line.numbers)?));
            watcher.stdout(status);
        }
        if line.has_block {
            watcher.stdin(Stdio::null());
        } else {
            let (near, far) = std::os::unix::net::UnixStream::pair().ok()?;
            io::Write::write_all(&mut &near, b"x").ok()?;
            watcher.stdin(OwnedFd::from(near));
            options.push((line::BLOCK, away(&OwnedFd::from(far), &line.numbers)?));
        }
        let watcher = watcher.arg("--").args(line.words).spawn().ok()?;
        Some(Self { watcher, options })
    }
}

/// The descriptors with content, as `NUMBER=NUMBER@OFFSET` in the watcher, with commas between: it shares the offset with bwrap, which
/// reads on. Its standard streams are other ones than bwrap's: what stands there is moved.
fn handed_on(line: &Line) -> Option<(String, Vec<OwnedFd>)> {
    let (mut list, mut moved) = (Vec::new(), Vec::new());
    for number in line.kept_for_watcher() {
        let offset = crate::line::offset(number).unwrap_or(0);
        let stream = match number {
            0 => rustix::stdio::stdin(),
            1 => rustix::stdio::stdout(),
            2 => rustix::stdio::stderr(),
            _ => {
                list.push(format!("{number}={number}@{offset}"));
                continue;
            }
        };
        let copy = away(&stream.try_clone_to_owned().ok()?, &line.numbers)?;
        fcntl_setfd(&copy, FdFlags::empty()).ok()?;
        list.push(format!("{number}={}@{offset}", copy.as_raw_fd()));
        moved.push(copy);
    }
    Some((list.join(","), moved))
}

/// The same under a number that the line does not name: what it names is to be open or not as its caller left it.
fn away(descriptor: &OwnedFd, named: &[RawFd]) -> Option<OwnedFd> {
    let above = named.iter().max().map_or(3, |highest| highest.saturating_add(1).max(3));
    [above.max(100), above].into_iter().find_map(|least| fcntl_dupfd_cloexec(descriptor, least).ok())
}

/// Becomes the real bwrap. Returns why not.
fn execute(real: &Path, name: &OsStr, words: &[OsString], options: &[Given]) -> io::Error {
    let mut all: Vec<OsString> = vec![name.to_owned()];
    for (option, descriptor) in options {
        // what bwrap does without arguments to read, it does with none of ours
        if !(*option == line::ARGS && line::runs_nothing(words)) {
            all.extend([OsString::from(*option), descriptor.as_raw_fd().to_string().into()]);
        }
        if let Err(error) = fcntl_setfd(descriptor, FdFlags::empty()) {
            return error.into();
        }
    }
    all.extend(words.iter().cloned());
    let text = |word: &OsStr| CString::new(word.as_bytes()).map_err(io::Error::from);
    let arguments = match all.iter().map(|word| text(word)).collect::<io::Result<Vec<_>>>() {
        Ok(arguments) => arguments,
        Err(error) => return error,
    };
    let path = match text(real.as_os_str()) {
        Ok(path) => path,
        Err(error) => return error,
    };
    entry::restore();
    match nix::unistd::execv(&path, &arguments) {
        Err(errno) => errno.into(),
    }
}
