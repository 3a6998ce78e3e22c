//! Plausible values of every wire type, for property tests and fuzzing.

mod structures;

use super::*;

/// A small generator of choices (xorshift64*): the same seed gives the same
/// values.
#[derive(Clone, Debug)]
pub struct Gen(u64);

impl Gen {
    /// A generator with a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Gen(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `n` (which must not be zero).
    pub fn below(&mut self, n: usize) -> usize {
        ((self.bits() >> 32) as usize) % n.max(1)
    }

    /// True once in `n`.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of the values.
    pub fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// Random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.bits() as u8).collect()
    }
}

/// Types of which plausible values can be made.
pub trait Sample: Sized {
    /// A value.
    fn sample(g: &mut Gen) -> Self;
}

macro_rules! sample_integers {
    ($($t:ty),*) => {$(impl Sample for $t {
        fn sample(g: &mut Gen) -> Self {
            match g.below(6) {
                0 => 0,
                1 => <$t>::MAX,
                2 | 3 => (g.bits() % 16) as $t,
                4 => (g.bits() % 1100) as $t,
                _ => g.bits() as $t,
            }
        }
    })*};
}
sample_integers!(u8, u16, u32, u64, i8, i32);

impl Sample for bool {
    fn sample(g: &mut Gen) -> Self {
        g.once_in(2)
    }
}

impl<const N: usize> Sample for [u8; N] {
    fn sample(g: &mut Gen) -> Self {
        let mut out = [0; N];
        out.copy_from_slice(&g.bytes(N));
        out
    }
}

impl<const N: usize> Sample for Bytes<N> {
    fn sample(g: &mut Gen) -> Self {
        let len = match g.below(8) {
            0 | 1 => 0,
            2 => N,
            3 | 4 => 32.min(N),
            _ => g.below(N.min(80) + 1),
        };
        Bytes::cut(&g.bytes(len))
    }
}

impl<T: Sample> Sample for Sized2b<T> {
    fn sample(g: &mut Gen) -> Self {
        Sized2b(T::sample(g))
    }
}

impl<T: Sample> Sample for Optional2b<T> {
    fn sample(g: &mut Gen) -> Self {
        Optional2b(if g.once_in(2) {
            None
        } else {
            Some(T::sample(g))
        })
    }
}

impl<T: Sample, const N: usize> Sample for List<T, N> {
    fn sample(g: &mut Gen) -> Self {
        let len = g.below(N.min(6) + 1);
        List::cut((0..len).map(|_| T::sample(g)).collect())
    }
}

impl Sample for DigestBranches {
    fn sample(g: &mut Gen) -> Self {
        DigestBranches(Digests::cut(
            (0..2 + g.below(7)).map(|_| Sample::sample(g)).collect(),
        ))
    }
}

/// Handles that a TPM in use has, or might.
pub const HANDLES: [u32; 22] = [
    0x8000_0000,
    0x8000_0001,
    0x8000_0002,
    0x4000_0001,
    0x4000_0007,
    0x4000_000A,
    0x4000_000B,
    0x4000_000C,
    0x4000_000D,
    0x4000_0009,
    0x8100_0001,
    0x8180_0000,
    0x0100_0000,
    0x0100_0001,
    0x0100_0002,
    0x0200_0000,
    0x0200_0001,
    0x0300_0000,
    0x0300_0001,
    0x0300_0002,
    0x0000_0010,
    0x0000_0017,
];

impl Sample for Handle {
    fn sample(g: &mut Gen) -> Self {
        Handle(g.pick(&HANDLES))
    }
}

macro_rules! sample_handles {
    ($($name:ident),*) => {$(impl Sample for $name {
        fn sample(g: &mut Gen) -> Self {
            loop {
                let h = if g.once_in(50) { Handle(Sample::sample(g)) } else { Handle::sample(g) };
                if $name::check(h).is_ok() {
                    return $name(h);
                }
            }
        }
    })*};
}
sample_handles!(
    DhObject,
    DhObjectOrNull,
    DhParent,
    DhPersistent,
    DhEntity,
    DhEntityOrNull,
    DhPcr,
    DhPcrOrNull,
    ShAuthSession,
    ShHmac,
    ShPolicy,
    DhContext,
    DhSaved,
    RhHierarchy,
    RhEnables,
    RhHierarchyAuth,
    RhBaseHierarchy,
    RhPlatform,
    RhOwner,
    RhEndorsement,
    RhProvision,
    RhClear,
    RhNvAuth,
    RhLockout,
    RhNvIndex
);
