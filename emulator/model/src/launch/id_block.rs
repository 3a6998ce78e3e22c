//! The ID block: who made the guest, and which digest it must have, signed (SNP
//! firmware ABI, SNP_LAUNCH_FINISH, ID block and ID authentication information).
//!
//! It is no part of the launch digest. The host may leave it out; a report then says
//! nothing of it.

use p384::ecdsa::VerifyingKey;
use p384::ecdsa::signature::Verifier;
use protocols::snp::{
    Curve, EcdsaPublicKey, IdAuthentication, IdBlock, KeyAlgorithm, ReportSignature,
};
use sha2::{Digest, Sha384};
use zerocopy::IntoBytes;

use super::{Launch, Launched};
use crate::psp::guest;
use crate::psp::report;

/// What reports name a key by: SHA-384 of the structure.
pub fn key_digest(key: &EcdsaPublicKey) -> [u8; 48] {
    Sha384::digest(key.as_bytes()).into()
}

/// Whether `key` has signed `what`.
fn verifies(key: &EcdsaPublicKey, what: &[u8], signature: &ReportSignature) -> bool {
    let point = |x: [u8; 48], y: [u8; 48]| {
        let mut point = [0; 97];
        for (to, from) in point.iter_mut().zip([4].into_iter().chain(x).chain(y)) {
            *to = from;
        }
        VerifyingKey::from_sec1_bytes(&point).ok()
    };
    let is_p384 = key.curve == Curve::P384 && key.reserved == [0; 880];
    let key = is_p384
        .then(|| report::number(&key.x).zip(report::number(&key.y)))
        .flatten()
        .and_then(|(x, y)| point(x, y));
    let signature = report::signature(signature);
    key.zip(signature)
        .is_some_and(|(key, signature)| key.verify(what, &signature).is_ok())
}

/// Why SNP_LAUNCH_FINISH refuses an ID block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishError {
    /// INVALID_PARAM: version or algorithm.
    Parameter,
    /// BAD_MEASUREMENT: the block is another launch digest's.
    Measurement,
    /// POLICY_FAILURE: the block is another policy's.
    Policy,
    /// BAD_SIGNATURE: the ID key has not signed the block.
    Signature,
    /// BAD_SIGNATURE: the author's key has not signed the ID key.
    AuthorSignature,
}

impl Launch {
    /// SNP_LAUNCH_FINISH with an ID block; `author` says whether an author's key counts.
    ///
    /// # Errors
    /// [`FinishError`]: the guest does not start.
    pub fn finish_with(
        self,
        block: &IdBlock,
        auth: &IdAuthentication,
        author: bool,
    ) -> Result<Launched, FinishError> {
        let algorithm = |algorithm| algorithm == KeyAlgorithm::ECDSA_P384_SHA384;
        if block.version != IdBlock::VERSION
            || !algorithm(auth.id_key_algorithm)
            || author && !algorithm(auth.author_key_algorithm)
        {
            return Err(FinishError::Parameter);
        }
        if block.launch_digest != self.digest {
            return Err(FinishError::Measurement);
        }
        if block.policy != self.policy.bits() {
            return Err(FinishError::Policy);
        }
        if !verifies(&auth.id_key, block.as_bytes(), &auth.id_block_signature) {
            return Err(FinishError::Signature);
        }
        let signed = || {
            verifies(
                &auth.author_key,
                auth.id_key.as_bytes(),
                &auth.id_key_signature,
            )
        };
        if author && !signed() {
            return Err(FinishError::AuthorSignature);
        }
        let id_block = guest::IdBlock {
            guest_svn: block.guest_svn,
            family_id: block.family_id,
            image_id: block.image_id,
            id_key_digest: key_digest(&auth.id_key),
            author_key_digest: author.then(|| key_digest(&auth.author_key)),
        };
        Ok(Launched {
            id_block: Some(id_block),
            ..self.finish()
        })
    }
}

#[cfg(test)]
mod tests;
