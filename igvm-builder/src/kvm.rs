//! What becomes of a VMSA on its way through QEMU and KVM.
//!
//! QEMU's loader (10.1 and later) cannot hand KVM a VMSA. It copies the fields that
//! it knows into the vCPU's state and refuses a VMSA that has others set; KVM makes
//! the VMSA that is measured from its own state of the vCPU when the launch ends, and
//! one for every other vCPU as well (target/i386/sev.c and kvm/kvm.c in QEMU,
//! arch/x86/kvm/svm/sev.c and svm.c in Linux).

use std::fmt;

use protocols::snp::{EFER_SVME, SevFeatures, Vmsa};
use serde::Serialize;
use zerocopy::{FromBytes, IntoBytes};

use crate::layout::PAGE_SIZE;
use crate::vmsa;
use crate::vmsa_fields::{VmsaPage, differences, fields};

const CR0_ET: u64 = 1 << 4;
const CR0_NW_CD: u64 = 3 << 29;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const CR4_MCE: u64 = 1 << 6;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
const RFLAGS_FIXED: u64 = 1 << 1;
const DR7_FIXED: u64 = 1 << 10;
const XCR0_X87: u64 = 1;
const ATTRIBUTE_L: u16 = 1 << 9;

/// The fields that QEMU takes over; one that is not among them must be zero.
const TAKEN_OVER: [&str; 39] = [
    "es",
    "cs",
    "ss",
    "ds",
    "fs",
    "gs",
    "gdtr",
    "ldtr",
    "idtr",
    "tr",
    "efer",
    "cr0",
    "cr3",
    "cr4",
    "dr6",
    "dr7",
    "rflags",
    "rip",
    "rsp",
    "rax",
    "rcx",
    "rdx",
    "rbx",
    "rbp",
    "rsi",
    "rdi",
    "r8",
    "r9",
    "r10",
    "r11",
    "r12",
    "r13",
    "r14",
    "r15",
    "g_pat",
    "xcr0",
    "x87_fcw",
    "mxcsr",
    "sev_features",
];

/// A field to which KVM gives another value than the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The field.
    pub field: String,
    /// The file's value.
    pub file: String,
    /// KVM's value.
    pub kvm: String,
    /// Why.
    pub reason: &'static str,
}

/// Why QEMU or KVM refuses a VMSA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The field.
    pub field: String,
    /// The file's value.
    pub file: String,
    /// Why.
    pub reason: &'static str,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            file,
            kvm,
            reason,
        } = self;
        write!(
            f,
            "{field} is {file} in the file and {kvm} with KVM: {reason}"
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}: {}", self.field, self.file, self.reason)
    }
}

/// A VMSA after QEMU and KVM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Result {
    /// What is measured.
    pub page: VmsaPage,
    /// Where that differs from the file.
    pub changes: Vec<Change>,
    /// What makes QEMU or KVM refuse it; then nothing is measured.
    pub refusals: Vec<Refusal>,
}

/// What QEMU and KVM make of the VMSA in `page`.
pub fn take_over(page: &VmsaPage) -> Result {
    let mut after = *page;
    let refusals = refusals(page);
    if let Ok((vmsa, _)) = Vmsa::mut_from_prefix(&mut after) {
        change(vmsa);
    }
    let changes = differences(page, &after)
        .into_iter()
        .map(|difference| Change {
            reason: reason_of_change(&difference.field),
            field: difference.field,
            file: difference.first,
            kvm: difference.second,
        })
        .collect();
    Result {
        page: after,
        changes,
        refusals,
    }
}

/// The VMSA that KVM makes for a vCPU without one in the file: QEMU's reset state, with
/// the processor's signature (CPUID 1 EAX) in RDX.
pub fn reset(features: SevFeatures, signature: u32) -> VmsaPage {
    let vmsa = Vmsa {
        rdx: signature.into(),
        ..vmsa::reset_vector(features)
    };
    let mut page = [0; PAGE_SIZE as usize];
    page[..size_of::<Vmsa>()].copy_from_slice(vmsa.as_bytes());
    page
}

/// The signatures of QEMU's processor models that can run SNP guests: family, model and
/// stepping as its model table has them.
const MODELS: [(&str, u32); 5] = [
    ("EPYC", signature(23, 1, 2)),
    ("EPYC-Rome", signature(23, 49, 0)),
    ("EPYC-Milan", signature(25, 1, 1)),
    ("EPYC-Genoa", signature(25, 17, 0)),
    ("EPYC-Turin", signature(26, 0, 0)),
];

/// CPUID 1 EAX of a family above 15.
const fn signature(family: u32, model: u32, stepping: u32) -> u32 {
    (family - 15) << 20 | (model >> 4) << 16 | 15 << 8 | (model & 15) << 4 | stepping
}

/// The signature of a processor by the name that QEMU's `-cpu` takes (`EPYC-v4`).
pub fn model(name: &str) -> Option<u32> {
    let is_version = |rest: &str| {
        rest.is_empty()
            || rest == "-IBPB"
            || rest
                .strip_prefix("-v")
                .is_some_and(|version| version.parse::<u8>().is_ok())
    };
    let found = MODELS
        .iter()
        .find(|(model, _)| name.strip_prefix(model).is_some_and(is_version));
    found.map(|(_, signature)| *signature)
}

/// The names that [`model`] knows, without versions.
pub fn models() -> impl Iterator<Item = &'static str> {
    MODELS.iter().map(|(name, _)| *name)
}

/// Whether QEMU takes the field `name` over.
pub fn is_taken_over(name: &str) -> bool {
    TAKEN_OVER.contains(&name)
}

fn refusals(page: &VmsaPage) -> Vec<Refusal> {
    let mut refusals: Vec<_> = fields()
        .filter(|field| !is_taken_over(field.name) && field.of(page).iter().any(|byte| *byte != 0))
        .map(|field| Refusal {
            field: field.full_name(),
            file: field.value(page),
            reason: "QEMU does not hand this field to KVM, and refuses a VMSA that has it set",
        })
        .collect();
    let Ok((vmsa, _)) = Vmsa::read_from_prefix(page) else {
        return refusals;
    };
    let mut refuse = |field: &str, value: u64, reason| {
        refusals.push(Refusal {
            field: field.into(),
            file: format!("{value:#x}"),
            reason,
        });
    };
    let features = SevFeatures::from_bits_retain(vmsa.sev_features);
    if !features.contains(SevFeatures::SNP) {
        let reason = "QEMU refuses SEV_FEATURES without SNP in an SNP launch";
        refuse("sev_features", vmsa.sev_features, reason);
    }
    if vmsa.dr7 & !DR7_FIXED != 0 {
        let reason = "KVM refuses a launch with debug registers in use";
        refuse("dr7", vmsa.dr7, reason);
    }
    if vmsa.xcr0 & XCR0_X87 == 0 {
        refuse("xcr0", vmsa.xcr0, "KVM refuses an XCR0 without x87 state");
    }
    let is_long = vmsa.efer & EFER_LME != 0 && vmsa.cr0 & CR0_PG != 0;
    if is_long && (vmsa.cr4 & CR4_PAE == 0 || vmsa.efer & EFER_LMA == 0) {
        let reason = "KVM refuses long mode with paging but without EFER.LMA and CR4.PAE";
        refuse("efer", vmsa.efer, reason);
    }
    if !is_long && vmsa.efer & EFER_LMA != 0 {
        let reason = "KVM refuses EFER.LMA without long mode and paging";
        refuse("efer", vmsa.efer, reason);
    }
    if !is_long && vmsa.cs.attributes & ATTRIBUTE_L != 0 {
        let reason = "KVM refuses a 64-bit code segment outside long mode";
        refuse("cs.attributes", vmsa.cs.attributes.into(), reason);
    }
    refusals
}

/// Does to the VMSA what the way through QEMU and KVM does.
fn change(vmsa: &mut Vmsa) {
    for segment in [
        &mut vmsa.es,
        &mut vmsa.cs,
        &mut vmsa.ss,
        &mut vmsa.ds,
        &mut vmsa.fs,
        &mut vmsa.gs,
        &mut vmsa.ldtr,
        &mut vmsa.tr,
    ] {
        segment.attributes &= 0x0FFF;
    }
    for table in [&mut vmsa.gdtr, &mut vmsa.idtr] {
        (table.selector, table.attributes) = (0, 0);
        table.limit &= 0xFFFF;
    }
    vmsa.tr.base = vmsa.ldtr.base;
    vmsa.cpl = (vmsa.ss.attributes >> 5 & 3) as u8;
    vmsa.efer |= EFER_SVME;
    vmsa.cr0 = (vmsa.cr0 | CR0_ET) & !CR0_NW_CD;
    vmsa.cr4 |= CR4_MCE;
    vmsa.rflags |= RFLAGS_FIXED;
    vmsa.sev_features |= SevFeatures::SNP.bits();
}

fn reason_of_change(field: &str) -> &'static str {
    match field {
        "tr.base" => "QEMU's loader gives the task register the base of LDTR",
        "gdtr.selector" | "gdtr.attributes" | "idtr.selector" | "idtr.attributes" => {
            "KVM's descriptor table registers have a base and a limit alone"
        }
        "gdtr.limit" | "idtr.limit" => "KVM's limits of descriptor tables have 16 bits",
        "cpl" => "KVM takes the privilege level from SS",
        "efer" => "KVM sets SVME, which every VMSA needs",
        "cr0" => "KVM clears CD and NW; QEMU sets ET",
        "cr4" => "KVM sets MCE where the host has it set",
        "rflags" => "bit 1 is always set",
        "sev_features" => "KVM sets SNP",
        _ => "KVM keeps twelve bits of a segment's attributes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(vmsa: &Vmsa) -> VmsaPage {
        let mut page = [0; PAGE_SIZE as usize];
        page[..size_of::<Vmsa>()].copy_from_slice(vmsa.as_bytes());
        page
    }

    #[test]
    fn our_own_save_areas_arrive_as_they_are() {
        for vmsa in [
            vmsa::reset_vector(SevFeatures::SNP),
            vmsa::stage2_start(SevFeatures::SNP, 0x1801_0000),
        ] {
            let result = take_over(&page(&vmsa));
            assert_eq!(result.page, page(&vmsa));
            assert_eq!((result.changes, result.refusals), (vec![], vec![]));
        }
    }

    #[test]
    fn names_of_fields_that_are_taken_over_exist() {
        for name in TAKEN_OVER {
            assert!(fields().any(|field| field.name == name), "{name:?}");
        }
    }

    #[test]
    fn what_the_processor_resets_to_is_not_what_kvm_starts() {
        let silicon = Vmsa::reset_vector(protocols::snp::Vmpl::VMPL0, SevFeatures::SNP);
        let result = take_over(&page(&silicon));
        let changed: Vec<_> = result
            .changes
            .iter()
            .map(|change| change.field.as_str())
            .collect();
        assert_eq!(changed, ["cr4", "cr0"]);
        assert_eq!(result.page, page(&vmsa::reset_vector(SevFeatures::SNP)));
    }

    #[test]
    fn every_change_is_made_and_reasoned() {
        let mut vmsa = vmsa::stage2_start(SevFeatures::SNP, 0);
        vmsa.ss.attributes = 0x1c93 | 3 << 5;
        vmsa.gdtr.selector = 8;
        vmsa.gdtr.limit = 0x1_0027;
        vmsa.tr.base = 0x1000;
        vmsa.efer &= !EFER_SVME;
        vmsa.rflags = 0;
        let result = take_over(&page(&vmsa));
        let text: Vec<_> = result.changes.iter().map(Change::to_string).collect();
        let expected = [
            "ss.attributes is 0x1cf3 in the file and 0xcf3 with KVM: KVM keeps twelve bits of",
            "gdtr.selector is 0x8 in the file and 0x0 with KVM: KVM's descriptor table",
            "gdtr.limit is 0x10027 in the file and 0x27 with KVM: KVM's limits of descriptor",
            "tr.base is 0x1000 in the file and 0x0 with KVM: QEMU's loader gives",
            "cpl is 0x0 in the file and 0x3 with KVM: KVM takes the privilege level from SS",
            "efer is 0xd00 in the file and 0x1d00 with KVM: KVM sets SVME",
            "rflags is 0x0 in the file and 0x2 with KVM: bit 1",
        ];
        assert_eq!(text.len(), expected.len(), "{text:#?}");
        for (text, expected) in text.iter().zip(expected) {
            assert!(text.starts_with(expected), "{text}");
        }
        assert_eq!(result.refusals, []);
        // What KVM made is what KVM would make again.
        assert_eq!(take_over(&result.page).changes, []);
    }

    #[test]
    fn what_qemu_or_kvm_refuses_is_named() {
        let refused = |change: &dyn Fn(&mut Vmsa)| {
            let mut vmsa = vmsa::stage2_start(SevFeatures::SNP, 0);
            change(&mut vmsa);
            let refusals = take_over(&page(&vmsa)).refusals;
            let names: Vec<_> = refusals.into_iter().map(|refusal| refusal.field).collect();
            names.join(" ")
        };
        assert_eq!(refused(&|vmsa| vmsa.vmpl = 1), "vmpl");
        assert_eq!(refused(&|vmsa| vmsa.star = 1), "star");
        assert_eq!(refused(&|vmsa| vmsa.sev_features = 0), "sev_features");
        assert_eq!(refused(&|vmsa| vmsa.dr7 = 0x401), "dr7");
        assert_eq!(refused(&|vmsa| vmsa.xcr0 = 0), "xcr0");
        assert_eq!(refused(&|vmsa| vmsa.cr4 = 0), "efer");
        assert_eq!(refused(&|vmsa| vmsa.cr0 = 0), "efer cs.attributes");
        let mut tail = page(&vmsa::reset_vector(SevFeatures::SNP));
        tail[0x800] = 1;
        assert_eq!(take_over(&tail).refusals[0].field, "after_the_save_area");
    }

    #[test]
    fn models_have_their_signatures() {
        assert_eq!(model("EPYC-v4"), Some(0x0080_0f12));
        assert_eq!(model("EPYC-Rome"), Some(0x0083_0f10));
        assert_eq!(model("EPYC-Milan-v2"), Some(0x00a0_0f11));
        assert_eq!(model("EPYC-Genoa-v1"), Some(0x00a1_0f10));
        assert_eq!(model("EPYC-Turin"), Some(0x00b0_0f00));
        for unknown in ["host", "EPYC-", "EPYC-v", "EPYC-Naples", ""] {
            assert_eq!(model(unknown), None, "{unknown}");
        }
    }
}
