//! Policies by somebody's word: a signature, a secret, their tickets, and
//! policies that a key approved.

use super::authority::{sign, signing_key};
use super::parts::*;
use crate::session::SessionType;
use crate::testing::Command;
use crate::testing::fuzz::Fuzz;
use crate::wire::{
    Handle, Marshal, Reader, Scheme, TkAuth, TkVerified, Tpm2bDigest, Tpm2bName, Tpm2bNonce,
    Tpm2bTimeout,
};

const REFERENCE: &[u8] = b"reference";
/// Seconds; below zero, so that a ticket is made.
const EXPIRATION: i32 = -1000;

/// Sign, VerifySignature, PolicyAuthorize.
pub(super) fn approved(f: &mut Fuzz) -> Option<()> {
    // Of a hierarchy, since the NULL hierarchy has no such tickets.
    let key = primary(f, &ecc(SIGN, NONE, Scheme::EcDsa(HASH)))?;
    let name = read_public(f, key)?.1;
    let policy = policy_of(0x15E);
    let reference = Tpm2bNonce::cut(REFERENCE);
    let digest = HASH.digest(&[&policy, &reference]);
    let signature = sign(f, key, &digest, Scheme::Null)?;
    let verify = Command::new(0x177)
        .handle(key)
        .with(&Tpm2bDigest::cut(&digest))
        .with(&signature);
    let ticket: TkVerified = f.first(&verify)?;
    let session = policy_session(f, 0x15E)?;
    let command = Command::new(0x16A)
        .handle(session)
        .with(&policy)
        .with(&reference)
        .with(&name)
        .with(&ticket);
    f.ask(&command).map(|_| ())
}

/// PolicySigned, PolicyTicket.
pub(super) fn signed(f: &mut Fuzz) -> Option<()> {
    let (key, scheme) = signing_key(f)?;
    let name = read_public(f, key)?.1;
    let digest = HASH.digest(&[&EXPIRATION.to_be_bytes(), REFERENCE]);
    let signature = sign(f, key, &digest, scheme)?;
    let session = session(f, SessionType::Policy)?;
    let command = Command::new(0x160)
        .handle(key)
        .handle(session)
        .with(&Tpm2bNonce::empty())
        .with(&Tpm2bDigest::empty())
        .with(&Tpm2bNonce::cut(REFERENCE))
        .with(&EXPIRATION)
        .with(&signature);
    ticket(f, &command, &name)
}

/// PolicySecret, PolicyTicket.
pub(super) fn secret(f: &mut Fuzz) -> Option<()> {
    let session = session(f, SessionType::Policy)?;
    let authority = hierarchy(f);
    let command = Command::new(0x151)
        .auth(authority, b"")
        .handle(session)
        .with(&Tpm2bNonce::empty())
        .with(&Tpm2bDigest::empty())
        .with(&Tpm2bNonce::cut(REFERENCE))
        .with(&EXPIRATION);
    ticket(f, &command, &Tpm2bName::cut(&authority.to_bytes()))
}

/// An authorization, and a second session that takes its ticket.
fn ticket(f: &mut Fuzz, authorization: &Command, name: &Tpm2bName) -> Option<()> {
    let given = f.ask(authorization)?;
    let mut r = Reader::new(&given.parameters);
    let (timeout, ticket): (Tpm2bTimeout, TkAuth) = (r.read().ok()?, r.read().ok()?);
    let session: Handle = session(f, SessionType::Policy)?;
    let command = Command::new(0x172)
        .handle(session)
        .with(&timeout)
        .with(&Tpm2bDigest::empty())
        .with(&Tpm2bNonce::cut(REFERENCE))
        .with(name)
        .with(&ticket);
    f.ask(&command).map(|_| ())
}
