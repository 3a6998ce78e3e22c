//! Sign, VerifySignature, and attestation.

use super::keys::*;
use crate::crypto::hash::HashAlg;
use crate::rc::Rc;
use crate::testing::client::{ClientSession, Start, run_with};
use crate::testing::{Command, Response, run, started};
use crate::wire::*;
use std::vec;
use std::vec::Vec;

const RESTRICTED: ObjectAttributes = ObjectAttributes::RESTRICTED;
const ECDSA: Scheme = Scheme::EcDsa(HashAlg::Sha256);

fn sign(
    tpm: &mut TestTpm,
    key: Handle,
    digest: &[u8],
    scheme: Scheme,
    ticket: &Ticket,
) -> Response {
    let command = Command::new(0x15D)
        .auth(key, b"")
        .with(&Tpm2bDigest::new(digest).unwrap())
        .with(&SigScheme(scheme))
        .with(ticket);
    run(tpm, &command)
}

fn verify(tpm: &mut TestTpm, key: Handle, digest: &[u8], signature: &Signature) -> Response {
    run(
        tpm,
        &Command::new(0x177)
            .handle(key)
            .with(&Tpm2bDigest::new(digest).unwrap())
            .with(signature),
    )
}

fn no_ticket() -> Ticket {
    crate::ticket::null(st::HASHCHECK)
}

#[test]
fn every_scheme_signs_what_it_verifies() {
    let mut tpm = started(1);
    let hmac = Scheme::Hmac(HashAlg::Sha384);
    let none = SymDefObject(None);
    let cases: Vec<(Public, Scheme)> = vec![
        (ecc(SIGNING, none, Scheme::Null), ECDSA),
        (
            ecc(SIGNING, none, Scheme::Null),
            Scheme::EcDsa(HashAlg::Sha512),
        ),
        (
            ecc(SIGNING, none, Scheme::EcSchnorr(HashAlg::Sha256)),
            Scheme::Null,
        ),
        (
            rsa(SIGNING, none, Scheme::Null),
            Scheme::RsaSsa(HashAlg::Sha1),
        ),
        (
            rsa(SIGNING, none, Scheme::Null),
            Scheme::RsaPss(HashAlg::Sha256),
        ),
        (keyed_hash(SIGNING, hmac), hmac),
    ];
    for (public, scheme) in cases {
        let key = primary(&mut tpm, Handle::OWNER, &public);
        let hash = scheme.hash().unwrap_or(HashAlg::Sha256);
        let digest = hash.digest(&[b"message"]);
        let signed = sign(&mut tpm, key, &digest, scheme, &no_ticket());
        assert_eq!(signed.rc, Rc::SUCCESS, "{scheme:?}");
        let signature: Signature = values(&signed);
        let verified = verify(&mut tpm, key, &digest, &signature);
        assert_eq!(verified.rc, Rc::SUCCESS, "{scheme:?}");
        assert!(!values::<TkVerified>(&verified).0.digest.is_empty());
        let other = hash.digest(&[b"massage"]);
        assert_eq!(
            verify(&mut tpm, key, &other, &signature).rc,
            Rc::SIGNATURE.parameter(2)
        );
        assert_eq!(
            sign(&mut tpm, key, &digest[1..], scheme, &no_ticket()).rc,
            Rc::SIZE.parameter(1)
        );
        flush(&mut tpm, key);
    }
}

#[test]
fn schemes_that_do_not_fit_the_key_are_refused() {
    let mut tpm = started(2);
    let digest = [7; 32];
    let key = primary(
        &mut tpm,
        Handle::OWNER,
        &ecc(SIGNING, SymDefObject(None), ECDSA),
    );
    for scheme in [
        Scheme::EcDsa(HashAlg::Sha384),
        Scheme::RsaSsa(HashAlg::Sha256),
        Scheme::Hmac(HashAlg::Sha256),
    ] {
        assert_eq!(
            sign(&mut tpm, key, &digest, scheme, &no_ticket()).rc,
            Rc::SCHEME.parameter(2)
        );
    }
    let signature = Signature::Hmac(TaggedHash {
        alg: HashAlg::Sha256,
        digest: HashAlg::Sha256.digest(&[]),
    });
    assert_eq!(
        verify(&mut tpm, key, &digest, &signature).rc,
        Rc::SCHEME.parameter(2)
    );
    let open = primary(
        &mut tpm,
        Handle::OWNER,
        &ecc(SIGNING, SymDefObject(None), Scheme::Null),
    );
    assert_eq!(
        sign(&mut tpm, open, &digest, Scheme::Null, &no_ticket()).rc,
        Rc::SCHEME.parameter(2)
    );
    let storage = primary(&mut tpm, Handle::OWNER, &storage_key());
    assert_eq!(
        sign(&mut tpm, storage, &digest, ECDSA, &no_ticket()).rc,
        Rc::KEY.handle(1)
    );
    let signature = Signature::EcDsa {
        hash: HashAlg::Sha256,
        r: Bytes::empty(),
        s: Bytes::empty(),
    };
    assert_eq!(
        verify(&mut tpm, storage, &digest, &signature).rc,
        Rc::ATTRIBUTES.handle(1)
    );
    assert_eq!(
        verify(&mut tpm, key, &digest, &signature).rc,
        Rc::SIGNATURE.parameter(2)
    );
}

#[test]
fn a_restricted_key_signs_with_a_ticket_only() {
    let mut tpm = started(3);
    let key = primary(
        &mut tpm,
        Handle::OWNER,
        &ecc(SIGNING.with(RESTRICTED), SymDefObject(None), ECDSA),
    );
    let digest = HashAlg::Sha256.digest(&[b"data"]);
    let owner = RhHierarchy(Handle::OWNER);
    let ticket = crate::ticket::hash_check(tpm.state(), owner, HashAlg::Sha256, &digest);
    assert_eq!(
        sign(&mut tpm, key, &digest, Scheme::Null, &ticket).rc,
        Rc::SUCCESS
    );
    let refused = Rc::TICKET.parameter(3);
    assert_eq!(
        sign(&mut tpm, key, &digest, Scheme::Null, &no_ticket()).rc,
        refused
    );
    let mut empty = ticket.clone();
    empty.digest = Bytes::empty();
    assert_eq!(
        sign(&mut tpm, key, &digest, Scheme::Null, &empty).rc,
        refused
    );
    let other_hash = crate::ticket::hash_check(tpm.state(), owner, HashAlg::Sha384, &digest);
    assert_eq!(
        sign(&mut tpm, key, &digest, Scheme::Null, &other_hash).rc,
        refused
    );
    let mut other_hierarchy = ticket.clone();
    other_hierarchy.hierarchy = RhHierarchy(Handle::ENDORSEMENT);
    assert_eq!(
        sign(&mut tpm, key, &digest, Scheme::Null, &other_hierarchy).rc,
        refused
    );
}

/// The parts of an attestation, and its digest.
struct Info {
    signer: Vec<u8>,
    extra: Vec<u8>,
    resets: u32,
    firmware: u64,
    rest: Vec<u8>,
    bytes: Vec<u8>,
    signature: Option<Signature>,
}

fn info(response: &Response, tag: u16) -> Info {
    assert_eq!(response.rc, Rc::SUCCESS);
    let mut r = Reader::new(&response.parameters);
    let bytes = r.read::<Tpm2bOpaque>().unwrap().to_vec();
    let signature = if r.rest() == [0, 0x10] {
        None
    } else {
        Some(r.read().unwrap())
    };
    let mut r = Reader::new(&bytes);
    assert_eq!(r.read::<u32>().unwrap(), GENERATED);
    assert_eq!(r.read::<u16>().unwrap(), tag);
    let signer = r.read::<Tpm2bName>().unwrap().to_vec();
    let extra = r.read::<Tpm2bData>().unwrap().to_vec();
    let clock: ClockInfo = r.read().unwrap();
    let firmware = r.read().unwrap();
    let (resets, rest) = (clock.reset_count, r.rest().to_vec());
    Info {
        signer,
        extra,
        resets,
        firmware,
        rest,
        bytes,
        signature,
    }
}

fn check_signature(tpm: &mut TestTpm, key: Handle, info: &Info) {
    let digest = HashAlg::Sha256.digest(&[&info.bytes]);
    assert_eq!(
        verify(tpm, key, &digest, info.signature.as_ref().unwrap()).rc,
        Rc::SUCCESS
    );
}

#[test]
fn a_quote_tells_pcrs_and_hides_counters_from_owner_keys() {
    let mut tpm = started(4);
    let template = ecc(SIGNING.with(RESTRICTED), SymDefObject(None), ECDSA);
    let mut pcrs = BankSelection::none(HashAlg::Sha256);
    pcrs.set(0, true);
    pcrs.set(16, true);
    let selection = PcrSelection::cut(vec![pcrs]);
    let quote = |tpm: &mut TestTpm, key, scheme| {
        let mut command = Command::new(0x158).auth(key, b"");
        command = command
            .with(&Tpm2bData::new(b"nonce").unwrap())
            .with(&SigScheme(scheme))
            .with(&selection);
        run(tpm, &command)
    };
    let ek = primary(&mut tpm, Handle::ENDORSEMENT, &template);
    let quoted = info(&quote(&mut tpm, ek, Scheme::Null), st::ATTEST_QUOTE);
    assert_eq!(quoted.extra, b"nonce");
    assert_eq!(quoted.signer, read_public(&mut tpm, ek).2.to_vec());
    let digest = HashAlg::Sha256.digest(&[&[0; 64]]);
    assert_eq!(
        quoted.rest,
        [&selection.to_bytes()[..], &[0, 32], &digest].concat()
    );
    check_signature(&mut tpm, ek, &quoted);
    let key = primary(&mut tpm, Handle::OWNER, &template);
    let hidden = info(&quote(&mut tpm, key, Scheme::Null), st::ATTEST_QUOTE);
    assert_ne!(
        (hidden.resets, hidden.firmware),
        (quoted.resets, quoted.firmware)
    );
    check_signature(&mut tpm, key, &hidden);
    let null = info(&quote(&mut tpm, Handle::NULL, ECDSA), st::ATTEST_QUOTE);
    assert!(null.signature.is_none());
    assert_eq!(null.signer, Handle::NULL.to_bytes());
    assert_eq!(
        quote(&mut tpm, Handle::NULL, Scheme::Null).rc,
        Rc::SCHEME.parameter(2)
    );
    let storage = primary(&mut tpm, Handle::OWNER, &storage_key());
    assert_eq!(quote(&mut tpm, storage, ECDSA).rc, Rc::KEY.handle(1));
}

#[test]
fn keys_and_their_creation_are_certified() {
    let mut tpm = started(5);
    let key = primary(
        &mut tpm,
        Handle::ENDORSEMENT,
        &ecc(SIGNING, SymDefObject(None), ECDSA),
    );
    let made = run(
        &mut tpm,
        &create_primary_command(Handle::NULL, &storage_key(), b"", b""),
    );
    let object = made.handle.unwrap();
    let mut r = Reader::new(&made.parameters);
    let _: Tpm2bPublic = r.read().unwrap();
    let _: Bytes<1024> = r.read().unwrap();
    let hash: Tpm2bDigest = r.read().unwrap();
    let ticket: TkCreation = r.read().unwrap();
    let (_, name, qualified) = read_public(&mut tpm, object);
    let certify = Command::new(0x148).auth(object, b"").auth(key, b"");
    let certify = certify
        .with(&Tpm2bData::empty())
        .with(&SigScheme(Scheme::Null));
    let certified = info(&run(&mut tpm, &certify), st::ATTEST_CERTIFY);
    assert_eq!(
        certified.rest,
        [name.to_bytes(), qualified.to_bytes()].concat()
    );
    check_signature(&mut tpm, key, &certified);
    let certify_creation = |tpm: &mut TestTpm, hash: &Tpm2bDigest, ticket: &TkCreation| {
        let command = Command::new(0x14A)
            .auth(key, b"")
            .handle(object)
            .with(&Tpm2bData::empty());
        run(
            tpm,
            &command
                .with(hash)
                .with(&SigScheme(Scheme::Null))
                .with(ticket),
        )
    };
    let creation = info(
        &certify_creation(&mut tpm, &hash, &ticket),
        st::ATTEST_CREATION,
    );
    assert_eq!(creation.rest, [name.to_bytes(), hash.to_bytes()].concat());
    check_signature(&mut tpm, key, &creation);
    let mut bad = hash.clone();
    bad.as_mut_slice()[0] ^= 1;
    assert_eq!(
        certify_creation(&mut tpm, &bad, &ticket).rc,
        Rc::TICKET.parameter(4)
    );
    let mut bad = ticket.clone();
    bad.0.hierarchy = RhHierarchy(Handle::OWNER);
    assert_eq!(
        certify_creation(&mut tpm, &hash, &bad).rc,
        Rc::TICKET.parameter(4)
    );
}

#[test]
fn time_and_audit_are_attested() {
    let mut tpm = started(6);
    let key = primary(
        &mut tpm,
        Handle::ENDORSEMENT,
        &ecc(SIGNING, SymDefObject(None), ECDSA),
    );
    let command = |code: u32| {
        let command = Command::new(code)
            .auth(Handle::ENDORSEMENT, b"")
            .auth(key, b"");
        command
            .with(&Tpm2bData::empty())
            .with(&SigScheme(Scheme::Null))
    };
    let time = info(&run(&mut tpm, &command(0x14C)), st::ATTEST_TIME);
    assert_eq!(time.rest.len(), 8 + 17 + 8);
    check_signature(&mut tpm, key, &time);
    let audit = info(&run(&mut tpm, &command(0x133)), st::ATTEST_COMMAND_AUDIT);
    let codes = HashAlg::Sha256.digest(&[&0x140u32.to_be_bytes()]);
    assert_eq!(audit.rest[audit.rest.len() - 32..], codes[..]);
    check_signature(&mut tpm, key, &audit);
}

#[test]
fn the_digest_of_an_audited_command_is_attested() {
    let mut tpm = started(7);
    let key = primary(
        &mut tpm,
        Handle::ENDORSEMENT,
        &ecc(SIGNING, SymDefObject(None), ECDSA),
    );
    let mut s = [ClientSession::start(&mut tpm, &Start::default()).unwrap()];
    let digest_of = |tpm: &mut TestTpm, session: Handle| {
        let command = Command::new(0x14D)
            .auth(Handle::ENDORSEMENT, b"")
            .auth(key, b"")
            .handle(session);
        run(
            tpm,
            &command
                .with(&Tpm2bData::empty())
                .with(&SigScheme(Scheme::Null)),
        )
    };
    let session = s[0].handle;
    assert_eq!(digest_of(&mut tpm, session).rc, Rc::TYPE.handle(3));
    s[0].attributes = s[0].attributes.with(SessionAttributes::AUDIT);
    let audited = Command::new(0x17B).with(&8u16);
    let response = run_with(&mut tpm, &audited, &[], &mut s);
    assert_eq!(response.rc, Rc::SUCCESS);
    let audit = info(&digest_of(&mut tpm, session), st::ATTEST_SESSION_AUDIT);
    let cp = HashAlg::Sha256.digest(&[&0x17Bu32.to_be_bytes(), &audited.parameters]);
    let rp = HashAlg::Sha256.digest(&[&[0; 4], &0x17Bu32.to_be_bytes(), &response.parameters]);
    let digest = HashAlg::Sha256.digest(&[&[0; 32], &cp, &rp]);
    // It is the exclusive session: nothing else was audited since.
    assert_eq!(audit.rest, [&[1, 0, 32], &digest[..]].concat());
    check_signature(&mut tpm, key, &audit);
}
