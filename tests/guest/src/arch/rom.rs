//! What the image says of itself, in the form of OVMF's: the GUID table that ends 32 bytes below
//! the image's end, and the SEV and IGVM descriptors that it leads to. The addresses are those of
//! OVMF 2026.08, so that the launch takes the same way; one range is longer.

use core::mem::{offset_of, size_of};

use protocols::ovmf::{
    DescriptorHeader, DescriptorOffset, FirmwareArea, GUID_IGVM_METADATA, GUID_KERNEL_HASHES,
    GUID_SEV_ES_RESET_BLOCK, GUID_SEV_METADATA, GUID_SEV_SECRET_BLOCK, GUID_TABLE_END_FROM_END,
    GUID_TABLE_FOOTER, Guid, GuidEntry, IgvmSectionType, SectionEntry, SevResetBlock,
    SevSectionType,
};
use zerocopy::little_endian::{U16, U32};

const SEV_SECTIONS: [SectionEntry; 7] = [
    sev(0x80_0000, 0x9000, SevSectionType::SEC_MEM),
    sev(0x80_a000, 0x3000, SevSectionType::SEC_MEM),
    sev(0x80_d000, 0x1000, SevSectionType::SECRETS),
    sev(0x80_e000, 0x1000, SevSectionType::CPUID),
    sev(0x80_f000, 0x1000, SevSectionType::SVSM_CAA),
    // 0x2f000 bytes in OVMF; AES needs more.
    sev(0x81_1000, 0x4_f000, SevSectionType::SEC_MEM),
    sev(0x81_0000, 0x1000, SevSectionType::KERNEL_HASHES),
];

const IGVM_SECTIONS: [SectionEntry; 4] = [
    section(0x81_2000, 0x1000, IgvmSectionType::PARAMETER_AREA.0),
    section(0, 0xc0, IgvmSectionType::MEMORY_MAP.0),
    section(0xc0, 0x10, IgvmSectionType::VP_COUNT.0),
    section(0x81_3000, 0x1000, IgvmSectionType::HOB_AREA.0),
];

/// OVMF's AP reset code, which this guest has not: it has no APs.
const AP_RESET: u32 = 0x80_b004;

/// A descriptor with its entries.
#[repr(C)]
struct Descriptor<const N: usize> {
    header: DescriptorHeader,
    entries: [SectionEntry; N],
}

/// An entry of the table: data, then length and GUID.
#[repr(C)]
struct Entry<T> {
    data: T,
    trailer: GuidEntry,
}

/// The end of the image without its last 32 bytes.
#[repr(C)]
struct Tables {
    sev: Descriptor<7>,
    igvm: Descriptor<4>,
    igvm_offset: Entry<DescriptorOffset>,
    hashes: Entry<FirmwareArea>,
    secret: Entry<FirmwareArea>,
    reset: Entry<SevResetBlock>,
    sev_offset: Entry<DescriptorOffset>,
    footer: GuidEntry,
}

// SAFETY: the linker script puts the section where a reader of the image looks for the table, and
// nothing else goes by that name.
#[unsafe(link_section = ".rom.tables")]
#[used]
static TABLES: Tables = Tables {
    sev: descriptor(DescriptorHeader::SEV_SIGNATURE, SEV_SECTIONS),
    igvm: descriptor(DescriptorHeader::IGVM_SIGNATURE, IGVM_SECTIONS),
    igvm_offset: entry(GUID_IGVM_METADATA, from_end(offset_of!(Tables, igvm))),
    hashes: entry(GUID_KERNEL_HASHES, area(0x81_0c00, 0x400)),
    secret: entry(GUID_SEV_SECRET_BLOCK, area(0x81_0000, 0xc00)),
    reset: entry(
        GUID_SEV_ES_RESET_BLOCK,
        SevResetBlock {
            ap_reset_address: U32::new(AP_RESET),
        },
    ),
    sev_offset: entry(GUID_SEV_METADATA, from_end(offset_of!(Tables, sev))),
    footer: trailer(
        GUID_TABLE_FOOTER,
        size_of::<Tables>() - offset_of!(Tables, igvm_offset),
    ),
};

const _: () = {
    // No padding: every part is made of bytes.
    assert!(align_of::<Tables>() == 1);
    assert!(size_of::<Descriptor<7>>() == 0x64);
    assert!(size_of::<Descriptor<4>>() == 0x40);
};

const fn sev(base: u32, size: u32, kind: SevSectionType) -> SectionEntry {
    section(base, size, kind.0)
}

const fn section(base: u32, size: u32, kind: u32) -> SectionEntry {
    SectionEntry {
        base: U32::new(base),
        size: U32::new(size),
        section_type: U32::new(kind),
    }
}

const fn descriptor<const N: usize>(
    signature: [u8; 4],
    entries: [SectionEntry; N],
) -> Descriptor<N> {
    let header = DescriptorHeader {
        signature,
        length: U32::new(size_of::<Descriptor<N>>() as u32),
        version: U32::new(DescriptorHeader::VERSION),
        count: U32::new(N as u32),
    };
    Descriptor { header, entries }
}

const fn entry<T: Copy>(guid: Guid, data: T) -> Entry<T> {
    Entry {
        data,
        trailer: trailer(guid, size_of::<T>() + GuidEntry::SIZE),
    }
}

const fn trailer(guid: Guid, length: usize) -> GuidEntry {
    GuidEntry {
        length: U16::new(length as u16),
        guid,
    }
}

/// Distance from the image's end of what is at `offset` in [`Tables`].
const fn from_end(offset: usize) -> DescriptorOffset {
    let distance = size_of::<Tables>() - offset + GUID_TABLE_END_FROM_END;
    DescriptorOffset {
        from_end: U32::new(distance as u32),
    }
}

const fn area(base: u32, size: u32) -> FirmwareArea {
    FirmwareArea {
        base: U32::new(base),
        size: U32::new(size),
    }
}
