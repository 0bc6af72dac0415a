//! A launch that did not lead to a command's exit status, and all that is known of it. No I/O.

use std::fmt;
use std::sync::Arc;

use super::explain::Explanation;
use super::handshake::{Outcome, Undecided};
use super::order::Recipe;
use crate::bwrap::{Bwrap, Message, NamespaceIds, Stage, decisive};
use crate::diagnosis::{Cause, Confidence, Diagnosis, ProgramProblem, Symptom, Verdict};
use crate::host::Host;
use crate::host::inside::BrokenLink;
use crate::sandbox::{Feature, Sandbox};
use crate::visible;

/// Where bwrap's own words were read.
///
/// ```
/// use bwrap_launch::{Heard, Sandbox, Stdio};
/// let mut command = Sandbox::new().ro_bind("/nonexistent", "/").command("true");
/// let error = command.output().unwrap_err();
/// assert_eq!(error.failure().unwrap().heard(), Heard::Captured);
/// // `status` asks bwrap once more where its words cannot be read back
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
    /// They could not be read back. [`Failure::ask_again`] may hear them.
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
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Failure {
    pub(super) outcome: Outcome,
    wording: Wording,
    program: Option<ProgramProblem>,
    broken_link: Option<BrokenLink>,
    explanation: Option<Arc<Explanation>>,
    command: String,
    namespaces: Option<NamespaceIds>,
    dropped: Vec<Feature>,
    pub(super) origin: Option<Arc<Origin>>,
}

/// bwrap's words, and where they were read.
#[derive(Debug, Clone)]
pub(super) struct Wording {
    pub(super) words: Text,
    pub(super) messages: Vec<Message>,
    pub(super) heard: Heard,
}

/// What failed, to be set up once more.
pub(super) struct Origin {
    pub(super) recipe: Arc<Recipe>,
    pub(super) repeatable: bool,
    pub(super) bwrap: Bwrap,
    /// What was written where bwrap's words went, by whomever.
    pub(super) written: Vec<u8>,
    /// Only bwrap's words would tell that the command did not run.
    pub(super) doubtful: bool,
    /// bwrap's words went to a pipe of ours: what is not known of them was not said.
    pub(super) piped: bool,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").finish_non_exhaustive()
    }
}

/// What was gathered when a launch failed.
pub(super) struct Gathered {
    pub(super) wording: Wording,
    pub(super) program: Option<ProgramProblem>,
    /// On the way to what bwrap did not find.
    pub(super) broken_link: Option<BrokenLink>,
    /// What the host said, if anybody wants to know.
    pub(super) host: Option<Host>,
    pub(super) command: String,
    pub(super) namespaces: Option<NamespaceIds>,
    pub(super) dropped: Vec<Feature>,
    pub(super) origin: Origin,
}

/// How a launch came out, of which nothing but the verdict is known.
pub(crate) fn outcome_of(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Refused => Outcome::Refused { signal: None },
        Verdict::SetupFailed => Outcome::SetupFailed { signal: None },
        Verdict::NotExecuted => Outcome::NotExecuted { signal: None },
        Verdict::Unknown => Outcome::Undecided(Undecided::StatusLost),
    }
}

impl Outcome {
    pub(super) fn verdict(self) -> Verdict {
        match self {
            Self::Refused { .. } => Verdict::Refused,
            Self::SetupFailed { .. } => Verdict::SetupFailed,
            Self::NotExecuted { .. } => Verdict::NotExecuted,
            Self::Ended(_) | Self::Undecided(_) => Verdict::Unknown,
        }
    }
}

impl Failure {
    pub(super) fn gathered(outcome: Outcome, gathered: Gathered) -> Self {
        let Gathered { wording, program, broken_link, host, command, namespaces, dropped, origin } = gathered;
        let sandbox = host.as_ref().map(|_| origin.recipe.sandbox.clone());
        let origin = Some(Arc::new(origin));
        let failure = Self {
            outcome,
            wording,
            program,
            broken_link,
            explanation: None,
            command,
            namespaces,
            dropped,
            origin,
        };
        match host {
            Some(host) => failure.explained(Arc::new(host), sandbox),
            None => failure,
        }
    }

    /// A failure made by hand, for tests of what handles it: how far the launch got, and what bwrap wrote to standard error.
    /// [`Verdict::Unknown`] makes one whose status was lost ([`Undecided::StatusLost`]).
    ///
    /// ```
    /// use bwrap_launch::diagnosis::Cause;
    /// use bwrap_launch::host::Host;
    /// use bwrap_launch::{Error, Failure, Verdict};
    /// let words = "bwrap: setting up uid map: Permission denied\n";
    /// let failure = Failure::new(Verdict::SetupFailed, words);
    /// assert!(failure.message().is_some() && failure.diagnosis().is_none());
    /// let failure = failure.with_host(Host::default(), None);
    /// assert!(failure.diagnosis().is_some());
    /// assert!(matches!(Error::from(failure), Error::SetupFailed(_)));
    /// ```
    #[must_use]
    pub fn new(verdict: Verdict, stderr: impl Into<Vec<u8>>) -> Self {
        let outcome = outcome_of(verdict);
        let words = stderr.into();
        let messages = Message::parse_all(&words);
        Self {
            outcome,
            wording: Wording { words: Text(words), messages, heard: Heard::Captured },
            program: None,
            broken_link: None,
            explanation: None,
            command: String::new(),
            namespaces: None,
            dropped: Vec::new(),
            origin: None,
        }
    }

    /// The same failure, explained by the facts of this host, and of what was asked for, if that is known.
    #[must_use]
    pub fn with_host(self, host: Host, sandbox: Option<&Sandbox>) -> Self {
        self.explained(Arc::new(host), sandbox.cloned())
    }

    fn explained(mut self, host: Arc<Host>, sandbox: Option<Sandbox>) -> Self {
        self.explanation = None;
        if self.undecided().is_none() {
            self.explanation = Some(Arc::new(Explanation::of_failure(self.symptom(), host, sandbox)));
        }
        self
    }

    /// Puts other words in the place of those that were known.
    pub(super) fn set_wording(&mut self, wording: Wording, broken_link: Option<BrokenLink>) {
        self.wording = wording;
        self.broken_link = broken_link;
        // what bwrap met before it came to the program
        if self.stage().is_some_and(|stage| stage != Stage::Exec) {
            self.program = None;
        }
        if let Some(explanation) = self.explanation.take() {
            let explanation = explanation.of_other_words(self.symptom());
            self.explanation = Some(Arc::new(explanation));
        }
        self.heed_monitor();
    }

    /// The same failure; it is undecided if only bwrap's words would tell that the command did not run, and they are still not
    /// known, or say nothing of the command.
    pub(super) fn or_doubted(mut self) -> Self {
        self.heed_monitor();
        if self.message().is_none() && self.origin.as_ref().is_some_and(|origin| origin.doubtful) {
            self.doubt();
        }
        self
    }

    /// Takes it back that the command did not run, if bwrap says that it failed to watch over it: whatever became of the command.
    fn heed_monitor(&mut self) {
        let watching = |message: &Message| message.stage() == Stage::Monitor;
        if matches!(self.outcome, Outcome::NotExecuted { .. }) && self.messages().iter().any(watching) {
            self.doubt();
        }
    }

    /// Nobody knows whether the command ran: then there is nothing to explain.
    fn doubt(&mut self) {
        self.outcome = Outcome::Undecided(Undecided::BwrapEndedEarly { status: 1 });
        (self.program, self.explanation) = (None, None);
    }

    /// Whether bwrap said something that is not known yet.
    pub(super) fn wants_words(&self) -> bool {
        self.had_words() && self.undecided().is_none() && self.wording.heard != Heard::Captured
    }

    /// How far the launch got, as the variants of [`Error`](crate::Error) say, too. [`Verdict::Unknown`] is that of
    /// [`Error::Undecided`](crate::Error::Undecided).
    ///
    /// ```
    /// use bwrap_launch::{Sandbox, Verdict};
    /// let error = Sandbox::new().ro_bind("/", "/").command("no-such-program").status().unwrap_err();
    /// assert_eq!(error.failure().unwrap().verdict(), Verdict::NotExecuted);
    /// ```
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.outcome.verdict()
    }

    /// What the host said when the launch failed, as the thread saw it that waited. `None` where nobody wanted to know
    /// ([`Explain::Nothing`](crate::Explain::Nothing)).
    #[must_use]
    pub fn host(&self) -> Option<&Host> {
        self.explanation.as_deref().map(Explanation::host)
    }
}

impl Failure {
    /// The message that ended bwrap: the first one that is not a warning. bwrap is several processes, and what others
    /// of them say after that are consequences.
    #[must_use]
    pub fn message(&self) -> Option<&Message> {
        decisive(&self.wording.messages)
    }

    /// Everything that bwrap said, warnings included, in order.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.wording.messages
    }

    /// The stage that bwrap was in, as far as its words tell.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        self.message().map(Message::stage)
    }

    /// bwrap's words as it wrote them.
    #[must_use]
    pub fn stderr(&self) -> &[u8] {
        &self.wording.words.0
    }

    /// Where its words were read.
    #[must_use]
    pub fn heard(&self) -> Heard {
        self.wording.heard
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

    /// Why the sandbox did not start, and what to change: the causes, from what the [host](Self::host) said when it failed. They are
    /// weighed when this is called first, which takes some microseconds. `None` where it cannot be known whether the command
    /// ran, and where nobody wanted to know ([`Explain::Nothing`](crate::Explain::Nothing)). Its `Display` is the whole report.
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
        self.explanation.as_deref().and_then(Explanation::diagnosis)
    }

    /// Whether the command's program is not there, as far as anything tells.
    pub(super) fn lacks_program(&self) -> bool {
        match &self.program {
            Some(problem) => {
                matches!(problem, ProgramProblem::NotFound { .. } | ProgramProblem::DanglingLink { .. })
            }
            None => self.diagnosis().and_then(Diagnosis::cause) == Some(Cause::ProgramMissing),
        }
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
        let (messages, program) = (self.wording.messages.clone(), self.program.clone());
        let piped = self.origin.as_ref().is_none_or(|origin| origin.piped);
        Symptom {
            verdict: self.verdict(),
            messages,
            program,
            broken_link: self.broken_link.clone(),
            signal: self.signal(),
            errno: None,
            // the host itself is asked
            told: None,
            denials: Vec::new(),
            passed: Vec::new(),
            unheard: !piped && self.had_words() && self.wording.heard == Heard::Lost,
        }
    }

    /// The signal that ended bwrap, or the process inside before it became the command.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        match self.outcome {
            Outcome::Refused { signal }
            | Outcome::SetupFailed { signal }
            | Outcome::NotExecuted { signal } => signal,
            Outcome::Undecided(Undecided::BwrapKilled { signal }) => Some(signal),
            Outcome::Ended(_) | Outcome::Undecided(_) => None,
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
        match self.outcome {
            Outcome::Undecided(why) => Some(why),
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
        let finding = self.diagnosis().and_then(|diagnosis| diagnosis.causes.first());
        let finding = finding.filter(|finding| finding.cause != Cause::Unexplained);
        if let (Some(problem), Some(finding)) = (&self.program, finding) {
            return format!("{problem} [{}]", finding.cause.code());
        }
        if let Some(finding) = finding {
            let unsure = finding.confidence == Confidence::Low || self.heard() == Heard::Overheard;
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
            (None, None, None) => match self.outcome {
                Outcome::NotExecuted { .. } => {
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
        f.write_str(&visible::line(&self.sentence()))
    }
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
            Self::BwrapEndedEarly { status } => write!(
                f,
                "bwrap ended with status {status} and reported no command, but without a word that can be read back, before a process \
                 of the sandbox, or with other limits than it had: the command may have run, and have brought this about; pipe \
                 standard error (Stdio::piped()) to have bwrap's words; a PID namespace (--unshare-pid) and a filter \
                 (Filter::hardened) keep the command away from bwrap"
            ),
            Self::Contradiction { status } => write!(
                f,
                "bwrap ended with, or reported, status {status}, which contradicts what else was seen: the command got hold \
                 of bwrap's descriptors, or this is no bwrap"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_whatever_is_in_a_path() {
        let sandbox = Sandbox::new().ro_bind("/a\nb\x1b[31m\u{2028}\u{9b}\u{202e}", "/usr");
        let words =
            b"bwrap: Can't find source path /a\nb\x1b[31m\xe2\x80\xa8\xc2\x9b\xe2\x80\xae: No such file or directory\n";
        let mut failure = Failure::new(Verdict::SetupFailed, words);
        let escaped = "/a\\nb\\u{1b}[31m\\u{2028}\\u{9b}\\u{202e}";
        let check = |failure: &Failure| {
            let line = failure.to_string();
            assert!(line.contains(escaped) && !line.contains(|c: char| c.is_control()), "{line:?}");
        };
        check(&failure);
        failure = failure.with_host(Host::default(), Some(&sandbox));
        let shown = failure.to_string();
        let (cause, said) = shown.split_once("(bwrap: ").unwrap();
        assert!(cause.contains(escaped) && said.contains(escaped), "{shown}");
        check(&failure);
        failure.outcome = Outcome::Undecided(Undecided::StatusLost);
        check(&failure);
        failure.outcome = Outcome::NotExecuted { signal: None };
        failure.program = Some(ProgramProblem::IsDirectory("/a\nb\x1b[31m\u{2028}\u{9b}\u{202e}".into()));
        check(&failure);
    }
}
