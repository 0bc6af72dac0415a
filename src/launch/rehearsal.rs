//! Asking bwrap once more: the same sandbox is set up again without running anything, to hear what bwrap says.

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::failure::{Failure, Heard, Text, Wording};
use super::gather::broken_link;
use super::handshake::Outcome;
use super::order::{Order, Recipe};
use super::spawn::Family;
use super::start::start;
use super::stdio::StdioKind;
use super::wait;
use crate::bwrap::message::find;
use crate::bwrap::{Bwrap, Message, Severity, Stage, decisive};

/// How long bwrap may take to say its words once more.
pub(super) const REHEARSAL: Duration = Duration::from_secs(5);

/// Sets a sandbox up as a held one and then lets bwrap fail at the gate. Only for what can be repeated.
fn rehearse(recipe: &Arc<Recipe>, bwrap: &Bwrap, deadline: Instant) -> Option<(Outcome, Vec<u8>)> {
    let order = Order {
        recipe,
        bwrap,
        // there may be no /dev/null, and that be the failure
        stdin: &StdioKind::Piped,
        stdout: &StdioKind::Piped,
        stderr: &StdioKind::Piped,
        descriptors: &[],
        hold: true,
        deadline: Some(deadline),
        dies_with_caller: false,
        keeps_ignored_signals: false,
        terminal: None,
        family: Family::default(),
    };
    let mut started = start(&order).ok()?;
    drop(started.gate.take());
    if !started.running.wait_over(Some(deadline)).unwrap_or(false) {
        started.running.destroy();
        return None;
    }
    Some((started.running.outcome()?, started.words.heard().ok()?))
}

impl Failure {
    /// Has bwrap set up the same sandbox once more, without running anything, to hear what it says: where standard error is
    /// no pipe, its words cannot be read back. Takes as long as a launch, and not longer than `limit`.
    ///
    /// Returns the failure with those words. Unchanged, if bwrap's words are known already, if it does not fail in the same
    /// way once more, or if it must not be asked: the command may have run, or setting the sandbox up leaves
    /// something in a writable bind or uses up a descriptor. [`status`](crate::Command::status) and
    /// [`output`](crate::Command::output) do this by themselves.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::{Heard, Sandbox, Stdio};
    /// let mut command = Sandbox::new().ro_bind("/nonexistent", "/").command("true");
    /// let error = command.stderr(Stdio::null()).spawn()?.wait().unwrap_err();
    /// let failure = error.failure().unwrap();
    /// assert_eq!((failure.heard(), failure.message()), (Heard::Lost, None));
    /// let failure = failure.ask_again(Duration::from_secs(5));
    /// assert_eq!(failure.heard(), Heard::AskedAgain);
    /// assert_eq!(failure.message().unwrap().path().unwrap(), "/nonexistent");
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    #[must_use]
    pub fn ask_again(&self, limit: Duration) -> Self {
        let mut failure = self.clone();
        let Some(asked) = self.wants_words().then_some(self.origin.as_ref()).flatten() else {
            return failure;
        };
        if limit.is_zero() || !asked.repeatable {
            return failure;
        }
        // one that is too far away to be told is as good as none
        let deadline = wait::deadline(limit).unwrap_or_else(|| Instant::now() + REHEARSAL);
        let Some((words, messages)) = repeat(self.outcome, &asked.recipe, &asked.bwrap, deadline) else {
            return failure;
        };
        let stands = |message: &Message| find(&asked.written, message.text().as_bytes()).is_some();
        let heard = if messages.iter().all(stands) { Heard::Captured } else { Heard::AskedAgain };
        let broken_link = decisive(&messages).and_then(|message| broken_link(&asked.recipe.sandbox, message));
        failure.set_wording(Wording { words: Text(words), messages, heard }, broken_link);
        failure
    }
}

/// What bwrap says once more about a failure, if it fails in the same way.
fn repeat(
    outcome: Outcome,
    recipe: &Arc<Recipe>,
    bwrap: &Bwrap,
    deadline: Instant,
) -> Option<(Vec<u8>, Vec<Message>)> {
    let (again, words) = rehearse(recipe, bwrap, deadline)?;
    let mut messages = Message::parse_all(&words);
    match (outcome, again) {
        (Outcome::Refused { .. }, Outcome::Refused { .. })
        | (Outcome::SetupFailed { .. }, Outcome::SetupFailed { .. }) => {}
        // at the latest it fails at the gate, which nobody opens in a rehearsal; two processes complain about that, and
        // their words may end up in one line
        (Outcome::NotExecuted { .. }, Outcome::NotExecuted { .. }) => messages.retain(|message| {
            let before = matches!(
                message.stage(),
                Stage::Capabilities | Stage::Environment | Stage::Reaper | Stage::Monitor
            );
            before || message.severity() == Severity::Warning
        }),
        _ => return None,
    }
    decisive(&messages)?;
    Some((words, messages))
}
