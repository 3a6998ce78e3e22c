//! What the hypervisor says it offers (AMD publication 56421, hypervisor
//! features).

use bitflags::bitflags;

bitflags! {
    /// The answer to MSR request 0x080 and exit 0x8000FFFD. Bits that no name
    /// stands for are kept.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct HvFeatures: u64 {
        /// SEV-SNP.
        const SNP = 1;
        /// AP creation by exit 0x80000013.
        const AP_CREATION = 1 << 1;
        /// Restricted injection.
        const RESTRICTED_INJECTION = 1 << 2;
        /// The timer of restricted injection.
        const RESTRICTED_INJECTION_TIMER = 1 << 3;
        /// The APIC ID list by exit 0x80000017.
        const APIC_ID_LIST = 1 << 4;
        /// Several VMPLs: run VMPL by MSR request 0x016 and exit 0x80000018.
        const MULTI_VMPL = 1 << 5;
        /// Page state change of SEV guests without SNP.
        const SEV_PAGE_STATE_CHANGE = 1 << 6;
        /// SEV-TIO.
        const SEV_TIO = 1 << 7;
        /// Extended interrupt information.
        const EXTENDED_INTERRUPTS = 1 << 9;
        /// Every other bit.
        const _ = !0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_have_the_published_bits_and_unknown_bits_stay() {
        let needed = HvFeatures::SNP
            | HvFeatures::AP_CREATION
            | HvFeatures::APIC_ID_LIST
            | HvFeatures::MULTI_VMPL;
        assert_eq!(needed.bits(), 0x33);
        let all = HvFeatures::from_bits_retain(u64::MAX);
        assert_eq!(HvFeatures::from_bits_truncate(u64::MAX), all);
        assert_eq!((all - needed).bits(), !0x33);
    }
}
