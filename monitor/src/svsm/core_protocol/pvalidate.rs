//! PVALIDATE: a list of pages to validate or to rescind. RCX = the list.

use protocols::addr::{Gpa, GpaPage, GpaRange, PAGE_4K, PageSize};
use protocols::svsm::{
    MAX_ENTRIES_IN_CA, PVALIDATE_LIST_ALIGN, PvalidateEntry, PvalidateHeader, ResultCode,
};
use zerocopy::{FromZeros, IntoBytes};

use crate::error::CallError;
use crate::platform::{MapStorage, Platform};
use crate::svsm::address::page_at;
use crate::svsm::request::{Arguments, Context, Next};
use crate::validate::{rescind, validate};

/// Most entries that a list within one page holds.
const MAX_ENTRIES: usize = (PAGE_4K as usize - size_of::<PvalidateHeader>()) / 8;
const _: () = assert!(MAX_ENTRIES >= MAX_ENTRIES_IN_CA);

/// Header and entries are copied once, before anything is done (threat 43). What
/// is wrong with the list's form changes nothing; an entry that fails leaves the
/// earlier ones done and `next` at itself. Success leaves `next` = entries.
pub(super) fn call<P: Platform + ?Sized, S: MapStorage>(
    context: &mut Context<'_, P, S>,
    arguments: &Arguments,
) -> Result<Next, CallError> {
    let mut entries = [PvalidateEntry(0); MAX_ENTRIES];
    let list = copy_list(context, arguments.rcx, &mut entries)?;
    let mut next = list.next;
    let mut result = Ok(Next::Enter);
    for entry in list.entries {
        match change(context, list.page, *entry) {
            Ok(()) => next = next.saturating_add(1),
            Err(CallError::Result(code)) => {
                result = Err(code.into());
                break;
            }
            Err(fatal) => return Err(fatal),
        }
    }
    if next != list.next {
        // The list's page is still validated: no entry can name it.
        context.platform.write(list.next_field, next.as_bytes())?;
    }
    result
}

/// A list that was copied and has the right form.
struct List<'a> {
    /// The page that it lies in.
    page: GpaRange,
    /// Address of its field `next`.
    next_field: Gpa,
    /// Index of the first entry to be done.
    next: u16,
    /// The entries from there on.
    entries: &'a [PvalidateEntry],
}

fn copy_list<'a, P: Platform + ?Sized, S: MapStorage>(
    context: &mut Context<'_, P, S>,
    rcx: u64,
    storage: &'a mut [PvalidateEntry],
) -> Result<List<'a>, CallError> {
    let invalid = CallError::Result(ResultCode::INVALID_PARAMETER);
    if !rcx.is_multiple_of(PVALIDATE_LIST_ALIGN) {
        return Err(invalid);
    }
    let head = context
        .guest
        .check_structure(rcx, size_of::<PvalidateHeader>() as u64)?;
    let mut header = PvalidateHeader::new_zeroed();
    context.platform.read(head.start(), header.as_mut_bytes())?;
    if header.reserved != 0 || header.next >= header.entries {
        return Err(invalid);
    }
    // This also refuses a list that goes past its page.
    let whole = context.guest.check_structure(rcx, header.list_bytes())?;
    let count = usize::from(header.entries.saturating_sub(header.next));
    let entries = storage.get_mut(..count).ok_or(invalid)?;
    let from = PvalidateHeader::entry_offset(header.next);
    let from = whole.start().checked_add(from).ok_or(invalid)?;
    context.platform.read(from, entries.as_mut_bytes())?;
    if entries
        .iter()
        .any(|entry| entry.reserved() != 0 || entry.size().is_none())
    {
        return Err(invalid);
    }
    let page = GpaPage::new_4k(head.start().page_base(PageSize::Size4K)).ok_or(invalid)?;
    let next_field = head
        .start()
        .checked_add(PvalidateHeader::NEXT_OFFSET as u64)
        .ok_or(invalid)?;
    Ok(List {
        page: page.range(),
        next_field,
        next: header.next,
        entries,
    })
}

/// Does one entry.
fn change<P: Platform + ?Sized, S: MapStorage>(
    context: &mut Context<'_, P, S>,
    list: GpaRange,
    entry: PvalidateEntry,
) -> Result<(), CallError> {
    let size = entry.size().ok_or(ResultCode::INVALID_PARAMETER)?;
    let page = page_at(entry.gpa(), size)?;
    context.guest.check_validatable(page)?;
    if page.range().overlaps(list) {
        return Err(ResultCode::INVALID_ADDRESS.into());
    }
    let policy = context.guest.policy;
    let pages = &mut context.guest.pages;
    if entry.validate() {
        validate(context.platform, pages, policy, page, entry.ignore_cf())
    } else {
        rescind(context.platform, pages, policy, page, entry.ignore_cf())
    }
}

#[cfg(test)]
mod tests;
