//! The search for a random prime, in small steps.
//!
//! From a random odd number upwards the first prime is taken, within a limit.
//! A sieve throws out what has a small factor; what is left goes through a
//! Miller-Rabin test with base 2, which nearly every composite fails, and what
//! passes that through as many rounds with random bases as FIPS 186-5 asks for.
//!
//! What prime comes out does not depend on the sieve's bound, because that only
//! throws out composites sooner.

use super::number::{Secret, non_zero, odd};
use crate::crypto::CryptoError;
use crate::crypto::rng::Random;
use alloc::vec;
use alloc::vec::Vec;
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Limb, NonZero};
use zeroize::Zeroizing;

/// The top 64 bits of the smallest allowed prime: the square root of 1/2, so
/// that a product of two has twice as many bits (FIPS 186-5, A.1.3).
const LEAST_TOP: u64 = 0xb504_f333_f9de_6485;

/// The odd primes from 3 up to a bound, as half of the distances between them.
pub(super) struct SmallPrimes {
    half_gaps: Vec<u8>,
}

impl SmallPrimes {
    /// The bound that costs the least for primes of so many bits: a larger one
    /// saves tests of candidates, which are dearer the longer they are.
    pub(super) fn for_bits(bits: u32) -> Self {
        Self::below(match bits {
            0..=1024 => 1 << 16,
            1025..=1536 => 1 << 17,
            _ => 1 << 18,
        })
    }

    fn below(bound: usize) -> Self {
        // Flag i stands for the number 2 i + 3.
        let mut composite = vec![false; bound.saturating_sub(2) / 2];
        let mut half_gaps = Vec::new();
        let mut last = 0;
        for i in 0..composite.len() {
            if composite.get(i) != Some(&false) {
                continue;
            }
            // Below 2^18 no distance exceeds 86.
            half_gaps.push(u8::try_from(i.saturating_sub(last)).unwrap_or(u8::MAX));
            last = i;
            let prime = 2 * i + 3;
            let square = prime.saturating_mul(prime).saturating_sub(3) / 2;
            for flag in composite.iter_mut().skip(square).step_by(prime) {
                *flag = true;
            }
        }
        Self { half_gaps }
    }

    fn iter(&self) -> impl Iterator<Item = u64> {
        self.half_gaps.iter().scan(3, |prime, gap| {
            *prime += 2 * u64::from(*gap);
            Some(*prime)
        })
    }
}

/// Where a search stands.
enum State {
    /// A new start has to be drawn.
    Draw,
    /// The candidate at `next` is the first not yet looked at.
    Scan {
        start: Secret,
        sieve: Vec<u64>,
        next: u32,
    },
    /// A candidate that passed with base 2 needs `rounds` more.
    Confirm {
        start: Secret,
        sieve: Vec<u64>,
        next: u32,
        rounds: u32,
    },
}

/// A search for a prime p of `bits` bits with gcd(p - 1, e) = 1.
pub(super) struct Search {
    bits: u32,
    exponent: u32,
    state: State,
}

impl Search {
    pub(super) fn new(bits: u32, exponent: u32) -> Self {
        Self {
            bits,
            exponent,
            state: State::Draw,
        }
    }

    /// How many odd numbers from the start on are looked at before another is
    /// drawn. In so many there are eleven primes on average.
    fn limit(&self) -> u32 {
        4 * self.bits
    }

    /// The rounds of FIPS 186-5, table B.1, for an error below that of the
    /// security strength; seven for 512 bits, which it has no row for.
    fn rounds(&self) -> u32 {
        match self.bits {
            0..=512 => 7,
            513..=1024 => 5,
            _ => 4,
        }
    }

    /// One step, which is a sieve or at most one exponentiation. Gives the prime
    /// when it is found, and the search then begins anew.
    ///
    /// # Errors
    /// `Internal` if a number is not what it was made to be.
    pub(super) fn step(
        &mut self,
        small: &SmallPrimes,
        rng: &mut dyn Random,
    ) -> Result<Option<Secret>, CryptoError> {
        match core::mem::replace(&mut self.state, State::Draw) {
            State::Draw => {
                if let Some(start) = self.draw(rng) {
                    let sieve = self.sieve(&start, small)?;
                    self.state = State::Scan {
                        start,
                        sieve,
                        next: 0,
                    };
                }
            }
            State::Scan { start, sieve, next } => {
                let Some(next) = next_candidate(&sieve, next, self.limit()) else {
                    return Ok(None);
                };
                // A start so close to the largest number that this overflows is
                // as good as one without a prime behind it.
                let Some(candidate) = nth(&start, next) else {
                    return Ok(None);
                };
                self.state = if self.fits_exponent(&candidate)?
                    && Tester::new(&candidate)?.passes(BoxedUint::from(2u8))
                {
                    let rounds = self.rounds();
                    State::Confirm {
                        start,
                        sieve,
                        next,
                        rounds,
                    }
                } else {
                    let next = next.saturating_add(1);
                    State::Scan { start, sieve, next }
                };
            }
            State::Confirm {
                start,
                sieve,
                next,
                rounds,
            } => {
                let candidate = nth(&start, next).ok_or(CryptoError::Internal)?;
                let Some(left) = rounds.checked_sub(1) else {
                    return Ok(Some(candidate));
                };
                let tester = Tester::new(&candidate)?;
                let base = self.base(&candidate, rng);
                self.state = if tester.passes(base) {
                    State::Confirm {
                        start,
                        sieve,
                        next,
                        rounds: left,
                    }
                } else {
                    let next = next.saturating_add(1);
                    State::Scan { start, sieve, next }
                };
            }
        }
        Ok(None)
    }

    /// A random odd number of the right size, if the random bytes give one.
    fn draw(&self, rng: &mut dyn Random) -> Option<Secret> {
        let mut start = random(self.bits, rng);
        let words = start.as_mut_words();
        if let Some(lowest) = words.first_mut() {
            *lowest |= 1;
        }
        (*words.last()? >= LEAST_TOP).then_some(start)
    }

    /// A random base from 2 to candidate - 2.
    fn base(&self, candidate: &BoxedUint, rng: &mut dyn Random) -> BoxedUint {
        let last = candidate.wrapping_sub(BoxedUint::one());
        loop {
            let base = random(self.bits, rng);
            if *base > BoxedUint::one() && *base < last {
                return (*base).clone();
            }
        }
    }

    /// Whether gcd(candidate - 1, e) is 1.
    fn fits_exponent(&self, candidate: &BoxedUint) -> Result<bool, CryptoError> {
        let e = NonZero::<Limb>::new(Limb::from(self.exponent));
        let e = Option::<NonZero<Limb>>::from(e).ok_or(CryptoError::Parameter)?;
        let rest = candidate.rem_limb(e).0;
        let (mut a, mut b) = (u64::from(self.exponent), rest.wrapping_sub(1));
        if rest == 0 {
            b = a.wrapping_sub(1);
        }
        while b != 0 {
            (a, b) = (b, a.checked_rem(b).unwrap_or(0));
        }
        Ok(a == 1)
    }

    /// One bit for each odd number from the start on, set if it has a factor
    /// among the small primes.
    fn sieve(&self, start: &BoxedUint, small: &SmallPrimes) -> Result<Vec<u64>, CryptoError> {
        let limit = u64::from(self.limit());
        let mut sieve = vec![0u64; self.limit().div_ceil(64) as usize];
        let mut mark = |prime: u64, rest: u64| {
            // The first i with start + 2 i divisible: i = -rest / 2 modulo prime.
            let negative = if rest == 0 {
                0
            } else {
                prime.wrapping_sub(rest)
            };
            let half = if negative % 2 == 0 {
                negative / 2
            } else {
                negative.wrapping_add(prime) / 2
            };
            let mut i = half;
            while i < limit {
                if let Some(word) = sieve.get_mut((i / 64) as usize) {
                    *word |= 1 << (i % 64);
                }
                i = i.wrapping_add(prime);
            }
        };
        // The long division is done for as many primes at once as a word takes.
        let mut group: Vec<u64> = Vec::new();
        let mut product = 1u64;
        for prime in small.iter().map(Some).chain([None]) {
            if let Some(larger) = prime.and_then(|prime| product.checked_mul(prime)) {
                group.extend(prime);
                product = larger;
                continue;
            }
            let divisor = Option::<NonZero<Limb>>::from(NonZero::<Limb>::new(Limb(product)));
            let rest = start.rem_limb(divisor.ok_or(CryptoError::Internal)?).0;
            for prime in group.drain(..) {
                mark(prime, rest.checked_rem(prime).unwrap_or(0));
            }
            group.extend(prime);
            product = prime.unwrap_or(1);
        }
        Ok(sieve)
    }
}

/// A random number of `bits` bits at most.
fn random(bits: u32, rng: &mut dyn Random) -> Secret {
    let mut bytes = Zeroizing::new(vec![0; (bits / 8) as usize]);
    rng.fill(&mut bytes);
    Zeroizing::new(BoxedUint::from_be_slice_truncated(&bytes, bits))
}

/// The first clear bit at or behind `from`, below `limit`.
fn next_candidate(sieve: &[u64], from: u32, limit: u32) -> Option<u32> {
    let mut at = from;
    while at < limit {
        let word = sieve.get((at / 64) as usize)?;
        let clear = !word >> (at % 64);
        if clear != 0 {
            let found = at.checked_add(clear.trailing_zeros())?;
            return (found < limit).then_some(found);
        }
        at = (at / 64).checked_add(1)?.checked_mul(64)?;
    }
    None
}

/// start + 2 i, unless it overflows.
fn nth(start: &BoxedUint, i: u32) -> Option<Secret> {
    let (sum, overflow) = start.overflowing_add(BoxedUint::from(u64::from(i) * 2));
    let sum = Zeroizing::new(sum);
    (!bool::from(overflow)).then_some(sum)
}

/// Miller-Rabin tests of one number.
struct Tester {
    modulus: BoxedMontyParams,
    /// The odd part of the number less one, and how often 2 divides that.
    odd_part: Secret,
    twos: u32,
}

impl Tester {
    fn new(number: &BoxedUint) -> Result<Self, CryptoError> {
        let less_one = Zeroizing::new(number.wrapping_sub(BoxedUint::one()));
        let twos = less_one.trailing_zeros();
        Ok(Self {
            modulus: BoxedMontyParams::new(odd(number)?),
            odd_part: Zeroizing::new(less_one.wrapping_shr_vartime(twos)),
            twos,
        })
    }

    /// Whether the number is a prime as far as this base tells.
    fn passes(&self, base: BoxedUint) -> bool {
        let bits = self.modulus.bits_precision();
        let Ok(divisor) = non_zero(self.modulus.modulus().as_ref()) else {
            return false;
        };
        let base = BoxedMontyForm::new(base.rem(&divisor), &self.modulus);
        let one = BoxedMontyForm::one(&self.modulus);
        let minus_one = -&one;
        let mut power = base.pow_bounded_exp(&self.odd_part, bits);
        if power == one || power == minus_one {
            return true;
        }
        for _ in 1..self.twos {
            power = power.square();
            if power == minus_one {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
