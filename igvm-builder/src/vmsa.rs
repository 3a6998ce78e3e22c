//! The boot processor's state at launch.
//!
//! QEMU and KVM keep only some fields of a VMSA (facts: guest-stack F.2); a
//! field outside them makes QEMU refuse the file, so all others stay zero.

use igvm::snp_defs::{SevFeatures, SevSelector, SevVmsa};
use zerocopy::FromZeros;

const EFER_SVME: u64 = 1 << 12;
const CR0_ET: u64 = 1 << 4;
const CR4_MCE: u64 = 1 << 6;
const RFLAGS_RESERVED_ONE: u64 = 1 << 1;
const DR6_RESET: u64 = 0xFFFF_0FF0;
const DR7_RESET: u64 = 0x400;
const PAT_RESET: u64 = 0x0007_0406_0007_0406;
const MXCSR_RESET: u32 = 0x1F80;
const FCW_RESET: u16 = 0x37F;

/// The state in which a processor leaves reset, at F000:FFF0 below 4 GiB, as
/// KVM has it for an SNP guest (SVME and MCE set).
pub fn reset_vector(sev_features: u64) -> Box<SevVmsa> {
    let mut vmsa: SevVmsa = FromZeros::new_zeroed();
    let data = SevSelector {
        selector: 0,
        attrib: 0x93,
        limit: 0xFFFF,
        base: 0,
    };
    let table = SevSelector {
        selector: 0,
        attrib: 0,
        limit: 0xFFFF,
        base: 0,
    };
    vmsa.es = data;
    vmsa.ss = data;
    vmsa.ds = data;
    vmsa.fs = data;
    vmsa.gs = data;
    vmsa.cs = SevSelector {
        selector: 0xF000,
        attrib: 0x9B,
        limit: 0xFFFF,
        base: 0xFFFF_0000,
    };
    vmsa.gdtr = table;
    vmsa.idtr = table;
    vmsa.ldtr = SevSelector {
        attrib: 0x82,
        ..table
    };
    vmsa.tr = SevSelector {
        attrib: 0x8B,
        ..table
    };
    vmsa.efer = EFER_SVME;
    vmsa.cr0 = CR0_ET;
    vmsa.cr4 = CR4_MCE;
    vmsa.dr6 = DR6_RESET;
    vmsa.dr7 = DR7_RESET;
    vmsa.rflags = RFLAGS_RESERVED_ONE;
    vmsa.rip = 0xFFF0;
    vmsa.pat = PAT_RESET;
    vmsa.xcr0 = 1;
    vmsa.mxcsr = MXCSR_RESET;
    vmsa.x87_fcw = FCW_RESET;
    vmsa.sev_features = SevFeatures::from_bits(sev_features);
    Box::new(vmsa)
}
