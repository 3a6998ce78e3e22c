//! The main fields of a VMSA.

use igvm::snp_defs::SevVmsa;
use protocols::snp::SevFeatures;
use serde::Serialize;

use crate::hex::Hex;

/// The fields of a VMSA that say where and how a processor starts.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the manual's own")]
pub struct VmsaState {
    pub vmpl: u8,
    pub mode: &'static str,
    pub cs_selector: Hex,
    pub cs_base: Hex,
    pub rip: Hex,
    pub rsp: Hex,
    pub rflags: Hex,
    pub cr0: Hex,
    pub cr3: Hex,
    pub cr4: Hex,
    pub efer: Hex,
    pub sev_features: Hex,
    pub sev_feature_names: Vec<&'static str>,
}

impl VmsaState {
    /// The fields of `vmsa`.
    pub fn of(vmsa: &SevVmsa) -> Self {
        const CR0_PE: u64 = 1;
        const EFER_LMA: u64 = 1 << 10;
        const ATTRIBUTE_L: u16 = 1 << 9;
        let features = vmsa.sev_features.into_bits();
        Self {
            vmpl: vmsa.vmpl,
            mode: match () {
                () if vmsa.cr0 & CR0_PE == 0 => "real mode",
                () if vmsa.efer & EFER_LMA == 0 => "protected mode",
                () if vmsa.cs.attrib & ATTRIBUTE_L == 0 => "compatibility mode",
                () => "64-bit mode",
            },
            cs_selector: Hex(vmsa.cs.selector.into()),
            cs_base: Hex(vmsa.cs.base),
            rip: Hex(vmsa.rip),
            rsp: Hex(vmsa.rsp),
            rflags: Hex(vmsa.rflags),
            cr0: Hex(vmsa.cr0),
            cr3: Hex(vmsa.cr3),
            cr4: Hex(vmsa.cr4),
            efer: Hex(vmsa.efer),
            sev_features: Hex(features),
            sev_feature_names: SevFeatures::from_bits_retain(features)
                .iter_names()
                .map(|(name, _)| name)
                .collect(),
        }
    }
}
