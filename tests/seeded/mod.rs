//! Random numbers with a seed, and how many cases a test tries: the same in every run, unless it is told otherwise.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic)]

/// A small generator of numbers (xorshift64).
pub(crate) struct Numbers(u64);

impl Numbers {
    /// `BWRAP_LAUNCH_SEED`, or 0, and a number of the test's own.
    pub(crate) fn seeded(own: u64) -> Self {
        let seed = number("BWRAP_LAUNCH_SEED").unwrap_or(0);
        Self((seed.wrapping_add(own)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
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
