//! The CPUID page (SEV-SNP firmware ABI, SNP_LAUNCH_UPDATE, PAGE_TYPE_CPUID)
//! and the leaves of it that matter to an SNP guest (APM volume 3, appendix
//! E.4).

use core::mem::{offset_of, size_of};

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Most entries that a CPUID page has.
pub const CPUID_MAX_ENTRIES: usize = 64;

/// Leaf of the longest standard leaf and the vendor.
pub const LEAF_VENDOR: u32 = 0x0000_0000;
/// Leaf of family, model, stepping and features.
pub const LEAF_FEATURES: u32 = 0x0000_0001;
/// Leaf of the extended state: the one that XCR0 and XSS select in.
pub const LEAF_EXTENDED_STATE: u32 = 0x0000_000d;
/// Leaf of the address widths.
pub const LEAF_ADDRESS_WIDTHS: u32 = 0x8000_0008;
/// Leaf of the memory encryption capabilities.
pub const LEAF_MEMORY_ENCRYPTION: u32 = 0x8000_001f;

/// What CPUID returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CpuidRegisters {
    /// EAX.
    pub eax: u32,
    /// EBX.
    pub ebx: u32,
    /// ECX.
    pub ecx: u32,
    /// EDX.
    pub edx: u32,
}

/// One CPUID function.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct CpuidEntry {
    /// The leaf.
    pub eax_in: u32,
    /// The subleaf, zero where the leaf has none.
    pub ecx_in: u32,
    /// XCR0 that the values hold for, leaf 0xD subleaves 0 and 1 only.
    pub xcr0_in: u64,
    /// XSS that the values hold for, leaf 0xD subleaves 0 and 1 only.
    pub xss_in: u64,
    /// EAX.
    pub eax: u32,
    /// EBX.
    pub ebx: u32,
    /// ECX.
    pub ecx: u32,
    /// EDX.
    pub edx: u32,
    /// Zero.
    pub reserved: u64,
}

impl CpuidEntry {
    /// An entry whose values do not depend on XCR0 and XSS.
    pub const fn new(leaf: u32, subleaf: u32, registers: CpuidRegisters) -> Self {
        Self {
            eax_in: leaf,
            ecx_in: subleaf,
            xcr0_in: 0,
            xss_in: 0,
            eax: registers.eax,
            ebx: registers.ebx,
            ecx: registers.ecx,
            edx: registers.edx,
            reserved: 0,
        }
    }

    /// The values.
    pub const fn registers(&self) -> CpuidRegisters {
        CpuidRegisters {
            eax: self.eax,
            ebx: self.ebx,
            ecx: self.ecx,
            edx: self.edx,
        }
    }

    /// Whether the values depend on XCR0 and XSS.
    const fn is_by_state(&self) -> bool {
        self.eax_in == LEAF_EXTENDED_STATE && self.ecx_in <= 1
    }
}

/// The CPUID page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CpuidPage {
    /// Number of entries in use.
    pub count: u32,
    /// Zero.
    pub reserved: u32,
    /// Zero.
    pub reserved_0x8: u64,
    /// The entries; those from `count` on mean nothing.
    pub functions: [CpuidEntry; CPUID_MAX_ENTRIES],
    /// Zero.
    pub reserved_0xc10: [u8; 0x3f0],
}

/// The page's count is above [`CPUID_MAX_ENTRIES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct TooManyEntries(
    /// The count.
    pub u32,
);

impl CpuidPage {
    /// The entries in use, none if the count is more than the page holds.
    pub fn entries(&self) -> Result<&[CpuidEntry], TooManyEntries> {
        self.functions
            .get(..self.count as usize)
            .ok_or(TooManyEntries(self.count))
    }

    /// The values of a function, if the page has it. XCR0 and XSS matter to
    /// leaf 0xD subleaves 0 and 1 alone. A page with a bad count has nothing.
    pub fn lookup(&self, leaf: u32, subleaf: u32, xcr0: u64, xss: u64) -> Option<CpuidRegisters> {
        let entries = self.entries().ok()?;
        let wanted = |entry: &&CpuidEntry| {
            entry.eax_in == leaf
                && entry.ecx_in == subleaf
                && (!entry.is_by_state() || (entry.xcr0_in == xcr0 && entry.xss_in == xss))
        };
        entries.iter().find(wanted).map(CpuidEntry::registers)
    }

    /// Leaf 0x8000001F, if the page has it.
    pub fn memory_encryption(&self) -> Option<MemoryEncryption> {
        let registers = self.lookup(LEAF_MEMORY_ENCRYPTION, 0, 0, 0)?;
        Some(MemoryEncryption(registers))
    }

    /// Leaf 0x80000008, if the page has it.
    pub fn address_widths(&self) -> Option<AddressWidths> {
        let registers = self.lookup(LEAF_ADDRESS_WIDTHS, 0, 0, 0)?;
        Some(AddressWidths(registers))
    }
}

bitflags! {
    /// EAX of leaf 0x8000001F.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct EncryptionFeatures: u32 {
        /// SEV.
        const SEV = 1 << 1;
        /// SEV-ES.
        const SEV_ES = 1 << 3;
        /// SEV-SNP.
        const SNP = 1 << 4;
        /// VMPLs.
        const VMPL = 1 << 5;
        /// An SVSM is present; software's bit, never the processor's.
        const SVSM = 1 << 28;
        /// Every other bit.
        const _ = !0;
    }
}

/// Leaf 0x8000001F: the memory encryption capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryEncryption(
    /// The leaf's values.
    pub CpuidRegisters,
);

impl MemoryEncryption {
    /// EBX bit 31: validation keeps caches coherent, so no page has to be
    /// evicted from the cache by software.
    pub const COHERENCY_SFW_NO: u32 = 1 << 31;

    /// Capabilities (EAX).
    pub const fn features(self) -> EncryptionFeatures {
        EncryptionFeatures::from_bits_retain(self.0.eax)
    }

    /// Number of the C-bit (EBX 5:0).
    pub const fn c_bit(self) -> u32 {
        self.0.ebx & 0x3f
    }

    /// Bits by which encryption shortens physical addresses (EBX 11:6).
    pub const fn address_reduction(self) -> u32 {
        (self.0.ebx >> 6) & 0x3f
    }

    /// Number of VMPLs (EBX 15:12).
    pub const fn vmpls(self) -> u32 {
        (self.0.ebx >> 12) & 0xf
    }

    /// Whether a validated page's old cache lines cannot be seen
    /// ([`MemoryEncryption::COHERENCY_SFW_NO`]).
    pub const fn is_coherent(self) -> bool {
        self.0.ebx & Self::COHERENCY_SFW_NO != 0
    }
}

/// Leaf 0x80000008: the address widths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressWidths(
    /// The leaf's values.
    pub CpuidRegisters,
);

impl AddressWidths {
    /// Width of a physical address in bits (EAX 7:0).
    pub const fn physical(self) -> u32 {
        self.0.eax & 0xff
    }

    /// Width of a linear address in bits (EAX 15:8).
    pub const fn linear(self) -> u32 {
        (self.0.eax >> 8) & 0xff
    }

    /// Width of a guest physical address in bits (EAX 23:16); zero means the
    /// physical width.
    pub const fn guest_physical(self) -> u32 {
        match (self.0.eax >> 16) & 0xff {
            0 => self.physical(),
            width => width,
        }
    }
}

const _: () = {
    assert!(size_of::<CpuidEntry>() == 48);
    assert!(offset_of!(CpuidEntry, eax_in) == 0);
    assert!(offset_of!(CpuidEntry, ecx_in) == 4);
    assert!(offset_of!(CpuidEntry, xcr0_in) == 8);
    assert!(offset_of!(CpuidEntry, xss_in) == 16);
    assert!(offset_of!(CpuidEntry, eax) == 24);
    assert!(offset_of!(CpuidEntry, ebx) == 28);
    assert!(offset_of!(CpuidEntry, ecx) == 32);
    assert!(offset_of!(CpuidEntry, edx) == 36);
    assert!(offset_of!(CpuidEntry, reserved) == 40);
    assert!(size_of::<CpuidPage>() == 4096);
    assert!(offset_of!(CpuidPage, count) == 0);
    assert!(offset_of!(CpuidPage, functions) == 16);
    assert!(offset_of!(CpuidPage, reserved_0xc10) == 0xc10);
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zerocopy::FromZeros;

    fn values(eax: u32, ebx: u32) -> CpuidRegisters {
        CpuidRegisters {
            eax,
            ebx,
            ecx: 3,
            edx: 4,
        }
    }

    fn page(entries: &[CpuidEntry]) -> CpuidPage {
        let mut page = CpuidPage::new_zeroed();
        page.count = entries.len() as u32;
        page.functions[..entries.len()].copy_from_slice(entries);
        page
    }

    #[test]
    fn a_function_is_found_by_leaf_and_subleaf() {
        let page = page(&[
            CpuidEntry::new(7, 0, values(1, 2)),
            CpuidEntry::new(7, 1, values(5, 6)),
        ]);
        assert_eq!(page.lookup(7, 1, 9, 9), Some(values(5, 6)));
        assert_eq!(page.lookup(7, 2, 0, 0), None);
        // Zeros behind the count are no entry for leaf 0.
        assert_eq!(page.lookup(0, 0, 0, 0), None);
        assert_eq!(CpuidPage::read_from_bytes(page.as_bytes()), Ok(page));
    }

    #[test]
    fn extended_state_is_found_by_xcr0_and_xss_too() {
        let mut narrow = CpuidEntry::new(0xd, 1, values(1, 0x240));
        narrow.xcr0_in = 1;
        let mut wide = CpuidEntry::new(0xd, 1, values(1, 0x340));
        (wide.xcr0_in, wide.xss_in) = (7, 0x1800);
        let component = CpuidEntry::new(0xd, 2, values(0x100, 0x240));
        let page = page(&[narrow, wide, component]);
        assert_eq!(page.lookup(0xd, 1, 7, 0x1800), Some(values(1, 0x340)));
        assert_eq!(page.lookup(0xd, 1, 1, 0), Some(values(1, 0x240)));
        assert_eq!(page.lookup(0xd, 1, 7, 0), None);
        assert_eq!(page.lookup(0xd, 2, 7, 0), Some(values(0x100, 0x240)));
    }

    #[test]
    fn memory_encryption_is_decoded() {
        let eax = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5;
        let ebx = 51 | 1 << 6 | 4 << 12 | 1 << 31;
        let leaf = CpuidEntry::new(LEAF_MEMORY_ENCRYPTION, 0, values(eax, ebx));
        let leaf = page(&[leaf]).memory_encryption().unwrap();
        let all = EncryptionFeatures::SEV
            | EncryptionFeatures::SEV_ES
            | EncryptionFeatures::SNP
            | EncryptionFeatures::VMPL;
        assert_eq!(leaf.features(), all);
        assert_eq!(leaf.c_bit(), 51);
        assert_eq!(leaf.address_reduction(), 1);
        assert_eq!(leaf.vmpls(), 4);
        assert!(leaf.is_coherent());
    }

    #[test]
    fn address_widths_are_decoded() {
        let with = |eax| {
            let leaf = CpuidEntry::new(LEAF_ADDRESS_WIDTHS, 0, values(eax, 0));
            page(&[leaf]).address_widths().unwrap()
        };
        assert_eq!(with(0x3034).physical(), 52);
        assert_eq!(with(0x3034).linear(), 48);
        assert_eq!(with(0x3034).guest_physical(), 52);
        assert_eq!(with(0x2d_3034).guest_physical(), 45);
    }

    proptest! {
        #[test]
        fn no_count_makes_a_lookup_leave_the_page(count: u32, leaf: u32) {
            let mut page = CpuidPage::new_zeroed();
            page.count = count;
            let fits = count as usize <= CPUID_MAX_ENTRIES;
            prop_assert_eq!(page.entries().is_ok(), fits);
            prop_assert_eq!(page.lookup(0, 0, 0, 0).is_some(), fits && count > 0);
            prop_assert_eq!(page.lookup(leaf.max(1), 0, 0, 0), None);
        }
    }

    #[test]
    fn the_largest_count_is_64() {
        let mut page = CpuidPage::new_zeroed();
        page.count = 64;
        assert_eq!(page.entries().unwrap().len(), 64);
        page.count = 65;
        assert_eq!(page.entries(), Err(TooManyEntries(65)));
    }
}
