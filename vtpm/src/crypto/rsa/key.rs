//! RSA keys and their raw operations.

use super::number::{Secret, from_bytes, non_zero, odd, public_power};
use crate::crypto::CryptoError;
use crate::crypto::rng::Random;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, ConcatenatingMul, CtEq, Limb, NonZero, Odd, Resize, U64};
use zeroize::Zeroizing;

/// Whether this TPM has keys of so many bits.
pub(super) fn is_key_size(bits: u32) -> bool {
    matches!(bits, 1024 | 2048 | 3072 | 4096)
}

/// # Errors
/// `Value` if the exponent is even or 1.
pub(super) fn check_exponent(exponent: u32) -> Result<(), CryptoError> {
    if exponent % 2 == 1 && exponent > 1 {
        Ok(())
    } else {
        Err(CryptoError::Value)
    }
}

/// An RSA public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    modulus: BoxedMontyParams,
    exponent: u32,
}

impl PublicKey {
    /// From the modulus, big-endian without leading zeros, and the exponent.
    ///
    /// # Errors
    /// `Parameter` if the modulus has none of the sizes 1024, 2048, 3072 and
    /// 4096 bits, `Value` if it is even or the exponent is even or 1.
    pub fn new(n: &[u8], e: u32) -> Result<Self, CryptoError> {
        let bits = u32::try_from(n.len()).unwrap_or(u32::MAX).saturating_mul(8);
        if !is_key_size(bits) || n.first().is_none_or(|first| *first < 0x80) {
            return Err(CryptoError::Parameter);
        }
        check_exponent(e)?;
        Ok(Self {
            modulus: BoxedMontyParams::new_vartime(odd(&from_bytes(n, bits)?)?),
            exponent: e,
        })
    }

    /// The modulus, big-endian.
    pub fn n(&self) -> Vec<u8> {
        self.modulus.modulus().to_be_bytes().to_vec()
    }

    /// The exponent.
    pub fn e(&self) -> u32 {
        self.exponent
    }

    /// The modulus's size in bits.
    pub fn bits(&self) -> u32 {
        self.modulus.bits_precision()
    }

    /// The modulus's size, and that of all results, in bytes.
    pub fn size(&self) -> usize {
        self.modulus
            .modulus()
            .as_ref()
            .nlimbs()
            .saturating_mul(Limb::BYTES)
    }

    /// A message to the power of e; as long as the modulus. Leading zeros of the
    /// message do not matter.
    ///
    /// # Errors
    /// `Value` if the message is not below n.
    pub fn encrypt_raw(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(self.power(message)?.to_be_bytes().to_vec())
    }

    fn power(&self, message: &[u8]) -> Result<BoxedUint, CryptoError> {
        let message = Zeroizing::new(from_bytes(message, self.bits())?);
        self.power_of(&message)
    }

    fn power_of(&self, message: &BoxedUint) -> Result<BoxedUint, CryptoError> {
        if message >= self.modulus.modulus().as_ref() {
            return Err(CryptoError::Value);
        }
        let base = BoxedMontyForm::new(message.clone(), &self.modulus);
        Ok(public_power(&base, self.exponent, &self.modulus).retrieve())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RSA-{}, e = {}", self.bits(), self.exponent)
    }
}

/// What a private operation needs of one prime.
#[derive(Clone)]
struct Half {
    prime: Secret,
    /// The inverse of e modulo the prime less one.
    exponent: Secret,
}

impl Half {
    fn new(prime: Secret, e: u32) -> Result<Self, CryptoError> {
        let exponent = inverse_exponent(&prime, e)?;
        Ok(Self { prime, exponent })
    }

    fn modulus(&self) -> Result<BoxedMontyParams, CryptoError> {
        Ok(BoxedMontyParams::new(odd(&self.prime)?))
    }

    /// The e-th root of `c` modulo the prime, computed from `c` times the e-th
    /// power of a random number, so that neither time nor power nor faults tell
    /// of `c` and its root together.
    fn root(
        &self,
        c: &BoxedUint,
        e: u32,
        modulus: &BoxedMontyParams,
        rng: &mut dyn Random,
    ) -> Result<BoxedMontyForm, CryptoError> {
        let prime = non_zero(&self.prime)?;
        let mut bytes = Zeroizing::new(vec![0; self.prime.nlimbs().saturating_mul(Limb::BYTES)]);
        rng.fill(&mut bytes);
        let factor = Zeroizing::new(from_bytes(&bytes, self.prime.bits_precision())?);
        let factor = BoxedMontyForm::new(factor.rem(&prime), modulus);
        // Zero is all but impossible, and nothing to blind with.
        let inverse =
            Option::<BoxedMontyForm>::from(factor.invert()).ok_or(CryptoError::Internal)?;
        let c = BoxedMontyForm::new(c.rem(&prime), modulus);
        let blinded = c.mul(&public_power(&factor, e, modulus));
        let root = blinded.pow_bounded_exp(&self.exponent, self.prime.bits_precision());
        Ok(root.mul(&inverse))
    }
}

/// An RSA private key with what the Chinese remainder theorem needs.
///
/// Its numbers are wiped when it goes. What `crypto-bigint` puts aside during an
/// operation, moduli among it, is not.
#[derive(Clone)]
pub struct PrivateKey {
    public: PublicKey,
    p: Half,
    q: Half,
    /// The inverse of q modulo p.
    q_inverse: Secret,
}

impl PrivateKey {
    /// From the public key's numbers and one of the two primes, which is all
    /// that the TPM's sensitive area holds.
    ///
    /// # Errors
    /// As [`PublicKey::new`]; `Value` if `p` has not half the modulus's size, or
    /// does not divide it, or what remains has another size, or the exponent
    /// does not fit. That both numbers are primes is not tested.
    pub fn from_prime(n: &[u8], e: u32, p: &[u8]) -> Result<Self, CryptoError> {
        let public = PublicKey::new(n, e)?;
        let bits = public.bits() / 2;
        let p = Zeroizing::new(from_bytes(p, bits)?);
        if p.bits() != bits {
            return Err(CryptoError::Value);
        }
        let n: &BoxedUint = public.modulus.modulus().as_ref();
        let (q, rest) = n.div_rem(&non_zero(&p)?);
        let q = Zeroizing::new(q);
        if !bool::from(rest.is_zero()) || q.bits() != bits {
            return Err(CryptoError::Value);
        }
        let q = Zeroizing::new((*q).clone().resize_unchecked(bits));
        Self::new(public, p, q)
    }

    /// From two primes of the same size.
    ///
    /// # Errors
    /// `Parameter` if the product has no size of this TPM's keys, `Value` if the
    /// exponent does not fit.
    pub(super) fn from_primes(p: Secret, q: Secret, e: u32) -> Result<Self, CryptoError> {
        let n = p.concatenating_mul(&*q);
        let public = PublicKey::new(&n.to_be_bytes(), e)?;
        Self::new(public, p, q)
    }

    fn new(public: PublicKey, p: Secret, q: Secret) -> Result<Self, CryptoError> {
        let p = Half::new(p, public.exponent)?;
        let q = Half::new(q, public.exponent)?;
        let modulus = p.modulus()?;
        let q_mod_p = BoxedMontyForm::new(q.prime.rem(&non_zero(&p.prime)?), &modulus);
        // There is none if both are equal.
        let inverse = Option::<BoxedMontyForm>::from(q_mod_p.invert()).ok_or(CryptoError::Value)?;
        Ok(Self {
            public,
            p,
            q,
            q_inverse: Zeroizing::new(inverse.retrieve()),
        })
    }

    /// The public key.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// One of the two primes, big-endian, half as long as the modulus.
    pub fn prime(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.p.prime.to_be_bytes().to_vec())
    }

    /// The message whose power is `ciphertext`; as long as the modulus.
    ///
    /// # Errors
    /// `Value` if the ciphertext is not below n; `Internal` if the result, put to
    /// the power of e, is not the ciphertext. A fault, or a key whose numbers are
    /// no primes, then gives nothing away.
    pub fn decrypt_raw(
        &self,
        ciphertext: &[u8],
        rng: &mut dyn Random,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let c = from_bytes(ciphertext, self.public.bits())?;
        if c >= *self.public.modulus.modulus().as_ref() {
            return Err(CryptoError::Value);
        }
        let e = self.public.exponent;
        let mod_p = self.p.modulus()?;
        let mod_q = self.q.modulus()?;
        let root_p = self.p.root(&c, e, &mod_p, rng)?;
        let root_q = Zeroizing::new(self.q.root(&c, e, &mod_q, rng)?.retrieve());
        // Garner: root = root_q + q ((root_p - root_q) / q mod p).
        let p = non_zero(&self.p.prime)?;
        let difference = root_p.sub(&BoxedMontyForm::new(root_q.rem(&p), &mod_p));
        let q_inverse = BoxedMontyForm::new((*self.q_inverse).clone(), &mod_p);
        let h = Zeroizing::new(difference.mul(&q_inverse).retrieve());
        let product = h.concatenating_mul(&*self.q.prime);
        let root = Zeroizing::new(Zeroizing::new(product).wrapping_add(&*root_q));
        if bool::from(self.public.power_of(&root)?.ct_eq(&c)) {
            Ok(Zeroizing::new(root.to_be_bytes().to_vec()))
        } else {
            Err(CryptoError::Internal)
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "private key of {:?}", self.public)
    }
}

/// The inverse of e modulo p - 1, by a division by e only: it is
/// (1 + k (p - 1)) / e with the k that makes the division exact.
fn inverse_exponent(p: &BoxedUint, e: u32) -> Result<Secret, CryptoError> {
    let e_limb = Option::<NonZero<Limb>>::from(NonZero::<Limb>::new(Limb::from(e)))
        .ok_or(CryptoError::Value)?;
    let e_odd = Option::<Odd<U64>>::from(Odd::new(U64::from(e))).ok_or(CryptoError::Value)?;
    let less_one = Zeroizing::new(p.wrapping_sub(BoxedUint::one()));
    let rest = U64::from(less_one.rem_limb(e_limb).0);
    let inverse = Option::<U64>::from(rest.invert_odd_mod(&e_odd)).ok_or(CryptoError::Value)?;
    let k = u64::from(e).wrapping_sub(u64::from(inverse));
    let product = less_one.concatenating_mul(&BoxedUint::from(k));
    let numerator = Zeroizing::new(Zeroizing::new(product).wrapping_add(BoxedUint::one()));
    let (quotient, _) = numerator.div_rem_limb(e_limb);
    let quotient = Zeroizing::new(quotient);
    // Below p - 1, so nothing is lost.
    Ok(Zeroizing::new(
        (*quotient).clone().resize_unchecked(p.bits_precision()),
    ))
}
