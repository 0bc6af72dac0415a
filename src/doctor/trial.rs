//! One trial: a sandbox is set up completely, and what cannot be executed is executed in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::TrialOutcome;
use crate::bwrap::{Bwrap, Message, Stage};
use crate::diagnosis::{Cause, Diagnosis};
use crate::launch::{Command, Error, Stdio, Streams};
use crate::sandbox::Problem;

/// There in every root, and never executed, since it is a directory.
pub(super) const NO_PROGRAM: &str = "/";

/// Tries a launch of [`NO_PROGRAM`].
pub(super) fn try_until(bwrap: &Bwrap, command: &Command, deadline: Instant) -> TrialOutcome {
    let held = held(bwrap, command, deadline);
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

impl TrialOutcome {
    pub(super) fn failed(error: Error) -> Self {
        Self::Failed { diagnosis: error.diagnosis().cloned().map(Arc::new), error }
    }
}
