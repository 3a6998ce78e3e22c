//! EC Schnorr and ECDAA signatures as the TPM has them (TPM 2.0 Part 1, 44.3).

use super::group::{self, with_curve};
use super::{Curve, Point};
use crate::crypto::CryptoError;
use crate::crypto::hash::{Digest, HashAlg};
use crate::crypto::rng::Random;
use alloc::vec::Vec;
use p256::elliptic_curve::ops::MulByGeneratorVartime;
use p256::elliptic_curve::point::AffineCoordinates;
use p256::elliptic_curve::{CurveArithmetic, CurveGroup, Field, PrimeField};
use zeroize::Zeroizing;

/// Signs `digest`; gives r, which is a digest of `alg` or what of it is no
/// longer than the order, and s.
///
/// # Errors
/// `Value` if the private scalar is not from 1 to n - 1.
pub fn schnorr_sign(
    curve: Curve,
    alg: HashAlg,
    d: &[u8],
    digest: &[u8],
    rng: &mut dyn Random,
) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
    with_curve!(curve, C => {
        let d = group::scalar::<C>(d)?;
        loop {
            let k = group::random::<C>(rng);
            let r = challenge::<C>(alg, &group::base_mul::<C>(&k), digest);
            let r = truncated(&r, curve);
            let rd = Zeroizing::new(*group::reduce::<C>(r) * *d);
            let s = *k + *rd;
            if !bool::from(s.is_zero() | rd.is_zero()) {
                return Ok((r.to_vec(), s.to_repr().to_vec()));
            }
        }
    })
}

/// Verifies a signature over `digest`.
///
/// # Errors
/// `Value` if the public point is not on the curve, `Verify` if the signature is
/// not right.
pub fn schnorr_verify(
    curve: Curve,
    alg: HashAlg,
    public: &Point,
    digest: &[u8],
    r: &[u8],
    s: &[u8],
) -> Result<(), CryptoError> {
    with_curve!(curve, C => {
        type Projective = <C as CurveArithmetic>::ProjectivePoint;
        let public = Projective::from(group::point::<C>(&public.x, &public.y)?);
        let s = group::scalar::<C>(s).map_err(|_| CryptoError::Verify)?;
        let negative = -*group::reduce::<C>(r);
        let e = Projective::mul_by_generator_and_mul_add_vartime(&s, &negative, &public);
        let expected = challenge::<C>(alg, &e, digest);
        if significant(truncated(&expected, curve)) == significant(r) {
            Ok(())
        } else {
            Err(CryptoError::Verify)
        }
    })
}

/// The second half of an ECDAA signature: with `commit`, the secret number of
/// TPM2_Commit, gives k, which goes out as r, and s.
///
/// # Errors
/// `Value` if the private scalar or `commit` is not from 1 to n - 1.
pub fn ecdaa_sign(
    curve: Curve,
    alg: HashAlg,
    d: &[u8],
    commit: &[u8],
    digest: &[u8],
    rng: &mut dyn Random,
) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
    with_curve!(curve, C => {
        let d = group::scalar::<C>(d)?;
        let commit = group::scalar::<C>(commit)?;
        loop {
            let k = group::bytes::<C>(&group::random::<C>(rng));
            let t = group::reduce::<C>(&alg.digest(&[&k, digest]));
            let td = Zeroizing::new(*t * *d);
            let s = *commit + *td;
            if !bool::from(s.is_zero()) {
                return Ok((k.to_vec(), s.to_repr().to_vec()));
            }
        }
    })
}

/// The hash of a point's x coordinate and the digest.
fn challenge<C: CurveArithmetic>(
    alg: HashAlg,
    point: &C::ProjectivePoint,
    digest: &[u8],
) -> Digest {
    alg.digest(&[point.to_affine().x().as_ref(), digest])
}

/// Cuts a digest to the order's bytes.
fn truncated(digest: &[u8], curve: Curve) -> &[u8] {
    digest.get(..curve.field_len()).unwrap_or(digest)
}

/// A number without leading zeros.
fn significant(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or(&[])
}
