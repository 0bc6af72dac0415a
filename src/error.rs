//! The one error, the one result.

use std::io;
use std::sync::Arc;

use crate::bwrap::{BwrapError, MissingOption, ParseError};
use crate::diagnosis::{Cause, Diagnosis, Symptom, Verdict, diagnose};
use crate::host::Host;
use crate::launch::Failure;
use crate::sandbox::{Invalid, UnsupportedArchitecture};

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
    /// There is no usable bwrap.
    #[error(transparent)]
    Bwrap(#[from] Arc<BwrapError>),
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
    /// The system denied something that the launch needs; nothing was launched, or it was ended again.
    #[error("could not {action}: {source}")]
    System {
        /// What was attempted.
        action: &'static str,
        /// What the system said.
        source: Arc<io::Error>,
    },
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
}

impl Error {
    pub(crate) fn system(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { action, source: Arc::new(source) }
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

    /// Why the sandbox did not start, and what to change. Of a launch that failed it was found out then
    /// ([`Failure::diagnosis`]); if bwrap could not be started at all, the host is looked at now.
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
    pub fn diagnosis(&self) -> Option<Diagnosis> {
        let mut symptom = Symptom { verdict: Verdict::Refused, ..Symptom::default() };
        let path = match self {
            Self::System { source, .. } => {
                symptom.errno = source.raw_os_error();
                None
            }
            Self::Bwrap(error) => match &**error {
                BwrapError::Unusable { path, source } => {
                    symptom.errno = source.raw_os_error();
                    Some(path)
                }
                BwrapError::Refuses { path, message } => {
                    symptom.messages.push((**message).clone());
                    Some(path)
                }
                _ => return None,
            },
            _ => return self.failure()?.diagnosis().cloned(),
        };
        let host = match path {
            Some(path) => Host::snapshot_for(path, ""),
            None => Host::snapshot(),
        };
        let diagnosis = diagnose(&symptom, &host, None);
        (diagnosis.cause() != Some(Cause::Unexplained)).then_some(diagnosis)
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
        let mut report = match (self.failure(), self.diagnosis()) {
            (Some(_), Some(diagnosis)) => diagnosis.to_string(),
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

impl From<BwrapError> for Error {
    fn from(error: BwrapError) -> Self {
        Self::Bwrap(Arc::new(error))
    }
}
