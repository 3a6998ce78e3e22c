//! Enhanced authorization by somebody's word (Part 3, 23.3 to 23.5):
//! a signature, a secret, or a ticket of either.

use crate::chapters::policy::{extend_by, is_trial};
use crate::command::Action;
use crate::context::Context;
use crate::crypto::hmac::ct_eq;
use crate::rc::{Rc, Result};
use crate::session::{Bound, Session};
use crate::state::State;
use crate::ticket;
use crate::wire::{
    Handle, Marshal, RhHierarchy, Signature, Ticket, TkAuth, Tpm2bDigest, Tpm2bName, Tpm2bNonce,
    Tpm2bTimeout, st,
};

crate::commands! {
    /// TPM2_PolicySigned (Part 3, 23.3).
    PolicySigned = 0x160 [] {
        handles { auth_object: DhObject, policy_session: ShPolicy }
        parameters {
            nonce_tpm: Tpm2bNonce,
            cp_hash_a: Tpm2bDigest,
            policy_ref: Tpm2bNonce,
            expiration: i32,
            auth: Signature,
        }
        response PolicySignedResponse [] { timeout: Tpm2bTimeout, policy_ticket: TkAuth }
    }

    /// TPM2_PolicySecret (Part 3, 23.4).
    PolicySecret = 0x151 [] {
        handles { auth_handle: DhEntity as User, policy_session: ShPolicy }
        parameters {
            nonce_tpm: Tpm2bNonce,
            cp_hash_a: Tpm2bDigest,
            policy_ref: Tpm2bNonce,
            expiration: i32,
        }
        response PolicySecretResponse [] { timeout: Tpm2bTimeout, policy_ticket: TkAuth }
    }

    /// TPM2_PolicyTicket (Part 3, 23.5).
    PolicyTicket = 0x172 [] {
        handles { policy_session: ShPolicy }
        parameters {
            timeout: Tpm2bTimeout,
            cp_hash_a: Tpm2bDigest,
            policy_ref: Tpm2bNonce,
            auth_name: Tpm2bName,
            ticket: TkAuth,
        }
        response PolicyTicketResponse [] {}
    }
}

const POLICY_SIGNED: u32 = 0x160;
const POLICY_SECRET: u32 = 0x151;

/// In a ticket's timeout: it ends with the next reset, because no nonce ties
/// it to a session.
const EXPIRES_ON_RESET: u64 = 1 << 63;

/// What an authorization says besides who gave it.
struct Terms<'a> {
    session: Handle,
    nonce: &'a Tpm2bNonce,
    cp_hash: &'a Tpm2bDigest,
    policy_ref: &'a Tpm2bNonce,
    expiration: i32,
}

/// When an authorization ends, in milliseconds since _TPM_Init; zero: never.
/// It counts from the session's start, or from now where no nonce names the
/// session.
fn deadline(ctx: &mut Context<'_>, terms: &Terms<'_>) -> Result<u64> {
    if terms.expiration == 0 {
        return Ok(0);
    }
    let from = if terms.nonce.is_empty() {
        ctx.time()
    } else {
        ctx.state.session(terms.session)?.policy.start_time
    };
    let seconds = u64::from(terms.expiration.unsigned_abs());
    Ok(from.saturating_add(seconds.saturating_mul(1000)))
}

/// The terms that PolicySigned and PolicySecret have the same parameters for.
macro_rules! terms_of {
    ($command:expr) => {
        Terms {
            session: $command.policy_session,
            nonce: &$command.nonce_tpm,
            cp_hash: &$command.cp_hash_a,
            policy_ref: &$command.policy_ref,
            expiration: $command.expiration,
        }
    };
}

/// Which parameters of the command the checks are about.
struct Numbers {
    cp_hash: usize,
    expiration: usize,
}

/// What holds for every authorization: it has not expired, and does not
/// contradict the cpHash that the session is bound to.
fn check_terms(
    session: &Session,
    now: u64,
    epoch: u32,
    timeout: u64,
    cp_hash: &Tpm2bDigest,
    numbers: &Numbers,
) -> Result<()> {
    if timeout != 0 && (timeout < now || session.policy.epoch != epoch) {
        return Err(Rc::EXPIRED.parameter(numbers.expiration));
    }
    if !cp_hash.is_empty() {
        if cp_hash.len() != session.hash.digest_size() {
            return Err(Rc::SIZE.parameter(numbers.cp_hash));
        }
        let bound = &session.policy.bound;
        if *bound != Bound::Nothing && *bound != Bound::CpHash(cp_hash.clone()) {
            return Err(Rc::CPHASH);
        }
    }
    Ok(())
}

/// The nonce and the terms of a fresh authorization. Returns its deadline; a
/// trial session needs none of it.
fn check_fresh(ctx: &mut Context<'_>, terms: &Terms<'_>) -> Result<u64> {
    let timeout = deadline(ctx, terms)?;
    let now = ctx.time();
    let session = ctx.state.session(terms.session)?;
    if is_trial(session) {
        return Ok(timeout);
    }
    if !terms.nonce.is_empty() && !ct_eq(terms.nonce, &session.nonce_tpm) {
        return Err(Rc::NONCE.parameter(1));
    }
    let numbers = Numbers {
        cp_hash: 2,
        expiration: 4,
    };
    let epoch = ctx.state.volatile.time_epoch;
    check_terms(session, now, epoch, timeout, terms.cp_hash, &numbers)?;
    Ok(timeout)
}

/// Puts an authorization into the session: digest, bound command, deadline.
pub(super) fn record(
    ctx: &mut Context<'_>,
    session: Handle,
    code: u32,
    name: &Tpm2bName,
    policy_ref: &Tpm2bNonce,
    cp_hash: &Tpm2bDigest,
    timeout: u64,
) -> Result<()> {
    extend_by(ctx, session, code, &[name])?;
    let session = ctx.state.session_mut(session)?;
    session.policy.extend(session.hash, &[policy_ref]);
    if !cp_hash.is_empty() {
        session.policy.bound = Bound::CpHash(cp_hash.clone());
    }
    let before = session.policy.timeout;
    if timeout != 0 && (before == 0 || timeout < before) {
        session.policy.timeout = timeout;
    }
    Ok(())
}

/// The ticket of an authorization. It dies with the epoch of its time, and, if
/// no nonce tied it to a session, with the next reset.
fn auth_ticket(
    state: &State,
    tag: u16,
    hierarchy: RhHierarchy,
    timeout: u64,
    (cp_hash, policy_ref, name): (&Tpm2bDigest, &Tpm2bNonce, &Tpm2bName),
) -> Ticket {
    let resets = if timeout & EXPIRES_ON_RESET != 0 {
        state.clock.total_reset_count.to_bytes()
    } else {
        alloc::vec::Vec::new()
    };
    let epoch = if timeout & !EXPIRES_ON_RESET != 0 {
        state.volatile.time_epoch.to_bytes()
    } else {
        alloc::vec::Vec::new()
    };
    ticket::authorization(
        state,
        tag,
        hierarchy,
        &[
            &timeout.to_bytes(),
            &epoch,
            &resets,
            &cp_hash.to_bytes(),
            &policy_ref.to_bytes(),
            name,
        ],
    )
}

/// Records a fresh authorization and makes its ticket, if one is asked for by
/// an expiration below zero.
fn authorize(
    ctx: &mut Context<'_>,
    code: u32,
    authority: Handle,
    terms: &Terms<'_>,
    timeout: u64,
) -> Result<(Tpm2bTimeout, TkAuth)> {
    let tag = if code == POLICY_SIGNED {
        st::AUTH_SIGNED
    } else {
        st::AUTH_SECRET
    };
    let name = ctx.state.name_of(authority);
    let trial = is_trial(ctx.state.session(terms.session)?);
    record(
        ctx,
        terms.session,
        code,
        &name,
        terms.policy_ref,
        terms.cp_hash,
        if trial { 0 } else { timeout },
    )?;
    if terms.expiration >= 0 || trial {
        return Ok((Tpm2bTimeout::empty(), TkAuth(ticket::null(tag))));
    }
    let mut shown = timeout & !EXPIRES_ON_RESET;
    if terms.nonce.is_empty() {
        shown |= EXPIRES_ON_RESET;
    }
    let hierarchy = hierarchy_of_authority(ctx.state, authority)?;
    let made = auth_ticket(
        ctx.state,
        tag,
        hierarchy,
        shown,
        (terms.cp_hash, terms.policy_ref, &name),
    );
    Ok((Tpm2bTimeout::cut(&shown.to_bytes()), TkAuth(made)))
}

/// The hierarchy whose proof makes the ticket of an authority.
fn hierarchy_of_authority(state: &State, authority: Handle) -> Result<RhHierarchy> {
    use crate::wire::{HandleType, NvAttributes};
    match authority.kind() {
        HandleType::Transient | HandleType::Persistent => state.hierarchy_of(authority),
        HandleType::NvIndex => {
            let nv = state.nv.get(authority).ok_or(Rc::HANDLE)?;
            let of_platform = nv.has(NvAttributes::PLATFORM_CREATE);
            Ok(RhHierarchy(if of_platform {
                Handle::PLATFORM
            } else {
                Handle::OWNER
            }))
        }
        HandleType::Permanent
            if matches!(
                authority,
                Handle::PLATFORM | Handle::ENDORSEMENT | Handle::NULL
            ) =>
        {
            Ok(RhHierarchy(authority))
        }
        // The owner, and the lockout authorization, which is the owner's.
        HandleType::Permanent => Ok(RhHierarchy(Handle::OWNER)),
        _ => Ok(RhHierarchy(Handle::NULL)),
    }
}

impl Action for PolicySigned {
    type Response = PolicySignedResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicySignedResponse> {
        let terms = terms_of!(self);
        let timeout = check_fresh(ctx, &terms)?;
        if !is_trial(ctx.state.session(self.policy_session)?) {
            let hash = self.auth.hash().ok_or(Rc::SCHEME.parameter(5))?;
            let signed = hash.digest(&[
                &self.nonce_tpm,
                &self.expiration.to_bytes(),
                &self.cp_hash_a,
                &self.policy_ref,
            ]);
            let object = ctx
                .state
                .object(self.auth_object)
                .map_err(|rc| rc.handle(1))?;
            crate::object::sign::verify(object, &signed, &self.auth)
                .map_err(|rc| rc.parameter(5))?;
        }
        let (timeout, policy_ticket) =
            authorize(ctx, POLICY_SIGNED, self.auth_object, &terms, timeout)?;
        Ok(PolicySignedResponse {
            timeout,
            policy_ticket,
        })
    }
}

impl Action for PolicySecret {
    type Response = PolicySecretResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicySecretResponse> {
        let terms = terms_of!(self);
        let timeout = check_fresh(ctx, &terms)?;
        let (timeout, policy_ticket) =
            authorize(ctx, POLICY_SECRET, self.auth_handle, &terms, timeout)?;
        Ok(PolicySecretResponse {
            timeout,
            policy_ticket,
        })
    }
}

impl Action for PolicyTicket {
    type Response = PolicyTicketResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PolicyTicketResponse> {
        let now = ctx.time();
        let session = ctx.state.session(self.policy_session)?;
        if is_trial(session) {
            return Err(Rc::ATTRIBUTES.handle(1));
        }
        let shown = <[u8; 8]>::try_from(&*self.timeout).map_err(|_| Rc::SIZE.parameter(1))?;
        let shown = u64::from_be_bytes(shown);
        let timeout = shown & !EXPIRES_ON_RESET;
        let numbers = Numbers {
            cp_hash: 2,
            expiration: 1,
        };
        let epoch = ctx.state.volatile.time_epoch;
        check_terms(session, now, epoch, timeout, &self.cp_hash_a, &numbers)?;
        let given = &self.ticket.0;
        let own = auth_ticket(
            ctx.state,
            given.tag,
            given.hierarchy,
            shown,
            (&self.cp_hash_a, &self.policy_ref, &self.auth_name),
        );
        if !ticket::matches(given, &own) {
            return Err(Rc::TICKET.parameter(5));
        }
        let code = if given.tag == st::AUTH_SIGNED {
            POLICY_SIGNED
        } else {
            POLICY_SECRET
        };
        record(
            ctx,
            self.policy_session,
            code,
            &self.auth_name,
            &self.policy_ref,
            &self.cp_hash_a,
            timeout,
        )?;
        Ok(PolicyTicketResponse {})
    }
}
