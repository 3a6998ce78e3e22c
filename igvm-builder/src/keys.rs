//! P-384 keys: as PEM files, and in the secure processor's little-endian form.

use p384::ecdsa::signature::{Signer, Verifier};
use p384::ecdsa::{Signature, SigningKey, VerifyingKey};
use p384::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePublicKey};
use p384::{PublicKey, SecretKey};
use protocols::snp::{Curve, EcdsaPublicKey, ReportSignature};
use sha2::{Digest, Sha384};
use thiserror::Error;
use zerocopy::IntoBytes;

/// Why a key or a signature cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// The text is no private key.
    #[error("no private P-384 key in PEM form (PKCS#8 or SEC 1, not encrypted): {0}")]
    Private(String),
    /// The text is no public key.
    #[error("no P-384 key in PEM form: {0}")]
    Public(String),
    /// The bytes are no public key.
    #[error("{0}")]
    Wire(&'static str),
    /// The signature is another's, or of something else.
    #[error("the signature is not this key's")]
    Signature,
}

/// Bytes of a number of P-384.
const SIZE: usize = 48;

/// A private key from PEM: PKCS#8 (`openssl genpkey`) or SEC 1 (`openssl ecparam`).
///
/// # Errors
/// [`KeyError::Private`].
pub fn private(pem: &str) -> Result<SigningKey, KeyError> {
    let key = SecretKey::from_pkcs8_pem(pem)
        .map_err(|error| error.to_string())
        .or_else(|pkcs8| SecretKey::from_sec1_pem(pem).map_err(|_| pkcs8));
    key.map(SigningKey::from).map_err(KeyError::Private)
}

/// A public key from PEM: the public key alone (`openssl pkey -pubout`), or the one of
/// a private key.
///
/// # Errors
/// [`KeyError::Public`].
pub fn public(pem: &str) -> Result<VerifyingKey, KeyError> {
    let key = PublicKey::from_public_key_pem(pem).map(VerifyingKey::from);
    key.or_else(|error| {
        private(pem)
            .map(|key| *key.verifying_key())
            .map_err(|_| KeyError::Public(error.to_string()))
    })
}

/// A public key as PEM.
pub fn to_pem(key: &VerifyingKey) -> String {
    let pem = PublicKey::from(key).to_public_key_pem(Default::default());
    pem.unwrap_or_default()
}

/// A public key in the secure processor's form.
pub fn to_wire(key: &VerifyingKey) -> EcdsaPublicKey {
    let point = key.to_sec1_point(false);
    let coordinate = |bytes: Option<&[u8]>| little_endian(bytes.unwrap_or_default());
    EcdsaPublicKey {
        curve: Curve::P384,
        x: coordinate(point.x().map(|x| &x[..])),
        y: coordinate(point.y().map(|y| &y[..])),
        reserved: [0; 880],
    }
}

/// A public key out of the secure processor's form.
///
/// # Errors
/// [`KeyError::Wire`].
pub fn from_wire(key: &EcdsaPublicKey) -> Result<VerifyingKey, KeyError> {
    if key.curve != Curve::P384 {
        return Err(KeyError::Wire("the curve is not P-384 (2)"));
    }
    if key.reserved != [0; 880] {
        return Err(KeyError::Wire("reserved bytes of the key are not zero"));
    }
    let (Some(x), Some(y)) = (big_endian(&key.x), big_endian(&key.y)) else {
        return Err(KeyError::Wire(
            "a coordinate of the key has more than 384 bits",
        ));
    };
    let mut point = [4; 1 + 2 * SIZE];
    point[1..=SIZE].copy_from_slice(&x);
    point[1 + SIZE..].copy_from_slice(&y);
    VerifyingKey::from_sec1_bytes(&point)
        .map_err(|_| KeyError::Wire("the key is no point of the curve"))
}

/// SHA-384 of a key in the secure processor's form: what reports name keys by.
pub fn digest(key: &EcdsaPublicKey) -> [u8; 48] {
    Sha384::digest(key.as_bytes()).into()
}

/// Signs `message`; the same key and message give the same signature (RFC 6979).
pub fn sign(key: &SigningKey, message: &[u8]) -> ReportSignature {
    let signature: Signature = key.sign(message);
    let (r, s) = signature.split_bytes();
    ReportSignature {
        r: little_endian(&r),
        s: little_endian(&s),
        reserved: [0; 368],
    }
}

/// Whether `signature` is of `message` by `key`.
///
/// # Errors
/// [`KeyError::Wire`] for what is no signature, [`KeyError::Signature`].
pub fn verify(
    key: &VerifyingKey,
    message: &[u8],
    signature: &ReportSignature,
) -> Result<(), KeyError> {
    if signature.reserved != [0; 368] {
        return Err(KeyError::Wire(
            "reserved bytes of the signature are not zero",
        ));
    }
    let (Some(r), Some(s)) = (big_endian(&signature.r), big_endian(&signature.s)) else {
        return Err(KeyError::Wire(
            "a number of the signature has more than 384 bits",
        ));
    };
    let signature = Signature::from_scalars(r, s)
        .map_err(|_| KeyError::Wire("a number of the signature is out of range"))?;
    key.verify(message, &signature)
        .map_err(|_| KeyError::Signature)
}

/// A big-endian number of 48 bytes as the secure processor has it.
fn little_endian(number: &[u8]) -> [u8; 72] {
    let mut bytes = [0; 72];
    for (to, from) in bytes.iter_mut().zip(number.iter().rev()) {
        *to = *from;
    }
    bytes
}

/// The number big-endian; `None` if it does not fit 48 bytes.
fn big_endian(number: &[u8; 72]) -> Option<[u8; SIZE]> {
    let (low, high) = number.split_first_chunk::<SIZE>()?;
    let mut bytes = *low;
    bytes.reverse();
    high.iter().all(|byte| *byte == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PKCS8: &str = include_str!("../tests/data/id-key.pem");
    const SEC1: &str = include_str!("../tests/data/author-key.pem");

    #[test]
    fn both_forms_of_openssl_are_read() {
        for (pem, public_pem) in [
            (PKCS8, include_str!("../tests/data/id-key.pub.pem")),
            (SEC1, include_str!("../tests/data/author-key.pub.pem")),
        ] {
            let key = *private(pem).unwrap().verifying_key();
            assert_eq!(public(public_pem), Ok(key));
            assert_eq!(public(pem), Ok(key));
            assert_eq!(to_pem(&key), public_pem);
            assert_eq!(from_wire(&to_wire(&key)), Ok(key));
        }
        for bad in [
            "",
            "text",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert!(matches!(private(bad), Err(KeyError::Private(_))), "{bad}");
            assert!(matches!(public(bad), Err(KeyError::Public(_))), "{bad}");
        }
    }

    #[test]
    fn a_signature_is_of_one_message_by_one_key() {
        let (key, other) = (private(PKCS8).unwrap(), private(SEC1).unwrap());
        let signature = sign(&key, b"message");
        assert_eq!(verify(key.verifying_key(), b"message", &signature), Ok(()));
        let wrong = Err(KeyError::Signature);
        assert_eq!(verify(key.verifying_key(), b"massage", &signature), wrong);
        assert_eq!(verify(other.verifying_key(), b"message", &signature), wrong);
    }

    #[test]
    fn what_is_no_key_and_no_signature_is_refused() {
        let key = private(PKCS8).unwrap();
        let wire = to_wire(key.verifying_key());
        let refused = |change: &dyn Fn(&mut EcdsaPublicKey)| {
            let mut wire = wire;
            change(&mut wire);
            from_wire(&wire).unwrap_err().to_string()
        };
        assert!(refused(&|wire| wire.curve = Curve(1)).contains("curve"));
        assert!(refused(&|wire| wire.x[0] ^= 1).contains("point"));
        assert!(refused(&|wire| wire.y[48] = 1).contains("384 bits"));
        assert!(refused(&|wire| wire.reserved[879] = 1).contains("reserved"));
        let signature = sign(&key, b"message");
        let refused = |change: &dyn Fn(&mut ReportSignature)| {
            let mut signature = signature;
            change(&mut signature);
            verify(key.verifying_key(), b"message", &signature)
                .unwrap_err()
                .to_string()
        };
        assert!(refused(&|signature| signature.r = [0; 72]).contains("out of range"));
        assert!(refused(&|signature| signature.s[71] = 1).contains("384 bits"));
        assert!(refused(&|signature| signature.reserved[0] = 1).contains("reserved"));
        assert!(refused(&|signature| signature.s[0] ^= 1).contains("not this key's"));
    }
}
