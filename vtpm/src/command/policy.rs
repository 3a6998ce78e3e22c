//! Whether a policy session fulfils a policy at the time of its use (Part 3,
//! 5.6, 8).

use crate::command::Role;
use crate::command::auth::Request;
use crate::command::hash::{cp_hash, name_hash, parameters_hash};
use crate::crypto::hash::{Digest, HashAlg};
use crate::crypto::hmac::ct_eq;
use crate::platform::Platform;
use crate::rc::{Rc, Result};
use crate::session::{Bound, Session};
use crate::state::State;
use crate::wire::{Handle, NvAttributes, Reader};

/// Whether the policy session fulfils the policy of an entity for this command.
pub(crate) fn check_policy(
    state: &State,
    platform: &mut dyn Platform,
    request: &Request<'_>,
    session: &Session,
    h: Handle,
    role: Option<Role>,
) -> Result<()> {
    let p = &session.policy;
    const POLICY_SECRET: u32 = 0x151;
    if request.spec.code == POLICY_SECRET && !p.password_needed && !p.auth_value_needed {
        return Err(Rc::MODE);
    }
    if p.pcr_counter != 0 && p.pcr_counter != u64::from(state.reset.pcr_counter) + 1 {
        return Err(Rc::PCR_CHANGED);
    }
    let (alg, digest) = state.policy_of(h).ok_or(Rc::POLICY_FAIL)?;
    if !ct_eq(&digest, &p.digest) || alg != session.hash {
        return Err(Rc::POLICY_FAIL);
    }
    if p.timeout != 0 {
        let now = state.volatile.time(platform.now_ms());
        if p.timeout < now || p.epoch != state.volatile.time_epoch {
            return Err(Rc::EXPIRED);
        }
    }
    if p.command_code != 0 {
        if p.command_code != request.spec.code {
            return Err(Rc::POLICY_CC);
        }
    } else if matches!(role, Some(Role::Admin | Role::Dup)) {
        return Err(Rc::POLICY_FAIL);
    }
    if p.locality.0 != 0 {
        let allowed = if p.locality.0 < 32 {
            request.locality < 5 && p.locality.0 & (1 << request.locality) != 0
        } else {
            p.locality.0 == request.locality
        };
        if !allowed {
            return Err(Rc::LOCALITY);
        }
    }
    if p.pp_required && !platform.physical_presence() {
        return Err(Rc::PP);
    }
    check_bound(request, session)?;
    if p.check_nv_written {
        let nv = state.nv.get(h).ok_or(Rc::POLICY_FAIL)?;
        if nv.has(NvAttributes::WRITTEN) != p.nv_written {
            return Err(Rc::POLICY_FAIL);
        }
    }
    Ok(())
}

fn check_bound(request: &Request<'_>, session: &Session) -> Result<()> {
    let (wanted, actual) = match &session.policy.bound {
        Bound::Nothing => return Ok(()),
        Bound::CpHash(d) => (
            d,
            cp_hash(
                session.hash,
                request.spec.code,
                request.names,
                request.parameters,
            ),
        ),
        Bound::NameHash(d) => (d, name_hash(session.hash, request.names)),
        Bound::Parameters(d) => (
            d,
            parameters_hash(session.hash, request.spec.code, request.parameters),
        ),
        Bound::Template(d) => (d, template_hash(session.hash, request)?),
    };
    if ct_eq(wanted, &actual) {
        Ok(())
    } else {
        Err(Rc::POLICY_FAIL)
    }
}

/// The digest of the template of a creating command: the contents of its second
/// parameter. The first may be encrypted, its size is not. Other commands have
/// no template (TPM_RC_POLICY_FAIL).
fn template_hash(alg: HashAlg, request: &Request<'_>) -> Result<Digest> {
    const CREATE_PRIMARY: u32 = 0x131;
    const CREATE: u32 = 0x153;
    const CREATE_LOADED: u32 = 0x191;
    if !matches!(request.spec.code, CREATE_PRIMARY | CREATE | CREATE_LOADED) {
        return Err(Rc::POLICY_FAIL);
    }
    let mut r = Reader::new(request.parameters);
    let mut next = || {
        let len = usize::from(r.read::<u16>()?);
        r.take(len)
    };
    let template = next().and_then(|_| next()).map_err(|_| Rc::POLICY_FAIL)?;
    Ok(alg.digest(&[template]))
}
