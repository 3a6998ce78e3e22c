//! Signatures (Part 2, 11.3).

use super::alg::id;
use super::{Marshal, Reader, TaggedHash, Tpm2bEccParameter, Tpm2bPublicKeyRsa, Unmarshal, Writer};
use crate::crypto::hash::HashAlg;
use crate::rc::{Rc, Result};

/// TPMT_SIGNATURE.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    Null,
    RsaSsa {
        hash: HashAlg,
        signature: Tpm2bPublicKeyRsa,
    },
    RsaPss {
        hash: HashAlg,
        signature: Tpm2bPublicKeyRsa,
    },
    EcDsa {
        hash: HashAlg,
        r: Tpm2bEccParameter,
        s: Tpm2bEccParameter,
    },
    EcDaa {
        hash: HashAlg,
        r: Tpm2bEccParameter,
        s: Tpm2bEccParameter,
    },
    EcSchnorr {
        hash: HashAlg,
        r: Tpm2bEccParameter,
        s: Tpm2bEccParameter,
    },
    Hmac(TaggedHash),
}

impl Signature {
    /// Its TPM_ALG_ID.
    #[must_use]
    pub fn id(&self) -> u16 {
        match self {
            Signature::Null => id::NULL,
            Signature::RsaSsa { .. } => id::RSASSA,
            Signature::RsaPss { .. } => id::RSAPSS,
            Signature::EcDsa { .. } => id::ECDSA,
            Signature::EcDaa { .. } => id::ECDAA,
            Signature::EcSchnorr { .. } => id::ECSCHNORR,
            Signature::Hmac(_) => id::HMAC,
        }
    }

    /// The hash algorithm of what is signed.
    #[must_use]
    pub fn hash(&self) -> Option<HashAlg> {
        match self {
            Signature::Null => None,
            Signature::RsaSsa { hash, .. }
            | Signature::RsaPss { hash, .. }
            | Signature::EcDsa { hash, .. }
            | Signature::EcDaa { hash, .. }
            | Signature::EcSchnorr { hash, .. } => Some(*hash),
            Signature::Hmac(mac) => Some(mac.alg),
        }
    }
}

impl Marshal for Signature {
    fn marshal(&self, out: &mut Writer) {
        self.id().marshal(out);
        match self {
            Signature::Null => {}
            Signature::RsaSsa { hash, signature } | Signature::RsaPss { hash, signature } => {
                hash.marshal(out);
                signature.marshal(out);
            }
            Signature::EcDsa { hash, r, s }
            | Signature::EcDaa { hash, r, s }
            | Signature::EcSchnorr { hash, r, s } => {
                hash.marshal(out);
                r.marshal(out);
                s.marshal(out);
            }
            Signature::Hmac(mac) => mac.marshal(out),
        }
    }
}

/// TPMT_SIGNATURE without TPM_ALG_NULL, as commands take it.
impl Unmarshal for Signature {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        Ok(match r.read()? {
            id::RSASSA => Signature::RsaSsa {
                hash: r.read()?,
                signature: r.read()?,
            },
            id::RSAPSS => Signature::RsaPss {
                hash: r.read()?,
                signature: r.read()?,
            },
            id::ECDSA => Signature::EcDsa {
                hash: r.read()?,
                r: r.read()?,
                s: r.read()?,
            },
            id::ECDAA => Signature::EcDaa {
                hash: r.read()?,
                r: r.read()?,
                s: r.read()?,
            },
            id::ECSCHNORR => Signature::EcSchnorr {
                hash: r.read()?,
                r: r.read()?,
                s: r.read()?,
            },
            id::HMAC => Signature::Hmac(r.read()?),
            _ => return Err(Rc::SCHEME),
        })
    }
}
