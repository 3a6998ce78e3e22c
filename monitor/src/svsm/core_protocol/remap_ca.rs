//! REMAP_CA: the caller moves its calling area. RCX = the new page.

use protocols::addr::Gpa;
use protocols::svsm::CA_CALL_PENDING;

use crate::error::CallError;
use crate::fatal::Fatal;
use crate::platform::{MapStorage, Platform};
use crate::svsm::request::{Arguments, Context, Next};

/// Moving to the area already in use is a success. call_pending ends up clear in
/// the old area (it was taken by an exchange) and in the new one.
pub(super) fn call<P: Platform + ?Sized, S: MapStorage>(
    context: &mut Context<'_, P, S>,
    arguments: &Arguments,
) -> Result<Next, CallError> {
    let old = context.caller.calling_area;
    if Gpa::new(arguments.rcx) == old {
        return Ok(Next::Enter);
    }
    let new = context.guest.check_page(arguments.rcx)?.gpa();
    let page = context.platform.page(new)?;
    context.platform.exchange_byte(page, CA_CALL_PENDING, 0)?;
    context
        .guest
        .vcpus
        .move_calling_area(context.caller.vmsa, new)
        .map_err(|_| Fatal::INTERNAL)?;
    if let Some(current) = context.seat {
        current.calling_area = new;
    }
    Ok(Next::Enter)
}

#[cfg(test)]
mod tests;
