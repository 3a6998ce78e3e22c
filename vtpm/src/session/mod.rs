//! Authorization sessions (Part 1, 17).

pub mod crypt;
pub mod policy;

pub use policy::{Bound, PolicyState};

use crate::crypto::hash::HashAlg;
use crate::rc::{Rc, Result};
use crate::wire::{
    Handle, HandleType, Marshal, Reader, SymDef, Tpm2bDigest, Tpm2bNonce, Unmarshal, Writer,
};

/// TPM_SE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionType {
    /// An HMAC session.
    Hmac,
    /// A policy session.
    Policy,
    /// A policy session that computes a digest and authorizes nothing.
    Trial,
}

impl Unmarshal for SessionType {
    fn unmarshal(r: &mut Reader<'_>) -> Result<Self> {
        match r.read::<u8>()? {
            0 => Ok(SessionType::Hmac),
            1 => Ok(SessionType::Policy),
            3 => Ok(SessionType::Trial),
            _ => Err(Rc::VALUE),
        }
    }
}

impl Marshal for SessionType {
    fn marshal(&self, out: &mut Writer) {
        match self {
            SessionType::Hmac => 0u8,
            SessionType::Policy => 1,
            SessionType::Trial => 3,
        }
        .marshal(out);
    }
}

crate::state_struct! {
    /// A session.
    pub struct Session {
        /// Its type.
        pub kind: SessionType,
        /// Hash algorithm of its HMACs and of its policy.
        pub hash: HashAlg,
        /// How it encrypts parameters.
        pub symmetric: SymDef,
        /// Session key; empty for a session neither salted nor bound.
        pub key: Tpm2bDigest,
        /// The TPM's last nonce.
        pub nonce_tpm: Tpm2bNonce,
        /// Digest of the entity that the session is bound to, or empty.
        pub bound: Tpm2bDigest,
        /// Whether the bound entity is protected against dictionary attacks.
        pub bound_da: bool,
        /// Whether it is bound to the lockout authorization.
        pub bound_lockout: bool,
        /// Audit digest; empty while the session audits nothing.
        pub audit: Tpm2bDigest,
        /// Policy, for a policy or trial session.
        pub policy: PolicyState,
    }
}

impl Session {
    /// Whether it is a policy or trial session.
    #[must_use]
    pub fn is_policy(&self) -> bool {
        self.kind != SessionType::Hmac
    }
}

/// The handle of session number `n` of a type.
#[must_use]
pub fn session_handle(kind: SessionType, n: u32) -> Handle {
    match kind {
        SessionType::Hmac => Handle(Handle::HMAC_SESSION_FIRST | n),
        SessionType::Policy | SessionType::Trial => Handle(Handle::POLICY_SESSION_FIRST | n),
    }
}

/// The number in a session's handle.
#[must_use]
pub fn session_number(h: Handle) -> Option<usize> {
    matches!(
        h.kind(),
        HandleType::HmacSession | HandleType::PolicySession
    )
    .then_some(usize::try_from(h.0 & 0x00FF_FFFF).ok()?)
}

#[cfg(any(test, feature = "sample"))]
impl crate::wire::sample::Sample for SessionType {
    fn sample(g: &mut crate::wire::sample::Gen) -> Self {
        g.pick(&[SessionType::Hmac, SessionType::Policy, SessionType::Trial])
    }
}
