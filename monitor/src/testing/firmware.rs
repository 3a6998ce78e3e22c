//! The end of a guest firmware image, with the tables of OVMF 2026.08.

use std::vec;
use std::vec::Vec;

use protocols::ovmf::{
    DescriptorHeader, GUID_IGVM_METADATA, GUID_SEV_ES_RESET_BLOCK, GUID_SEV_METADATA,
    GUID_TABLE_END_FROM_END, GUID_TABLE_FOOTER, Guid, GuidEntry, SectionEntry,
};
use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32};

/// What the descriptors hold: {base, size, type}.
pub(crate) type Sections = Vec<(u32, u32, u32)>;

/// The builder of an image's end, with everything as OVMF has it.
#[derive(Clone)]
pub(crate) struct Firmware {
    pub(crate) sev: Option<Sections>,
    pub(crate) igvm: Option<Sections>,
    pub(crate) size: usize,
}

impl Firmware {
    pub(crate) fn ovmf() -> Self {
        Firmware {
            sev: Some(vec![
                (0x80_0000, 0x9000, 1),
                (0x80_a000, 0x3000, 1),
                (0x80_d000, 0x1000, 2),
                (0x80_e000, 0x1000, 3),
                (0x80_f000, 0x1000, 4),
                (0x81_1000, 0x1_f000, 1),
                (0x81_0000, 0x1000, 0x10),
            ]),
            igvm: Some(vec![
                (0x81_2000, 0x1000, 0x100),
                (0, 0xc0, 0x101),
                (0xc0, 0x10, 0x102),
                (0x81_3000, 0x1000, 0x200),
            ]),
            size: 0x1000,
        }
    }

    /// The bytes; descriptors lie at 0x600 and 0x400 from the end.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut image = vec![0xff; self.size];
        let mut table = Vec::new();
        push(
            &mut table,
            GUID_SEV_ES_RESET_BLOCK,
            &0x80_b004u32.to_le_bytes(),
        );
        for (sections, from_end, signature, guid) in [
            (
                &self.sev,
                0x600,
                DescriptorHeader::SEV_SIGNATURE,
                GUID_SEV_METADATA,
            ),
            (
                &self.igvm,
                0x400,
                DescriptorHeader::IGVM_SIGNATURE,
                GUID_IGVM_METADATA,
            ),
        ] {
            let Some(sections) = sections else { continue };
            push(&mut table, guid, &(from_end as u32).to_le_bytes());
            let at = self.size - from_end;
            let bytes = descriptor(signature, sections);
            image[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        let total = table.len() + size_of::<GuidEntry>();
        let footer = GuidEntry {
            length: U16::new(total as u16),
            guid: GUID_TABLE_FOOTER,
        };
        table.extend_from_slice(footer.as_bytes());
        let end = self.size - GUID_TABLE_END_FROM_END;
        image[end - table.len()..end].copy_from_slice(&table);
        image
    }
}

fn push(table: &mut Vec<u8>, guid: Guid, data: &[u8]) {
    table.extend_from_slice(data);
    let length = U16::new((data.len() + size_of::<GuidEntry>()) as u16);
    table.extend_from_slice(GuidEntry { length, guid }.as_bytes());
}

fn descriptor(signature: [u8; 4], sections: &Sections) -> Vec<u8> {
    let header = DescriptorHeader {
        signature,
        length: U32::new((16 + 12 * sections.len()) as u32),
        version: U32::new(1),
        count: U32::new(sections.len() as u32),
    };
    let mut bytes = header.as_bytes().to_vec();
    for (base, size, kind) in sections {
        let entry = SectionEntry {
            base: U32::new(*base),
            size: U32::new(*size),
            section_type: U32::new(*kind),
        };
        bytes.extend_from_slice(entry.as_bytes());
    }
    bytes
}
