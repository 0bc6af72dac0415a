//! Random numbers with a seed, and how many cases a test tries: the same in every run, unless it is told otherwise.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::VecDeque;

/// A small generator of numbers (xorshift64), or what a fuzzer has chosen.
pub(crate) struct Numbers {
    state: u64,
    chosen: Option<VecDeque<u8>>,
}

impl Numbers {
    /// `BWRAP_LAUNCH_SEED`, or 0, and a number of the test's own.
    pub(crate) fn seeded(own: u64) -> Self {
        let seed = number("BWRAP_LAUNCH_SEED").unwrap_or(0);
        Self { state: (seed.wrapping_add(own)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, chosen: None }
    }

    /// The numbers that these bytes are, and then zeros: as many bytes for each as the limit wants, so that a fuzzer sees what one
    /// of them does.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { state: 1, chosen: Some(bytes.iter().copied().collect()) }
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        if let Some(chosen) = &mut self.chosen {
            let mut number = 0_u64;
            let mut rest = limit.saturating_sub(1);
            while rest > 0 {
                number = number << 8 | u64::from(chosen.pop_front().unwrap_or(0));
                rest >>= 8;
            }
            return number % limit;
        }
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % limit
    }

    pub(crate) fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(u64::try_from(length).unwrap())).unwrap()
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        let index = self.index(from.len());
        from.get(index).unwrap()
    }
}

/// What the number of cases is multiplied by: `BWRAP_LAUNCH_FUZZ`.
pub(crate) fn factor() -> usize {
    number("BWRAP_LAUNCH_FUZZ").map_or(1, |number| usize::try_from(number).unwrap())
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number")))
}
