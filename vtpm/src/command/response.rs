//! The session area of a response (Part 1, 16.10).

use crate::command::Output;
use crate::command::auth::{crypt_auth, hmac_key, mac};
use crate::command::hash::rp_hash;
use crate::command::sessions::{UsedSession, position};
use crate::crypto::rng::Random;
use crate::rc::{Rc, Result};
use crate::session::{PolicyState, crypt};
use crate::state::State;
use crate::wire::{Handle, Marshal, SessionAttributes, Tpm2bAuth, Tpm2bNonce, Writer};

/// Rolls the nonces of all sessions of the command.
pub(crate) fn roll_nonces(state: &mut State, sessions: &[UsedSession]) {
    for used in sessions {
        let len = match state.session(used.handle) {
            Ok(s) => s.nonce_tpm.len(),
            Err(_) => continue,
        };
        let mut nonce = Tpm2bNonce::zeros(len);
        state.volatile.rng.fill(nonce.as_mut_slice());
        if let Ok(s) = state.session_mut(used.handle) {
            s.nonce_tpm = nonce;
        }
    }
}

/// Encrypts the first response parameter, if a session wants it.
pub(crate) fn encrypt(state: &State, sessions: &[UsedSession], output: &mut Output) -> Result<()> {
    let Some(used) = position(sessions, SessionAttributes::ENCRYPT).and_then(|i| sessions.get(i))
    else {
        return Ok(());
    };
    let Ok(session) = state.session(used.handle) else {
        return Ok(());
    };
    let len = output
        .parameters
        .first_chunk::<2>()
        .map_or(0, |b| usize::from(u16::from_be_bytes(*b)));
    let data = output.parameters.get_mut(2..2 + len).ok_or(Rc::FAILURE)?;
    crypt::parameter(
        session,
        &crypt_auth(state, used),
        true,
        &session.nonce_tpm,
        &used.nonce_caller,
        data,
    )
}

/// Writes the sessions' answers; those that do not continue are flushed, and
/// policies start again.
pub(crate) fn finish(
    state: &mut State,
    code: u32,
    sessions: &[UsedSession],
    output: &Output,
    now: u64,
    out: &mut Writer,
) {
    for used in sessions {
        if used.handle == Handle::PW {
            Tpm2bNonce::empty().marshal(out);
            used.attributes
                .with(SessionAttributes::CONTINUE_SESSION)
                .marshal(out);
            Tpm2bAuth::empty().marshal(out);
            continue;
        }
        let Ok(session) = state.session(used.handle).cloned() else {
            // The action flushed it: the answer cannot be authenticated.
            Tpm2bNonce::empty().marshal(out);
            used.attributes.marshal(out);
            Tpm2bAuth::empty().marshal(out);
            continue;
        };
        let mut attributes = used.attributes;
        if attributes.has(SessionAttributes::AUDIT) {
            let exclusive = state.volatile.exclusive_audit == Some(used.handle);
            attributes = attributes.without(SessionAttributes::AUDIT_EXCLUSIVE);
            if exclusive {
                attributes = attributes.with(SessionAttributes::AUDIT_EXCLUSIVE);
            }
        }
        let key = hmac_key(state, used, &session);
        let silent =
            session.is_policy() && session.policy.password_needed && used.associated.is_some()
                || key.is_empty() && used.auth.is_empty();
        session.nonce_tpm.marshal(out);
        attributes.marshal(out);
        if silent {
            Tpm2bAuth::empty().marshal(out);
        } else {
            let hash = rp_hash(session.hash, code, &output.parameters);
            let extra: [&[u8]; 0] = [];
            let mac = mac(
                &session,
                &key,
                &hash,
                &session.nonce_tpm,
                &used.nonce_caller,
                &extra,
                attributes,
            );
            Tpm2bAuth::from(mac).marshal(out);
        }
        if used.has(SessionAttributes::CONTINUE_SESSION) {
            let epoch = state.volatile.time_epoch;
            if session.is_policy()
                && let Ok(s) = state.session_mut(used.handle)
            {
                s.policy = PolicyState::new(s.hash, now, epoch);
            }
        } else {
            crate::chapters::sessions::flush(state, used.handle);
        }
    }
}
