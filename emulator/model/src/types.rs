//! The two names that only the system's side needs: system physical addresses
//! and address space identifiers.

use core::num::NonZeroU32;

use protocols::addr::PageSize;

/// A system physical address: what the nested page tables yield and what indexes
/// the RMP. A guest never sees one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spa(pub u64);

impl Spa {
    /// The first byte of the page of that size that holds this address.
    pub const fn page_base(self, size: PageSize) -> Spa {
        Spa(self.0 & !(size.bytes() - 1))
    }

    /// The distance from the first byte of the page of that size.
    pub const fn page_offset(self, size: PageSize) -> u64 {
        self.0 & (size.bytes() - 1)
    }

    /// Whether this is the first byte of a page of that size.
    pub const fn is_aligned(self, size: PageSize) -> bool {
        self.page_offset(size) == 0
    }
}

/// The address space identifier of a guest: the key its private pages belong to.
///
/// Zero is the host's and cannot be named here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asid(NonZeroU32);

impl Asid {
    /// The identifier of a guest, or `None` for the host's, zero.
    pub const fn new(value: u32) -> Option<Asid> {
        match NonZeroU32::new(value) {
            Some(v) => Some(Asid(v)),
            None => None,
        }
    }

    /// The number itself, never zero.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}
