//! CertifyX509.

use super::keys::*;
use crate::crypto::hash::HashAlg;
use crate::der::{all, context, first, tag, value};
use crate::rc::Rc;
use crate::testing::{Command, Response, run, started};
use crate::wire::*;
use std::vec::Vec;

/// A Name with a common name.
fn name(text: &[u8]) -> Vec<u8> {
    let attribute = [value(tag::OID, &[&[0x55, 4, 3]]), value(0x0C, &[text])].concat();
    value(
        tag::SEQUENCE,
        &[&value(0x31, &[&value(tag::SEQUENCE, &[&attribute])])],
    )
}

/// An extension whose value is a bit string.
fn extension(oid: &[u8], bits: &[u8]) -> Vec<u8> {
    let value_bits = value(tag::OCTET_STRING, &[&value(tag::BIT_STRING, &[&[0], bits])]);
    value(
        tag::SEQUENCE,
        &[
            &value(tag::OID, &[oid]),
            &value(tag::BOOLEAN, &[&[0xFF]]),
            &value_bits,
        ],
    )
}

fn partial(usage: u8, attributes: Option<u32>) -> Vec<u8> {
    let validity = [
        value(0x17, &[b"260101000000Z"]),
        value(0x17, &[b"360101000000Z"]),
    ]
    .concat();
    let mut extensions = extension(&[0x55, 0x1D, 0x0F], &[usage]);
    if let Some(a) = attributes {
        extensions.extend(extension(&[0x67, 0x81, 5, 10, 1, 1, 1], &a.to_be_bytes()));
    }
    let extensions = value(context(3), &[&value(tag::SEQUENCE, &[&extensions])]);
    value(
        tag::SEQUENCE,
        &[
            &name(b"issuer"),
            &value(tag::SEQUENCE, &[&validity]),
            &name(b"subject"),
            &extensions,
        ],
    )
}

fn certify(tpm: &mut TestTpm, object: Handle, key: Handle, partial: &[u8]) -> Response {
    let command = Command::new(0x197)
        .auth(object, b"")
        .auth(key, b"")
        .with(&Tpm2bData::empty())
        .with(&SigScheme(Scheme::Null))
        .with(&Tpm2bMaxBuffer::new(partial).unwrap());
    run(tpm, &command)
}

const DIGITAL_SIGNATURE: u8 = 0x80;

#[test]
fn the_certificate_that_the_caller_puts_together_is_signed() {
    let mut tpm = started(1);
    let key = primary(
        &mut tpm,
        Handle::OWNER,
        &ecc(SIGNING, SymDefObject(None), Scheme::EcDsa(HashAlg::Sha256)),
    );
    let subject = primary(
        &mut tpm,
        Handle::OWNER,
        &rsa(SIGNING, SymDefObject(None), Scheme::Null),
    );
    let partial = partial(DIGITAL_SIGNATURE, Some(SIGNING.0));
    let response = certify(&mut tpm, subject, key, &partial);
    assert_eq!(response.rc, Rc::SUCCESS);
    let mut r = Reader::new(&response.parameters);
    let added: Tpm2bMaxBuffer = r.read().unwrap();
    let digest: Tpm2bDigest = r.read().unwrap();
    let signature: Signature = r.read().unwrap();
    let added = all(first(&added).unwrap().0.contents, 9).unwrap();
    let given = all(first(&partial).unwrap().0.contents, 9).unwrap();
    let order = [
        added[0], added[1], added[2], given[0], given[1], given[2], added[3], given[3],
    ];
    let parts: Vec<&[u8]> = order.iter().map(|v| v.whole).collect();
    let tbs = value(tag::SEQUENCE, &parts);
    assert_eq!(digest[..], HashAlg::Sha256.digest(&[&tbs])[..]);
    let verify = Command::new(0x177)
        .handle(key)
        .with(&digest)
        .with(&signature);
    assert_eq!(run(&mut tpm, &verify).rc, Rc::SUCCESS);
    let Unique::Rsa(n) = read_public(&mut tpm, subject).0.unique else {
        panic!("not RSA")
    };
    assert!(added[3].whole.windows(n.len()).any(|w| w == &n[..]));
}

#[test]
fn a_certificate_must_not_say_what_is_not_true() {
    let mut tpm = started(2);
    let key = primary(
        &mut tpm,
        Handle::OWNER,
        &ecc(SIGNING, SymDefObject(None), Scheme::EcDsa(HashAlg::Sha256)),
    );
    let good = partial(DIGITAL_SIGNATURE, None);
    assert_eq!(certify(&mut tpm, key, key, &good).rc, Rc::SUCCESS);
    let attributes = Rc::ATTRIBUTES.parameter(3);
    // It does not decrypt, is no parent, and has other attributes.
    for bad in [
        partial(0x10, None),
        partial(0x20, None),
        partial(DIGITAL_SIGNATURE, Some(SIGNING.0 ^ 2)),
    ] {
        assert_eq!(certify(&mut tpm, key, key, &bad).rc, attributes);
    }
    for len in 0..good.len() {
        assert_eq!(
            certify(&mut tpm, key, key, &good[..len]).rc,
            Rc::VALUE.parameter(3),
            "{len}"
        );
    }
    let storage = primary(&mut tpm, Handle::OWNER, &storage_key());
    assert_eq!(certify(&mut tpm, key, storage, &good).rc, Rc::KEY.handle(2));
}
