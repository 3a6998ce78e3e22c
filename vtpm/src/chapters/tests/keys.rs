//! Templates, and keys made of them, for the tests of several chapters.

use crate::crypto::ecc::Curve;
use crate::crypto::hash::HashAlg;
use crate::crypto::sym::Mode;
use crate::rc::Rc;
use crate::testing::{Command, MemoryPlatform, Response, run};
use crate::tpm::Tpm;
use crate::wire::*;
use std::vec::Vec;

pub(crate) type TestTpm = Tpm<MemoryPlatform>;

/// Attributes of a storage key that stays where it is.
pub(crate) const STORAGE: ObjectAttributes = ObjectAttributes(0x0003_0472);
/// Attributes of a signing key that stays where it is.
pub(crate) const SIGNING: ObjectAttributes = ObjectAttributes(0x0004_0472);
/// Attributes of sealed data.
pub(crate) const SEALED: ObjectAttributes = ObjectAttributes(0x0000_0452);

pub(crate) const AES128_CFB: SymDefObject = SymDefObject(Some(Aes {
    key_bits: 128,
    mode: Some(Mode::Cfb),
}));

pub(crate) fn template(attributes: ObjectAttributes, params: PublicParams) -> Public {
    let unique = match params.object_type() {
        ObjectType::Rsa => Unique::Rsa(Bytes::empty()),
        ObjectType::Ecc => Unique::Ecc(EccPoint {
            x: Bytes::empty(),
            y: Bytes::empty(),
        }),
        _ => Unique::Digest(Bytes::empty()),
    };
    Public {
        name_alg: Some(HashAlg::Sha256),
        attributes,
        auth_policy: Tpm2bDigest::empty(),
        params,
        unique,
    }
}

pub(crate) fn ecc(attributes: ObjectAttributes, symmetric: SymDefObject, scheme: Scheme) -> Public {
    let params = PublicParams::Ecc {
        symmetric,
        scheme: EccScheme(scheme),
        curve: Curve::P256,
        kdf: KdfScheme(None),
    };
    template(attributes, params)
}

pub(crate) fn rsa(attributes: ObjectAttributes, symmetric: SymDefObject, scheme: Scheme) -> Public {
    template(
        attributes,
        PublicParams::Rsa {
            symmetric,
            scheme: RsaScheme(scheme),
            key_bits: 2048,
            exponent: 0,
        },
    )
}

pub(crate) fn keyed_hash(attributes: ObjectAttributes, scheme: Scheme) -> Public {
    template(
        attributes,
        PublicParams::KeyedHash {
            scheme: KeyedHashScheme(scheme),
        },
    )
}

pub(crate) fn storage_key() -> Public {
    ecc(STORAGE, AES128_CFB, Scheme::Null)
}

pub(crate) fn sensitive(auth: &[u8], data: &[u8]) -> Tpm2bSensitiveCreate {
    Sized2b(SensitiveCreate {
        user_auth: Bytes::new(auth).unwrap(),
        data: Bytes::new(data).unwrap(),
    })
}

pub(crate) fn create_primary_command(
    hierarchy: Handle,
    public: &Public,
    auth: &[u8],
    data: &[u8],
) -> Command {
    Command::new(0x131)
        .auth(hierarchy, b"")
        .with(&sensitive(auth, data))
        .with(&Sized2b(public.clone()))
        .with(&Tpm2bData::empty())
        .with(&PcrSelection::empty())
}

/// A primary key with an empty auth value.
pub(crate) fn primary(tpm: &mut TestTpm, hierarchy: Handle, public: &Public) -> Handle {
    let response = run(tpm, &create_primary_command(hierarchy, public, b"", b""));
    assert_eq!(response.rc, Rc::SUCCESS);
    response.handle.unwrap()
}

/// What TPM2_Create gives.
pub(crate) fn create(
    tpm: &mut TestTpm,
    parent: Handle,
    public: &Public,
    auth: &[u8],
    data: &[u8],
) -> Result<(Tpm2bPrivate, Public), Rc> {
    let command = Command::new(0x153)
        .auth(parent, b"")
        .with(&sensitive(auth, data))
        .with(&Sized2b(public.clone()))
        .with(&Tpm2bData::empty())
        .with(&PcrSelection::empty());
    let response = run(tpm, &command);
    if response.rc != Rc::SUCCESS {
        return Err(response.rc);
    }
    let mut r = Reader::new(&response.parameters);
    let private = r.read().unwrap();
    let public: Tpm2bPublic = r.read().unwrap();
    Ok((private, public.0))
}

pub(crate) fn load(
    tpm: &mut TestTpm,
    parent: Handle,
    private: &Tpm2bPrivate,
    public: &Public,
) -> Response {
    run(
        tpm,
        &Command::new(0x157)
            .auth(parent, b"")
            .with(private)
            .with(&Sized2b(public.clone())),
    )
}

/// A key below a parent, loaded.
pub(crate) fn child(
    tpm: &mut TestTpm,
    parent: Handle,
    public: &Public,
    auth: &[u8],
    data: &[u8],
) -> Handle {
    let (private, public) = create(tpm, parent, public, auth, data).unwrap();
    let loaded = load(tpm, parent, &private, &public);
    assert_eq!(loaded.rc, Rc::SUCCESS);
    loaded.handle.unwrap()
}

pub(crate) fn load_external(
    tpm: &mut TestTpm,
    sensitive: Option<Sensitive>,
    public: &Public,
    hierarchy: Handle,
) -> Response {
    let command = Command::new(0x167)
        .with(&Optional2b(sensitive))
        .with(&Sized2b(public.clone()))
        .with(&hierarchy);
    run(tpm, &command)
}

/// Public area, Name and Qualified Name.
pub(crate) fn read_public(tpm: &mut TestTpm, h: Handle) -> (Public, Tpm2bName, Tpm2bName) {
    let response = run(tpm, &Command::new(0x173).handle(h));
    assert_eq!(response.rc, Rc::SUCCESS);
    let mut r = Reader::new(&response.parameters);
    let public: Tpm2bPublic = r.read().unwrap();
    (public.0, r.read().unwrap(), r.read().unwrap())
}

pub(crate) fn flush(tpm: &mut TestTpm, h: Handle) {
    assert!(tpm.state().volatile.transient.remove(&h.0).is_some());
}

/// The values of a response's parameters.
pub(crate) fn values<T: Unmarshal>(response: &Response) -> T {
    let mut r = Reader::new(&response.parameters);
    r.read().unwrap()
}

/// The parameters of a response as buffers, as many as there are.
pub(crate) fn buffers(response: &Response) -> Vec<Vec<u8>> {
    let mut r = Reader::new(&response.parameters);
    let mut all = Vec::new();
    while !r.is_empty() {
        let len: u16 = r.read().unwrap();
        all.push(r.take(usize::from(len)).unwrap().to_vec());
    }
    all
}
