//! WITHDRAW_MEM: the guest takes back what it has deposited. RCX = where the list goes.

use protocols::addr::GpaRange;
use protocols::snp::Rights;
use protocols::svsm::{MEMORY_LIST_ALIGN, ResultCode, WithdrawHeader};
use zerocopy::IntoBytes;

use super::deposit_mem::announce;
use super::list::MAX_ENTRIES;
use crate::error::CallError;
use crate::fatal::Fatal;
use crate::pages::{map_disagrees, set_rights};
use crate::platform::{MapStorage, Platform};
use crate::svsm::request::{Arguments, Context, Next};

/// As many 4 KiB pages as the list can hold up to the end of its page, each zeroed
/// before the guest gets its rights (threat 45). With nothing to give back the list is
/// empty; what lies behind it stays as it is.
pub(super) fn call<P: Platform + ?Sized, S: MapStorage>(
    context: &mut Context<'_, P, S>,
    arguments: &Arguments,
) -> Result<Next, CallError> {
    let invalid = ResultCode::INVALID_PARAMETER;
    let room = match arguments.rcx.is_multiple_of(MEMORY_LIST_ALIGN) {
        true => WithdrawHeader::room(arguments.rcx),
        false => 0,
    };
    let mut pages = [0u64; MAX_ENTRIES];
    let places = pages.get_mut(..room).filter(|places| !places.is_empty());
    let places = places.ok_or(invalid)?;
    let head = size_of::<WithdrawHeader>() as u64;
    let whole = head.saturating_add(places.as_bytes().len() as u64);
    let list = context.guest.check_structure(arguments.rcx, whole)?;

    let mut count = 0usize;
    for place in places.iter_mut() {
        let Some(page) = context.guest.pages.withdraw().map_err(map_disagrees)? else {
            break;
        };
        context.platform.zero(page)?;
        set_rights(context.platform, context.guest.policy, page, Rights::all())?;
        *place = page.gpa().get();
        count = count.saturating_add(1);
    }
    write_list(context, list, places.get(..count).unwrap_or_default())?;
    announce(context)?;
    Ok(Next::Enter)
}

/// Writes the addresses, and then how many they are.
fn write_list<P: Platform + ?Sized, S: MapStorage>(
    context: &mut Context<'_, P, S>,
    list: GpaRange,
    pages: &[u64],
) -> Result<(), Fatal> {
    let first = list.start().checked_add(size_of::<WithdrawHeader>() as u64);
    let first = first.ok_or(Fatal::INTERNAL)?;
    context.platform.write(first, pages.as_bytes())?;
    let count = u16::try_from(pages.len()).map_err(|_| Fatal::INTERNAL)?;
    context.platform.write(list.start(), count.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests;
