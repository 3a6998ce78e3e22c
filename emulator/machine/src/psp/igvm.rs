//! Reading an IGVM file: the fixed header, its checksum, and the directives of
//! the SEV-SNP platform, each copied out of bytes that anybody may have written.

use alloc::boxed::Box;
use core::fmt;
use core::mem::size_of;

use igvm_defs::{
    IGVM_FIXED_HEADER, IGVM_FORMAT_VERSION_1, IGVM_VHS_GUEST_POLICY, IGVM_VHS_PAGE_DATA,
    IGVM_VHS_PARAMETER, IGVM_VHS_PARAMETER_AREA, IGVM_VHS_PARAMETER_INSERT,
    IGVM_VHS_REQUIRED_MEMORY, IGVM_VHS_SNP_ID_BLOCK, IGVM_VHS_SUPPORTED_PLATFORM,
    IGVM_VHS_VARIABLE_HEADER, IGVM_VHS_VP_CONTEXT, IGVM_VHT_OPTIONAL_BIT, IgvmPlatformType,
    IgvmVariableHeaderType as Kind,
};
use zerocopy::FromBytes;

/// "IGVM".
const MAGIC: u32 = 0x4d56_4749;
const PAGE: usize = 4096;

/// Why a file is refused, with the offset at which it went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IgvmError {
    Short { offset: usize },
    Magic,
    Version(u32),
    Checksum { header: u32, computed: u32 },
    NoSnpPlatform,
    Unsupported { kind: u32, offset: usize },
    PageData { gpa: u64 },
}

impl fmt::Display for IgvmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Short { offset } => write!(f, "the file ends within a structure at {offset:#x}"),
            Self::Magic => write!(f, "it is not an IGVM file"),
            Self::Version(version) => write!(f, "IGVM format version {version} is not supported"),
            Self::Checksum { header, computed } => {
                write!(
                    f,
                    "checksum {header:#010x} in the header, {computed:#010x} computed"
                )
            }
            Self::NoSnpPlatform => write!(f, "it has no part for the SEV-SNP platform"),
            Self::Unsupported { kind, offset } => {
                write!(f, "header type {kind:#x} at {offset:#x} is not supported")
            }
            Self::PageData { gpa } => write!(f, "page data for {gpa:#x} lies outside the file"),
        }
    }
}

/// One directive for the SEV-SNP platform.
#[derive(Clone, Debug)]
pub(crate) enum Directive {
    Policy(u64),
    Page {
        gpa: u64,
        data: IGVM_VHS_PAGE_DATA,
    },
    ParameterArea {
        index: u32,
        bytes: u64,
        file_offset: u32,
    },
    ParameterInsert {
        gpa: u64,
        index: u32,
    },
    VpContext {
        file_offset: u32,
        index: u16,
    },
    RequiredMemory {
        gpa: u64,
        bytes: u32,
    },
    VpCount(IGVM_VHS_PARAMETER),
    MemoryMap(IGVM_VHS_PARAMETER),
    IdBlock(Box<IGVM_VHS_SNP_ID_BLOCK>),
}

/// A file whose header has been checked.
pub(crate) struct IgvmFile<'a> {
    bytes: &'a [u8],
    headers: &'a [u8],
    headers_at: usize,
    /// The compatibility mask of the SEV-SNP platform.
    mask: u32,
}

fn take<T: FromBytes>(bytes: &[u8], offset: usize) -> Result<T, IgvmError> {
    let rest = bytes.get(offset..).ok_or(IgvmError::Short { offset })?;
    T::read_from_prefix(rest)
        .map(|(value, _)| value)
        .map_err(|_| IgvmError::Short { offset })
}

impl<'a> IgvmFile<'a> {
    /// Checks the fixed header and finds the platform.
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, IgvmError> {
        let header: IGVM_FIXED_HEADER = take(bytes, 0)?;
        if header.magic != MAGIC {
            return Err(IgvmError::Magic);
        }
        if header.format_version != IGVM_FORMAT_VERSION_1 {
            return Err(IgvmError::Version(header.format_version));
        }
        let headers_at = header.variable_header_offset as usize;
        let end = headers_at.checked_add(header.variable_header_size as usize);
        let headers = end
            .and_then(|end| bytes.get(headers_at..end))
            .ok_or(IgvmError::Short { offset: headers_at })?;
        if header.total_file_size as usize > bytes.len() {
            return Err(IgvmError::Short {
                offset: bytes.len(),
            });
        }
        let checksum_at = size_of::<IGVM_FIXED_HEADER>() - 4;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(bytes.get(..checksum_at).unwrap_or_default());
        hasher.update(&[0; 4]);
        hasher.update(headers);
        let computed = hasher.finalize();
        if computed != header.checksum {
            return Err(IgvmError::Checksum {
                header: header.checksum,
                computed,
            });
        }
        let mut file = Self {
            bytes,
            headers,
            headers_at,
            mask: 0,
        };
        file.mask = file.snp_mask()?.ok_or(IgvmError::NoSnpPlatform)?;
        Ok(file)
    }

    /// The 4 KiB of file data at `offset`, fewer at the file's end.
    pub(crate) fn page(&self, offset: u32, gpa: u64) -> Result<&'a [u8], IgvmError> {
        self.data(offset, PAGE).ok_or(IgvmError::PageData { gpa })
    }

    /// File data.
    pub(crate) fn data(&self, offset: u32, len: usize) -> Option<&'a [u8]> {
        let start = offset as usize;
        self.bytes.get(start..start.checked_add(len)?)
    }

    fn snp_mask(&self) -> Result<Option<u32>, IgvmError> {
        for header in self.raw() {
            let (offset, kind, body) = header?;
            if Kind(kind) == Kind::IGVM_VHT_SUPPORTED_PLATFORM {
                let platform: IGVM_VHS_SUPPORTED_PLATFORM =
                    take(body, 0).map_err(|_| IgvmError::Short { offset })?;
                if platform.platform_type == IgvmPlatformType::SEV_SNP {
                    return Ok(Some(platform.compatibility_mask));
                }
            }
        }
        Ok(None)
    }

    /// Every variable header: {offset in the file, type, body}.
    fn raw(&self) -> impl Iterator<Item = Result<(usize, u32, &'a [u8]), IgvmError>> {
        let (headers, base) = (self.headers, self.headers_at);
        let mut at = 0usize;
        core::iter::from_fn(move || {
            if at >= headers.len() {
                return None;
            }
            let start = at;
            let header: IGVM_VHS_VARIABLE_HEADER = match take(headers, at) {
                Ok(header) => header,
                Err(_) => {
                    at = headers.len();
                    return Some(Err(IgvmError::Short {
                        offset: base + start,
                    }));
                }
            };
            let body_at = at + size_of::<IGVM_VHS_VARIABLE_HEADER>();
            let end = body_at.saturating_add(header.length as usize);
            let Some(body) = headers.get(body_at..end) else {
                at = headers.len();
                return Some(Err(IgvmError::Short {
                    offset: base + start,
                }));
            };
            at = end.next_multiple_of(8);
            Some(Ok((base + start, header.typ.0, body)))
        })
    }

    /// The directives for SEV-SNP, in the order of the file.
    pub(crate) fn directives(&self) -> impl Iterator<Item = Result<Directive, IgvmError>> {
        let mask = self.mask;
        self.raw().filter_map(move |header| match header {
            Ok((offset, kind, body)) => directive(mask, offset, kind, body).transpose(),
            Err(error) => Some(Err(error)),
        })
    }
}

fn directive(
    mask: u32,
    offset: usize,
    kind: u32,
    body: &[u8],
) -> Result<Option<Directive>, IgvmError> {
    let short = |_| IgvmError::Short { offset };
    let mine = |compatibility: u32| compatibility & mask != 0;
    let directive = match Kind(kind) {
        Kind::IGVM_VHT_SUPPORTED_PLATFORM => return Ok(None),
        Kind::IGVM_VHT_GUEST_POLICY => {
            let s: IGVM_VHS_GUEST_POLICY = take(body, 0).map_err(short)?;
            mine(s.compatibility_mask).then_some(Directive::Policy(s.policy))
        }
        Kind::IGVM_VHT_PAGE_DATA => {
            let s: IGVM_VHS_PAGE_DATA = take(body, 0).map_err(short)?;
            mine(s.compatibility_mask).then_some(Directive::Page {
                gpa: s.gpa,
                data: s,
            })
        }
        Kind::IGVM_VHT_PARAMETER_AREA => {
            let s: IGVM_VHS_PARAMETER_AREA = take(body, 0).map_err(short)?;
            Some(Directive::ParameterArea {
                index: s.parameter_area_index,
                bytes: s.number_of_bytes,
                file_offset: s.file_offset,
            })
        }
        Kind::IGVM_VHT_PARAMETER_INSERT => {
            let s: IGVM_VHS_PARAMETER_INSERT = take(body, 0).map_err(short)?;
            mine(s.compatibility_mask).then_some(Directive::ParameterInsert {
                gpa: s.gpa,
                index: s.parameter_area_index,
            })
        }
        Kind::IGVM_VHT_VP_CONTEXT => {
            let s: IGVM_VHS_VP_CONTEXT = take(body, 0).map_err(short)?;
            mine(s.compatibility_mask).then_some(Directive::VpContext {
                file_offset: s.file_offset,
                index: s.vp_index,
            })
        }
        Kind::IGVM_VHT_REQUIRED_MEMORY => {
            let s: IGVM_VHS_REQUIRED_MEMORY = take(body, 0).map_err(short)?;
            mine(s.compatibility_mask).then_some(Directive::RequiredMemory {
                gpa: s.gpa,
                bytes: s.number_of_bytes,
            })
        }
        Kind::IGVM_VHT_VP_COUNT_PARAMETER => {
            Some(Directive::VpCount(take(body, 0).map_err(short)?))
        }
        Kind::IGVM_VHT_MEMORY_MAP => Some(Directive::MemoryMap(take(body, 0).map_err(short)?)),
        Kind::IGVM_VHT_SNP_ID_BLOCK => {
            let s: IGVM_VHS_SNP_ID_BLOCK = take(body, 0).map_err(short)?;
            mine(s.compatibility_mask).then(|| Directive::IdBlock(Box::new(s)))
        }
        _ if kind & IGVM_VHT_OPTIONAL_BIT != 0 => return Ok(None),
        _ => return Err(IgvmError::Unsupported { kind, offset }),
    };
    Ok(directive)
}
