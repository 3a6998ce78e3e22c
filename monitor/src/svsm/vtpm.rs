//! Protocol 2, the virtual TPM, version 1.

use protocols::svsm::{ResultCode, VtpmCall};

use super::request::Arguments;
use crate::error::CallError;
use crate::platform::{MapStorage, Platform};
use crate::services::TpmService;
use crate::shared::Shared;

/// Serves a call of the vTPM protocol.
///
/// # Errors
/// The result for the guest, or the end of the virtual machine.
pub(crate) fn call<P: Platform + ?Sized, S: MapStorage>(
    _shared: &Shared<S>,
    _platform: &mut P,
    _tpm: &TpmService,
    _call: VtpmCall,
    _arguments: &mut Arguments,
) -> Result<(), CallError> {
    Err(ResultCode::UNSUPPORTED_CALL.into())
}
