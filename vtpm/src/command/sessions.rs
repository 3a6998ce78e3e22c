//! The session area of a command (Part 1, 16.9 and Part 3, 5.4).

use crate::command::CommandSpec;
use crate::limits::MAX_SESSION_NUM;
use crate::rc::{Rc, Result};
use crate::state::State;
use crate::wire::{
    Handle, HandleKind, Reader, SessionAttributes, ShAuthSession, SymDef, Tpm2bAuth, Tpm2bNonce,
};
use alloc::vec::Vec;

/// A session as a command uses it.
#[derive(Clone, Debug)]
pub struct UsedSession {
    /// Handle, or TPM_RS_PW.
    pub handle: Handle,
    /// Attributes of this use.
    pub attributes: SessionAttributes,
    /// The caller's nonce.
    pub nonce_caller: Tpm2bNonce,
    /// HMAC or password.
    pub auth: Tpm2bAuth,
    /// The handle that it authorizes.
    pub associated: Option<Handle>,
    /// The auth value of what it authorized, if the command took that away:
    /// the response is authenticated with it all the same.
    pub departed: Option<Tpm2bAuth>,
}

impl UsedSession {
    /// Whether the session has an attribute.
    #[must_use]
    pub fn has(&self, a: SessionAttributes) -> bool {
        self.attributes.has(a)
    }
}

/// The index of the session with an attribute.
pub(crate) fn position(sessions: &[UsedSession], a: SessionAttributes) -> Option<usize> {
    sessions.iter().position(|s| s.has(a))
}

/// Reads the sessions of a command and checks what can be checked without
/// their keys.
pub(crate) fn read(
    state: &State,
    spec: &CommandSpec,
    handles: &[Handle],
    area: &[u8],
) -> Result<Vec<UsedSession>> {
    let mut r = Reader::new(area);
    let mut sessions: Vec<UsedSession> = Vec::new();
    while !r.is_empty() {
        if sessions.len() == MAX_SESSION_NUM {
            return Err(Rc::AUTHSIZE);
        }
        let number = sessions.len() + 1;
        let session = read_one(state, &mut r, &sessions).map_err(|rc| rc.session(number))?;
        sessions.push(session);
    }
    if spec.flags.no_sessions {
        return Err(Rc::AUTH_CONTEXT);
    }
    for (index, session) in sessions.iter_mut().enumerate() {
        let number = index + 1;
        if index < spec.auth_handles() {
            session.associated = handles.get(index).copied();
        } else {
            // A session that authorizes nothing has to do something else.
            let works = SessionAttributes::DECRYPT
                .with(SessionAttributes::ENCRYPT)
                .with(SessionAttributes::AUDIT);
            if session.handle == Handle::PW {
                return Err(Rc::HANDLE.session(number));
            }
            if !session.attributes.has_any(works) {
                return Err(Rc::ATTRIBUTES.session(number));
            }
        }
        if session.has(SessionAttributes::DECRYPT) && !spec.decrypts()
            || session.has(SessionAttributes::ENCRYPT) && !spec.encrypts()
        {
            return Err(Rc::ATTRIBUTES.session(number));
        }
    }
    if sessions.len() < spec.auth_handles() {
        return Err(Rc::AUTH_MISSING);
    }
    Ok(sessions)
}

fn read_one(state: &State, r: &mut Reader<'_>, before: &[UsedSession]) -> Result<UsedSession> {
    let handle: Handle = r.read()?;
    ShAuthSession::check(handle)?;
    if handle.is_session() && state.session(handle).is_err() {
        return Err(Rc::reference_session(before.len()));
    }
    let session = UsedSession {
        handle,
        nonce_caller: r.read()?,
        attributes: r.read()?,
        auth: r.read()?,
        associated: None,
        departed: None,
    };
    let attributes = session.attributes;
    if handle == Handle::PW {
        let others = SessionAttributes(!SessionAttributes::CONTINUE_SESSION.0);
        if attributes.has_any(others) {
            return Err(Rc::ATTRIBUTES);
        }
        if !session.nonce_caller.is_empty() {
            return Err(Rc::NONCE);
        }
        return Ok(session);
    }
    if before.iter().any(|s| s.handle == handle) {
        return Err(Rc::HANDLE);
    }
    for once in [
        SessionAttributes::DECRYPT,
        SessionAttributes::ENCRYPT,
        SessionAttributes::AUDIT,
    ] {
        if attributes.has(once) && position(before, once).is_some() {
            return Err(Rc::ATTRIBUTES);
        }
    }
    let crypts = SessionAttributes::DECRYPT.with(SessionAttributes::ENCRYPT);
    if attributes.has_any(crypts) && state.session(handle)?.symmetric == SymDef::Null {
        return Err(Rc::SYMMETRIC);
    }
    let audit_bits = SessionAttributes::AUDIT_EXCLUSIVE.with(SessionAttributes::AUDIT_RESET);
    if attributes.has_any(audit_bits) && !attributes.has(SessionAttributes::AUDIT) {
        return Err(Rc::ATTRIBUTES);
    }
    Ok(session)
}
