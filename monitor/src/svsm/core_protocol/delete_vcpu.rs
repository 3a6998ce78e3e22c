//! DELETE_VCPU: a VMSA becomes ordinary guest memory again. RCX = VMSA.

use protocols::addr::{Gpa, GpaPage, PageSize};
use protocols::svsm::ResultCode;

use crate::error::CallError;
use crate::platform::{MapStorage, Platform};
use crate::shared::Seat;
use crate::svsm::request::{Arguments, Context, Next, disable, enable};
use crate::vmsa_page;

/// A VMSA whose vCPU serves a request for it is in use. EFER.SVME is cleared first, so that
/// the VMSA cannot be entered while its fate is decided; already clear means that somebody
/// else has it (threat 39). Whether it runs right now only the processor knows.
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
    // The request loop has disabled the caller's own, and holds its seat.
    let own = vmsa.vmsa == context.caller.vmsa;
    let current = context.guest.vcpus.current(vmsa.apic_id);
    let mut seat = None;
    if !own && current.is_some_and(|current| current.vmsa == vmsa.vmsa) {
        let other = context.shared.seat(vmsa.apic_id);
        let taken = other.and_then(Seat::try_take);
        seat = Some(taken.ok_or(ResultCode::CORE_FAIL_INUSE)?);
    }
    let handle = context.platform.page(vmsa.vmsa)?;
    if !own && !disable(context.platform, handle)? {
        return Err(ResultCode::CORE_FAIL_INUSE.into());
    }
    let policy = context.guest.policy;
    let cleared = vmsa_page::clear(context.platform, policy, page);
    if let Err(CallError::Result(_)) = cleared
        && !own
    {
        enable(context.platform, handle)?;
    }
    cleared?;
    context.guest.vcpus.remove(vmsa.vmsa);
    if own {
        *context.seat = None;
    }
    if let Some(mut seat) = seat {
        *seat = None;
    }
    Ok(if own { Next::Park } else { Next::Enter })
}

#[cfg(test)]
mod tests;
