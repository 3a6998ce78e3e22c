//! ECDSA (FIPS 186-5, 6).

use super::group::{self, with_curve};
use super::{Curve, Point};
use crate::crypto::CryptoError;
use crate::crypto::rng::{Drbg, Random};
use alloc::vec::Vec;
use p256::elliptic_curve::ops::{MulByGeneratorVartime, Reduce};
use p256::elliptic_curve::point::AffineCoordinates;
use p256::elliptic_curve::{CurveArithmetic, CurveGroup, Field, FieldBytes, PrimeField};
use zeroize::Zeroizing;

/// The leftmost bits of a digest as a number, no more of them than the order
/// has, modulo the order.
fn digest_number<C: CurveArithmetic>(digest: &[u8]) -> C::Scalar {
    let digest = digest.get(..group::len::<C>()).unwrap_or(digest);
    let mut number = FieldBytes::<C>::default();
    let excess = (8 * digest.len() as u32).saturating_sub(C::Scalar::NUM_BITS);
    let mut carry = 0u8;
    // Only P-521's order is no whole number of bytes: 7 bits go then.
    let start = number.len().saturating_sub(digest.len());
    for (out, byte) in number.iter_mut().skip(start).zip(digest) {
        let shifted = (u16::from(carry) << 8 | u16::from(*byte)) >> excess;
        *out = shifted.to_be_bytes()[1];
        carry = *byte;
    }
    <C::Scalar as Reduce<FieldBytes<C>>>::reduce(&number)
}

/// The x coordinate of a point, modulo the order.
fn x_scalar<C: CurveArithmetic>(point: &C::ProjectivePoint) -> C::Scalar {
    <C::Scalar as Reduce<FieldBytes<C>>>::reduce(&point.to_affine().x())
}

/// Signs a digest of any length; gives r and s, as long as the order.
///
/// The secret number comes from the private key and the digest as RFC 6979
/// says, with 32 random bytes as its section 3.6 allows: a bad random source
/// then does not give the key away, and a fault cannot be provoked twice on the
/// same secret number.
///
/// # Errors
/// `Value` if the private scalar is not from 1 to n - 1.
pub fn ecdsa_sign(
    curve: Curve,
    d: &[u8],
    digest: &[u8],
    rng: &mut dyn Random,
) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
    let mut extra = Zeroizing::new([0; 32]);
    rng.fill(&mut *extra);
    with_curve!(curve, C => sign::<C>(d, digest, &*extra))
}

fn sign<C: CurveArithmetic>(
    d: &[u8],
    digest: &[u8],
    extra: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
    let d = group::scalar::<C>(d)?;
    let z = digest_number::<C>(digest);
    let mut numbers = Drbg::instantiate(&[&group::bytes::<C>(&d), &group::bytes::<C>(&z), extra]);
    loop {
        let k = rfc6979_candidate::<C>(&mut numbers);
        let inverse = Option::<C::Scalar>::from(k.invert()).map(Zeroizing::new);
        if let Some(inverse) = inverse {
            let r = x_scalar::<C>(&group::base_mul::<C>(&k));
            let rd = Zeroizing::new(*d * r);
            let s = *inverse * (z + *rd);
            if !bool::from(r.is_zero() | s.is_zero()) {
                return Ok((r.to_repr().to_vec(), s.to_repr().to_vec()));
            }
        }
    }
}

/// The next number of RFC 6979, 3.2 h; zero in place of one that is too large,
/// which counts as no candidate either.
fn rfc6979_candidate<C: CurveArithmetic>(numbers: &mut Drbg) -> group::Secret<C> {
    let mut bytes = Zeroizing::new([0; 66]);
    let Some(bytes) = bytes.get_mut(..group::len::<C>()) else {
        return Zeroizing::new(C::Scalar::ZERO);
    };
    numbers.fill(bytes);
    let unused = 8 * bytes.len() as u32 - C::Scalar::NUM_BITS;
    let mut carry = 0u8;
    for byte in bytes.iter_mut() {
        let shifted = (u16::from(carry) << 8 | u16::from(*byte)) >> unused;
        carry = *byte;
        *byte = shifted.to_be_bytes()[1];
    }
    group::scalar::<C>(bytes).unwrap_or(Zeroizing::new(C::Scalar::ZERO))
}

/// Verifies a signature over a digest of any length.
///
/// # Errors
/// `Value` if the public point is not on the curve, `Verify` if the signature is
/// not right.
pub fn ecdsa_verify(
    curve: Curve,
    public: &Point,
    digest: &[u8],
    r: &[u8],
    s: &[u8],
) -> Result<(), CryptoError> {
    with_curve!(curve, C => verify::<C>(public, digest, r, s))
}

fn verify<C: CurveArithmetic>(
    public: &Point,
    digest: &[u8],
    r: &[u8],
    s: &[u8],
) -> Result<(), CryptoError> {
    let public = group::point::<C>(&public.x, &public.y)?.into();
    let bad = |_| CryptoError::Verify;
    let r = group::scalar::<C>(r).map_err(bad)?;
    let s = group::scalar::<C>(s).map_err(bad)?;
    let w = Option::<C::Scalar>::from(s.invert()).ok_or(CryptoError::Verify)?;
    let (u1, u2) = (digest_number::<C>(digest) * w, *r * w);
    let sum = C::ProjectivePoint::mul_by_generator_and_mul_add_vartime(&u1, &u2, &public);
    // The identity's x would be given as zero, which r is not.
    if x_scalar::<C>(&sum) == *r {
        Ok(())
    } else {
        Err(CryptoError::Verify)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hash::HashAlg;
    use crate::crypto::testing::hex;

    /// RFC 6979, A.2.5 to A.2.7: the message "sample" with SHA-256.
    #[test]
    fn rfc6979_vectors() {
        for (curve, d, r, s) in [
            (
                Curve::P256,
                "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
                "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
                "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
            ),
            (
                Curve::P384,
                "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d8\
                 96d5724e4c70a825f872c9ea60d2edf5",
                "21b13d1e013c7fa1392d03c5f99af8b30c570c6f98d4ea8e354b63a21d3daa33\
                 bde1e888e63355d92fa2b3c36d8fb2cd",
                "f3aa443fb107745bf4bd77cb3891674632068a10ca67e3d45db2266fa7d1feeb\
                 efdc63eccd1ac42ec0cb8668a4fa0ab0",
            ),
            (
                Curve::P521,
                "00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75\
                 caa896eb32f1f47c70855836a6d16fcc1466f6d8fbec67db89ec0c08b0e996b8\
                 3538",
                "01511bb4d675114fe266fc4372b87682baecc01d3cc62cf2303c92b3526012659d\
                 16876e25c7c1e57648f23b73564d67f61c6f14d527d54972810421e7d87589e1a7",
                "004a171143a83163d6df460aaf61522695f207a58b95c0644d87e52aa1a347916e\
                 4f7a72930b1bc06dbe22ce3f58264afd23704cbb63b29b931f7de6c9d949a7ecfc",
            ),
        ] {
            let digest = HashAlg::Sha256.digest(&[b"sample"]);
            let d = hex(d);
            let signed = with_curve!(curve, C => sign::<C>(&d, &digest, &[])).unwrap();
            assert_eq!(signed, (hex(r), hex(s)), "{curve:?}");
            let public = super::super::public_key(curve, &d).unwrap();
            assert_eq!(
                ecdsa_verify(curve, &public, &digest, &signed.0, &signed.1),
                Ok(())
            );
        }
    }

    /// What is left of a digest longer than the order.
    #[test]
    fn long_digests_are_cut_on_the_left() {
        let digest = [0xab; 80];
        assert_eq!(
            digest_number::<p256::NistP256>(&digest),
            digest_number::<p256::NistP256>(&digest[..32])
        );
        assert_eq!(
            digest_number::<p384::NistP384>(&digest),
            digest_number::<p384::NistP384>(&digest[..48])
        );
        // 528 bits, shifted right by seven.
        let mut shifted = hex(&"57".repeat(66));
        shifted[0] = 0x01;
        assert_eq!(
            group::bytes::<p521::NistP521>(&digest_number::<p521::NistP521>(&digest)).to_vec(),
            shifted
        );
        assert_eq!(
            group::bytes::<p521::NistP521>(&digest_number::<p521::NistP521>(&[7; 64]))[2..],
            [7; 64]
        );
    }
}
