//! Small inputs for the unit tests.

use protocols::boot::layout::STAGE2_BASE;
use protocols::snp::SevFeatures;

/// An ELF64 executable in the making.
pub(crate) struct ElfFile {
    pub(crate) entry: u64,
    pub(crate) segments: Vec<ElfSegment>,
}

/// A PT_LOAD segment; its virtual address equals its physical one.
pub(crate) struct ElfSegment {
    pub(crate) address: u64,
    pub(crate) data: Vec<u8>,
    pub(crate) memory_size: u64,
}

impl ElfFile {
    /// One segment that fills its memory; the entry is its first byte.
    pub(crate) fn single(address: u64, data: Vec<u8>) -> Self {
        let memory_size = data.len() as u64;
        Self {
            entry: address,
            segments: vec![ElfSegment {
                address,
                data,
                memory_size,
            }],
        }
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        const HEADER: usize = 64;
        const PROGRAM_HEADER: usize = 56;
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        bytes.extend(2u16.to_le_bytes()); // ET_EXEC
        bytes.extend(62u16.to_le_bytes()); // EM_X86_64
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(self.entry.to_le_bytes());
        bytes.extend((HEADER as u64).to_le_bytes()); // e_phoff
        bytes.extend(0u64.to_le_bytes()); // e_shoff
        bytes.extend(0u32.to_le_bytes());
        for half in [HEADER, PROGRAM_HEADER, self.segments.len(), 64, 0, 0] {
            bytes.extend((half as u16).to_le_bytes());
        }
        let mut offset = HEADER + PROGRAM_HEADER * self.segments.len();
        for segment in &self.segments {
            bytes.extend(1u32.to_le_bytes()); // PT_LOAD
            bytes.extend(7u32.to_le_bytes()); // R W X
            bytes.extend((offset as u64).to_le_bytes());
            bytes.extend(segment.address.to_le_bytes());
            bytes.extend(segment.address.to_le_bytes());
            bytes.extend((segment.data.len() as u64).to_le_bytes());
            bytes.extend(segment.memory_size.to_le_bytes());
            bytes.extend(4096u64.to_le_bytes());
            offset += segment.data.len();
        }
        for segment in &self.segments {
            bytes.extend(&segment.data);
        }
        bytes
    }
}

/// A firmware image of `size` bytes with OVMF's GUID table: one descriptor
/// with `sev` sections (base, size, type) and one with `igvm` sections.
pub(crate) fn firmware(size: usize, sev: &[[u32; 3]], igvm: &[[u32; 3]]) -> Vec<u8> {
    let descriptor = |signature: &[u8; 4], sections: &[[u32; 3]]| {
        let length = 16 + 12 * sections.len() as u32;
        let mut bytes = signature.to_vec();
        let header = [length, 1, sections.len() as u32];
        for word in header.iter().chain(sections.iter().flatten()) {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    };
    let mut image = vec![0xff; size];
    let (sev_at, igvm_at) = (size - 0x800, size - 0x400);
    for (at, bytes) in [
        (sev_at, descriptor(b"ASEV", sev)),
        (igvm_at, descriptor(b"IGVM", igvm)),
    ] {
        image[at..at + bytes.len()].copy_from_slice(&bytes);
    }
    let entry = |offset: usize, guid: u128| {
        let mut bytes = (offset as u32).to_le_bytes().to_vec();
        bytes.extend(22u16.to_le_bytes());
        bytes.extend(stored(guid));
        bytes
    };
    let mut table = entry(size - sev_at, 0xdc886566_984a_4798_a75e_5585a7bf67cc);
    table.extend(entry(
        size - igvm_at,
        0x784fa70e_3176_4677_8a20_04b68699e374,
    ));
    table.extend((table.len() as u16 + 18).to_le_bytes());
    table.extend(stored(0x96b582de_1fb2_45f7_baea_a366c55a082d));
    let start = size - 0x20 - table.len();
    image[start..start + table.len()].copy_from_slice(&table);
    image
}

/// A GUID as UEFI stores it: the first three fields little-endian.
fn stored(guid: u128) -> [u8; 16] {
    let mut bytes = guid.to_be_bytes();
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes
}

/// The sections of OVMF 2026.08, the large ones made smaller.
pub(crate) const OVMF_SEV: [[u32; 3]; 7] = [
    [0x80_0000, 0x9000, 1],
    [0x80_A000, 0x3000, 1],
    [0x80_D000, 0x1000, 2],
    [0x80_E000, 0x1000, 3],
    [0x80_F000, 0x1000, 4],
    [0x81_1000, 0x4000, 1],
    [0x81_0000, 0x1000, 0x10],
];
/// The IGVM sections of OVMF 2026.08.
pub(crate) const OVMF_IGVM: [[u32; 3]; 4] = [
    [0x81_2000, 0x1000, 0x100],
    [0, 0xC0, 0x101],
    [0xC0, 0x10, 0x102],
    [0x81_3000, 0x1000, 0x200],
];

/// A small image of a firmware alone.
pub(crate) fn plain_image() -> Vec<u8> {
    let firmware = firmware(0x2000, &OVMF_SEV, &OVMF_IGVM);
    let launch = crate::plain::launch(&firmware, 0x30000, SevFeatures::SNP).unwrap();
    crate::file::write(&launch).unwrap()
}

/// A small Rampart image.
pub(crate) fn rampart_image() -> Vec<u8> {
    let stage2 = ElfFile {
        entry: STAGE2_BASE,
        segments: vec![ElfSegment {
            address: STAGE2_BASE,
            data: vec![0x90; 0x1800],
            memory_size: 0x4000,
        }],
    };
    let launch = crate::rampart::launch(&crate::rampart::Parts {
        stage2: &stage2.build(),
        kernel: &ElfFile::single(0x1820_0000, vec![0x42; 0x3000]).build(),
        firmware: &vec![0xff; 0x1_0000],
        policy: 0xB_0133,
        sev_features: SevFeatures::SNP | SevFeatures::RESTRICTED_INJECTION,
        guest_vmpl: 1,
        c_bit: 51,
    });
    crate::file::write(&launch.unwrap()).unwrap()
}

/// Makes the checksum of an IGVM file right again after its headers changed.
pub(crate) fn fix_checksum(file: &mut [u8]) {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let Some(end) = word(8)
        .checked_add(word(12))
        .filter(|end| (24..=file.len()).contains(end))
    else {
        return;
    };
    file[20..24].fill(0);
    let checksum = crc32fast::hash(&file[..end]);
    file[20..24].copy_from_slice(&checksum.to_le_bytes());
}
