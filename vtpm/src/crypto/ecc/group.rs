//! Scalars and points of one curve, between bytes and the curve crates' types.
//!
//! The functions are generic over the curve; [`with_curve`] chooses it.

use super::Point;
use crate::crypto::CryptoError;
use crate::crypto::rng::Random;
use alloc::vec::Vec;
use p256::elliptic_curve::array::typenum::Unsigned;
use p256::elliptic_curve::ops::Reduce;
use p256::elliptic_curve::point::AffineCoordinates;
use p256::elliptic_curve::{CurveArithmetic, CurveGroup, Field, FieldBytes, Group, PrimeField};
use zeroize::{Zeroize, Zeroizing};

/// Evaluates an expression with `$c` as the type of the curve `$curve`.
macro_rules! with_curve {
    ($curve:expr, $c:ident => $body:expr) => {
        match $curve {
            $crate::crypto::ecc::Curve::P256 => {
                type $c = p256::NistP256;
                $body
            }
            $crate::crypto::ecc::Curve::P384 => {
                type $c = p384::NistP384;
                $body
            }
            $crate::crypto::ecc::Curve::P521 => {
                type $c = p521::NistP521;
                $body
            }
        }
    };
}
pub(super) use with_curve;

/// A scalar that is wiped when it goes.
pub(super) type Secret<C> = Zeroizing<<C as CurveArithmetic>::Scalar>;

/// The length in bytes of field elements, and of scalars, which on these curves
/// are as long.
pub(super) fn len<C: CurveArithmetic>() -> usize {
    C::FieldBytesSize::USIZE
}

/// Bytes as a number of the field's length.
///
/// # Errors
/// `Value` if it does not fit.
pub(super) fn number<C: CurveArithmetic>(bytes: &[u8]) -> Result<FieldBytes<C>, CryptoError> {
    let (excess, bytes) = bytes.split_at(bytes.len().saturating_sub(len::<C>()));
    if excess.iter().any(|byte| *byte != 0) {
        return Err(CryptoError::Value);
    }
    let mut out = FieldBytes::<C>::default();
    for (out, byte) in out.iter_mut().rev().zip(bytes.iter().rev()) {
        *out = *byte;
    }
    Ok(out)
}

/// A scalar from 1 to n - 1.
///
/// # Errors
/// `Value` if it is not in that range.
pub(super) fn scalar<C: CurveArithmetic>(bytes: &[u8]) -> Result<Secret<C>, CryptoError> {
    let mut number = number::<C>(bytes)?;
    let scalar = Option::<C::Scalar>::from(C::Scalar::from_repr(number)).map(Zeroizing::new);
    number.as_mut_slice().zeroize();
    scalar
        .filter(|scalar| !bool::from(scalar.is_zero()))
        .ok_or(CryptoError::Value)
}

/// A number of any length, modulo the order.
pub(super) fn reduce<C: CurveArithmetic>(bytes: &[u8]) -> Secret<C> {
    let mut sum = Zeroizing::new(C::Scalar::ZERO);
    // Horner's rule, with digits of 32 bytes that any of the orders exceeds or
    // nearly does.
    let shift = C::Scalar::from(2).pow_vartime([8 * 32]);
    for digit in bytes.rchunks(32).rev() {
        let mut number = FieldBytes::<C>::default();
        for (out, byte) in number.iter_mut().rev().zip(digit.iter().rev()) {
            *out = *byte;
        }
        let digit = Zeroizing::new(<C::Scalar as Reduce<FieldBytes<C>>>::reduce(&number));
        number.as_mut_slice().zeroize();
        *sum = *sum * shift + *digit;
    }
    sum
}

/// A random scalar from 1 to n - 1 by testing candidates (FIPS 186-5, A.2.2).
pub(super) fn random<C: CurveArithmetic>(rng: &mut dyn Random) -> Secret<C> {
    let mut candidate = FieldBytes::<C>::default();
    // The orders have no fewer bits than their bytes hold, but for P-521's.
    let unused = 8 * len::<C>() as u32 - C::Scalar::NUM_BITS;
    loop {
        rng.fill(&mut candidate);
        if let Some(first) = candidate.first_mut() {
            *first &= 0xff >> unused;
        }
        let scalar = Option::<C::Scalar>::from(C::Scalar::from_repr(candidate));
        candidate.as_mut_slice().zeroize();
        if let Some(c) = scalar.map(Zeroizing::new) {
            let d = Zeroizing::new(*c + C::Scalar::ONE);
            if !bool::from(d.is_zero()) {
                return d;
            }
        }
    }
}

/// The bytes of a scalar, as long as the order.
pub(super) fn bytes<C: CurveArithmetic>(scalar: &C::Scalar) -> Zeroizing<Vec<u8>> {
    let mut repr = scalar.to_repr();
    let bytes = Zeroizing::new(repr.to_vec());
    repr.as_mut_slice().zeroize();
    bytes
}

/// A point that is on the curve and not its identity.
///
/// # Errors
/// `Value` if a coordinate is not below p, or the equation does not hold.
pub(super) fn point<C: CurveArithmetic>(x: &[u8], y: &[u8]) -> Result<C::AffinePoint, CryptoError> {
    Option::from(C::AffinePoint::from_coordinates(
        &number::<C>(x)?,
        &number::<C>(y)?,
    ))
    .ok_or(CryptoError::Value)
}

/// A point's coordinates.
///
/// # Errors
/// `Value` if it is the identity, which has none.
pub(super) fn coordinates<C: CurveArithmetic>(
    point: &C::ProjectivePoint,
) -> Result<Point, CryptoError> {
    if bool::from(point.is_identity()) {
        return Err(CryptoError::Value);
    }
    let affine = point.to_affine();
    Ok(Point {
        x: affine.x().to_vec(),
        y: affine.y().to_vec(),
    })
}

/// A scalar's multiple of the base point, in constant time.
pub(super) fn base_mul<C: CurveArithmetic>(scalar: &C::Scalar) -> C::ProjectivePoint {
    C::ProjectivePoint::mul_by_generator(scalar)
}
