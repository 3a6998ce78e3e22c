//! The CPUID page: checked once, then the only source of CPUID at VMPL0.

use protocols::ghcb::RampartReason;
use protocols::snp::{
    AddressWidths, CpuidPage, CpuidRegisters, EncryptionFeatures, LEAF_ADDRESS_WIDTHS,
    MemoryEncryption,
};

use crate::fatal::Fatal;

/// A CPUID page that has passed the checks.
#[derive(Clone, Debug)]
pub struct CpuidTable {
    page: CpuidPage,
    encryption: MemoryEncryption,
    widths: AddressWidths,
}

/// Leaf of the initial APIC ID in EBX 31:24.
const LEAF_FEATURES: u32 = 1;
/// Leaf of the extended topology: EDX is the x2APIC ID.
const LEAF_TOPOLOGY: u32 = 0xb;
/// EBX of the leaf of the address widths.
const INVLPGB: u32 = 1 << 3;
/// XCR0 of code that has enabled nothing but x87 and SSE.
const XCR0: u64 = 3;

impl CpuidTable {
    /// Checks a copy of the page: a sane count, and the leaves that describe
    /// memory encryption and addresses, which nothing works without.
    ///
    /// # Errors
    /// [`Fatal`] with CpuidPageMalformed.
    pub fn new(page: CpuidPage) -> Result<Self, Fatal> {
        let bad =
            |detail: u32| Fatal::with_detail(RampartReason::CpuidPageMalformed, u64::from(detail));
        page.entries().map_err(|error| bad(error.0))?;
        let encryption = page.memory_encryption().ok_or(bad(0))?;
        let widths = page.address_widths().ok_or(bad(0))?;
        let needed = EncryptionFeatures::SEV | EncryptionFeatures::SEV_ES | EncryptionFeatures::SNP;
        let c_bit_above_page = (32..=62).contains(&encryption.c_bit());
        let width_in_range = (32..=52).contains(&widths.guest_physical());
        if !encryption.features().contains(needed) || !c_bit_above_page || !width_in_range {
            return Err(bad(encryption.0.eax));
        }
        Ok(CpuidTable {
            page,
            encryption,
            widths,
        })
    }

    /// What CPUID answers. A leaf that the page has not is zeros, never a failure.
    #[must_use]
    pub fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidRegisters {
        self.page.lookup(leaf, subleaf, XCR0, 0).unwrap_or_default()
    }

    /// Number of the C-bit.
    #[must_use]
    pub fn c_bit(&self) -> u32 {
        self.encryption.c_bit()
    }

    /// Whether validated pages have to be touched (CVE-2025-38560, threat 11).
    #[must_use]
    pub fn needs_eviction(&self) -> bool {
        !self.encryption.is_coherent()
    }

    /// One above the highest guest physical address: the C-bit and everything
    /// above the processor's width are no address.
    #[must_use]
    pub fn physical_limit(&self) -> u64 {
        let bits = self.widths.guest_physical().min(self.encryption.c_bit());
        1u64.checked_shl(bits).unwrap_or(u64::MAX)
    }

    /// The boot processor's APIC ID: the page was made for it.
    #[must_use]
    pub fn apic_id(&self) -> u32 {
        match self.page.lookup(LEAF_TOPOLOGY, 0, 0, 0) {
            Some(topology) if topology.ebx != 0 => topology.edx,
            _ => self.cpuid(LEAF_FEATURES, 0).ebx >> 24,
        }
    }

    /// Whether INVLPGB and TLBSYNC may be used: EBX bit 3 of leaf 0x80000008.
    #[must_use]
    pub fn has_invlpgb(&self) -> bool {
        self.cpuid(LEAF_ADDRESS_WIDTHS, 0).ebx & INVLPGB != 0
    }

    /// The page, for the guest's copy.
    #[must_use]
    pub fn page(&self) -> &CpuidPage {
        &self.page
    }
}

#[cfg(test)]
mod tests;
