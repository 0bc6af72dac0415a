//! What became of a launch: the command's status and output, or the failure.

use std::fmt;
use std::os::unix::process::ExitStatusExt;

use super::handshake::{Undecided, Verdict};
use crate::bwrap::{Message, NamespaceIds, Stage};
use crate::diagnosis::{self, Cause, Confidence, Diagnosis, ProgramProblem, Symptom, decisive};
use crate::sandbox::Feature;

/// How a command that ran in a sandbox ended, as [`std::process::ExitStatus`].
///
/// bwrap reports a command that was killed by signal *n* as status 128 + *n*, like a shell, and a command
/// that exits with that number likewise. So a status from 129 to 192 leaves two stories:
/// [`signal`](Self::signal) takes the likely one, [`ending`](Self::ending) tells both.
///
/// It converts into [`std::process::ExitStatus`].
///
/// ```
/// use bwrap_launch::Sandbox;
/// let sandbox = Sandbox::new().ro_bind("/", "/");
/// let status = sandbox.command("sh").args(["-c", "exit 3"]).status()?;
/// assert_eq!((status.success(), status.code(), status.signal(), status.raw()), (false, Some(3), None, 3));
/// let killed = sandbox.command("sh").args(["-c", "kill -9 $$"]).status()?;
/// assert_eq!((killed.code(), killed.signal(), killed.raw()), (None, Some(9), 137));
/// assert_eq!(std::process::ExitStatus::from(status).code(), Some(3));
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExitStatus(u8);

/// How a command ended, as far as bwrap tells.
///
/// ```
/// use bwrap_launch::{Ending, Sandbox};
/// let mut command = Sandbox::new().ro_bind("/", "/").command("sh");
/// let status = command.args(["-c", "exit 137"]).status()?;
/// assert_eq!(status.ending(), Ending::SignaledOrExited { signal: 9, code: 137 });
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// It exited with this status.
    Exited(u8),
    /// It was killed by `signal`, or exited with `code`: bwrap reports both alike.
    SignaledOrExited {
        /// The signal.
        signal: i32,
        /// The status, 128 + the signal.
        code: u8,
    },
}

/// The largest signal number of Linux (`SIGRTMAX`).
const LAST_SIGNAL: u8 = 64;

impl ExitStatus {
    pub(crate) fn from_bwrap(code: u8) -> Self {
        Self(code)
    }

    /// Whether the command exited with status 0.
    #[must_use]
    pub fn success(self) -> bool {
        self.0 == 0
    }

    /// The command's status, or `None` if it was killed by a signal, as far as bwrap tells.
    #[must_use]
    pub fn code(self) -> Option<i32> {
        match self.ending() {
            Ending::Exited(code) => Some(code.into()),
            Ending::SignaledOrExited { .. } => None,
        }
    }

    /// The signal that killed the command, as far as bwrap tells.
    #[must_use]
    pub fn signal(self) -> Option<i32> {
        match self.ending() {
            Ending::Exited(_) => None,
            Ending::SignaledOrExited { signal, .. } => Some(signal),
        }
    }

    /// How the command ended, with both stories where there are two.
    #[must_use]
    pub fn ending(self) -> Ending {
        match self.0.checked_sub(128) {
            Some(signal @ 1..=LAST_SIGNAL) => {
                Ending::SignaledOrExited { signal: signal.into(), code: self.0 }
            }
            _ => Ending::Exited(self.0),
        }
    }

    /// The number as bwrap reports it and as a shell would show it in `$?`.
    #[must_use]
    pub fn raw(self) -> u8 {
        self.0
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ending() {
            Ending::Exited(code) => write!(f, "exit status: {code}"),
            Ending::SignaledOrExited { signal, code } => {
                write!(f, "signal: {signal} (or exit status: {code})")
            }
        }
    }
}

impl From<ExitStatus> for std::process::ExitStatus {
    fn from(status: ExitStatus) -> Self {
        let raw = match status.ending() {
            Ending::Exited(code) => i32::from(code) << 8,
            Ending::SignaledOrExited { signal, .. } => signal,
        };
        Self::from_raw(raw)
    }
}

/// What a command that ran left behind, as [`std::process::Output`].
///
/// ```
/// use bwrap_launch::Sandbox;
/// let sandbox = Sandbox::new().ro_bind("/", "/");
/// let output = sandbox.command("sh").args(["-c", "echo out; echo err >&2; exit 1"]).output()?;
/// assert_eq!(output.status.code(), Some(1));
/// assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
/// assert!(output.warnings.is_empty() && output.dropped.is_empty());
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output, if that was piped.
    pub stdout: Vec<u8>,
    /// What it, and bwrap before it, wrote to standard error, if that was piped.
    pub stderr: Vec<u8>,
    /// bwrap's warnings at the beginning of `stderr`. A command can forge them.
    pub warnings: Vec<Message>,
    /// Features that this bwrap lacks and the sandbox declared dispensable: they were left out.
    pub dropped: Vec<Feature>,
}

/// How bwrap's own words were come by.
///
/// ```
/// use bwrap_launch::{Heard, Sandbox, Stdio};
/// let mut command = Sandbox::new().ro_bind("/nonexistent", "/").command("true");
/// let error = command.output().unwrap_err();
/// assert_eq!(error.failure().unwrap().heard(), Heard::Captured);
/// let error = command.stderr(Stdio::null()).status().unwrap_err();
/// assert_eq!(error.failure().unwrap().heard(), Heard::AskedAgain);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Heard {
    /// They were read where bwrap wrote them. In a file, which others may write to as well, they count as its own only if
    /// bwrap, asked once more, says the same.
    Captured,
    /// bwrap wrote them where they cannot be read back (an inherited terminal, `/dev/null`) or told from others' (a file), so
    /// it was asked once more to set up the same sandbox, without running anything, and said this.
    AskedAgain,
    /// They were read in a file, which others may write to as well, and bwrap could not be asked once more, or did not fail
    /// in the same way: perhaps another launch's. They name nothing that this launch does not have; the words of a program
    /// that cannot be executed name this very program.
    Overheard,
    /// They could not be come by.
    Lost,
}

/// Bytes that are mostly text, and shown as such.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Text(pub(crate) Vec<u8>);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// Everything known about a launch that did not lead to a command's exit status.
///
/// `Display` is one line: what happened, and bwrap's own words or the reason that was found. Control characters, which a path
/// may hold, are escaped in it.
///
/// ```
/// use bwrap_launch::{Sandbox, Stage};
/// let sandbox = Sandbox::new().ro_bind("/nonexistent", "/usr");
/// let error = sandbox.command("true").output().unwrap_err();
/// let failure = error.failure().unwrap();
/// assert_eq!(failure.stage(), Some(Stage::Sources));
/// assert_eq!(failure.messages().last(), failure.message());
/// assert!(failure.stderr().starts_with(b"bwrap: "));
/// assert_eq!(failure.command_line(), "bwrap --clearenv --ro-bind /nonexistent /usr -- true");
/// assert!(failure.namespaces().is_some() && failure.signal().is_none() && failure.dropped().is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    pub(crate) verdict: Verdict,
    pub(crate) words: Text,
    pub(crate) heard: Heard,
    pub(crate) messages: Vec<Message>,
    pub(crate) program: Option<ProgramProblem>,
    pub(crate) diagnosis: Option<Diagnosis>,
    pub(crate) command: String,
    pub(crate) namespaces: Option<NamespaceIds>,
    pub(crate) dropped: Vec<Feature>,
}

impl Failure {
    /// The message that ended bwrap: the first one that is not a warning. bwrap is several processes, and what others
    /// of them say after that are consequences.
    #[must_use]
    pub fn message(&self) -> Option<&Message> {
        decisive(&self.messages)
    }

    /// Everything that bwrap said, warnings included, in order.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The stage that bwrap was in, as far as its words tell.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        self.message().map(Message::stage)
    }

    /// bwrap's words as it wrote them.
    #[must_use]
    pub fn stderr(&self) -> &[u8] {
        &self.words.0
    }

    /// How its words were come by.
    #[must_use]
    pub fn heard(&self) -> Heard {
        self.heard
    }

    /// Why the program could not be executed, if that could be found out.
    ///
    /// ```
    /// use bwrap_launch::{ProgramProblem, Sandbox};
    /// let error = Sandbox::new().ro_bind("/", "/").command("/usr").output().unwrap_err();
    /// let problem = error.failure().unwrap().program().unwrap();
    /// assert_eq!(problem, &ProgramProblem::IsDirectory("/usr".into()));
    /// ```
    #[must_use]
    pub fn program(&self) -> Option<&ProgramProblem> {
        self.program.as_ref()
    }

    /// Why the sandbox did not start, and what to change: the causes, from a snapshot of the host that was taken when it
    /// failed, by the thread that waited for it. `None` where it cannot be known whether the command ran. Its `Display` is the
    /// whole report.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// use bwrap_launch::diagnosis::Cause;
    /// let error = Sandbox::new().ro_bind("/nonexistent", "/usr").command("true").output().unwrap_err();
    /// let diagnosis = error.failure().unwrap().diagnosis().unwrap();
    /// assert_eq!(diagnosis.cause(), Some(Cause::SourceMissing));
    /// eprintln!("{diagnosis}");
    /// ```
    #[must_use]
    pub fn diagnosis(&self) -> Option<&Diagnosis> {
        self.diagnosis.as_ref()
    }

    /// What is to be explained, in the form in which [`diagnose`](crate::diagnosis::diagnose) takes it: to diagnose it once
    /// more with other facts.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// use bwrap_launch::diagnosis::{Verdict, diagnose};
    /// use bwrap_launch::host::Host;
    /// let sandbox = Sandbox::new().ro_bind("/nonexistent", "/usr");
    /// let error = sandbox.command("true").output().unwrap_err();
    /// let symptom = error.failure().unwrap().symptom();
    /// assert_eq!(symptom.verdict, Verdict::SetupFailed);
    /// let diagnosis = diagnose(&symptom, &Host::snapshot(), Some(&sandbox));
    /// ```
    #[must_use]
    pub fn symptom(&self) -> Symptom {
        let verdict = match self.verdict {
            Verdict::Refused { .. } => diagnosis::Verdict::Refused,
            Verdict::SetupFailed { .. } => diagnosis::Verdict::SetupFailed,
            Verdict::NotExecuted { .. } => diagnosis::Verdict::NotExecuted,
            Verdict::Ended(_) | Verdict::Undecided(_) => diagnosis::Verdict::Unknown,
        };
        let (messages, program) = (self.messages.clone(), self.program.clone());
        Symptom { verdict, messages, program, signal: self.signal(), errno: None }
    }

    /// The signal that ended bwrap, or the process inside before it became the command.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        match self.verdict {
            Verdict::Refused { signal }
            | Verdict::SetupFailed { signal }
            | Verdict::NotExecuted { signal } => signal,
            Verdict::Undecided(Undecided::BwrapKilled { signal }) => Some(signal),
            Verdict::Ended(_) | Verdict::Undecided(_) => None,
        }
    }

    /// Whether bwrap had words for it: what a signal did to it, it did not see coming. But it is SIGPIPE that ends it when
    /// nobody reads them.
    pub(super) fn had_words(&self) -> bool {
        self.signal().is_none_or(|signal| signal == libc::SIGPIPE)
    }

    /// Why the launch cannot be judged, if it cannot.
    #[must_use]
    pub fn undecided(&self) -> Option<Undecided> {
        match self.verdict {
            Verdict::Undecided(why) => Some(why),
            _ => None,
        }
    }

    /// The bwrap command line, fit to be pasted into a shell; secrets are left out.
    #[must_use]
    pub fn command_line(&self) -> &str {
        &self.command
    }

    /// The namespaces that bwrap had made.
    #[must_use]
    pub fn namespaces(&self) -> Option<NamespaceIds> {
        self.namespaces
    }

    /// Features that this bwrap lacks and the sandbox declared dispensable.
    #[must_use]
    pub fn dropped(&self) -> &[Feature] {
        &self.dropped
    }
}

impl Failure {
    /// What happened, with whatever is in a path or a message.
    fn sentence(&self) -> String {
        if let Some(undecided) = self.undecided() {
            return match self.message() {
                Some(message) => format!("{undecided}; stderr says: {message}"),
                None => undecided.to_string(),
            };
        }
        let finding = self.diagnosis.as_ref().and_then(|diagnosis| diagnosis.causes.first());
        let finding = finding.filter(|finding| finding.cause != Cause::Unexplained);
        if let (Some(problem), Some(finding)) = (&self.program, finding) {
            return format!("{problem} [{}]", finding.cause.code());
        }
        if let Some(finding) = finding {
            let unsure = finding.confidence == Confidence::Low || self.heard == Heard::Overheard;
            let perhaps = if unsure { "perhaps " } else { "" };
            let sentence = format!("{perhaps}{} [{}]", finding.summary, finding.cause.code());
            return match self.message() {
                Some(message) => format!("{sentence} (bwrap: {message})"),
                None => sentence,
            };
        }
        match (&self.program, self.message(), self.signal()) {
            (Some(problem), _, _) => problem.to_string(),
            (None, Some(message), _) => format!("bwrap: {message}"),
            (None, None, Some(libc::SIGPIPE)) => {
                "nobody reads its standard error, where bwrap would have said why".to_owned()
            }
            (None, None, Some(signal)) => format!("it was killed by signal {signal} meanwhile"),
            (None, None, None) => match self.verdict {
                Verdict::NotExecuted { .. } => {
                    "what bwrap said, if anything, cannot be read back, and what can be seen from outside does not explain it; \
                     pipe standard error (Stdio::piped()) to have it quoted"
                }
                _ => "what bwrap said, if anything, cannot be read back; run the command line in a shell to see",
            }
            .to_owned(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(&self.sentence()))
    }
}

/// Text as one line that does nothing to a terminal, whatever is in a path.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        // the line and paragraph separators of Unicode are no control characters
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// As [`Failure::symptom`].
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::diagnosis::{Cause, Symptom, diagnose};
/// use bwrap_launch::host::Host;
/// let error = Sandbox::new().ro_bind("/nonexistent", "/usr").command("true").output().unwrap_err();
/// let symptom = Symptom::from(error.failure().unwrap());
/// assert_eq!(diagnose(&symptom, &Host::snapshot(), None).cause(), Some(Cause::SourceMissing));
/// ```
impl From<&Failure> for Symptom {
    fn from(failure: &Failure) -> Self {
        failure.symptom()
    }
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BwrapKilled { signal } => write!(
                f,
                "bwrap was killed by signal {signal} after the sandbox was complete, and with it went the \
                 command's status"
            ),
            Self::StatusLost => f.write_str(
                "this process ignores SIGCHLD or waits for any child, so bwrap's status was lost, and bwrap \
                 reported none of the command",
            ),
            Self::FilterMayHideIt { status } => write!(
                f,
                "bwrap ended with status {status} and reported nothing of the command, which the system call \
                 filter may have prevented; let the filter allow write, wait4, close, execve and \
                 exit_group"
            ),
            Self::LockFileMayHaveFailed => f.write_str(
                "status 1 is the command's, or bwrap's own because a lock file could not be locked",
            ),
            Self::Contradiction { status } => {
                write!(f, "bwrap ended with status {status} and contradictory reports; is it really bwrap?")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_whatever_is_in_a_path() {
        use crate::Sandbox;
        use crate::host::Host;
        let sandbox = Sandbox::new().ro_bind("/a\nb\x1b[31m\u{2028}\u{9b}", "/usr");
        let words =
            b"bwrap: Can't find source path /a\nb\x1b[31m\xe2\x80\xa8\xc2\x9b: No such file or directory\n";
        let mut failure = Failure {
            verdict: Verdict::SetupFailed { signal: None },
            words: Text(words.to_vec()),
            heard: Heard::Captured,
            messages: Message::parse_all(words),
            program: None,
            diagnosis: None,
            command: String::new(),
            namespaces: None,
            dropped: Vec::new(),
        };
        let escaped = "/a\\nb\\u{1b}[31m\\u{2028}\\u{9b}";
        let check = |failure: &Failure| {
            let line = failure.to_string();
            assert!(line.contains(escaped) && !line.contains(|c: char| c.is_control()), "{line:?}");
        };
        check(&failure);
        failure.diagnosis =
            Some(diagnosis::diagnose(&Symptom::from(&failure), &Host::default(), Some(&sandbox)));
        let shown = failure.to_string();
        let (cause, said) = shown.split_once("(bwrap: ").unwrap();
        assert!(cause.contains(escaped) && said.contains(escaped), "{shown}");
        check(&failure);
        failure.verdict = Verdict::Undecided(Undecided::StatusLost);
        check(&failure);
        failure.verdict = Verdict::NotExecuted { signal: None };
        failure.program = Some(ProgramProblem::IsDirectory("/a\nb\x1b[31m\u{2028}\u{9b}".into()));
        check(&failure);
    }

    #[test]
    fn every_number_has_its_ending() {
        for raw in 0..=255_u8 {
            let status = ExitStatus::from_bwrap(raw);
            assert_eq!(status.raw(), raw);
            assert!(status.code().is_some() != status.signal().is_some());
            let std = std::process::ExitStatus::from(status);
            assert_eq!((std.code(), std.signal()), (status.code(), status.signal()), "{raw}");
        }
        assert_eq!(ExitStatus::from_bwrap(128).code(), Some(128));
        assert_eq!(ExitStatus::from_bwrap(137).signal(), Some(9));
        assert_eq!(ExitStatus::from_bwrap(193).code(), Some(193));
        assert_eq!(ExitStatus::from_bwrap(137).to_string(), "signal: 9 (or exit status: 137)");
    }
}
