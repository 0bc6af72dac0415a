//! What an exit of this process must not cut short.
//!
//! An exit ends the other threads wherever they are. One that has stopped processes on the way to killing them would leave them
//! stopped for ever; one that waits for a sandbox to show what is to be killed would leave it running. So whoever does that says
//! so here, and `exit(3)` waits for it a moment. What waits at a gate that nobody will open is ended: bwrap would say that its filter is
//! broken. Nothing helps against SIGKILL but
//! [`die_with_caller`](super::Command::die_with_caller).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Condvar, Once, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use rustix::thread::gettid;

use super::spawn;
use crate::process_local::{Process, ProcessLocal, forked};

/// How long an exit waits for what is under way, and what would begin then waits for the exit.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long an exit takes once that is done. If it takes longer, handlers of others run, and what begins goes on.
const GOING: Duration = Duration::from_secs(1);

type Deed = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    under_way: usize,
    /// The thread that leaves.
    leaving: Option<Pid>,
    /// When the process is gone, if nothing holds it up.
    gone: Option<Instant>,
    /// What is to be done then, by numbers that are given once.
    deeds: BTreeMap<u64, Deed>,
    next: u64,
}

static STATE: ProcessLocal<State> = ProcessLocal::new();
static CHANGED: Condvar = Condvar::new();

/// While it lives, an exit of this process waits.
#[derive(Debug)]
pub(super) struct UnderWay {
    /// Where it counts.
    process: Option<Process>,
}

/// To be called before there is anything to end: an exit that has begun takes no new handlers, and a fork has to be told from its parent.
pub(super) fn prepare() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        spawn::at_fork(forked);
        spawn::at_exit(leave);
    });
}

impl UnderWay {
    pub(super) fn begin() -> Self {
        let mut state = STATE.lock();
        match state.leaving {
            // the exit does it itself
            Some(leaving) if leaving == gettid() => return Self { process: None },
            // this thread ends with the process, before it has begun; what is part of something that is waited for goes on
            Some(_) if state.under_way == 0 => {
                let patience = Instant::now() + PATIENCE;
                loop {
                    let until = state.gone.unwrap_or(patience);
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    state = CHANGED.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
            _ => {}
        }
        state.under_way += 1;
        Self { process: Some(Process::own()) }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.process.is_some_and(Process::is_own) {
            return;
        }
        let mut state = STATE.lock();
        state.under_way = state.under_way.saturating_sub(1);
        // most often nobody leaves, and there is nobody to be told
        if state.leaving.is_some() {
            CHANGED.notify_all();
        }
    }
}

/// While it lives, an exit of this process does something.
pub(super) struct AtExit {
    process: Process,
    number: u64,
}

impl AtExit {
    pub(super) fn new(deed: impl FnOnce() + Send + 'static) -> Self {
        let mut state = STATE.lock();
        let number = state.next;
        state.next += 1;
        state.deeds.insert(number, Box::new(deed));
        Self { process: Process::own(), number }
    }
}

impl fmt::Debug for AtExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AtExit")
    }
}

impl Drop for AtExit {
    fn drop(&mut self) {
        if self.process.is_own() {
            let deed = STATE.lock().deeds.remove(&self.number);
            // it may own what does something here when it is dropped: not while that is locked
            drop(deed);
        }
    }
}

extern "C" fn leave() {
    let mut state = STATE.lock();
    state.leaving = Some(gettid());
    let deadline = Instant::now() + PATIENCE;
    let under_way = |state: &mut State| state.under_way > 0;
    loop {
        let deeds = std::mem::take(&mut state.deeds);
        drop(state);
        for deed in deeds.into_values() {
            deed();
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = CHANGED.wait_timeout_while(STATE.lock(), left, under_way);
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
        // what was under way may have brought more to be done
        if state.deeds.is_empty() || Instant::now() >= deadline {
            state.gone = Some(Instant::now() + GOING);
            CHANGED.notify_all();
            break;
        }
    }
}
