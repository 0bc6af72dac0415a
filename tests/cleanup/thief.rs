//! A process that makes it hard to launch: one thread forks all the time, another takes the status of every child that has ended.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::wait::{WaitPidFlag, waitpid};

use crate::support::share;

/// How many launches each of 32 threads or tasks makes: with 80, both bwraps, as root and as a user, these are ten thousand.
pub(crate) fn load() -> usize {
    let asked = std::env::var("BWRAP_LAUNCH_LOAD").ok().and_then(|number| number.parse().ok());
    asked.unwrap_or((30 / share()).max(2))
}

/// Ends the threads, also when one of the launches fails.
struct Set<'a>(&'a AtomicBool);

impl Drop for Set<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn beside_a_fork_and_a_thief(launches: impl FnOnce()) {
    let done = AtomicBool::new(false);
    let (forks, thefts) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // the thief may take its status
                let _ = Command::new("true").status();
                forks.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let stolen = waitpid(None, Some(WaitPidFlag::WNOHANG));
                if matches!(stolen, Ok(status) if status.pid().is_some()) {
                    thefts.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        let _end = Set(&done);
        launches();
    });
    println!("{} forks and {} thefts meanwhile", forks.into_inner(), thefts.into_inner());
}
