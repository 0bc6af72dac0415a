//! Launching from many threads, and what that does to another thread of the same process.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub(crate) const THREADS: usize = 8;

/// How long the ticking thread sleeps.
const TICK: Duration = Duration::from_millis(1);

/// Has so many threads, numbered, launch so many times each. Says how long that took, and the longest time that a thread which ticks, and
/// asks the kernel for a little memory each time, was held up meanwhile.
pub(crate) fn many(each: usize, launch: &(dyn Fn(usize) + Sync)) -> (Duration, Duration) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ticking = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                let start = Instant::now();
                std::thread::sleep(TICK);
                drop(black_box(vec![1_u8; 1 << 20]));
                longest = longest.max(start.elapsed().saturating_sub(TICK));
            }
            longest
        });
        let start = Instant::now();
        let launching: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || (0..each).for_each(|_| launch(thread)))).collect();
        let failed = launching.into_iter().any(|thread| thread.join().is_err());
        let took = start.elapsed();
        done.store(true, Ordering::Relaxed);
        assert!(!failed, "a launch failed");
        (took, ticking.join().unwrap_or_default())
    })
}
