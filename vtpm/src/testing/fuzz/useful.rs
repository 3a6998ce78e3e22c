//! Commands that most often succeed, so that random ones find objects,
//! sessions and indices to work on.

use crate::crypto::ecc::Curve;
use crate::crypto::hash::HashAlg;
use crate::crypto::sym::Mode;
use crate::session::SessionType;
use crate::testing::Command;
use crate::wire::sample::{Gen, Sample};
use crate::wire::{
    Aes, Bytes, EccPoint, EccScheme, Handle, KdfScheme, KeyedHashScheme, Marshal, NvAttributes,
    NvPublic, ObjectAttributes, ObjectType, Optional2b, PcrSelection, Public, PublicParams,
    RhNvIndex, Scheme, SensitiveCreate, Sized2b, SymDef, SymDefObject, Tpm2bAuth, Tpm2bData,
    Tpm2bDigest, Tpm2bEncryptedSecret, Tpm2bMaxNvBuffer, Tpm2bNonce, Tpm2bSensitiveData, Unique,
};
use alloc::vec::Vec;

const AES_CFB: Aes = Aes {
    key_bits: 128,
    mode: Some(Mode::Cfb),
};

/// A template of a kind that is used.
fn template(g: &mut Gen) -> Public {
    let ecc = |symmetric, scheme| PublicParams::Ecc {
        symmetric: SymDefObject(symmetric),
        scheme: EccScheme(scheme),
        curve: Curve::P256,
        kdf: KdfScheme(None),
    };
    let hash = HashAlg::Sha256;
    let keyed = |scheme| PublicParams::KeyedHash {
        scheme: KeyedHashScheme(scheme),
    };
    let aes = Aes {
        mode: Sample::sample(g),
        ..AES_CFB
    };
    let (attributes, params) = match g.below(9) {
        0 | 1 => (0x0003_0472, ecc(Some(AES_CFB), Scheme::Null)),
        2 => (0x0004_0472, ecc(None, Scheme::EcDsa(hash))),
        3 => (0x0005_0472, ecc(None, Scheme::EcDsa(hash))),
        4 => (0x0006_0472, ecc(None, Scheme::Null)),
        5 => (0x0004_0472, keyed(Scheme::Hmac(hash))),
        6 => (
            0x0006_0472,
            PublicParams::SymCipher {
                symmetric: SymDefObject(Some(aes)),
            },
        ),
        7 => (0x0000_0440, keyed(Scheme::Null)),
        _ => (0x0004_0460, ecc(None, Scheme::EcDsa(hash))),
    };
    let unique = match params.object_type() {
        ObjectType::Ecc => Unique::Ecc(EccPoint {
            x: Bytes::empty(),
            y: Bytes::empty(),
        }),
        _ => Unique::Digest(Tpm2bDigest::empty()),
    };
    let st_clear = if g.once_in(8) { 4 } else { 0 };
    Public {
        name_alg: Some(hash),
        attributes: ObjectAttributes(attributes | st_clear),
        auth_policy: Tpm2bDigest::empty(),
        params,
        unique,
    }
}

/// One of the live handles of a kind (the top byte), or one that might be.
fn live(g: &mut Gen, handles: &[u32], tops: &[u32]) -> Handle {
    let fit: Vec<u32> = handles
        .iter()
        .copied()
        .filter(|h| tops.contains(&(h >> 24)))
        .collect();
    if fit.is_empty() {
        Handle(tops.first().copied().unwrap_or(0x80) << 24)
    } else {
        Handle(g.pick(&fit))
    }
}

fn creation(g: &mut Gen, command: Command) -> Command {
    let public = template(g);
    let sealed =
        matches!(&public.params, PublicParams::KeyedHash { scheme } if **scheme == Scheme::Null);
    let data: &[u8] = if sealed { b"sealed" } else { b"" };
    let sensitive = SensitiveCreate {
        user_auth: Tpm2bAuth::empty(),
        data: Tpm2bSensitiveData::cut(data),
    };
    command
        .with(&Sized2b(sensitive))
        .with(&Sized2b(public))
        .with(&Tpm2bData::empty())
        .with(&PcrSelection::empty())
}

/// A command that mostly succeeds.
pub(super) fn command(g: &mut Gen, handles: &[u32], made: &[Vec<u8>]) -> Vec<u8> {
    let command = match g.below(10) {
        0 => {
            let hierarchy = g.pick(&[
                Handle::OWNER,
                Handle::OWNER,
                Handle::NULL,
                Handle::ENDORSEMENT,
                Handle::PLATFORM,
            ]);
            creation(g, Command::new(0x131).auth(hierarchy, b""))
        }
        1 => {
            let parent = live(g, handles, &[0x80, 0x81]);
            creation(g, Command::new(0x153).auth(parent, b""))
        }
        2 if !made.is_empty() => {
            let parent = live(g, handles, &[0x80, 0x81]);
            let mut command = Command::new(0x157).auth(parent, b"");
            let at = g.below(made.len());
            command.parameters = made.get(at).cloned().unwrap_or_default();
            command
        }
        3 => {
            let kind = SessionType::sample(g);
            let symmetric = g.pick(&[
                SymDef::Null,
                SymDef::Aes(AES_CFB),
                SymDef::Xor(HashAlg::Sha256),
            ]);
            Command::new(0x176)
                .handle(Handle::NULL)
                .handle(Handle::NULL)
                .with(&Tpm2bNonce::cut(&[1; 16]))
                .with(&Tpm2bEncryptedSecret::empty())
                .with(&kind)
                .with(&symmetric)
                .with(&HashAlg::Sha256)
        }
        4 | 5 => Command::new(0x165).with(&live(g, handles, &[0x80, 0x02, 0x03])),
        6 => define(g),
        7 | 8 => index(g, handles),
        _ => {
            let object = live(g, handles, &[0x80]);
            Command::new(0x120)
                .auth(Handle::OWNER, b"")
                .handle(object)
                .with(&Handle(0x8100_0000 | g.below(3) as u32))
        }
    };
    command.to_bytes()
}

/// NV_DefineSpace.
fn define(g: &mut Gen) -> Command {
    let (kind, size) = g.pick(&[
        (0u32, 32u16),
        (0, 100),
        (1, 8),
        (2, 8),
        (4, 32),
        (8, 8),
        (9, 8),
    ]);
    let more = g.pick(&[
        0u32,
        0,
        1 << 26,
        1 << 27,
        1 << 14,
        1 << 31,
        1 << 13,
        1 << 15,
    ]);
    // PIN indices cannot be written with their own auth value.
    let auth_write = if kind >= 8 { 0 } else { 4 };
    let no_da = if kind == 8 { 1 << 25 } else { 0 };
    let public = NvPublic {
        index: RhNvIndex(Handle(Handle::NV_FIRST | g.below(4) as u32)),
        name_alg: HashAlg::Sha256,
        attributes: NvAttributes(0x0006_0002 | auth_write | no_da | kind << 4 | more),
        auth_policy: Tpm2bDigest::empty(),
        data_size: size,
    };
    Command::new(0x12A)
        .auth(Handle::OWNER, b"")
        .with(&Tpm2bAuth::empty())
        .with(&Sized2b(public))
}

/// A command on an NV index.
fn index(g: &mut Gen, handles: &[u32]) -> Command {
    let index = live(g, handles, &[0x01]);
    let by = if g.once_in(2) { Handle::OWNER } else { index };
    match g.below(8) {
        0 => Command::new(0x134).auth(by, b"").handle(index),
        1 => Command::new(0x136)
            .auth(by, b"")
            .handle(index)
            .with(&Tpm2bMaxNvBuffer::cut(b"extended")),
        2 => Command::new(0x135)
            .auth(by, b"")
            .handle(index)
            .with(&u64::sample(g)),
        3 | 4 => Command::new(0x137)
            .auth(by, b"")
            .handle(index)
            .with(&Tpm2bMaxNvBuffer::cut(&g.bytes(8)))
            .with(&0u16),
        5 => Command::new(0x14E)
            .auth(by, b"")
            .handle(index)
            .with(&8u16)
            .with(&0u16),
        6 => Command::new(0x122).auth(Handle::OWNER, b"").handle(index),
        _ => Command::new(0x169).handle(index),
    }
}

/// What Load takes of what Create gave: the private and the public area.
pub(super) fn loadable(parameters: &[u8]) -> Option<Vec<u8>> {
    let mut r = crate::wire::Reader::new(parameters);
    let private: crate::wire::Tpm2bPrivate = r.read().ok()?;
    let public: Optional2b<Public> = r.read().ok()?;
    let mut out = private.to_bytes();
    public.marshal(&mut out);
    Some(out)
}
