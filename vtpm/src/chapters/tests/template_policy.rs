//! A policy that binds what a hierarchy creates, and what Clear leaves of keys.

use super::keys::*;
use crate::crypto::hash::HashAlg;
use crate::rc::Rc;
use crate::testing::{Command, run, started};
use crate::wire::*;

fn policy_session(tpm: &mut TestTpm) -> Handle {
    let command = Command::new(0x176)
        .handle(Handle::NULL)
        .handle(Handle::NULL)
        .with(&Tpm2bNonce::zeros(16))
        .with(&Tpm2bEncryptedSecret::empty())
        .with(&1u8)
        .with(&SymDef::Null)
        .with(&HashAlg::Sha256);
    run(tpm, &command).handle.unwrap()
}

#[test]
fn a_hierarchy_creates_the_template_that_its_policy_names() {
    let mut tpm = started(1);
    let hash = HashAlg::Sha256.digest(&[&storage_key().to_bytes()]);
    let mut owner_policy = crate::session::PolicyState::new(HashAlg::Sha256, 0, 0);
    owner_policy.extend(HashAlg::Sha256, &[&0x190u32.to_be_bytes(), &hash]);
    let set = Command::new(0x12E)
        .auth(Handle::OWNER, b"")
        .with(&owner_policy.digest)
        .with(&HashAlg::Sha256);
    assert_eq!(run(&mut tpm, &set).rc, Rc::SUCCESS);
    let allowed = |tpm: &mut TestTpm| {
        let session = policy_session(tpm);
        let bind = Command::new(0x190)
            .handle(session)
            .with(&Tpm2bDigest::from(hash));
        assert_eq!(run(tpm, &bind).rc, Rc::SUCCESS);
        session
    };
    let create = |tpm: &mut TestTpm, public: &Public| {
        let session = allowed(tpm);
        let mut command = create_primary_command(Handle::OWNER, public, b"", b"");
        command.sessions = None;
        let rc = run(tpm, &command.session(session, &[], 0, &[])).rc;
        tpm.state().volatile.sessions.clear();
        rc
    };
    assert_eq!(create(&mut tpm, &storage_key()), Rc::SUCCESS);
    let other = rsa(STORAGE, AES128_CFB, Scheme::Null);
    assert_eq!(create(&mut tpm, &other), Rc::POLICY_FAIL.session(1));
    // Commands that create nothing have no template: here SetPrimaryPolicy.
    let session = allowed(&mut tpm);
    let mut again = set.clone();
    again.sessions = None;
    assert_eq!(
        run(&mut tpm, &again.session(session, &[], 0, &[])).rc,
        Rc::POLICY_FAIL.session(1)
    );
}

#[test]
fn an_endorsement_key_outlives_a_clear_and_its_children_do_not() {
    let mut tpm = started(2);
    let key = primary(&mut tpm, Handle::ENDORSEMENT, &storage_key());
    let before = read_public(&mut tpm, key);
    let sealed = keyed_hash(SEALED, Scheme::Null);
    let (private, public) = create(&mut tpm, key, &sealed, b"", b"secret").unwrap();
    let owner = primary(&mut tpm, Handle::OWNER, &storage_key());
    let owner_before = read_public(&mut tpm, owner);
    assert_eq!(
        run(&mut tpm, &Command::new(0x126).auth(Handle::LOCKOUT, b"")).rc,
        Rc::SUCCESS
    );
    let key = primary(&mut tpm, Handle::ENDORSEMENT, &storage_key());
    assert_eq!(read_public(&mut tpm, key), before);
    assert_eq!(
        load(&mut tpm, key, &private, &public).rc,
        Rc::INTEGRITY.parameter(1)
    );
    let owner = primary(&mut tpm, Handle::OWNER, &storage_key());
    assert_ne!(read_public(&mut tpm, owner), owner_before);
}
