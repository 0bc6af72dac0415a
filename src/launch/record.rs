//! Who has stopped a launch, and why.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::ending::Stop;
use super::handshake::Outcome;

/// Who has stopped a launch: of the attempts that came to something, the reason of the first counts. It outlives the launch.
#[derive(Debug, Default)]
pub(super) struct Record(Mutex<Vec<Note>>);

/// Attempts of one kind, for one reason.
#[derive(Debug)]
struct Note {
    stop: Stop,
    means: Means,
    attempts: usize,
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// It was asked to end, and may do so in its own way.
    Asked,
    Killed,
}

impl Record {
    fn notes(&self) -> MutexGuard<'_, Vec<Note>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stop(&self) -> Option<Stop> {
        self.notes().first().map(|note| note.stop)
    }

    fn has(&self, means: Means) -> bool {
        self.notes().iter().any(|note| note.means == means)
    }

    /// Why it was stopped, if that brought this outcome about.
    pub(super) fn of(&self, outcome: Outcome) -> Option<Stop> {
        let (asked, killed) = (self.has(Means::Asked), self.is_killed());
        let so = match outcome {
            // killed in the moment when it ended by itself
            Outcome::Ended(status) => asked || killed && status.signal() == Some(libc::SIGKILL),
            // bwrap has said why
            Outcome::NotExecuted { signal: None } => false,
            _ => asked || killed,
        };
        self.stop().filter(|_| so)
    }

    pub(super) fn is_killed(&self) -> bool {
        self.has(Means::Killed)
    }

    /// Since when it is killed.
    pub(super) fn killed_since(&self) -> Option<Instant> {
        let notes = self.notes();
        notes.iter().filter(|note| note.means == Means::Killed).map(|note| note.since).min()
    }

    /// Notes the reason before anything is sent, so that whoever sees the end sees the reason.
    pub(super) fn note(&self, stop: Stop, means: Means) {
        let mut notes = self.notes();
        match notes.iter_mut().find(|note| (note.stop, note.means) == (stop, means)) {
            Some(note) => note.attempts = note.attempts.saturating_add(1),
            None => notes.push(Note { stop, means, attempts: 1, since: Instant::now() }),
        }
    }

    /// Nothing came of an attempt. Others may have been made meanwhile, by other threads.
    pub(super) fn withdraw(&self, stop: Stop, means: Means) {
        let mut notes = self.notes();
        for note in notes.iter_mut().filter(|note| (note.stop, note.means) == (stop, means)) {
            note.attempts = note.attempts.saturating_sub(1);
        }
        notes.retain(|note| note.attempts > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::ExitStatus;

    fn ended(code: u8) -> Outcome {
        Outcome::Ended(ExitStatus::from_bwrap(code))
    }

    #[test]
    fn the_first_reason_that_came_to_something_counts() {
        let record = Record::default();
        record.note(Stop::Cancel, Means::Killed);
        record.note(Stop::Timeout, Means::Killed);
        record.withdraw(Stop::Cancel, Means::Killed);
        assert_eq!(record.stop(), Some(Stop::Timeout));
        record.note(Stop::Drop, Means::Asked);
        assert_eq!(record.stop(), Some(Stop::Timeout));
        // two have tried, and one of them has succeeded
        let record = Record::default();
        record.note(Stop::Cancel, Means::Killed);
        record.note(Stop::Cancel, Means::Killed);
        record.withdraw(Stop::Cancel, Means::Killed);
        assert!(record.is_killed() && record.killed_since().is_some());
    }

    #[test]
    fn what_ended_by_itself_was_not_killed() {
        let record = Record::default();
        record.note(Stop::Cancel, Means::Killed);
        assert_eq!(record.of(ended(0)), None);
        assert_eq!(record.of(ended(137)), Some(Stop::Cancel));
        // bwrap has said why it did not run
        assert_eq!(record.of(Outcome::NotExecuted { signal: None }), None);
        record.note(Stop::Cancel, Means::Asked);
        assert_eq!(record.of(ended(0)), Some(Stop::Cancel), "it was asked, and has obeyed");
    }
}
