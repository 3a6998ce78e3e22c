//! Data under keys and in sequences, and auth values that change.

use super::parts::*;
use crate::crypto::sym::Mode;
use crate::testing::Command;
use crate::testing::fuzz::Fuzz;
use crate::wire::{
    Aes, Handle, KeyedHashScheme, NvAttributes, NvPublic, PublicParams, Reader, RhNvIndex, Scheme,
    SigScheme, Sized2b, SymDefObject, Tpm2bAuth, Tpm2bData, Tpm2bDigest, Tpm2bIv, Tpm2bMaxBuffer,
    Tpm2bMaxNvBuffer, Tpm2bPrivate, Tpm2bPublic, id,
};

/// EncryptDecrypt and EncryptDecrypt2, there and back.
pub(super) fn symmetric(f: &mut Fuzz) -> Option<()> {
    let mode =
        f.g.pick(&[Mode::Cfb, Mode::Ctr, Mode::Ofb, Mode::Cbc, Mode::Ecb]);
    let aes = Aes {
        key_bits: f.g.pick(&[128, 256]),
        mode: Some(mode),
    };
    let params = PublicParams::SymCipher {
        symmetric: SymDefObject(Some(aes)),
    };
    let key = primary(f, &public(FIXED | SIGN | DECRYPT, params))?;
    let blocks = 1 + f.g.below(20);
    let message = Tpm2bMaxBuffer::cut(&f.g.bytes(16 * blocks));
    let iv = match mode {
        Mode::Ecb => Tpm2bIv::empty(),
        _ => Tpm2bIv::cut(&[2; 16]),
    };
    let mut data = message.clone();
    for decrypt in [false, true] {
        let command = if f.g.once_in(2) {
            let command = Command::new(0x164).auth(key, b"").with(&decrypt);
            command.with(&id::NULL).with(&iv).with(&data)
        } else {
            let command = Command::new(0x193).auth(key, b"").with(&data);
            command.with(&decrypt).with(&id::NULL).with(&iv)
        };
        data = f.first(&command)?;
    }
    assert_eq!(data, message, "a message comes out as it went in");
    Some(())
}

/// HMAC_Start or HashSequenceStart, SequenceUpdate, SequenceComplete or, for an
/// event, EventSequenceComplete.
pub(super) fn sequence(f: &mut Fuzz) -> Option<()> {
    let kind = f.g.below(3);
    let start = if kind == 0 {
        let params = PublicParams::KeyedHash {
            scheme: KeyedHashScheme(Scheme::Hmac(HASH)),
        };
        let key = primary(f, &public(FIXED | SIGN, params))?;
        Command::new(0x15B).auth(key, b"")
    } else {
        Command::new(0x186)
    };
    let alg = if kind == 1 { HASH.id() } else { id::NULL };
    let auth = Tpm2bAuth::cut(b"sequence");
    let sequence = f.ask(&start.with(&auth).with(&alg))?.handle?;
    let len = f.g.below(1000);
    let data = Tpm2bMaxBuffer::cut(&f.g.bytes(len));
    for _ in 0..f.g.below(3) {
        f.ask(&Command::new(0x15C).auth(sequence, &auth).with(&data))?;
    }
    if kind == 2 {
        let pcr = f.g.pick(&[Handle(16), Handle(23), Handle::NULL]);
        let command = Command::new(0x185).auth(pcr, b"").auth(sequence, &auth);
        return f.ask(&command.with(&data)).map(|_| ());
    }
    let command = Command::new(0x13E).auth(sequence, &auth).with(&data);
    f.ask(&command.with(&Handle::OWNER)).map(|_| ())
}

/// ObjectChangeAuth, and what it gave loaded.
pub(super) fn object_auth(f: &mut Fuzz) -> Option<()> {
    let parent = storage_key(f)?;
    let template = signing_child(f, parent)?;
    let made = f.ask(&made_of(
        Command::new(0x153).auth(parent, b""),
        &template,
        b"",
    ))?;
    let mut r = Reader::new(&made.parameters);
    let (private, public): (Tpm2bPrivate, Tpm2bPublic) = (r.read().ok()?, r.read().ok()?);
    let object = load(f, parent, &private, &public.0)?;
    let change = Command::new(0x150)
        .auth(object, b"")
        .handle(parent)
        .with(&Tpm2bAuth::cut(b"new"));
    let private: Tpm2bPrivate = f.first(&change)?;
    flush(f, object)?;
    let object = load(f, parent, &private, &public.0)?;
    let sign = Command::new(0x15D)
        .auth(object, b"new")
        .with(&Tpm2bDigest::cut(&[3; 32]))
        .with(&SigScheme(Scheme::Null))
        .with(&crate::wire::st::HASHCHECK)
        .with(&Handle::NULL)
        .with(&Tpm2bDigest::empty());
    f.ask(&sign).map(|_| ())
}

/// NV_DefineSpace, NV_Write, NV_Certify, NV_UndefineSpace.
pub(super) fn nv_certify(f: &mut Fuzz) -> Option<()> {
    let index = Handle(Handle::NV_FIRST | 0x20);
    let public = NvPublic {
        index: RhNvIndex(index),
        name_alg: HASH,
        attributes: NvAttributes(0x0006_0006),
        auth_policy: Tpm2bDigest::empty(),
        data_size: 100,
    };
    // It may be there from an earlier chain that did not end.
    if !f.tpm.live_handles().contains(&index.0) {
        let define = Command::new(0x12A).auth(Handle::OWNER, b"");
        let define = define.with(&Tpm2bAuth::empty());
        f.ask(&define.with(&Sized2b(public)))?;
    }
    let data = Tpm2bMaxNvBuffer::cut(&f.g.bytes(100));
    let write = Command::new(0x137).auth(index, b"").handle(index);
    f.ask(&write.with(&data).with(&0u16))?;
    let signer = match f.g.once_in(2) {
        true => Handle::NULL,
        false => primary(f, &ecc(SIGN, NONE, Scheme::EcDsa(HASH)))?,
    };
    // A size of nothing asks for a digest, by the hash algorithm of the scheme.
    let size = f.g.pick(&[100u16, 0, 10]);
    let certify = Command::new(0x184)
        .auth(signer, b"")
        .auth(index, b"")
        .handle(index)
        .with(&Tpm2bData::empty())
        .with(&SigScheme(Scheme::EcDsa(HASH)));
    f.ask(&certify.with(&size).with(&0u16))?;
    let undefine = Command::new(0x122).auth(Handle::OWNER, b"");
    f.ask(&undefine.handle(index)).map(|_| ())
}
