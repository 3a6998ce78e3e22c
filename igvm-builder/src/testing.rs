//! Small inputs for the unit tests.

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
