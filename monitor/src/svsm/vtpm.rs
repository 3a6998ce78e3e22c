//! Protocol 2, vTPM, version 1: QUERY says what is there, CMD gives the TPM one command.
//!
//! A command takes as long as it takes: an RSA key hundreds of milliseconds. The caller waits for
//! it, and so does a second caller; both hold their own seats and nothing else, so that no call of
//! another service waits. The guest's state is taken twice, for as long as a copy needs.

use protocols::addr::{Gpa, GpaRange};
use protocols::svsm::{
    PlatformCommand, ResultCode, VTPM_BUFFER_SIZE, VTPM_MAX_COMMAND, VtpmCall, VtpmRequest,
};
use zerocopy::{FromZeros, IntoBytes};

use super::request::Arguments;
use crate::error::CallError;
use crate::fatal::Fatal;
use crate::platform::{MapStorage, Platform};
use crate::services::TpmService;
use crate::shared::Shared;

/// The highest locality that software may use; the one above is the processor's own.
const MAX_LOCALITY: u8 = 3;

/// A call of the protocol.
///
/// # Errors
/// The result for the guest, or [`Fatal`].
pub(super) fn call<P: Platform + ?Sized, S: MapStorage>(
    shared: &Shared<S>,
    platform: &mut P,
    tpm: &TpmService,
    call: VtpmCall,
    arguments: &mut Arguments,
) -> Result<(), CallError> {
    match call {
        VtpmCall::QUERY => {
            arguments.rcx = PlatformCommand::SEND_COMMAND.bit();
            arguments.rdx = 0;
            Ok(())
        }
        VtpmCall::CMD => command(shared, platform, tpm, arguments.rcx),
        _ => Err(ResultCode::UNSUPPORTED_CALL.into()),
    }
}

/// One command, whose buffer is a whole page. What is in it is copied once; the page is looked at
/// anew before the response is written, because it may have become something else meanwhile.
fn command<P: Platform + ?Sized, S: MapStorage>(
    shared: &Shared<S>,
    platform: &mut P,
    tpm: &TpmService,
    gpa: u64,
) -> Result<(), CallError> {
    let mut tpm = tpm.lock();
    let tpm = &mut *tpm;
    let mut request = VtpmRequest::new_zeroed();
    let command = {
        let guest = shared.lock();
        let buffer = guest.check_structure(gpa, VTPM_BUFFER_SIZE as u64)?;
        platform.read(buffer.start(), request.as_mut_bytes())?;
        let size = request.size.get() as usize;
        let acceptable = PlatformCommand(request.command.get()) == PlatformCommand::SEND_COMMAND
            && request.locality <= MAX_LOCALITY
            && (1..=VTPM_MAX_COMMAND).contains(&size);
        let place = match acceptable {
            true => tpm.command.get_mut(..size),
            false => None,
        };
        let place = place.ok_or(ResultCode::INVALID_PARAMETER)?;
        platform.read(behind(buffer, size_of::<VtpmRequest>())?, place)?;
        &*place
    };
    let len = tpm
        .device
        .execute(request.locality, command, &mut tpm.response);
    let response = tpm.response.get(..len).ok_or(Fatal::INTERNAL)?;
    let size = u32::try_from(len).map_err(|_| Fatal::INTERNAL)?;

    let guest = shared.lock();
    let buffer = guest.check_structure(gpa, VTPM_BUFFER_SIZE as u64)?;
    platform.write(behind(buffer, size_of::<u32>())?, response)?;
    platform.write(buffer.start(), size.as_bytes())?;
    Ok(())
}

/// The address that many bytes into the buffer.
fn behind(buffer: GpaRange, bytes: usize) -> Result<Gpa, Fatal> {
    buffer
        .start()
        .checked_add(bytes as u64)
        .ok_or(Fatal::INTERNAL)
}

#[cfg(test)]
mod tests;
