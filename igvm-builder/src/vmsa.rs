//! The boot processor's state at launch.
//!
//! QEMU and KVM keep only some fields of a VMSA (facts: guest-stack F.2); QEMU
//! refuses a file whose VMSA has others set, so they stay zero.

use igvm::snp_defs::SevVmsa;
use protocols::boot::layout;
use protocols::snp::{SevFeatures, Vmpl, Vmsa};
use zerocopy::{FromZeros, IntoBytes};

/// The state in which KVM starts an SNP guest at the reset vector. It differs
/// from the processor's own: KVM clears CD and NW of CR0 and sets MCE in CR4
/// when it writes the VMSA, and a launch digest must be of what KVM writes.
pub fn reset_vector(features: SevFeatures) -> Vmsa {
    const CR0_ET: u64 = 1 << 4;
    const CR4_MCE: u64 = 1 << 6;
    Vmsa {
        cr0: CR0_ET,
        cr4: CR4_MCE,
        ..Vmsa::reset_vector(Vmpl::VMPL0, features)
    }
}

/// stage2's first instruction, in 64-bit mode on the measured page tables, with
/// the stack at the end of its memory.
pub fn stage2_start(features: SevFeatures, stack_top: u64) -> Vmsa {
    Vmsa::long_mode_start(
        Vmpl::VMPL0,
        features,
        layout::STAGE2_BASE,
        stack_top,
        layout::PAGE_TABLES,
    )
}

/// The same save area as the `igvm` crate has it.
pub fn to_igvm(vmsa: &Vmsa) -> Box<SevVmsa> {
    let mut page: SevVmsa = FromZeros::new_zeroed();
    page.as_mut_bytes()[..size_of::<Vmsa>()].copy_from_slice(vmsa.as_bytes());
    Box::new(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clears what QEMU takes over from a VMSA; the rest must be zero.
    fn beyond_qemu(vmsa: &Vmsa) -> Vec<u8> {
        let mut rest = *to_igvm(vmsa);
        let none = igvm::snp_defs::SevSelector {
            selector: 0,
            attrib: 0,
            limit: 0,
            base: 0,
        };
        (rest.es, rest.cs, rest.ss, rest.ds, rest.fs, rest.gs) =
            (none, none, none, none, none, none);
        (rest.gdtr, rest.idtr, rest.ldtr, rest.tr) = (none, none, none, none);
        (rest.efer, rest.cr0, rest.cr3, rest.cr4, rest.xcr0) = (0, 0, 0, 0, 0);
        (rest.dr6, rest.dr7, rest.rip, rest.rsp, rest.rflags) = (0, 0, 0, 0, 0);
        (rest.pat, rest.x87_fcw, rest.mxcsr) = (0, 0, 0);
        rest.sev_features = igvm::snp_defs::SevFeatures::from_bits(0);
        rest.as_bytes().to_vec()
    }

    #[test]
    fn only_fields_that_qemu_keeps_are_set() {
        for vmsa in [
            reset_vector(SevFeatures::SNP),
            stage2_start(SevFeatures::SNP, 0x1801_0000),
        ] {
            assert!(beyond_qemu(&vmsa).iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn both_crates_agree_where_the_fields_are() {
        let vmsa = stage2_start(SevFeatures::SNP, 0x1800_8000);
        let igvm = to_igvm(&vmsa);
        assert_eq!(igvm.rip, vmsa.rip);
        assert_eq!(igvm.rsp, 0x1800_8000);
        assert_eq!(igvm.cr3, layout::PAGE_TABLES);
        assert_eq!(igvm.efer, vmsa.efer);
        assert_eq!(igvm.pat, vmsa.g_pat);
        assert_eq!(igvm.xcr0, 1);
        assert_eq!(igvm.mxcsr, 0x1F80);
        assert_eq!(igvm.x87_fcw, 0x37F);
        assert!(igvm.sev_features.snp());
    }
}
