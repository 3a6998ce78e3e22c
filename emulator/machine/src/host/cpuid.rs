//! CPUID as this host presents it: QEMU's processor, without what QEMU cannot
//! run for a nested guest, with the leaves of SEV-SNP.

use core::arch::x86_64::__cpuid_count;

use protocols::snp::{CpuidEntry, CpuidPage, CpuidRegisters};
use zerocopy::FromZeros;

use crate::mem::layout::GUEST_PHYS_BITS;
use crate::processor::npt::C_BIT;

/// Highest basic leaf: 0xD would need XSAVEC, which QEMU's TCG does not have.
const MAX_BASIC: u32 = 0xc;
const MAX_EXTENDED: u32 = 0x8000_001f;
const HYPERVISOR: u32 = 0x4000_0000;

/// {leaf, subleaves}.
const LEAVES: [(u32, u32); 19] = [
    (0x0, 1),
    (0x1, 1),
    (0x2, 1),
    (0x5, 1),
    (0x6, 1),
    (0x7, 2),
    (0xb, 2),
    (HYPERVISOR, 1),
    (HYPERVISOR + 1, 1),
    (0x8000_0000, 1),
    (0x8000_0001, 1),
    (0x8000_0002, 1),
    (0x8000_0003, 1),
    (0x8000_0004, 1),
    (0x8000_0005, 1),
    (0x8000_0006, 1),
    (0x8000_0007, 1),
    (0x8000_0008, 1),
    (MAX_EXTENDED, 1),
];

// Leaf 1 ECX.
const MONITOR: u32 = 1 << 3;
const FMA: u32 = 1 << 12;
const PCID: u32 = 1 << 17;
const X2APIC: u32 = 1 << 21;
const TSC_DEADLINE: u32 = 1 << 24;
const XSAVE: u32 = 1 << 26;
const OSXSAVE: u32 = 1 << 27;
const AVX: u32 = 1 << 28;
const F16C: u32 = 1 << 29;
const RDRAND: u32 = 1 << 30;
const HYPERVISOR_PRESENT: u32 = 1 << 31;

// Leaf 7 EBX and ECX.
const AVX2: u32 = 1 << 5;
const INVPCID: u32 = 1 << 10;
const PKU: u32 = 1 << 3;
const LA57: u32 = 1 << 16;
const VAES: u32 = 1 << 9;
const VPCLMULQDQ: u32 = 1 << 10;

// Leaf 0x80000001 ECX.
const SVM: u32 = 1 << 2;
const TOPOEXT: u32 = 1 << 22;

// Leaf 0x80000008 EBX, and EDX: the most pages that one INVLPGB may name, less one.
const INVLPGB: u32 = 1 << 3;
const INVLPGB_PAGES: u32 = 7;

// Leaf 0x8000001F.
const SEV: u32 = 1 << 1;
const SEV_ES: u32 = 1 << 3;
const SEV_SNP: u32 = 1 << 4;
const VMPL: u32 = 1 << 5;
const VMPLS: u32 = 4;
/// The hypervisor need not flush caches after validation: QEMU has none.
const COHERENCY_SFW_NO: u32 = 1 << 31;

/// "KVMKVMKVM": with it Linux uses x2APIC, whose registers are MSRs.
const SIGNATURE: [u32; 3] = [0x4b4d_564b, 0x564b_4d56, 0x4d];

fn native(leaf: u32, subleaf: u32) -> CpuidRegisters {
    let answer = __cpuid_count(leaf, subleaf);
    CpuidRegisters {
        eax: answer.eax,
        ebx: answer.ebx,
        ecx: answer.ecx,
        edx: answer.edx,
    }
}

fn presented(leaf: u32, subleaf: u32) -> CpuidRegisters {
    let mut registers = native(leaf, subleaf);
    match leaf {
        0x0 => registers.eax = MAX_BASIC,
        0x1 => {
            registers.ecx &= !(MONITOR | FMA | PCID | TSC_DEADLINE | XSAVE | OSXSAVE | AVX | F16C);
            registers.ecx |= RDRAND | HYPERVISOR_PRESENT | X2APIC;
        }
        0x5 | 0x6 => registers = CpuidRegisters::default(),
        0x7 => {
            registers.ebx &= !(AVX2 | INVPCID);
            registers.ecx &= !(PKU | LA57 | VAES | VPCLMULQDQ);
        }
        HYPERVISOR => {
            let [ebx, ecx, edx] = SIGNATURE;
            registers = CpuidRegisters {
                eax: HYPERVISOR + 1,
                ebx,
                ecx,
                edx,
            };
        }
        // No paravirtual feature of KVM is there.
        0x4000_0001 => registers = CpuidRegisters::default(),
        0x8000_0000 => registers.eax = MAX_EXTENDED,
        0x8000_0001 => registers.ecx &= !(SVM | TOPOEXT),
        0x8000_0008 => {
            registers.eax = registers.eax & !0xff | u32::from(GUEST_PHYS_BITS);
            registers.ebx = INVLPGB;
            registers.edx = INVLPGB_PAGES;
        }
        MAX_EXTENDED => {
            registers = CpuidRegisters {
                eax: SEV | SEV_ES | SEV_SNP | VMPL,
                ebx: C_BIT | 1 << 6 | VMPLS << 12 | COHERENCY_SFW_NO,
                ecx: 0,
                edx: 0,
            };
        }
        _ => {}
    }
    registers
}

/// A leaf as one processor is shown it: the table has the first one's APIC ID.
pub(crate) fn on_processor(
    table: &CpuidPage,
    apic_id: u32,
    leaf: u32,
    subleaf: u32,
) -> CpuidRegisters {
    let mut found = table.lookup(leaf, subleaf, 0, 0).unwrap_or_default();
    match leaf {
        0x1 => found.ebx = found.ebx & 0x00ff_ffff | apic_id << 24,
        0xb => found.edx = apic_id,
        _ => {}
    }
    found
}

/// The table of everything that the guest is shown; other leaves are zero.
pub(crate) fn table() -> CpuidPage {
    let mut page = CpuidPage::new_zeroed();
    let entries = LEAVES
        .iter()
        .flat_map(|&(leaf, count)| (0..count).map(move |sub| (leaf, sub)));
    for (slot, (leaf, subleaf)) in page.functions.iter_mut().zip(entries) {
        *slot = CpuidEntry::new(leaf, subleaf, presented(leaf, subleaf));
        page.count += 1;
    }
    page
}
