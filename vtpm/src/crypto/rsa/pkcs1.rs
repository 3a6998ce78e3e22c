//! RSAES-PKCS1-v1_5 and RSASSA-PKCS1-v1_5 (RFC 8017, 7.2 and 8.2).

use super::{PrivateKey, PublicKey};
use crate::crypto::CryptoError;
use crate::crypto::hash::HashAlg;
use crate::crypto::rng::Random;
use alloc::vec;
use alloc::vec::Vec;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater};
use zeroize::Zeroizing;

/// The bytes of padding around a message at least: 00 02, eight random bytes, 00.
const OVERHEAD: usize = 11;

/// Encrypts a message.
///
/// # Errors
/// `Parameter` if the message is too long for the key.
pub fn pkcs1_encrypt(
    key: &PublicKey,
    message: &[u8],
    rng: &mut dyn Random,
) -> Result<Vec<u8>, CryptoError> {
    let room = key
        .size()
        .checked_sub(OVERHEAD)
        .and_then(|room| room.checked_sub(message.len()))
        .ok_or(CryptoError::Parameter)?;
    let mut padding = vec![0; room.saturating_add(8)];
    for byte in &mut padding {
        while *byte == 0 {
            rng.fill(core::slice::from_mut(byte));
        }
    }
    let encoded = Zeroizing::new([&[0, 2], padding.as_slice(), &[0], message].concat());
    key.encrypt_raw(&encoded)
}

/// Decrypts what [`pkcs1_encrypt`] gave. Where a padding is wrong is not told by
/// the time; that it is wrong is, as the TPM's interface has it, and that alone
/// makes this scheme unfit for anything but old software.
///
/// # Errors
/// `Verify` if the padding is wrong, otherwise as [`PrivateKey::decrypt_raw`].
pub fn pkcs1_decrypt(
    key: &PrivateKey,
    ciphertext: &[u8],
    rng: &mut dyn Random,
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let encoded = key.decrypt_raw(ciphertext, rng)?;
    let (start, padded) = encoded.split_at_checked(2).ok_or(CryptoError::Internal)?;
    let mut looking = Choice::from(1);
    let mut after = 0u32;
    for (position, byte) in (1u32..).zip(padded) {
        let zero = byte.ct_eq(&0);
        after.conditional_assign(&position, looking & zero);
        looking &= !zero;
    }
    // Eight bytes and the zero come first.
    let valid = start.ct_eq(&[0, 2]) & after.ct_gt(&8) & !looking;
    if bool::from(valid) {
        let message = padded.get(after as usize..).unwrap_or(&[]);
        Ok(Zeroizing::new(message.to_vec()))
    } else {
        Err(CryptoError::Verify)
    }
}

/// 00 01 ff ... ff 00, the digest's algorithm, the digest.
fn encode(size: usize, alg: HashAlg, digest: &[u8]) -> Result<Vec<u8>, CryptoError> {
    if digest.len() != alg.digest_size() {
        return Err(CryptoError::Parameter);
    }
    let info = alg.digest_info();
    let padding = size
        .checked_sub(OVERHEAD + info.len() + digest.len())
        .ok_or(CryptoError::Parameter)?;
    let padding = vec![0xff; padding.saturating_add(8)];
    Ok([&[0, 1], padding.as_slice(), &[0], info, digest].concat())
}

/// Signs a digest of `alg`.
///
/// # Errors
/// `Parameter` if the digest has not the algorithm's length, otherwise as
/// [`PrivateKey::decrypt_raw`].
pub fn pkcs1_sign(
    key: &PrivateKey,
    alg: HashAlg,
    digest: &[u8],
    rng: &mut dyn Random,
) -> Result<Vec<u8>, CryptoError> {
    let encoded = encode(key.public().size(), alg, digest)?;
    Ok(key.decrypt_raw(&encoded, rng)?.to_vec())
}

/// Verifies a signature over a digest of `alg`.
///
/// # Errors
/// `Parameter` if the digest has not the algorithm's length, `Verify` if the
/// signature is not right.
pub fn pkcs1_verify(
    key: &PublicKey,
    alg: HashAlg,
    digest: &[u8],
    signature: &[u8],
) -> Result<(), CryptoError> {
    let expected = encode(key.size(), alg, digest)?;
    let encoded = key
        .encrypt_raw(signature)
        .map_err(|_| CryptoError::Verify)?;
    if signature.len() == key.size() && encoded == expected {
        Ok(())
    } else {
        Err(CryptoError::Verify)
    }
}
