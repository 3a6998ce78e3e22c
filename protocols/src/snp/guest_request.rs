//! The payloads of guest messages: report, derived key and TSC information
//! (SEV-SNP firmware ABI, MSG_REPORT_REQ, MSG_KEY_REQ and MSG_TSC_INFO_REQ).

use core::mem::{offset_of, size_of};

use bitflags::bitflags;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use super::{AttestationReport, FirmwareStatus, TcbVersion};

/// KEY_SEL: which key signs a report, or stands at the root of a derived key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct KeySelect(
    /// The number.
    pub u32,
);

impl KeySelect {
    /// The VLEK if one is loaded, else the VCEK.
    pub const ANY: Self = Self(0);
    /// The versioned chip endorsement key.
    pub const VCEK: Self = Self(1);
    /// The versioned loaded endorsement key.
    pub const VLEK: Self = Self(2);
}

/// MSG_REPORT_REQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ReportRequest {
    /// REPORT_DATA of the report.
    pub report_data: [u8; 64],
    /// VMPL of the report: the one of the VMPCK or a less privileged one.
    pub vmpl: u32,
    /// Which key is to sign.
    pub key_select: KeySelect,
    /// Zero.
    pub reserved: [u8; 24],
}

/// MSG_REPORT_RSP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ReportResponse {
    /// Whether there is a report.
    pub status: FirmwareStatus,
    /// Bytes of the report; 0 without one.
    pub size: u32,
    /// Zero.
    pub reserved: [u8; 24],
    /// The report.
    pub report: AttestationReport,
}

bitflags! {
    /// GUEST_FIELD_SELECT: what is mixed into a derived key.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct GuestFields: u64 {
        /// The guest's policy.
        const GUEST_POLICY = 1;
        /// The image ID of the ID block.
        const IMAGE_ID = 1 << 1;
        /// The family ID of the ID block.
        const FAMILY_ID = 1 << 2;
        /// The launch digest.
        const MEASUREMENT = 1 << 3;
        /// The security version that the request names.
        const GUEST_SVN = 1 << 4;
        /// The TCB version that the request names.
        const TCB_VERSION = 1 << 5;
        /// The mitigation vector that the request names; message version 2.
        const LAUNCH_MIT_VECTOR = 1 << 6;
        /// Every other bit.
        const _ = !0;
    }
}

/// MSG_KEY_REQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct KeyRequest {
    /// Bit 0: the VMRK instead of an endorsement key, which bits 2:1 name as a
    /// [`KeySelect`].
    pub root_key_select: u32,
    /// Zero.
    pub reserved: u32,
    /// [`GuestFields`].
    pub fields: u64,
    /// VMPL of the key: the one of the VMPCK or a less privileged one.
    pub vmpl: u32,
    /// Security version of the key: the guest's, or an older one.
    pub guest_svn: u32,
    /// TCB version of the key: the committed one, or an older one.
    pub tcb_version: TcbVersion,
    /// Mitigations of the key: some of those at launch. Message version 2.
    pub launch_mit_vector: u64,
}

impl KeyRequest {
    /// Bytes of a request of message version 1, which ends before the mitigations.
    pub const SIZE_V1: usize = 0x20;
    /// Bit of [`Self::root_key_select`].
    pub const ROOT_VMRK: u32 = 1;

    /// The endorsement key that is asked for.
    pub const fn key_select(&self) -> KeySelect {
        KeySelect(self.root_key_select >> 1 & 3)
    }
}

/// MSG_KEY_RSP.
#[derive(Clone, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct KeyResponse {
    /// Whether there is a key.
    pub status: FirmwareStatus,
    /// Zero.
    pub reserved: [u8; 28],
    /// The key.
    pub key: [u8; 32],
}

impl core::fmt::Debug for KeyResponse {
    /// Leaves the key out: a log is not private.
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("KeyResponse")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// MSG_TSC_INFO_REQ: zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TscInfoRequest {
    /// Zero.
    pub reserved: [u8; 128],
}

/// MSG_TSC_INFO_RSP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TscInfoResponse {
    /// Whether the rest is filled in.
    pub status: FirmwareStatus,
    /// Zero.
    pub reserved_0x4: u32,
    /// TSC_SCALE of a VMSA.
    pub tsc_scale: u64,
    /// TSC_OFFSET of a VMSA.
    pub tsc_offset: u64,
    /// How much the mean frequency lies below the nominal one, in hundred
    /// thousandths.
    pub tsc_factor: u32,
    /// Zero.
    pub reserved_0x1c: [u8; 100],
}

macro_rules! refusals {
    ($($response:ident),*) => {$(
        impl $response {
            /// An answer that has nothing but a status.
            pub fn refused(status: FirmwareStatus) -> Self {
                Self { status, ..Self::new_zeroed() }
            }
        }
    )*};
}
refusals!(ReportResponse, KeyResponse, TscInfoResponse);

const _: () = {
    assert!(size_of::<ReportRequest>() == 0x60);
    assert!(offset_of!(ReportRequest, report_data) == 0x00);
    assert!(offset_of!(ReportRequest, vmpl) == 0x40);
    assert!(offset_of!(ReportRequest, key_select) == 0x44);
    assert!(offset_of!(ReportRequest, reserved) == 0x48);
    assert!(size_of::<ReportResponse>() == 0x4c0);
    assert!(offset_of!(ReportResponse, status) == 0x00);
    assert!(offset_of!(ReportResponse, size) == 0x04);
    assert!(offset_of!(ReportResponse, report) == 0x20);
    assert!(size_of::<KeyRequest>() == 0x28);
    assert!(offset_of!(KeyRequest, root_key_select) == 0x00);
    assert!(offset_of!(KeyRequest, fields) == 0x08);
    assert!(offset_of!(KeyRequest, vmpl) == 0x10);
    assert!(offset_of!(KeyRequest, guest_svn) == 0x14);
    assert!(offset_of!(KeyRequest, tcb_version) == 0x18);
    assert!(offset_of!(KeyRequest, launch_mit_vector) == KeyRequest::SIZE_V1);
    assert!(size_of::<KeyResponse>() == 0x40);
    assert!(offset_of!(KeyResponse, status) == 0x00);
    assert!(offset_of!(KeyResponse, key) == 0x20);
    assert!(size_of::<TscInfoRequest>() == 0x80);
    assert!(size_of::<TscInfoResponse>() == 0x80);
    assert!(offset_of!(TscInfoResponse, status) == 0x00);
    assert!(offset_of!(TscInfoResponse, tsc_scale) == 0x08);
    assert!(offset_of!(TscInfoResponse, tsc_offset) == 0x10);
    assert!(offset_of!(TscInfoResponse, tsc_factor) == 0x18);
};

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_derived_key_is_not_printed() {
        let response = KeyResponse {
            key: [0xab; 32],
            ..KeyResponse::refused(FirmwareStatus::SUCCESS)
        };
        let text = std::format!("{response:?}");
        assert!(text.contains("status") && !text.contains("171"));
    }

    #[test]
    fn a_refusal_has_a_status_and_nothing_else() {
        let report = ReportResponse::refused(FirmwareStatus::INVALID_KEY);
        assert_eq!(report.as_bytes()[..8], [0x27, 0, 0, 0, 0, 0, 0, 0]);
        assert!(report.as_bytes()[8..].iter().all(|&byte| byte == 0));
        let key = KeyResponse::refused(FirmwareStatus::INVALID_PARAM);
        assert_eq!(key.as_bytes()[0], 0x16);
        assert!(key.as_bytes()[1..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn the_root_key_and_its_choice_share_a_word() {
        let mut request = KeyRequest::new_zeroed();
        assert_eq!(request.key_select(), KeySelect::ANY);
        request.root_key_select = 0b101;
        assert_eq!(request.key_select(), KeySelect::VLEK);
        assert_ne!(request.root_key_select & KeyRequest::ROOT_VMRK, 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_payload_and_come_back(bytes: [[u8; 32]; 38]) {
            let bytes = bytes.as_flattened();
            let response = ReportResponse::read_from_bytes(bytes).unwrap();
            prop_assert_eq!(response.as_bytes(), bytes);
            let (request, _) = ReportRequest::read_from_prefix(bytes).unwrap();
            prop_assert_eq!(request.as_bytes(), &bytes[..0x60]);
            let (request, _) = KeyRequest::read_from_prefix(bytes).unwrap();
            prop_assert_eq!(request.as_bytes(), &bytes[..0x28]);
            let (response, _) = KeyResponse::read_from_prefix(bytes).unwrap();
            prop_assert_eq!(response.as_bytes(), &bytes[..0x40]);
            let (response, _) = TscInfoResponse::read_from_prefix(bytes).unwrap();
            prop_assert_eq!(response.as_bytes(), &bytes[..0x80]);
        }

        #[test]
        fn field_bits_without_a_name_are_kept(bits: u64) {
            prop_assert_eq!(GuestFields::from_bits_retain(bits).bits(), bits);
        }
    }
}
