//! SEV_FEATURES of the VMSA and the SEV_STATUS MSR (APM volume 2, section
//! 15.34.10 and table B-4).

use bitflags::bitflags;

bitflags! {
    /// SEV_FEATURES, VMSA offset 0x3B0. Bits that no name stands for are kept:
    /// they are what a negotiation has to refuse.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SevFeatures: u64 {
        /// SEV-SNP.
        const SNP = 1;
        /// Virtual top of memory.
        const VTOM = 1 << 1;
        /// #VC of lower VMPLs is an exit.
        const REFLECT_VC = 1 << 2;
        /// Restricted injection: only #HV.
        const RESTRICTED_INJECTION = 1 << 3;
        /// Alternate injection.
        const ALTERNATE_INJECTION = 1 << 4;
        /// Debug registers are swapped.
        const DEBUG_SWAP = 1 << 5;
        /// The host's instruction-based sampling is prevented.
        const PREVENT_HOST_IBS = 1 << 6;
        /// Branch target buffer isolation.
        const BTB_ISOLATION = 1 << 7;
        /// Supervisor shadow stacks by VMPL.
        const VMPL_SSS = 1 << 8;
        /// Secure TSC.
        const SECURE_TSC = 1 << 9;
        /// Parameters of VMGEXIT.
        const VMGEXIT_PARAMETER = 1 << 10;
        /// Performance counter virtualisation.
        const PMC_VIRTUALIZATION = 1 << 11;
        /// Instruction-based sampling virtualisation.
        const IBS_VIRTUALIZATION = 1 << 12;
        /// VMSA register protection.
        const VMSA_REGISTER_PROTECTION = 1 << 14;
        /// SMT protection.
        const SMT_PROTECTION = 1 << 15;
        /// Secure AVIC.
        const SECURE_AVIC = 1 << 16;
        /// IBPB on entry.
        const IBPB_ON_ENTRY = 1 << 21;
        /// Every other bit.
        const _ = !0;
    }

    /// The SEV_STATUS MSR, 0xC0010131: SEV, SEV-ES, then SEV_FEATURES from bit 2.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SevStatus: u64 {
        /// SEV is on.
        const SEV = 1;
        /// SEV-ES is on.
        const SEV_ES = 1 << 1;
        /// SEV-SNP is on.
        const SEV_SNP = 1 << 2;
        /// Every other bit.
        const _ = !0;
    }
}

/// Number of the SEV_STATUS MSR.
pub const MSR_SEV_STATUS: u32 = 0xc001_0131;

impl SevFeatures {
    /// SEV_STATUS of a guest that runs with these features.
    pub const fn status(self) -> SevStatus {
        SevStatus::from_bits_retain(self.bits() << 2 | 3)
    }
}

impl SevStatus {
    /// The SEV_FEATURES that the status shows.
    pub const fn features(self) -> SevFeatures {
        SevFeatures::from_bits_retain(self.bits() >> 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_shows_the_features_two_bits_up() {
        let status = (SevFeatures::SNP | SevFeatures::SECURE_TSC).status();
        assert_eq!(status.bits(), 0x807);
        assert_eq!(
            status.features(),
            SevFeatures::SNP | SevFeatures::SECURE_TSC
        );
        assert!(status.contains(SevStatus::SEV_SNP));
    }
}
