//! Elliptic curves: keys, ECDH, ECDSA, EC Schnorr and ECDAA over NIST's curves.
//!
//! Everything that involves a private key or a signature's secret number is
//! constant-time, as the crates `p256`, `p384` and `p521` make it; verification
//! of signatures and checks of points are not.

mod dsa;
mod group;
// Its hexadecimal digits are read when the crate is compiled.
#[allow(clippy::indexing_slicing, clippy::panic)]
mod parameters;
mod schnorr;

use super::CryptoError;
use super::rng::Random;
use alloc::vec;
use alloc::vec::Vec;
use crypto_bigint::{BoxedUint, NonZero};
use group::with_curve;
pub use parameters::CurveParameters;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub use dsa::{ecdsa_sign, ecdsa_verify};
pub use schnorr::{ecdaa_sign, schnorr_sign, schnorr_verify};

/// A curve that this TPM implements.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
}

impl Curve {
    /// All of them, in the order of their identifiers.
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// The `TPM_ECC_CURVE` (TPM 2.0 Part 2, 6.4).
    pub const fn id(self) -> u16 {
        match self {
            Self::P256 => 0x0003,
            Self::P384 => 0x0004,
            Self::P521 => 0x0005,
        }
    }

    /// The curve of a `TPM_ECC_CURVE`, if it is implemented.
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.id() == id)
    }

    /// The size of the field and of the order in bits.
    pub const fn bits(self) -> u32 {
        match self {
            Self::P256 => 256,
            Self::P384 => 384,
            Self::P521 => 521,
        }
    }

    /// The length of coordinates and of scalars in bytes.
    pub const fn field_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// A point by its coordinates, each [`Curve::field_len`] bytes long if it comes
/// from this module. The identity has no coordinates and is not such a point.
///
/// It may be a shared secret, and is wiped when it goes.
#[derive(Clone, PartialEq, Eq, Debug, Zeroize, ZeroizeOnDrop)]
pub struct Point {
    /// The x coordinate.
    pub x: Vec<u8>,
    /// The y coordinate.
    pub y: Vec<u8>,
}

/// A new key pair: the private scalar, and the public point.
///
/// The scalar comes from testing candidates (FIPS 186-5, A.2.2). With a stream
/// of [`Drbg::derive`](super::rng::Drbg::derive) this is how primary keys are
/// made, and is frozen.
pub fn generate(curve: Curve, rng: &mut dyn Random) -> (Zeroizing<Vec<u8>>, Point) {
    with_curve!(curve, C => loop {
        let d = group::random::<C>(rng);
        // Never the identity, because d is not a multiple of the order.
        if let Ok(point) = group::coordinates::<C>(&group::base_mul::<C>(&d)) {
            return (group::bytes::<C>(&d), point);
        }
    })
}

/// The public point of a private scalar.
///
/// # Errors
/// `Value` if the scalar is not from 1 to n - 1.
pub fn public_key(curve: Curve, d: &[u8]) -> Result<Point, CryptoError> {
    with_curve!(curve, C => {
        let d = group::scalar::<C>(d)?;
        group::coordinates::<C>(&group::base_mul::<C>(&d))
    })
}

/// The point with these coordinates, which may be shorter than the field.
///
/// # Errors
/// `Value` if a coordinate is out of range or the point is not on the curve.
pub fn check(curve: Curve, x: &[u8], y: &[u8]) -> Result<Point, CryptoError> {
    with_curve!(curve, C => group::coordinates::<C>(&group::point::<C>(x, y)?.into()))
}

/// `d` times a point, in constant time. With a private key it is ECDH's secret.
///
/// # Errors
/// `Value` if the scalar is not from 1 to n - 1 or the point is not on the curve.
pub fn mul(curve: Curve, d: &[u8], point: &Point) -> Result<Point, CryptoError> {
    with_curve!(curve, C => {
        let d = group::scalar::<C>(d)?;
        let point = <C as p256::elliptic_curve::CurveArithmetic>::ProjectivePoint::from(
            group::point::<C>(&point.x, &point.y)?,
        );
        group::coordinates::<C>(&(point * *d))
    })
}

/// `a` times P plus `b` times Q, in constant time.
///
/// # Errors
/// `Value` if a scalar is not from 1 to n - 1, a point is not on the curve, or
/// the sum is the identity.
pub fn mul2(curve: Curve, a: &[u8], p: &Point, b: &[u8], q: &Point) -> Result<Point, CryptoError> {
    with_curve!(curve, C => {
        type Projective = <C as p256::elliptic_curve::CurveArithmetic>::ProjectivePoint;
        let a = group::scalar::<C>(a)?;
        let b = group::scalar::<C>(b)?;
        let p = Projective::from(group::point::<C>(&p.x, &p.y)?);
        let q = Projective::from(group::point::<C>(&q.x, &q.y)?);
        group::coordinates::<C>(&(p * *a + q * *b))
    })
}

/// A number of any length modulo the order, as long as the order. Zero gives 1,
/// so that the result is a scalar.
pub fn reduce(curve: Curve, bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    with_curve!(curve, C => {
        let mut out = group::bytes::<C>(&group::reduce::<C>(bytes));
        if super::hmac::ct_eq(&out, &alloc::vec![0; curve.field_len()])
            && let Some(last) = out.last_mut()
        {
            *last = 1;
        }
        out
    })
}

/// A public number of any length modulo the field's prime, as long as that.
pub fn reduce_coordinate(curve: Curve, bytes: &[u8]) -> Vec<u8> {
    let bits = |bytes: &[u8]| {
        u32::try_from(bytes.len())
            .unwrap_or(u32::MAX)
            .saturating_mul(8)
    };
    let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, bits(bytes)).ok();
    let p =
        number(curve.parameters().p).and_then(|p| Option::<NonZero<BoxedUint>>::from(p.into_nz()));
    let rest = p
        .zip(number(bytes))
        .map(|(p, number)| number.rem_vartime(&p));
    let mut out = vec![0; curve.field_len()];
    if let Some(rest) = rest {
        let rest = rest.to_be_bytes();
        for (out, byte) in out.iter_mut().rev().zip(rest.iter().rev()) {
            *out = *byte;
        }
    }
    out
}

/// `a + b * c` modulo the order, in constant time. All three are reduced first.
pub fn mul_add_scalars(curve: Curve, a: &[u8], b: &[u8], c: &[u8]) -> Zeroizing<Vec<u8>> {
    with_curve!(curve, C => {
        let (a, b, c) = (group::reduce::<C>(a), group::reduce::<C>(b), group::reduce::<C>(c));
        let sum = Zeroizing::new(*a + *b * *c);
        group::bytes::<C>(&sum)
    })
}

#[cfg(test)]
mod tests;
