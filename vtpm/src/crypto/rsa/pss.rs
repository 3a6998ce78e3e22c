//! RSASSA-PSS (RFC 8017, 8.1 and 9.1) with MGF1 and one hash for all.

use super::{PrivateKey, PublicKey};
use crate::crypto::CryptoError;
use crate::crypto::hash::HashAlg;
use crate::crypto::kdf::mgf1_xor;
use crate::crypto::rng::Random;
use alloc::vec;
use alloc::vec::Vec;

/// What ends an encoded message.
const TRAILER: u8 = 0xbc;

/// The salt's length in bytes by the rule of FIPS 186-5: that of the digest, or
/// what fits.
pub fn pss_salt_len(alg: HashAlg, key_bits: u32) -> usize {
    let size = key_bits.div_ceil(8) as usize;
    alg.digest_size()
        .min(size.saturating_sub(alg.digest_size() + 2))
}

/// The hash of the salted digest.
fn salted(alg: HashAlg, digest: &[u8], salt: &[u8]) -> crate::crypto::hash::Digest {
    alg.digest(&[&[0; 8], digest, salt])
}

/// Signs a digest of `alg`.
///
/// # Errors
/// `Parameter` if the digest has not the algorithm's length or the salt is too
/// long for the key, otherwise as [`PrivateKey::decrypt_raw`].
pub fn pss_sign(
    key: &PrivateKey,
    alg: HashAlg,
    digest: &[u8],
    salt_len: usize,
    rng: &mut dyn Random,
) -> Result<Vec<u8>, CryptoError> {
    if digest.len() != alg.digest_size() {
        return Err(CryptoError::Parameter);
    }
    let zeros = key
        .public()
        .size()
        .checked_sub(alg.digest_size() + 2)
        .and_then(|room| room.checked_sub(salt_len))
        .ok_or(CryptoError::Parameter)?;
    let mut salt = vec![0; salt_len];
    rng.fill(&mut salt);
    let hash = salted(alg, digest, &salt);
    // DB = zeros ‖ 1 ‖ salt
    let mut block = vec![0; zeros];
    block.push(1);
    block.extend_from_slice(&salt);
    mgf1_xor(alg, &hash, &mut block);
    // The encoded message has one bit less than the modulus.
    if let Some(first) = block.first_mut() {
        *first &= 0x7f;
    }
    let encoded = [block.as_slice(), &hash, &[TRAILER]].concat();
    Ok(key.decrypt_raw(&encoded, rng)?.to_vec())
}

/// Verifies a signature over a digest of `alg`, with a salt of this length, or
/// of any if it is `None`.
///
/// # Errors
/// `Parameter` if the digest has not the algorithm's length, `Verify` if the
/// signature is not right.
pub fn pss_verify(
    key: &PublicKey,
    alg: HashAlg,
    digest: &[u8],
    salt_len: Option<usize>,
    signature: &[u8],
) -> Result<(), CryptoError> {
    if digest.len() != alg.digest_size() {
        return Err(CryptoError::Parameter);
    }
    if signature.len() != key.size() {
        return Err(CryptoError::Verify);
    }
    let encoded = key
        .encrypt_raw(signature)
        .map_err(|_| CryptoError::Verify)?;
    if is_encoding(alg, digest, salt_len, &encoded) == Some(true) {
        Ok(())
    } else {
        Err(CryptoError::Verify)
    }
}

/// `None` or `Some(false)` if `encoded` is no encoding of the digest.
fn is_encoding(
    alg: HashAlg,
    digest: &[u8],
    salt_len: Option<usize>,
    encoded: &[u8],
) -> Option<bool> {
    let (trailer, rest) = encoded.split_last()?;
    let (masked, hash) = rest.split_at_checked(rest.len().checked_sub(alg.digest_size())?)?;
    if *trailer != TRAILER || *masked.first()? & 0x80 != 0 {
        return Some(false);
    }
    let mut block = masked.to_vec();
    mgf1_xor(alg, hash, &mut block);
    *block.first_mut()? &= 0x7f;
    let zeros = block.iter().take_while(|byte| **byte == 0).count();
    let (one, salt) = block.get(zeros..)?.split_first()?;
    Some(
        *one == 1
            && salt_len.is_none_or(|len| len == salt.len())
            && *salted(alg, digest, salt) == *hash,
    )
}
