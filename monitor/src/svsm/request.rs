//! The request loop's decision after each exit of the guest's level.
//!
//! The way of one request: the guest's VMSA is made unrunnable, its exit code and
//! the calling area say whether there is a request, the call is served, RAX and
//! what else changed is written, and the VMSA is made runnable again.

use core::mem::offset_of;

use protocols::addr::Gpa;
use protocols::ghcb::ExitCode;
use protocols::snp::{EFER_SVME, Vmsa};
use protocols::svsm::{CoreCall, ProtocolId, Request, ResultCode};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::core_protocol;
use crate::error::CallError;
use crate::fatal::Fatal;
use crate::guest::Guest;
use crate::platform::{GuestMemory, MapStorage, Platform};
use crate::vcpu::Vcpu;

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

/// What a call works with: the guest's state, the mechanisms, and who calls.
#[derive(Debug)]
pub struct Context<'a, P: ?Sized, S> {
    /// The guest's state.
    pub guest: &'a mut Guest<S>,
    /// The mechanisms.
    pub platform: &'a mut P,
    /// The vCPU that makes the call.
    pub caller: Vcpu,
}

/// Serves what the guest has asked for on the vCPU with this APIC ID, if it has
/// asked.
///
/// Called after every return to VMPL0, wanted or not: a return without a request
/// changes nothing (threat 26), and a request is taken only once (threat 42).
///
/// # Errors
/// [`Fatal`] when the virtual machine has to end; the guest's VMSA cannot be run
/// then.
pub fn serve<P: Platform + ?Sized, S: MapStorage>(
    guest: &mut Guest<S>,
    platform: &mut P,
    apic_id: u32,
) -> Result<Next, Fatal> {
    let Some(caller) = guest.vcpus.current(apic_id) else {
        return Ok(Next::Park);
    };
    if !disable(platform, caller.vmsa)? {
        return Ok(Next::Park);
    }
    let next = match take(platform, caller)? {
        Taken::Nothing => Next::Enter,
        Taken::Malformed => {
            write_rax(platform, caller, ResultCode::INVALID_FORMAT)?;
            Next::Enter
        }
        Taken::Call(rax, arguments) => answer(
            Context {
                guest,
                platform,
                caller,
            },
            rax,
            arguments,
        )?,
    };
    if next == Next::Enter {
        enable(platform, caller.vmsa)?;
    }
    Ok(next)
}

/// Clears EFER.SVME, so that the VMSA cannot be entered while it is read and
/// written. `false` when it was clear already: somebody else has it, or the
/// guest has cleared it.
pub(crate) fn disable<P: GuestMemory + ?Sized>(platform: &mut P, vmsa: Gpa) -> Result<bool, Fatal> {
    let at = field(vmsa, EFER_SECOND_BYTE)?;
    let before = platform.and_byte(at, !SVME_IN_SECOND_BYTE)?;
    Ok(before & SVME_IN_SECOND_BYTE != 0)
}

/// Sets EFER.SVME: the VMSA may be entered again.
pub(crate) fn enable<P: GuestMemory + ?Sized>(platform: &mut P, vmsa: Gpa) -> Result<(), Fatal> {
    let at = field(vmsa, EFER_SECOND_BYTE)?;
    platform.or_byte(at, SVME_IN_SECOND_BYTE)?;
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
fn take<P: GuestMemory + ?Sized>(platform: &mut P, caller: Vcpu) -> Result<Taken, Fatal> {
    let exit_code: u64 = read_field(platform, caller.vmsa, offset_of!(Vmsa, guest_exit_code))?;
    if ExitCode(exit_code) != ExitCode::VMGEXIT {
        return Ok(Taken::Nothing);
    }
    match platform.exchange_byte(caller.calling_area, 0)? {
        0 => Ok(Taken::Nothing),
        1 => {
            let rax = read_field(platform, caller.vmsa, offset_of!(Vmsa, rax))?;
            let [rcx, rdx] = read_field(platform, caller.vmsa, offset_of!(Vmsa, rcx))?;
            let [r8, r9] = read_field(platform, caller.vmsa, offset_of!(Vmsa, r8))?;
            Ok(Taken::Call(rax, Arguments { rcx, rdx, r8, r9 }))
        }
        _ => Ok(Taken::Malformed),
    }
}

const _: () = {
    assert!(offset_of!(Vmsa, rdx).abs_diff(offset_of!(Vmsa, rcx)) == 8);
    assert!(offset_of!(Vmsa, r9).abs_diff(offset_of!(Vmsa, r8)) == 8);
};

/// Serves a call and writes its registers.
fn answer<P: Platform + ?Sized, S: MapStorage>(
    mut context: Context<'_, P, S>,
    rax_in: u64,
    given: Arguments,
) -> Result<Next, Fatal> {
    let mut arguments = given;
    let request = Request::from_rax(rax_in);
    let result = match request.protocol {
        ProtocolId::CORE => {
            core_protocol::call(&mut context, CoreCall(request.call), &mut arguments)
        }
        _ => Err(ResultCode::UNSUPPORTED_PROTOCOL.into()),
    };
    let code = match result {
        Ok(Next::Park) => return Ok(Next::Park),
        Ok(Next::Enter) => ResultCode::SUCCESS,
        Err(CallError::Result(code)) => code,
        Err(CallError::Fatal(fatal)) => return Err(fatal),
    };
    let vmsa = context.caller.vmsa;
    write_rax(context.platform, context.caller, code)?;
    // Untouched registers stay as they are; Linux presets some of them to see.
    let (before, after) = ([given.rcx, given.rdx], [arguments.rcx, arguments.rdx]);
    if before != after {
        write_field(context.platform, vmsa, offset_of!(Vmsa, rcx), &after)?;
    }
    let (before, after) = ([given.r8, given.r9], [arguments.r8, arguments.r9]);
    if before != after {
        write_field(context.platform, vmsa, offset_of!(Vmsa, r8), &after)?;
    }
    Ok(Next::Enter)
}

fn write_rax<P: GuestMemory + ?Sized>(
    platform: &mut P,
    caller: Vcpu,
    result: ResultCode,
) -> Result<(), Fatal> {
    write_field(platform, caller.vmsa, offset_of!(Vmsa, rax), &result.0)
}

/// Reads a field of a VMSA, once.
fn read_field<P: GuestMemory + ?Sized, T: FromBytes + IntoBytes>(
    platform: &mut P,
    vmsa: Gpa,
    offset: usize,
) -> Result<T, Fatal> {
    let mut value = T::new_zeroed();
    platform.read(field(vmsa, offset)?, value.as_mut_bytes())?;
    Ok(value)
}

fn write_field<P: GuestMemory + ?Sized, T: IntoBytes + Immutable>(
    platform: &mut P,
    vmsa: Gpa,
    offset: usize,
    value: &T,
) -> Result<(), Fatal> {
    platform.write(field(vmsa, offset)?, value.as_bytes())?;
    Ok(())
}

fn field(vmsa: Gpa, offset: usize) -> Result<Gpa, Fatal> {
    vmsa.checked_add(offset as u64).ok_or(Fatal::INTERNAL)
}

#[cfg(test)]
mod tests;
