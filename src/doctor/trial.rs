//! One trial: a sandbox is set up completely, and what cannot be executed is executed in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bwrap::{Bwrap, Message, Stage};
use crate::diagnosis::{Cause, Diagnosis};
use crate::launch::{Command, Error, Stdio, Streams};
use crate::sandbox::Problem;

/// What came of a sandbox that was tried.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TrialOutcome {
    /// It was set up completely, up to the execution of a command.
    Works,
    /// It could not be set up.
    Failed {
        /// How it failed.
        error: Error,
        /// Why, and what to change, as far as there is something to say ([`Error::diagnosis`]).
        diagnosis: Option<Arc<Diagnosis>>,
    },
    /// It was not ready in time.
    TimedOut,
}

impl TrialOutcome {
    /// Whether it was set up.
    ///
    /// ```
    /// use bwrap_launch::doctor::TrialOutcome;
    /// assert!(TrialOutcome::Works.works() && !TrialOutcome::TimedOut.works());
    /// ```
    #[must_use]
    pub fn works(&self) -> bool {
        matches!(self, Self::Works)
    }

    pub(super) fn failed(error: Error) -> Self {
        Self::Failed { diagnosis: error.diagnosis().cloned().map(Arc::new), error }
    }

    /// What came of it on one screen ([`Diagnosis::brief`]). `Display` says all of it.
    ///
    /// ```
    /// use bwrap_launch::doctor::TrialOutcome;
    /// assert_eq!(TrialOutcome::Works.brief(), "It works.\n");
    /// ```
    #[must_use]
    pub fn brief(&self) -> String {
        match self {
            Self::Failed { error, diagnosis: Some(diagnosis) } if error.failure().is_some() => {
                diagnosis.brief()
            }
            Self::Failed { error, diagnosis: Some(diagnosis) } => format!("{error}\n\n{}", diagnosis.brief()),
            _ => self.to_string(),
        }
    }

    /// Why it could not be set up, as far as there is something to say.
    ///
    /// ```
    /// use bwrap_launch::doctor::TrialOutcome;
    /// assert!(TrialOutcome::TimedOut.diagnosis().is_none());
    /// ```
    #[must_use]
    pub fn diagnosis(&self) -> Option<&Diagnosis> {
        match self {
            Self::Failed { diagnosis, .. } => diagnosis.as_deref(),
            _ => None,
        }
    }
}

/// There in every root, and never executed, since it is a directory.
pub(super) const NO_PROGRAM: &str = "/";

/// Tries a launch of [`NO_PROGRAM`].
pub(super) fn try_until(bwrap: &Bwrap, command: &Command, deadline: Instant) -> TrialOutcome {
    let held = held(bwrap, command, deadline);
    if held.works() {
        return not_by_chance(held, command, || bare(bwrap, command, deadline));
    }
    let TrialOutcome::Failed { error, diagnosis } = &held else { return held };
    if !is_ours(command, error, diagnosis.as_ref().and_then(|diagnosis| diagnosis.cause())) {
        return held;
    }
    match bare(bwrap, command, deadline) {
        // what was to be read was read
        TrialOutcome::Failed { error: Error::Invalid(_), .. } => held,
        bare => bare,
    }
}

/// How often a sandbox with lock files is tried: its process 1 opens them beside the command, and in a trial mostly comes first.
const LOCKED: usize = 4;

/// Whether it works each time, as far as lock files go. Content that was read is gone by then, but that fails otherwise.
fn not_by_chance(works: TrialOutcome, command: &Command, attempt: impl Fn() -> TrialOutcome) -> TrialOutcome {
    if command.get_sandbox().lifetime.lock_files.is_empty() {
        return works;
    }
    let lock = |outcome: &TrialOutcome| {
        outcome.diagnosis().and_then(Diagnosis::cause) == Some(Cause::LockFileFailed)
    };
    (1..LOCKED).map(|_| attempt()).find(lock).unwrap_or(works)
}

/// How long the kernel may count a namespace whose last process has ended.
const LINGERS: Duration = Duration::from_millis(100);

/// Tries once more what is out of namespaces, where one of those `before` may count still.
pub(super) fn again(before: bool, attempt: impl Fn() -> TrialOutcome) -> TrialOutcome {
    let outcome = attempt();
    let cause = outcome.diagnosis().and_then(Diagnosis::cause);
    if !before || !matches!(cause, Some(Cause::NoUserNamespacesAllowed | Cause::NamespaceLimit)) {
        return outcome;
    }
    std::thread::sleep(LINGERS);
    attempt()
}

/// Whether the failure may be about what the trial adds to a launch: the filter that is its gate, and descriptors of its own.
fn is_ours(command: &Command, error: &Error, cause: Option<Cause>) -> bool {
    let filters = !command.get_sandbox().privileges.filters.is_empty();
    match error {
        Error::Invalid(invalid) => {
            matches!(invalid.problem, Problem::Conflict("prepare", _) | Problem::TooManyWords { .. })
        }
        _ => match cause {
            Some(Cause::FilterRejected) => !filters,
            Some(Cause::DescriptorLimit) => true,
            _ => false,
        },
    }
}

/// Held complete at the gate first: then nothing is left of one that hangs.
fn held(bwrap: &Bwrap, command: &Command, deadline: Instant) -> TrialOutcome {
    let mut command = command.clone();
    // not /dev/null, which a sandbox around us may lack
    command.bwrap(bwrap).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    judge(match command.prepare_until(Streams::Null, Some(deadline)) {
        // what comes after the gate can fail, too: the working directory, the process that is to be the first
        Ok(Some(prepared)) => {
            prepared.start().and_then(|mut child| child.wait_until(Some(deadline)).map(|it| it.is_some()))
        }
        Ok(None) => Ok(false),
        Err(error) => Err(error),
    })
}

/// As a launch is, with no more than that.
fn bare(bwrap: &Bwrap, command: &Command, deadline: Instant) -> TrialOutcome {
    let mut command = command.clone();
    command.bwrap(bwrap).stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::piped());
    let ended = command.spawn().and_then(|mut child| child.wait_until(Some(deadline)));
    judge(ended.map(|it| it.is_some()))
}

/// What came of it, from whether it ended in time.
fn judge(ended: Result<bool, Error>) -> TrialOutcome {
    match ended {
        Ok(true) => TrialOutcome::Works,
        Ok(false) => TrialOutcome::TimedOut,
        Err(Error::NotExecuted(failure)) if failure.message().is_some_and(is_the_end) => TrialOutcome::Works,
        Err(error) => TrialOutcome::failed(error),
    }
}

/// Whether nothing but [`NO_PROGRAM`] is to blame.
fn is_the_end(message: &Message) -> bool {
    message.stage() == Stage::Exec
        && message.subject() == Some(NO_PROGRAM.as_ref())
        && message.errno().and_then(crate::Errno::code) == Some(libc::EACCES)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn ends(stderr: &str) -> bool {
        is_the_end(Message::parse_all(stderr.as_bytes()).first().unwrap())
    }

    #[test]
    fn what_a_wrapper_says_afterwards_is_no_failure() {
        for stderr in [
            "bwrap: execvp /: Permission denied\n",
            "bwrap: execvp /: Permission denied\nfinished: 1\n",
            "bwrap: execvp /: Permission denied\n\nreal\t0m0.010s\nuser\t0m0.001s\nsys\t0m0.004s\n",
        ] {
            assert!(ends(stderr), "{stderr}");
        }
    }

    #[test]
    fn other_ends_are_failures() {
        for stderr in [
            "bwrap: execvp /: No such file or directory\nfinished: 1\n",
            "bwrap: execvp /usr: Permission denied\n",
            "bwrap: execvp /\nx: Permission denied\n",
            "bwrap: Can't find source path /: Permission denied\nexecvp /: Permission denied\n",
            "bwrap: Creating new namespace failed: Permission denied\n",
        ] {
            assert!(!ends(stderr), "{stderr}");
        }
    }
}
