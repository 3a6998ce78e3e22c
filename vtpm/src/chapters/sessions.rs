//! Session commands (Part 3, 11).

use crate::command::Action;
use crate::command::auth::bind_value;
use crate::context::Context;
use crate::crypto::hash::HashAlg;
use crate::crypto::kdf::kdfa;
use crate::crypto::sym::Mode;
use crate::limits::MAX_LOADED_SESSIONS;
use crate::object::secret::{self, label};
use crate::rc::{Rc, Result};
use crate::session::{PolicyState, Session, SessionType, session_handle, session_number};
use crate::state::State;
use crate::state::reset::ContextSlot;
use crate::wire::{
    Handle, ObjectAttributes, SymDef, Tpm2bDigest, Tpm2bEncryptedSecret, Tpm2bNonce,
};
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// Fewest bytes of a nonce.
const MIN_NONCE: usize = 16;

crate::commands! {
    /// TPM2_StartAuthSession (Part 3, 11.1).
    StartAuthSession = 0x176 [] {
        handles { tpm_key: DhObjectOrNull, bind: DhEntityOrNull }
        parameters {
            nonce_caller: Tpm2bNonce,
            encrypted_salt: Tpm2bEncryptedSecret,
            session_type: SessionType,
            symmetric: SymDef,
            auth_hash: HashAlg,
        }
        response StartAuthSessionResponse [session_handle] { nonce_tpm: Tpm2bNonce }
    }

    /// TPM2_PolicyRestart (Part 3, 11.2).
    PolicyRestart = 0x180 [] {
        handles { session_handle: ShPolicy }
        parameters {}
        response PolicyRestartResponse [] {}
    }
}

impl Action for StartAuthSession {
    type Response = StartAuthSessionResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<StartAuthSessionResponse> {
        let digest_size = self.auth_hash.digest_size();
        if !(MIN_NONCE..=digest_size).contains(&self.nonce_caller.len()) {
            return Err(Rc::SIZE.parameter(1));
        }
        if let SymDef::Aes(aes) = self.symmetric
            && aes.mode != Some(Mode::Cfb)
        {
            return Err(Rc::MODE.parameter(4));
        }
        if self.bind.is_object() {
            let readable = ctx.state.sequence(self.bind).is_ok()
                || ctx
                    .state
                    .object(self.bind)
                    .is_ok_and(|o| o.sensitive.is_some());
            if !readable {
                return Err(Rc::HANDLE.handle(2));
            }
        }
        let number = free_number(ctx.state)?;
        let salt = self.salt(ctx)?;

        let mut nonce_tpm = Tpm2bNonce::zeros(self.nonce_caller.len());
        ctx.random(nonce_tpm.as_mut_slice());
        let mut key = Tpm2bDigest::empty();
        if self.tpm_key != Handle::NULL || self.bind != Handle::NULL {
            let mut secret: Zeroizing<Vec<u8>> =
                Zeroizing::new(ctx.state.auth_value_of(self.bind).to_vec());
            secret.extend_from_slice(&salt);
            let bits = u32::try_from(digest_size * 8).unwrap_or(0);
            key = Tpm2bDigest::cut(&kdfa(
                self.auth_hash,
                &secret,
                b"ATH",
                &nonce_tpm,
                &self.nonce_caller,
                bits,
            ));
        }
        let is_bound = self.bind != Handle::NULL && self.session_type == SessionType::Hmac;
        let time = ctx.time();
        let state = &mut *ctx.state;
        let session = Session {
            kind: self.session_type,
            hash: self.auth_hash,
            symmetric: self.symmetric,
            key,
            nonce_tpm: nonce_tpm.clone(),
            bound: if is_bound {
                bind_value(state, self.bind)
            } else {
                Tpm2bDigest::empty()
            },
            bound_da: self.bind != Handle::NULL && !state.is_da_exempt(self.bind),
            bound_lockout: self.bind == Handle::LOCKOUT,
            audit: Tpm2bDigest::empty(),
            policy: PolicyState::new(self.auth_hash, time, state.volatile.time_epoch),
        };
        let h = session_handle(self.session_type, u32::try_from(number).unwrap_or(0));
        if let Some(slot) = state.reset.contexts.get_mut(number) {
            *slot = ContextSlot {
                state: ContextSlot::LOADED,
                saved_at: 0,
            };
        }
        state.volatile.sessions.insert(h.0, session);
        Ok(StartAuthSessionResponse {
            session_handle: h,
            nonce_tpm,
        })
    }
}

impl StartAuthSession {
    /// The salt that came encrypted to the key, or nothing.
    fn salt(&self, ctx: &mut Context<'_>) -> Result<Zeroizing<Vec<u8>>> {
        if self.tpm_key == Handle::NULL {
            if !self.encrypted_salt.is_empty() {
                return Err(Rc::VALUE.parameter(2));
            }
            return Ok(Zeroizing::new(Vec::new()));
        }
        let object = ctx.state.object(self.tpm_key).map_err(|rc| rc.handle(1))?;
        if !object.public.object_type().is_asymmetric() {
            return Err(Rc::KEY.handle(1));
        }
        if object.sensitive.is_none() {
            return Err(Rc::HANDLE.handle(1));
        }
        if !object.has(ObjectAttributes::DECRYPT) {
            return Err(Rc::ATTRIBUTES.handle(1));
        }
        ctx.state
            .prepare_rsa(self.tpm_key)
            .map_err(|rc| rc.handle(1))?;
        let mut rng = ctx.fork_rng();
        let object = ctx.state.object(self.tpm_key).map_err(|rc| rc.handle(1))?;
        secret::decrypt(object, label::SECRET, &self.encrypted_salt, &mut rng).map_err(
            |rc| match rc {
                Rc::SIZE | Rc::ECC_POINT => Rc::VALUE.parameter(2),
                other => other.parameter(2),
            },
        )
    }
}

/// A free number for a session, while there is room for one more.
fn free_number(state: &State) -> Result<usize> {
    if state.volatile.sessions.len() >= MAX_LOADED_SESSIONS {
        return Err(Rc::SESSION_MEMORY);
    }
    state
        .reset
        .contexts
        .iter()
        .position(|slot| slot.state == ContextSlot::FREE)
        .ok_or(Rc::SESSION_HANDLES)
}

impl Action for PolicyRestart {
    type Response = PolicyRestartResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyRestartResponse> {
        let time = ctx.time();
        let epoch = ctx.state.volatile.time_epoch;
        let session = ctx.state.session_mut(self.session_handle)?;
        session.policy = PolicyState::new(session.hash, time, epoch);
        Ok(PolicyRestartResponse {})
    }
}

/// Ends a session, loaded or saved.
pub fn flush(state: &mut State, h: Handle) {
    state.volatile.sessions.remove(&h.0);
    if let Some(slot) = session_number(h).and_then(|n| state.reset.contexts.get_mut(n)) {
        *slot = ContextSlot {
            state: ContextSlot::FREE,
            saved_at: 0,
        };
    }
    if state.volatile.exclusive_audit == Some(h) {
        state.volatile.exclusive_audit = None;
    }
}

/// Loaded sessions do not survive a loss of power; saved ones do.
pub(crate) fn on_startup(state: &mut State) {
    for slot in &mut state.reset.contexts {
        if slot.state == ContextSlot::LOADED {
            *slot = ContextSlot {
                state: ContextSlot::FREE,
                saved_at: 0,
            };
        }
    }
}
