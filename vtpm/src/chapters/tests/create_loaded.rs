//! CreateLoaded, for the three kinds of parents.

use super::keys::*;
use crate::crypto::hash::HashAlg;
use crate::rc::Rc;
use crate::testing::{Command, Response, run, started};
use crate::wire::*;

fn create_loaded(tpm: &mut TestTpm, parent: Handle, data: &[u8], template: &[u8]) -> Response {
    let command = Command::new(0x191)
        .auth(parent, b"")
        .with(&sensitive(b"", data))
        .with(&Tpm2bTemplate::new(template).unwrap());
    run(tpm, &command)
}

#[test]
fn a_hierarchy_gives_the_primary_key_that_create_primary_gives() {
    let mut tpm = started(1);
    let made = create_loaded(&mut tpm, Handle::OWNER, b"", &storage_key().to_bytes());
    assert_eq!(made.rc, Rc::SUCCESS);
    let mut r = Reader::new(&made.parameters);
    assert!(r.read::<Tpm2bPrivate>().unwrap().is_empty());
    let loaded = read_public(&mut tpm, made.handle.unwrap());
    let other = primary(&mut tpm, Handle::OWNER, &storage_key());
    assert_eq!(loaded, read_public(&mut tpm, other));
    let mut long = storage_key().to_bytes();
    long.push(0);
    assert_eq!(
        create_loaded(&mut tpm, Handle::OWNER, b"", &long).rc,
        Rc::SIZE.parameter(2)
    );
}

#[test]
fn a_storage_key_gives_a_child_that_loads_again() {
    let mut tpm = started(2);
    let parent = primary(&mut tpm, Handle::OWNER, &storage_key());
    let sealed = keyed_hash(SEALED, Scheme::Null).to_bytes();
    let made = create_loaded(&mut tpm, parent, b"secret", &sealed);
    assert_eq!(made.rc, Rc::SUCCESS);
    let mut r = Reader::new(&made.parameters);
    let private: Tpm2bPrivate = r.read().unwrap();
    let public: Tpm2bPublic = r.read().unwrap();
    let again = load(&mut tpm, parent, &private, &public.0);
    for h in [made.handle.unwrap(), again.handle.unwrap()] {
        let unsealed = run(&mut tpm, &Command::new(0x15E).auth(h, b""));
        assert_eq!(values::<Tpm2bSensitiveData>(&unsealed)[..], b"secret"[..]);
    }
    flush(&mut tpm, again.handle.unwrap());
    let leaf = made.handle.unwrap();
    assert_eq!(
        create_loaded(&mut tpm, leaf, b"secret", &sealed).rc,
        Rc::TYPE.handle(1)
    );
}

#[test]
fn a_derivation_parent_gives_the_same_object_again() {
    let mut tpm = started(3);
    let xor = Scheme::Xor {
        hash: HashAlg::Sha256,
        kdf: Some(Kdf::Kdf1Sp800_108),
    };
    let parent = primary(&mut tpm, Handle::OWNER, &keyed_hash(STORAGE, xor));
    let derive = |tpm: &mut TestTpm, label: &[u8]| {
        let attributes = SIGNING.without(ObjectAttributes::SENSITIVE_DATA_ORIGIN);
        let template = ecc(
            attributes,
            SymDefObject(None),
            Scheme::EcDsa(HashAlg::Sha256),
        );
        // Label and context in place of the point's coordinates.
        let mut bytes = template.to_bytes();
        bytes.truncate(bytes.len() - 4);
        bytes.extend_from_slice(&Tpm2bLabel::new(label).unwrap().to_bytes());
        bytes.extend_from_slice(&Tpm2bLabel::empty().to_bytes());
        let made = create_loaded(tpm, parent, b"", &bytes);
        assert_eq!(made.rc, Rc::SUCCESS);
        let public = read_public(tpm, made.handle.unwrap()).0;
        flush(tpm, made.handle.unwrap());
        public
    };
    let first = derive(&mut tpm, b"one");
    assert_eq!(first, derive(&mut tpm, b"one"));
    assert_ne!(first, derive(&mut tpm, b"two"));
    // It protects nothing itself.
    assert_eq!(
        create(&mut tpm, parent, &storage_key(), b"", b"").unwrap_err(),
        Rc::TYPE.handle(1)
    );
}
