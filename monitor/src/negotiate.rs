//! What VMPL0 settles with the processor and the host before anything else: once,
//! by requiring what it uses, with a reason of its own for each thing missing
//! (threats 12, 18 and 19).

use protocols::ghcb::{HvFeatures, MsrRequest, MsrResponse, PROTOCOL_VERSION, RampartReason};
use protocols::snp::{SevFeatures, SevStatus};

use crate::fatal::Fatal;
use crate::ghcb_client::{msr, wrong_answer};
use crate::platform::Host;

/// The host's SEV information: the first thing that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SevInfo {
    /// Number of the C-bit, as the host says.
    pub c_bit: u8,
    /// The GHCB protocol version in use from here on.
    pub version: u16,
}

/// Asks for the SEV information and settles on the protocol version.
///
/// # Errors
/// [`Fatal`] when the host does not speak the version that has SEV-SNP, or answers
/// something else.
pub fn sev_info<H: Host + ?Sized>(host: &mut H) -> Result<SevInfo, Fatal> {
    match msr(host, MsrRequest::SevInfo) {
        MsrResponse::SevInfo {
            max_version,
            min_version,
            c_bit,
        } => {
            if (min_version..=max_version).contains(&PROTOCOL_VERSION) {
                Ok(SevInfo {
                    c_bit,
                    version: PROTOCOL_VERSION,
                })
            } else {
                let offered = u64::from(max_version) << 16 | u64::from(min_version);
                Err(Fatal::with_detail(
                    RampartReason::GhcbProtocolVersion,
                    offered,
                ))
            }
        }
        other => Err(wrong_answer(other)),
    }
}

/// Checks that image, processor and host mean the same C-bit. The CPUID page is
/// the authority; a pattern in memory proves it afterwards.
///
/// # Errors
/// [`Fatal`] with the three numbers when they differ.
pub fn agree_on_c_bit(image: u32, cpuid: u32, host: u8) -> Result<u32, Fatal> {
    if image == cpuid && cpuid == u32::from(host) {
        return Ok(cpuid);
    }
    let detail = u64::from(image) << 32 | u64::from(cpuid) << 16 | u64::from(host);
    Err(Fatal::with_detail(RampartReason::CBitMismatch, detail))
}

/// SEV_FEATURES that need nothing from VMPL0: the processor or the host does all.
const HARMLESS: SevFeatures = SevFeatures::SNP
    .union(SevFeatures::DEBUG_SWAP)
    .union(SevFeatures::PREVENT_HOST_IBS)
    .union(SevFeatures::BTB_ISOLATION)
    .union(SevFeatures::IBS_VIRTUALIZATION)
    .union(SevFeatures::SMT_PROTECTION)
    .union(SevFeatures::IBPB_ON_ENTRY);

/// Checks SEV_STATUS: SEV, SEV-ES and SEV-SNP are on, and no feature is that would
/// need support that is not there.
///
/// # Errors
/// [`Fatal::UnsupportedFeatures`] with those bits of SEV_STATUS, or NotSnp.
pub fn check_sev_status(status: SevStatus) -> Result<(), Fatal> {
    let required = SevStatus::SEV | SevStatus::SEV_ES | SevStatus::SEV_SNP;
    if !status.contains(required) {
        return Err(Fatal::with_detail(RampartReason::NotSnp, status.bits()));
    }
    let unsupported = status.bits() & !HARMLESS.status().bits();
    if unsupported != 0 {
        return Err(Fatal::UnsupportedFeatures(unsupported));
    }
    Ok(())
}

/// SEV_FEATURES for the guest's VMSAs: the firmware's own without debug swap, which
/// hosts refuse beside others.
#[must_use]
pub fn guest_features(status: SevStatus) -> SevFeatures {
    status.features().difference(SevFeatures::DEBUG_SWAP)
}

/// Asks for the hypervisor's features and checks that those are there which are
/// used: SEV-SNP, AP creation and several VMPLs. Nothing more is demanded.
///
/// # Errors
/// [`Fatal`], with a reason for each.
pub fn hypervisor_features<H: Host + ?Sized>(host: &mut H) -> Result<HvFeatures, Fatal> {
    let features = match msr(host, MsrRequest::HvFeatures) {
        MsrResponse::HvFeatures(features) => features,
        other => return Err(wrong_answer(other)),
    };
    for (required, reason) in [
        (HvFeatures::SNP, RampartReason::NoSnpFeature),
        (HvFeatures::AP_CREATION, RampartReason::NoApCreation),
        (HvFeatures::MULTI_VMPL, RampartReason::NoMultiVmpl),
    ] {
        if !features.contains(required) {
            return Err(Fatal::with_detail(reason, features.bits()));
        }
    }
    Ok(features)
}

#[cfg(test)]
mod tests;
