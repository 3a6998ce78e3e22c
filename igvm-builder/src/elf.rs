//! ELF64 files as the firmware's parts are linked: which bytes go to which
//! guest physical address.

use object::LittleEndian;
use object::elf::{EM_X86_64, ET_EXEC, FileHeader64, PF_W, PF_X, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use thiserror::Error;

use crate::layout::Range;
use protocols::boot::layout::GUEST_FIRMWARE_MAX_SIZE;

/// Why an ELF file cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ElfError {
    /// The file is no ELF64 little-endian file, or is cut short.
    #[error("not a readable ELF64 file: {0}")]
    NotElf(String),
    /// The file is for another machine or is not linked to fixed addresses.
    #[error("ELF header: {field} is {found}, must be {needed}")]
    Header {
        /// The header field.
        field: &'static str,
        /// Its value.
        found: u64,
        /// The value it must have.
        needed: u64,
    },
    /// A program header that cannot be loaded.
    #[error("ELF program header {index}: {reason}")]
    Segment {
        /// Its place in the program header table.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// There is nothing to load.
    #[error("the ELF file has no loadable segment")]
    Empty,
    /// Two segments claim the same addresses.
    #[error("segments overlap: {0} and {1}")]
    Overlap(Range, Range),
    /// A flat image cannot be cut from these segments.
    #[error("flat image: {0}")]
    Flat(String),
}

/// One PT_LOAD segment that occupies memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Physical address of the first byte (`p_paddr`).
    pub address: u64,
    /// The bytes that the file holds.
    pub data: &'a [u8],
    /// Bytes of memory; what exceeds `data` is zero (`p_memsz`).
    pub memory_size: u64,
    /// `p_flags` has PF_W.
    pub writable: bool,
    /// `p_flags` has PF_X.
    pub executable: bool,
}

impl Segment<'_> {
    /// The physical addresses that the segment occupies in memory.
    pub fn memory_range(&self) -> Range {
        // `parse` has checked that the end is representable.
        Range {
            start: self.address,
            end: self.address + self.memory_size,
        }
    }

    fn file_range(&self) -> Range {
        Range {
            start: self.address,
            end: self.address + self.data.len() as u64,
        }
    }
}

/// An ELF64 executable for x86-64, its loadable segments sorted by physical
/// address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executable<'a> {
    /// The entry point, a virtual address.
    pub entry: u64,
    /// The segments with `p_memsz` > 0, sorted, not overlapping in the bytes
    /// that come from the file.
    pub segments: Vec<Segment<'a>>,
}

/// Whether `bytes` begin like an ELF file (and are therefore not a raw image).
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

impl<'a> Executable<'a> {
    /// Reads headers and segments; every address and size is checked.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ElfError> {
        let not_elf = |error: object::Error| ElfError::NotElf(error.to_string());
        let header = FileHeader64::<LittleEndian>::parse(bytes).map_err(not_elf)?;
        let endian = header.endian().map_err(not_elf)?;
        let must_be = |field, found: u16, needed: u16| match found == needed {
            true => Ok(()),
            false => Err(ElfError::Header {
                field,
                found: found.into(),
                needed: needed.into(),
            }),
        };
        must_be("e_machine", header.e_machine(endian).0, EM_X86_64.0)?;
        must_be("e_type", header.e_type(endian).0, ET_EXEC.0)?;

        let mut segments = Vec::new();
        let program_headers = header.program_headers(endian, bytes).map_err(not_elf)?;
        for (index, program_header) in program_headers.iter().enumerate() {
            let bad = |reason: String| ElfError::Segment { index, reason };
            if program_header.p_type(endian) != PT_LOAD || program_header.p_memsz(endian) == 0 {
                continue;
            }
            let data = program_header
                .data(endian, bytes)
                .map_err(|()| bad("its bytes lie outside the file".into()))?;
            let address = program_header.p_paddr(endian);
            let memory_size = program_header.p_memsz(endian);
            if (data.len() as u64) > memory_size {
                return Err(bad(format!(
                    "p_filesz {:#x} exceeds p_memsz {memory_size:#x}",
                    data.len()
                )));
            }
            if address.checked_add(memory_size).is_none() {
                return Err(bad(format!(
                    "p_paddr {address:#x} + {memory_size:#x} wraps around"
                )));
            }
            segments.push(Segment {
                address,
                data,
                memory_size,
                writable: program_header.p_flags(endian).0 & PF_W.0 != 0,
                executable: program_header.p_flags(endian).0 & PF_X.0 != 0,
            });
        }
        if segments.is_empty() {
            return Err(ElfError::Empty);
        }
        segments.sort_by_key(|segment| (segment.address, segment.data.len()));
        let with_data: Vec<_> = segments.iter().filter(|s| !s.data.is_empty()).collect();
        for pair in with_data.windows(2) {
            let (first, second) = (pair[0].file_range(), pair[1].file_range());
            if second.start < first.end {
                return Err(ElfError::Overlap(first, second));
            }
        }
        Ok(Self {
            entry: header.e_entry(endian),
            segments,
        })
    }

    /// Cuts a flat image that ends at `end`: the file bytes of each segment at
    /// their physical addresses, gaps zero, padded at the front so that the
    /// size is a multiple of `align`. Memory without file bytes (.bss) is not
    /// part of it: a ROM cannot hold it.
    pub fn flatten(&self, end: u64, align: u64) -> Result<Vec<u8>, ElfError> {
        if align == 0 {
            return Err(ElfError::Flat("the alignment is 0".into()));
        }
        let with_data = || {
            self.segments
                .iter()
                .filter(|segment| !segment.data.is_empty())
        };
        let lowest = with_data()
            .map(|segment| segment.address)
            .min()
            .ok_or(ElfError::Empty)?;
        if let Some(segment) = with_data().find(|segment| segment.file_range().end > end) {
            return Err(ElfError::Flat(format!(
                "the segment {} does not end at or below {end:#x}",
                segment.file_range()
            )));
        }
        let size = (end - lowest)
            .checked_next_multiple_of(align)
            .filter(|size| *size <= MAX_FLAT_SIZE && *size <= end)
            .ok_or_else(|| {
                ElfError::Flat(format!(
                    "from the lowest segment at {lowest:#x} to the end at {end:#x} there are more \
                     than {MAX_FLAT_SIZE:#x} bytes; check the linker script's load addresses"
                ))
            })?;
        let base = end - size;
        let mut image = vec![0; size as usize];
        for segment in with_data() {
            let offset = (segment.address - base) as usize;
            image[offset..offset + segment.data.len()].copy_from_slice(segment.data);
        }
        Ok(image)
    }
}

/// The largest flat image: a larger one is a mistake in a linker script.
const MAX_FLAT_SIZE: u64 = GUEST_FIRMWARE_MAX_SIZE;

/// The file with its headers and loadable bytes alone: no section table, and
/// nothing after the last byte that a segment loads. Symbols would be loaded,
/// and names of the build machine's folders with them.
pub fn without_symbols(bytes: &[u8]) -> Result<Vec<u8>, ElfError> {
    Executable::parse(bytes)?;
    let not_elf = |error: object::Error| ElfError::NotElf(error.to_string());
    let header = FileHeader64::<LittleEndian>::parse(bytes).map_err(not_elf)?;
    let endian = LittleEndian;
    let program_headers = header.program_headers(endian, bytes).map_err(not_elf)?;
    let table_end = header.e_phoff(endian) as usize + size_of_val(program_headers);
    let data_end = program_headers
        .iter()
        .filter(|program_header| program_header.p_type(endian) == PT_LOAD)
        // `parse` found every segment inside the file. One without bytes (bss
        // alone) may have any offset.
        .map(|program_header| program_header.file_range(endian))
        .filter(|(_, len)| *len != 0)
        .map(|(offset, len)| (offset + len) as usize)
        .max();
    let mut kept = bytes[..table_end.max(data_end.unwrap_or(0))].to_vec();
    // e_shoff, and e_shentsize, e_shnum, e_shstrndx at the header's end.
    kept[40..48].fill(0);
    kept[58..64].fill(0);
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ElfFile, ElfSegment};
    use protocols::boot::layout::GUEST_FIRMWARE_END as FOUR_GIB;

    fn two_segments() -> Vec<u8> {
        ElfFile {
            entry: 0xffff_0000,
            segments: vec![
                ElfSegment {
                    address: 0xffff_f000,
                    data: vec![2; 0x1000],
                    memory_size: 0x1000,
                },
                ElfSegment {
                    address: 0xfffe_8000,
                    data: vec![1; 0x10],
                    memory_size: 0x2000,
                },
                ElfSegment {
                    address: 0x1000,
                    data: vec![],
                    memory_size: 0x5000,
                },
            ],
        }
        .build()
    }

    #[test]
    fn a_segment_without_file_data_does_not_hinder_dropping_the_symbols() {
        let file = two_segments();
        let with_symbols = [file.as_slice(), &[0xaa; 100]].concat();
        let kept = without_symbols(&with_symbols).unwrap();
        assert_eq!(kept.len(), file.len());
        assert_eq!(kept[64..], file[64..]);
    }

    #[test]
    fn a_segment_without_bytes_may_have_any_offset() {
        let mut bytes = two_segments();
        // p_offset of the third program header, whose p_filesz is 0.
        let third = 64 + 2 * 56 + 8;
        bytes[third..third + 8].copy_from_slice(&0x10_0000u64.to_le_bytes());
        let kept = without_symbols(&bytes).unwrap();
        assert_eq!(kept.len(), bytes.len());
    }

    #[test]
    fn segments_come_sorted_with_their_memory() {
        let bytes = two_segments();
        let executable = Executable::parse(&bytes).unwrap();
        assert_eq!(executable.entry, 0xffff_0000);
        let ranges: Vec<_> = executable
            .segments
            .iter()
            .map(|s| s.memory_range())
            .collect();
        assert_eq!(
            ranges[0],
            Range {
                start: 0x1000,
                end: 0x6000
            }
        );
        assert_eq!(
            ranges[1],
            Range {
                start: 0xfffe_8000,
                end: 0xfffe_a000
            }
        );
        assert_eq!(
            ranges[2],
            Range {
                start: 0xffff_f000,
                end: FOUR_GIB
            }
        );
    }

    #[test]
    fn flat_image_ends_where_asked_and_is_padded_at_the_front() {
        let bytes = two_segments();
        let image = Executable::parse(&bytes)
            .unwrap()
            .flatten(FOUR_GIB, 0x10000)
            .unwrap();
        assert_eq!(image.len(), 0x20000);
        assert_eq!(
            image[0x7fff..0x8011],
            [[0].as_slice(), &[1; 16], &[0]].concat()
        );
        assert_eq!(image[0x1efff], 0);
        assert!(image[0x1f000..].iter().all(|byte| *byte == 2));
    }

    #[test]
    fn flat_image_refuses_segments_past_its_end_and_absurd_sizes() {
        let bytes = two_segments();
        let executable = Executable::parse(&bytes).unwrap();
        let past_end = executable.flatten(0xffff_f800, 4096).unwrap_err();
        assert!(
            past_end.to_string().contains("0xfffff000..0x100000000"),
            "{past_end}"
        );
        assert!(matches!(
            executable.flatten(FOUR_GIB, 0),
            Err(ElfError::Flat(_))
        ));
        let bytes = ElfFile::single(0x10_0000, vec![1; 16]).build();
        let low = Executable::parse(&bytes)
            .unwrap()
            .flatten(FOUR_GIB, 4096)
            .unwrap_err();
        assert!(low.to_string().contains("0x100000"), "{low}");
    }

    #[test]
    fn overlapping_segments_are_named() {
        let bytes = ElfFile {
            entry: 0,
            segments: vec![
                ElfSegment {
                    address: 0x1000,
                    data: vec![0; 0x100],
                    memory_size: 0x100,
                },
                ElfSegment {
                    address: 0x10ff,
                    data: vec![0; 0x100],
                    memory_size: 0x100,
                },
            ],
        }
        .build();
        let error = Executable::parse(&bytes).unwrap_err();
        assert!(matches!(error, ElfError::Overlap(..)), "{error}");
    }

    #[test]
    fn damaged_headers_are_errors() {
        let good = ElfFile::single(0x1000, vec![7; 32]).build();
        assert!(matches!(
            Executable::parse(&good[..40]),
            Err(ElfError::NotElf(_))
        ));
        assert!(matches!(
            Executable::parse(&good[..80]),
            Err(ElfError::NotElf(_))
        ));
        assert!(matches!(
            Executable::parse(&good[..good.len() - 1]),
            Err(ElfError::Segment { index: 0, .. })
        ));
        let mut other_machine = good.clone();
        other_machine[18] = 40;
        assert_eq!(
            Executable::parse(&other_machine),
            Err(ElfError::Header {
                field: "e_machine",
                found: 40,
                needed: 62
            })
        );
        let wraps = ElfFile::single(u64::MAX - 4, vec![7; 32]).build();
        assert!(matches!(
            Executable::parse(&wraps),
            Err(ElfError::Segment { index: 0, .. })
        ));
        let empty = ElfFile {
            entry: 0,
            segments: vec![],
        }
        .build();
        assert_eq!(Executable::parse(&empty), Err(ElfError::Empty));
    }

    #[test]
    fn any_cut_or_changed_byte_is_no_panic() {
        let good = two_segments();
        for length in 0..200 {
            let _ = Executable::parse(&good[..length]);
        }
        for position in 0..232 {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = good.clone();
                changed[position] = value;
                if let Ok(executable) = Executable::parse(&changed) {
                    let _ = executable.flatten(FOUR_GIB, 4096);
                }
            }
        }
    }
}
