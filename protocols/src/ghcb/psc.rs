//! Page state change by the GHCB page: exit 0x80000010 (AMD publication 56421,
//! page state change). The list lies in the shared buffer.

use core::mem::{offset_of, size_of};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::SHARED_BUFFER_SIZE;
use crate::addr::{Gpa, GpaPage, PageSize};

/// Entries that fit the shared buffer behind the header.
pub const PSC_MAX_ENTRIES: usize = 253;

/// What is to become of a page, bits 55:52 of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PscOperation(
    /// The number, 4 bits.
    pub u8,
);

impl PscOperation {
    /// Assign the page to the guest, not validated.
    pub const PRIVATE: Self = Self(1);
    /// Give the page to the host.
    pub const SHARED: Self = Self(2);
    /// Split the RMP entry of a 2 MiB page.
    pub const PSMASH: Self = Self(3);
    /// Join the RMP entries of a 2 MiB page.
    pub const UNSMASH: Self = Self(4);
}

/// The head of the list.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct PscHeader {
    /// Index of the next entry. The host advances it.
    pub cur_entry: u16,
    /// Index of the last entry, not the number of entries.
    pub end_entry: u16,
    /// Zero.
    pub reserved: u32,
}

const _: () = {
    assert!(size_of::<PscHeader>() == 8);
    assert!(offset_of!(PscHeader, cur_entry) == 0);
    assert!(offset_of!(PscHeader, end_entry) == 2);
    assert!(offset_of!(PscHeader, reserved) == 4);
    assert!(size_of::<PscEntry>() == 8);
    assert!(size_of::<PscHeader>() + PSC_MAX_ENTRIES * size_of::<PscEntry>() == SHARED_BUFFER_SIZE);
};

impl PscHeader {
    /// The head of a list of `count` entries, if that is 1 to
    /// [`PSC_MAX_ENTRIES`].
    pub fn for_count(count: usize) -> Option<Self> {
        if count > PSC_MAX_ENTRIES {
            return None;
        }
        Some(Self {
            cur_entry: 0,
            end_entry: u16::try_from(count.checked_sub(1)?).ok()?,
            reserved: 0,
        })
    }

    /// Offset of an entry from the start of the list, if the list has it.
    pub fn entry_offset(index: usize) -> Option<usize> {
        if index < PSC_MAX_ENTRIES {
            Some(size_of::<Self>() + index * size_of::<PscEntry>())
        } else {
            None
        }
    }

    /// Whether the host is past the last entry: all is done.
    pub const fn is_done(self) -> bool {
        self.cur_entry > self.end_entry
    }
}

/// One page of the list: next 4 KiB page in 11:0, page frame in 51:12, operation
/// in 55:52, size in 56, zero above.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct PscEntry(
    /// The 64 bits.
    pub u64,
);

impl PscEntry {
    const GPA: u64 = 0x000f_ffff_ffff_f000;
    const SIZE: u64 = 1 << 56;

    /// An entry that is not begun, unless the address is beyond 52 bits.
    pub const fn new(page: GpaPage, operation: PscOperation) -> Option<Self> {
        let gpa = page.gpa().get();
        if gpa & !Self::GPA != 0 {
            return None;
        }
        Some(Self(
            gpa | (operation.0 as u64 & 0xf) << 52 | page.size().encoding() << 56,
        ))
    }

    /// 4 KiB pages done in a 2 MiB entry, 0 to 4095. The host advances it.
    pub const fn cur_page(self) -> u16 {
        (self.0 & 0xfff) as u16
    }

    /// The same entry with another number of pages done; 12 bits are kept.
    pub const fn with_cur_page(self, cur_page: u16) -> Self {
        Self(self.0 & !0xfff | cur_page as u64 & 0xfff)
    }

    /// The page's first byte.
    pub const fn gpa(self) -> Gpa {
        Gpa::new(self.0 & Self::GPA)
    }

    /// The page's frame number, in 4 KiB pages.
    pub const fn gfn(self) -> u64 {
        (self.0 & Self::GPA) >> 12
    }

    /// What is to become of the page.
    pub const fn operation(self) -> PscOperation {
        PscOperation((self.0 >> 52 & 0xf) as u8)
    }

    /// The size the entry says.
    pub const fn size(self) -> PageSize {
        if self.0 & Self::SIZE == 0 {
            PageSize::Size4K
        } else {
            PageSize::Size2M
        }
    }

    /// The page, if its address is aligned to its size.
    pub const fn page(self) -> Option<GpaPage> {
        GpaPage::new(self.gpa(), self.size())
    }

    /// Bits 63:57, which have to be zero.
    pub const fn reserved(self) -> u64 {
        self.0 >> 57
    }
}

/// SW_EXITINFO2 after a page state change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "the host may have refused"]
pub struct PscResult(
    /// The number.
    pub u64,
);

impl PscResult {
    /// No error. All is done only if the header says so too.
    pub const SUCCESS: Self = Self(0);
    /// The header is wrong.
    pub const INVALID_HEADER: Self = Self(1 << 32 | 1);
    /// The entry at `cur_entry` is wrong.
    pub const INVALID_ENTRY: Self = Self(1 << 32 | 2);
    /// Any other error.
    pub const GENERIC: Self = Self(0x100 << 32);

    /// Whether the host reports no error.
    pub const fn is_success(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_is_laid_out_as_published() {
        let page = GpaPage::new_2m(Gpa::new(0x4_0020_0000)).unwrap();
        let entry = PscEntry::new(page, PscOperation::SHARED).unwrap();
        assert_eq!(entry.0, 0x0120_0004_0020_0000);
        assert_eq!(entry.with_cur_page(0x200).0, 0x0120_0004_0020_0200);
    }

    #[test]
    fn an_address_beyond_52_bits_has_no_entry() {
        let page = GpaPage::new_4k(Gpa::new(1 << 52)).unwrap();
        assert_eq!(PscEntry::new(page, PscOperation::PRIVATE), None);
    }

    #[test]
    fn the_header_holds_the_last_index() {
        assert_eq!(PscHeader::for_count(0), None);
        assert_eq!(PscHeader::for_count(254), None);
        let mut header = PscHeader::for_count(253).unwrap();
        assert_eq!(header.end_entry, 252);
        assert!(!header.is_done());
        header.cur_entry = 253;
        assert!(header.is_done());
        assert_eq!(PscHeader::entry_offset(252), Some(SHARED_BUFFER_SIZE - 8));
        assert_eq!(PscHeader::entry_offset(253), None);
    }

    proptest! {
        #[test]
        fn an_entry_gives_back_what_made_it(
            frame in 0u64..1 << 31, large: bool, operation in 0u8..16, cur in 0u16..4096,
        ) {
            let size = if large { PageSize::Size2M } else { PageSize::Size4K };
            let page = GpaPage::new(Gpa::new(frame * 0x20_0000), size).unwrap();
            let entry = PscEntry::new(page, PscOperation(operation)).unwrap().with_cur_page(cur);
            prop_assert_eq!(entry.page(), Some(page));
            prop_assert_eq!(entry.operation(), PscOperation(operation));
            prop_assert_eq!(entry.cur_page(), cur);
            prop_assert_eq!(entry.gfn(), page.gpa().pfn());
            prop_assert_eq!(entry.reserved(), 0);
        }

        #[test]
        fn any_bits_are_an_entry_whose_parts_make_it_again(bits: u64) {
            let entry = PscEntry(bits);
            let again = u64::from(entry.cur_page())
                | entry.gpa().get()
                | u64::from(entry.operation().0) << 52
                | entry.size().encoding() << 56
                | entry.reserved() << 57;
            prop_assert_eq!(again, bits);
        }
    }
}
