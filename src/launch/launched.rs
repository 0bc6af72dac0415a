//! A launch from its start to its outcome, and what is asked about it when it has failed.

use std::io;
use std::num::NonZeroI32;
use std::sync::Arc;
use std::time::Duration;

use super::cgroup::Group;
use super::error::{Error, Result, Step};
use super::explain::Explain;
use super::gather::{Scene, gather};
use super::handle::Handle;
use super::handshake::{Outcome, Undecided};
use super::limits::Unapplied;
use super::order::Recipe;
use super::output::ExitStatus;
use super::record::Record;
use super::rehearsal::REHEARSAL;
use super::running::{Running, process_is_gone};
use super::start::in_reach;
use super::stop::Terms;
use super::usage::{Figure, Usage};
use super::words::Words;
use crate::bwrap::status::Status;
use crate::bwrap::{Bwrap, NamespaceIds};
use crate::sandbox::Feature;

/// A launch from its start to its outcome.
pub(super) struct Launch {
    pub(super) id: u32,
    /// `None` once the outcome is known.
    pub(super) running: Option<Running>,
    /// A handle on bwrap.
    pub(super) process: Arc<Handle>,
    pub(super) record: Arc<Record>,
    pub(super) terms: Terms,
    pub(super) outcome: Option<Result<ExitStatus>>,
    pub(super) words: Arc<Words>,
    /// Without descriptors that somebody else waits for.
    pub(super) recipe: Arc<Recipe>,
    /// What bwrap has read cannot be read again.
    pub(super) reads_once: bool,
    /// The command line, if the recipe does not show all of it any more.
    pub(super) line: Option<String>,
    pub(super) bwrap: Bwrap,
    pub(super) dropped: Vec<Feature>,
    pub(super) unapplied: Vec<Unapplied>,
    /// What had been used at the end.
    pub(super) usage: Usage,
    /// To be removed at the end.
    pub(super) group: Option<Group>,
    pub(super) explain: Explain,
    pub(super) sandbox_pid: Option<u32>,
    pub(super) namespaces: Option<NamespaceIds>,
    /// Nobody else has it yet: dropped, it leaves nothing.
    pub(super) unclaimed: bool,
}

pub(super) fn given_up() -> Error {
    Error::system(Step::WaitForBwrap)(io::Error::other("it was given up before its end"))
}

impl Launch {
    /// Reads what bwrap has reported.
    pub(super) fn listen(&mut self) {
        let Some(running) = &mut self.running else { return };
        if self.sandbox_pid.is_some() {
            return;
        }
        let status = running.listen();
        let held = running.reach().child_pid();
        self.note(&status, held);
    }

    /// Keeps what bwrap has reported first. Where the command can get at the report, a process that is there counts only if it was
    /// found to be bwrap's.
    fn note(&mut self, status: &Status, held: Option<i32>) {
        let is_ours = |pid: &NonZeroI32| !in_reach(&self.recipe.sandbox) || process_is_gone(*pid);
        let reported = status.child_pid.filter(is_ours).map(NonZeroI32::get);
        if let Some(pid) = held.or(reported).filter(|_| self.sandbox_pid.is_none()) {
            self.sandbox_pid = Some(pid.unsigned_abs());
            self.namespaces = Some(status.namespaces);
        }
    }

    /// The status, and whether memory ran out.
    fn with_memory(&mut self, status: ExitStatus, spared: impl FnOnce() -> bool) -> ExitStatus {
        match self.usage.memory_kills.value() {
            _ if status.success() => status,
            Some(0) => status,
            Some(_) => status.with_out_of_memory(),
            None if status.signal() != Some(libc::SIGKILL) => status,
            None if spared() => {
                self.usage.memory_kills = Figure::Exact(0);
                status
            }
            None => status.with_maybe_out_of_memory(),
        }
    }

    pub(super) fn command_line(&self) -> String {
        self.line.clone().unwrap_or_else(|| self.recipe.line_for(&self.bwrap))
    }

    /// Once it is over: turns what was seen into the outcome, and lets go of everything.
    pub(super) fn conclude(&mut self, limit: Duration) {
        let inquiry = self.close();
        self.group = None;
        if let Some(inquiry) = inquiry {
            self.outcome = Some(Err(inquiry.conclude(limit)));
        }
    }

    /// As [`conclude`](Self::conclude), but for what reads the host.
    pub(super) fn close(&mut self) -> Option<Inquiry> {
        let outcome = self.running.as_ref().and_then(Running::outcome)?;
        let mut running = self.running.take()?;
        self.usage = running.usage();
        self.group = running.take_group();
        self.note(running.handshake().status(), running.reach().child_pid());
        let outcome = match outcome {
            // bwrap never fails to say that it cannot execute the command
            Outcome::NotExecuted { signal: None } if self.words.are_missing() => {
                Outcome::Undecided(Undecided::BwrapEndedEarly { status: 1 })
            }
            outcome => outcome,
        };
        let why = self.record.of(outcome);
        let outcome = match outcome {
            // nobody looks into what was stopped any further
            Outcome::NotExecuted { .. } if why.is_some() && in_reach(&self.recipe.sandbox) => {
                Outcome::Undecided(Undecided::BwrapEndedEarly { status: 1 })
            }
            outcome => outcome,
        };
        self.outcome = match (outcome, why) {
            (Outcome::Ended(status), Some(why)) => Some(Ok(status.with_stop(why))),
            (Outcome::Ended(status), None) => {
                Some(Ok(self.with_memory(status, || running.is_spared_by_oom())))
            }
            (failed, Some(why)) => Some(Err(Error::stopped(why, failed))),
            (_, None) => None,
        };
        if self.outcome.is_some() {
            return None;
        }
        Some(Inquiry {
            outcome,
            words: Arc::clone(&self.words),
            recipe: Arc::clone(&self.recipe),
            repeatable: !self.reads_once && self.recipe.sandbox.is_repeatable(),
            bwrap: self.bwrap.clone(),
            command: self.command_line(),
            namespaces: self.namespaces,
            dropped: self.dropped.clone(),
            explain: self.explain,
        })
    }
}

/// A launch that is over and failed, and what is needed to find out more about that. It can be carried to where blocking is
/// allowed.
pub(super) struct Inquiry {
    outcome: Outcome,
    words: Arc<Words>,
    recipe: Arc<Recipe>,
    repeatable: bool,
    bwrap: Bwrap,
    command: String,
    namespaces: Option<NamespaceIds>,
    dropped: Vec<Feature>,
    explain: Explain,
}

impl Inquiry {
    /// Reads the host, and has bwrap asked once more within this time, as far as that is wanted.
    pub(super) fn conclude(self, limit: Duration) -> Error {
        let explain = self.explain;
        let failure = gather(
            self.outcome,
            Scene {
                words: &self.words,
                recipe: &self.recipe,
                repeatable: self.repeatable,
                bwrap: &self.bwrap,
                command: self.command,
                namespaces: self.namespaces,
                dropped: &self.dropped,
                explain,
            },
        );
        let failure = match explain {
            Explain::AskAgain => failure.ask_again(limit.min(REHEARSAL)),
            _ => failure,
        };
        failure.or_doubted().into()
    }
}
