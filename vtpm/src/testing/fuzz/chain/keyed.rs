//! Sessions with keys: HMACs that hold over commands that are wrong, and
//! encrypted parameters.

use super::parts::{AES, DECRYPT, HASH, NONE, SIGN, ecc, flush, made_of, rsa_external};
use crate::crypto::hash::HashAlg;
use crate::session::SessionType;
use crate::testing::client::{self, ClientSession, Start, handle_name};
use crate::testing::fuzz::{Fuzz, alter};
use crate::testing::{Command, Response};
use crate::wire::{
    Handle, RsaDecrypt, Scheme, SessionAttributes as A, SymDef, Tpm2bData, Tpm2bPublicKeyRsa,
    Tpm2bSensitiveData,
};
use alloc::vec::Vec;

/// StartAuthSession, salted, bound or both, and commands under it.
pub(super) fn session(f: &mut Fuzz) -> Option<()> {
    let salt = [5; 32];
    let mut carried = Vec::new();
    let mut start = Start {
        kind: SessionType::Hmac,
        hash: f.g.pick(&[HashAlg::Sha1, HASH, HashAlg::Sha512]),
        symmetric: f
            .g
            .pick(&[AES.0.map_or(SymDef::Null, SymDef::Aes), SymDef::Xor(HASH)]),
        ..Start::default()
    };
    let key = match f.g.once_in(2) {
        true => Some(rsa_external(f, DECRYPT, Scheme::Oaep(HASH))?),
        false => None,
    };
    if let Some(key) = key {
        // The label ends in a zero, as OAEP wants it.
        let encrypt = Command::new(0x174)
            .handle(key)
            .with(&Tpm2bPublicKeyRsa::cut(&salt))
            .with(&RsaDecrypt(Scheme::Oaep(HASH)))
            .with(&Tpm2bData::cut(b"SECRET\0"));
        carried = f.first::<Tpm2bPublicKeyRsa>(&encrypt)?.to_vec();
    }
    start.salt = key.map(|key| (key, &salt[..], &carried[..]));
    if key.is_none() || f.g.once_in(2) {
        start.bind = Handle::OWNER;
    }
    let begun = f.ask(&start.command())?;
    let mut session = start.begun(&begun).ok()?;
    for _ in 0..1 + f.g.below(3) {
        one(f, &mut session)?;
    }
    Some(())
}

/// A command whose parameters may be encrypted.
fn one(f: &mut Fuzz, session: &mut ClientSession) -> Option<()> {
    let owner = [handle_name(Handle::OWNER)];
    let len = f.g.below(100);
    let (command, names, may): (Command, &[Vec<u8>], u8) = match f.g.below(3) {
        0 => (
            Command::new(0x17B).with(&16u16),
            &[],
            A::ENCRYPT.0 | A::AUDIT.0,
        ),
        1 => (
            Command::new(0x146).with(&Tpm2bSensitiveData::cut(&f.g.bytes(len))),
            &[],
            A::DECRYPT.0 | A::AUDIT.0,
        ),
        _ => {
            // Its answer is a key, for which there must be room.
            for h in f.tpm.live_handles() {
                if h >> 24 == 0x80 {
                    flush(f, Handle(h))?;
                }
            }
            let template = ecc(SIGN, NONE, Scheme::EcDsa(HASH));
            let command = Command::new(0x131).handle(Handle::OWNER);
            let both = A::DECRYPT.0 | A::ENCRYPT.0;
            (made_of(command, &template, b""), &owner, both | A::AUDIT.0)
        }
    };
    let mut attributes = A::CONTINUE_SESSION.0 | (f.g.bits() as u8 & may);
    // A session is there for something.
    if attributes == A::CONTINUE_SESSION.0 && names.is_empty() {
        attributes |= A::AUDIT.0;
    }
    session.attributes = A(attributes);
    under(f, &command, names, session).map(|_| ())
}

/// Sends a command under a session, perhaps after some that are almost the
/// same, with HMACs that hold.
fn under(
    f: &mut Fuzz,
    command: &Command,
    names: &[Vec<u8>],
    session: &mut ClientSession,
) -> Option<Response> {
    let tries = if f.near { f.g.below(4) } else { 0 };
    for _ in 0..tries {
        let mut near = command.clone();
        alter(&mut f.g, &mut near.parameters);
        sealed(f, &near, names, session);
    }
    sealed(f, command, names, session)
}

fn sealed(
    f: &mut Fuzz,
    command: &Command,
    names: &[Vec<u8>],
    session: &mut ClientSession,
) -> Option<Response> {
    let sessions = core::slice::from_mut(session);
    let (sealed, nonces) = client::seal(command, names, sessions);
    let response = f.ask(&sealed)?;
    Some(client::open(response, command.code, &nonces, sessions))
}
