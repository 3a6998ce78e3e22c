//! DEPOSIT_MEM: the guest gives pages to the firmware. RCX = the list.
//!
//! The firmware never asks for memory: what it needs is reserved at boot, so that no
//! legal request fails for want of it. A page that is given all the same is taken out
//! of the guest's reach, zeroed, and kept until WITHDRAW_MEM.

use protocols::addr::GpaPage;
use protocols::snp::Rights;
use protocols::svsm::{CA_MEM_AVAILABLE, DepositEntry, ResultCode};

use super::list::{List, MAX_ENTRIES};
use crate::error::CallError;
use crate::fatal::Fatal;
use crate::pages::{adjust_failed, map_disagrees, set_rights, take_rights};
use crate::platform::{MapStorage, Platform, RmpadjustFail};
use crate::svsm::address::page_at;
use crate::svsm::request::{Arguments, Context, Next};

/// Every right is revoked, then every vCPU flushed, once for the list, and only then
/// are the pages zeroed (threat 9). What is wrong with the list's form changes nothing;
/// an entry that fails leaves the earlier ones done and `next` at itself.
pub(super) fn call<P: Platform + ?Sized, S: MapStorage>(
    context: &mut Context<'_, P, S>,
    arguments: &Arguments,
) -> Result<Next, CallError> {
    let mut storage = [DepositEntry(0); MAX_ENTRIES];
    let well_formed = |entry: &DepositEntry| entry.reserved() == 0 && entry.size().is_some();
    let (guest, rcx) = (&*context.guest, arguments.rcx);
    let list = List::copy(guest, context.platform, rcx, &mut storage, well_formed)?;
    let mut taken = 0u16;
    let mut result = Ok(Next::Enter);
    for entry in list.entries {
        match named(context, &list, entry).and_then(|page| take(context, page)) {
            Ok(()) => taken = taken.saturating_add(1),
            Err(CallError::Result(code)) => {
                result = Err(code.into());
                break;
            }
            Err(fatal) => return Err(fatal),
        }
    }
    if taken != 0 {
        context.platform.flush_all_vcpus();
        for entry in list.entries.iter().take(taken.into()) {
            let page = page_at(entry.gpa(), entry.size().ok_or(Fatal::INTERNAL)?)?;
            context.platform.zero(page)?;
        }
        announce(context)?;
    }
    list.advance(context.guest, context.platform, taken)?;
    result
}

/// The page of an entry, if it may be given.
fn named<P: Platform + ?Sized, S: MapStorage>(
    context: &Context<'_, P, S>,
    list: &List<'_, DepositEntry>,
    entry: &DepositEntry,
) -> Result<GpaPage, CallError> {
    let size = entry.size().ok_or(ResultCode::INVALID_PARAMETER)?;
    let page = page_at(entry.gpa(), size)?;
    context.guest.check_depositable(page)?;
    if page.range().overlaps(list.page) {
        return Err(ResultCode::INVALID_ADDRESS.into());
    }
    Ok(page)
}

/// Takes the guest's rights to a page and records it.
fn take<P: Platform + ?Sized, S: MapStorage>(
    context: &mut Context<'_, P, S>,
    page: GpaPage,
) -> Result<(), CallError> {
    match take_rights(context.platform, page) {
        Ok(()) => {}
        Err(RmpadjustFail::Code(code)) => {
            let policy = context.guest.policy;
            set_rights(context.platform, policy, page, Rights::all())?;
            return Err(ResultCode::from_rmp(code).into());
        }
        Err(fault) => return Err(adjust_failed(page, fault).into()),
    }
    Ok(context.guest.pages.deposit(page).map_err(map_disagrees)?)
}

/// Says in the startup vCPU's calling area whether there is memory to withdraw.
pub(super) fn announce<P: Platform + ?Sized, S: MapStorage>(
    context: &mut Context<'_, P, S>,
) -> Result<(), Fatal> {
    let available = u8::from(context.guest.pages.deposited() != 0);
    if let Some(startup) = context.guest.vcpus.startup() {
        let area = context.platform.page(startup.calling_area)?;
        context
            .platform
            .exchange_byte(area, CA_MEM_AVAILABLE, available)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
