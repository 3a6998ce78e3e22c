//! Big integers between bytes and `crypto-bigint`, and the few operations that
//! RSA needs of it.

use crate::crypto::CryptoError;
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, NonZero, Odd};
use zeroize::Zeroizing;

/// A number that is wiped when it goes.
pub(super) type Secret = Zeroizing<BoxedUint>;

/// Bytes, big-endian, as a number of `bits` bits precision; leading zeros may
/// be missing or too many.
///
/// # Errors
/// `Value` if it has more than `bits` bits.
pub(super) fn from_bytes(bytes: &[u8], bits: u32) -> Result<BoxedUint, CryptoError> {
    let len = usize::try_from(bits / 8).map_err(|_| CryptoError::Parameter)?;
    let (excess, bytes) = bytes.split_at(bytes.len().saturating_sub(len));
    if excess.iter().any(|byte| *byte != 0) {
        return Err(CryptoError::Value);
    }
    BoxedUint::from_be_slice(bytes, bits).map_err(|_| CryptoError::Parameter)
}

/// An odd number as a modulus.
///
/// # Errors
/// `Value` if it is even.
pub(super) fn odd(number: &BoxedUint) -> Result<Odd<BoxedUint>, CryptoError> {
    Option::from(number.to_odd()).ok_or(CryptoError::Value)
}

/// A number as a divisor.
///
/// # Errors
/// `Value` if it is zero.
pub(super) fn non_zero(number: &BoxedUint) -> Result<NonZero<BoxedUint>, CryptoError> {
    Option::from(number.to_nz()).ok_or(CryptoError::Value)
}

/// `base` to the power of a public exponent; constant-time in the base only.
pub(super) fn public_power(
    base: &BoxedMontyForm,
    exponent: u32,
    modulus: &BoxedMontyParams,
) -> BoxedMontyForm {
    let mut power = BoxedMontyForm::one(modulus);
    for bit in (0..u32::BITS - exponent.leading_zeros()).rev() {
        power = power.square();
        if exponent >> bit & 1 == 1 {
            power = power.mul(base);
        }
    }
    power
}
