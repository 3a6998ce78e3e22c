//! ID blocks with their authentication: made, checked, and embedded in a file.

use igvm::{IgvmDirectiveHeader as Directive, IgvmFile};
use igvm_defs::{IGVM_VHS_SNP_ID_BLOCK_PUBLIC_KEY, IGVM_VHS_SNP_ID_BLOCK_SIGNATURE};
use p384::ecdsa::SigningKey;
use protocols::snp::{
    Curve, EcdsaPublicKey, IdAuthentication, IdBlock, KeyAlgorithm, ReportSignature,
};
use thiserror::Error;
use zerocopy::IntoBytes;

use crate::inspect::snp_mask;
use crate::keys::{self, KeyError};

/// An ID block and who signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIdBlock {
    /// What is expected of the launch.
    pub block: IdBlock,
    /// The keys and signatures.
    pub authentication: IdAuthentication,
}

/// Why the secure processor refuses an ID block, whatever the launch.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum IdBlockError {
    /// The ID block's format.
    #[error("the ID block has version {0}, must be 1")]
    Version(u32),
    /// An algorithm.
    #[error("the {key} has algorithm {algorithm}, must be ECDSA P-384 with SHA-384 (1)")]
    Algorithm {
        /// Whose.
        key: &'static str,
        /// The number.
        algorithm: u32,
    },
    /// The ID key or its signature of the block.
    #[error("the ID key's signature of the ID block: {0}")]
    IdKey(#[source] KeyError),
    /// The author key or its signature of the ID key.
    #[error("the author key's signature of the ID key: {0}")]
    AuthorKey(#[source] KeyError),
    /// Something of an author key, without one.
    #[error("there is no author key, but its fields are not zero")]
    NoAuthorKey,
    /// Bytes that have to be zero.
    #[error("reserved bytes of the ID authentication are not zero")]
    Reserved,
}

impl SignedIdBlock {
    /// Signs `block` with the ID key, and the ID key with the author key if there is one.
    pub fn sign(block: IdBlock, id_key: &SigningKey, author_key: Option<&SigningKey>) -> Self {
        let mut authentication = IdAuthentication::none();
        let id_public = keys::to_wire(id_key.verifying_key());
        authentication.id_key_algorithm = KeyAlgorithm::ECDSA_P384_SHA384;
        authentication.id_block_signature = keys::sign(id_key, block.as_bytes());
        authentication.id_key = id_public;
        if let Some(author_key) = author_key {
            authentication.author_key_algorithm = KeyAlgorithm::ECDSA_P384_SHA384;
            authentication.id_key_signature = keys::sign(author_key, id_public.as_bytes());
            authentication.author_key = keys::to_wire(author_key.verifying_key());
        }
        Self {
            block,
            authentication,
        }
    }

    /// Checks versions, algorithms and signatures as the secure processor does.
    ///
    /// # Errors
    /// [`IdBlockError`].
    pub fn check(&self) -> Result<(), IdBlockError> {
        let Self {
            block,
            authentication: auth,
        } = self;
        if block.version != IdBlock::VERSION {
            return Err(IdBlockError::Version(block.version));
        }
        let zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
        let reserved = [
            &auth.reserved_0x08[..],
            &auth.reserved_0x644,
            &auth.reserved_0xc84,
        ];
        if !reserved.into_iter().all(zero) {
            return Err(IdBlockError::Reserved);
        }
        algorithm("ID key", auth.id_key_algorithm)?;
        keys::from_wire(&auth.id_key)
            .and_then(|key| keys::verify(&key, block.as_bytes(), &auth.id_block_signature))
            .map_err(IdBlockError::IdKey)?;
        if !auth.has_author_key() {
            let none = zero(auth.author_key.as_bytes()) && zero(auth.id_key_signature.as_bytes());
            return none.then_some(()).ok_or(IdBlockError::NoAuthorKey);
        }
        algorithm("author key", auth.author_key_algorithm)?;
        keys::from_wire(&auth.author_key)
            .and_then(|key| keys::verify(&key, auth.id_key.as_bytes(), &auth.id_key_signature))
            .map_err(IdBlockError::AuthorKey)
    }

    /// The ID block that a file brings for SNP: the directive's place and the block.
    /// Like QEMU it takes the policy from the file's guest policy (0 without any) and
    /// has the format's version 1, for the directive has neither.
    pub fn of_file(file: &IgvmFile, policy: u64) -> Option<(usize, Self)> {
        let mask = snp_mask(file);
        let mut directives = file.directives().iter().enumerate();
        directives.find_map(|(index, directive)| {
            let Directive::SnpIdBlock {
                compatibility_mask,
                author_key_enabled: _,
                reserved: _,
                ld,
                family_id,
                image_id,
                version: _,
                guest_svn,
                id_key_algorithm,
                author_key_algorithm,
                id_key_signature,
                id_public_key,
                author_key_signature,
                author_public_key,
            } = directive
            else {
                return None;
            };
            if u64::from(*compatibility_mask) & mask == 0 {
                return None;
            }
            let block = IdBlock {
                launch_digest: *ld,
                family_id: *family_id,
                image_id: *image_id,
                version: IdBlock::VERSION,
                guest_svn: *guest_svn,
                policy,
            };
            let authentication = IdAuthentication {
                id_key_algorithm: KeyAlgorithm(*id_key_algorithm),
                author_key_algorithm: KeyAlgorithm(*author_key_algorithm),
                id_block_signature: signature_from_igvm(id_key_signature),
                id_key: key_from_igvm(id_public_key),
                id_key_signature: signature_from_igvm(author_key_signature),
                author_key: key_from_igvm(author_public_key),
                ..IdAuthentication::none()
            };
            let signed = Self {
                block,
                authentication,
            };
            Some((index, signed))
        })
    }

    /// The directive that brings the block to the loader.
    pub fn to_directive(&self, compatibility_mask: u32) -> Directive {
        let auth = &self.authentication;
        Directive::SnpIdBlock {
            compatibility_mask,
            author_key_enabled: auth.has_author_key().into(),
            reserved: [0; 3],
            ld: self.block.launch_digest,
            family_id: self.block.family_id,
            image_id: self.block.image_id,
            version: self.block.version,
            guest_svn: self.block.guest_svn,
            id_key_algorithm: auth.id_key_algorithm.0,
            author_key_algorithm: auth.author_key_algorithm.0,
            id_key_signature: Box::new(signature_to_igvm(&auth.id_block_signature)),
            id_public_key: Box::new(key_to_igvm(&auth.id_key)),
            author_key_signature: Box::new(signature_to_igvm(&auth.id_key_signature)),
            author_public_key: Box::new(key_to_igvm(&auth.author_key)),
        }
    }
}

fn algorithm(key: &'static str, algorithm: KeyAlgorithm) -> Result<(), IdBlockError> {
    match algorithm {
        KeyAlgorithm::ECDSA_P384_SHA384 => Ok(()),
        KeyAlgorithm(algorithm) => Err(IdBlockError::Algorithm { key, algorithm }),
    }
}

fn signature_to_igvm(signature: &ReportSignature) -> IGVM_VHS_SNP_ID_BLOCK_SIGNATURE {
    IGVM_VHS_SNP_ID_BLOCK_SIGNATURE {
        r_comp: signature.r,
        s_comp: signature.s,
    }
}

fn signature_from_igvm(signature: &IGVM_VHS_SNP_ID_BLOCK_SIGNATURE) -> ReportSignature {
    ReportSignature {
        r: signature.r_comp,
        s: signature.s_comp,
        reserved: [0; 368],
    }
}

fn key_to_igvm(key: &EcdsaPublicKey) -> IGVM_VHS_SNP_ID_BLOCK_PUBLIC_KEY {
    IGVM_VHS_SNP_ID_BLOCK_PUBLIC_KEY {
        curve: key.curve.0,
        reserved: 0,
        qx: key.x,
        qy: key.y,
    }
}

fn key_from_igvm(key: &IGVM_VHS_SNP_ID_BLOCK_PUBLIC_KEY) -> EcdsaPublicKey {
    EcdsaPublicKey {
        curve: Curve(key.curve),
        x: key.qx,
        y: key.qy,
        reserved: [0; 880],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container;
    use crate::testing::*;
    use base64ct::{Base64, Encoding};
    use igvm_defs::IgvmPageDataType;
    use p384::ecdsa::SigningKey;
    use zerocopy::FromBytes;

    fn id_key() -> SigningKey {
        keys::private(include_str!("../tests/data/id-key.pem")).unwrap()
    }

    fn author_key() -> SigningKey {
        keys::private(include_str!("../tests/data/author-key.pem")).unwrap()
    }

    fn decode<T: FromBytes>(base64: &str) -> T {
        T::read_from_bytes(&Base64::decode_vec(base64.trim()).unwrap()).unwrap()
    }

    /// What snp-create-id-block of sev-snp-measure 0.0.13 made (tests/data/README.md).
    fn by_another_tool() -> SignedIdBlock {
        SignedIdBlock {
            block: decode(include_str!("../tests/data/id-block.b64")),
            authentication: decode(include_str!("../tests/data/id-auth.b64")),
        }
    }

    #[test]
    fn another_tools_id_block_is_valid_and_ours_is_like_it() {
        let theirs = by_another_tool();
        assert_eq!(theirs.check(), Ok(()));
        let ours = SignedIdBlock::sign(theirs.block, &id_key(), Some(&author_key()));
        assert_eq!(ours.check(), Ok(()));
        // All but the signatures, which are random there, is the same.
        let mut same = ours.authentication;
        same.id_block_signature = theirs.authentication.id_block_signature;
        same.id_key_signature = theirs.authentication.id_key_signature;
        assert_eq!(same, theirs.authentication);
        let digests = [ours.authentication.id_key, ours.authentication.author_key]
            .map(|key| crate::hex::digits(&keys::digest(&key)));
        assert_eq!(
            digests,
            [
                "67423f5ef13c1cfc804780449bdba5c5b892b8a2949c004785ac0ecb27c7e77521104e55bdb0e04526a66db4e6b6e2f8",
                "abf49377612b9e9369d63d03472a4c0d8df80efce722fa8ad676d4bcbe29b58f902e351478336d646859521add21b124"
            ]
        );
    }

    /// The emulated machine's secure processor has an implementation of its own.
    #[test]
    fn the_emulated_secure_processor_takes_what_we_sign() {
        use protocols::snp::GuestPolicy;
        use snp_model::launch::Launch;
        let policy = GuestPolicy::from_bits_retain(0x3_0000);
        let launch = || Launch::start(snp_model::types::Asid::new(1).unwrap(), policy).unwrap();
        let block = IdBlock {
            launch_digest: *launch().digest(),
            ..by_another_tool().block
        };
        for author in [None, Some(author_key())] {
            let signed = SignedIdBlock::sign(block, &id_key(), author.as_ref());
            let auth = &signed.authentication;
            let launched = launch().finish_with(&signed.block, auth, auth.has_author_key());
            let known = launched.unwrap().id_block.unwrap();
            assert_eq!(known.id_key_digest, keys::digest(&auth.id_key));
            assert_eq!(known.author_key_digest.is_some(), author.is_some());
        }
    }

    #[test]
    fn every_change_is_found() {
        let signed = by_another_tool();
        for at in 0..size_of::<IdBlock>() {
            let mut changed = signed.clone();
            changed.block.as_mut_bytes()[at] ^= 0x40;
            assert!(changed.check().is_err(), "byte {at:#x} of the ID block");
        }
        // Every byte would take long; 5 has no factor in common with any field's size.
        for at in (0..size_of::<IdAuthentication>()).step_by(5) {
            let mut changed = signed.clone();
            changed.authentication.as_mut_bytes()[at] ^= 0x40;
            assert!(
                changed.check().is_err(),
                "byte {at:#x} of the authentication"
            );
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let error = |change: &dyn Fn(&mut SignedIdBlock)| {
            let mut signed = by_another_tool();
            change(&mut signed);
            signed.check().unwrap_err().to_string()
        };
        let version = error(&|signed| signed.block.version = 2);
        assert_eq!(version, "the ID block has version 2, must be 1");
        let block = error(&|signed| signed.block.guest_svn = 1);
        assert_eq!(
            block,
            "the ID key's signature of the ID block: the signature is not this key's"
        );
        let algorithm = error(&|signed| signed.authentication.author_key_algorithm.0 = 0);
        assert!(
            algorithm.starts_with("the author key has algorithm 0"),
            "{algorithm}"
        );
        let half = error(&|signed| signed.authentication.author_key.curve = Curve(0));
        assert!(half.contains("no author key"), "{half}");
    }

    #[test]
    fn an_id_block_in_a_file_reads_back() {
        for author in [None, Some(author_key())] {
            let block = IdBlock {
                guest_svn: 7,
                image_id: *b"sixteen bytes id",
                ..by_another_tool().block
            };
            let signed = SignedIdBlock::sign(block, &id_key(), author.as_ref());
            assert_eq!(signed.check(), Ok(()));
            let bytes = igvm_file(
                0x3_0000,
                vec![
                    page(0, IgvmPageDataType::NORMAL, vec![1]),
                    boot_processor(),
                    signed.to_directive(1),
                ],
            );
            let file = container::parse(&bytes).unwrap();
            assert_eq!(SignedIdBlock::of_file(&file, 0x3_0000), Some((2, signed)));
        }
    }
}
