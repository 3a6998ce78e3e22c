//! The lists of the core protocol's DEPOSIT_MEM and WITHDRAW_MEM calls (AMD
//! publication 58019, SVSM_CORE_DEPOSIT_MEM and SVSM_CORE_WITHDRAW_MEM).

use core::mem::{offset_of, size_of};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::PvalidateHeader;
use crate::addr::{Gpa, GpaPage, PAGE_4K, PageSize};

/// Alignment of both lists in bytes. Neither may cross a 4 KiB page.
pub const MEMORY_LIST_ALIGN: u64 = 8;

/// The head of the list of DEPOSIT_MEM: the same as that of PVALIDATE.
pub type DepositHeader = PvalidateHeader;

/// One page of the list of DEPOSIT_MEM: size in 1:0, zero in 11:2, address in
/// 63:12.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct DepositEntry(
    /// The 64 bits.
    pub u64,
);

impl DepositEntry {
    const SIZE: u64 = 3;
    const RESERVED: u64 = 0xffc;
    const GPA: u64 = !0xfff;

    /// Gives a page away.
    pub const fn new(page: GpaPage) -> Self {
        Self(page.gpa().get() | page.size().encoding())
    }

    /// The page's size, unless the bits name none.
    pub const fn size(self) -> Option<PageSize> {
        PageSize::from_encoding(self.0 & Self::SIZE)
    }

    /// Bits 11:2 in place, which have to be zero.
    pub const fn reserved(self) -> u64 {
        self.0 & Self::RESERVED
    }

    /// The address.
    pub const fn gpa(self) -> Gpa {
        Gpa::new(self.0 & Self::GPA)
    }
}

/// The head of the list of WITHDRAW_MEM, which the SVSM writes. Addresses of
/// 4 KiB pages follow, 8 bytes each.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct WithdrawHeader {
    /// Number of addresses.
    pub entries: u16,
    /// Not used.
    pub unused: [u8; 6],
}

const _: () = {
    assert!(size_of::<DepositEntry>() == 8);
    assert!(size_of::<WithdrawHeader>() == 8);
    assert!(offset_of!(WithdrawHeader, entries) == 0);
    assert!(offset_of!(WithdrawHeader, unused) == 2);
};

impl WithdrawHeader {
    /// How many addresses fit between the head of a list at `gpa` and the end of
    /// its page. `gpa` is a multiple of [`MEMORY_LIST_ALIGN`].
    pub const fn room(gpa: u64) -> usize {
        let left = PAGE_4K - gpa % PAGE_4K;
        (left.saturating_sub(size_of::<Self>() as u64) / 8) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_is_laid_out_as_published() {
        let large = GpaPage::new_2m(Gpa::new(0x4000_0000)).unwrap();
        assert_eq!(DepositEntry::new(large).0, 0x4000_0001);
        let small = GpaPage::new_4k(Gpa::new(0x7000)).unwrap();
        assert_eq!(DepositEntry::new(small).0, 0x7000);
        assert_eq!(DepositEntry(0x7ffc).reserved(), 0xffc);
        assert_eq!(DepositEntry(0x7002).size(), None);
    }

    #[test]
    fn the_addresses_end_with_the_page() {
        assert_eq!(WithdrawHeader::room(0x1000), 511);
        assert_eq!(WithdrawHeader::room(0x1008), 510);
        assert_eq!(WithdrawHeader::room(0x1ff0), 1);
        assert_eq!(WithdrawHeader::room(0x1ff8), 0);
    }

    proptest! {
        #[test]
        fn any_bits_are_an_entry_whose_parts_make_it_again(bits: u64) {
            let entry = DepositEntry(bits);
            let size = entry.size().map_or(bits & 3, PageSize::encoding);
            prop_assert_eq!(entry.gpa().get() | entry.reserved() | size, bits);
        }
    }
}
