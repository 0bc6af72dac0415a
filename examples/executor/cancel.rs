//! Cancelling: what runs is asked to end, what waits does not begin.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bwrap_launch::Killer;
use nix::sys::signal::{SigSet, Signal};

/// How long a phase has for ending by itself, when it is cancelled or its time is over.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(crate) struct Cancel(Mutex<Running>);

#[derive(Default)]
struct Running {
    cancelled: bool,
    next: u64,
    killers: BTreeMap<u64, Killer>,
}

impl Cancel {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.running().cancelled
    }

    /// Has this sandbox end, too, when all are cancelled, as long as what is returned is there.
    pub(crate) fn covers(&self, killer: Killer) -> Covered<'_> {
        let mut running = self.running();
        if running.cancelled {
            end(&killer, GRACE);
        }
        running.next += 1;
        let number = running.next;
        running.killers.insert(number, killer);
        Covered { cancel: self, number }
    }

    /// Asks all to end; asked again, kills them.
    fn cancel(&self) {
        let mut running = self.running();
        let grace = if running.cancelled { Duration::ZERO } else { GRACE };
        running.cancelled = true;
        for killer in running.killers.values() {
            end(killer, grace);
        }
    }
}

fn end(killer: &Killer, grace: Duration) {
    let asked = if grace.is_zero() { killer.kill() } else { killer.terminate(grace) };
    if let Err(error) = asked {
        eprintln!("executor: {error}");
    }
}

/// A sandbox that is covered.
pub(crate) struct Covered<'a> {
    cancel: &'a Cancel,
    number: u64,
}

impl Drop for Covered<'_> {
    fn drop(&mut self) {
        self.cancel.running().killers.remove(&self.number);
    }
}

/// From now on SIGINT and SIGTERM cancel. To be called before there are other threads, which inherit what is blocked; sandboxes do not.
pub(crate) fn on_signals(cancel: &Arc<Cancel>) -> io::Result<()> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    signals.thread_block()?;
    let cancel = Arc::clone(cancel);
    let wait = move || {
        while let Ok(signal) = signals.wait() {
            super::say(&format!("executor: {signal}: cancelling"));
            cancel.cancel();
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
    Ok(())
}
