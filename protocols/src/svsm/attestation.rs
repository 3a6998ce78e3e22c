//! The attestation protocol's structures (AMD publication 58019, SVSM_ATTEST_SERVICES,
//! SVSM_ATTEST_SINGLE_SERVICE and the services manifest).

use core::mem::{offset_of, size_of};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::ovmf::Guid;

/// Alignment of a request in bytes.
pub const ATTEST_REQUEST_ALIGN: u64 = 8;

/// The services manifest.
pub const GUID_SERVICES_MANIFEST: Guid = Guid::from_u128(0x63849ebb_3d92_4670_a1ff_58f9c94b87bb);
/// The service of the vTPM protocol.
pub const GUID_VTPM_SERVICE: Guid = Guid::from_u128(0xc476f1eb_0123_45a5_9641_b4e7dde5bfe3);
/// Rampart's own event log, which is no protocol: what it has measured into the TPM before the
/// guest began. Its manifest of version 0 is the log in the TCG's crypto-agile format.
pub const GUID_EVENT_LOG: Guid = Guid::from_u128(0x75cbfa45_ec0b_42d5_bcff_c4bb82ff28c0);

/// A buffer of the guest: where it begins, and its length.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct AttestBuffer {
    /// GPA, a multiple of 4 KiB.
    pub gpa: u64,
    /// Bytes.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
}

/// The guest's nonce.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct AttestNonce {
    /// GPA.
    pub gpa: u64,
    /// Bytes.
    pub size: u16,
    /// Zero.
    pub reserved: [u8; 6],
}

/// The request of SERVICES.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct AttestServices {
    /// Takes the attestation report.
    pub report: AttestBuffer,
    /// What makes the report fresh.
    pub nonce: AttestNonce,
    /// Takes the manifest.
    pub manifest: AttestBuffer,
    /// Takes the table of certificates.
    pub certificates: AttestBuffer,
}

/// The request of SINGLE_SERVICE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct AttestSingleService {
    /// As for all services.
    pub services: AttestServices,
    /// Which service.
    pub service: Guid,
    /// Version of the service's manifest.
    pub manifest_version: u32,
    /// Zero.
    pub reserved: u32,
}

impl AttestServices {
    /// Whether everything that has to be zero is.
    pub fn is_well_formed(&self) -> bool {
        self.report.reserved == 0
            && self.nonce.reserved == [0; 6]
            && self.manifest.reserved == 0
            && self.certificates.reserved == 0
    }
}

/// The head of the services manifest. An entry for each service follows, then their manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ServicesManifestHeader {
    /// [`GUID_SERVICES_MANIFEST`].
    pub guid: Guid,
    /// Bytes of all, this head included.
    pub size: u32,
    /// How many services there are.
    pub count: u32,
}

/// A service in the services manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ServicesManifestEntry {
    /// Which service.
    pub guid: Guid,
    /// Where its manifest begins, in bytes from the head on.
    pub offset: u32,
    /// Bytes of it.
    pub size: u32,
}

const _: () = {
    assert!(size_of::<AttestBuffer>() == 0x10);
    assert!(offset_of!(AttestBuffer, gpa) == 0x00);
    assert!(offset_of!(AttestBuffer, size) == 0x08);
    assert!(size_of::<AttestNonce>() == 0x10);
    assert!(offset_of!(AttestNonce, gpa) == 0x00);
    assert!(offset_of!(AttestNonce, size) == 0x08);
    assert!(offset_of!(AttestNonce, reserved) == 0x0a);
    assert!(size_of::<AttestServices>() == 0x40);
    assert!(offset_of!(AttestServices, report) == 0x00);
    assert!(offset_of!(AttestServices, nonce) == 0x10);
    assert!(offset_of!(AttestServices, manifest) == 0x20);
    assert!(offset_of!(AttestServices, certificates) == 0x30);
    assert!(size_of::<AttestSingleService>() == 0x58);
    assert!(offset_of!(AttestSingleService, service) == 0x40);
    assert!(offset_of!(AttestSingleService, manifest_version) == 0x50);
    assert!(size_of::<ServicesManifestHeader>() == 0x18);
    assert!(offset_of!(ServicesManifestHeader, guid) == 0x00);
    assert!(offset_of!(ServicesManifestHeader, size) == 0x10);
    assert!(offset_of!(ServicesManifestHeader, count) == 0x14);
    assert!(size_of::<ServicesManifestEntry>() == 0x18);
    assert!(offset_of!(ServicesManifestEntry, guid) == 0x00);
    assert!(offset_of!(ServicesManifestEntry, offset) == 0x10);
    assert!(offset_of!(ServicesManifestEntry, size) == 0x14);
};

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn guids_are_in_the_mixed_order() {
        assert_eq!(GUID_VTPM_SERVICE.0[..4], [0xeb, 0xf1, 0x76, 0xc4]);
        assert_eq!(GUID_VTPM_SERVICE.0[8..10], [0x96, 0x41]);
        assert_eq!(
            GUID_SERVICES_MANIFEST.to_string(),
            "63849ebb-3d92-4670-a1ff-58f9c94b87bb"
        );
    }

    #[test]
    fn every_reserved_byte_counts() {
        let mut request = AttestServices::default();
        assert!(request.is_well_formed());
        let reserved = [0xc..0x10, 0x1a..0x20, 0x2c..0x30, 0x3c..0x40];
        for at in 0..size_of::<AttestServices>() {
            request.as_mut_bytes()[at] = 1;
            let is_reserved = reserved.iter().any(|range| range.contains(&at));
            assert_eq!(request.is_well_formed(), !is_reserved, "{at:#x}");
            request.as_mut_bytes()[at] = 0;
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_and_come_back(bytes: [[u8; 8]; 11]) {
            let bytes = bytes.as_flattened();
            let request = AttestSingleService::read_from_bytes(bytes).unwrap();
            prop_assert_eq!(request.as_bytes(), bytes);
        }
    }
}
