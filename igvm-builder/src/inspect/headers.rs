//! Platforms, policies and other headers before the directives.

use igvm::{IgvmInitializationHeader, IgvmPlatformHeader};
use igvm_defs::{IGVM_VHS_SUPPORTED_PLATFORM, IgvmPlatformType};
use serde::Serialize;

use crate::hex::Hex;

/// A platform header.
#[derive(Debug, Serialize)]
pub struct Platform {
    /// The platform's name.
    pub name: String,
    /// Its bit in compatibility masks.
    pub mask: Hex,
    /// Its version.
    pub version: u16,
    /// The highest VTL (0 without VTLs).
    pub highest_vtl: u8,
    /// The address from which memory is shared, 0 if none.
    pub shared_gpa_boundary: Hex,
}

/// A guest policy header.
#[derive(Debug, Serialize)]
pub struct Policy {
    /// The platforms it is for.
    pub mask: Hex,
    /// The raw policy.
    pub value: Hex,
    /// The bits that are set, by name (SNP).
    pub bits: Vec<&'static str>,
    /// The least ABI version, major and minor (SNP).
    pub minimum_abi: (u8, u8),
}

impl Platform {
    /// A platform header in a report's form.
    pub fn of(header: &IgvmPlatformHeader) -> Self {
        let IgvmPlatformHeader::SupportedPlatform(info) = header;
        let IGVM_VHS_SUPPORTED_PLATFORM { platform_type, .. } = *info;
        let name = match platform_type {
            IgvmPlatformType::NATIVE => "native".into(),
            IgvmPlatformType::VSM_ISOLATION => "VSM".into(),
            IgvmPlatformType::SEV_SNP => "SEV-SNP".into(),
            IgvmPlatformType::TDX => "TDX".into(),
            IgvmPlatformType::SEV => "SEV".into(),
            IgvmPlatformType::SEV_ES => "SEV-ES".into(),
            other => format!("type {}", other.0),
        };
        Self {
            name,
            mask: Hex(info.compatibility_mask.into()),
            version: info.platform_version,
            highest_vtl: info.highest_vtl,
            shared_gpa_boundary: Hex(info.shared_gpa_boundary),
        }
    }
}

impl Policy {
    /// A guest policy header in a report's form; `None` for other headers.
    pub fn of(header: &IgvmInitializationHeader) -> Option<Self> {
        let IgvmInitializationHeader::GuestPolicy {
            policy,
            compatibility_mask,
        } = header
        else {
            return None;
        };
        Some(Self {
            mask: Hex((*compatibility_mask).into()),
            value: Hex(*policy),
            bits: crate::policy::words(*policy),
            minimum_abi: ((policy >> 8) as u8, *policy as u8),
        })
    }
}

/// The name of an initialization header that is no guest policy.
pub fn other(header: &IgvmInitializationHeader) -> Option<&'static str> {
    match header {
        IgvmInitializationHeader::GuestPolicy { .. } => None,
        IgvmInitializationHeader::CcaPolicy { .. } => Some("CCA_POLICY"),
        IgvmInitializationHeader::RelocatableRegion { .. } => Some("RELOCATABLE_REGION"),
        IgvmInitializationHeader::PageTableRelocationRegion { .. } => Some("PAGE_TABLE_RELOCATION"),
        IgvmInitializationHeader::CorimDocument { .. } => Some("CORIM_DOCUMENT"),
        IgvmInitializationHeader::CorimSignature { .. } => Some("CORIM_SIGNATURE"),
    }
}
