//! The image header: what the builder decided, measured with the image.

use core::mem::{offset_of, size_of};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::layout;
use crate::addr::{Gpa, GpaRange, PAGE_4K};
use crate::snp::Vmpl;

/// A deflated payload of the launch area.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct PackedPayload {
    /// GPA of the first packed byte.
    pub gpa: u64,
    /// Bytes packed (raw deflate). Zero: the image has no such payload.
    pub packed: u32,
    /// Bytes after unpacking, exactly.
    pub unpacked: u32,
}

impl PackedPayload {
    /// Whether the image has the payload.
    pub const fn is_present(&self) -> bool {
        self.packed != 0
    }

    /// Where the packed bytes lie, unless that wraps.
    pub const fn range(&self) -> Option<GpaRange> {
        GpaRange::new(Gpa::new(self.gpa), self.packed as u64)
    }

    /// Whether the packed bytes lie where the launch loads payloads.
    pub const fn is_in_payload_area(&self) -> bool {
        match self.range() {
            Some(range) => PAYLOAD_AREA.contains_range(range),
            None => false,
        }
    }
}

const PAYLOAD_AREA: GpaRange = match GpaRange::from_bounds(
    Gpa::new(layout::PAYLOAD_BASE),
    Gpa::new(layout::PAYLOAD_END),
) {
    Some(area) => area,
    None => panic!("the payload area is empty"),
};

bitflags::bitflags! {
    /// What the firmware is to do.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ImageFlags: u64 {
        /// Offer a TPM.
        const TPM = 1 << 0;
        /// Its endorsement keys are derived from a key that the secure processor gives this image
        /// on this chip, and come out the same at each boot. Without: they are new at each boot.
        const PERSISTENT_IDENTITY = 1 << 1;
        /// The host's parameters are measured into [`ImageHeader::parameters_pcr`].
        const MEASURE_PARAMETERS = 1 << 2;
    }
}

/// SHA-384 of a guest firmware.
pub type FirmwareHash = [u8; 48];

/// The measured header, at [`layout::IMAGE_HEADER_PAGE`]. The rest of its page
/// is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ImageHeader {
    /// [`ImageHeader::MAGIC`].
    pub magic: [u8; 8],
    /// [`ImageHeader::VERSION`].
    pub version: u32,
    /// VMPL that the guest runs at: 1 to 3.
    pub guest_vmpl: u8,
    /// Number of the C-bit that the measured page tables carry.
    pub c_bit: u8,
    /// The PCR that the host's parameters are measured into: 0 to 15 with
    /// [`ImageFlags::MEASURE_PARAMETERS`], otherwise 0.
    pub parameters_pcr: u8,
    /// Zero.
    pub reserved: u8,
    /// The kernel: an ELF64 file.
    pub kernel: PackedPayload,
    /// The guest firmware: a ROM image. Nothing packed and a size: the host gives it, and it has
    /// the hash below.
    pub firmware: PackedPayload,
    /// GPA that the unpacked guest firmware is placed at.
    pub firmware_gpa: u64,
    /// The SEV_FEATURES that the guest's VMSA wants.
    pub sev_features: u64,
    /// [`ImageFlags`].
    pub flags: u64,
    /// SHA-384 of the guest firmware that the host gives; zero where the image has the firmware.
    pub firmware_sha384: FirmwareHash,
}

/// Why a header is not one that this build understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum ImageHeaderError {
    /// The page has no header.
    Magic,
    /// The header's version is another one.
    Version(u32),
    /// The guest's VMPL is 0 or above 3.
    GuestVmpl(u8),
    /// The image is for another C-bit than [`layout::C_BIT`].
    CBit(u8),
    /// A reserved field or an undefined flag is set.
    Reserved,
    /// What is asked of the TPM makes no sense: without a TPM, or with a PCR that can be reset.
    Tpm,
    /// There is no kernel, or it lies outside the payload area.
    Kernel,
    /// The guest firmware lies outside the payload area, or its place does not
    /// end at 4 GiB or is too large.
    Firmware,
}

impl ImageHeader {
    /// First bytes of the header.
    pub const MAGIC: [u8; 8] = *b"RAMPART\0";
    /// Version of this layout.
    pub const VERSION: u32 = 3;
    /// The PCRs below this one are never reset while the machine runs.
    const STATIC_PCRS: u8 = 16;

    /// Checks that the header is of this layout and that its payloads lie where
    /// the launch loads them. Returns the guest's VMPL.
    pub const fn check(&self) -> Result<Vmpl, ImageHeaderError> {
        if u64::from_le_bytes(self.magic) != u64::from_le_bytes(Self::MAGIC) {
            return Err(ImageHeaderError::Magic);
        }
        if self.version != Self::VERSION {
            return Err(ImageHeaderError::Version(self.version));
        }
        if self.c_bit as u32 != layout::C_BIT {
            return Err(ImageHeaderError::CBit(self.c_bit));
        }
        let Some(flags) = ImageFlags::from_bits(self.flags) else {
            return Err(ImageHeaderError::Reserved);
        };
        if self.reserved != 0 {
            return Err(ImageHeaderError::Reserved);
        }
        if !self.tpm_makes_sense(flags) {
            return Err(ImageHeaderError::Tpm);
        }
        if !self.kernel.is_present() || !self.kernel.is_in_payload_area() {
            return Err(ImageHeaderError::Kernel);
        }
        if !self.firmware_makes_sense() {
            return Err(ImageHeaderError::Firmware);
        }
        match Vmpl::new(self.guest_vmpl) {
            Some(vmpl) if vmpl.get() != 0 => Ok(vmpl),
            _ => Err(ImageHeaderError::GuestVmpl(self.guest_vmpl)),
        }
    }

    const fn tpm_makes_sense(&self, flags: ImageFlags) -> bool {
        let has_tpm = flags.contains(ImageFlags::TPM) || flags.is_empty();
        let pcr = self.parameters_pcr;
        has_tpm
            && match flags.contains(ImageFlags::MEASURE_PARAMETERS) {
                true => pcr < Self::STATIC_PCRS,
                false => pcr == 0,
            }
    }

    /// What the firmware is to do.
    pub const fn image_flags(&self) -> ImageFlags {
        ImageFlags::from_bits_truncate(self.flags)
    }

    /// The PCR that the host's parameters are measured into.
    pub const fn measured_into(&self) -> Option<u8> {
        match self.image_flags().contains(ImageFlags::MEASURE_PARAMETERS) {
            true => Some(self.parameters_pcr),
            false => None,
        }
    }

    /// Whether the host gives the guest firmware.
    pub const fn firmware_is_by_hash(&self) -> bool {
        !self.firmware.is_present() && self.firmware.unpacked != 0
    }

    const fn firmware_makes_sense(&self) -> bool {
        if self.firmware_is_by_hash() {
            return self.firmware.gpa == 0 && self.firmware_fits() && self.leaves_transfer_pages();
        }
        is_zero(&self.firmware_sha384)
            && (!self.firmware.is_present()
                || self.firmware.is_in_payload_area() && self.firmware_fits())
    }

    /// Whether the guest firmware's place is one.
    const fn firmware_fits(&self) -> bool {
        let size = self.firmware.unpacked as u64;
        let end = self.firmware_gpa.checked_add(size);
        size != 0
            && size.is_multiple_of(PAGE_4K)
            && size <= layout::GUEST_FIRMWARE_MAX_SIZE
            && matches!(end, Some(layout::GUEST_FIRMWARE_END))
    }

    /// Whether nothing is loaded to where the firmware will come through.
    const fn leaves_transfer_pages(&self) -> bool {
        match self.kernel.range() {
            Some(kernel) => kernel.end().get() <= layout::TRANSFER_PAGES,
            None => false,
        }
    }
}

const fn is_zero(mut bytes: &[u8]) -> bool {
    while let [first, rest @ ..] = bytes {
        if *first != 0 {
            return false;
        }
        bytes = rest;
    }
    true
}

const _: () = {
    assert!(size_of::<PackedPayload>() == 16);
    assert!(size_of::<ImageHeader>() == 0x78);
    assert!(size_of::<ImageHeader>() <= PAGE_4K as usize);
    assert!(offset_of!(ImageHeader, magic) == 0x00);
    assert!(offset_of!(ImageHeader, version) == 0x08);
    assert!(offset_of!(ImageHeader, guest_vmpl) == 0x0c);
    assert!(offset_of!(ImageHeader, c_bit) == 0x0d);
    assert!(offset_of!(ImageHeader, parameters_pcr) == 0x0e);
    assert!(offset_of!(ImageHeader, reserved) == 0x0f);
    assert!(offset_of!(ImageHeader, kernel) == 0x10);
    assert!(offset_of!(ImageHeader, firmware) == 0x20);
    assert!(offset_of!(ImageHeader, firmware_gpa) == 0x30);
    assert!(offset_of!(ImageHeader, sev_features) == 0x38);
    assert!(offset_of!(ImageHeader, flags) == 0x40);
    assert!(offset_of!(ImageHeader, firmware_sha384) == 0x48);
};

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::snp::SevFeatures;

    pub(in crate::boot) fn header() -> ImageHeader {
        ImageHeader {
            magic: ImageHeader::MAGIC,
            version: ImageHeader::VERSION,
            guest_vmpl: 2,
            c_bit: layout::C_BIT as u8,
            parameters_pcr: 0,
            reserved: 0,
            kernel: PackedPayload {
                gpa: layout::PAYLOAD_BASE,
                packed: 0x2345,
                unpacked: 0x8000,
            },
            firmware: PackedPayload {
                gpa: layout::PAYLOAD_BASE + 0x3000,
                packed: 0x10_0000,
                unpacked: 0x40_0000,
            },
            firmware_gpa: layout::GUEST_FIRMWARE_END - 0x40_0000,
            sev_features: SevFeatures::SNP.bits(),
            flags: 0,
            firmware_sha384: [0; 48],
        }
    }

    fn refused(change: impl FnOnce(&mut ImageHeader)) -> ImageHeaderError {
        let mut header = header();
        change(&mut header);
        header.check().unwrap_err()
    }

    #[test]
    fn a_good_header_is_taken_and_survives_its_bytes() {
        assert_eq!(header().check(), Ok(Vmpl::VMPL2));
        let read = ImageHeader::read_from_bytes(header().as_bytes()).unwrap();
        assert_eq!(read, header());
    }

    #[test]
    fn an_image_without_firmware_is_taken() {
        let mut header = header();
        header.firmware = PackedPayload::default();
        header.firmware_gpa = 0;
        assert_eq!(header.check(), Ok(Vmpl::VMPL2));
    }

    fn by_hash() -> ImageHeader {
        let mut header = header();
        header.firmware.gpa = 0;
        header.firmware.packed = 0;
        header.firmware_sha384 = [0x5a; 48];
        header
    }

    #[test]
    fn a_firmware_by_hash_needs_a_place_and_room_to_come_through() {
        assert!(!header().firmware_is_by_hash());
        assert!(by_hash().firmware_is_by_hash());
        assert_eq!(by_hash().check(), Ok(Vmpl::VMPL2));
        let refused = |change: fn(&mut ImageHeader)| {
            let mut header = by_hash();
            change(&mut header);
            header.check().unwrap_err()
        };
        for change in [
            |h: &mut ImageHeader| h.firmware_gpa += 0x1000,
            |h: &mut ImageHeader| h.firmware.unpacked -= 1,
            |h: &mut ImageHeader| h.firmware.gpa = layout::PAYLOAD_BASE,
            |h: &mut ImageHeader| {
                h.kernel.packed = (layout::TRANSFER_PAGES - layout::PAYLOAD_BASE) as u32 + 1;
            },
        ] {
            assert_eq!(refused(change), ImageHeaderError::Firmware);
        }
    }

    #[test]
    fn a_hash_beside_a_firmware_is_refused() {
        let both = |h: &mut ImageHeader| h.firmware_sha384[47] = 1;
        assert_eq!(refused(both), ImageHeaderError::Firmware);
    }

    #[test]
    fn what_the_build_does_not_understand_is_refused() {
        use ImageHeaderError as E;
        assert_eq!(refused(|h| h.magic[7] = 1), E::Magic);
        assert_eq!(refused(|h| h.version = 9), E::Version(9));
        assert_eq!(refused(|h| h.guest_vmpl = 0), E::GuestVmpl(0));
        assert_eq!(refused(|h| h.guest_vmpl = 4), E::GuestVmpl(4));
        assert_eq!(refused(|h| h.c_bit = 47), E::CBit(47));
        assert_eq!(refused(|h| h.reserved = 1), E::Reserved);
        assert_eq!(refused(|h| h.flags = 1 << 3), E::Reserved);
        assert_eq!(refused(|h| h.flags = 1 << 63), E::Reserved);
    }

    #[test]
    fn what_is_asked_of_the_tpm_has_to_make_sense() {
        let asked = |flags: u64, parameters_pcr: u8| {
            let header = ImageHeader {
                flags,
                parameters_pcr,
                ..header()
            };
            header.check().map(|_| header.measured_into())
        };
        for (flags, pcr, expected) in [
            (0, 0, Ok(None)),
            (1, 0, Ok(None)),
            (3, 0, Ok(None)),
            (5, 0, Ok(Some(0))),
            (7, 15, Ok(Some(15))),
            (7, 16, Err(ImageHeaderError::Tpm)),
            (3, 1, Err(ImageHeaderError::Tpm)),
            (0, 1, Err(ImageHeaderError::Tpm)),
            (2, 0, Err(ImageHeaderError::Tpm)),
            (4, 5, Err(ImageHeaderError::Tpm)),
        ] {
            assert_eq!(asked(flags, pcr), expected, "{flags} {pcr}");
        }
    }

    #[test]
    fn payloads_elsewhere_are_refused() {
        use ImageHeaderError as E;
        assert_eq!(refused(|h| h.kernel.packed = 0), E::Kernel);
        assert_eq!(refused(|h| h.kernel.gpa = layout::SECRETS_PAGE), E::Kernel);
        assert_eq!(refused(|h| h.kernel.gpa = u64::MAX - 1), E::Kernel);
        assert_eq!(refused(|h| h.firmware.gpa = layout::BOOT_GHCB), E::Firmware);
        assert_eq!(refused(|h| h.firmware_gpa += 0x1000), E::Firmware);
        assert_eq!(refused(|h| h.firmware_gpa = u64::MAX), E::Firmware);
        let large = (layout::GUEST_FIRMWARE_MAX_SIZE + PAGE_4K) as u32;
        let grow = |h: &mut ImageHeader| {
            h.firmware.unpacked = large;
            h.firmware_gpa = layout::GUEST_FIRMWARE_END - u64::from(large);
        };
        assert_eq!(refused(grow), E::Firmware);
    }
}
