//! The secrets page (SEV-SNP firmware ABI, SNP_LAUNCH_UPDATE,
//! PAGE_TYPE_SECRETS; SVSM specification for the fields at 0x140).

use core::mem::{offset_of, size_of};

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use super::Vmpl;

/// Bytes in a VM platform communication key.
pub const VMPCK_SIZE: usize = 32;

/// Newest version of the SVSM specification that Rampart tells the guest of.
pub const SVSM_MAX_VERSION: u32 = 1;

/// The part of the secrets page that the guest's software keeps its notes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SecretsOsArea {
    /// Sequence number of the last guest message, by VMPCK.
    pub message_sequence: [u32; Vmpl::COUNT],
    /// GPA of the AP jump table (SEV-ES).
    pub ap_jump_table: u64,
    /// Reserved.
    pub reserved: [u8; 40],
    /// The guest's.
    pub guest_usage: [u8; 32],
}

/// The secrets page. Whoever reads it can talk to the secure processor in the
/// name of each VMPL whose key it has.
#[derive(Clone, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SecretsPage {
    /// Version of the page.
    pub version: u32,
    /// Bit 0: launched through a migration agent's image (IMI_EN).
    pub flags: u32,
    /// Family, model and stepping, as CPUID leaf 1 EAX has them.
    pub fms: u32,
    /// Reserved.
    pub reserved_0xc: u32,
    /// The host's OS-visible workarounds.
    pub gosvw: [u8; 16],
    /// VM platform communication keys, by VMPL.
    pub vmpck: [[u8; VMPCK_SIZE]; Vmpl::COUNT],
    /// The guest's own notes.
    pub os_area: SecretsOsArea,
    /// Which VMSA fields the processor obfuscates (VMSA register protection).
    pub vmsa_tweak_bitmap: [u8; 64],
    /// GPA of the SVSM's range.
    pub svsm_base: u64,
    /// Length of the SVSM's range in bytes. Zero: there is no SVSM.
    pub svsm_size: u64,
    /// GPA of the boot processor's calling area.
    pub svsm_caa: u64,
    /// Newest version of the specification that the SVSM knows.
    pub svsm_max_version: u32,
    /// VMPL that the guest runs at.
    pub svsm_guest_vmpl: u8,
    /// Reserved.
    pub reserved_0x15d: [u8; 3],
    /// Factor of the guest's TSC (secure TSC).
    pub tsc_factor: u32,
    /// Reserved.
    pub reserved_0x164: [u8; 3740],
}

impl SecretsPage {
    /// The guest's copy of the page: the keys of the levels above it are gone,
    /// and the SVSM fields say where the SVSM lies and where the calling area
    /// of the boot processor is. Reserved fields and notes are not copied: what
    /// is not known is not passed on.
    pub fn for_guest(
        &self,
        guest_vmpl: Vmpl,
        svsm_base: u64,
        svsm_size: u64,
        calling_area: u64,
    ) -> Self {
        let mut copy = Self::new_zeroed();
        copy.version = self.version;
        copy.flags = self.flags;
        copy.fms = self.fms;
        copy.gosvw = self.gosvw;
        let keys = copy.vmpck.iter_mut().zip(&self.vmpck);
        for (to, from) in keys.skip(guest_vmpl.index()) {
            *to = *from;
        }
        copy.vmsa_tweak_bitmap = self.vmsa_tweak_bitmap;
        copy.svsm_base = svsm_base;
        copy.svsm_size = svsm_size;
        copy.svsm_caa = calling_area;
        copy.svsm_max_version = SVSM_MAX_VERSION;
        copy.svsm_guest_vmpl = guest_vmpl.get();
        copy.tsc_factor = self.tsc_factor;
        copy
    }
}

impl core::fmt::Debug for SecretsPage {
    /// Leaves the keys out: a log is not private.
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("SecretsPage")
            .field("version", &self.version)
            .field("svsm_base", &self.svsm_base)
            .field("svsm_size", &self.svsm_size)
            .field("svsm_caa", &self.svsm_caa)
            .field("svsm_guest_vmpl", &self.svsm_guest_vmpl)
            .finish_non_exhaustive()
    }
}

const _: () = {
    assert!(size_of::<SecretsOsArea>() == 0x60);
    assert!(offset_of!(SecretsOsArea, message_sequence) == 0x00);
    assert!(offset_of!(SecretsOsArea, ap_jump_table) == 0x10);
    assert!(offset_of!(SecretsOsArea, reserved) == 0x18);
    assert!(offset_of!(SecretsOsArea, guest_usage) == 0x40);
    assert!(size_of::<SecretsPage>() == 0x1000);
    assert!(offset_of!(SecretsPage, version) == 0x000);
    assert!(offset_of!(SecretsPage, flags) == 0x004);
    assert!(offset_of!(SecretsPage, fms) == 0x008);
    assert!(offset_of!(SecretsPage, reserved_0xc) == 0x00c);
    assert!(offset_of!(SecretsPage, gosvw) == 0x010);
    assert!(offset_of!(SecretsPage, vmpck) == 0x020);
    assert!(offset_of!(SecretsPage, os_area) == 0x0a0);
    assert!(offset_of!(SecretsPage, vmsa_tweak_bitmap) == 0x100);
    assert!(offset_of!(SecretsPage, svsm_base) == 0x140);
    assert!(offset_of!(SecretsPage, svsm_size) == 0x148);
    assert!(offset_of!(SecretsPage, svsm_caa) == 0x150);
    assert!(offset_of!(SecretsPage, svsm_max_version) == 0x158);
    assert!(offset_of!(SecretsPage, svsm_guest_vmpl) == 0x15c);
    assert!(offset_of!(SecretsPage, reserved_0x15d) == 0x15d);
    assert!(offset_of!(SecretsPage, tsc_factor) == 0x160);
    assert!(offset_of!(SecretsPage, reserved_0x164) == 0x164);
};

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    /// A page in which every byte is set: whatever leaks is seen.
    fn full() -> SecretsPage {
        let mut page = SecretsPage::read_from_bytes(&[0xee; 0x1000]).unwrap();
        for (level, key) in page.vmpck.iter_mut().enumerate() {
            key.fill(0x10 + level as u8);
        }
        page
    }

    #[test]
    fn the_guest_gets_its_keys_and_those_below() {
        for vmpl in Vmpl::ALL {
            let copy = full().for_guest(vmpl, 0x200_0000, 0x80_0000, 0x80_f000);
            for (level, key) in copy.vmpck.iter().enumerate() {
                let expected = if level < vmpl.index() {
                    [0; VMPCK_SIZE]
                } else {
                    [0x10 + level as u8; VMPCK_SIZE]
                };
                assert_eq!(key, &expected, "VMPCK{level} at {vmpl}");
            }
        }
    }

    #[test]
    fn no_key_of_a_level_above_is_anywhere_in_the_copy() {
        let copy = full().for_guest(Vmpl::VMPL2, 0x200_0000, 0x80_0000, 0x80_f000);
        let leaks = |byte| copy.as_bytes().windows(4).any(|bytes| bytes == [byte; 4]);
        assert!(!leaks(0x10) && !leaks(0x11));
        assert!(leaks(0x12) && leaks(0x13));
    }

    #[test]
    fn the_guest_is_told_of_the_svsm() {
        let copy = full().for_guest(Vmpl::VMPL2, 0x200_0000, 0x80_0000, 0x80_f000);
        let bytes = copy.as_bytes();
        assert_eq!(bytes[0x140..0x148], 0x200_0000u64.to_le_bytes());
        assert_eq!(bytes[0x148..0x150], 0x80_0000u64.to_le_bytes());
        assert_eq!(bytes[0x150..0x158], 0x80_f000u64.to_le_bytes());
        assert_eq!(bytes[0x158..0x15c], 1u32.to_le_bytes());
        assert_eq!(bytes[0x15c..0x160], [2, 0, 0, 0]);
        assert_eq!(bytes[..4], [0xee; 4]);
        assert!(bytes[0xa0..0x100].iter().all(|&byte| byte == 0));
        assert!(bytes[0x164..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn keys_are_not_printed() {
        let page = full();
        let text = std::format!("{page:?}");
        assert!(text.contains("svsm_guest_vmpl"));
        assert!(!text.contains("vmpck") && !text.contains("16, 16"));
    }
}
