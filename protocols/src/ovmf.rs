//! What a guest firmware image (OVMF) says of itself: the table of GUIDs that
//! ends 32 bytes before the image's end, and the descriptors that it leads to
//! (edk2: OvmfPkg/ResetVector). Structures only; the walk is the monitor's.
//!
//! The table grows downwards. Each entry is its data, the length of the whole
//! entry and a GUID, in this order, so it is read from its end.

use core::mem::{offset_of, size_of};

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// An EFI GUID in the order it is stored in: the first three fields little
/// endian, the last eight bytes as they are.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(transparent)]
pub struct Guid(
    /// The sixteen bytes.
    pub [u8; 16],
);

impl Guid {
    /// A GUID by the fields of EFI_GUID.
    pub const fn new(data1: u32, data2: u16, data3: u16, data4: [u8; 8]) -> Self {
        let [a0, a1, a2, a3] = data1.to_le_bytes();
        let [b0, b1] = data2.to_le_bytes();
        let [c0, c1] = data3.to_le_bytes();
        let [d0, d1, d2, d3, d4, d5, d6, d7] = data4;
        Self([
            a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, d2, d3, d4, d5, d6, d7,
        ])
    }

    /// A GUID by its text without the hyphens, read as one number.
    pub const fn from_u128(text: u128) -> Self {
        Self::new(
            (text >> 96) as u32,
            (text >> 80) as u16,
            (text >> 64) as u16,
            (text as u64).to_be_bytes(),
        )
    }
}

impl core::fmt::Display for Guid {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, node @ ..] = self.0;
        let (first, second) = (
            u32::from_le_bytes([a0, a1, a2, a3]),
            u16::from_le_bytes([b0, b1]),
        );
        let (third, fourth) = (u16::from_le_bytes([c0, c1]), u16::from_be_bytes([d0, d1]));
        write!(
            formatter,
            "{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-"
        )?;
        node.iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl core::fmt::Debug for Guid {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "Guid({self})")
    }
}

/// The table's footer. Its length is the whole table's, the footer included.
pub const GUID_TABLE_FOOTER: Guid = Guid::from_u128(0x96b582de_1fb2_45f7_baea_a366c55a082d);
/// Reset block: [`SevResetBlock`].
pub const GUID_SEV_ES_RESET_BLOCK: Guid = Guid::from_u128(0x00f771de_1a7e_4fcb_890e_68c77e2fb44e);
/// Where a launch secret goes: [`FirmwareArea`].
pub const GUID_SEV_SECRET_BLOCK: Guid = Guid::from_u128(0x4c2eb361_7d9b_4cc3_8081_127c90d3d294);
/// Where the hashes of kernel, initrd and command line go: [`FirmwareArea`].
pub const GUID_KERNEL_HASHES: Guid = Guid::from_u128(0x7255371f_3a3b_4b04_927b_1da6efa8d454);
/// The SEV descriptor ("ASEV"): [`DescriptorOffset`].
pub const GUID_SEV_METADATA: Guid = Guid::from_u128(0xdc886566_984a_4798_a75e_5585a7bf67cc);
/// The TDX descriptor: [`DescriptorOffset`].
pub const GUID_TDX_METADATA: Guid = Guid::from_u128(0xe47a6535_984a_4798_865e_4685a7bf8ec2);
/// The IGVM descriptor: [`DescriptorOffset`].
pub const GUID_IGVM_METADATA: Guid = Guid::from_u128(0x784fa70e_3176_4677_8a20_04b68699e374);

/// The table ends this many bytes before the image's end.
pub const GUID_TABLE_END_FROM_END: usize = 0x20;

macro_rules! wire {
    ($(#[$meta:meta])* pub struct $name:ident { $($fields:tt)* }) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
            Unaligned,
        )]
        #[repr(C)]
        pub struct $name { $($fields)* }
    };
}

wire! {
    /// The end of an entry of the table, and the table's footer itself.
    pub struct GuidEntry {
        /// Length of the entry in bytes, this trailer included.
        pub length: U16,
        /// What the entry is.
        pub guid: Guid,
    }
}

impl GuidEntry {
    /// Bytes in the trailer: the least length of an entry.
    pub const SIZE: usize = size_of::<Self>();

    /// Bytes of data before the trailer; none if the length is less than the
    /// trailer's.
    pub const fn data_len(&self) -> Option<usize> {
        (self.length.get() as usize).checked_sub(Self::SIZE)
    }
}

wire! {
    /// Data of [`GUID_SEV_ES_RESET_BLOCK`].
    pub struct SevResetBlock {
        /// Linear address that an AP of an SEV-ES guest starts at.
        pub ap_reset_address: U32,
    }
}

wire! {
    /// Data of [`GUID_SEV_SECRET_BLOCK`] and [`GUID_KERNEL_HASHES`].
    pub struct FirmwareArea {
        /// GPA of the area.
        pub base: U32,
        /// Length in bytes.
        pub size: U32,
    }
}

wire! {
    /// Data of [`GUID_SEV_METADATA`], [`GUID_TDX_METADATA`] and
    /// [`GUID_IGVM_METADATA`].
    pub struct DescriptorOffset {
        /// Distance of the descriptor's first byte from the image's end.
        pub from_end: U32,
    }
}

wire! {
    /// The header of a descriptor. `count` [`SectionEntry`]s follow.
    pub struct DescriptorHeader {
        /// [`DescriptorHeader::SEV_SIGNATURE`] or
        /// [`DescriptorHeader::IGVM_SIGNATURE`].
        pub signature: [u8; 4],
        /// Length of header and entries in bytes.
        pub length: U32,
        /// [`DescriptorHeader::VERSION`].
        pub version: U32,
        /// Number of entries.
        pub count: U32,
    }
}

impl DescriptorHeader {
    /// Signature of the SEV descriptor.
    pub const SEV_SIGNATURE: [u8; 4] = *b"ASEV";
    /// Signature of the IGVM descriptor.
    pub const IGVM_SIGNATURE: [u8; 4] = *b"IGVM";
    /// The version of both.
    pub const VERSION: u32 = 1;

    /// Whether the length is that of the header and `count` entries.
    pub const fn is_length_of_count(&self) -> bool {
        let entries = self.count.get() as u64 * size_of::<SectionEntry>() as u64;
        self.length.get() as u64 == size_of::<Self>() as u64 + entries
    }
}

wire! {
    /// An entry of either descriptor.
    pub struct SectionEntry {
        /// GPA of the section. In the IGVM descriptor, for what goes into the
        /// parameter area: offset in that area.
        pub base: U32,
        /// Length in bytes.
        pub size: U32,
        /// A [`SevSectionType`] or [`IgvmSectionType`].
        pub section_type: U32,
    }
}

impl SectionEntry {
    /// The type, if the entry is of the SEV descriptor.
    pub const fn sev_type(&self) -> SevSectionType {
        SevSectionType(self.section_type.get())
    }

    /// The type, if the entry is of the IGVM descriptor.
    pub const fn igvm_type(&self) -> IgvmSectionType {
        IgvmSectionType(self.section_type.get())
    }
}

/// What a section of the SEV descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SevSectionType(
    /// The number.
    pub u32,
);

impl SevSectionType {
    /// Memory that has to be validated before the firmware runs.
    pub const SEC_MEM: Self = Self(1);
    /// The secrets page.
    pub const SECRETS: Self = Self(2);
    /// The CPUID page.
    pub const CPUID: Self = Self(3);
    /// The calling area.
    pub const SVSM_CAA: Self = Self(4);
    /// The page with the hashes of kernel, initrd and command line.
    pub const KERNEL_HASHES: Self = Self(0x10);
}

/// What a section of the IGVM descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IgvmSectionType(
    /// The number.
    pub u32,
);

impl IgvmSectionType {
    /// The parameter area.
    pub const PARAMETER_AREA: Self = Self(0x100);
    /// The memory map, in the parameter area.
    pub const MEMORY_MAP: Self = Self(0x101);
    /// The number of virtual processors, in the parameter area.
    pub const VP_COUNT: Self = Self(0x102);
    /// The area with the HOBs that an image's builder adds.
    pub const HOB_AREA: Self = Self(0x200);
}

const _: () = {
    assert!(size_of::<Guid>() == 16);
    assert!(size_of::<GuidEntry>() == 18);
    assert!(offset_of!(GuidEntry, length) == 0);
    assert!(offset_of!(GuidEntry, guid) == 2);
    assert!(size_of::<SevResetBlock>() == 4);
    assert!(size_of::<FirmwareArea>() == 8);
    assert!(offset_of!(FirmwareArea, size) == 4);
    assert!(size_of::<DescriptorOffset>() == 4);
    assert!(size_of::<DescriptorHeader>() == 16);
    assert!(offset_of!(DescriptorHeader, signature) == 0);
    assert!(offset_of!(DescriptorHeader, length) == 4);
    assert!(offset_of!(DescriptorHeader, version) == 8);
    assert!(offset_of!(DescriptorHeader, count) == 12);
    assert!(size_of::<SectionEntry>() == 12);
    assert!(offset_of!(SectionEntry, base) == 0);
    assert!(offset_of!(SectionEntry, size) == 4);
    assert!(offset_of!(SectionEntry, section_type) == 8);
};

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::ToString;

    #[test]
    fn the_footer_is_stored_as_the_image_has_it() {
        let stored = [
            0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a,
            0x08, 0x2d,
        ];
        assert_eq!(GUID_TABLE_FOOTER, Guid(stored));
        let by_fields = Guid::new(
            0x96b5_82de,
            0x1fb2,
            0x45f7,
            [0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d],
        );
        assert_eq!(GUID_TABLE_FOOTER, by_fields);
    }

    #[test]
    fn a_guid_is_printed_as_it_is_written() {
        let text = "784fa70e-3176-4677-8a20-04b68699e374";
        assert_eq!(GUID_IGVM_METADATA.to_string(), text);
        let text = "00f771de-1a7e-4fcb-890e-68c77e2fb44e";
        assert_eq!(GUID_SEV_ES_RESET_BLOCK.to_string(), text);
    }

    #[test]
    fn a_table_entry_is_read() {
        // The SEV metadata entry of the 2026.08 images.
        let bytes = [
            0xc4, 0x05, 0x00, 0x00, 0x16, 0x00, 0x66, 0x65, 0x88, 0xdc, 0x4a, 0x98, 0x98, 0x47,
            0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc,
        ];
        let (rest, entry) = GuidEntry::ref_from_suffix(&bytes).unwrap();
        assert_eq!(entry.guid, GUID_SEV_METADATA);
        assert_eq!(entry.data_len(), Some(rest.len()));
        let offset = DescriptorOffset::ref_from_bytes(rest).unwrap();
        assert_eq!(offset.from_end.get(), 0x5c4);
    }

    #[test]
    fn an_entry_shorter_than_its_trailer_has_no_data() {
        let entry = |length: u16| GuidEntry {
            length: U16::new(length),
            guid: GUID_TABLE_FOOTER,
        };
        assert_eq!(entry(18).data_len(), Some(0));
        assert_eq!(entry(17).data_len(), None);
        assert_eq!(entry(0).data_len(), None);
    }

    #[test]
    fn a_descriptor_is_read() {
        // The IGVM descriptor of the 2026.08 images, first entry.
        let bytes = [
            0x49, 0x47, 0x56, 0x4d, 0x40, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 0x00, 0x20, 0x81, 0,
            0x00, 0x10, 0, 0, 0x00, 0x01, 0, 0,
        ];
        let (header, rest) = DescriptorHeader::ref_from_prefix(&bytes).unwrap();
        assert_eq!(header.signature, DescriptorHeader::IGVM_SIGNATURE);
        assert_eq!(header.version.get(), DescriptorHeader::VERSION);
        assert!(header.is_length_of_count());
        let entry = SectionEntry::ref_from_bytes(rest).unwrap();
        assert_eq!((entry.base.get(), entry.size.get()), (0x81_2000, 0x1000));
        assert_eq!(entry.igvm_type(), IgvmSectionType::PARAMETER_AREA);
    }

    #[test]
    fn a_count_that_is_not_the_length_s_is_seen() {
        let header = |length: u32, count: u32| DescriptorHeader {
            signature: DescriptorHeader::SEV_SIGNATURE,
            length: U32::new(length),
            version: U32::new(1),
            count: U32::new(count),
        };
        assert!(header(0x64, 7).is_length_of_count());
        assert!(!header(0x64, 8).is_length_of_count());
        // 12 * 0x5555_5556 is 8 beyond 2^32.
        assert!(!header(24, 0x5555_5556).is_length_of_count());
    }
}
