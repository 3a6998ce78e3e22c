//! The challenge that ties an attestation key to an endorsement key (TPM 2.0 Part 1,
//! 24): the TPM that holds the EK gives the credential out only if it also holds the AK.
//!
//! Everything follows from 32 secret bytes and the two public areas, so that whoever
//! has the secret can later tell for which two keys a challenge was made.

use thiserror::Error;
use vtpm::crypto::hash::HashAlg;
use vtpm::crypto::hmac::ct_eq;
use vtpm::crypto::kdf::kdfa;
use vtpm::crypto::rng::Random;
use vtpm::object::{name, protect, secret};
use vtpm::wire::{Marshal, ObjectAttributes, Public, PublicParams, Tpm2bDigest, Unique};

/// Bytes of a nonce: what configfs-tsm takes as `inblob`.
pub const NONCE: usize = 64;
/// Bytes of the verifier's secret.
pub const SECRET: usize = 32;
/// What a file of tpm2-tools begins with, and its version.
const HEADER: [u8; 8] = [0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1];

/// Bits of an RSA key whose signatures count.
const LEAST_BITS: u16 = 2048;

/// The verifier's secret.
pub type Secret = [u8; SECRET];

/// Why no challenge can be made for a key.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ChallengeError {
    /// It is not RSA.
    #[error("the endorsement key is no RSA key")]
    NotRsa,
    /// It is no endorsement key: a restricted decryption key with SHA-256 or SHA-384.
    #[error("the endorsement key is no restricted decryption key with SHA-256 or SHA-384")]
    NotStorage,
    /// The key that quotes has a Name that can be made to fit two keys.
    #[error("the attestation key's Name is of no hash that counts: SHA-256, SHA-384 or SHA-512")]
    WeakName,
    /// Its factors can be found.
    #[error("the attestation key is RSA with fewer than {LEAST_BITS} bits")]
    ShortKey,
    /// Its number is none.
    #[error("the endorsement key cannot be used: {0:?}")]
    Key(vtpm::Rc),
}

/// What the verifier makes of its secret for one pair of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The file for `tpm2_activatecredential`.
    pub blob: Vec<u8>,
    /// What the TPM has to answer.
    answer: [u8; 32],
}

impl Challenge {
    /// The challenge for these two keys under this secret.
    ///
    /// # Errors
    /// [`ChallengeError`] if the EK is none that a credential can be made for, or the AK none
    /// whose signatures count.
    pub fn new(secret: &Secret, ek: &Public, ak: &Public) -> Result<Self, ChallengeError> {
        check_strength(ak)?;
        Self::make(secret, ek, ak)
    }

    /// The challenge, whatever the AK is.
    pub(crate) fn make(secret: &Secret, ek: &Public, ak: &Public) -> Result<Self, ChallengeError> {
        if !matches!(ek.params, PublicParams::Rsa { .. }) {
            return Err(ChallengeError::NotRsa);
        }
        let storage = ObjectAttributes::RESTRICTED.with(ObjectAttributes::DECRYPT);
        let (Some(alg @ (HashAlg::Sha256 | HashAlg::Sha384)), true) =
            (ek.name_alg, ek.attributes.has(storage))
        else {
            return Err(ChallengeError::NotStorage);
        };
        let (ek_name, ak_name) = (name::of_public(ek), name::of_public(ak));
        let bits = u32::try_from(alg.digest_size() * 8).unwrap_or_default();
        let derive = |label: &str, bits| {
            let label = label.as_bytes();
            kdfa(HashAlg::Sha256, secret, label, &ek_name, &ak_name, bits).to_vec()
        };
        let credential = derive("RAMPART-CREDENTIAL", 256);
        // What the TPM's own code asks for: first the seed, then the padding.
        let mut random =
            Playback([derive("RAMPART-SEED", bits), derive("RAMPART-OAEP", bits)].concat());
        let mut make = || -> Result<Vec<u8>, vtpm::Rc> {
            let (seed, secret) = secret::encrypt(ek, secret::label::IDENTITY, &mut random)?;
            let wrapper = protect::Wrapper::new(ek, &seed)?;
            let credential = Tpm2bDigest::new(&credential)?;
            let object = protect::credential(&wrapper, &ak_name, &credential)?;
            let mut blob = HEADER.to_vec();
            object.marshal(&mut blob);
            secret.marshal(&mut blob);
            Ok(blob)
        };
        let blob = make().map_err(ChallengeError::Key)?;
        let mut answer = [0; 32];
        for (to, from) in answer.iter_mut().zip(&credential) {
            *to = *from;
        }
        Ok(Self { blob, answer })
    }

    /// Whether this is what the TPM had to answer.
    pub fn is_answered_by(&self, answer: &[u8]) -> bool {
        ct_eq(&self.answer, answer)
    }
}

/// Whether an attestation key's Name and signatures count. The guest chooses the key: of a
/// Name of SHA-1 it could hold two public areas, one that the TPM activates and one that
/// is shown here, and of a short RSA key the factors.
///
/// # Errors
/// [`ChallengeError::WeakName`], [`ChallengeError::ShortKey`].
pub fn check_strength(ak: &Public) -> Result<(), ChallengeError> {
    match ak.name_alg {
        Some(HashAlg::Sha256 | HashAlg::Sha384 | HashAlg::Sha512) => {}
        Some(HashAlg::Sha1) | None => return Err(ChallengeError::WeakName),
    }
    match (&ak.params, &ak.unique) {
        (PublicParams::Rsa { key_bits, .. }, Unique::Rsa(modulus)) => {
            let is_whole = modulus.len() >= usize::from(LEAST_BITS / 8);
            match *key_bits >= LEAST_BITS && is_whole {
                true => Ok(()),
                false => Err(ChallengeError::ShortKey),
            }
        }
        (PublicParams::Rsa { .. }, _) => Err(ChallengeError::ShortKey),
        _ => Ok(()),
    }
}

/// Random numbers that were derived before.
struct Playback(Vec<u8>);

impl Random for Playback {
    fn fill(&mut self, out: &mut [u8]) {
        let rest = self.0.split_off(out.len().min(self.0.len()));
        for (to, from) in out.iter_mut().zip(&self.0) {
            *to = *from;
        }
        self.0 = rest;
    }
}
