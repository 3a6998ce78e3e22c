//! Secrets that are exchanged through an asymmetric key (Part 1, annexes B.10
//! and C.6): seeds of duplicates and credentials, and salts of sessions.

use crate::crypto::kdf::kdfe;
use crate::crypto::rng::Random;
use crate::crypto::rsa::{PublicKey, oaep_decrypt, oaep_encrypt};
use crate::crypto::{CryptoError, ecc};
use crate::object::load::effective_exponent;
use crate::object::make::ecc_point;
use crate::rc::{Rc, Result};
use crate::state::Object;
use crate::wire::{
    EccPoint, Marshal, Public, PublicParams, Tpm2bEncryptedSecret, Unique, Unmarshal,
};
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// The labels, without the zero that ends them on the wire.
#[allow(missing_docs)]
pub mod label {
    pub const SECRET: &[u8] = b"SECRET";
    pub const IDENTITY: &[u8] = b"IDENTITY";
    pub const DUPLICATE: &[u8] = b"DUPLICATE";
}

/// A label for OAEP, which holds the zero.
fn terminated(label: &[u8]) -> Vec<u8> {
    let mut out = label.to_vec();
    out.push(0);
    out
}

/// The RSA key of a public area.
pub fn rsa_public(public: &Public) -> Result<PublicKey> {
    let (PublicParams::Rsa { exponent, .. }, Unique::Rsa(n)) = (&public.params, &public.unique)
    else {
        return Err(Rc::KEY);
    };
    PublicKey::new(n, effective_exponent(*exponent)).map_err(|_| Rc::KEY)
}

/// The point of an ECC public area; TPM_RC_ECC_POINT when it is not on its
/// curve.
pub fn ecc_public(public: &Public) -> Result<(ecc::Curve, ecc::Point)> {
    let (PublicParams::Ecc { curve, .. }, Unique::Ecc(point)) = (&public.params, &public.unique)
    else {
        return Err(Rc::KEY);
    };
    let point = ecc::check(*curve, &point.x, &point.y).map_err(|_| Rc::ECC_POINT)?;
    Ok((*curve, point))
}

/// Makes a secret as long as the key's name digest, and what carries it to the
/// holder of the key.
pub fn encrypt(
    key: &Public,
    label: &[u8],
    rng: &mut dyn Random,
) -> Result<(Zeroizing<Vec<u8>>, Tpm2bEncryptedSecret)> {
    let alg = key.name_alg.ok_or(Rc::KEY)?;
    match &key.params {
        PublicParams::Rsa { .. } => {
            let mut secret = Zeroizing::new(alloc::vec![0; alg.digest_size()]);
            rng.fill(&mut secret);
            let carried = oaep_encrypt(&rsa_public(key)?, alg, &terminated(label), &secret, rng)
                .map_err(|_| Rc::KEY)?;
            Ok((secret, Tpm2bEncryptedSecret::new(&carried)?))
        }
        PublicParams::Ecc { .. } => {
            let (curve, point) = ecc_public(key)?;
            let (d, ephemeral) = ecc::generate(curve, rng);
            let z = ecc::mul(curve, &d, &point).map_err(|_| Rc::KEY)?;
            let bits = u32::try_from(alg.digest_size() * 8).unwrap_or(0);
            let secret = kdfe(alg, &z.x, label, &ephemeral.x, &point.x, bits);
            Ok((
                secret,
                Tpm2bEncryptedSecret::new(&ecc_point(&ephemeral)?.to_bytes())?,
            ))
        }
        _ => Err(Rc::KEY),
    }
}

/// The secret that was carried to a key of this TPM. For an RSA key,
/// [`prepare_rsa`](crate::state::State::prepare_rsa) comes before.
pub fn decrypt(
    key: &Object,
    label: &[u8],
    carried: &[u8],
    rng: &mut dyn Random,
) -> Result<Zeroizing<Vec<u8>>> {
    let alg = key.public.name_alg.ok_or(Rc::KEY)?;
    match &key.public.params {
        PublicParams::Rsa { key_bits, .. } => {
            if carried.len() != usize::from(*key_bits) / 8 {
                return Err(Rc::SIZE);
            }
            let secret = oaep_decrypt(key.rsa_key()?, alg, &terminated(label), carried, rng)
                .map_err(|e| match e {
                    CryptoError::Internal => Rc::FAILURE,
                    _ => Rc::VALUE,
                })?;
            if secret.len() > alg.digest_size() {
                return Err(Rc::VALUE);
            }
            Ok(secret)
        }
        PublicParams::Ecc { curve, .. } => {
            let point = EccPoint::from_bytes(carried)?;
            let ephemeral = ecc::check(*curve, &point.x, &point.y).map_err(|_| Rc::ECC_POINT)?;
            let (_, own) = ecc_public(&key.public)?;
            let z =
                ecc::mul(*curve, &key.secrets()?.data, &ephemeral).map_err(|_| Rc::ECC_POINT)?;
            let bits = u32::try_from(alg.digest_size() * 8).unwrap_or(0);
            Ok(kdfe(alg, &z.x, label, &ephemeral.x, &own.x, bits))
        }
        _ => Err(Rc::KEY),
    }
}
