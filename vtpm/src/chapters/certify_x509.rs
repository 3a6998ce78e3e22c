//! CertifyX509 (Part 3, 18.8): an X.509 certificate (RFC 5280) over a loaded
//! key, of which the caller writes the names, the time and the extensions.

use crate::command::Action;
use crate::context::Context;
use crate::crypto::ecc::Curve;
use crate::crypto::hash::HashAlg;
use crate::crypto::rsa::pss_salt_len;
use crate::der::{self, Value, context, tag, unsigned, value};
use crate::object::load::effective_exponent;
use crate::object::sign;
use crate::rc::{Rc, Result};
use crate::wire::{
    Bytes, ObjectAttributes as A, Public, PublicParams, Scheme, SigScheme, Signature, Tpm2bData,
    Tpm2bDigest, Tpm2bMaxBuffer, Unique,
};
use alloc::vec::Vec;

crate::commands! {
    /// TPM2_CertifyX509 (Part 3, 18.8).
    CertifyX509 = 0x197 [] {
        handles { object_handle: DhObject as Admin, sign_handle: DhObject as User }
        parameters { reserved: Tpm2bData, in_scheme: SigScheme, partial_certificate: Tpm2bMaxBuffer }
        response CertifyX509Response [] {
            added_to_certificate: Tpm2bMaxBuffer,
            tbs_digest: Tpm2bDigest,
            signature: Signature,
        }
    }
}

/// Object identifiers, encoded.
mod oid {
    pub(super) const KEY_USAGE: &[u8] = &[0x55, 0x1D, 0x0F];
    pub(super) const TPMA_OBJECT: &[u8] = &[0x67, 0x81, 0x05, 0x0A, 0x01, 0x01, 0x01];
    pub(super) const RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
    pub(super) const MGF1: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x08];
    pub(super) const RSAPSS: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0A];
    pub(super) const EC: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
}

/// Extensions in a certificate that are looked at.
const MAX_EXTENSIONS: usize = 32;

/// What the caller writes, in this order.
struct Partial<'a> {
    /// AlgorithmIdentifier of the signature, if it is given.
    algorithm: Option<Value<'a>>,
    /// Issuer, validity and subject.
    names: [Value<'a>; 3],
    extensions: Value<'a>,
}

impl<'a> Partial<'a> {
    fn read(partial: &'a [u8]) -> Option<Self> {
        let (sequence, rest) = der::first(partial)?;
        let fields = der::all(
            sequence.expect(tag::SEQUENCE).filter(|_| rest.is_empty())?,
            5,
        )?;
        let (algorithm, fields) = match fields.as_slice() {
            [algorithm, rest @ ..] if rest.len() == 4 => (Some(*algorithm), rest),
            rest => (None, rest),
        };
        let [issuer, validity, subject, extensions] = *fields else {
            return None;
        };
        let sequences = [issuer, validity, subject]
            .iter()
            .chain(&algorithm)
            .all(|v| v.tag == tag::SEQUENCE);
        (sequences && extensions.tag == context(3)).then_some(Partial {
            algorithm,
            names: [issuer, validity, subject],
            extensions,
        })
    }

    /// The value of the extension with an identifier: `Some(None)` when there
    /// is none, `None` when the extensions are malformed.
    fn extension(&self, id: &[u8]) -> Option<Option<&'a [u8]>> {
        let (list, rest) = der::first(self.extensions.contents)?;
        let list = der::all(
            list.expect(tag::SEQUENCE).filter(|_| rest.is_empty())?,
            MAX_EXTENSIONS,
        )?;
        let mut found = None;
        for extension in list {
            let parts = der::all(extension.expect(tag::SEQUENCE)?, 3)?;
            let (name, value) = match parts.as_slice() {
                [name, value] => (name, value),
                [name, critical, value] if critical.tag == tag::BOOLEAN => (name, value),
                _ => return None,
            };
            if name.expect(tag::OID)? == id {
                found = Some(value.expect(tag::OCTET_STRING)?);
            }
        }
        Some(found)
    }
}

/// The bits of a BIT STRING that is all of `data`, from the most significant.
fn bits(data: &[u8]) -> Option<u32> {
    let (value, rest) = der::first(data)?;
    let (&unused, bytes) = value
        .expect(tag::BIT_STRING)
        .filter(|_| rest.is_empty())?
        .split_first()?;
    if unused > 7 || bytes.len() > 4 {
        return None;
    }
    let mut word = [0; 4];
    word.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(u32::from_be_bytes(word))
}

/// Whether a key with these attributes can be used as a certificate says
/// (Part 2, 8.11).
fn usage_fits(public: &Public, usage: u32) -> bool {
    const DECRYPTING: u32 = 1 << 23 | 1 << 24 | 1 << 27 | 1 << 28;
    const SIGNING: u32 = 1 << 25 | 1 << 26 | 1 << 31;
    const KEY_ENCIPHERMENT: u32 = 1 << 29;
    const NON_REPUDIATION: u32 = 1 << 30;
    let a = public.attributes;
    let needs = |mask: u32, attributes: A| usage & mask == 0 || a.has(attributes);
    needs(DECRYPTING, A::DECRYPT)
        && needs(SIGNING, A::SIGN)
        && needs(KEY_ENCIPHERMENT, A::DECRYPT.with(A::RESTRICTED))
        && needs(NON_REPUDIATION, A::FIXED_TPM)
}

/// Whether the extensions say what is true of the object.
fn check_extensions(partial: &Partial<'_>, public: &Public) -> Result<()> {
    let malformed = Rc::VALUE.parameter(3);
    if let Some(attributes) = partial.extension(oid::TPMA_OBJECT).ok_or(malformed)?
        && bits(attributes).ok_or(malformed)? != public.attributes.0
    {
        return Err(Rc::ATTRIBUTES.parameter(3));
    }
    let usage = partial
        .extension(oid::KEY_USAGE)
        .ok_or(malformed)?
        .ok_or(malformed)?;
    let usage = bits(usage).ok_or(malformed)?;
    if usage_fits(public, usage) {
        Ok(())
    } else {
        Err(Rc::ATTRIBUTES.parameter(3))
    }
}

fn object_id(id: &[u8]) -> Vec<u8> {
    value(tag::OID, &[id])
}

fn null() -> Vec<u8> {
    value(tag::NULL, &[])
}

/// AlgorithmIdentifier of a hash algorithm.
fn hash_id(hash: HashAlg) -> Vec<u8> {
    let id: &[u8] = match hash {
        HashAlg::Sha1 => &[0x2B, 0x0E, 0x03, 0x02, 0x1A],
        HashAlg::Sha256 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01],
        HashAlg::Sha384 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02],
        HashAlg::Sha512 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03],
    };
    value(tag::SEQUENCE, &[&object_id(id), &null()])
}

/// AlgorithmIdentifier of a signing scheme; TPM_RC_SCHEME when there is none.
fn signature_id(scheme: Scheme, key_bits: u32) -> Result<Vec<u8>> {
    Ok(match scheme {
        Scheme::RsaSsa(hash) => {
            let last = match hash {
                HashAlg::Sha1 => 5,
                HashAlg::Sha256 => 11,
                HashAlg::Sha384 => 12,
                HashAlg::Sha512 => 13,
            };
            let id = [oid::RSA.get(..8).unwrap_or(&[]), &[last]].concat();
            value(tag::SEQUENCE, &[&object_id(&id), &null()])
        }
        Scheme::RsaPss(hash) => {
            let salt = u32::try_from(pss_salt_len(hash, key_bits)).map_err(|_| Rc::FAILURE)?;
            let mask = value(tag::SEQUENCE, &[&object_id(oid::MGF1), &hash_id(hash)]);
            let parameters = [
                value(context(0), &[&hash_id(hash)]),
                value(context(1), &[&mask]),
                value(context(2), &[&unsigned(&salt.to_be_bytes())]),
            ];
            value(
                tag::SEQUENCE,
                &[
                    &object_id(oid::RSAPSS),
                    &value(tag::SEQUENCE, &[&parameters.concat()]),
                ],
            )
        }
        Scheme::EcDsa(hash) => {
            let id: &[u8] = match hash {
                HashAlg::Sha1 => &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x01],
                HashAlg::Sha256 => &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02],
                HashAlg::Sha384 => &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x03],
                HashAlg::Sha512 => &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x04],
            };
            value(tag::SEQUENCE, &[&object_id(id)])
        }
        _ => return Err(Rc::SCHEME.parameter(2)),
    })
}

/// SubjectPublicKeyInfo; only asymmetric keys have one.
fn subject_key(public: &Public) -> Result<Vec<u8>> {
    let (algorithm, key) = match (&public.params, &public.unique) {
        (PublicParams::Rsa { exponent, .. }, Unique::Rsa(n)) => {
            let e = effective_exponent(*exponent).to_be_bytes();
            let key = value(tag::SEQUENCE, &[&unsigned(n), &unsigned(&e)]);
            (value(tag::SEQUENCE, &[&object_id(oid::RSA), &null()]), key)
        }
        (PublicParams::Ecc { curve, .. }, Unique::Ecc(point)) => {
            let id: &[u8] = match curve {
                Curve::P256 => &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07],
                Curve::P384 => &[0x2B, 0x81, 0x04, 0x00, 0x22],
                Curve::P521 => &[0x2B, 0x81, 0x04, 0x00, 0x23],
            };
            let key = [&[4], &point.x[..], &point.y].concat();
            (
                value(tag::SEQUENCE, &[&object_id(oid::EC), &object_id(id)]),
                key,
            )
        }
        _ => return Err(Rc::ASYMMETRIC.handle(1)),
    };
    Ok(value(
        tag::SEQUENCE,
        &[&algorithm, &value(tag::BIT_STRING, &[&[0], &key])],
    ))
}

impl Action for CertifyX509 {
    type Response = CertifyX509Response;

    fn run(self, ctx: &mut Context<'_>) -> Result<CertifyX509Response> {
        if !self.reserved.is_empty() {
            return Err(Rc::SIZE.parameter(1));
        }
        let mut serial = ctx.random_bytes(16);
        if let Some(first) = serial.first_mut() {
            // Positive, and as long as the others.
            *first = *first & 0x7F | 0x40;
        }
        let key = ctx
            .state
            .object(self.sign_handle)
            .map_err(|_| Rc::KEY.handle(2))?;
        if !sign::can_sign(key) {
            return Err(Rc::KEY.handle(2));
        }
        let scheme = sign::select_scheme(key, self.in_scheme.0).map_err(|rc| rc.parameter(2))?;
        let hash = sign::scheme_hash(scheme).map_err(|rc| rc.parameter(2))?;
        if matches!(scheme, Scheme::EcDaa { .. }) {
            return Err(Rc::SCHEME.parameter(2));
        }
        let key_bits = match key.public.params {
            PublicParams::Rsa { key_bits, .. } => u32::from(key_bits),
            _ => 0,
        };
        let partial = Partial::read(&self.partial_certificate).ok_or(Rc::VALUE.parameter(3))?;
        let object = ctx
            .state
            .object(self.object_handle)
            .map_err(|_| Rc::HANDLE.handle(1))?;
        check_extensions(&partial, &object.public)?;
        // Version 3 is written as 2.
        let version = value(context(0), &[&unsigned(&[2])]);
        let serial = unsigned(&serial);
        let subject_key = subject_key(&object.public)?;
        let made = match partial.algorithm {
            Some(_) => Vec::new(),
            None => signature_id(scheme, key_bits)?,
        };
        let algorithm = partial.algorithm.map_or(&made[..], |given| given.whole);
        let [issuer, validity, subject] = partial.names.map(|name| name.whole);
        let parts = [
            &version,
            &serial,
            algorithm,
            issuer,
            validity,
            subject,
            &subject_key,
            partial.extensions.whole,
        ];
        let digest = hash.digest(&[&value(tag::SEQUENCE, &parts)]);
        let added = value(tag::SEQUENCE, &[&version, &serial, &made, &subject_key]);
        let added_to_certificate = Bytes::new(&added).map_err(|_| Rc::FAILURE)?;
        let signature = sign::sign(ctx, self.sign_handle, scheme, &digest)?;
        Ok(CertifyX509Response {
            added_to_certificate,
            tbs_digest: digest.into(),
            signature,
        })
    }
}
