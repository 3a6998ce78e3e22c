//! The request loop's decision after each exit of the guest's level.
//!
//! The way of one request: the guest's VMSA is made unrunnable, its exit code and
//! the calling area say whether there is a request, the call is served, RAX and
//! what else changed is written, and the VMSA is made runnable again.

use core::mem::offset_of;

use super::{attestation, core_protocol, vtpm};
use crate::error::CallError;
use crate::fatal::Fatal;
use crate::guest::Guest;
use crate::platform::{GuestMemory, MapStorage, Platform};
use crate::shared::{Pages, Server, Shared};
use crate::vcpu::Vcpu;
use protocols::ghcb::ExitCode;
use protocols::snp::{EFER_SVME, Vmsa};
use protocols::svsm::{
    AttestationCall, CA_CALL_PENDING, CoreCall, ProtocolId, Request, ResultCode, VtpmCall,
};

/// EFER.SVME lies in the register's second byte.
const EFER_SECOND_BYTE: usize = offset_of!(Vmsa, efer) + 1;
const SVME_IN_SECOND_BYTE: u8 = (EFER_SVME >> 8) as u8;

/// What the run loop does next on this vCPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Run the guest's level.
    Enter,
    /// There is nothing to run: the VMSA is gone or the guest has made it
    /// unrunnable. Ask again when the host enters VMPL0 the next time.
    Park,
}

/// The argument registers of a call; calls write their results into them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// First argument or result.
    pub rcx: u64,
    /// Second argument or result.
    pub rdx: u64,
    /// Third argument or result.
    pub r8: u64,
    /// Fourth argument or result.
    pub r9: u64,
}

/// What a call works with that changes pages or VMSAs.
#[derive(Debug)]
pub struct Context<'a, P: ?Sized, S> {
    /// The guest's state, held for the whole call.
    pub guest: &'a mut Guest<S>,
    /// The way to the seats of other vCPUs.
    pub shared: &'a Shared<S>,
    /// The mechanisms.
    pub platform: &'a mut P,
    /// The VMSA that makes the call.
    pub caller: Vcpu,
    /// What is in the caller's seat, which is held too.
    pub seat: &'a mut Option<Vcpu>,
}

/// Serves what the guest has asked for on a vCPU, if it has asked.
///
/// Called after every return to VMPL0, wanted or not: a return without a request
/// changes nothing (threat 26), and a request is taken only once (threat 42).
///
/// # Errors
/// [`Fatal`] when the virtual machine has to end; the guest's VMSA cannot be run
/// then.
pub fn serve<P: Platform + ?Sized, S: MapStorage>(
    server: &mut Server<'_, S, P::Page>,
    platform: &mut P,
) -> Result<Next, Fatal> {
    // Until the guest is entered again nobody can take VMSA and calling area away.
    let mut seat = server.seat.take();
    let Some(caller) = *seat else {
        return Ok(Next::Park);
    };
    let pages = server.pages(platform, caller)?;
    if !has_exited(platform, pages.vmsa)? {
        // It may be one that was made and never run: the host has to find it runnable at any time.
        return Ok(Next::Enter);
    }
    if !disable(platform, pages.vmsa)? {
        return Ok(Next::Park);
    }
    match take(platform, pages)? {
        Taken::Nothing => {}
        Taken::Malformed => {
            platform.store(
                pages.vmsa,
                offset_of!(Vmsa, rax),
                ResultCode::INVALID_FORMAT.0,
            )?;
        }
        Taken::Call(rax, given) => {
            let mut arguments = given;
            let request = Request::from_rax(rax);
            let result = match request.protocol {
                ProtocolId::CORE => core_protocol::call(
                    server.shared,
                    platform,
                    &mut seat,
                    caller,
                    CoreCall(request.call),
                    &mut arguments,
                ),
                _ => service(server.shared, platform, request, &mut arguments),
            };
            let code = match result {
                Ok(Next::Park) => return Ok(Next::Park),
                Ok(Next::Enter) => ResultCode::SUCCESS,
                Err(CallError::Result(code)) => code,
                Err(CallError::Fatal(fatal)) => return Err(fatal),
            };
            answer(platform, pages.vmsa, code, given, arguments)?;
        }
    }
    enable(platform, pages.vmsa)?;
    Ok(Next::Enter)
}

/// Serves a call of a protocol beside the core protocol, if that service is there. Apart from the
/// others (`inline(never)`), which need none of its buffers; it takes long, so what does not is laid
/// out first (`cold`).
#[cold]
#[inline(never)]
fn service<P: Platform + ?Sized, S: MapStorage>(
    shared: &Shared<S>,
    platform: &mut P,
    request: Request,
    arguments: &mut Arguments,
) -> Result<Next, CallError> {
    let services = shared.services();
    match (request.protocol, &services.attestation, &services.tpm) {
        (ProtocolId::ATTESTATION, Some(attestation), _) => {
            let call = AttestationCall(request.call);
            attestation::call(shared, platform, attestation, call, arguments)?;
        }
        (ProtocolId::VTPM, _, Some(tpm)) => {
            vtpm::call(shared, platform, tpm, VtpmCall(request.call), arguments)?;
        }
        _ => return Err(ResultCode::UNSUPPORTED_PROTOCOL.into()),
    }
    Ok(Next::Enter)
}

/// Whether a request waits on this vCPU, to be asked at the last moment before it rests: the host
/// may have run a new VMSA of the guest meanwhile, and that one has called (threat 32).
///
/// # Errors
/// [`Fatal`] as for [`serve`].
pub fn is_waiting<P: Platform + ?Sized, S: MapStorage>(
    server: &mut Server<'_, S, P::Page>,
    platform: &mut P,
) -> Result<bool, Fatal> {
    let seat = server.seat.take();
    let Some(caller) = *seat else {
        return Ok(false);
    };
    let pages = server.pages(platform, caller)?;
    let control_bytes = platform.load(pages.calling_area, 0)?;
    let is_pending = control_bytes.to_le_bytes()[CA_CALL_PENDING] != 0;
    Ok(is_pending && has_exited(platform, pages.vmsa)?)
}

/// Whether the VMSA was left by VMGEXIT.
fn has_exited<P: GuestMemory + ?Sized>(platform: &mut P, vmsa: P::Page) -> Result<bool, Fatal> {
    let exit_code = platform.load(vmsa, offset_of!(Vmsa, guest_exit_code))?;
    Ok(ExitCode(exit_code) == ExitCode::VMGEXIT)
}

/// Clears EFER.SVME, so that the VMSA cannot be entered while it is read and
/// written. `false` when it was clear already: somebody else has it, or the
/// guest has cleared it.
pub(crate) fn disable<P: GuestMemory + ?Sized>(
    platform: &mut P,
    vmsa: P::Page,
) -> Result<bool, Fatal> {
    let before = platform.and_byte(vmsa, EFER_SECOND_BYTE, !SVME_IN_SECOND_BYTE)?;
    Ok(before & SVME_IN_SECOND_BYTE != 0)
}

/// Sets EFER.SVME: the VMSA may be entered again.
pub(crate) fn enable<P: GuestMemory + ?Sized>(
    platform: &mut P,
    vmsa: P::Page,
) -> Result<(), Fatal> {
    platform.or_byte(vmsa, EFER_SECOND_BYTE, SVME_IN_SECOND_BYTE)?;
    Ok(())
}

/// What an exit of the guest's level means.
enum Taken {
    /// No request.
    Nothing,
    /// call_pending was neither 0 nor 1.
    Malformed,
    /// RAX and the arguments.
    Call(u64, Arguments),
}

/// Whether the exit was a request, and which. The request is taken by an exchange
/// of call_pending, so it is served at most once.
fn take<P: GuestMemory + ?Sized>(platform: &mut P, pages: Pages<P::Page>) -> Result<Taken, Fatal> {
    let vmsa = pages.vmsa;
    if !has_exited(platform, vmsa)? {
        return Ok(Taken::Nothing);
    }
    match platform.exchange_byte(pages.calling_area, CA_CALL_PENDING, 0)? {
        0 => Ok(Taken::Nothing),
        1 => {
            let rax = platform.load(vmsa, offset_of!(Vmsa, rax))?;
            let arguments = Arguments {
                rcx: platform.load(vmsa, offset_of!(Vmsa, rcx))?,
                rdx: platform.load(vmsa, offset_of!(Vmsa, rdx))?,
                r8: platform.load(vmsa, offset_of!(Vmsa, r8))?,
                r9: platform.load(vmsa, offset_of!(Vmsa, r9))?,
            };
            Ok(Taken::Call(rax, arguments))
        }
        _ => Ok(Taken::Malformed),
    }
}

/// Writes RAX and the registers that the call has changed. Untouched ones stay as
/// they are; Linux presets some of them to see.
fn answer<P: GuestMemory + ?Sized>(
    platform: &mut P,
    vmsa: P::Page,
    code: ResultCode,
    before: Arguments,
    after: Arguments,
) -> Result<(), Fatal> {
    platform.store(vmsa, offset_of!(Vmsa, rax), code.0)?;
    if before.rcx != after.rcx {
        platform.store(vmsa, offset_of!(Vmsa, rcx), after.rcx)?;
    }
    if before.rdx != after.rdx {
        platform.store(vmsa, offset_of!(Vmsa, rdx), after.rdx)?;
    }
    if before.r8 != after.r8 {
        platform.store(vmsa, offset_of!(Vmsa, r8), after.r8)?;
    }
    if before.r9 != after.r9 {
        platform.store(vmsa, offset_of!(Vmsa, r9), after.r9)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
