//! Whether the sessions of a command authorize it (Part 1, 16 and 17; Part 3,
//! 5.5 and 5.6).

use crate::command::hash::cp_hash;
use crate::command::policy::check_policy;
use crate::command::sessions::{UsedSession, position};
use crate::command::{CommandSpec, Role};
use crate::crypto::hash::Digest;
use crate::crypto::hmac::{Hmac, ct_eq};
use crate::da;
use crate::platform::Platform;
use crate::rc::{Rc, Result};
use crate::session::{Session, SessionType};
use crate::state::State;
use crate::wire::{
    Handle, HandleType, NvAttributes, ObjectAttributes, SessionAttributes, Tpm2bAuth, Tpm2bDigest,
    Tpm2bName, strip_trailing_zeros,
};
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// One command whose sessions are checked.
pub(crate) struct Request<'a> {
    pub(crate) spec: &'static CommandSpec,
    pub(crate) locality: u8,
    pub(crate) names: &'a [Tpm2bName],
    pub(crate) sessions: &'a [UsedSession],
    /// As received, the first parameter maybe encrypted.
    pub(crate) parameters: &'a [u8],
}

/// Checks every session of a command. A failed authorization is counted.
pub(crate) fn check_all(
    state: &mut State,
    platform: &mut dyn Platform,
    request: &Request<'_>,
) -> Result<()> {
    for index in 0..request.sessions.len() {
        check_one(state, platform, request, index).map_err(|rc| rc.session(index + 1))?;
    }
    Ok(())
}

/// Whether the platform's authorization of a command needs physical presence.
fn needs_presence(state: &State, spec: &CommandSpec) -> bool {
    spec.flags.pp_always || state.hierarchies.pp_commands.contains(&spec.code)
}

fn check_one(
    state: &mut State,
    platform: &mut dyn Platform,
    request: &Request<'_>,
    index: usize,
) -> Result<()> {
    let used = request.sessions.get(index).ok_or(Rc::FAILURE)?;
    let role = request
        .spec
        .handles
        .get(index)
        .and_then(|h| h.role)
        .filter(|_| used.associated.is_some());
    if used.associated == Some(Handle::PLATFORM)
        && needs_presence(state, request.spec)
        && !platform.physical_presence()
    {
        return Err(Rc::PP);
    }
    let session = if used.handle == Handle::PW {
        None
    } else {
        Some(state.session(used.handle)?.clone())
    };
    if session
        .as_ref()
        .is_some_and(|s| s.kind == SessionType::Trial)
        && used.associated.is_some()
    {
        return Err(Rc::ATTRIBUTES);
    }
    let policy = session.as_ref().filter(|s| s.is_policy());
    // Every use of a session that is bound to a protected entity tries that
    // entity's auth value.
    if let Some(bound) = session.as_ref().and_then(protected_bind) {
        da::check(state, bound)?;
        if !platform.nv_available() {
            return Err(Rc::NV_UNAVAILABLE);
        }
    }
    let mut tried = None;
    if let Some(h) = used.associated {
        let uses_auth = match (&session, policy) {
            (_, Some(p)) => p.policy.auth_value_needed || p.policy.password_needed,
            (Some(s), None) => !is_bound_to(state, s, h),
            (None, None) => true,
        };
        if uses_auth && !state.is_da_exempt(h) {
            da::check(state, h)?;
            // A failure that could not be stored would not count.
            if !platform.nv_available() {
                return Err(Rc::NV_UNAVAILABLE);
            }
            tried = Some(h);
        }
        if let Some(p) = policy {
            if !policy_available(state, h, request.spec, role) {
                return Err(Rc::AUTH_UNAVAILABLE);
            }
            check_policy(state, platform, request, p, h, role)?;
        } else {
            if policy_required(state, h, role) {
                return Err(Rc::AUTH_TYPE);
            }
            if !auth_available(state, h, request.spec, role) {
                return Err(Rc::AUTH_UNAVAILABLE);
            }
        }
    }
    let good = match &session {
        None => password_matches(state, used),
        Some(s) if s.is_policy() && s.policy.password_needed && used.associated.is_some() => {
            password_matches(state, used)
        }
        Some(s) => hmac_matches(state, request, index, s),
    };
    if let Some(h) = used.associated
        && role == Some(Role::User)
        && policy.is_none_or(|p| p.policy.password_needed || p.policy.auth_value_needed)
    {
        crate::nv::count_pin(state, h, good);
    }
    if good {
        Ok(())
    } else {
        // A bound lockout goes before all else.
        let counted = session.as_ref().and_then(protected_bind).or(tried);
        Err(failed(state, platform, counted))
    }
}

/// Counts a failed authorization of a protected entity; TPM_RC_AUTH_FAIL if it
/// counted, else TPM_RC_BAD_AUTH.
fn failed(state: &mut State, platform: &mut dyn Platform, counted: Option<Handle>) -> Rc {
    let Some(h) = counted else {
        return Rc::BAD_AUTH;
    };
    let now = state.volatile.time(platform.now_ms());
    da::register_failure(state, h, now);
    Rc::AUTH_FAIL
}

/// What a session is bound to, as far as dictionary attacks are concerned:
/// the lockout, any other protected entity (for which TPM_RH_NULL stands), or
/// nothing that is protected.
fn protected_bind(session: &Session) -> Option<Handle> {
    if session.bound_lockout {
        Some(Handle::LOCKOUT)
    } else {
        session.bound_da.then_some(Handle::NULL)
    }
}

fn password_matches(state: &State, used: &UsedSession) -> bool {
    let Some(h) = used.associated else {
        return false;
    };
    ct_eq(&state.auth_value_of(h), strip_trailing_zeros(&used.auth))
}

fn hmac_matches(state: &State, request: &Request<'_>, index: usize, session: &Session) -> bool {
    let Some(used) = request.sessions.get(index) else {
        return false;
    };
    let key = hmac_key(state, used, session);
    // With an empty key anyone could compute it, so it may be left out
    // (Part 1, 16.6.16).
    if key.is_empty() && used.auth.is_empty() {
        return true;
    }
    let hash = cp_hash(
        session.hash,
        request.spec.code,
        request.names,
        request.parameters,
    );
    let mut extra: Vec<&[u8]> = Vec::new();
    if index == 0 {
        // The first session vouches for the nonces of the others that encrypt.
        let decrypt = position(request.sessions, SessionAttributes::DECRYPT);
        let encrypt =
            position(request.sessions, SessionAttributes::ENCRYPT).filter(|&e| Some(e) != decrypt);
        for other in [decrypt, encrypt].into_iter().flatten().filter(|&i| i != 0) {
            if let Some(s) = request
                .sessions
                .get(other)
                .and_then(|u| state.session(u.handle).ok())
            {
                extra.push(&s.nonce_tpm);
            }
        }
    }
    let mac = mac(
        session,
        &key,
        &hash,
        &used.nonce_caller,
        &session.nonce_tpm,
        &extra,
        used.attributes,
    );
    ct_eq(&mac, &used.auth)
}

/// HMAC(key, pHash ‖ nonceNewer ‖ nonceOlder ‖ other nonces ‖ attributes).
pub(crate) fn mac(
    session: &Session,
    key: &[u8],
    p_hash: &Digest,
    newer: &[u8],
    older: &[u8],
    extra: &[&[u8]],
    attributes: SessionAttributes,
) -> Digest {
    let mut h = Hmac::new(session.hash, key);
    h.update(p_hash);
    h.update(newer);
    h.update(older);
    for nonce in extra {
        h.update(nonce);
    }
    h.update(&[attributes.0]);
    h.finalize()
}

/// sessionKey ‖ authValue, the latter as far as the session's HMAC has it.
pub(crate) fn hmac_key(state: &State, used: &UsedSession, session: &Session) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(session.key.to_vec());
    if let Some(h) = used.associated {
        let with_auth = if session.is_policy() {
            session.policy.auth_value_needed
        } else {
            !is_bound_to(state, session, h)
        };
        if with_auth {
            key.extend_from_slice(&auth_value(state, used, h));
        }
    }
    key
}

fn auth_value(state: &State, used: &UsedSession, h: Handle) -> Tpm2bAuth {
    let departed = used.departed.clone();
    departed.unwrap_or_else(|| state.auth_value_of(h))
}

/// What identifies an entity with its present auth value, for binding.
pub(crate) fn bind_value(state: &State, h: Handle) -> Tpm2bDigest {
    let name = state.name_of(h);
    let auth = state.auth_value_of(h);
    let len = [u8::try_from(name.len()).unwrap_or(u8::MAX)];
    Tpm2bDigest::from(crate::crypto::hash::HashAlg::Sha256.digest(&[&len, &name, &auth]))
}

fn is_bound_to(state: &State, session: &Session, h: Handle) -> bool {
    !session.bound.is_empty() && ct_eq(&session.bound, &bind_value(state, h))
}

/// Whether only a policy can authorize.
fn policy_required(state: &State, h: Handle, role: Option<Role>) -> bool {
    match role {
        Some(Role::Dup) => true,
        Some(Role::Admin) => match h.kind() {
            HandleType::NvIndex => true,
            HandleType::Transient | HandleType::Persistent => state
                .object(h)
                .is_ok_and(|o| o.has(ObjectAttributes::ADMIN_WITH_POLICY)),
            _ => false,
        },
        _ => {
            h.kind() == HandleType::Pcr
                && crate::chapters::pcr::policy(state, h).is_some_and(|p| p.alg.is_some())
        }
    }
}

/// Whether the auth value can authorize.
fn auth_available(state: &State, h: Handle, spec: &CommandSpec, role: Option<Role>) -> bool {
    match h.kind() {
        HandleType::Transient | HandleType::Persistent => {
            if state.sequence(h).is_ok() {
                return true;
            }
            let Ok(o) = state.object(h) else { return false };
            match role {
                _ if o.sensitive.is_none() => false,
                Some(Role::Admin) => !o.has(ObjectAttributes::ADMIN_WITH_POLICY),
                _ => o.has(ObjectAttributes::USER_WITH_AUTH),
            }
        }
        HandleType::NvIndex => {
            let wanted = if spec.flags.nv_write {
                NvAttributes::AUTH_WRITE
            } else {
                NvAttributes::AUTH_READ
            };
            state
                .nv
                .get(h)
                .is_some_and(|nv| nv.has(wanted) && crate::nv::pin_usable(nv))
        }
        _ => true,
    }
}

/// Whether a policy can authorize.
fn policy_available(state: &State, h: Handle, spec: &CommandSpec, role: Option<Role>) -> bool {
    if state.policy_of(h).is_none() {
        return false;
    }
    match h.kind() {
        HandleType::NvIndex if role != Some(Role::Admin) => {
            let wanted = if spec.flags.nv_write {
                NvAttributes::POLICY_WRITE
            } else if spec.flags.nv_read {
                NvAttributes::POLICY_READ
            } else {
                NvAttributes(0)
            };
            state.nv.get(h).is_some_and(|nv| nv.has(wanted))
        }
        HandleType::Transient | HandleType::Persistent => {
            state.object(h).is_ok_and(|o| o.sensitive.is_some())
        }
        _ => true,
    }
}

/// The auth value that the encryption of parameters uses with a session.
pub(crate) fn crypt_auth(state: &State, used: &UsedSession) -> Tpm2bAuth {
    used.associated
        .map_or_else(Tpm2bAuth::empty, |h| auth_value(state, used, h))
}
