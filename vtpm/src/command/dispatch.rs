//! The way of one command through the TPM, in the order of Part 3, 5:
//! header, code, mode, handles, sessions, authorization, decryption,
//! parameters, action, response.

use crate::chapters::startup;
use crate::command::auth::{self, Request};
use crate::command::sessions::{self, UsedSession};
use crate::command::{CommandSpec, Output, find, response};
use crate::context::Context;
use crate::job::Job;
use crate::limits::{MAX_COMMAND_SIZE, MAX_RESPONSE_SIZE};
use crate::platform::Platform;
use crate::rc::{Rc, Result};
use crate::session::crypt;
use crate::state::State;
use crate::wire::{Handle, Marshal, Reader, SessionAttributes, Tpm2bName, Writer, st};
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// A command that is decoded and authorized, whose action is to be run.
pub(crate) struct Pending {
    spec: &'static CommandSpec,
    tag: u16,
    locality: u8,
    handles: Vec<Handle>,
    names: Vec<Tpm2bName>,
    sessions: Vec<UsedSession>,
    /// As received, for audits.
    received: Zeroizing<Vec<u8>>,
    /// The same, decrypted.
    parameters: Zeroizing<Vec<u8>>,
    pub(crate) job: Option<Job>,
}

/// A response that carries a code only.
pub(crate) fn error_response(rc: Rc) -> Writer {
    let mut out = Writer::new();
    let tag = if rc == Rc::BAD_TAG {
        st::RSP_COMMAND
    } else {
        st::NO_SESSIONS
    };
    tag.marshal(&mut out);
    10u32.marshal(&mut out);
    rc.0.marshal(&mut out);
    out
}

/// Decodes and authorizes a command.
pub(crate) fn begin(
    state: &mut State,
    platform: &mut dyn Platform,
    locality: u8,
    command: &[u8],
) -> Result<Pending> {
    let mut r = Reader::new(command);
    let tag: u16 = r.read()?;
    if tag != st::NO_SESSIONS && tag != st::SESSIONS {
        return Err(Rc::BAD_TAG);
    }
    let size: u32 = r.read()?;
    if usize::try_from(size) != Ok(command.len()) || command.len() > MAX_COMMAND_SIZE {
        return Err(Rc::COMMAND_SIZE);
    }
    let spec = find(r.read()?).ok_or(Rc::COMMAND_CODE)?;
    if state.volatile.failure && !spec.flags.in_failure {
        return Err(Rc::FAILURE);
    }
    if !state.volatile.started && !spec.flags.before_startup {
        return Err(Rc::INITIALIZE);
    }
    let now = state.volatile.time(platform.now_ms());
    if state.volatile.started {
        crate::da::self_heal(state, now);
        crate::clock::tick(state, now);
    }
    if spec.flags.nv && state.volatile.started && !platform.nv_available() {
        return Err(Rc::NV_UNAVAILABLE);
    }

    let handles = read_handles(state, spec, &mut r)?;
    let names: Vec<Tpm2bName> = handles.iter().map(|&h| state.name_of(h)).collect();

    let sessions = if tag == st::SESSIONS {
        let size = usize::try_from(r.read::<u32>()?).map_err(|_| Rc::AUTHSIZE)?;
        // The smallest session is a handle, two empty buffers and attributes.
        if size < 9 || size > r.remaining() {
            return Err(Rc::AUTHSIZE);
        }
        let area = r.take(size)?;
        sessions::read(state, spec, &handles, area)?
    } else if spec.auth_handles() > 0 {
        return Err(Rc::AUTH_MISSING);
    } else {
        Vec::new()
    };
    let received = Zeroizing::new(r.rest().to_vec());
    let request = Request {
        spec,
        locality,
        names: &names,
        sessions: &sessions,
        parameters: &received,
    };
    auth::check_all(state, platform, &request)?;
    crate::audit::check_exclusive(state, &sessions)?;
    let parameters = decrypt(state, &sessions, &received)?;
    Ok(Pending {
        spec,
        tag,
        locality,
        handles,
        names,
        sessions,
        received,
        parameters,
        job: None,
    })
}

fn read_handles(state: &State, spec: &CommandSpec, r: &mut Reader<'_>) -> Result<Vec<Handle>> {
    let mut handles = Vec::new();
    for (index, expected) in spec.handles.iter().enumerate() {
        let h: Handle = r.read().map_err(|rc: Rc| rc.handle(index + 1))?;
        (expected.check)(h).map_err(|rc| rc.handle(index + 1))?;
        handles.push(h);
    }
    for (index, &h) in handles.iter().enumerate() {
        state
            .check_present(h, index)
            .map_err(|rc| rc.handle(index + 1))?;
    }
    Ok(handles)
}

/// The parameters with the first one decrypted, if a session says so.
fn decrypt(state: &State, sessions: &[UsedSession], received: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let mut parameters = Zeroizing::new(received.to_vec());
    let Some(used) =
        sessions::position(sessions, SessionAttributes::DECRYPT).and_then(|i| sessions.get(i))
    else {
        return Ok(parameters);
    };
    let session = state.session(used.handle)?;
    let (len, rest) = parameters
        .split_first_chunk_mut::<2>()
        .ok_or(Rc::INSUFFICIENT.parameter(1))?;
    let len = usize::from(u16::from_be_bytes(*len));
    let data = rest.get_mut(..len).ok_or(Rc::SIZE.parameter(1))?;
    let auth = auth::crypt_auth(state, used);
    crypt::parameter(
        session,
        &auth,
        false,
        &used.nonce_caller,
        &session.nonce_tpm,
        data,
    )?;
    Ok(parameters)
}

/// Runs the action. `Ok(None)` when it waits for its job.
pub(crate) fn run(
    state: &mut State,
    platform: &mut dyn Platform,
    pending: &mut Pending,
) -> Result<Option<Writer>> {
    if pending.spec.flags.flushed {
        for used in &mut pending.sessions {
            used.departed = used.associated.map(|h| state.auth_value_of(h));
        }
    }
    let mut output = Output::default();
    let mut ctx = Context {
        state,
        platform,
        spec: pending.spec,
        locality: pending.locality,
        handles: &pending.handles,
        names: &pending.names,
        sessions: &mut pending.sessions,
        parameters: &pending.parameters,
        job: &mut pending.job,
    };
    match (pending.spec.run)(&mut ctx, &pending.handles, &pending.parameters, &mut output) {
        Err(Rc::MORE_WORK) => return Ok(None),
        Err(rc) => return Err(rc),
        Ok(()) => {}
    }
    // What Shutdown saved is stale once something else may have changed
    // (Part 3, 9.4).
    if pending.spec.flags.nv && pending.spec.code != startup::SHUTDOWN {
        startup::forget_shutdown(state);
    }
    Ok(Some(respond(state, platform, pending, &mut output)?))
}

fn respond(
    state: &mut State,
    platform: &mut dyn Platform,
    pending: &Pending,
    output: &mut Output,
) -> Result<Writer> {
    let now = state.volatile.time(platform.now_ms());
    response::roll_nonces(state, &pending.sessions);
    response::encrypt(state, &pending.sessions, output)?;
    crate::audit::record(
        state,
        pending.spec,
        &pending.names,
        &pending.received,
        &pending.sessions,
        output,
    );
    let mut out = Writer::new();
    pending.tag.marshal(&mut out);
    0u32.marshal(&mut out);
    Rc::SUCCESS.0.marshal(&mut out);
    if let Some(h) = output.handle {
        h.marshal(&mut out);
    }
    if pending.tag == st::SESSIONS {
        u32::try_from(output.parameters.len())
            .unwrap_or(u32::MAX)
            .marshal(&mut out);
    }
    out.extend_from_slice(&output.parameters);
    if pending.tag == st::SESSIONS {
        response::finish(
            state,
            pending.spec.code,
            &pending.sessions,
            output,
            now,
            &mut out,
        );
    }
    let size = u32::try_from(out.len()).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(2..6) {
        field.copy_from_slice(&size.to_be_bytes());
    }
    if out.len() > MAX_RESPONSE_SIZE {
        return Err(Rc::FAILURE);
    }
    Ok(out)
}
