//! What an exit of this process must not cut short.
//!
//! An exit ends the other threads wherever they are. One that has stopped processes on the way to killing them would leave them
//! stopped for ever; one that waits for a sandbox to show what is to be killed would leave it running. So whoever does that says
//! so here, and `exit(3)` waits for it a moment. Nothing helps against SIGKILL but
//! [`die_with_caller`](super::Command::die_with_caller).

use std::sync::{Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use rustix::process::Pid;
use rustix::thread::gettid;

use super::spawn;

/// How long an exit waits for what is under way, and what would begin then waits for the exit.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct State {
    /// The process that all this belongs to: a fork inherits it, but none of the threads.
    process: u32,
    under_way: usize,
    /// The thread that leaves.
    leaving: Option<Pid>,
}

static STATE: Mutex<State> = Mutex::new(State { process: 0, under_way: 0, leaving: None });
static CHANGED: Condvar = Condvar::new();

fn state() -> MutexGuard<'static, State> {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if state.process != process {
        *state = State { process, under_way: 0, leaving: None };
    }
    state
}

/// While it lives, an exit of this process waits.
#[derive(Debug)]
pub(super) struct UnderWay {
    process: u32,
}

/// To be called before there is anything to end: an exit that has begun takes no new handlers.
pub(super) fn prepare() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| spawn::at_exit(leave));
}

impl UnderWay {
    pub(super) fn begin() -> Self {
        let mut state = state();
        // what is part of something that is waited for goes on
        if state.under_way == 0 && state.leaving.is_some_and(|leaving| leaving != gettid()) {
            // this thread ends with the process, before it has begun
            state = CHANGED.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.under_way += 1;
        Self { process: state.process }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = state();
        if state.process == self.process {
            state.under_way = state.under_way.saturating_sub(1);
            // most often nobody leaves, and there is nobody to be told
            if state.leaving.is_some() {
                CHANGED.notify_all();
            }
        }
    }
}

extern "C" fn leave() {
    let mut state = state();
    state.leaving = Some(gettid());
    let under_way = |state: &mut State| state.under_way > 0;
    drop(CHANGED.wait_timeout_while(state, PATIENCE, under_way).unwrap_or_else(PoisonError::into_inner));
}
