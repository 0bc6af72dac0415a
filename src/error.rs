//! The one error, the one result.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::bwrap::{BwrapError, MissingOption, ParseError};
use crate::diagnosis::{Cause, Diagnosis, Symptom, Verdict, diagnose};
use crate::host::Host;
use crate::launch::Failure;
use crate::sandbox::{Invalid, UnsupportedArchitecture};

/// Starting bwrap: whatever the system says to that is about starting it.
const STARTS: &[&str] = &["start bwrap", "start the keeper thread"];

/// What a launch opens for bwrap before it starts it. That no more can be opened is about launching; the rest is about a
/// single file or descriptor.
const OPENS: &[&str] = &[
    "make a file's content",
    "make a pipe",
    "make the descriptors that watch bwrap",
    "make the ready socket",
    "open /dev/null",
    "read a seccomp filter",
    "use a descriptor that was given by number",
    "write a filter",
    "write bwrap's arguments",
];

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
    /// The system denied something that a launch needs, or waiting for it, or its end. The action tells how far it was:
    /// what comes before bwrap is started launched nothing, and a sandbox that could not be completed was ended again;
    /// waiting and reading output may fail while the command runs, or after it did.
    #[error("could not {action}: {source}")]
    System {
        /// What was attempted, such as `start bwrap`.
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
    /// ([`Failure::diagnosis`]); if bwrap could not be started at all, the host is looked at now. `None` for what is no
    /// matter of the host: a description that is wrong, or an [`Error::System`] once bwrap was started.
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
        if let Some(failure) = self.failure() {
            return failure.diagnosis().cloned();
        }
        let (symptom, bwrap) = self.symptom()?;
        let host = bwrap.map_or_else(Host::snapshot, |path| Host::snapshot_for(path, ""));
        let diagnosis = diagnose(&symptom, &host, None);
        (diagnosis.cause() != Some(Cause::Unexplained)).then_some(diagnosis)
    }

    /// What is to be explained where no bwrap got as far as a sandbox, and the bwrap that is meant, if that is known.
    fn symptom(&self) -> Option<(Symptom, Option<&Path>)> {
        let mut symptom = Symptom::default();
        let bwrap = match self {
            Self::System { action, source } => {
                symptom.errno = Some(launch_errno(action, source)?);
                None
            }
            Self::Bwrap(error) => match &**error {
                BwrapError::Unusable { path, source } => {
                    symptom.errno = Some(source.raw_os_error()?);
                    Some(path.as_path())
                }
                BwrapError::Refuses { path, message } => {
                    symptom.verdict = Verdict::Refused;
                    symptom.messages.push((**message).clone());
                    Some(path.as_path())
                }
                _ => return None,
            },
            _ => return None,
        };
        Some((symptom, bwrap))
    }

    /// Whether there was no bwrap that could have said or done anything.
    fn launched_nothing(&self) -> bool {
        match self {
            Self::System { action, .. } => STARTS.contains(action) || OPENS.contains(action),
            Self::Bwrap(error) => matches!(**error, BwrapError::Unusable { .. }),
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
        let diagnosis = self.diagnosis().map(|diagnosis| diagnosis.to_string());
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

/// The error number with which the system refused to start bwrap, if what was attempted is about that.
fn launch_errno(action: &str, source: &io::Error) -> Option<i32> {
    let errno = source.raw_os_error()?;
    let full = matches!(errno, libc::EMFILE | libc::ENFILE);
    (STARTS.contains(&action) || full && OPENS.contains(&action)).then_some(errno)
}

impl From<BwrapError> for Error {
    fn from(error: BwrapError) -> Self {
        Self::Bwrap(Arc::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is attempted once bwrap was started.
    const LATER: &[&str] = &[
        "kill the sandbox",
        "map the sandbox's ids",
        "read the command's output",
        "start the command",
        "wait for bwrap",
        "watch bwrap",
    ];

    fn denied(action: &'static str, errno: i32) -> Error {
        Error::system(action)(io::Error::from_raw_os_error(errno))
    }

    #[test]
    fn every_action_is_known() {
        let sources = [
            include_str!("launch/child.rs"),
            include_str!("launch/command.rs"),
            include_str!("launch/keeper.rs"),
            include_str!("launch/prepared.rs"),
            include_str!("launch/start.rs"),
            include_str!("launch/table.rs"),
        ];
        let used =
            |action: &&str| sources.iter().any(|text| text.contains(&format!("Error::system(\"{action}\")")));
        let known: Vec<&str> = [STARTS, OPENS, LATER].concat();
        assert_eq!(known.iter().filter(|action| !used(action)).collect::<Vec<_>>(), [&""; 0]);
        for text in sources.iter().flat_map(|text| text.split("Error::system(").skip(1)) {
            let action = text.strip_prefix('"').and_then(|text| text.split_once('"')).unwrap().0;
            assert!(known.contains(&action), "{action}: before or after bwrap is started?");
        }
    }

    #[test]
    fn what_is_denied_before_bwrap_is_diagnosed() {
        for (action, errno, cause) in [
            ("start bwrap", libc::EAGAIN, Cause::ProcessLimit),
            ("start the keeper thread", libc::EAGAIN, Cause::ProcessLimit),
            ("start bwrap", libc::EMFILE, Cause::DescriptorLimit),
            ("make a pipe", libc::EMFILE, Cause::DescriptorLimit),
            ("read a seccomp filter", libc::ENFILE, Cause::DescriptorLimit),
        ] {
            let error = denied(action, errno);
            let diagnosis = error.diagnosis().unwrap();
            assert_eq!((diagnosis.cause(), diagnosis.verdict), (Some(cause), Verdict::Unknown), "{action}");
            let report = error.report();
            let start = format!("{error}\nNothing was launched.\n\nCause: ");
            assert!(report.starts_with(&start) && report.contains("What to do"), "{report}");
            assert!(
                !report.contains("refused to make") && !report.contains("reported a failure"),
                "{report}"
            );
        }
        let error = denied("start bwrap", libc::E2BIG);
        assert_eq!(error.report(), format!("{error}\nNothing was launched.\n"));
    }

    #[test]
    fn what_is_denied_otherwise_is_no_matter_of_starting_bwrap() {
        // a filter's descriptor that does not block, a device that is forbidden
        for action in OPENS {
            for errno in [libc::EAGAIN, libc::EPERM, libc::EBADF] {
                let error = denied(action, errno);
                assert!(error.diagnosis().is_none(), "{action}");
                assert_eq!(error.report(), format!("{error}\nNothing was launched.\n"));
            }
        }
        // bwrap runs by then, or has run
        for action in LATER {
            for errno in [libc::EAGAIN, libc::EMFILE, libc::ENFILE, libc::EPERM] {
                let error = denied(action, errno);
                assert!(error.diagnosis().is_none(), "{action}");
                assert_eq!(error.report(), format!("{error}\n"));
            }
        }
        let unusable = |errno| {
            let source = io::Error::from_raw_os_error(errno);
            Error::from(BwrapError::Unusable { path: "/bin/sh".into(), source })
        };
        assert!(unusable(libc::EAGAIN).report().contains("\nNothing was launched.\n\nCause: "));
        assert!(unusable(libc::EACCES).report().ends_with("\nNothing was launched.\n"));
    }
}
