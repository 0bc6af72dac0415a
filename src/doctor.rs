//! Before anything runs: will this machine start this sandbox, and is it able to start any?
//!
//! [`predict`] reads and reasons; [`probe`] and [`try_sandbox`] try, through the very same bwrap, and run nothing of
//! anybody's.

mod destinations;
mod foretell;
mod refused;
mod trial;

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::time::{Duration, Instant};

use rustix::process::getuid;

pub use self::trial::TrialOutcome;
use self::trial::{NO_PROGRAM, try_until};
use crate::bwrap::{Bwrap, Stage};
use crate::diagnosis::{self, Cause, Confidence, Finding, Outlook, Prediction, Symptom, Verdict};
use crate::host::Host;
use crate::launch::{Command, Error, Failure, Result, broken_link, outcome_of, program_problem};
use crate::sandbox::{Namespaces, Sandbox};

/// Says whether a sandbox will start here, from what the host says and from the files that the sandbox names: a few
/// milliseconds, and nothing is launched. Whether the command is there, [`predict_command`] says, too.
///
/// ```
/// use bwrap_launch::diagnosis::Outlook;
/// use bwrap_launch::{Bwrap, Sandbox, doctor};
/// let sandbox = Sandbox::new().ro_bind("/", "/").proc("/proc").unshare_all();
/// let prediction = doctor::predict(&Bwrap::find()?, &sandbox);
/// if prediction.outlook != Outlook::Starts {
///     eprintln!("{prediction}");
/// }
/// # Ok::<(), bwrap_launch::BwrapError>(())
/// ```
#[must_use]
pub fn predict(bwrap: &Bwrap, sandbox: &Sandbox) -> Prediction {
    predict_all(bwrap, &sandbox.command(NO_PROGRAM), false)
}

/// The same of a command in its sandbox: whether it is there and can be executed, with its interpreter and its loader.
///
/// ```
/// use bwrap_launch::diagnosis::Outlook;
/// use bwrap_launch::{Bwrap, Sandbox, doctor};
/// let command = Sandbox::new().ro_bind("/", "/").command("no-such-program");
/// let prediction = doctor::predict_command(&Bwrap::find()?, &command);
/// assert_eq!(prediction.outlook, Outlook::Fails);
/// assert!(prediction.brief().contains("no-such-program"));
/// # Ok::<(), bwrap_launch::BwrapError>(())
/// ```
#[must_use]
pub fn predict_command(bwrap: &Bwrap, command: &Command) -> Prediction {
    predict_all(bwrap, command, true)
}

fn predict_all(bwrap: &Bwrap, command: &Command, has_program: bool) -> Prediction {
    let host = Host::snapshot_for(bwrap.path(), bwrap.version_text());
    let (sandbox, refusal) = (command.get_sandbox(), command.refusal(bwrap));
    // its help says more than its version
    let lacks = matches!(refusal, Some(Error::MissingOption(_)));
    let mut prediction = diagnosis::predict_but(&host, sandbox, (!lacks).then_some(Cause::UnknownOption));
    let refused = refusal.and_then(|refusal| refused::finding(&host, sandbox, &refusal));
    let program = has_program.then(|| command.get_program());
    let seen = foretell::obstacles(&host, bwrap, sandbox, program);
    // files are there or not: nothing is uncertain about them
    let seen = seen.into_iter().map(|finding| (finding, true));
    let refused = refused.into_iter().map(|finding| {
        let sure = finding.confidence == Confidence::High;
        (finding, sure)
    });
    for (finding, sure) in refused.chain(seen) {
        let outlook = if sure { Outlook::Fails } else { Outlook::Uncertain };
        prediction.outlook = worse(prediction.outlook, outlook);
        let known = |other: &Finding| (other.cause, other.operation) == (finding.cause, finding.operation);
        if !prediction.obstacles.iter().any(known) {
            prediction.obstacles.push(finding);
        }
    }
    prediction.obstacles.sort_by_key(|finding| finding.cause);
    prediction
}

/// Which of two says less good things.
fn worse(one: Outlook, other: Outlook) -> Outlook {
    if one == Outlook::Fails || other == Outlook::Starts { one } else { other }
}

/// A sandbox that a probe tries. Of those that share the host's network each asks for more than the one before, and so it is
/// with those that do not.
///
/// `Display` says what it asks for.
///
/// ```
/// use bwrap_launch::doctor::Trial;
/// assert_eq!(Trial::Proc.to_string(), "a new /proc");
/// assert_eq!(Trial::ALL.iter().filter(|trial| trial.has_network_namespace()).count(), 2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Trial {
    /// The host's root, read-only, in a mount namespace: the least there is.
    Root,
    /// Namespaces for processes, IPC, host name and control groups, too.
    Namespaces,
    /// A new `/proc`, too.
    Proc,
    /// A new `/dev`, and a `/tmp`, too: all that a build needs.
    Devices,
    /// As [`Root`](Self::Root), with a network namespace. Its loopback device is set up before all else, which changes
    /// what fails first.
    Network,
    /// As [`Devices`](Self::Devices), with a network namespace.
    Everything,
}

impl Trial {
    /// Every trial, in order.
    pub const ALL: &'static [Self] =
        &[Self::Root, Self::Namespaces, Self::Proc, Self::Devices, Self::Network, Self::Everything];

    /// Whether it has a network namespace.
    #[must_use]
    pub fn has_network_namespace(self) -> bool {
        self >= Self::Network
    }

    /// The most demanding one of its kind: if it works, so do the others.
    fn is_last(self) -> bool {
        matches!(self, Self::Devices | Self::Everything)
    }

    /// The sandbox. It asks for a user namespace as `--unshare-all` does: bwrap makes one where the host has them.
    ///
    /// ```
    /// use bwrap_launch::doctor::Trial;
    /// let line = Trial::Network.sandbox().to_string();
    /// assert!(line.contains("--unshare-user-try") && line.contains("--unshare-net"), "{line}");
    /// ```
    pub fn sandbox(self) -> Sandbox {
        self.sandbox_in(Namespaces::USER_TRY)
    }

    fn sandbox_in(self, user: Namespaces) -> Sandbox {
        let mut unshare = user;
        if self.has_network_namespace() {
            unshare |= Namespaces::NET;
        }
        let more = match self {
            Self::Root | Self::Network => 0,
            Self::Namespaces => 1,
            Self::Proc => 2,
            Self::Devices | Self::Everything => 3,
        };
        if more >= 1 {
            unshare |= Namespaces::PID | Namespaces::IPC | Namespaces::UTS | Namespaces::CGROUP_TRY;
        }
        let mut sandbox = Sandbox::new().ro_bind("/", "/").unshare(unshare).new_session().die_with_parent();
        if more >= 2 {
            sandbox = sandbox.proc("/proc");
        }
        if more >= 3 {
            // bwrap mounts on no link
            let tmp = std::fs::canonicalize("/tmp").unwrap_or_else(|_| "/tmp".into());
            sandbox = sandbox.dev("/dev").tmpfs(tmp);
        }
        sandbox
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "a root directory of its own",
            Self::Namespaces => "namespaces for processes, IPC, host name and control groups",
            Self::Proc => "a new /proc",
            Self::Devices => "a new /dev and /tmp",
            Self::Network => "a network of its own",
            Self::Everything => "all of that together, with a network of its own",
        })
    }
}

/// What came of one trial.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TrialReport {
    /// Which one it was.
    pub trial: Trial,
    /// A user namespace was asked for ([`Trial::sandbox`]). Where that fails, root and users of a setuid bwrap can do
    /// without, which is tried then.
    pub user_namespace: bool,
    /// The sandbox.
    pub sandbox: Sandbox,
    /// What came of it.
    pub outcome: TrialOutcome,
}

impl TrialReport {
    fn works(&self) -> bool {
        self.outcome.works()
    }
}

/// What a probe found out. `Display` is a table of the trials, and all about the first one that stands in the way.
///
/// ```
/// use bwrap_launch::{Bwrap, doctor};
/// let probe = doctor::probe(&Bwrap::find()?)?;
/// if !probe.works() {
///     println!("{probe}");
/// }
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Probe {
    /// Every sandbox that was tried. After the first one that fails, those that ask for more are not.
    pub trials: Vec<TrialReport>,
}

impl Probe {
    /// Whether every sandbox could be set up, with or without a user namespace.
    #[must_use]
    pub fn works(&self) -> bool {
        let both = [self.works_without_network_namespace(), self.works_with_network_namespace()];
        both == [Some(true), Some(true)]
    }

    /// Whether those that share the host's network could be set up. `None` if there was no time to find out.
    #[must_use]
    pub fn works_without_network_namespace(&self) -> Option<bool> {
        self.answer(false)
    }

    /// Whether those with a network namespace could be set up. `None` if there was no time to find out.
    #[must_use]
    pub fn works_with_network_namespace(&self) -> Option<bool> {
        self.answer(true)
    }

    /// Whether some of what works does so without a user namespace only: as root or with a setuid bwrap, and without
    /// `--unshare-all`, `--unshare-user` and `--unshare-user-try`.
    #[must_use]
    pub fn works_only_without_user_namespace(&self) -> bool {
        [false, true].into_iter().any(|network| {
            self.answer(network) == Some(true) && self.of(network).any(|report| !report.works())
        })
    }

    /// The first trial that failed and stands in the way: none if the others work without a user namespace.
    #[must_use]
    pub fn failure(&self) -> Option<&TrialReport> {
        [false, true]
            .into_iter()
            .filter(|network| self.answer(*network) != Some(true))
            .find_map(|network| self.of(network).find(|report| !report.works()))
    }

    fn of(&self, network: bool) -> impl Iterator<Item = &TrialReport> {
        self.trials.iter().filter(move |report| report.trial.has_network_namespace() == network)
    }

    fn answer(&self, network: bool) -> Option<bool> {
        if self.of(network).any(|report| report.trial.is_last() && report.works()) {
            return Some(true);
        }
        self.of(network).any(|report| !report.works()).then_some(false)
    }
}

/// How long all trials together may take. A setuid bwrap 0.8 is known to hang.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tries growing sandboxes, with and without a network of their own, until one of each fails. Each is set up completely by this
/// very bwrap (a security module may judge it by its path), and comes to an end since there is nothing to execute in it.
///
/// They ask for a user namespace as `--unshare-all` does. Where that fails, root and users of a setuid bwrap may do without:
/// then they are tried so, too.
///
/// It takes some 7 ms for each of its six sandboxes. After five seconds whatever still hangs is killed, which takes a moment
/// more, and nothing else is tried.
///
/// # Errors
///
/// If bwrap could not be launched at all ([`Error::diagnosis`] may know why).
pub fn probe(bwrap: &Bwrap) -> Result<Probe> {
    probe_until(bwrap, Instant::now() + PATIENCE)
}

fn probe_until(bwrap: &Bwrap, deadline: Instant) -> Result<Probe> {
    // bwrap makes a user namespace for everybody else unasked
    let may_do_without = getuid().is_root() || bwrap.is_setuid();
    let mut trials: Vec<TrialReport> = Vec::new();
    'all: for network in [false, true] {
        for user in [Namespaces::USER_TRY, Namespaces::empty()] {
            for trial in Trial::ALL.iter().copied().filter(|trial| trial.has_network_namespace() == network) {
                if Instant::now() >= deadline {
                    break 'all;
                }
                let sandbox = trial.sandbox_in(user);
                let worked = trials.iter().any(TrialReport::works);
                let outcome =
                    trial::again(worked, || try_until(bwrap, &sandbox.command(NO_PROGRAM), deadline));
                let (works, user_namespace) = (outcome.works(), !user.is_empty());
                if let (TrialOutcome::Failed { error, .. }, true) = (&outcome, trials.is_empty())
                    && error.failure().is_none()
                {
                    return Err(error.clone());
                }
                trials.push(TrialReport { trial, user_namespace, sandbox, outcome });
                if !works {
                    break;
                }
            }
            if !may_do_without || trials.last().is_some_and(TrialReport::works) {
                break;
            }
        }
    }
    Ok(Probe { trials })
}

/// Tries one sandbox: sets it up completely, has it execute what cannot be executed, and sees that nothing else fails, within
/// the same five seconds as [`probe`].
///
/// What bwrap does while it sets the sandbox up does happen: it creates mount points, directories and files that are missing in
/// writable binds, and reads the descriptors that are given to it.
///
/// ```
/// use bwrap_launch::doctor::{self, TrialOutcome};
/// use bwrap_launch::{Bwrap, Sandbox};
/// let sandbox = Sandbox::new().ro_bind("/nonexistent", "/");
/// match doctor::try_sandbox(&Bwrap::find()?, &sandbox) {
///     TrialOutcome::Works => println!("it starts"),
///     TrialOutcome::Failed { error, .. } => println!("{}", error.report()),
///     _ => println!("bwrap hangs"),
/// }
/// # Ok::<(), bwrap_launch::BwrapError>(())
/// ```
#[must_use]
pub fn try_sandbox(bwrap: &Bwrap, sandbox: &Sandbox) -> TrialOutcome {
    try_until(bwrap, &sandbox.command(NO_PROGRAM), Instant::now() + PATIENCE)
}

/// The same of a command in its sandbox: with the descriptors that it is given, and all checks that its launch makes, of its own
/// words, too. It is not run.
///
/// ```
/// use bwrap_launch::doctor;
/// use bwrap_launch::{Bwrap, Sandbox};
/// let mut command = Sandbox::new().ro_bind("/", "/").command("echo");
/// assert!(doctor::try_command(&Bwrap::find()?, &command).works());
/// command.args((0..10_000).map(|number| number.to_string()));
/// assert!(!doctor::try_command(&Bwrap::find()?, &command).works());
/// # Ok::<(), bwrap_launch::BwrapError>(())
/// ```
#[must_use]
pub fn try_command(bwrap: &Bwrap, command: &Command) -> TrialOutcome {
    match command.refusal(bwrap) {
        Some(error) => TrialOutcome::failed(error),
        None => try_until(bwrap, &command.instead(NO_PROGRAM), Instant::now() + PATIENCE),
    }
}

/// What is known of a launch that somebody else made, such as a program that calls bwrap itself, and that came this far. Reads the
/// host, and the program's files if the command was not executed; bwrap's words are not known:
/// [`Failure::ask_again`] asks for them.
///
/// For that, content that the line reads from descriptors is read from their beginning where they are files. What came through a
/// pipe is gone: then content is taken to be empty, and a filter is left out. `--sync-fd` and `--info-fd` are left out.
///
/// ```
/// use std::process::Command as Process;
/// use std::time::Duration;
/// use bwrap_launch::{Bwrap, Command, Stage, Verdict, doctor};
/// let (bwrap, line) = (Bwrap::find()?, ["--ro-bind", "/nonexistent", "/", "true"]);
/// assert!(!Process::new(bwrap.path()).args(line).status()?.success());
/// let failure = doctor::failure_of(&bwrap, &Command::from_args(line)?, Verdict::SetupFailed);
/// let failure = failure.ask_again(Duration::from_secs(5));
/// assert_eq!(failure.stage(), Some(Stage::Sources));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn failure_of(bwrap: &Bwrap, command: &Command, verdict: Verdict) -> Failure {
    command.failed_elsewhere(bwrap, outcome_of(verdict))
}

/// A message that somebody has kept, with what the files of this machine say of it, as they are now: why its program cannot be executed,
/// and the link that leads nowhere on the way to what bwrap did not find. [`diagnose`](diagnosis::diagnose) looks at no files.
///
/// A program that the message does not name is not looked for. Where the sandbox says nothing of `PATH` and `HOME`, those of this process
/// are taken, and its rights: have the one look who launched.
///
/// ```
/// use bwrap_launch::diagnosis::{ProgramProblem, Symptom};
/// use bwrap_launch::{Sandbox, doctor};
/// let symptom = Symptom::from_text(b"bwrap: execvp make-it: No such file or directory");
/// let sandbox = Sandbox::new().ro_bind("/", "/");
/// let symptom = doctor::look(symptom, Some(&sandbox), Some("make-it".as_ref()));
/// assert!(matches!(symptom.program, Some(ProgramProblem::NotFound { .. })));
/// ```
#[must_use]
pub fn look(mut symptom: Symptom, sandbox: Option<&Sandbox>, program: Option<&OsStr>) -> Symptom {
    let Some(message) = symptom.message() else { return symptom };
    let unknown = Sandbox::new();
    let link = broken_link(sandbox.unwrap_or(&unknown), message);
    let executed = message.subject().filter(|_| message.stage() == Stage::Exec);
    let problem = sandbox.zip(program).filter(|(_, program)| executed == Some(*program));
    let problem = problem.and_then(|(sandbox, program)| program_problem(sandbox, program, Some(message)));
    symptom.broken_link = symptom.broken_link.or(link);
    symptom.program = symptom.program.or(problem);
    symptom
}

impl Probe {
    /// The table of the trials, and on one screen what stands in the way ([`Diagnosis::brief`](diagnosis::Diagnosis::brief)). `Display` says all of it.
    ///
    /// ```
    /// use bwrap_launch::{Bwrap, doctor};
    /// let probe = doctor::probe(&Bwrap::find()?)?;
    /// assert!(probe.brief().lines().count() >= probe.trials.len());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    #[must_use]
    pub fn brief(&self) -> String {
        let mut text = self.table();
        if let Some(failure) = self.failure() {
            let _ = write!(text, "\n{}\n\n{}", failure.sandbox, failure.outcome.brief());
        }
        text
    }

    fn table(&self) -> String {
        let mut text = String::new();
        for report in &self.trials {
            let outcome = match &report.outcome {
                TrialOutcome::Works => "works",
                TrialOutcome::Failed { .. } => "FAILS",
                TrialOutcome::TimedOut => "TIMED OUT",
            };
            let way = if report.user_namespace { "" } else { ", without a user namespace" };
            let _ = writeln!(text, "{outcome:<9} {}{way}", report.trial);
        }
        for network in [false, true] {
            if self.answer(network).is_none() {
                let kind = if network { "with" } else { "without" };
                let _ =
                    writeln!(text, "(there was no time for more sandboxes {kind} a network of their own)");
            }
        }
        text
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table())?;
        if let Some(failure) = self.failure() {
            write!(f, "\n{}\n\n{}", failure.sandbox, failure.outcome)?;
        }
        Ok(())
    }
}

impl fmt::Display for TrialOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works => writeln!(f, "It works."),
            Self::Failed { error, diagnosis: Some(diagnosis) } if error.failure().is_some() => {
                write!(f, "{diagnosis}")
            }
            Self::Failed { error, diagnosis: Some(diagnosis) } => write!(f, "{error}\n\n{diagnosis}"),
            Self::Failed { error, diagnosis: None } => writeln!(f, "{error}"),
            Self::TimedOut => writeln!(
                f,
                "bwrap was not ready within {} seconds. If it is setuid root, make it ordinary:\n    \
                 chmod u-s \"$(command -v bwrap)\"",
                PATIENCE.as_secs()
            ),
        }
    }
}

#[cfg(test)]
mod tests;
