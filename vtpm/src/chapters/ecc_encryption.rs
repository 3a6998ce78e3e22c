//! Encryption with ECC keys (Part 3, 14.8 and 14.9; Part 1, 45.2.4).

use crate::chapters::ecdh::{incoming, outgoing};
use crate::command::Action;
use crate::context::Context;
use crate::crypto::ecc::{self, Point};
use crate::crypto::hash::{Digest, HashAlg};
use crate::crypto::hmac::ct_eq;
use crate::crypto::kdf::kdf2_xor;
use crate::object::secret::ecc_public;
use crate::rc::{Rc, Result};
use crate::state::Object;
use crate::wire::{
    Kdf, KdfScheme, ObjectAttributes, PublicParams, Tpm2bDigest, Tpm2bEccPoint, Tpm2bMaxBuffer,
};

crate::commands! {
    /// TPM2_ECC_Encrypt (Part 3, 14.8).
    EccEncrypt = 0x199 [] {
        handles { key_handle: DhObject }
        parameters { plain_text: Tpm2bMaxBuffer, in_scheme: KdfScheme }
        response EccEncryptResponse [] { c1: Tpm2bEccPoint, c2: Tpm2bMaxBuffer, c3: Tpm2bDigest }
    }

    /// TPM2_ECC_Decrypt (Part 3, 14.9).
    EccDecrypt = 0x19A [] {
        handles { key_handle: DhObject as User }
        parameters { c1: Tpm2bEccPoint, c2: Tpm2bMaxBuffer, c3: Tpm2bDigest, in_scheme: KdfScheme }
        response EccDecryptResponse [] { plain_text: Tpm2bMaxBuffer }
    }
}

/// The hash algorithm of the key's KDF, or of the given one; they are the same
/// if both are there. Only KDF2 is defined for this use.
fn select_hash(key: &Object, given: KdfScheme) -> Result<HashAlg> {
    let PublicParams::Ecc { kdf: own, .. } = key.public.params else {
        return Err(Rc::KEY);
    };
    let chosen = match (own.0, given.0) {
        (own, None) => own,
        (None, given) => given,
        (own, given) if own == given => own,
        _ => None,
    };
    match chosen {
        Some((Kdf::Kdf2, hash)) => Ok(hash),
        _ => Err(Rc::SCHEME),
    }
}

/// What the shared point makes of data, both ways.
fn mask(hash: HashAlg, shared: &Point, data: &mut [u8]) {
    kdf2_xor(hash, &[&shared.x, &shared.y], data);
}

/// What proves that the right plaintext came out.
fn proof(hash: HashAlg, shared: &Point, plain: &[u8]) -> Digest {
    hash.digest(&[&shared.x, plain, &shared.y])
}

impl Action for EccEncrypt {
    type Response = EccEncryptResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<EccEncryptResponse> {
        let key = ctx.state.object(self.key_handle)?;
        let (curve, point) = ecc_public(&key.public).map_err(|_| Rc::KEY.handle(1))?;
        let hash = select_hash(key, self.in_scheme).map_err(|rc| rc.parameter(2))?;
        let (d, ephemeral) = ecc::generate(curve, ctx.rng());
        let shared = ecc::mul(curve, &d, &point).map_err(|_| Rc::NO_RESULT)?;
        let c3 = Tpm2bDigest::from(proof(hash, &shared, &self.plain_text));
        let mut c2 = self.plain_text;
        mask(hash, &shared, c2.as_mut_slice());
        Ok(EccEncryptResponse {
            c1: outgoing(&ephemeral),
            c2,
            c3,
        })
    }
}

impl Action for EccDecrypt {
    type Response = EccDecryptResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<EccDecryptResponse> {
        let key = ctx.state.object(self.key_handle)?;
        let PublicParams::Ecc { curve, .. } = key.public.params else {
            return Err(Rc::KEY.handle(1));
        };
        if key.has(ObjectAttributes::RESTRICTED) || !key.has(ObjectAttributes::DECRYPT) {
            return Err(Rc::ATTRIBUTES.handle(1));
        }
        let hash = select_hash(key, self.in_scheme).map_err(|rc| rc.parameter(4))?;
        let c1 = incoming(curve, &self.c1).map_err(|rc| rc.parameter(1))?;
        let shared = ecc::mul(curve, &key.secrets()?.data, &c1).map_err(|_| Rc::NO_RESULT)?;
        let mut plain_text = self.c2;
        mask(hash, &shared, plain_text.as_mut_slice());
        if !ct_eq(&proof(hash, &shared, &plain_text), &self.c3) {
            return Err(Rc::VALUE.parameter(3));
        }
        Ok(EccDecryptResponse { plain_text })
    }
}
