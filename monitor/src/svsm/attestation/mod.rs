//! Protocol 1, attestation, version 1.

use protocols::svsm::{AttestationCall, ResultCode};

use super::request::Arguments;
use crate::error::CallError;
use crate::platform::{MapStorage, Platform};
use crate::shared::Shared;
use crate::sync::Lock;

/// The service.
#[derive(Debug)]
pub struct Attestation {}

/// Serves a call of the attestation protocol.
///
/// # Errors
/// The result for the guest, or the end of the virtual machine.
pub(crate) fn call<P: Platform + ?Sized, S: MapStorage>(
    _shared: &Shared<S>,
    _platform: &mut P,
    _attestation: &Lock<Attestation>,
    _call: AttestationCall,
    _arguments: &mut Arguments,
) -> Result<(), CallError> {
    Err(ResultCode::UNSUPPORTED_CALL.into())
}
