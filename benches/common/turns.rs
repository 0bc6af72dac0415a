//! Measuring several ways of doing the same side by side.

use std::time::Duration;

/// Times every way once a round, by its number, in ever another order: what one has left to be cleared away meets the next.
pub(crate) fn take_turns(
    ways: usize,
    rounds: usize,
    mut run: impl FnMut(usize) -> Duration,
) -> Vec<Vec<Duration>> {
    let mut times = vec![Vec::with_capacity(rounds); ways];
    let mut order: Vec<usize> = (0..ways).collect();
    for &way in &order {
        run(way);
    }
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..rounds {
        order.sort_by_cached_key(|_| {
            // (xorshift)
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        });
        for &way in &order {
            times[way].push(run(way));
        }
    }
    times
}
