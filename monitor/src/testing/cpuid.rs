//! A CPUID page.

use protocols::snp::{
    CpuidEntry, CpuidPage, CpuidRegisters, LEAF_ADDRESS_WIDTHS, LEAF_MEMORY_ENCRYPTION,
};
use zerocopy::FromZeros;

pub(crate) fn registers(eax: u32, ebx: u32, ecx: u32, edx: u32) -> CpuidRegisters {
    CpuidRegisters { eax, ebx, ecx, edx }
}

/// A page like the emulated machine's: C-bit 51, 48 address bits.
pub(crate) fn cpuid_page() -> CpuidPage {
    let mut page = CpuidPage::new_zeroed();
    page.functions[0] = CpuidEntry::new(0, 0, registers(0xb, 1, 2, 3));
    page.functions[1] = CpuidEntry::new(1, 0, registers(0, 5 << 24, 1 << 31, 0));
    page.functions[2] = CpuidEntry::new(LEAF_ADDRESS_WIDTHS, 0, registers(0x3030, 0, 0, 0));
    page.functions[3] = CpuidEntry::new(
        LEAF_MEMORY_ENCRYPTION,
        0,
        registers(0x3a, 51 | 1 << 6, 0, 0),
    );
    page.count = 4;
    page
}
