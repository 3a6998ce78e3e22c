//! Guest messages: what a guest and the secure processor send each other
//! through the host (SEV-SNP firmware ABI, SNP_GUEST_REQUEST and guest messages).

use core::mem::{offset_of, size_of};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Vmpl;

/// Bytes in a message's page.
pub const GUEST_MESSAGE_PAGE: usize = 0x1000;

/// Bytes of [`GuestMessageHeader::tag`] that AES-GCM fills; the others are zero.
pub const GUEST_MESSAGE_TAG: usize = 16;

/// MSG_TYPE. A request's answer has the next number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct MessageType(
    /// The number.
    pub u8,
);

impl MessageType {
    /// MSG_CPUID_REQ: checks a CPUID table.
    pub const CPUID_REQ: Self = Self(1);
    /// MSG_KEY_REQ: derives a key.
    pub const KEY_REQ: Self = Self(3);
    /// MSG_REPORT_REQ: an attestation report.
    pub const REPORT_REQ: Self = Self(5);
    /// MSG_EXPORT_REQ: a migration agent's.
    pub const EXPORT_REQ: Self = Self(7);
    /// MSG_IMPORT_REQ: a migration agent's.
    pub const IMPORT_REQ: Self = Self(9);
    /// MSG_ABSORB_REQ: a migration agent's.
    pub const ABSORB_REQ: Self = Self(11);
    /// MSG_VMRK_REQ: a migration agent's.
    pub const VMRK_REQ: Self = Self(13);
    /// MSG_ABSORB_NOMA_REQ.
    pub const ABSORB_NOMA_REQ: Self = Self(15);
    /// MSG_TSC_INFO_REQ: the secure TSC's parameters.
    pub const TSC_INFO_REQ: Self = Self(17);

    /// The type of the answer to this request.
    pub const fn answer(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// The status of a command or, in a response's payload, of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
#[must_use = "the request has failed unless this is SUCCESS"]
pub struct FirmwareStatus(
    /// The number.
    pub u32,
);

impl FirmwareStatus {
    /// Done.
    pub const SUCCESS: Self = Self(0);
    /// The message is not authentic.
    pub const BAD_MEASUREMENT: Self = Self(0xb);
    /// The feature is not there.
    pub const UNSUPPORTED: Self = Self(0x15);
    /// A parameter is wrong.
    pub const INVALID_PARAM: Self = Self(0x16);
    /// The sequence number has come to its end.
    pub const AEAD_OFLOW: Self = Self(0x1d);
    /// The key that was asked for is not there.
    pub const INVALID_KEY: Self = Self(0x27);
}

/// The part of the header that the tag covers beside the payload, offset 0x30.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GuestMessageInfo {
    /// 1: AES-256-GCM.
    pub algorithm: u8,
    /// 1.
    pub header_version: u8,
    /// 0x60.
    pub header_size: u16,
    /// What the payload is.
    pub message_type: MessageType,
    /// Version of the payload's format; an answer has its request's.
    pub message_version: u8,
    /// Bytes of payload.
    pub message_size: u16,
    /// Zero.
    pub reserved_0x38: u32,
    /// Which key: the number of a VMPL.
    pub vmpck: u8,
    /// Zero.
    pub reserved_0x3d: [u8; 35],
}

impl GuestMessageInfo {
    /// AES-256-GCM, [`Self::algorithm`].
    pub const AES_256_GCM: u8 = 1;
    /// The only header version.
    pub const HEADER_VERSION: u8 = 1;

    /// A message of `size` bytes of payload under the key of `vmpck`.
    pub const fn new(message_type: MessageType, version: u8, size: u16, vmpck: Vmpl) -> Self {
        Self {
            algorithm: Self::AES_256_GCM,
            header_version: Self::HEADER_VERSION,
            header_size: size_of::<GuestMessageHeader>() as u16,
            message_type,
            message_version: version,
            message_size: size,
            reserved_0x38: 0,
            vmpck: vmpck.get(),
            reserved_0x3d: [0; 35],
        }
    }
}

/// The header. The payload follows, encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GuestMessageHeader {
    /// AES-GCM's tag, then zeros.
    pub tag: [u8; 32],
    /// Odd in a request, one more in its answer, and never the same twice under
    /// one key.
    pub sequence: u64,
    /// Zero.
    pub reserved_0x28: u64,
    /// What else the tag covers.
    pub info: GuestMessageInfo,
}

impl GuestMessageHeader {
    /// AES-GCM's nonce of a sequence number.
    pub const fn nonce(sequence: u64) -> [u8; 12] {
        let [a, b, c, d, e, f, g, h] = sequence.to_le_bytes();
        [a, b, c, d, e, f, g, h, 0, 0, 0, 0]
    }
}

const _: () = {
    assert!(size_of::<GuestMessageHeader>() == 0x60);
    assert!(offset_of!(GuestMessageHeader, tag) == 0x00);
    assert!(offset_of!(GuestMessageHeader, sequence) == 0x20);
    assert!(offset_of!(GuestMessageHeader, reserved_0x28) == 0x28);
    assert!(offset_of!(GuestMessageHeader, info) == 0x30);
    assert!(size_of::<GuestMessageInfo>() == 0x30);
    assert!(offset_of!(GuestMessageInfo, algorithm) == 0x00);
    assert!(offset_of!(GuestMessageInfo, header_version) == 0x01);
    assert!(offset_of!(GuestMessageInfo, header_size) == 0x02);
    assert!(offset_of!(GuestMessageInfo, message_type) == 0x04);
    assert!(offset_of!(GuestMessageInfo, message_version) == 0x05);
    assert!(offset_of!(GuestMessageInfo, message_size) == 0x06);
    assert!(offset_of!(GuestMessageInfo, reserved_0x38) == 0x08);
    assert!(offset_of!(GuestMessageInfo, vmpck) == 0x0c);
    assert!(offset_of!(GuestMessageInfo, reserved_0x3d) == 0x0d);
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_header_is_laid_out_as_the_abi_says() {
        let header = GuestMessageHeader {
            tag: [0xaa; 32],
            sequence: 0x0102_0304_0506_0708,
            reserved_0x28: 0,
            info: GuestMessageInfo::new(MessageType::REPORT_REQ, 1, 0x60, Vmpl::VMPL2),
        };
        let bytes = header.as_bytes();
        assert_eq!(bytes[0x20..0x28], [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(bytes[0x30..0x38], [1, 1, 0x60, 0, 5, 1, 0x60, 0]);
        assert_eq!(bytes[0x38..0x3e], [0, 0, 0, 0, 2, 0]);
        assert_eq!(header.info.as_bytes(), &bytes[0x30..]);
    }

    #[test]
    fn answers_have_the_next_type() {
        assert_eq!(MessageType::KEY_REQ.answer(), MessageType(4));
        assert_eq!(MessageType::TSC_INFO_REQ.answer(), MessageType(18));
        assert_eq!(MessageType(255).answer(), MessageType(0));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header_and_come_back(bytes: [[u8; 32]; 3]) {
            let bytes = bytes.as_flattened();
            let header = GuestMessageHeader::read_from_bytes(bytes).unwrap();
            prop_assert_eq!(header.as_bytes(), bytes);
        }

        #[test]
        fn no_two_sequence_numbers_have_one_nonce(a: u64, b: u64) {
            prop_assert_eq!(
                a == b,
                GuestMessageHeader::nonce(a) == GuestMessageHeader::nonce(b)
            );
            prop_assert_eq!(GuestMessageHeader::nonce(a)[..8].to_vec(), a.to_le_bytes());
        }
    }
}
