//! Audit of commands and of sessions (Part 1, 31).

use crate::command::hash::{cp_hash, rp_hash};
use crate::command::sessions::{UsedSession, position};
use crate::command::{CommandSpec, Output};
use crate::rc::{Rc, Result};
use crate::state::State;
use crate::state::reset::zero;
use crate::wire::{Attested, Marshal, SessionAttributes, Tpm2bDigest, Tpm2bName, Writer};

/// TPM_RC_EXCLUSIVE when an audit session wants to be exclusive and is not.
pub(crate) fn check_exclusive(state: &State, sessions: &[UsedSession]) -> Result<()> {
    let Some(used) = position(sessions, SessionAttributes::AUDIT).and_then(|i| sessions.get(i))
    else {
        return Ok(());
    };
    let session = state.session(used.handle)?;
    let begins = session.audit.is_empty() || used.has(SessionAttributes::AUDIT_RESET);
    if used.has(SessionAttributes::AUDIT_EXCLUSIVE)
        && !begins
        && state.volatile.exclusive_audit != Some(used.handle)
    {
        return Err(Rc::EXCLUSIVE);
    }
    Ok(())
}

/// Extends the audit digests with a command that succeeded.
pub(crate) fn record(
    state: &mut State,
    spec: &CommandSpec,
    names: &[Tpm2bName],
    parameters: &[u8],
    sessions: &[UsedSession],
    output: &Output,
) {
    record_session(state, spec, names, parameters, sessions, output);
    if state.audit.commands.contains(&spec.code) && !spec.flags.no_audit {
        let alg = state.audit.alg;
        if state.reset.command_audit_digest.is_empty() {
            state.audit.counter = state.audit.counter.saturating_add(1);
            state.reset.command_audit_digest = zero(alg);
        }
        let cp = cp_hash(alg, spec.code, names, parameters);
        let rp = rp_hash(alg, spec.code, &output.parameters);
        let digest = alg.digest(&[&state.reset.command_audit_digest, &cp, &rp]);
        state.reset.command_audit_digest = Tpm2bDigest::from(digest);
    }
}

fn record_session(
    state: &mut State,
    spec: &CommandSpec,
    names: &[Tpm2bName],
    parameters: &[u8],
    sessions: &[UsedSession],
    output: &Output,
) {
    let Some(used) = position(sessions, SessionAttributes::AUDIT).and_then(|i| sessions.get(i))
    else {
        // A command outside of the exclusive audit session ends exclusivity.
        if !leaves_exclusivity(spec) {
            state.volatile.exclusive_audit = None;
        }
        return;
    };
    let Ok(session) = state.session_mut(used.handle) else {
        return;
    };
    let begins = session.audit.is_empty() || used.has(SessionAttributes::AUDIT_RESET);
    if begins {
        session.audit = zero(session.hash);
    }
    let cp = cp_hash(session.hash, spec.code, names, parameters);
    let rp = rp_hash(session.hash, spec.code, &output.parameters);
    session.audit = Tpm2bDigest::from(session.hash.digest(&[&session.audit, &cp, &rp]));
    if begins {
        state.volatile.exclusive_audit = Some(used.handle);
    } else if state.volatile.exclusive_audit != Some(used.handle) {
        state.volatile.exclusive_audit = None;
    }
}

/// What GetCommandAuditDigest attests.
pub(crate) fn attested(state: &State) -> Attested {
    let alg = state.audit.alg;
    let mut codes = Writer::new();
    for code in &state.audit.commands {
        code.marshal(&mut codes);
    }
    Attested::CommandAudit {
        counter: state.audit.counter,
        digest_alg: alg.id(),
        digest: state.reset.command_audit_digest.clone(),
        command_digest: Tpm2bDigest::from(alg.digest(&[&codes])),
    }
}

/// Commands of a resource manager, which move contexts and change nothing.
fn leaves_exclusivity(spec: &CommandSpec) -> bool {
    const CONTEXT_LOAD: u32 = 0x161;
    const CONTEXT_SAVE: u32 = 0x162;
    const FLUSH_CONTEXT: u32 = 0x165;
    const READ_CLOCK: u32 = 0x181;
    const GET_CAPABILITY: u32 = 0x17A;
    const GET_TEST_RESULT: u32 = 0x17C;
    matches!(
        spec.code,
        CONTEXT_LOAD | CONTEXT_SAVE | FLUSH_CONTEXT | READ_CLOCK | GET_CAPABILITY | GET_TEST_RESULT
    )
}
