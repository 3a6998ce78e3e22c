//! The kernel's ELF64 file: its loadable segments, with bounds. Nothing else is looked at.
//!
//! The file is measured, so it is trusted; the checks make a wrongly built image a clear end and
//! not a wild write. Source: System V ABI, ELF-64 object file format.

/// Why a file can't be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ElfError {
    /// It is no static x86-64 ELF64 executable.
    Header,
    /// A program header or a segment lies outside the file or its place.
    Bounds,
    /// Something that would need a loader: a dynamic section, or writable and executable memory.
    Unsupported,
}

const EI_CLASS_64_LSB_V1: [u8; 7] = [0x7F, b'E', b'L', b'F', 2, 1, 1];
const ET_EXEC: u16 = 2;
const EM_X86_64: u16 = 62;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const PROGRAM_HEADER_SIZE: usize = 56;
/// More segments than any kernel of ours has.
const MAX_SEGMENTS: u16 = 16;

/// A PT_LOAD segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    /// Virtual address.
    pub(crate) address: u64,
    /// What the file has of it.
    pub(crate) bytes: &'a [u8],
    /// Length in memory; what is beyond `bytes` is zero.
    pub(crate) memory: u64,
    /// May be written.
    pub(crate) write: bool,
    /// May be executed.
    pub(crate) execute: bool,
}

/// An ELF64 file whose header has been checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elf<'a> {
    file: &'a [u8],
    table: usize,
    count: u16,
    /// Address of the first instruction.
    pub(crate) entry: u64,
}

impl<'a> Elf<'a> {
    pub(crate) fn parse(file: &'a [u8]) -> Result<Self, ElfError> {
        let header_is_ours = file.starts_with(&EI_CLASS_64_LSB_V1)
            && u16_at(file, 16)? == ET_EXEC
            && u16_at(file, 18)? == EM_X86_64
            && usize::from(u16_at(file, 54)?) == PROGRAM_HEADER_SIZE;
        let count = u16_at(file, 56)?;
        if !header_is_ours || count == 0 || count > MAX_SEGMENTS {
            return Err(ElfError::Header);
        }
        let table = usize::try_from(u64_at(file, 32)?).map_err(|_| ElfError::Bounds)?;
        Ok(Self {
            file,
            table,
            count,
            entry: u64_at(file, 24)?,
        })
    }

    /// The PT_LOAD segments, in the order of the file.
    pub(crate) fn segments(self) -> impl Iterator<Item = Result<Segment<'a>, ElfError>> {
        (0..usize::from(self.count)).filter_map(move |index| self.segment(index).transpose())
    }

    fn segment(&self, index: usize) -> Result<Option<Segment<'a>>, ElfError> {
        let at = index
            .checked_mul(PROGRAM_HEADER_SIZE)
            .and_then(|offset| offset.checked_add(self.table))
            .ok_or(ElfError::Bounds)?;
        let header = self.file.get(at..).ok_or(ElfError::Bounds)?;
        let flags = u32_at(header, 4)?;
        match u32_at(header, 0)? {
            PT_LOAD if flags & (PF_W | PF_X) == PF_W | PF_X => Err(ElfError::Unsupported),
            PT_LOAD => {
                let offset = usize::try_from(u64_at(header, 8)?).map_err(|_| ElfError::Bounds)?;
                let in_file = usize::try_from(u64_at(header, 32)?).map_err(|_| ElfError::Bounds)?;
                let memory = u64_at(header, 40)?;
                // The offset of a segment without bytes (bss alone) names nothing.
                let bytes = if in_file == 0 {
                    &[]
                } else {
                    let end = offset.checked_add(in_file).ok_or(ElfError::Bounds)?;
                    self.file.get(offset..end).ok_or(ElfError::Bounds)?
                };
                if (bytes.len() as u64) > memory {
                    return Err(ElfError::Bounds);
                }
                Ok(Some(Segment {
                    address: u64_at(header, 16)?,
                    bytes,
                    memory,
                    write: flags & PF_W != 0,
                    execute: flags & PF_X != 0,
                }))
            }
            PT_DYNAMIC => Err(ElfError::Unsupported),
            _ => Ok(None),
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, ElfError> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, ElfError> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, ElfError> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], ElfError> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .ok_or(ElfError::Bounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one segment of 4 bytes in the file and 16 in memory.
    fn file() -> Vec<u8> {
        let mut f = vec![0u8; 64 + 56 + 4];
        f[..7].copy_from_slice(&EI_CLASS_64_LSB_V1);
        f[16..18].copy_from_slice(&ET_EXEC.to_le_bytes());
        f[18..20].copy_from_slice(&EM_X86_64.to_le_bytes());
        f[24..32].copy_from_slice(&0x1234u64.to_le_bytes());
        f[32..40].copy_from_slice(&64u64.to_le_bytes());
        f[54..56].copy_from_slice(&56u16.to_le_bytes());
        f[56..58].copy_from_slice(&1u16.to_le_bytes());
        f[64..68].copy_from_slice(&PT_LOAD.to_le_bytes());
        f[68..72].copy_from_slice(&(4u32 | PF_X).to_le_bytes());
        f[72..80].copy_from_slice(&120u64.to_le_bytes());
        f[80..88].copy_from_slice(&0x8000u64.to_le_bytes());
        f[96..104].copy_from_slice(&4u64.to_le_bytes());
        f[104..112].copy_from_slice(&16u64.to_le_bytes());
        f[120..].copy_from_slice(b"code");
        f
    }

    fn first(f: &[u8]) -> Result<Segment<'_>, ElfError> {
        Elf::parse(f)?
            .segments()
            .next()
            .unwrap_or(Err(ElfError::Header))
    }

    #[test]
    fn a_good_file_is_read() {
        let f = file();
        assert_eq!(Elf::parse(&f).unwrap().entry, 0x1234);
        let expected = Segment {
            address: 0x8000,
            bytes: b"code",
            memory: 16,
            write: false,
            execute: true,
        };
        assert_eq!(first(&f), Ok(expected));
    }

    #[test]
    fn every_truncation_is_refused() {
        let f = file();
        for len in 0..f.len() {
            assert!(first(&f[..len]).is_err(), "{len} bytes were taken");
        }
    }

    #[test]
    fn a_segment_without_bytes_may_lie_behind_the_file() {
        let mut f = file();
        f[72..80].copy_from_slice(&0x1_0000u64.to_le_bytes());
        f[96..104].copy_from_slice(&0u64.to_le_bytes());
        assert_eq!(
            first(&f).map(|segment| (segment.bytes.len(), segment.memory)),
            Ok((0, 16))
        );
    }

    #[test]
    fn what_needs_a_loader_is_refused() {
        let mut f = file();
        f[68..72].copy_from_slice(&(PF_W | PF_X).to_le_bytes());
        assert_eq!(first(&f), Err(ElfError::Unsupported));
        let mut f = file();
        f[64..68].copy_from_slice(&PT_DYNAMIC.to_le_bytes());
        assert_eq!(first(&f), Err(ElfError::Unsupported));
        let mut f = file();
        f[16] = 3;
        assert!(Elf::parse(&f).is_err());
    }

    #[test]
    fn offsets_that_overflow_are_refused() {
        for at in [32, 72, 96] {
            let mut f = file();
            f[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
            assert_eq!(first(&f), Err(ElfError::Bounds));
        }
        let mut f = file();
        f[104..112].copy_from_slice(&3u64.to_le_bytes());
        assert_eq!(first(&f), Err(ElfError::Bounds));
    }
}
