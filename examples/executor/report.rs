//! What became of builds: whose fault it is, in the first place.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bwrap_launch::diagnosis::{Cause, Diagnosis};
use bwrap_launch::{Ending, Error, ExitStatus, Figure, Result, Stop, Usage};
use serde_json::{Value, json};

use super::phases::Phase;

/// What the executor exits with if a sandbox failed or nothing was run.
pub(crate) const NOT_RUN: u8 = 2;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    /// The job did not do what it should: its author's business.
    JobFailed {
        phase: Phase,
        why: String,
    },
    TimedOut {
        phase: Phase,
    },
    Cancelled,
    /// The job had no say: the operator's business.
    SandboxFailed {
        phase: Phase,
        /// The cause's code, if it is known.
        cause: Option<&'static str>,
        why: String,
        remedy: Option<String>,
    },
    /// The executor itself did not get as far as launching it.
    NotLaunched(String),
}

impl Outcome {
    /// Of a phase that began while all was well.
    pub(crate) fn of(phase: Phase, outcome: &Result<ExitStatus>) -> Self {
        match (Ending::of(outcome), outcome) {
            (Ending::Exited(0), _) => Self::Success,
            (Ending::Stopped(Stop::Timeout), _) => Self::TimedOut { phase },
            (Ending::Stopped(_), _) => Self::Cancelled,
            // the job names the program
            (_, Err(error @ Error::NotExecuted(_))) => Self::JobFailed { phase, why: error.to_string() },
            (_, Err(error)) => {
                let diagnosis = error.diagnosis();
                Self::SandboxFailed {
                    phase,
                    cause: diagnosis.and_then(Diagnosis::cause).map(Cause::code),
                    why: error.to_string(),
                    remedy: diagnosis.and_then(Diagnosis::remedy).map(|remedy| remedy.summary.clone()),
                }
            }
            (ending, Ok(_)) => Self::JobFailed { phase, why: ending.to_string() },
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::JobFailed { .. } => "job failed",
            Self::TimedOut { .. } => "timed out",
            Self::Cancelled => "cancelled",
            Self::SandboxFailed { .. } => "sandbox failed",
            Self::NotLaunched(_) => "not launched",
        }
    }
}

/// How a phase ended.
pub(crate) struct Ended {
    pub(crate) phase: Phase,
    pub(crate) ending: Ending,
    pub(crate) took: Duration,
    pub(crate) usage: Usage,
    pub(crate) unapplied: Vec<String>,
}

pub(crate) struct Report {
    pub(crate) build: String,
    pub(crate) outcome: Outcome,
    pub(crate) phases: Vec<Ended>,
    pub(crate) results: Vec<(PathBuf, String)>,
}

impl Report {
    pub(crate) fn to_json(&self) -> Value {
        let mut all = json!({"build": self.build, "outcome": self.outcome.name()});
        let more = match &self.outcome {
            Outcome::Success | Outcome::Cancelled => json!({}),
            Outcome::JobFailed { phase, why } => json!({"phase": phase.to_string(), "why": why}),
            Outcome::TimedOut { phase } => json!({"phase": phase.to_string()}),
            Outcome::SandboxFailed { phase, cause, why, remedy } => {
                json!({"phase": phase.to_string(), "why": why, "cause": cause, "remedy": remedy})
            }
            Outcome::NotLaunched(why) => json!({"why": why}),
        };
        let phases: Vec<_> = self.phases.iter().map(Ended::to_json).collect();
        let results: serde_json::Map<_, _> =
            self.results.iter().map(|(path, text)| (path.display().to_string(), json!(text))).collect();
        if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
            all.extend(more);
            all.insert("phases".to_owned(), phases.into());
            all.insert("results".to_owned(), results.into());
        }
        all
    }
}

impl Ended {
    fn cpu(&self) -> Option<Duration> {
        Some(self.usage.user.value()? + self.usage.system.value()?)
    }

    fn to_json(&self) -> Value {
        json!({
            "phase": self.phase.to_string(),
            "ending": self.ending.to_string(),
            "seconds": self.took.as_secs_f64(),
            "cpu_seconds": self.cpu().map(|time| time.as_secs_f64()),
            "peak_memory": self.usage.peak_memory.value(),
            "exact": self.usage.user.is_exact() && self.usage.peak_memory.is_exact(),
            "limits_not_set": self.unapplied,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.build, self.outcome.name())?;
        match &self.outcome {
            Outcome::Success | Outcome::Cancelled => {}
            Outcome::JobFailed { phase, why } => write!(f, " in {phase}: {why}")?,
            Outcome::TimedOut { phase } => write!(f, " in {phase}")?,
            Outcome::SandboxFailed { phase, cause, why, remedy } => {
                write!(f, " in {phase} [{}]: {why}", cause.unwrap_or("cause unknown"))?;
                if let Some(remedy) = remedy {
                    write!(f, "\n    remedy: {remedy}")?;
                }
            }
            Outcome::NotLaunched(why) => write!(f, ": {why}")?,
        }
        for ended in &self.phases {
            write!(f, "\n    {}: {}, {:.2} s", ended.phase, ended.ending, ended.took.as_secs_f64())?;
            if let Some(cpu) = ended.cpu() {
                write!(f, ", CPU {:.2} s", cpu.as_secs_f64())?;
            }
            if let Figure::Exact(peak) | Figure::AtLeast(peak) = ended.usage.peak_memory {
                write!(f, ", memory {} KiB", peak >> 10)?;
            }
            for limit in &ended.unapplied {
                write!(f, "\n        without a limit: {limit}")?;
            }
        }
        Ok(())
    }
}

/// The worst of all.
pub(crate) fn exit_status(reports: &[Report]) -> u8 {
    let rank = |report: &Report| match report.outcome {
        Outcome::Success => (0, 0),
        Outcome::JobFailed { .. } | Outcome::TimedOut { .. } => (1, 1),
        Outcome::Cancelled => (2, 130),
        Outcome::SandboxFailed { .. } | Outcome::NotLaunched(_) => (3, NOT_RUN),
    };
    reports.iter().map(rank).max().map_or(0, |(_, status)| status)
}
