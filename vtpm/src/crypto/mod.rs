//! What the TPM computes with: hashes, HMAC, key derivation, AES, RSA,
//! elliptic curves and random numbers.
//!
//! Nothing in here knows a command, a handle or a wire structure. All numbers
//! are byte strings, big-endian, as the TPM's interfaces have them. Nothing
//! panics on any input; what an input can be refused for is in [`CryptoError`].
//!
//! Left out: SM2, SM3, SM4, Camellia, SHA-3 and the curves BN_P256 and BN_P638,
//! which the PC Client profile does not ask for and for which there is no
//! well-kept constant-time implementation to build on.

use core::fmt;

pub mod ecc;
pub mod hash;
pub mod hmac;
pub mod kdf;
pub mod rng;
pub mod rsa;
pub mod sym;

/// Why a cryptographic operation was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CryptoError {
    /// A key is malformed, or something has a length that cannot be.
    Parameter,
    /// A number is out of range, a point is not on the curve.
    Value,
    /// A signature or a padding is not right.
    Verify,
    /// A computation gave a wrong result, which was noticed and withheld.
    Internal,
}

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parameter => "malformed key or wrong length",
            Self::Value => "number out of range",
            Self::Verify => "bad signature or padding",
            Self::Internal => "computation failed its own check",
        })
    }
}

impl core::error::Error for CryptoError {}

#[cfg(test)]
pub(crate) mod testing {
    use alloc::vec::Vec;

    /// The bytes of a string of hexadecimal digits.
    pub(crate) fn hex(digits: &str) -> Vec<u8> {
        let digit = |d: u8| char::from(d).to_digit(16).unwrap() as u8;
        assert!(digits.len().is_multiple_of(2));
        digits
            .as_bytes()
            .chunks(2)
            .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
            .collect()
    }
}
