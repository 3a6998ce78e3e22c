//! RSA key generation as a computation that can be interrupted.

use super::key::{PrivateKey, check_exponent, is_key_size};
use super::number::Secret;
use super::prime::{Search, SmallPrimes};
use crate::crypto::CryptoError;
use crate::crypto::rng::Random;

/// The cost of a Miller-Rabin test with a modulus of 512 bits, in which a slice
/// is counted: about a twentieth of a millisecond.
const SLICE: i64 = 32;

/// A key generation in progress.
///
/// What comes out depends on the random numbers alone and not on how many steps
/// they were taken in. With a stream of
/// [`Drbg::derive`](crate::crypto::rng::Drbg::derive) this is how primary keys
/// are made, and is frozen: for p and then q, numbers of half the key's size are
/// drawn until one is no less than 2^(k - 1/2), the lowest bit set; the prime is
/// the first from there on whose predecessor has no factor in common with e, and
/// if there is none in `4 k` odd numbers another start is drawn. Each candidate
/// that passes Miller-Rabin with base 2 draws numbers of the same size as bases
/// until enough rounds had one in range. If p and q agree in their first 100
/// bits, q is searched again.
pub struct KeyGen {
    exponent: u32,
    prime_bits: u32,
    small: SmallPrimes,
    search: Search,
    p: Option<Secret>,
}

impl KeyGen {
    /// Begins. `bits` is the modulus's size, `exponent` is odd and at least 3.
    ///
    /// # Errors
    /// `Parameter` if the size is none that this TPM has, `Value` if the
    /// exponent is not allowed.
    pub fn new(bits: u16, exponent: u32) -> Result<Self, CryptoError> {
        if !is_key_size(u32::from(bits)) {
            return Err(CryptoError::Parameter);
        }
        let prime_bits = u32::from(bits) / 2;
        check_exponent(exponent)?;
        Ok(Self {
            exponent,
            prime_bits,
            small: SmallPrimes::for_bits(prime_bits),
            search: Search::new(prime_bits, exponent),
            p: None,
        })
    }

    /// Works for `slices` slices of one to three milliseconds, one test of a
    /// candidate at least. Gives the key when it is found; it then begins anew.
    ///
    /// # Errors
    /// `Internal` if the computation went wrong.
    pub fn step(
        &mut self,
        rng: &mut dyn Random,
        slices: u32,
    ) -> Result<Option<PrivateKey>, CryptoError> {
        let words = i64::from(self.prime_bits / 512);
        let cost = words.saturating_mul(words).saturating_mul(words);
        let mut budget = i64::from(slices).saturating_mul(SLICE).max(1);
        while budget > 0 {
            budget = budget.saturating_sub(cost);
            let Some(prime) = self.search.step(&self.small, rng)? else {
                continue;
            };
            match self.p.take() {
                None => self.p = Some(prime),
                Some(p) if too_close(&p, &prime) => self.p = Some(p),
                Some(p) => return PrivateKey::from_primes(p, prime, self.exponent).map(Some),
            }
        }
        Ok(None)
    }
}

/// Whether the difference is no more than 2^(bits - 100) (FIPS 186-5, A.1.3).
fn too_close(p: &Secret, q: &Secret) -> bool {
    let (larger, smaller) = if **p > **q { (p, q) } else { (q, p) };
    let difference = Secret::new(larger.wrapping_sub(&**smaller));
    difference.bits() <= difference.bits_precision().saturating_sub(100)
}
