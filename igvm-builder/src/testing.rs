//! Small inputs for the unit tests.

use igvm::{
    IgvmDirectiveHeader, IgvmFile, IgvmInitializationHeader, IgvmPlatformHeader, IgvmRevision,
};
use igvm_defs::{
    IGVM_VHS_PARAMETER_INSERT, IGVM_VHS_SUPPORTED_PLATFORM, IgvmPageDataFlags, IgvmPageDataType,
    IgvmPlatformType,
};
use proptest::prelude::*;
use protocols::boot::layout::STAGE2_BASE;
use protocols::snp::{SevFeatures, Vmsa};

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
        firmware_by_hash: false,
        policy: 0xB_0133,
        sev_features: SevFeatures::SNP | SevFeatures::RESTRICTED_INJECTION,
        guest_vmpl: 1,
        c_bit: 51,
        flags: protocols::boot::ImageFlags::TPM,
        parameters_pcr: 0,
    });
    crate::file::write(&launch.unwrap()).unwrap()
}

/// Makes the checksum of an IGVM file right again after its headers changed.
pub(crate) fn fix_checksum(file: &mut [u8]) {
    let _ = crate::container::set_checksum(file);
}

/// An IGVM file of these directives for SNP, mask 1, with a policy of its own.
pub(crate) fn igvm_file(policy: u64, directives: Vec<IgvmDirectiveHeader>) -> Vec<u8> {
    let platform = IgvmPlatformHeader::SupportedPlatform(IGVM_VHS_SUPPORTED_PLATFORM {
        compatibility_mask: 1,
        highest_vtl: 0,
        platform_type: IgvmPlatformType::SEV_SNP,
        platform_version: 1,
        shared_gpa_boundary: 0,
    });
    let policy = IgvmInitializationHeader::GuestPolicy {
        policy,
        compatibility_mask: 1,
    };
    let file = IgvmFile::new(IgvmRevision::V1, vec![platform], vec![policy], directives).unwrap();
    let mut bytes = Vec::new();
    file.serialize(&mut bytes).unwrap();
    bytes
}

/// One page of data.
pub(crate) fn page(gpa: u64, data_type: IgvmPageDataType, data: Vec<u8>) -> IgvmDirectiveHeader {
    IgvmDirectiveHeader::PageData {
        gpa,
        compatibility_mask: 1,
        flags: IgvmPageDataFlags::new(),
        data_type,
        data,
    }
}

/// A parameter area that is inserted at `gpa`.
pub(crate) fn area(index: u32, gpa: u64, pages: u64) -> [IgvmDirectiveHeader; 2] {
    [
        IgvmDirectiveHeader::ParameterArea {
            number_of_bytes: pages * 0x1000,
            parameter_area_index: index,
            initial_data: Vec::new(),
        },
        IgvmDirectiveHeader::ParameterInsert(IGVM_VHS_PARAMETER_INSERT {
            gpa,
            compatibility_mask: 1,
            parameter_area_index: index,
        }),
    ]
}

/// The boot processor at the reset vector.
pub(crate) fn boot_processor() -> IgvmDirectiveHeader {
    IgvmDirectiveHeader::SnpVpContext {
        gpa: Vmsa::LAUNCH_GPA,
        compatibility_mask: 1,
        vp_index: 0,
        vmsa: crate::vmsa::to_igvm(&crate::vmsa::reset_vector(SevFeatures::SNP)),
    }
}

/// Files that launch, of pages of every kind in any order, the boot processor last.
pub(crate) fn any_image() -> impl Strategy<Value = Vec<u8>> {
    let pieces = proptest::collection::btree_map(0u64..48, (0u8..8, any::<u8>()), 0..32);
    (
        pieces
            .prop_map(|map| map.into_iter().collect::<Vec<_>>())
            .prop_shuffle(),
        any::<bool>(),
    )
        .prop_map(|(pieces, sorted)| {
            let mut pieces = pieces;
            if sorted {
                pieces.sort_unstable();
            }
            let mut directives = Vec::new();
            for (index, (slot, (kind, fill))) in (0u32..).zip(pieces) {
                let gpa = 0x80_0000 + slot * 0x1000;
                match kind {
                    0 => directives.extend(area(index, gpa, 1)),
                    1 => directives.push(page(gpa, IgvmPageDataType::SECRETS, vec![])),
                    2 => directives.push(page(gpa, IgvmPageDataType::CPUID_DATA, vec![])),
                    3 => directives.push(page(gpa, IgvmPageDataType::NORMAL, vec![])),
                    4 => directives.push(IgvmDirectiveHeader::PageData {
                        gpa,
                        compatibility_mask: 1,
                        flags: IgvmPageDataFlags::new().with_unmeasured(true),
                        data_type: IgvmPageDataType::NORMAL,
                        data: vec![fill; 0x1000],
                    }),
                    5 => directives.push(IgvmDirectiveHeader::RequiredMemory {
                        gpa,
                        compatibility_mask: 1,
                        number_of_bytes: 0x1000,
                        vtl2_protectable: false,
                    }),
                    _ => directives.push(page(gpa, IgvmPageDataType::NORMAL, vec![fill; 0x1000])),
                }
            }
            directives.push(boot_processor());
            igvm_file(0x3_0000, directives)
        })
}

/// `file` with some bytes and words of its headers changed, its checksum right.
pub(crate) fn any_damage(file: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(0u32),
        Just(u32::MAX),
        Just(0x302),
        Just(0x304),
        Just(0x30B),
        Just(0x1000),
        any::<u32>(),
    ];
    let end = file.len();
    (
        proptest::collection::vec((0usize..1600, any::<u8>()), 0..8),
        proptest::collection::vec((0usize..400, word), 0..4),
        prop_oneof![4 => Just(end), 1 => 0..end],
    )
        .prop_map(move |(bytes, words, length)| {
            let mut file = file.clone();
            for (offset, value) in bytes {
                if let Some(byte) = file.get_mut(offset) {
                    *byte = value;
                }
            }
            for (index, value) in words {
                if let Some(place) = file.get_mut(24 + 4 * index..28 + 4 * index) {
                    place.copy_from_slice(&value.to_le_bytes());
                }
            }
            file.truncate(length);
            fix_checksum(&mut file);
            file
        })
}
