//! The ID block: who made the guest, and which digest it must have, signed (SNP
//! firmware ABI, SNP_LAUNCH_FINISH, ID block and ID authentication information).
//!
//! It is no part of the launch digest. The host may leave it out; a report then says
//! nothing of it.

use core::mem::{offset_of, size_of};

use p384::ecdsa::VerifyingKey;
use p384::ecdsa::signature::Verifier;
use protocols::snp::ReportSignature;
use sha2::{Digest, Sha384};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Launch, LaunchDigest, Launched};
use crate::psp::guest;
use crate::psp::report;

/// ID block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IdBlock {
    /// The launch digest that the guest has to have.
    pub launch_digest: LaunchDigest,
    /// FAMILY_ID, the maker's choice.
    pub family_id: [u8; 16],
    /// IMAGE_ID, the maker's choice.
    pub image_id: [u8; 16],
    /// 1.
    pub version: u32,
    /// The guest's security version.
    pub guest_svn: u32,
    /// The policy that the guest has to have.
    pub policy: u64,
}

impl IdBlock {
    /// The only version.
    pub const VERSION: u32 = 1;
}

/// A public key on P-384, numbers little-endian.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EcPublicKey {
    /// 2: P-384.
    pub curve: u32,
    /// X.
    pub qx: [u8; 72],
    /// Y.
    pub qy: [u8; 72],
    /// Zero.
    pub reserved: [u8; 880],
}

impl EcPublicKey {
    /// [`Self::curve`] of P-384.
    pub const P384: u32 = 2;

    /// What reports name the key by: SHA-384 of the structure.
    pub fn digest(&self) -> [u8; 48] {
        Sha384::digest(self.as_bytes()).into()
    }

    fn verifies(&self, what: &[u8], signature: &ReportSignature) -> bool {
        let point = |x: [u8; 48], y: [u8; 48]| {
            let mut point = [0; 97];
            for (to, from) in point.iter_mut().zip([4].into_iter().chain(x).chain(y)) {
                *to = from;
            }
            VerifyingKey::from_sec1_bytes(&point).ok()
        };
        let is_p384 = self.curve == Self::P384 && self.reserved == [0; 880];
        let key = is_p384
            .then(|| report::number(&self.qx).zip(report::number(&self.qy)))
            .flatten()
            .and_then(|(x, y)| point(x, y));
        let signature = report::signature(signature);
        key.zip(signature)
            .is_some_and(|(key, signature)| key.verify(what, &signature).is_ok())
    }
}

/// ID authentication information.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IdAuth {
    /// 1: ECDSA on P-384 with SHA-384.
    pub id_key_algorithm: u32,
    /// The same, if there is an author's key.
    pub author_key_algorithm: u32,
    /// Zero.
    pub reserved_0x8: [u8; 56],
    /// Of the ID block, by the ID key.
    pub id_block_signature: ReportSignature,
    /// The ID key.
    pub id_key: EcPublicKey,
    /// Zero.
    pub reserved_0x644: [u8; 60],
    /// Of the ID key, by the author's key.
    pub id_key_signature: ReportSignature,
    /// The author's key.
    pub author_key: EcPublicKey,
    /// Zero.
    pub reserved_0xc84: [u8; 892],
}

impl IdAuth {
    /// The only algorithm.
    pub const ECDSA_P384_SHA384: u32 = 1;
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
        auth: &IdAuth,
        author: bool,
    ) -> Result<Launched, FinishError> {
        let algorithm = |algorithm| algorithm == IdAuth::ECDSA_P384_SHA384;
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
        if !auth
            .id_key
            .verifies(block.as_bytes(), &auth.id_block_signature)
        {
            return Err(FinishError::Signature);
        }
        let signed = || {
            auth.author_key
                .verifies(auth.id_key.as_bytes(), &auth.id_key_signature)
        };
        if author && !signed() {
            return Err(FinishError::AuthorSignature);
        }
        let id_block = guest::IdBlock {
            guest_svn: block.guest_svn,
            family_id: block.family_id,
            image_id: block.image_id,
            id_key_digest: auth.id_key.digest(),
            author_key_digest: author.then(|| auth.author_key.digest()),
        };
        Ok(Launched {
            id_block: Some(id_block),
            ..self.finish()
        })
    }
}

const _: () = {
    assert!(size_of::<IdBlock>() == 0x60);
    assert!(offset_of!(IdBlock, launch_digest) == 0x00);
    assert!(offset_of!(IdBlock, family_id) == 0x30);
    assert!(offset_of!(IdBlock, image_id) == 0x40);
    assert!(offset_of!(IdBlock, version) == 0x50);
    assert!(offset_of!(IdBlock, guest_svn) == 0x54);
    assert!(offset_of!(IdBlock, policy) == 0x58);
    assert!(size_of::<EcPublicKey>() == 0x404);
    assert!(size_of::<IdAuth>() == 0x1000);
    assert!(offset_of!(IdAuth, id_block_signature) == 0x040);
    assert!(offset_of!(IdAuth, id_key) == 0x240);
    assert!(offset_of!(IdAuth, reserved_0x644) == 0x644);
    assert!(offset_of!(IdAuth, id_key_signature) == 0x680);
    assert!(offset_of!(IdAuth, author_key) == 0x880);
    assert!(offset_of!(IdAuth, reserved_0xc84) == 0xc84);
};

#[cfg(test)]
mod tests;
