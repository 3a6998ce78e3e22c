//! Numbers that look like chance and are the same in every run.

/// A generator (xorshift). Its state is never 0.
pub(crate) struct Noise(u64);

impl Noise {
    /// A generator that starts from `seed`.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(if seed == 0 { 1 } else { seed })
    }

    /// The generator of one of several that share a seed.
    pub(crate) fn of(seed: u64, number: u64) -> Self {
        let mut noise = Self::new(seed ^ (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (0..16).for_each(|_| {
            noise.next();
        });
        noise
    }

    /// Any number but 0.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`, which is small.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 16) % limit
    }

    /// Heads, one time in `times`.
    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of them.
    pub(crate) fn of_these<T: Copy, const N: usize>(&mut self, these: [T; N]) -> T {
        these[self.below(N as u64) as usize]
    }
}
