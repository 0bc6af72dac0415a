//! The one error, the one result. No I/O.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::ending::{Ending, Stop};
use super::explain::Explanation;
use super::failure::Failure;
use super::handshake::{Outcome, Undecided};
use super::limits::Unapplied;
use super::output::ExitStatus;
use crate::bwrap::{BwrapError, MissingOption, ParseError};
use crate::diagnosis::{Diagnosis, Verdict};
use crate::sandbox::{Invalid, UnsupportedArchitecture};

macro_rules! steps {
    ($($name:ident $text:literal $when:ident)+) => {
        /// What was attempted when the system denied something ([`Error::System`]). `Display` says it in words: `start bwrap`.
        ///
        /// ```
        /// use bwrap_launch::Step;
        /// assert!(!Step::StartBwrap.launched() && Step::WaitForBwrap.launched());
        /// assert_eq!(Step::StartBwrap.to_string(), "start bwrap");
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Step {
            $(#[doc = concat!("Could not ", $text, ".")] $name,)+
        }

        impl Step {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name),+];

            fn words(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            fn when(self) -> When {
                match self { $(Self::$name => When::$when,)+ }
            }
        }
    };
}

/// How far a launch is at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Something is opened for bwrap: that no more can be opened is about launching, the rest about a single file.
    Opening,
    /// bwrap is started: whatever the system says to that is about starting it.
    Starting,
    /// bwrap was started, and ended again before it could execute the command.
    Undone,
    /// The command may run, or have run.
    Launched,
}

steps! {
    EnterRuntime "enter a Tokio runtime" Opening
    MakeContent "make a file's content" Opening
    MakePipe "make a pipe" Opening
    MakeWitnesses "make the descriptors that watch bwrap" Opening
    MakeReadySocket "make the ready socket" Opening
    OpenNull "open /dev/null" Opening
    OpenTerminal "open a terminal" Opening
    ReadFilter "read a seccomp filter" Opening
    UseDescriptor "use a descriptor that was given by number" Opening
    WriteFilter "write a filter" Opening
    WriteArguments "write bwrap's arguments" Opening
    StartBwrap "start bwrap" Starting
    StartKeeper "start the keeper thread" Starting
    StartPool "start a pool's thread" Starting
    WatchBwrap "watch bwrap" Launched
    MapIds "map the sandbox's ids" Undone
    WaitForBwrap "wait for bwrap" Launched
    StartCommand "start the command" Undone
    ReadOutput "read the command's output" Launched
    PassOutputOn "pass the command's output on" Launched
    Kill "kill the sandbox" Launched
    Signal "send a signal to the sandbox" Launched
    ListProcesses "list the sandbox's processes" Launched
    Limit "limit the sandbox's time" Launched
    StartWatchdog "start the watchdog, which ends sandboxes with their caller" Undone
}

impl Step {
    /// Whether bwrap was started. A sandbox that could not be completed then was ended again; waiting and reading output may
    /// fail while the command runs, or after it did.
    #[must_use]
    pub fn launched(self) -> bool {
        matches!(self.when(), When::Undone | When::Launched)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// What this crate's operations return.
///
/// ```
/// use bwrap_launch::{Result, Sandbox};
/// fn greet(sandbox: &Sandbox) -> Result<Vec<u8>> {
///     Ok(sandbox.command("echo").arg("hello").output()?.stdout)
/// }
/// assert_eq!(greet(&Sandbox::new().ro_bind("/", "/"))?, b"hello\n");
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command did not run, or why it cannot be known whether it did.
///
/// A command that ran, whatever its status, is not an error: its [`ExitStatus`](crate::ExitStatus) is a
/// success of the launch. So the four kinds of [`Failure`] can never be mistaken for a failed command.
///
/// ```
/// use bwrap_launch::{Error, Sandbox};
/// let sandbox = Sandbox::new().ro_bind("/nonexistent", "/usr");
/// match sandbox.command("true").status() {
///     Ok(status) => println!("the command ran: {status}"),
///     Err(Error::SetupFailed(failure)) => {
///         assert_eq!(failure.message().unwrap().path().unwrap(), "/nonexistent");
///     }
///     Err(error) => println!("{error}"),
/// }
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no usable bwrap; nothing was launched.
    #[error("{source}")]
    #[non_exhaustive]
    Bwrap {
        /// What is wrong with it.
        source: Arc<BwrapError>,
        /// What the host says to that, if a launch met it.
        explanation: Option<Arc<Explanation>>,
    },
    /// The bwrap at hand lacks an option.
    #[error(transparent)]
    MissingOption(#[from] MissingOption),
    /// The description cannot work; nothing was launched.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The arguments describe no sandbox.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// There is no terminal filter for this machine.
    #[error(transparent)]
    UnsupportedArchitecture(#[from] UnsupportedArchitecture),
    /// The system denied something that a launch needs, or waiting for it, or its end. [`Step::launched`] says whether
    /// anything was launched.
    #[error("could not {step}: {source}")]
    #[non_exhaustive]
    System {
        /// What was attempted.
        step: Step,
        /// What the system said.
        source: Arc<io::Error>,
        /// What the host says to that, where bwrap could not be started.
        explanation: Option<Arc<Explanation>>,
    },
    /// A limit that must hold could not be set; the command did not run.
    #[error(transparent)]
    Limit(Arc<Unapplied>),
    /// bwrap made no sandbox: it refused its arguments, lacks privileges, or got no namespaces. The command
    /// did not run.
    #[error("bwrap refused to make the sandbox: {0}")]
    Refused(Arc<Failure>),
    /// The sandbox could not be set up: ids, network or mounts. The command did not run.
    #[error("the sandbox could not be set up: {0}")]
    SetupFailed(Arc<Failure>),
    /// The sandbox was set up, but the command could not be executed in it. It did not run.
    #[error("the command could not be executed in the sandbox: {0}")]
    NotExecuted(Arc<Failure>),
    /// It cannot be known whether the command ran, or how it ended; the failure says why.
    #[error("it cannot be known whether the command ran: {0}")]
    Undecided(Arc<Failure>),
    /// This crate stopped it, because somebody asked for that or a time limit had come, before the command ran, or before it was known
    /// how that ended ([`Verdict::Unknown`]). A command that ran and was stopped has a status instead, which says so
    /// ([`ExitStatus::stopped`](crate::ExitStatus::stopped)).
    #[error("{}: {why}", stopped(*verdict))]
    #[non_exhaustive]
    Stopped {
        /// Why.
        why: Stop,
        /// How far the launch had got.
        verdict: Verdict,
    },
}

fn stopped(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Unknown => "it was stopped, and whether the command ran is not known",
        _ => "it was stopped before the command ran",
    }
}

impl Error {
    /// What became of a launch that was stopped before there was a status.
    pub(super) fn stopped(why: Stop, outcome: Outcome) -> Self {
        Self::Stopped { why, verdict: outcome.verdict() }
    }

    pub(crate) fn system(step: Step) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { step, source: Arc::new(source), explanation: None }
    }

    /// What is known of a launch that did not lead to a command's exit status.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let error = Sandbox::new().ro_bind("/", "/").command("no-such-program").status().unwrap_err();
    /// assert!(error.failure().is_some());
    /// // nothing was launched, so there is nothing to know
    /// let error = Sandbox::new().ro_bind("/", "").command("true").status().unwrap_err();
    /// assert!(error.failure().is_none());
    /// ```
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Refused(failure)
            | Self::SetupFailed(failure)
            | Self::NotExecuted(failure)
            | Self::Undecided(failure) => Some(failure),
            _ => None,
        }
    }

    /// The same in one word: [`Ending::NotRun`] for all that kept the command from running.
    ///
    /// ```
    /// use bwrap_launch::{Ending, Sandbox};
    /// let error = Sandbox::new().ro_bind("/nonexistent", "/").command("true").status().unwrap_err();
    /// assert_eq!(error.ending(), Ending::NotRun);
    /// ```
    #[must_use]
    pub fn ending(&self) -> Ending {
        match self {
            Self::Stopped { why, .. } => Ending::Stopped(*why),
            Self::Undecided(failure) => match failure.undecided() {
                Some(Undecided::BwrapKilled { signal }) => Ending::BwrapKilled { signal },
                _ => Ending::Unknown,
            },
            // waiting, or reading its output, failed: it may run
            Self::System { step, .. } if step.when() == When::Launched => Ending::Unknown,
            _ => Ending::NotRun,
        }
    }

    /// What a program exits with that was to run the command and did not, as `env(1)` and `timeout(1)` do: 127 if the command's program
    /// is not there, 126 if it cannot be executed, 125 if there was no sandbox, also because a time limit has passed before the command,
    /// 124 if it is not known whether the command ran, or ran on. (A command that `timeout(1)` itself has stopped is its 124, too.)
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let sandbox = Sandbox::new().ro_bind("/", "/");
    /// let exit_status = |program: &str| match sandbox.command(program).status() {
    ///     Ok(status) => status.raw(),
    ///     Err(error) => error.exit_status(),
    /// };
    /// assert_eq!((exit_status("true"), exit_status("no-such-program"), exit_status("/etc")), (0, 127, 126));
    /// ```
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::NotExecuted(failure) if failure.lacks_program() => 127,
            Self::NotExecuted(_) => 126,
            Self::Undecided(_) | Self::Stopped { verdict: Verdict::Unknown, .. } => 124,
            _ if self.ending() == Ending::Unknown => 124,
            _ => 125,
        }
    }

    /// Why the sandbox did not start, and what to change, from what the host said at that moment. The causes are weighed when
    /// this is called first, which takes some microseconds. `None` for what is no matter of the host (a
    /// description that is wrong, an [`Error::System`] once bwrap was started), where it cannot be known whether the
    /// command ran, and where nobody wanted to know ([`Explain::Nothing`](crate::Explain::Nothing)).
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// use bwrap_launch::diagnosis::Cause;
    /// let error = Sandbox::new().ro_bind("/nonexistent", "/usr").command("true").status().unwrap_err();
    /// assert_eq!(error.diagnosis().unwrap().cause(), Some(Cause::SourceMissing));
    /// // the description itself is wrong, and says how
    /// let error = Sandbox::new().ro_bind("/", "").command("true").status().unwrap_err();
    /// assert!(error.diagnosis().is_none());
    /// ```
    #[must_use]
    pub fn diagnosis(&self) -> Option<&Diagnosis> {
        match self {
            Self::Bwrap { explanation, .. } | Self::System { explanation, .. } => {
                explanation.as_deref().and_then(Explanation::diagnosis)
            }
            _ => self.failure().and_then(Failure::diagnosis),
        }
    }

    /// Adds what the host says now, where no bwrap got as far as a sandbox. Reads the host, so it is for those who have just met
    /// the error; launches do it by themselves.
    ///
    /// ```
    /// use bwrap_launch::{Bwrap, Error};
    /// if let Err(error) = Bwrap::find() {
    ///     println!("{}", Error::from(error).explain_here().report());
    /// }
    /// ```
    #[must_use]
    pub fn explain_here(mut self) -> Self {
        match &mut self {
            Self::System { step, source, explanation } if explanation.is_none() => {
                *explanation =
                    launch_errno(*step, source).map(|errno| Arc::new(Explanation::of_errno(errno)));
            }
            Self::Bwrap { source, explanation } if explanation.is_none() => {
                *explanation = Explanation::of_bwrap(source).map(Arc::new);
            }
            _ => {}
        }
        self
    }

    /// Whether there was no bwrap that could have said or done anything.
    fn launched_nothing(&self) -> bool {
        match self {
            Self::System { step, .. } => !step.launched(),
            Self::Bwrap { source, .. } => matches!(**source, BwrapError::Unusable { .. }),
            _ => false,
        }
    }

    /// All that is known, for a terminal or a log: what happened, why, and what to do. `Display` is one line of it.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let error = Sandbox::new().ro_bind("/nonexistent", "/usr").command("true").status().unwrap_err();
    /// let report = error.report();
    /// assert!(report.contains("What to do") && report.contains("--ro-bind /nonexistent /usr"));
    /// ```
    #[must_use]
    pub fn report(&self) -> String {
        let diagnosis = self.diagnosis().map(ToString::to_string);
        let mut report = match (self.failure(), diagnosis) {
            (Some(_), Some(diagnosis)) => diagnosis,
            (None, diagnosis) if self.launched_nothing() => {
                format!("{self}\nNothing was launched.\n{}", diagnosis.unwrap_or_default())
            }
            (None, Some(diagnosis)) => format!("{self}\n\n{diagnosis}"),
            (_, None) => format!("{self}\n"),
        };
        if let Some(failure) = self.failure() {
            report.push_str("\nThe command line was:\n    ");
            report.push_str(failure.command_line());
            report.push('\n');
        }
        report
    }
}

impl Ending {
    /// How a launch ended, from whatever it returned: for one `match`, one line in a log, one column.
    ///
    /// ```
    /// use bwrap_launch::{Ending, Sandbox};
    /// let sandbox = Sandbox::new().ro_bind("/", "/");
    /// let result = sandbox.command("false").status();
    /// assert_eq!(Ending::of(&result), Ending::Exited(1));
    /// let result = sandbox.command("no-such-program").status();
    /// match Ending::of(&result) {
    ///     Ending::Exited(0) => println!("success"),
    ///     Ending::Exited(code) => println!("failure {code}"),
    ///     Ending::Stopped(why) => println!("stopped: {why}"),
    ///     // the job never ran: the host's fault, or the description's, and no reason to blame the job
    ///     Ending::NotRun => eprintln!("{}", result.unwrap_err().report()),
    ///     other => println!("{other}"),
    /// }
    /// ```
    #[must_use]
    pub fn of(result: &Result<ExitStatus>) -> Self {
        match result {
            Ok(status) => status.ending(),
            Err(error) => error.ending(),
        }
    }
}

/// The error number with which the system refused to start bwrap, if what was attempted is about that.
fn launch_errno(step: Step, source: &io::Error) -> Option<i32> {
    let errno = source.raw_os_error()?;
    let full = matches!(errno, libc::EMFILE | libc::ENFILE | libc::EFBIG);
    match step.when() {
        When::Starting => Some(errno),
        When::Opening if full => Some(errno),
        When::Opening | When::Undone | When::Launched => None,
    }
}

impl From<BwrapError> for Error {
    fn from(error: BwrapError) -> Self {
        Self::Bwrap { source: Arc::new(error), explanation: None }
    }
}

impl From<Unapplied> for Error {
    fn from(error: Unapplied) -> Self {
        Self::Limit(Arc::new(error))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let (verdict, failure) = (failure.verdict(), Arc::new(failure));
        match verdict {
            Verdict::Refused => Self::Refused(failure),
            Verdict::SetupFailed => Self::SetupFailed(failure),
            Verdict::NotExecuted => Self::NotExecuted(failure),
            Verdict::Unknown => Self::Undecided(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Cause;

    fn denied(step: Step, errno: i32) -> Error {
        Error::system(step)(io::Error::from_raw_os_error(errno)).explain_here()
    }

    #[test]
    fn what_nobody_knows_is_no_sandbox_that_was_missing() {
        let stopped = |verdict| Error::Stopped { why: Stop::Timeout, verdict };
        assert_eq!(stopped(Verdict::Unknown).exit_status(), 124);
        assert_eq!(stopped(Verdict::SetupFailed).exit_status(), 125);
    }

    #[test]
    fn what_is_denied_before_bwrap_is_diagnosed() {
        for (step, errno, cause) in [
            (Step::StartBwrap, libc::EAGAIN, Cause::ProcessLimit),
            (Step::StartKeeper, libc::EAGAIN, Cause::ProcessLimit),
            (Step::StartBwrap, libc::E2BIG, Cause::ArgumentsTooLong),
            (Step::StartBwrap, libc::EMFILE, Cause::DescriptorLimit),
            (Step::MakePipe, libc::EMFILE, Cause::DescriptorLimit),
            // a number that the limit forbids
            (Step::StartBwrap, libc::EBADF, Cause::DescriptorLimit),
            (Step::WriteArguments, libc::EFBIG, Cause::FileTooBig),
            (Step::ReadFilter, libc::ENFILE, Cause::DescriptorLimit),
        ] {
            let error = denied(step, errno);
            let diagnosis = error.diagnosis().unwrap();
            assert_eq!((diagnosis.cause(), diagnosis.verdict), (Some(cause), Verdict::Unknown), "{step}");
            let report = error.report();
            let start = format!("{error}\nNothing was launched.\n\nCause: ");
            assert!(report.starts_with(&start) && report.contains("What to do"), "{report}");
            assert!(
                !report.contains("refused to make") && !report.contains("reported a failure"),
                "{report}"
            );
        }
        let error = denied(Step::StartBwrap, libc::EIO);
        assert_eq!(error.report(), format!("{error}\nNothing was launched.\n"));
    }

    #[test]
    fn what_was_undone_before_the_command_could_begin_did_not_run() {
        for step in Step::ALL {
            let expected = if step.when() == When::Launched { Ending::Unknown } else { Ending::NotRun };
            assert_eq!(denied(*step, libc::ENOENT).ending(), expected, "{step}");
        }
        assert!(Step::MapIds.launched() && denied(Step::MapIds, libc::ENOENT).ending() == Ending::NotRun);
    }

    #[test]
    fn what_is_denied_otherwise_is_no_matter_of_starting_bwrap() {
        for step in Step::ALL.iter().copied().filter(|step| step.when() != When::Starting) {
            // a filter's descriptor that does not block, a device that is forbidden; or bwrap runs by then, or has run
            let mut numbers = vec![libc::EAGAIN, libc::EPERM, libc::EBADF];
            if step.launched() {
                numbers.extend([libc::EMFILE, libc::ENFILE]);
            }
            for errno in numbers {
                let error = denied(step, errno);
                assert!(error.diagnosis().is_none(), "{step}");
                let nothing = if step.launched() { "" } else { "Nothing was launched.\n" };
                assert_eq!(error.report(), format!("{error}\n{nothing}"));
            }
        }
        let unusable = |errno| {
            let source = io::Error::from_raw_os_error(errno);
            Error::from(BwrapError::Unusable { path: "/bin/sh".into(), source }).explain_here()
        };
        assert!(unusable(libc::EAGAIN).report().contains("\nNothing was launched.\n\nCause: "));
        assert!(unusable(libc::EACCES).report().contains("[CP08, BwrapNotExecutable"));
        assert!(unusable(libc::EIO).report().ends_with("\nNothing was launched.\n"));
    }
}
