//! The launch: the guest policy, the types of launched pages, and the structure
//! that the launch digest hashes (SEV-SNP firmware ABI, section 4.3 and SNP_LAUNCH_UPDATE).

use core::mem::{offset_of, size_of};

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Rights;

/// Bytes in a launch digest: SHA-384. The first digest is all zero.
pub const LAUNCH_DIGEST_SIZE: usize = 48;

/// What SNP_LAUNCH_UPDATE makes of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaunchPageType(
    /// The number.
    pub u8,
);

impl LaunchPageType {
    /// Data, measured.
    pub const NORMAL: Self = Self(1);
    /// A VMSA, measured.
    pub const VMSA: Self = Self(2);
    /// A page of zeros; its address is measured.
    pub const ZERO: Self = Self(3);
    /// Data whose address is measured and whose contents are not.
    pub const UNMEASURED: Self = Self(4);
    /// The secrets page.
    pub const SECRETS: Self = Self(5);
    /// The CPUID page.
    pub const CPUID: Self = Self(6);

    /// Whether the digest covers the page's contents.
    pub const fn is_content_measured(self) -> bool {
        matches!(self, Self::NORMAL | Self::VMSA)
    }
}

/// PAGE_INFO: the next launch digest is the SHA-384 of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PageInfo {
    /// The digest so far.
    pub digest: [u8; LAUNCH_DIGEST_SIZE],
    /// SHA-384 of the page, zero where the contents are not measured.
    pub contents: [u8; LAUNCH_DIGEST_SIZE],
    /// Length of this structure: 0x70.
    pub length: u16,
    /// A [`LaunchPageType`].
    pub page_type: u8,
    /// Bit 0: part of an initial migration image.
    pub imi_page: u8,
    /// [`Rights`] of VMPL3.
    pub vmpl3_rights: u8,
    /// [`Rights`] of VMPL2.
    pub vmpl2_rights: u8,
    /// [`Rights`] of VMPL1.
    pub vmpl1_rights: u8,
    /// Zero.
    pub reserved: u8,
    /// GPA of the page.
    pub gpa: u64,
}

impl PageInfo {
    /// What the digest hashes for a 4 KiB page that levels 1 to 3 have no
    /// rights to. `contents` is dropped where the type does not measure it.
    pub const fn new(
        digest: [u8; LAUNCH_DIGEST_SIZE],
        contents: [u8; LAUNCH_DIGEST_SIZE],
        page_type: LaunchPageType,
        gpa: u64,
    ) -> Self {
        Self {
            digest,
            contents: if page_type.is_content_measured() {
                contents
            } else {
                [0; LAUNCH_DIGEST_SIZE]
            },
            length: size_of::<Self>() as u16,
            page_type: page_type.0,
            imi_page: 0,
            vmpl3_rights: 0,
            vmpl2_rights: 0,
            vmpl1_rights: 0,
            reserved: 0,
            gpa,
        }
    }

    /// The same page with rights for VMPL1, VMPL2 and VMPL3.
    pub const fn with_rights(mut self, vmpl1: Rights, vmpl2: Rights, vmpl3: Rights) -> Self {
        self.vmpl1_rights = vmpl1.bits();
        self.vmpl2_rights = vmpl2.bits();
        self.vmpl3_rights = vmpl3.bits();
        self
    }
}

bitflags! {
    /// The guest policy. Bits 7:0 and 15:8 are the least ABI version that the
    /// guest accepts.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct GuestPolicy: u64 {
        /// SMT is allowed.
        const SMT = 1 << 16;
        /// Reserved, must be one.
        const MUST_BE_ONE = 1 << 17;
        /// A migration agent is allowed.
        const MIGRATE_MA = 1 << 18;
        /// Debugging by the host is allowed.
        const DEBUG = 1 << 19;
        /// The guest runs on one socket only.
        const SINGLE_SOCKET = 1 << 20;
        /// CXL devices or memory are allowed.
        const CXL_ALLOW = 1 << 21;
        /// Memory encryption has to be AES-256-XTS.
        const MEM_AES_256_XTS = 1 << 22;
        /// RAPL has to be off.
        const RAPL_DISABLE = 1 << 23;
        /// Ciphertext hiding has to be on.
        const CIPHERTEXT_HIDING = 1 << 24;
        /// Guest pages may not be swapped or moved.
        const PAGE_SWAP_DISABLE = 1 << 25;
        /// Every other bit, the ABI version among them.
        const _ = !0;
    }
}

impl GuestPolicy {
    /// The flags with the least ABI version `major.minor`.
    pub const fn with_abi(self, major: u8, minor: u8) -> Self {
        Self::from_bits_retain(self.bits() & !0xffff | (major as u64) << 8 | minor as u64)
    }

    /// Least major ABI version (bits 15:8).
    pub const fn abi_major(self) -> u8 {
        (self.bits() >> 8) as u8
    }

    /// Least minor ABI version (bits 7:0).
    pub const fn abi_minor(self) -> u8 {
        self.bits() as u8
    }

    /// Whether the host may read and write the guest's memory.
    pub const fn allows_debug(self) -> bool {
        self.contains(Self::DEBUG)
    }
}

const _: () = {
    assert!(size_of::<PageInfo>() == 0x70);
    assert!(offset_of!(PageInfo, digest) == 0x00);
    assert!(offset_of!(PageInfo, contents) == 0x30);
    assert!(offset_of!(PageInfo, length) == 0x60);
    assert!(offset_of!(PageInfo, page_type) == 0x62);
    assert!(offset_of!(PageInfo, imi_page) == 0x63);
    assert!(offset_of!(PageInfo, vmpl3_rights) == 0x64);
    assert!(offset_of!(PageInfo, vmpl2_rights) == 0x65);
    assert!(offset_of!(PageInfo, vmpl1_rights) == 0x66);
    assert!(offset_of!(PageInfo, reserved) == 0x67);
    assert!(offset_of!(PageInfo, gpa) == 0x68);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_info_is_laid_out_as_the_abi_says() {
        let info = PageInfo::new([1; 48], [2; 48], LaunchPageType::NORMAL, 0x0200_0000)
            .with_rights(Rights::READ, Rights::WRITE, Rights::EXECUTE_USER);
        let bytes = info.as_bytes();
        assert_eq!(bytes[..48], [1; 48]);
        assert_eq!(bytes[48..96], [2; 48]);
        assert_eq!(bytes[0x60..0x68], [0x70, 0, 1, 0, 4, 2, 1, 0]);
        assert_eq!(bytes[0x68..], 0x0200_0000u64.to_le_bytes());
        assert_eq!(PageInfo::read_from_bytes(bytes), Ok(info));
    }

    #[test]
    fn only_normal_pages_and_vmsas_have_contents() {
        for number in 0..=u8::MAX {
            let info = PageInfo::new([0; 48], [2; 48], LaunchPageType(number), 0);
            let measured = number == 1 || number == 2;
            assert_eq!(info.contents == [2; 48], measured, "type {number}");
            assert_eq!(info.contents == [0; 48], !measured, "type {number}");
        }
    }

    #[test]
    fn policy_has_the_abi_version_low() {
        let policy = (GuestPolicy::SMT | GuestPolicy::MUST_BE_ONE).with_abi(1, 55);
        assert_eq!(policy.bits(), 0x3_0137);
        assert_eq!((policy.abi_major(), policy.abi_minor()), (1, 55));
        assert!(!policy.allows_debug());
        assert_eq!(policy.with_abi(0, 0).bits(), 0x3_0000);
        assert!(GuestPolicy::from_bits_retain(0xb_0000).allows_debug());
    }
}
