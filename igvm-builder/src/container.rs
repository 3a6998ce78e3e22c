//! The frame of an IGVM file: headers and where their data lies.
//!
//! The `igvm` crate parses the file, but it names neither directive nor offset
//! in its errors and trusts some offsets and sizes so far that a bad one ends
//! the process. Files are therefore walked here first.

use std::fmt;
use std::ops::Range;

use igvm::IgvmFile;
use igvm_defs::{
    IGVM_MAGIC_VALUE, IGVM_VHT_OPTIONAL_BIT, IGVM_VHT_RANGE_DIRECTIVE, IgvmPlatformType,
};
use thiserror::Error;

use crate::layout::PAGE_SIZE;

/// Why a file is not accepted.
#[derive(Debug, Error)]
pub enum ContainerError {
    /// The fixed header is wrong.
    #[error("fixed header, offset {offset:#x}: {reason}")]
    Fixed {
        /// The offset of the field.
        offset: usize,
        /// What is wrong.
        reason: String,
    },
    /// A variable header is wrong.
    #[error("header {index} ({name}) at offset {offset:#x}: {reason}")]
    Variable {
        /// Its place among all variable headers.
        index: usize,
        /// The name of its type.
        name: String,
        /// Its offset in the file.
        offset: usize,
        /// What is wrong.
        reason: String,
    },
    /// The headers fit the file but contradict each other.
    #[error(transparent)]
    Parse(#[from] igvm::Error),
}

/// Where a header stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its place among the directives.
    pub index: usize,
    /// The name of its type.
    pub name: &'static str,
    /// Its offset in the file.
    pub offset: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            index,
            name,
            offset,
        } = self;
        write!(f, "directive {index} ({name}) at offset {offset:#x}")
    }
}

/// A file of any origin that has been parsed, and where its directives stand in it.
#[derive(Debug)]
pub struct Image {
    /// What it holds.
    pub file: IgvmFile,
    /// The directives' places, one for each.
    places: Vec<Place>,
}

impl Image {
    /// Parses a file of any origin, never panicking.
    ///
    /// # Errors
    /// [`ContainerError`] with the offset of what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ContainerError> {
        let headers = check(bytes)?;
        let file = IgvmFile::new_from_binary(bytes, None)
            .map_err(|error| located(bytes, &headers, error))?;
        let directives = headers
            .iter()
            .filter(|header| IGVM_VHT_RANGE_DIRECTIVE.contains(&header.typ));
        let places = directives
            .enumerate()
            .map(|(index, header)| Place {
                index,
                name: header.name,
                offset: header.offset,
            })
            .collect();
        Ok(Self { file, places })
    }

    /// Where the directive `index` stands.
    pub fn place(&self, index: usize) -> Place {
        let unknown = Place {
            index,
            name: "unknown",
            offset: 0,
        };
        self.places.get(index).copied().unwrap_or(unknown)
    }
}

/// Parses a file of any origin, never panicking.
///
/// # Errors
/// [`ContainerError`] with the offset of what is wrong.
pub fn parse(bytes: &[u8]) -> Result<IgvmFile, ContainerError> {
    Image::parse(bytes).map(|image| image.file)
}

/// A variable header whose structure lies in the file.
struct Header {
    typ: u32,
    name: &'static str,
    offset: usize,
    /// The offset after it.
    end: usize,
}

/// The `igvm` crate's error with the header it is about. The crate names none; the
/// first header without which the file parses is the one.
fn located(bytes: &[u8], headers: &[Header], error: igvm::Error) -> ContainerError {
    let is_directive = |header: &&Header| IGVM_VHT_RANGE_DIRECTIVE.contains(&header.typ);
    let first = headers.len() - headers.iter().filter(is_directive).count();
    let parses = |count: usize| {
        let Some(cut) = count.checked_sub(1).and_then(|last| headers.get(last)) else {
            return false;
        };
        with_headers_until(bytes, cut.end)
            .is_some_and(|file| IgvmFile::new_from_binary(&file, None).is_ok())
    };
    if !parses(first) {
        return ContainerError::Parse(error);
    }
    // The file parses with `good` headers and does not with `bad`.
    let (mut good, mut bad) = (first, headers.len());
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if parses(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    match headers.get(good) {
        Some(header) => ContainerError::Variable {
            index: good,
            name: header.name.into(),
            offset: header.offset,
            reason: with_causes(&error),
        },
        None => ContainerError::Parse(error),
    }
}

/// The file with the variable headers cut off at `end`, its checksum made right.
fn with_headers_until(bytes: &[u8], end: usize) -> Option<Vec<u8>> {
    let mut file = bytes.to_vec();
    let start = word(bytes, 8)? as usize;
    let size = u32::try_from(end.checked_sub(start)?).ok()?;
    file.get_mut(12..16)?.copy_from_slice(&size.to_le_bytes());
    set_checksum(&mut file)?;
    Some(file)
}

/// Makes the checksum of a file right after its headers changed; `None` if the
/// headers do not lie in it.
pub(crate) fn set_checksum(file: &mut [u8]) -> Option<()> {
    let size = if word(file, 4)? == 1 { 24 } else { 32 };
    let start = word(file, 8)? as usize;
    let end = start.checked_add(word(file, 12)? as usize)?;
    let at = 20..24;
    file.get_mut(at.clone())?.fill(0);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(file.get(..size)?);
    hasher.update(file.get(start..end)?);
    file.get_mut(at)?
        .copy_from_slice(&hasher.finalize().to_le_bytes());
    Some(())
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

/// The variable header types that the `igvm` crate reads, with their names and
/// the sizes of their structures.
const TYPES: [(u32, &str, usize); 23] = [
    (0x001, "SUPPORTED_PLATFORM", 16),
    (0x101, "GUEST_POLICY", 16),
    (RELOCATABLE_REGION, "RELOCATABLE_REGION", 48),
    (PAGE_TABLE_RELOCATION, "PAGE_TABLE_RELOCATION", 32),
    (CORIM_DOCUMENT, "CORIM_DOCUMENT", 16),
    (CORIM_SIGNATURE, "CORIM_SIGNATURE", 16),
    (PARAMETER_AREA, "PARAMETER_AREA", 16),
    (PAGE_DATA, "PAGE_DATA", 24),
    (0x303, "PARAMETER_INSERT", 16),
    (VP_CONTEXT, "VP_CONTEXT", 20),
    (0x305, "REQUIRED_MEMORY", 24),
    (0x307, "VP_COUNT", 8),
    (0x308, "SRAT", 8),
    (0x309, "MADT", 8),
    (0x30A, "MMIO_RANGES", 8),
    (0x30B, "SNP_ID_BLOCK", ID_BLOCK_SIZE),
    (0x30C, "MEMORY_MAP", 8),
    (0x30D, "ERROR_RANGE", 16),
    (0x30E, "COMMAND_LINE", 8),
    (0x30F, "SLIT", 8),
    (0x310, "PPTT", 8),
    (0x312, "DEVICE_TREE", 8),
    (0x313, "ENVIRONMENT_INFO", 8),
];
const RELOCATABLE_REGION: u32 = 0x102;
const PAGE_TABLE_RELOCATION: u32 = 0x103;
const CORIM_DOCUMENT: u32 = 0x104;
const CORIM_SIGNATURE: u32 = 0x105;
const PARAMETER_AREA: u32 = 0x301;
const PAGE_DATA: u32 = 0x302;
const VP_CONTEXT: u32 = 0x304;
const SUPPORTED_PLATFORM: u32 = 0x001;
const ID_BLOCK_SIZE: usize = size_of::<igvm_defs::IGVM_VHS_SNP_ID_BLOCK>();

/// Where the file's parts lie.
struct Frame {
    variable: Range<usize>,
    file: usize,
    /// Compatibility masks of Hyper-V's VSM platform.
    vsm: u32,
}

fn check(bytes: &[u8]) -> Result<Vec<Header>, ContainerError> {
    let mut frame = fixed_header(bytes)?;
    let mut headers = Vec::new();
    let mut offset = frame.variable.start;
    let mut index = 0;
    while offset < frame.variable.end {
        let typ = word(bytes, offset);
        let length = word(bytes, offset + 4).map(|length| length as usize);
        let name = typ.map_or("cut short".into(), type_name);
        let bad = |reason: String| ContainerError::Variable {
            index,
            name: name.clone(),
            offset,
            reason,
        };
        let (Some(typ), Some(length)) = (typ, length) else {
            return Err(bad("the header is cut short".into()));
        };
        let Some((_, known, size)) = TYPES.iter().find(|(known, ..)| *known == typ) else {
            let what = if typ & IGVM_VHT_OPTIONAL_BIT != 0 {
                "optional "
            } else {
                ""
            };
            return Err(bad(format!("the {what}type {typ:#x} is not supported")));
        };
        if length != *size {
            return Err(bad(format!("its length is {length:#x}, must be {size:#x}")));
        }
        let body = offset + 8;
        let end = body + size.next_multiple_of(8);
        if end > frame.variable.end {
            return Err(bad(format!(
                "it ends at {end:#x}, past the variable headers"
            )));
        }
        frame.body(bytes, typ, body).map_err(bad)?;
        headers.push(Header {
            typ,
            name: known,
            offset,
            end,
        });
        offset = end;
        index += 1;
    }
    Ok(headers)
}

fn fixed_header(bytes: &[u8]) -> Result<Frame, ContainerError> {
    let field = |offset| {
        let cut = || ContainerError::Fixed {
            offset,
            reason: "the file is cut short".into(),
        };
        word(bytes, offset).ok_or_else(cut)
    };
    let bad = |offset, reason: String| Err(ContainerError::Fixed { offset, reason });
    if field(0)? != IGVM_MAGIC_VALUE {
        return bad(0, "this is no IGVM file (the signature is missing)".into());
    }
    let size = match field(4)? {
        1 => 24,
        2 => 32,
        version => return bad(4, format!("format version {version} is not supported")),
    };
    field(size - 4)?;
    let total = field(16)? as usize;
    if total != bytes.len() {
        return bad(
            16,
            format!("the file should have {total} bytes but has {}", bytes.len()),
        );
    }
    let (start, length) = (field(8)? as usize, field(12)? as usize);
    if start < size || !start.is_multiple_of(8) {
        return bad(
            8,
            format!("the variable headers cannot start at {start:#x}"),
        );
    }
    // The sum is computed in 64 bits: both are u32 in the file.
    let end = start + length;
    if end >= total || u32::try_from(end).is_err() {
        return bad(
            12,
            format!("the variable headers end at {end:#x}, the file at {total:#x}"),
        );
    }
    Ok(Frame {
        variable: start..end,
        file: total,
        vsm: 0,
    })
}

impl Frame {
    /// Checks the fields of one structure that the `igvm` crate calculates
    /// with unchecked. The structure lies inside the file.
    fn body(&mut self, bytes: &[u8], typ: u32, body: usize) -> Result<(), String> {
        let word = |offset: usize| word(bytes, body + offset).unwrap_or(0);
        let long = |offset: usize| u64::from(word(offset)) | u64::from(word(offset + 4)) << 32;
        match typ {
            SUPPORTED_PLATFORM => {
                let platform = bytes.get(body + 5).copied().unwrap_or(0);
                if platform == IgvmPlatformType::VSM_ISOLATION.0 {
                    self.vsm |= word(0);
                }
                Ok(())
            }
            PAGE_DATA => self.data(word(12), PAGE_SIZE, true),
            PARAMETER_AREA => self.data(word(12), long(0), true),
            VP_CONTEXT if word(8) & self.vsm != 0 => {
                Err("contexts of Hyper-V's VSM platform are not supported".into())
            }
            VP_CONTEXT => self.data(word(12), PAGE_SIZE, false),
            CORIM_DOCUMENT | CORIM_SIGNATURE => self.data(word(4), word(8).into(), true),
            RELOCATABLE_REGION if long(8) == 0 => Err("its alignment is 0".into()),
            RELOCATABLE_REGION => region(long(16), long(24)),
            PAGE_TABLE_RELOCATION => region(long(8), long(16)),
            _ => Ok(()),
        }
    }

    /// The data of a structure must lie in the file after the headers.
    fn data(&self, offset: u32, size: u64, optional: bool) -> Result<(), String> {
        if optional && offset == 0 {
            return Ok(());
        }
        let start = u64::from(offset);
        let end = start
            .checked_add(size)
            .filter(|end| *end <= self.file as u64);
        match end {
            Some(_) if start >= self.variable.end as u64 => Ok(()),
            _ => Err(format!(
                "its data at {start:#x} with {size:#x} bytes is outside the file's data \
                 {:#x}..{:#x}",
                self.variable.end, self.file
            )),
        }
    }
}

fn region(start: u64, size: u64) -> Result<(), String> {
    match start.checked_add(size) {
        Some(_) if size != 0 => Ok(()),
        _ => Err(format!(
            "the region at {start:#x} with {size:#x} bytes is empty or wraps around"
        )),
    }
}

fn type_name(typ: u32) -> String {
    let known = TYPES.iter().find(|(known, ..)| *known == typ);
    known.map_or_else(
        || format!("type {typ:#x}"),
        |(_, name, _)| (*name).to_string(),
    )
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes
        .get(offset..)?
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests;
