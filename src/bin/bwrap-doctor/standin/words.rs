//! What the watcher says, and where.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::RawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bwrap_launch::{Bwrap, Command, Error, Heard, Invalid, Verdict, doctor};
use rustix::fs::OFlags;

use super::line::{BLOCK, STATUS, renumbered};
use crate::{line, output};

/// A file for what is said, instead of standard error.
const LOG: &str = "BWRAP_DOCTOR_LOG";

/// A directory for marks: a cause that was explained within a day gets one line.
const ONCE: &str = "BWRAP_DOCTOR_ONCE";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long bwrap may take to say once more what is wrong. Whoever reads standard error to its end waits for that.
const PATIENCE: Duration = Duration::from_secs(3);

/// That the command did not run, as far as it is known how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// For certain.
    Failed(Verdict),
    /// The sandbox was not complete, and bwrap's report is its caller's.
    Incomplete,
    /// bwrap did not report that it executed the command; what became of the set-up, its caller knows.
    Unreported,
    /// The sandbox was complete, and bwrap did not report that it executed the command.
    Complete,
}

/// `numbers` are those of descriptors with content, in the line and here.
pub(super) fn explain(seen: Seen, real: &Path, words: Vec<OsString>, numbers: &[(RawFd, RawFd)]) {
    let text = match explained(seen, real, words, numbers) {
        Ok(error) => once_a_day(&error).unwrap_or_else(|| error.report()),
        Err(Untold::Passed) => format!("bwrap-doctor: {}\n    {PASSED}. {}\n", known(seen), hint()),
        Err(Untold::Why(why)) => format!("bwrap-doctor: {}\n    {why}\n", known(seen)),
    };
    let Some(log) = set(LOG) else { return output::report(&format!("\n{text}")) };
    // in one piece: others write there, too
    let entry = format!("{}, process {}:\n{text}\n", now(), std::process::id());
    let written = unblocked().append(true).create(true).mode(0o600).open(&log);
    if let Err(error) = written.and_then(|mut file| file.write_all(entry.as_bytes())) {
        output::complain(&format!("cannot write to {} ({LOG}): {error}", log.display()));
        output::report(&format!("\n{text}"));
    }
}

/// What nobody reads, as a FIFO, is not waited for.
fn unblocked() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags(i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0));
    options
}

fn set(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// What was seen, where that is all.
fn known(seen: Seen) -> &'static str {
    match seen {
        Seen::Failed(Verdict::Refused) => "bwrap refused to make the sandbox; the command did not run",
        Seen::Failed(_) | Seen::Incomplete => "the sandbox could not be set up; the command did not run",
        Seen::Unreported | Seen::Complete => {
            "bwrap ended and did not report that it executed the command. A line of bwrap's above says why it did not run, unless the \
             command wrote that itself; without one, nobody can know whether it ran"
        }
    }
}

/// Of a bwrap that was killed its parent alone is told.
const PASSED: &str = "Asked once more it does not fail so, or what it would do cannot be done twice. Somebody may have killed it";

/// Why there is no explanation.
enum Untold {
    /// It does not fail again.
    Passed,
    Why(String),
}

impl From<Invalid> for Untold {
    fn from(invalid: Invalid) -> Self {
        Self::Why(invalid.to_string())
    }
}

/// The first option that this bwrap does not know.
fn unknown(bwrap: &Bwrap, words: &[OsString]) -> Option<String> {
    let mut at = 0;
    loop {
        let word = words.get(at)?.to_str()?;
        at += 1 + Bwrap::words_after(word).filter(|_| word.starts_with("--") && word != "--")?;
        if !bwrap.accepts(word) {
            return Some(word.to_owned());
        }
    }
}

impl From<String> for Untold {
    fn from(why: String) -> Self {
        Self::Why(why)
    }
}

/// Has bwrap set the same sandbox up once more, without the command, to hear what it says.
fn explained(
    seen: Seen,
    real: &Path,
    words: Vec<OsString>,
    numbers: &[(RawFd, RawFd)],
) -> std::result::Result<Error, Untold> {
    let bwrap = match Bwrap::at(real) {
        Ok(bwrap) => bwrap,
        Err(error) => return Ok(Error::from(error).explain_here()),
    };
    let words = line::with_args_of_descriptors(renumbered(words, numbers))?;
    let mut words = renumbered(words, numbers);
    if line::position(&words, "--userns-block-fd").is_some() {
        return Err(format!("it is not asked again: its caller writes the id maps. {}", hint()).into());
    }
    for option in [STATUS, BLOCK] {
        while let Some(place) = line::position(&words, option) {
            words.drain(place..words.len().min(place + 2));
        }
    }
    // what this bwrap does not know, or no bwrap takes, is told without asking it
    if let Some(option) = unknown(&bwrap, &words) {
        let (path, version) = (bwrap.path().display(), bwrap.version_text());
        return Err(Untold::Why(format!(
            "{path} is bubblewrap {version} and has no {option}. Type: bwrap-doctor explain --here --message 'bwrap: Unknown option {option}'"
        )));
    }
    let command = Command::from_args(words)
        .map_err(|error| format!("the line cannot be read here: {error}. {}", hint()))?;
    command.check()?;
    let verdicts: &[Verdict] = match seen {
        Seen::Failed(Verdict::Refused) => &[Verdict::Refused],
        Seen::Failed(_) => &[Verdict::SetupFailed],
        Seen::Incomplete => &[Verdict::SetupFailed, Verdict::Refused],
        Seen::Unreported => &[Verdict::SetupFailed, Verdict::NotExecuted],
        Seen::Complete => &[Verdict::NotExecuted],
    };
    let again =
        verdicts.iter().map(|verdict| doctor::failure_of(&bwrap, &command, *verdict).ask_again(PATIENCE));
    let mut found =
        again.filter(|failure| failure.heard() == Heard::AskedAgain || failure.program().is_some());
    if let Some(failure) = found.next() {
        return Ok(failure.into());
    }
    Err(Untold::Passed)
}

fn hint() -> &'static str {
    "To have bwrap's own line explained: bwrap-doctor explain --here --message 'bwrap: ...'"
}

/// One line, for a cause that was explained within the last day.
fn once_a_day(error: &Error) -> Option<String> {
    let (directory, cause) = (set(ONCE)?, error.diagnosis()?.cause()?);
    let mark = directory.join(cause.code());
    let made = fs::metadata(&mark).and_then(|meta| meta.modified());
    if made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age < DAY)) {
        let (code, title) = (cause.code(), cause.title());
        return Some(format!("bwrap-doctor: again: {title}; all about it: bwrap-doctor explain {code}\n"));
    }
    if let Err(error) = fs::create_dir_all(&directory).and_then(|()| renew(&mark)) {
        output::complain(&format!("cannot write {} ({ONCE}): {error}", mark.display()));
    }
    None
}

fn renew(mark: &Path) -> io::Result<()> {
    let file = unblocked().write(true).create(true).truncate(true).open(mark)?;
    file.set_modified(SystemTime::now())
}

/// The time in UTC, as in `2026-11-28 14:30:00Z`.
fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    date(seconds)
}

fn date(seconds: u64) -> String {
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let mut text = String::new();
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let _ = write!(text, "{year}-{month:02}-{:02} {hour:02}:{minute:02}:{second:02}Z", days + 1);
    text
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00:00Z");
        assert_eq!(date(951_782_400 + 3661), "2000-02-29 01:01:01Z");
        assert_eq!(date(1_735_689_599), "2024-12-31 23:59:59Z");
        assert_eq!(date(4_107_542_400), "2100-03-01 00:00:00Z");
    }
}
