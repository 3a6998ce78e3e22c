//! DELETE_VCPU: a VMSA becomes ordinary guest memory again. RCX = VMSA.

use protocols::addr::{Gpa, GpaPage, PageSize};
use protocols::svsm::ResultCode;

use crate::error::CallError;
use crate::platform::{MapStorage, Platform};
use crate::svsm::request::{Arguments, Context, Next, disable, enable};
use crate::vmsa_page;

/// EFER.SVME is cleared first, so that the VMSA cannot be entered while its fate
/// is decided; already clear means that somebody else has it (threat 39). Whether
/// it runs right now only the processor knows.
pub(super) fn call<P: Platform + ?Sized, S: MapStorage>(
    context: &mut Context<'_, P, S>,
    arguments: &Arguments,
) -> Result<Next, CallError> {
    let page = GpaPage::new(Gpa::new(arguments.rcx), PageSize::Size4K)
        .ok_or(ResultCode::INVALID_PARAMETER)?;
    let vmsa = context
        .guest
        .vcpus
        .find(page.gpa())
        .ok_or(ResultCode::INVALID_PARAMETER)?;
    if vmsa.startup {
        return Err(ResultCode::INVALID_PARAMETER.into());
    }
    // The request loop has disabled the caller's own.
    let own = vmsa.vmsa == context.caller.vmsa;
    if !own && !disable(context.platform, vmsa.vmsa)? {
        return Err(ResultCode::CORE_FAIL_INUSE.into());
    }
    let policy = context.guest.policy;
    let cleared = vmsa_page::clear(context.platform, policy, page);
    if let Err(CallError::Result(_)) = cleared
        && !own
    {
        enable(context.platform, vmsa.vmsa)?;
    }
    cleared?;
    context.guest.vcpus.remove(vmsa.vmsa);
    Ok(if own { Next::Park } else { Next::Enter })
}

#[cfg(test)]
mod tests;
