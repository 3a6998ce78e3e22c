//! A list of pages in guest memory, as PVALIDATE and DEPOSIT_MEM have it: a head with
//! the number of entries and the index of the next, and entries of 8 bytes.

use protocols::addr::{Gpa, GpaPage, GpaRange, PAGE_4K, PageSize};
use protocols::svsm::{MAX_ENTRIES_IN_CA, PVALIDATE_LIST_ALIGN, PvalidateHeader, ResultCode};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::error::CallError;
use crate::guest::Guest;
use crate::platform::{MapStorage, Platform};

/// Most entries that a list within one page holds.
pub(super) const MAX_ENTRIES: usize = (PAGE_4K as usize - size_of::<PvalidateHeader>()) / 8;
const _: () = assert!(MAX_ENTRIES >= MAX_ENTRIES_IN_CA);

/// A list that was copied and has the right form.
pub(super) struct List<'a, E> {
    /// The page that it lies in.
    pub(super) page: GpaRange,
    /// Address of its field `next`.
    next_field: Gpa,
    /// Index of the first entry to be done.
    next: u16,
    /// The entries from there on.
    pub(super) entries: &'a [E],
}

impl<'a, E: FromBytes + IntoBytes> List<'a, E> {
    /// Copies head and entries once, before anything is done (threat 43).
    ///
    /// # Errors
    /// INVALID_PARAMETER for a list that is not aligned or goes past its page, has
    /// nothing to do, or has reserved bits set, those of an entry as `well_formed` says;
    /// INVALID_ADDRESS where a list may not be.
    pub(super) fn copy<P: Platform + ?Sized, S: MapStorage>(
        guest: &Guest<S>,
        platform: &mut P,
        rcx: u64,
        storage: &'a mut [E],
        well_formed: impl Fn(&E) -> bool,
    ) -> Result<Self, CallError> {
        let invalid = CallError::Result(ResultCode::INVALID_PARAMETER);
        if !rcx.is_multiple_of(PVALIDATE_LIST_ALIGN) {
            return Err(invalid);
        }
        let head = guest.check_structure(rcx, size_of::<PvalidateHeader>() as u64)?;
        let mut header = PvalidateHeader::new_zeroed();
        platform.read(head.start(), header.as_mut_bytes())?;
        if header.reserved != 0 || header.next >= header.entries {
            return Err(invalid);
        }
        // This also refuses a list that goes past its page.
        let whole = guest.check_structure(rcx, header.list_bytes())?;
        let count = usize::from(header.entries.saturating_sub(header.next));
        let entries = storage.get_mut(..count).ok_or(invalid)?;
        let from = PvalidateHeader::entry_offset(header.next);
        let from = whole.start().checked_add(from).ok_or(invalid)?;
        platform.read(from, entries.as_mut_bytes())?;
        if !entries.iter().all(well_formed) {
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

    /// Moves the list's `next` on by the entries that were done. No entry can name the list's
    /// own page, but another vCPU may have had its way with it while the guest's state was not held.
    ///
    /// # Errors
    /// INVALID_ADDRESS when the list may not be written any longer.
    pub(super) fn advance<P: Platform + ?Sized, S: MapStorage>(
        &self,
        guest: &Guest<S>,
        platform: &mut P,
        done: u16,
    ) -> Result<(), CallError> {
        if done != 0 {
            let next = self.next.saturating_add(done);
            let field = guest.check_structure(self.next_field.get(), size_of_val(&next) as u64)?;
            platform.write(field.start(), next.as_bytes())?;
        }
        Ok(())
    }
}
