//! What the loader of an IGVM file tells the guest in its parameter areas. None
//! of it is measured: every value is the host's word.

use core::mem::{offset_of, size_of};

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::layout;
use crate::addr::PAGE_4K;

/// What an entry of the memory map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemoryMapType(
    /// The number.
    pub u16,
);

impl MemoryMapType {
    /// RAM.
    pub const MEMORY: Self = Self(0);
    /// Reserved by the platform.
    pub const PLATFORM_RESERVED: Self = Self(1);
    /// Persistent memory.
    pub const PERSISTENT: Self = Self(2);
    /// RAM that VTL2 may protect.
    pub const VTL2_PROTECTABLE: Self = Self(3);
}

/// An entry of the memory map (IGVM_VHS_MEMORY_MAP_ENTRY). The map is a list
/// of them that ends at the first with no pages, or with its area.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct MemoryMapEntry {
    /// Number of the first 4 KiB page.
    pub first_page: U64,
    /// Number of 4 KiB pages. Zero ends the list.
    pub pages: U64,
    /// A [`MemoryMapType`].
    pub entry_type: U16,
    /// Flags. None are defined for RAM.
    pub flags: U16,
    /// Zero.
    pub reserved: U32,
}

impl MemoryMapEntry {
    /// An entry without flags.
    pub const fn new(first_page: u64, pages: u64, kind: MemoryMapType) -> Self {
        Self {
            first_page: U64::new(first_page),
            pages: U64::new(pages),
            entry_type: U16::new(kind.0),
            flags: U16::new(0),
            reserved: U32::new(0),
        }
    }

    /// What the entry is, known or not.
    pub const fn kind(&self) -> MemoryMapType {
        MemoryMapType(self.entry_type.get())
    }

    /// Whether the entry is the end of the list.
    pub const fn is_end(&self) -> bool {
        self.pages.get() == 0
    }
}

/// Most entries that one page holds.
pub const MAX_ENTRIES_IN_PAGE: usize = PAGE_4K as usize / size_of::<MemoryMapEntry>();

/// Number of virtual processors (IGVM_VHT_VP_COUNT_PARAMETER).
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct VpCount {
    /// The number that the host says.
    pub count: U32,
}

impl VpCount {
    /// A count.
    pub const fn new(count: u32) -> Self {
        Self {
            count: U32::new(count),
        }
    }

    /// The count as a number.
    pub const fn get(self) -> u32 {
        self.count.get()
    }
}

const _: () = {
    assert!(size_of::<MemoryMapEntry>() == 24);
    assert!(offset_of!(MemoryMapEntry, first_page) == 0);
    assert!(offset_of!(MemoryMapEntry, pages) == 8);
    assert!(offset_of!(MemoryMapEntry, entry_type) == 16);
    assert!(offset_of!(MemoryMapEntry, flags) == 18);
    assert!(offset_of!(MemoryMapEntry, reserved) == 20);
    assert!(size_of::<VpCount>() == 4);
    assert!(
        layout::GUEST_MEMORY_MAP_MAX_ENTRIES * size_of::<MemoryMapEntry>()
            <= (layout::GUEST_VP_COUNT_OFFSET - layout::GUEST_MEMORY_MAP_OFFSET) as usize
    );
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_from_any_address() {
        let mut bytes = [0u8; 25];
        bytes[1..9].copy_from_slice(&0x100u64.to_le_bytes());
        bytes[9..17].copy_from_slice(&0x300u64.to_le_bytes());
        bytes[17..19].copy_from_slice(&1u16.to_le_bytes());
        let entry = MemoryMapEntry::ref_from_bytes(&bytes[1..]).unwrap();
        assert_eq!(
            *entry,
            MemoryMapEntry::new(0x100, 0x300, MemoryMapType::PLATFORM_RESERVED)
        );
        assert!(!entry.is_end());
        assert!(MemoryMapEntry::default().is_end());
    }

    #[test]
    fn an_unknown_kind_is_kept() {
        let entry = MemoryMapEntry::new(0, 1, MemoryMapType(0x1234));
        assert_eq!(entry.kind().0, 0x1234);
        assert_ne!(entry.kind(), MemoryMapType::MEMORY);
    }

    #[test]
    fn a_page_holds_170_entries() {
        assert_eq!(MAX_ENTRIES_IN_PAGE, 170);
    }
}
