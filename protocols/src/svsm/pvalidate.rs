//! The list of the core protocol's PVALIDATE call (AMD publication 58019,
//! SVSM_CORE_PVALIDATE).

use core::mem::{offset_of, size_of};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::CA_BUFFER_SIZE;
use crate::addr::{Gpa, GpaPage, PageSize};

/// Entries that fit the calling area's buffer behind the header.
pub const MAX_ENTRIES_IN_CA: usize = 510;
/// Alignment of the list in bytes. It must not cross a 4 KiB page either.
pub const PVALIDATE_LIST_ALIGN: u64 = 8;

/// The head of the list.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct PvalidateHeader {
    /// Number of entries.
    pub entries: u16,
    /// Index of the next entry. The SVSM advances it.
    pub next: u16,
    /// Zero.
    pub reserved: u32,
}

const _: () = {
    assert!(size_of::<PvalidateHeader>() == 8);
    assert!(offset_of!(PvalidateHeader, entries) == 0);
    assert!(offset_of!(PvalidateHeader, next) == 2);
    assert!(offset_of!(PvalidateHeader, reserved) == 4);
    assert!(size_of::<PvalidateEntry>() == 8);
    assert!(
        size_of::<PvalidateHeader>() + MAX_ENTRIES_IN_CA * size_of::<PvalidateEntry>()
            == CA_BUFFER_SIZE
    );
};

impl PvalidateHeader {
    /// Offset of the field `next`, which the SVSM writes back.
    pub const NEXT_OFFSET: usize = offset_of!(PvalidateHeader, next);

    /// The head of a list that is not begun.
    pub const fn new(entries: u16) -> Self {
        Self {
            entries,
            next: 0,
            reserved: 0,
        }
    }

    /// Length in bytes of the whole list, header included.
    pub const fn list_bytes(self) -> u64 {
        size_of::<Self>() as u64 + self.entries as u64 * size_of::<PvalidateEntry>() as u64
    }

    /// Offset in bytes of an entry from the start of the list.
    pub const fn entry_offset(index: u16) -> u64 {
        size_of::<Self>() as u64 + index as u64 * size_of::<PvalidateEntry>() as u64
    }
}

/// One page of the list: size in 1:0, action in 2, ignore CF in 3, zero in
/// 11:4, address in 63:12.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct PvalidateEntry(
    /// The 64 bits.
    pub u64,
);

impl PvalidateEntry {
    const SIZE: u64 = 3;
    const VALIDATE: u64 = 1 << 2;
    const IGNORE_CF: u64 = 1 << 3;
    const RESERVED: u64 = 0xff0;
    const GPA: u64 = !0xfff;

    /// Validate or invalidate the page.
    pub const fn new(page: GpaPage, validate: bool) -> Self {
        let action = if validate { Self::VALIDATE } else { 0 };
        Self(page.gpa().get() | action | page.size().encoding())
    }

    /// The same entry, for which a page already in the wanted state is no error.
    pub const fn ignoring_cf(self) -> Self {
        Self(self.0 | Self::IGNORE_CF)
    }

    /// The page's size, unless the bits name none.
    pub const fn size(self) -> Option<PageSize> {
        PageSize::from_encoding(self.0 & Self::SIZE)
    }

    /// Whether to validate, else to invalidate.
    pub const fn validate(self) -> bool {
        self.0 & Self::VALIDATE != 0
    }

    /// Whether a page already in the wanted state is no error.
    pub const fn ignore_cf(self) -> bool {
        self.0 & Self::IGNORE_CF != 0
    }

    /// Bits 11:4 in place, which have to be zero.
    pub const fn reserved(self) -> u64 {
        self.0 & Self::RESERVED
    }

    /// The address.
    pub const fn gpa(self) -> Gpa {
        Gpa::new(self.0 & Self::GPA)
    }

    /// The page, if the size exists, the address is aligned to it and bits 11:4
    /// are zero.
    pub const fn page(self) -> Option<GpaPage> {
        match self.size() {
            Some(size) if self.reserved() == 0 => GpaPage::new(self.gpa(), size),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_is_laid_out_as_published() {
        let page = GpaPage::new_2m(Gpa::new(0x4000_0000)).unwrap();
        assert_eq!(PvalidateEntry::new(page, true).0, 0x4000_0005);
        assert_eq!(
            PvalidateEntry::new(page, false).ignoring_cf().0,
            0x4000_0009
        );
    }

    #[test]
    fn a_malformed_entry_has_no_page() {
        for bits in [0x1002, 0x1003, 0x1001, 0x1010, 0x1800] {
            assert_eq!(PvalidateEntry(bits).page(), None, "{bits:#x}");
        }
        assert!(PvalidateEntry(0x100c).page().is_some());
    }

    #[test]
    fn a_full_list_ends_with_the_calling_area() {
        assert_eq!(PvalidateHeader::new(510).list_bytes(), 4088);
        assert_eq!(PvalidateHeader::entry_offset(509), 4080);
        assert_eq!(PvalidateHeader::new(u16::MAX).list_bytes(), 8 + 65535 * 8);
        assert_eq!(PvalidateHeader::NEXT_OFFSET, 2);
    }

    proptest! {
        #[test]
        fn an_entry_gives_back_what_made_it(
            frame in 0u64..1 << 40, large: bool, validate: bool, ignore: bool,
        ) {
            let size = if large { PageSize::Size2M } else { PageSize::Size4K };
            let page = GpaPage::new(Gpa::new(frame << 21), size).unwrap();
            let plain = PvalidateEntry::new(page, validate);
            let entry = if ignore { plain.ignoring_cf() } else { plain };
            prop_assert_eq!(entry.page(), Some(page));
            prop_assert_eq!(entry.validate(), validate);
            prop_assert_eq!(entry.ignore_cf(), ignore);
        }

        #[test]
        fn any_bits_are_an_entry_whose_parts_make_it_again(bits: u64) {
            let entry = PvalidateEntry(bits);
            let again = entry.gpa().get()
                | entry.reserved()
                | u64::from(entry.ignore_cf()) << 3
                | u64::from(entry.validate()) << 2
                | entry.size().map_or(bits & 3, PageSize::encoding);
            prop_assert_eq!(again, bits);
            if let Some(page) = entry.page() {
                let made = PvalidateEntry::new(page, entry.validate());
                let made = if entry.ignore_cf() { made.ignoring_cf() } else { made };
                prop_assert_eq!(made, entry);
            }
        }
    }
}
