//! The attestation report, versions 2 to 5 (SEV-SNP firmware ABI,
//! ATTESTATION_REPORT). Later versions name bytes that were reserved before.

use core::mem::{offset_of, size_of};

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{LAUNCH_DIGEST_SIZE, TcbVersion};

bitflags! {
    /// PLATFORM_INFO.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct PlatformInfo: u64 {
        /// SMT is on.
        const SMT_EN = 1;
        /// Transparent memory encryption is on.
        const TSME_EN = 1 << 1;
        /// Memory has error correction.
        const ECC_EN = 1 << 2;
        /// RAPL is off.
        const RAPL_DIS = 1 << 3;
        /// Ciphertext hiding is on.
        const CIPHERTEXT_HIDING = 1 << 4;
        /// The memory was looked through for aliases.
        const ALIAS_CHECK_COMPLETE = 1 << 5;
        /// SEV-TIO is on.
        const TIO_EN = 1 << 7;
        /// Every other bit.
        const _ = !0;
    }
}

/// What signed a report: bits 4:2 of KEY_INFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SigningKey(
    /// The number.
    pub u32,
);

impl SigningKey {
    /// The versioned chip endorsement key.
    pub const VCEK: Self = Self(0);
    /// The versioned loaded endorsement key.
    pub const VLEK: Self = Self(1);
    /// Nothing.
    pub const NONE: Self = Self(7);
}

/// KEY_INFO.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct KeyInfo(
    /// The 32 bits.
    pub u32,
);

impl KeyInfo {
    /// The author key's digest is in the report.
    pub const AUTHOR_KEY_EN: u32 = 1;
    /// The host has the reports left unsigned.
    pub const MASK_CHIP_KEY: u32 = 1 << 1;

    /// What signed the report.
    pub const fn signing_key(self) -> SigningKey {
        SigningKey(self.0 >> 2 & 7)
    }

    /// Flags beside what signed the report.
    pub const fn new(flags: u32, key: SigningKey) -> Self {
        Self(flags & 3 | (key.0 & 7) << 2)
    }
}

/// A firmware's version.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct FirmwareVersion {
    /// Build.
    pub build: u8,
    /// Minor version of the ABI.
    pub minor: u8,
    /// Major version of the ABI.
    pub major: u8,
    /// Zero.
    pub reserved: u8,
}

/// An ECDSA signature on P-384; the numbers are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ReportSignature {
    /// R, then zeros.
    pub r: [u8; 72],
    /// S, then zeros.
    pub s: [u8; 72],
    /// Zero.
    pub reserved: [u8; 368],
}

/// The report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct AttestationReport {
    /// Version of the format: 2, 3 (processor), 5 (mitigations).
    pub version: u32,
    /// The guest's security version, from its ID block.
    pub guest_svn: u32,
    /// [`GuestPolicy`](super::GuestPolicy).
    pub policy: u64,
    /// From the guest's ID block.
    pub family_id: [u8; 16],
    /// From the guest's ID block.
    pub image_id: [u8; 16],
    /// The level that the request named.
    pub vmpl: u32,
    /// 1: ECDSA P-384 with SHA-384.
    pub signature_algorithm: u32,
    /// The TCB that runs.
    pub current_tcb: TcbVersion,
    /// [`PlatformInfo`].
    pub platform_info: u64,
    /// What signed.
    pub key_info: KeyInfo,
    /// Zero.
    pub reserved_0x4c: u32,
    /// The request's.
    pub report_data: [u8; 64],
    /// The launch digest.
    pub measurement: [u8; LAUNCH_DIGEST_SIZE],
    /// The host's at launch.
    pub host_data: [u8; 32],
    /// SHA-384 of the key that signed the ID block.
    pub id_key_digest: [u8; 48],
    /// SHA-384 of the key that certified the ID key.
    pub author_key_digest: [u8; 48],
    /// The guest's, as long as it runs.
    pub report_id: [u8; 32],
    /// The migration agent's, all ones without one.
    pub report_id_ma: [u8; 32],
    /// The TCB that the signing key stands for.
    pub reported_tcb: TcbVersion,
    /// Family, base and extended. Version 3.
    pub cpuid_family: u8,
    /// Model, base and extended. Version 3.
    pub cpuid_model: u8,
    /// Stepping. Version 3.
    pub cpuid_stepping: u8,
    /// Zero.
    pub reserved_0x18b: [u8; 21],
    /// The chip's; from Turin on 8 bytes of it. Zero if the host masks it.
    pub chip_id: [u8; 64],
    /// The TCB below which the firmware cannot be set back.
    pub committed_tcb: TcbVersion,
    /// The firmware that runs.
    pub current: FirmwareVersion,
    /// The firmware that is committed.
    pub committed: FirmwareVersion,
    /// The TCB at the guest's launch.
    pub launch_tcb: TcbVersion,
    /// Mitigations at the guest's launch. Version 5.
    pub launch_mit_vector: u64,
    /// Mitigations now. Version 5.
    pub current_mit_vector: u64,
    /// Zero.
    pub reserved_0x208: [u8; 152],
    /// Over what is before it.
    pub signature: ReportSignature,
}

impl AttestationReport {
    /// How many bytes are signed.
    pub const SIGNED: usize = offset_of!(Self, signature);
    /// ECDSA P-384 with SHA-384, [`Self::signature_algorithm`].
    pub const ECDSA_P384_SHA384: u32 = 1;

    /// What the signature is over.
    pub fn signed(&self) -> &[u8] {
        let (signed, _) = self.as_bytes().split_at(Self::SIGNED);
        signed
    }
}

const _: () = {
    assert!(size_of::<AttestationReport>() == 0x4a0);
    assert!(offset_of!(AttestationReport, version) == 0x000);
    assert!(offset_of!(AttestationReport, guest_svn) == 0x004);
    assert!(offset_of!(AttestationReport, policy) == 0x008);
    assert!(offset_of!(AttestationReport, family_id) == 0x010);
    assert!(offset_of!(AttestationReport, image_id) == 0x020);
    assert!(offset_of!(AttestationReport, vmpl) == 0x030);
    assert!(offset_of!(AttestationReport, signature_algorithm) == 0x034);
    assert!(offset_of!(AttestationReport, current_tcb) == 0x038);
    assert!(offset_of!(AttestationReport, platform_info) == 0x040);
    assert!(offset_of!(AttestationReport, key_info) == 0x048);
    assert!(offset_of!(AttestationReport, report_data) == 0x050);
    assert!(offset_of!(AttestationReport, measurement) == 0x090);
    assert!(offset_of!(AttestationReport, host_data) == 0x0c0);
    assert!(offset_of!(AttestationReport, id_key_digest) == 0x0e0);
    assert!(offset_of!(AttestationReport, author_key_digest) == 0x110);
    assert!(offset_of!(AttestationReport, report_id) == 0x140);
    assert!(offset_of!(AttestationReport, report_id_ma) == 0x160);
    assert!(offset_of!(AttestationReport, reported_tcb) == 0x180);
    assert!(offset_of!(AttestationReport, cpuid_family) == 0x188);
    assert!(offset_of!(AttestationReport, cpuid_model) == 0x189);
    assert!(offset_of!(AttestationReport, cpuid_stepping) == 0x18a);
    assert!(offset_of!(AttestationReport, chip_id) == 0x1a0);
    assert!(offset_of!(AttestationReport, committed_tcb) == 0x1e0);
    assert!(offset_of!(AttestationReport, current) == 0x1e8);
    assert!(offset_of!(AttestationReport, committed) == 0x1ec);
    assert!(offset_of!(AttestationReport, launch_tcb) == 0x1f0);
    assert!(offset_of!(AttestationReport, launch_mit_vector) == 0x1f8);
    assert!(offset_of!(AttestationReport, current_mit_vector) == 0x200);
    assert!(offset_of!(AttestationReport, signature) == 0x2a0);
    assert!(size_of::<ReportSignature>() == 0x200);
    assert!(offset_of!(ReportSignature, s) == 72);
    assert!(offset_of!(ReportSignature, reserved) == 144);
    assert!(size_of::<FirmwareVersion>() == 4);
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn key_info_names_the_key_beside_its_flags() {
        let info = KeyInfo::new(KeyInfo::AUTHOR_KEY_EN, SigningKey::NONE);
        assert_eq!(info.0, 0b1_1101);
        assert_eq!(info.signing_key(), SigningKey::NONE);
        assert_eq!(KeyInfo(0b100).signing_key(), SigningKey::VLEK);
        assert_eq!(KeyInfo(0xffff_ffe3).signing_key(), SigningKey::VCEK);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_report_and_come_back(bytes: [[u8; 32]; 37]) {
            let bytes = bytes.as_flattened();
            let report = AttestationReport::read_from_bytes(bytes).unwrap();
            prop_assert_eq!(report.as_bytes(), bytes);
            prop_assert_eq!(report.signed(), &bytes[..0x2a0]);
            prop_assert_eq!(&report.signature.r[..], &bytes[0x2a0..0x2e8]);
            prop_assert_eq!(report.current.build, bytes[0x1e8]);
            prop_assert_eq!(report.committed.major, bytes[0x1ee]);
        }
    }
}
