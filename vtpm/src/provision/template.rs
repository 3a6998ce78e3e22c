//! Templates of endorsement keys (TCG EK Credential Profile for TPM 2.0, annex
//! B) and of storage root keys (TCG TPM v2.0 Provisioning Guidance, 7.5.1).

use crate::crypto::ecc::Curve;
use crate::crypto::hash::HashAlg;
use crate::crypto::sym::Mode;
use crate::wire::{
    Aes, Bytes, EccPoint, EccScheme, Handle, KdfScheme, ObjectAttributes, Public, PublicParams,
    RsaScheme, Scheme, SymDefObject, Tpm2bDigest, Unique,
};

/// PolicySecret(endorsement) with SHA-256.
pub(super) const POLICY_A: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xB3, 0xF8, 0x1A, 0x90, 0xCC, 0x8D, 0x46, 0xA5, 0xD7, 0x24,
    0xFD, 0x52, 0xD7, 0x6E, 0x06, 0x52, 0x0B, 0x64, 0xF2, 0xA1, 0xDA, 0x1B, 0x33, 0x14, 0x69, 0xAA,
];

/// PolicyA or a policy from an NV index, with SHA-384.
pub(super) const POLICY_B_SHA384: [u8; 48] = [
    0xB2, 0x6E, 0x7D, 0x28, 0xD1, 0x1A, 0x50, 0xBC, 0x53, 0xD8, 0x82, 0xBC, 0xF5, 0xFD, 0x3A, 0x1A,
    0x07, 0x41, 0x48, 0xBB, 0x35, 0xD3, 0xB4, 0xE4, 0xCB, 0x1C, 0x0A, 0xD9, 0xBD, 0xE4, 0x19, 0xCA,
    0xCB, 0x47, 0xBA, 0x09, 0x69, 0x96, 0x46, 0x15, 0x0F, 0x9F, 0xC0, 0x00, 0xF3, 0xF8, 0x0E, 0x12,
];

/// Attributes of the templates L-1 and L-2: only the policy authorizes.
const LOW: ObjectAttributes = ObjectAttributes(0x0003_00B2);
/// Attributes of the H templates: the auth value authorizes too.
const HIGH: ObjectAttributes = ObjectAttributes(0x0003_00F2);
/// Attributes of a storage root key.
const SRK: ObjectAttributes = ObjectAttributes(0x0003_0472);

/// An endorsement key that the profile defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndorsementKey {
    /// Template L-1: RSA 2048.
    Rsa2048,
    /// Template L-2: P-256.
    P256,
    /// Template H-3: P-384.
    P384,
    /// Template H-6: RSA 3072.
    Rsa3072,
}

fn aes(key_bits: u16) -> SymDefObject {
    SymDefObject(Some(Aes {
        key_bits,
        mode: Some(Mode::Cfb),
    }))
}

fn rsa(key_bits: u16, symmetric: u16) -> PublicParams {
    PublicParams::Rsa {
        symmetric: aes(symmetric),
        scheme: RsaScheme(Scheme::Null),
        key_bits,
        exponent: 0,
    }
}

fn ecc(curve: Curve, symmetric: u16) -> PublicParams {
    PublicParams::Ecc {
        symmetric: aes(symmetric),
        scheme: EccScheme(Scheme::Null),
        curve,
        kdf: KdfScheme(None),
    }
}

fn point(len: usize) -> Unique {
    Unique::Ecc(EccPoint {
        x: Bytes::zeros(len),
        y: Bytes::zeros(len),
    })
}

impl EndorsementKey {
    /// All of them.
    pub const ALL: [EndorsementKey; 4] = [
        EndorsementKey::Rsa2048,
        EndorsementKey::P256,
        EndorsementKey::P384,
        EndorsementKey::Rsa3072,
    ];

    /// The NV index of its certificate.
    #[must_use]
    pub fn certificate_index(self) -> Handle {
        Handle(match self {
            EndorsementKey::Rsa2048 => 0x01C0_0002,
            EndorsementKey::P256 => 0x01C0_000A,
            EndorsementKey::P384 => 0x01C0_0016,
            EndorsementKey::Rsa3072 => 0x01C0_001C,
        })
    }

    /// The template from which CreatePrimary makes it.
    #[must_use]
    pub fn template(self) -> Public {
        let low = |params, unique| Public {
            name_alg: Some(HashAlg::Sha256),
            attributes: LOW,
            auth_policy: Tpm2bDigest::cut(&POLICY_A),
            params,
            unique,
        };
        let high = |params, unique| Public {
            name_alg: Some(HashAlg::Sha384),
            attributes: HIGH,
            auth_policy: Tpm2bDigest::cut(&POLICY_B_SHA384),
            params,
            unique,
        };
        match self {
            EndorsementKey::Rsa2048 => low(rsa(2048, 128), Unique::Rsa(Bytes::zeros(256))),
            EndorsementKey::P256 => low(ecc(Curve::P256, 128), point(32)),
            EndorsementKey::P384 => high(ecc(Curve::P384, 256), point(0)),
            EndorsementKey::Rsa3072 => high(rsa(3072, 256), Unique::Rsa(Bytes::empty())),
        }
    }
}

/// The template of the P-256 storage root key.
#[must_use]
pub fn storage_root_key() -> Public {
    Public {
        name_alg: Some(HashAlg::Sha256),
        attributes: SRK,
        auth_policy: Tpm2bDigest::empty(),
        params: ecc(Curve::P256, 128),
        unique: point(32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Marshal, NvAttributes, NvPublic, RhNvIndex};
    use alloc::vec::Vec;

    /// PolicySecret of the endorsement hierarchy, without a reference.
    fn policy_a(alg: HashAlg) -> Vec<u8> {
        let zero = alloc::vec![0; alg.digest_size()];
        let first = alg.digest(&[
            &zero,
            &0x151u32.to_be_bytes(),
            &Handle::ENDORSEMENT.to_bytes(),
        ]);
        alg.digest(&[&first]).to_vec()
    }

    #[test]
    fn the_policies_are_what_the_profile_derives_them_from() {
        assert_eq!(policy_a(HashAlg::Sha256), POLICY_A);
        let alg = HashAlg::Sha384;
        let index = NvPublic {
            index: RhNvIndex(Handle(0x01C0_7F02)),
            name_alg: alg,
            attributes: NvAttributes(0x220F_1008),
            auth_policy: Tpm2bDigest::cut(&policy_a(alg)),
            data_size: 50,
        };
        let name = [alg.to_bytes(), alg.digest(&[&index.to_bytes()]).to_vec()].concat();
        let zero = [0; 48];
        let policy_c = alg.digest(&[&zero, &0x192u32.to_be_bytes(), &name]);
        let policy_b = alg.digest(&[&zero, &0x171u32.to_be_bytes(), &policy_a(alg), &policy_c]);
        assert_eq!(policy_b.to_vec(), POLICY_B_SHA384);
    }
}
