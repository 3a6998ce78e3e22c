//! Signing and verifying with objects (Part 1, 27.5 and annexes B and C).

use crate::context::Context;
use crate::crypto::hash::HashAlg;
use crate::crypto::hmac::{self, ct_eq};
use crate::crypto::rng::Random;
use crate::crypto::rsa::{pkcs1_sign, pkcs1_verify, pss_salt_len, pss_sign, pss_verify};
use crate::crypto::{CryptoError, ecc};
use crate::object::commit;
use crate::object::secret::{ecc_public, rsa_public};
use crate::rc::{Rc, Result};
use crate::state::Object;
use crate::wire::{
    Handle, ObjectAttributes, ObjectType, PublicParams, Scheme, Signature, TaggedHash,
    Tpm2bEccParameter, Tpm2bPublicKeyRsa,
};

/// Whether the key's attributes let it sign.
#[must_use]
pub fn can_sign(key: &Object) -> bool {
    key.has(ObjectAttributes::SIGN) && key.public.object_type() != ObjectType::SymCipher
}

/// The scheme that a key signs with when the caller asks for `wanted`; TPM_RC_SCHEME
/// when they do not fit or there is none.
pub fn select_scheme(key: &Object, wanted: Scheme) -> Result<Scheme> {
    let own = match &key.public.params {
        PublicParams::Rsa { scheme, .. } => scheme.0,
        PublicParams::Ecc { scheme, .. } => scheme.0,
        PublicParams::KeyedHash { scheme } => scheme.0,
        PublicParams::SymCipher { .. } => return Err(Rc::SCHEME),
    };
    let scheme = match (own, wanted) {
        (Scheme::Null, wanted) => wanted,
        // The caller has to say which commit is signed with.
        (Scheme::EcDaa { .. }, Scheme::Null) => return Err(Rc::SCHEME),
        (own, Scheme::Null) => own,
        (own, wanted) if own.id() == wanted.id() && own.hash() == wanted.hash() => wanted,
        _ => return Err(Rc::SCHEME),
    };
    let fits = match scheme {
        Scheme::RsaSsa(_) | Scheme::RsaPss(_) => key.public.object_type() == ObjectType::Rsa,
        Scheme::EcDsa(_) | Scheme::EcSchnorr(_) | Scheme::EcDaa { .. } => {
            key.public.object_type() == ObjectType::Ecc
        }
        Scheme::Hmac(_) => key.public.object_type() == ObjectType::KeyedHash,
        _ => false,
    };
    if fits { Ok(scheme) } else { Err(Rc::SCHEME) }
}

/// Signs a digest with a loaded key and a scheme that
/// [`select_scheme`] gave. A commit that is signed with is used up.
pub fn sign(ctx: &mut Context<'_>, h: Handle, scheme: Scheme, digest: &[u8]) -> Result<Signature> {
    ctx.state.prepare_rsa(h)?;
    let mut rng = ctx.fork_rng();
    if let Scheme::EcDaa { hash, count } = scheme {
        let key = ctx.state.object(h)?;
        let (curve, _) = ecc_public(&key.public)?;
        let number = commit::find(ctx.state, count).ok_or(Rc::VALUE)?;
        let r = commit::secret_number(ctx.state, curve, number, &key.name);
        let (k, s) = ecc::ecdaa_sign(curve, hash, &key.secrets()?.data, &r, digest, &mut rng)
            .map_err(|_| Rc::NO_RESULT)?;
        let signature = Signature::EcDaa {
            hash,
            r: Tpm2bEccParameter::new(&k)?,
            s: Tpm2bEccParameter::new(&s)?,
        };
        commit::end(ctx.state, number);
        return Ok(signature);
    }
    sign_with(ctx.state.object(h)?, scheme, digest, &mut rng)
}

fn sign_with(
    key: &Object,
    scheme: Scheme,
    digest: &[u8],
    rng: &mut dyn Random,
) -> Result<Signature> {
    let refused = |e| match e {
        CryptoError::Internal => Rc::FAILURE,
        _ => Rc::VALUE,
    };
    let ecc_pair = |(r, s): (alloc::vec::Vec<u8>, alloc::vec::Vec<u8>)| -> Result<_> {
        Ok((Tpm2bEccParameter::new(&r)?, Tpm2bEccParameter::new(&s)?))
    };
    Ok(match scheme {
        Scheme::RsaSsa(hash) => {
            let signature = pkcs1_sign(key.rsa_key()?, hash, digest, rng).map_err(refused)?;
            Signature::RsaSsa {
                hash,
                signature: Tpm2bPublicKeyRsa::new(&signature)?,
            }
        }
        Scheme::RsaPss(hash) => {
            let rsa = key.rsa_key()?;
            let salt = pss_salt_len(hash, rsa.public().bits());
            let signature = pss_sign(rsa, hash, digest, salt, rng).map_err(refused)?;
            Signature::RsaPss {
                hash,
                signature: Tpm2bPublicKeyRsa::new(&signature)?,
            }
        }
        Scheme::EcDsa(hash) => {
            let (curve, _) = ecc_public(&key.public)?;
            let pair =
                ecc::ecdsa_sign(curve, &key.secrets()?.data, digest, rng).map_err(refused)?;
            let (r, s) = ecc_pair(pair)?;
            Signature::EcDsa { hash, r, s }
        }
        Scheme::EcSchnorr(hash) => {
            let (curve, _) = ecc_public(&key.public)?;
            let pair = ecc::schnorr_sign(curve, hash, &key.secrets()?.data, digest, rng)
                .map_err(refused)?;
            let (r, s) = ecc_pair(pair)?;
            Signature::EcSchnorr { hash, r, s }
        }
        Scheme::Hmac(alg) => {
            let digest = hmac::hmac(alg, &key.secrets()?.data, &[digest]);
            Signature::Hmac(TaggedHash { alg, digest })
        }
        _ => return Err(Rc::SCHEME),
    })
}

/// Verifies a signature over a digest; TPM_RC_SIGNATURE when it is not right,
/// TPM_RC_SCHEME when it is not of the key's kind.
pub fn verify(key: &Object, digest: &[u8], signature: &Signature) -> Result<()> {
    let wrong = |_| Rc::SIGNATURE;
    match (&key.public.params, signature) {
        (PublicParams::Rsa { key_bits, .. }, Signature::RsaSsa { hash, signature }) => {
            whole(signature, *key_bits)?;
            pkcs1_verify(&rsa_public(&key.public)?, *hash, digest, signature).map_err(wrong)
        }
        (PublicParams::Rsa { key_bits, .. }, Signature::RsaPss { hash, signature }) => {
            whole(signature, *key_bits)?;
            pss_verify(&rsa_public(&key.public)?, *hash, digest, None, signature).map_err(wrong)
        }
        (PublicParams::Ecc { .. }, Signature::EcDsa { r, s, .. }) => {
            let (curve, point) = ecc_public(&key.public).map_err(|_| Rc::SIGNATURE)?;
            ecc::ecdsa_verify(curve, &point, digest, r, s).map_err(wrong)
        }
        (PublicParams::Ecc { .. }, Signature::EcSchnorr { hash, r, s }) => {
            let (curve, point) = ecc_public(&key.public).map_err(|_| Rc::SIGNATURE)?;
            ecc::schnorr_verify(curve, *hash, &point, digest, r, s).map_err(wrong)
        }
        (PublicParams::KeyedHash { scheme }, Signature::Hmac(mac)) => {
            let sensitive = key.sensitive.as_ref().ok_or(Rc::HANDLE)?;
            if !key.has(ObjectAttributes::SIGN)
                || scheme.0 != Scheme::Null && scheme.0 != Scheme::Hmac(mac.alg)
            {
                return Err(Rc::SIGNATURE);
            }
            let own = hmac::hmac(mac.alg, &sensitive.data, &[digest]);
            if ct_eq(&own, &mac.digest) {
                Ok(())
            } else {
                Err(Rc::SIGNATURE)
            }
        }
        _ => Err(Rc::SCHEME),
    }
}

/// An RSA signature is as long as the modulus.
fn whole(signature: &[u8], key_bits: u16) -> Result<()> {
    if signature.len() == usize::from(key_bits) / 8 {
        Ok(())
    } else {
        Err(Rc::SIGNATURE)
    }
}

/// The hash algorithm of a scheme that signs.
pub fn scheme_hash(scheme: Scheme) -> Result<HashAlg> {
    scheme.hash().ok_or(Rc::SCHEME)
}
