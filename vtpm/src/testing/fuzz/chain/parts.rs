//! What several chains begin with: keys, sessions, names.

use crate::crypto::ecc::Curve;
use crate::crypto::hash::HashAlg;
use crate::crypto::sym::Mode;
use crate::session::SessionType;
use crate::testing::Command;
use crate::testing::fuzz::Fuzz;
use crate::wire::{
    Aes, Bytes, EccPoint, EccScheme, Handle, Kdf, KdfScheme, KeyedHashScheme, Marshal,
    ObjectAttributes, ObjectType, Optional2b, PcrSelection, Public, PublicParams, Reader,
    RsaScheme, Scheme, Sensitive, SensitiveCreate, Sized2b, SymDef, SymDefObject, Tpm2bAuth,
    Tpm2bData, Tpm2bDigest, Tpm2bEncryptedSecret, Tpm2bName, Tpm2bNonce, Tpm2bPrivate, Tpm2bPublic,
    Tpm2bSensitiveData, Unique,
};
use alloc::vec::Vec;

/// Attributes without fixedTPM, fixedParent and sensitiveDataOrigin: a key that
/// moves, or comes from outside.
const FOREIGN: u32 = 0x440;
pub(super) const STORAGE: u32 = 0x0003_0000;
pub(super) const DECRYPT: u32 = 0x0002_0000;
pub(super) const SIGN: u32 = 0x0004_0000;
/// Those of a key that stays where it was made.
pub(super) const FIXED: u32 = 0x472;

pub(super) const NONE: SymDefObject = SymDefObject(None);
pub(super) const AES: SymDefObject = SymDefObject(Some(Aes {
    key_bits: 128,
    mode: Some(Mode::Cfb),
}));
pub(super) const HASH: HashAlg = HashAlg::Sha256;

pub(super) fn public(attributes: u32, params: PublicParams) -> Public {
    let unique = match params.object_type() {
        ObjectType::Rsa => Unique::Rsa(Bytes::cut(&from_hex(MODULUS))),
        ObjectType::Ecc => Unique::Ecc(nowhere().0),
        _ => Unique::Digest(Tpm2bDigest::empty()),
    };
    Public {
        name_alg: Some(HASH),
        attributes: ObjectAttributes(attributes),
        auth_policy: Tpm2bDigest::empty(),
        params,
        unique,
    }
}

pub(super) fn ecc(attributes: u32, symmetric: SymDefObject, scheme: Scheme) -> Public {
    let params = PublicParams::Ecc {
        symmetric,
        scheme: EccScheme(scheme),
        curve: Curve::P256,
        kdf: KdfScheme(None),
    };
    public(FIXED | attributes, params)
}

/// The public area of the key of this file.
pub(super) fn rsa(attributes: u32, symmetric: SymDefObject, scheme: Scheme) -> Public {
    let params = PublicParams::Rsa {
        symmetric,
        scheme: RsaScheme(scheme),
        key_bits: 2048,
        exponent: 0,
    };
    public(FOREIGN | attributes, params)
}

/// A derivation parent's template.
pub(super) fn derivation_parent() -> Public {
    let scheme = Scheme::Xor {
        hash: HASH,
        kdf: Some(Kdf::Kdf1Sp800_108),
    };
    let params = PublicParams::KeyedHash {
        scheme: KeyedHashScheme(scheme),
    };
    public(FIXED | STORAGE, params)
}

/// A template of sealed data that may move.
pub(super) fn movable(policy: Tpm2bDigest) -> Public {
    let params = PublicParams::KeyedHash {
        scheme: KeyedHashScheme(Scheme::Null),
    };
    Public {
        auth_policy: policy,
        ..public(FOREIGN, params)
    }
}

/// The Empty Point.
pub(super) fn nowhere() -> Sized2b<EccPoint> {
    Sized2b(EccPoint {
        x: Bytes::empty(),
        y: Bytes::empty(),
    })
}

/// Any hierarchy but the NULL hierarchy, whose tickets say nothing.
pub(super) fn hierarchy(f: &mut Fuzz) -> Handle {
    f.g.pick(&[Handle::OWNER, Handle::ENDORSEMENT, Handle::PLATFORM])
}

/// The parameters of a Create or CreatePrimary.
pub(super) fn made_of(command: Command, public: &Public, data: &[u8]) -> Command {
    let sensitive = SensitiveCreate {
        user_auth: Tpm2bAuth::empty(),
        data: Tpm2bSensitiveData::cut(data),
    };
    command
        .with(&Sized2b(sensitive))
        .with(&Sized2b(public.clone()))
        .with(&Tpm2bData::empty())
        .with(&PcrSelection::empty())
}

/// A primary key; in some hierarchy whose auth value is still empty.
pub(super) fn primary(f: &mut Fuzz, public: &Public) -> Option<Handle> {
    let hierarchy = hierarchy(f);
    let command = made_of(Command::new(0x131).auth(hierarchy, b""), public, b"");
    f.ask(&command)?.handle
}

/// Public area and Name of an object.
pub(super) fn read_public(f: &mut Fuzz, h: Handle) -> Option<(Public, Tpm2bName)> {
    let response = f.ask(&Command::new(0x173).handle(h))?;
    let mut r = Reader::new(&response.parameters);
    let public: Tpm2bPublic = r.read().ok()?;
    Some((public.0, r.read().ok()?))
}

pub(super) fn load(
    f: &mut Fuzz,
    parent: Handle,
    private: &Tpm2bPrivate,
    public: &Public,
) -> Option<Handle> {
    let command = Command::new(0x157)
        .auth(parent, b"")
        .with(private)
        .with(&Sized2b(public.clone()));
    f.ask(&command)?.handle
}

pub(super) fn flush(f: &mut Fuzz, h: Handle) -> Option<()> {
    f.ask(&Command::new(0x165).with(&h)).map(|_| ())
}

fn prime() -> Sensitive {
    Sensitive {
        kind: ObjectType::Rsa,
        auth: Tpm2bAuth::empty(),
        seed: Tpm2bDigest::empty(),
        data: Bytes::cut(&from_hex(PRIME)),
    }
}

/// An RSA key from outside, which is not made here because that takes long.
pub(super) fn rsa_external(f: &mut Fuzz, attributes: u32, scheme: Scheme) -> Option<Handle> {
    let command = Command::new(0x167)
        .with(&Optional2b(Some(prime())))
        .with(&Sized2b(rsa(attributes, NONE, scheme)))
        .with(&Handle::NULL);
    f.ask(&command)?.handle
}

/// A storage key: of an elliptic curve, or RSA by Import of a duplicate without
/// any wrapper.
pub(super) fn storage_key(f: &mut Fuzz) -> Option<Handle> {
    let parent = primary(f, &ecc(STORAGE, AES, Scheme::Null))?;
    if !f.g.once_in(3) {
        return Some(parent);
    }
    let area = rsa(STORAGE, AES, Scheme::Null);
    let prime = Sensitive {
        seed: Tpm2bDigest::cut(&[7; 32]),
        ..prime()
    };
    let import = Command::new(0x156)
        .auth(parent, b"")
        .with(&Tpm2bData::empty())
        .with(&Sized2b(area.clone()))
        .with(&Tpm2bPrivate::cut(&Sized2b(prime).to_bytes()))
        .with(&Tpm2bEncryptedSecret::empty())
        .with(&NONE);
    let private: Tpm2bPrivate = f.first(&import)?;
    let key = load(f, parent, &private, &area)?;
    flush(f, parent)?;
    Some(key)
}

/// The template of a signing key that stays below its parent; it is bound to
/// this TPM if the parent is.
pub(super) fn signing_child(f: &mut Fuzz, parent: Handle) -> Option<Public> {
    let bound = read_public(f, parent)?.0.attributes;
    let mut template = ecc(SIGN, NONE, Scheme::EcDsa(HASH));
    if !bound.has(ObjectAttributes::FIXED_TPM) {
        template.attributes = template.attributes.without(ObjectAttributes::FIXED_TPM);
    }
    Some(template)
}

/// A session of a kind, without a key, so that its HMAC may be left out.
pub(super) fn session(f: &mut Fuzz, kind: SessionType) -> Option<Handle> {
    let command = Command::new(0x176)
        .handle(Handle::NULL)
        .handle(Handle::NULL)
        .with(&Tpm2bNonce::cut(&[1; 16]))
        .with(&Tpm2bEncryptedSecret::empty())
        .with(&kind)
        .with(&SymDef::Null)
        .with(&HASH);
    f.ask(&command)?.handle
}

/// The policy that allows a command and nothing else.
pub(super) fn policy_of(code: u32) -> Tpm2bDigest {
    let digest = HASH.digest(&[&[0; 32], &0x16Cu32.to_be_bytes(), &code.to_be_bytes()]);
    Tpm2bDigest::cut(&digest)
}

/// PolicyCommandCode.
pub(super) fn allow(f: &mut Fuzz, session: Handle, code: u32) -> Option<()> {
    f.ask(&Command::new(0x16C).handle(session).with(&code))
        .map(|_| ())
}

/// A policy session that allows a command.
pub(super) fn policy_session(f: &mut Fuzz, code: u32) -> Option<Handle> {
    let session = session(f, SessionType::Policy)?;
    allow(f, session, code)?;
    Some(session)
}

pub(super) fn from_hex(text: &str) -> Vec<u8> {
    let digit = |c: u8| (c as char).to_digit(16).map_or(0, |d| d as u8);
    text.as_bytes()
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |n, &c| n << 4 | digit(c)))
        .collect()
}

/// An RSA key that protects nothing: modulus, and one of its primes.
const MODULUS: &str = "b4947c0513bb4fd9b60e7ca3c2b5a84e4359e488a4fa4c5d5b2c09b8325f1f22196c3478fe9a\
    2698cd972d6c5441e9018527382df9f4dfb2c0fad2df25dd9034bfd13f96fa5faba325395c7b9fe9c95ed48e30d1\
    f4a514aed0eeb0fab76d25eb8e680f51aa556450940613dfee5974feb2f99b7080cc92285970c4a4dfab3c6e1c30\
    483a223307571ad92072c4e1471bfc304fe699dbf47eef2a9e4af985ef3b2e95514e5bf027cad552fcdbf7c63cff\
    31eca8c3405a6d258929e3cb87f0dd328273fc044a4df70b928735af25f8db7619a0813c8a41728dbaab0d3b0103\
    1b505287624139239f5bb31bceeb40a7aaa6ee9165203f355bbd22e95b6c453a2a8b";
const PRIME: &str = "e401c6fd6dea0a5029ecec6efbd56d48ed643a2bce9b51ae696b18406839b0abb28b7945dfae87\
    51c420e9d05185712eefd8cf9a3c582e12e8cb60eecd732b59a4b5a6226e40614d4d577711b040e77e33f9c1cf3d\
    7c2081a66fb067bf84325f140648aa9d10ea37c8f0bb83cd8a42fca0918356488a24634fd29d3940c49d6d";
