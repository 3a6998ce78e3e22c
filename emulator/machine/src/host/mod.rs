//! The host: what KVM and QEMU do for an SNP guest.

pub(crate) mod cpuid;
pub(crate) mod fw_cfg;
pub(crate) mod ghcb;
pub(crate) mod guest_request;
pub(crate) mod ioio;
pub(crate) mod levels;
mod linux;
pub(crate) mod memory;
pub(crate) mod mmio;
pub(crate) mod msr;
pub(crate) mod msr_protocol;
pub(crate) mod page_state;
pub(crate) mod vmgexit;

use alloc::vec::Vec;

use protocols::ghcb::HvFeatures;
use protocols::snp::CpuidPage;

use fw_cfg::FwCfg;

/// GHCB protocol versions that this host speaks: lowest and highest.
pub(crate) const GHCB_VERSIONS: (u16, u16) = (1, 2);

/// The host's own state.
pub(crate) struct Host {
    pub(crate) features: HvFeatures,
    /// Lowest and highest GHCB protocol version.
    pub(crate) ghcb_versions: (u16, u16),
    /// The C-bit that SEV_INFO names.
    pub(crate) c_bit: u8,
    /// What CPUID is here; the guest's CPUID page is made of it.
    pub(crate) cpuid: CpuidPage,
    pub(crate) fw_cfg: FwCfg,
    /// APIC IDs of the guest's vCPUs, by their number.
    pub(crate) apic_ids: Vec<u32>,
    /// Whether Linux is helped to its held GHCBs: see [`linux`].
    pub(crate) releases_ghcbs: bool,
}

impl Host {
    /// The features that this host offers honestly.
    pub(crate) fn offered_features() -> HvFeatures {
        HvFeatures::SNP
            | HvFeatures::AP_CREATION
            | HvFeatures::APIC_ID_LIST
            | HvFeatures::MULTI_VMPL
    }
}
