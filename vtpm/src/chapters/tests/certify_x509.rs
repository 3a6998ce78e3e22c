//! CertifyX509.

use super::keys::*;
use crate::crypto::hash::HashAlg;
use crate::der::{all, first, tag, value};
use crate::rc::Rc;
use crate::testing::x509::{DIGITAL_SIGNATURE, partial};
use crate::testing::{Command, Response, run, started};
use crate::wire::*;
use std::vec::Vec;

fn certify(tpm: &mut TestTpm, object: Handle, key: Handle, partial: &[u8]) -> Response {
    let command = Command::new(0x197)
        .auth(object, b"")
        .auth(key, b"")
        .with(&Tpm2bData::empty())
        .with(&SigScheme(Scheme::Null))
        .with(&Tpm2bMaxBuffer::new(partial).unwrap());
    run(tpm, &command)
}

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
