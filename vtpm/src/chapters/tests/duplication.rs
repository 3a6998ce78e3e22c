//! Duplicate, Rewrap, Import.

use super::keys::*;
use crate::crypto::hash::HashAlg;
use crate::crypto::sym::Mode;
use crate::rc::Rc;
use crate::session::{PolicyState, Session, SessionType};
use crate::testing::{Command, Response, run, started};
use crate::wire::*;
use std::vec::Vec;

const DUPLICATE: u32 = 0x14B;
const POLICY: Handle = Handle(0x0300_0000);
const AES256_CFB: SymDefObject = SymDefObject(Some(Aes {
    key_bits: 256,
    mode: Some(Mode::Cfb),
}));
const NO_INNER: SymDefObject = SymDefObject(None);

/// A policy session that allows duplication, as PolicyCommandCode leaves it.
fn policy(tpm: &mut TestTpm) -> Tpm2bDigest {
    let mut policy = PolicyState::new(HashAlg::Sha256, 0, tpm.state().volatile.time_epoch);
    policy.extend(
        HashAlg::Sha256,
        &[&0x16Cu32.to_be_bytes(), &DUPLICATE.to_be_bytes()],
    );
    policy.command_code = DUPLICATE;
    let digest = policy.digest.clone();
    let session = Session {
        kind: SessionType::Policy,
        hash: HashAlg::Sha256,
        symmetric: SymDef::Null,
        key: Bytes::empty(),
        nonce_tpm: Bytes::zeros(16),
        bound: Bytes::empty(),
        bound_da: false,
        bound_lockout: false,
        audit: Bytes::empty(),
        policy,
    };
    tpm.state().volatile.sessions.insert(POLICY.0, session);
    digest
}

fn duplicate(
    tpm: &mut TestTpm,
    object: Handle,
    parent: Handle,
    key: &[u8],
    inner: SymDefObject,
) -> Response {
    policy(tpm);
    let command = Command::new(DUPLICATE)
        .handle(object)
        .session(POLICY, &[], 0, &[])
        .handle(parent)
        .with(&Tpm2bData::new(key).unwrap())
        .with(&inner);
    run(tpm, &command)
}

fn import(
    tpm: &mut TestTpm,
    parent: Handle,
    key: &[u8],
    public: &Public,
    blob: &[u8],
    seed: &[u8],
    inner: SymDefObject,
) -> Response {
    let command = Command::new(0x156)
        .auth(parent, b"")
        .with(&Tpm2bData::new(key).unwrap())
        .with(&Sized2b(public.clone()))
        .with(&Tpm2bPrivate::new(blob).unwrap())
        .with(&Tpm2bEncryptedSecret::new(seed).unwrap())
        .with(&inner);
    run(tpm, &command)
}

/// A sealed object that can be duplicated, its public area, and two parents.
fn setting(attributes: ObjectAttributes, to: &Public) -> (TestTpm, Handle, Public, Handle) {
    let mut tpm = started(1);
    let from = primary(&mut tpm, Handle::OWNER, &storage_key());
    let mut template = keyed_hash(attributes, Scheme::Null);
    template.auth_policy = policy(&mut tpm);
    let object = child(&mut tpm, from, &template, b"", b"secret");
    flush(&mut tpm, from);
    let parent = primary(&mut tpm, Handle::ENDORSEMENT, to);
    let public = read_public(&mut tpm, object).0;
    (tpm, object, public, parent)
}

const MOVABLE: ObjectAttributes = ObjectAttributes(0x0000_0440);

fn check_imported(tpm: &mut TestTpm, imported: &Response, public: &Public, parent: Handle) {
    assert_eq!(imported.rc, Rc::SUCCESS);
    let loaded = load(tpm, parent, &values(imported), public);
    assert_eq!(loaded.rc, Rc::SUCCESS);
    let unsealed = run(tpm, &Command::new(0x15E).auth(loaded.handle.unwrap(), b""));
    assert_eq!(values::<Tpm2bSensitiveData>(&unsealed)[..], b"secret"[..]);
    flush(tpm, loaded.handle.unwrap());
}

fn moves_to(to: &Public) {
    let (mut tpm, object, public, parent) = setting(MOVABLE, to);
    for (key, inner) in [
        (&[][..], NO_INNER),
        (&[], AES128_CFB),
        (&[5; 32], AES256_CFB),
    ] {
        let out = duplicate(&mut tpm, object, parent, key, inner);
        assert_eq!(out.rc, Rc::SUCCESS);
        let mut out = buffers(&out);
        if key.is_empty() && inner == AES128_CFB {
            assert_eq!(out[0].len(), 16);
        } else {
            assert!(out[0].is_empty());
            out[0] = key.to_vec();
        }
        let imported = import(&mut tpm, parent, &out[0], &public, &out[1], &out[2], inner);
        check_imported(&mut tpm, &imported, &public, parent);
        let mut bad = out[1].clone();
        *bad.last_mut().unwrap() ^= 1;
        let rc = import(&mut tpm, parent, &out[0], &public, &bad, &out[2], inner).rc;
        assert_eq!(rc, Rc::INTEGRITY.parameter(3));
        let rc = import(&mut tpm, parent, &[1; 7], &public, &out[1], &out[2], inner).rc;
        assert_eq!(rc, Rc::SIZE.parameter(1));
    }
}

#[test]
fn an_object_moves_below_an_ecc_key() {
    moves_to(&storage_key());
}

#[test]
fn an_object_moves_below_an_rsa_key() {
    moves_to(&rsa(STORAGE, AES128_CFB, Scheme::Null));
}

#[test]
fn a_plain_duplicate_is_the_sensitive_area() {
    let (mut tpm, object, public, parent) = setting(MOVABLE, &storage_key());
    let out: Vec<Vec<u8>> = buffers(&duplicate(&mut tpm, object, Handle::NULL, &[], NO_INNER));
    assert!(out[0].is_empty() && out[2].is_empty());
    let sensitive: Tpm2bSensitive = Unmarshal::from_bytes(&out[1]).unwrap();
    assert_eq!(sensitive.data[..], b"secret"[..]);
    let imported = import(&mut tpm, parent, &[], &public, &out[1], &[], NO_INNER);
    check_imported(&mut tpm, &imported, &public, parent);
    // Without wrappers nothing binds the areas but the unique field.
    let mut other = public.clone();
    other.unique = Unique::Digest(Bytes::zeros(32));
    let rc = import(&mut tpm, parent, &[], &other, &out[1], &[], NO_INNER).rc;
    assert_eq!(rc, Rc::BINDING.parameter(2));
    let mut fixed = public.clone();
    fixed.attributes = fixed.attributes.with(ObjectAttributes::FIXED_PARENT);
    let rc = import(&mut tpm, parent, &[], &fixed, &out[1], &[], NO_INNER).rc;
    assert_eq!(rc, Rc::ATTRIBUTES.parameter(2));
}

#[test]
fn encrypted_duplication_wants_both_wrappers() {
    let encrypted = MOVABLE.with(ObjectAttributes::ENCRYPTED_DUPLICATION);
    let (mut tpm, object, _, parent) = setting(encrypted, &storage_key());
    assert_eq!(
        duplicate(&mut tpm, object, parent, &[], NO_INNER).rc,
        Rc::SYMMETRIC.parameter(2)
    );
    assert_eq!(
        duplicate(&mut tpm, object, Handle::NULL, &[], AES128_CFB).rc,
        Rc::HIERARCHY.handle(2)
    );
    assert_eq!(
        duplicate(&mut tpm, object, parent, &[1; 5], AES128_CFB).rc,
        Rc::SIZE.parameter(1)
    );
    assert_eq!(
        duplicate(&mut tpm, object, object, &[], AES128_CFB).rc,
        Rc::TYPE.handle(2)
    );
    assert_eq!(
        duplicate(&mut tpm, object, parent, &[], AES128_CFB).rc,
        Rc::SUCCESS
    );
}

#[test]
fn a_duplicate_is_wrapped_for_another_parent() {
    let (mut tpm, object, public, parent) = setting(MOVABLE, &storage_key());
    let name = read_public(&mut tpm, object).1;
    let rewrap = |tpm: &mut TestTpm, old: Handle, new: Handle, blob: &[u8], seed: &[u8]| {
        let command = Command::new(0x152)
            .auth(old, b"")
            .handle(new)
            .with(&Tpm2bPrivate::new(blob).unwrap())
            .with(&name)
            .with(&Tpm2bEncryptedSecret::new(seed).unwrap());
        run(tpm, &command)
    };
    let out = buffers(&duplicate(&mut tpm, object, parent, &[], NO_INNER));
    let plain = buffers(&rewrap(&mut tpm, parent, Handle::NULL, &out[1], &out[2]));
    assert!(plain[1].is_empty());
    let again = buffers(&rewrap(&mut tpm, Handle::NULL, parent, &plain[0], &[]));
    let imported = import(
        &mut tpm,
        parent,
        &[],
        &public,
        &again[0],
        &again[1],
        NO_INNER,
    );
    check_imported(&mut tpm, &imported, &public, parent);
    assert_eq!(
        rewrap(&mut tpm, parent, Handle::NULL, &out[1], &[]).rc,
        Rc::HANDLE.handle(1)
    );
    let mut bad = out[1].clone();
    bad[2] ^= 1;
    assert_eq!(
        rewrap(&mut tpm, parent, Handle::NULL, &bad, &out[2]).rc,
        Rc::INTEGRITY.parameter(1)
    );
}
