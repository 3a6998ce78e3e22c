//! RSAES-OAEP (RFC 8017, 7.1).

use super::{PrivateKey, PublicKey};
use crate::crypto::CryptoError;
use crate::crypto::hash::HashAlg;
use crate::crypto::kdf::mgf1_xor;
use crate::crypto::rng::Random;
use alloc::vec;
use alloc::vec::Vec;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

/// Encrypts a message with the hash `alg` for the label and the mask. A TPM's
/// label includes its terminating zero; without a label it is empty.
///
/// # Errors
/// `Parameter` if the message, or the hash, is too long for the key.
pub fn oaep_encrypt(
    key: &PublicKey,
    alg: HashAlg,
    label: &[u8],
    message: &[u8],
    rng: &mut dyn Random,
) -> Result<Vec<u8>, CryptoError> {
    let digest_size = alg.digest_size();
    let mut seed = Zeroizing::new(vec![0; digest_size]);
    rng.fill(&mut seed);
    // DB = lHash ‖ zeros ‖ 1 ‖ message
    let zeros = key
        .size()
        .checked_sub(2 * digest_size + 2)
        .and_then(|room| room.checked_sub(message.len()))
        .ok_or(CryptoError::Parameter)?;
    let mut block = Zeroizing::new(alg.digest(&[label]).to_vec());
    block.resize(digest_size.saturating_add(zeros), 0);
    block.push(1);
    block.extend_from_slice(message);
    mgf1_xor(alg, &seed, &mut block);
    mgf1_xor(alg, &block, &mut seed);
    let encoded = Zeroizing::new([&[0], seed.as_slice(), &block].concat());
    key.encrypt_raw(&encoded)
}

/// Decrypts what [`oaep_encrypt`] gave. Where a padding is wrong is not told,
/// by the time neither.
///
/// # Errors
/// `Verify` if the padding is wrong, otherwise as [`PrivateKey::decrypt_raw`].
pub fn oaep_decrypt(
    key: &PrivateKey,
    alg: HashAlg,
    label: &[u8],
    ciphertext: &[u8],
    rng: &mut dyn Random,
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let digest_size = alg.digest_size();
    if key.public().size() < 2 * digest_size + 2 {
        return Err(CryptoError::Parameter);
    }
    let mut encoded = key.decrypt_raw(ciphertext, rng)?;
    let (first, rest) = encoded.split_first_mut().ok_or(CryptoError::Internal)?;
    let (seed, block) = rest
        .split_at_mut_checked(digest_size)
        .ok_or(CryptoError::Internal)?;
    mgf1_xor(alg, block, seed);
    mgf1_xor(alg, seed, block);
    let (label_hash, padded) = block
        .split_at_checked(digest_size)
        .ok_or(CryptoError::Internal)?;

    let mut valid = first.ct_eq(&0) & label_hash.ct_eq(&alg.digest(&[label]));
    let mut looking = Choice::from(1);
    let mut start = 0u32;
    for (position, byte) in (1u32..).zip(padded) {
        let one = byte.ct_eq(&1);
        start.conditional_assign(&position, looking & one);
        valid &= !looking | one | byte.ct_eq(&0);
        looking &= !one;
    }
    if bool::from(valid & !looking) {
        let message = padded.get(start as usize..).unwrap_or(&[]);
        Ok(Zeroizing::new(message.to_vec()))
    } else {
        Err(CryptoError::Verify)
    }
}
