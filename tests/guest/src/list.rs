//! Lists of the PVALIDATE call.

use protocols::addr::GpaPage;
use protocols::svsm::{
    CA_BUFFER, CoreCall, MAX_ENTRIES_IN_CA, PvalidateEntry, PvalidateHeader, SvsmResult,
};

use crate::arch::memory;
use crate::svsm::{self, Reply};

/// A list at some address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List(pub(crate) u64);

impl List {
    /// The list in the buffer of the calling area, where guests put theirs.
    pub(crate) fn in_calling_area() -> Self {
        Self(svsm::calling_area() + CA_BUFFER as u64)
    }

    /// Writes header and entries. The header need not fit the entries.
    pub(crate) fn write(self, header: PvalidateHeader, entries: &[PvalidateEntry]) {
        memory::write(self.0, &header);
        memory::write(self.0 + PvalidateHeader::entry_offset(0), entries);
    }

    /// Writes a list that is not begun.
    pub(crate) fn write_new(self, entries: &[PvalidateEntry]) {
        self.write(PvalidateHeader::new(entries.len() as u16), entries);
    }

    /// Makes the call.
    pub(crate) fn submit(self) -> Reply {
        svsm::core(CoreCall::PVALIDATE, self.0)
    }

    /// The header's `next`.
    pub(crate) fn next(self) -> u16 {
        memory::read(self.0 + PvalidateHeader::NEXT_OFFSET as u64)
    }
}

/// Makes the call for these entries, which fit the calling area. Gives the reply and `next`.
pub(crate) fn submit(entries: &[PvalidateEntry]) -> (Reply, u16) {
    let list = List::in_calling_area();
    list.write_new(entries);
    (list.submit(), list.next())
}

/// Validates or rescinds pages one call a time; the first result that is no success.
pub(crate) fn change_all(pages: impl Iterator<Item = GpaPage>, validate: bool) -> SvsmResult {
    let mut entries = [PvalidateEntry(0); MAX_ENTRIES_IN_CA];
    let mut pages = pages.peekable();
    while pages.peek().is_some() {
        let mut count = 0;
        for (place, page) in entries.iter_mut().zip(pages.by_ref()) {
            *place = PvalidateEntry::new(page, validate);
            count += 1;
        }
        let (reply, _next) = submit(&entries[..count]);
        if !reply.result.is_success() {
            return reply.result;
        }
    }
    SvsmResult::SUCCESS
}

/// Validates a page.
pub(crate) fn validate(page: GpaPage) -> Reply {
    submit(&[PvalidateEntry::new(page, true)]).0
}

/// Takes the validation of a page back.
pub(crate) fn rescind(page: GpaPage) -> Reply {
    submit(&[PvalidateEntry::new(page, false)]).0
}
