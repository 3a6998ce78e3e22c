//! The TPM's entropy: the processor's generator, mixed with what the secure processor gives.

use vtpm::PlatformError;
use vtpm::crypto::rng::{Drbg, Random};
use zeroize::Zeroizing;

/// Numbers of 64 bits of a processor's generator.
pub(crate) trait Source {
    /// The next one, after a bounded number of tries.
    fn next(&mut self) -> Option<u64>;
}

/// Numbers that seed the generator at a time: 512 bits, twice its strength.
const WORDS: usize = 8;

/// A generator that takes new numbers of the processor before each use.
pub(crate) struct Entropy<S> {
    source: S,
    generator: Drbg,
}

impl<S: Source> Entropy<S> {
    /// With numbers of `source`.
    ///
    /// # Errors
    /// [`PlatformError`] when the source does not answer, or with the same number twice.
    pub(crate) fn new(mut source: S) -> Result<Self, PlatformError> {
        let seed = words(&mut source)?;
        Ok(Self {
            source,
            generator: Drbg::new(&*seed, b"rampart entropy"),
        })
    }

    /// Mixes in secrets that the processor's generator does not know. They cannot make it worse.
    pub(crate) fn mix(&mut self, secret: &[u8]) {
        self.generator.reseed(secret);
    }

    /// Fills `out`.
    ///
    /// # Errors
    /// As [`Entropy::new`]; `out` is as it was then.
    pub(crate) fn fill(&mut self, out: &mut [u8]) -> Result<(), PlatformError> {
        let fresh = words(&mut self.source)?;
        self.generator.reseed(&*fresh);
        self.generator.fill(out);
        Ok(())
    }
}

/// Numbers that differ from one to the next: a generator that is stuck repeats itself, one that
/// works does so once in 2^64.
fn words<S: Source>(source: &mut S) -> Result<Zeroizing<[u8; WORDS * 8]>, PlatformError> {
    let mut bytes = Zeroizing::new([0; WORDS * 8]);
    let mut last = source.next().ok_or(PlatformError)?;
    for place in bytes.chunks_exact_mut(8) {
        let word = source.next().ok_or(PlatformError)?;
        if word == last {
            return Err(PlatformError);
        }
        place.copy_from_slice(&word.to_le_bytes());
        last = word;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up to a limit, then has nothing more.
    struct Counting {
        next: u64,
        step: u64,
        left: u32,
    }

    impl Source for Counting {
        fn next(&mut self) -> Option<u64> {
            self.left = self.left.checked_sub(1)?;
            self.next += self.step;
            Some(self.next)
        }
    }

    fn counting(step: u64, left: u32) -> Counting {
        Counting {
            next: 0,
            step,
            left,
        }
    }

    fn first(mut entropy: Entropy<Counting>) -> [u8; 16] {
        let mut out = [0; 16];
        entropy.fill(&mut out).unwrap();
        out
    }

    #[test]
    fn each_use_and_each_secret_gives_other_bytes() {
        let entropy = || Entropy::new(counting(1, 100)).unwrap();
        let plain = first(entropy());
        assert_eq!(plain, first(entropy()));
        let mut mixed = entropy();
        mixed.mix(b"secret");
        assert_ne!(plain, first(mixed));
        let mut twice = entropy();
        let mut out = [0; 16];
        twice.fill(&mut out).unwrap();
        assert_ne!(plain, first(twice));
    }

    #[test]
    fn a_source_that_ends_or_is_stuck_is_an_error() {
        assert!(Entropy::new(counting(1, 8)).is_err());
        assert!(Entropy::new(counting(0, 100)).is_err());
        let mut entropy = Entropy::new(counting(1, 17)).unwrap();
        let mut out = [7; 4];
        assert!(entropy.fill(&mut out).is_err());
        assert_eq!(out, [7; 4]);
    }
}
