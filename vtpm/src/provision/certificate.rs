//! Certificates of endorsement keys (TCG EK Credential Profile, 3.2) and of
//! the authority that signs them (RFC 5280).

use crate::crypto::ecc::{self, Curve, Point};
use crate::crypto::hash::HashAlg;
use crate::crypto::rng::{Drbg, Random};
use crate::der::{self, tag, unsigned as integer, value as tagged};
use crate::wire::{Public, PublicParams, Unique};
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// Object identifiers, with tag and length.
mod oid {
    pub(super) const COMMON_NAME: &[u8] = &[6, 3, 0x55, 4, 3];
    pub(super) const RSA_ENCRYPTION: &[u8] = &[6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1];
    pub(super) const EC_PUBLIC_KEY: &[u8] = &[6, 7, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1];
    pub(super) const P256: &[u8] = &[6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7];
    pub(super) const P384: &[u8] = &[6, 5, 0x2B, 0x81, 0x04, 0, 0x22];
    pub(super) const P521: &[u8] = &[6, 5, 0x2B, 0x81, 0x04, 0, 0x23];
    pub(super) const ECDSA_SHA256: &[u8] = &[6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2];
    pub(super) const SUBJECT_KEY_ID: &[u8] = &[6, 3, 0x55, 0x1D, 0x0E];
    pub(super) const KEY_USAGE: &[u8] = &[6, 3, 0x55, 0x1D, 0x0F];
    pub(super) const SUBJECT_ALT_NAME: &[u8] = &[6, 3, 0x55, 0x1D, 0x11];
    pub(super) const BASIC_CONSTRAINTS: &[u8] = &[6, 3, 0x55, 0x1D, 0x13];
    pub(super) const AUTHORITY_KEY_ID: &[u8] = &[6, 3, 0x55, 0x1D, 0x23];
    pub(super) const EXTENDED_KEY_USAGE: &[u8] = &[6, 3, 0x55, 0x1D, 0x25];
    pub(super) const EK_CERTIFICATE: &[u8] = &[6, 5, 0x67, 0x81, 0x05, 8, 1];
    pub(super) const TPM_MANUFACTURER: &[u8] = &[6, 5, 0x67, 0x81, 0x05, 2, 1];
    pub(super) const TPM_MODEL: &[u8] = &[6, 5, 0x67, 0x81, 0x05, 2, 2];
    pub(super) const TPM_VERSION: &[u8] = &[6, 5, 0x67, 0x81, 0x05, 2, 3];
}

/// The end of validity of what does not end (RFC 5280, 4.1.2.5).
const FOREVER: &[u8] = b"99991231235959Z";

const GENERALIZED_TIME: u8 = 0x18;
const SET: u8 = 0x31;
const UTF8_STRING: u8 = 0x0C;
/// TRUE.
const TRUE: [u8; 3] = [tag::BOOLEAN, 1, 0xFF];
/// NULL.
const NULL: [u8; 2] = [tag::NULL, 0];

/// A SEQUENCE.
fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tagged(tag::SEQUENCE, parts)
}

/// A BIT STRING of whole bytes.
fn bits(bytes: &[u8]) -> Vec<u8> {
    tagged(tag::BIT_STRING, &[&[0], bytes])
}

/// The value `[n]`.
fn context(n: u8, parts: &[&[u8]]) -> Vec<u8> {
    tagged(der::context(n), parts)
}

/// What signs certificates of endorsement keys.
pub trait Authority {
    /// Its name: a DER-encoded Name.
    fn name(&self) -> Vec<u8>;

    /// Its subject key identifier.
    fn key_id(&self) -> Vec<u8>;

    /// The DER-encoded AlgorithmIdentifier of its signatures.
    fn signature_algorithm(&self) -> Vec<u8>;

    /// The beginning of validity, as a GeneralizedTime (`20260101000000Z`).
    fn not_before(&self) -> Vec<u8>;

    /// A new serial number of at most 20 bytes, the first below 0x80.
    fn serial(&mut self) -> Vec<u8>;

    /// The signature of a TBSCertificate; `None` if it cannot sign.
    fn sign(&mut self, tbs: &[u8]) -> Option<Vec<u8>>;
}

/// An authority with a P-256 key of its own, for machines without another.
pub struct LocalAuthority {
    key: Zeroizing<Vec<u8>>,
    point: Point,
    name: Vec<u8>,
    not_before: Vec<u8>,
    rng: Drbg,
}

impl LocalAuthority {
    /// Makes an authority: its key comes from `seed` (at least 32 bytes of
    /// entropy; the same seed gives the same key), its name is `common_name`,
    /// and certificates are valid from `not_before` (GeneralizedTime) on.
    #[must_use]
    pub fn new(seed: &[u8], common_name: &str, not_before: &str) -> Self {
        let (key, point) = ecc::generate(
            Curve::P256,
            &mut Drbg::derive(seed, b"EK authority key", &[]),
        );
        let attribute = sequence(&[
            oid::COMMON_NAME,
            &tagged(UTF8_STRING, &[common_name.as_bytes()]),
        ]);
        LocalAuthority {
            key,
            point,
            name: sequence(&[&tagged(SET, &[&attribute])]),
            not_before: not_before.as_bytes().to_vec(),
            rng: Drbg::derive(seed, b"EK authority numbers", &[]),
        }
    }

    /// Its own certificate, signed by itself; `None` if it cannot sign.
    pub fn certificate(&mut self) -> Option<Vec<u8>> {
        let info = ecc_info(Curve::P256, &self.point.x, &self.point.y);
        let key_id = self.key_id();
        let extensions = [
            extension(oid::BASIC_CONSTRAINTS, true, &sequence(&[&TRUE])),
            // keyCertSign, cRLSign
            extension(
                oid::KEY_USAGE,
                true,
                &tagged(tag::BIT_STRING, &[&[1, 0x06]]),
            ),
            extension(
                oid::SUBJECT_KEY_ID,
                false,
                &tagged(tag::OCTET_STRING, &[&key_id]),
            ),
        ];
        let name = self.name();
        assemble(self, &name, &info, &extensions.concat())
    }
}

impl Authority for LocalAuthority {
    fn name(&self) -> Vec<u8> {
        self.name.clone()
    }

    fn key_id(&self) -> Vec<u8> {
        HashAlg::Sha1
            .digest(&[&[4], &self.point.x, &self.point.y])
            .to_vec()
    }

    fn signature_algorithm(&self) -> Vec<u8> {
        sequence(&[oid::ECDSA_SHA256])
    }

    fn not_before(&self) -> Vec<u8> {
        self.not_before.clone()
    }

    fn serial(&mut self) -> Vec<u8> {
        let mut serial = [0u8; 16];
        self.rng.fill(&mut serial);
        serial[0] = serial[0] & 0x3F | 0x40;
        serial.to_vec()
    }

    fn sign(&mut self, tbs: &[u8]) -> Option<Vec<u8>> {
        let digest = HashAlg::Sha256.digest(&[tbs]);
        let (r, s) = ecc::ecdsa_sign(Curve::P256, &self.key, &digest, &mut self.rng).ok()?;
        Some(sequence(&[&integer(&r), &integer(&s)]))
    }
}

/// An Extension.
fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &TRUE } else { &[] };
    sequence(&[oid, critical, &tagged(tag::OCTET_STRING, &[value])])
}

/// A SubjectPublicKeyInfo of a point.
fn ecc_info(curve: Curve, x: &[u8], y: &[u8]) -> Vec<u8> {
    let named = match curve {
        Curve::P256 => oid::P256,
        Curve::P384 => oid::P384,
        Curve::P521 => oid::P521,
    };
    let point = [&[4][..], x, y].concat();
    sequence(&[&sequence(&[oid::EC_PUBLIC_KEY, named]), &bits(&point)])
}

/// The SubjectPublicKeyInfo of a public area, and the DER of what such a key
/// is for: keyEncipherment or keyAgreement.
fn key_info(public: &Public) -> Option<(Vec<u8>, [u8; 4])> {
    match (&public.params, &public.unique) {
        (PublicParams::Rsa { exponent, .. }, Unique::Rsa(n)) => {
            let e = if *exponent == 0 { 65537 } else { *exponent };
            let key = sequence(&[&integer(n), &integer(&e.to_be_bytes())]);
            let info = sequence(&[&sequence(&[oid::RSA_ENCRYPTION, &NULL]), &bits(&key)]);
            Some((info, [tag::BIT_STRING, 2, 5, 0x20]))
        }
        (PublicParams::Ecc { curve, .. }, Unique::Ecc(point)) => Some((
            ecc_info(*curve, &point.x, &point.y),
            [tag::BIT_STRING, 2, 3, 0x08],
        )),
        _ => None,
    }
}

/// One attribute of the TPM in its certificate's alternative name.
fn tpm_attribute(oid: &[u8], text: &str) -> Vec<u8> {
    tagged(
        SET,
        &[&sequence(&[oid, &tagged(UTF8_STRING, &[text.as_bytes()])])],
    )
}

/// The certificate of an endorsement key; `None` when the public area is no
/// key, or the authority cannot sign.
pub fn certify(authority: &mut dyn Authority, public: &Public) -> Option<Vec<u8>> {
    let (info, usage) = key_info(public)?;
    let tpm = sequence(&[
        &tpm_attribute(oid::TPM_MANUFACTURER, "id:524D5054"),
        &tpm_attribute(oid::TPM_MODEL, "Rampart vTPM"),
        &tpm_attribute(oid::TPM_VERSION, "id:00000001"),
    ]);
    let extensions = [
        // The subject is empty, so its alternative name is critical.
        extension(
            oid::SUBJECT_ALT_NAME,
            true,
            &sequence(&[&context(4, &[&tpm])]),
        ),
        extension(oid::BASIC_CONSTRAINTS, true, &sequence(&[])),
        extension(oid::KEY_USAGE, true, &usage),
        extension(
            oid::EXTENDED_KEY_USAGE,
            false,
            &sequence(&[oid::EK_CERTIFICATE]),
        ),
        extension(
            oid::AUTHORITY_KEY_ID,
            false,
            &sequence(&[&tagged(0x80, &[&authority.key_id()])]),
        ),
    ];
    assemble(authority, &sequence(&[]), &info, &extensions.concat())
}

/// A certificate (RFC 5280, 4.1).
fn assemble(
    authority: &mut dyn Authority,
    subject: &[u8],
    info: &[u8],
    extensions: &[u8],
) -> Option<Vec<u8>> {
    let algorithm = authority.signature_algorithm();
    let validity = sequence(&[
        &tagged(GENERALIZED_TIME, &[&authority.not_before()]),
        &tagged(GENERALIZED_TIME, &[FOREVER]),
    ]);
    let tbs = sequence(&[
        &context(0, &[&integer(&[2])]),
        &integer(&authority.serial()),
        &algorithm,
        &authority.name(),
        &validity,
        subject,
        info,
        &context(3, &[&sequence(&[extensions])]),
    ]);
    let signature = authority.sign(&tbs)?;
    Some(sequence(&[&tbs, &algorithm, &bits(&signature)]))
}
