//! Before anything runs: will this machine start this sandbox, and is it able to start any?
//!
//! [`predict`] reads and reasons; [`probe`] tries, through the very same bwrap, and runs nothing of anybody's.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bwrap::Bwrap;
use crate::diagnosis::{self, Diagnosis, Prediction};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::launch::Stdio;
use crate::sandbox::{Namespaces, Sandbox};

/// Says whether a sandbox will start here, from facts alone: a few milliseconds, and nothing is launched.
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
    diagnosis::predict(&Host::snapshot_for(bwrap.path(), bwrap.version_text()), sandbox)
}

/// What a sandbox of the probe asks for, each more than the one before.
///
/// ```
/// use bwrap_launch::doctor::Step;
/// assert_eq!(Step::Root.to_string(), "a root directory of its own");
/// assert_eq!(Step::ALL.len(), 5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Step {
    /// The host's root, read-only, in a user namespace and a mount namespace: the least there is.
    Root,
    /// A network namespace, too. Its loopback device is set up before all else, which changes what fails first.
    Network,
    /// Namespaces for processes, IPC, host name and control groups.
    Namespaces,
    /// A new `/proc`.
    Proc,
    /// A new `/dev`, and a `/tmp`: all that a build needs.
    Devices,
}

impl Step {
    /// Every step, in order.
    pub const ALL: &'static [Self] =
        &[Self::Root, Self::Network, Self::Namespaces, Self::Proc, Self::Devices];

    /// The sandbox of the step. The last one is for both network modes: with and without a network of its own.
    fn sandbox(self, network: bool) -> Sandbox {
        let mut unshare = Namespaces::USER;
        if network {
            unshare |= Namespaces::NET;
        }
        if self >= Self::Namespaces {
            unshare |= Namespaces::PID | Namespaces::IPC | Namespaces::UTS | Namespaces::CGROUP_TRY;
        }
        let mut sandbox = Sandbox::new().ro_bind("/", "/").unshare(unshare).new_session().die_with_parent();
        if self >= Self::Proc {
            sandbox = sandbox.proc("/proc");
        }
        if self >= Self::Devices {
            sandbox = sandbox.dev("/dev").tmpfs("/tmp");
        }
        sandbox
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "a root directory of its own",
            Self::Network => "a network of its own",
            Self::Namespaces => "namespaces for processes, IPC, host name and control groups",
            Self::Proc => "a new /proc",
            Self::Devices => "a new /dev and /tmp",
        })
    }
}

/// One sandbox that was tried.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Trial {
    /// What it asked for.
    pub step: Step,
    /// It had a network of its own.
    pub network: bool,
    /// The sandbox.
    pub sandbox: Sandbox,
    /// What became of it.
    pub outcome: Trying,
}

/// What became of a trial.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Trying {
    /// It was set up completely, and destroyed again.
    Works,
    /// It could not be set up.
    Failed(Arc<Diagnosis>),
    /// It was not ready in time.
    TimedOut,
    /// It could not be tried: the system's or bwrap's fault, not the sandbox's.
    Impossible(Error),
}

/// What the probe found out.
///
/// ```
/// use bwrap_launch::{Bwrap, doctor};
/// let probe = doctor::probe(&Bwrap::find()?)?;
/// assert!(probe.works() && probe.works_without_network_namespace());
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Probe {
    /// Every sandbox that was tried, until the first one of its network mode that failed.
    pub trials: Vec<Trial>,
}

impl Probe {
    /// Whether every sandbox could be set up.
    #[must_use]
    pub fn works(&self) -> bool {
        self.trials.iter().all(|trial| matches!(trial.outcome, Trying::Works))
    }

    /// Whether those without a network of their own could be set up.
    #[must_use]
    pub fn works_without_network_namespace(&self) -> bool {
        self.trials.iter().filter(|trial| !trial.network).all(|trial| matches!(trial.outcome, Trying::Works))
    }

    /// The first trial that failed.
    #[must_use]
    pub fn failure(&self) -> Option<&Trial> {
        self.trials.iter().find(|trial| !matches!(trial.outcome, Trying::Works))
    }
}

/// How long all of a probe may take. A setuid bwrap 0.8 is known to hang.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tries growing sandboxes, with and without a network of their own, until one of each fails. Each is set up completely by this
/// very bwrap (a security module may judge it by its path), and destroyed before it runs anything.
///
/// It takes some 5 ms for each of its six sandboxes, and five seconds at most.
///
/// # Errors
///
/// If bwrap could not be launched at all.
pub fn probe(bwrap: &Bwrap) -> Result<Probe> {
    let deadline = Instant::now() + PATIENCE;
    let mut trials = Vec::new();
    for network in [false, true] {
        for step in Step::ALL.iter().copied() {
            // the network's own steps: alone, as it comes first, and with all the rest
            let wanted =
                if network { matches!(step, Step::Network | Step::Devices) } else { step != Step::Network };
            if !wanted {
                continue;
            }
            let sandbox = step.sandbox(network);
            let outcome = try_out(bwrap, &sandbox, deadline);
            let failed = !matches!(outcome, Trying::Works);
            trials.push(Trial { step, network, sandbox, outcome });
            if failed {
                break;
            }
        }
    }
    if let Some(Trial { outcome: Trying::Impossible(error), .. }) = trials.first() {
        return Err(error.clone());
    }
    Ok(Probe { trials })
}

fn try_out(bwrap: &Bwrap, sandbox: &Sandbox, deadline: Instant) -> Trying {
    // never executed, and there in every root
    let mut command = sandbox.command("/");
    command.bwrap(bwrap).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    match command.prepare_until(deadline) {
        Ok(Some(prepared)) => {
            drop(prepared);
            Trying::Works
        }
        Ok(None) => Trying::TimedOut,
        Err(error) => match error.failure().and_then(|failure| failure.diagnosis()) {
            Some(diagnosis) => Trying::Failed(Arc::new(diagnosis.clone())),
            None => Trying::Impossible(error),
        },
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for trial in &self.trials {
            let network = if trial.network { ", with a network of its own" } else { "" };
            let outcome = match &trial.outcome {
                Trying::Works => "works",
                Trying::Failed(_) => "FAILS",
                Trying::TimedOut => "TIMED OUT",
                Trying::Impossible(_) => "COULD NOT BE TRIED",
            };
            let step = if trial.step == Step::Network { Step::Root } else { trial.step };
            writeln!(f, "{outcome:<9} {step}{network}")?;
        }
        match self.failure().map(|trial| (&trial.outcome, &trial.sandbox)) {
            None => Ok(()),
            Some((Trying::Failed(diagnosis), sandbox)) => write!(f, "\n{sandbox}\n\n{diagnosis}"),
            Some((Trying::Impossible(error), sandbox)) => writeln!(f, "\n{sandbox}\n\n{error}"),
            Some((_, sandbox)) => writeln!(
                f,
                "\n{sandbox}\n\nbwrap was not ready within {} seconds. If it is setuid root, make it ordinary:\n    \
                 chmod u-s \"$(command -v bwrap)\"",
                PATIENCE.as_secs()
            ),
        }
    }
}
