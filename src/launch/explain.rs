//! From a failure to its diagnosis: the facts are taken when a launch fails, the causes are weighed when somebody asks.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::bwrap::BwrapError;
use crate::diagnosis::{Cause, Diagnosis, Symptom, Verdict, diagnose};
use crate::host::{Fact, Host, Program};
use crate::sandbox::Sandbox;

/// How much is done, when a launch fails, to be able to say why.
///
/// The verdict costs nothing in any case.
///
/// ```
/// use bwrap_launch::{Explain, Sandbox, Stdio};
/// let mut command = Sandbox::new().ro_bind("/nonexistent", "/").command("true");
/// let error = command.stderr(Stdio::null()).explain(Explain::Nothing).status().unwrap_err();
/// assert!(error.failure().unwrap().diagnosis().is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Explain {
    /// Nothing: a failure has its verdict, and the words that were captured.
    Nothing,
    /// What the [`host`](crate::host) says is read at the moment of the failure, which takes less than a millisecond; of a program
    /// that could not be executed, its files are looked at. What is done unless somebody says otherwise.
    Facts,
    /// That, and where bwrap's words cannot be read back, it is asked for them once more, for 5 s at most
    /// ([`Failure::ask_again`](crate::Failure::ask_again)). What [`status`](crate::Command::status) and
    /// [`output`](crate::Command::output) do unless somebody says otherwise.
    AskAgain,
}

/// What the host said when something failed, and why it failed, weighed when somebody asks.
pub struct Explanation {
    symptom: Symptom,
    host: Arc<Host>,
    sandbox: Option<Sandbox>,
    /// That nothing explains it is worth saying.
    always: bool,
    diagnosis: OnceLock<Diagnosis>,
}

impl Explanation {
    /// Of a launch that failed.
    pub(super) fn of_failure(symptom: Symptom, host: Arc<Host>, sandbox: Option<Sandbox>) -> Self {
        Self { symptom, host, sandbox, always: true, diagnosis: OnceLock::new() }
    }

    /// The same, once it is known what else bwrap said.
    pub(super) fn of_other_words(&self, symptom: Symptom) -> Self {
        let (host, sandbox) = (Arc::clone(&self.host), self.sandbox.clone());
        Self { symptom, host, sandbox, always: self.always, diagnosis: OnceLock::new() }
    }

    /// Of a bwrap that the system refused to start, with this error number. Reads the host.
    pub(super) fn of_errno(errno: i32) -> Self {
        let symptom = Symptom { errno: Some(errno), ..Symptom::default() };
        Self::of_launch(symptom, Host::snapshot())
    }

    /// Of a bwrap that is not usable, if that may be a matter of the host. Reads the host.
    pub(super) fn of_bwrap(error: &BwrapError) -> Option<Self> {
        let mut symptom = Symptom::default();
        let path = match error {
            BwrapError::Unusable { path, source } => {
                symptom.errno = Some(source.raw_os_error()?);
                path
            }
            BwrapError::Refuses { path, message } => {
                symptom.verdict = Verdict::Refused;
                symptom.messages.push((**message).clone());
                path
            }
            _ => return None,
        };
        let mut host = Host::snapshot_for(path, "");
        // a directory on the way can keep us from looking at it: which one is meant is known all the same
        if symptom.errno == Some(libc::EACCES) && host.bwrap.present().is_none() {
            host.bwrap = Fact::Present(Program::new(path, ""));
        }
        Some(Self::of_launch(symptom, host))
    }

    fn of_launch(symptom: Symptom, host: Host) -> Self {
        let host = Arc::new(host);
        Self { symptom, host, sandbox: None, always: false, diagnosis: OnceLock::new() }
    }

    /// What the host said.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Why it failed, and what to change.
    #[must_use]
    pub fn diagnosis(&self) -> Option<&Diagnosis> {
        let weigh = || diagnose(&self.symptom, &self.host, self.sandbox.as_ref());
        let diagnosis = self.diagnosis.get_or_init(weigh);
        (self.always || diagnosis.cause() != Some(Cause::Unexplained)).then_some(diagnosis)
    }
}

impl fmt::Debug for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explanation").field("symptom", &self.symptom).finish_non_exhaustive()
    }
}
