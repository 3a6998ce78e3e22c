//! What the guest firmware's image asks for: OVMF's GUID table, and the SEV and
//! IGVM descriptors that it leads to.
//!
//! The image is measured, but its tables are read as if it were not: every
//! offset is bounded, every range is checked against the others.

use protocols::addr::{Gpa, GpaRange, PageSize};
use protocols::boot::params::{MemoryMapEntry, VpCount};
use protocols::ghcb::RampartReason;
use protocols::ovmf::{
    DescriptorHeader, DescriptorOffset, GUID_IGVM_METADATA, GUID_SEV_METADATA,
    GUID_TABLE_END_FROM_END, GUID_TABLE_FOOTER, Guid, GuidEntry, IgvmSectionType, SectionEntry,
    SevSectionType,
};
use zerocopy::FromBytes;

use crate::fatal::Fatal;
use crate::ranges::RangeList;

/// Bytes at the end of the image that [`GuestImage::parse`] should get: all
/// tables of OVMF lie within.
pub const TAIL: usize = 0x1000;

/// Why an image cannot be launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// There is no table, or no SEV descriptor in it.
    NoMetadata,
    /// A table goes past its bounds, has an unknown version or type, or names
    /// ranges that are misaligned, overlap or are missing.
    Malformed,
}

impl From<ImageError> for Fatal {
    fn from(error: ImageError) -> Self {
        Fatal::new(match error {
            ImageError::NoMetadata => RampartReason::FirmwareMetadataMissing,
            ImageError::Malformed => RampartReason::FirmwareMetadataMalformed,
        })
    }
}

/// Where the guest firmware reads the memory map and the number of processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The memory map's place.
    pub memory_map: GpaRange,
    /// The place of the number of processors.
    pub vp_count: GpaRange,
}

/// What an image asks for. All ranges are whole pages without overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestImage {
    /// Everything that has to be validated: the pages below included.
    pub sections: RangeList,
    /// The page for the guest's copy of the secrets page.
    pub secrets: Gpa,
    /// The page for the guest's copy of the CPUID page.
    pub cpuid: Gpa,
    /// The boot processor's calling area.
    pub calling_area: Gpa,
    /// Inside one of the sections; none for firmware that finds its memory
    /// otherwise.
    pub parameters: Option<Parameters>,
}

impl GuestImage {
    /// Reads the tables in `tail`, the last bytes of the image.
    ///
    /// # Errors
    /// [`ImageError`]; a tail too short for the tables is malformed.
    pub fn parse(tail: &[u8]) -> Result<Self, ImageError> {
        let table = guid_table(tail)?;
        let sev = find(table, GUID_SEV_METADATA)?.ok_or(ImageError::NoMetadata)?;
        let mut image = parse_sev(descriptor(tail, sev, DescriptorHeader::SEV_SIGNATURE)?)?;
        if let Some(igvm) = find(table, GUID_IGVM_METADATA)? {
            let sections = descriptor(tail, igvm, DescriptorHeader::IGVM_SIGNATURE)?;
            image.parameters = parse_igvm(sections, &image.sections)?;
        }
        Ok(image)
    }
}

/// The GUID table without its footer.
fn guid_table(tail: &[u8]) -> Result<&[u8], ImageError> {
    let end = tail
        .len()
        .checked_sub(GUID_TABLE_END_FROM_END)
        .ok_or(ImageError::NoMetadata)?;
    let upto = tail.get(..end).ok_or(ImageError::NoMetadata)?;
    let (rest, footer) = GuidEntry::read_from_suffix(upto).map_err(|_| ImageError::NoMetadata)?;
    if footer.guid != GUID_TABLE_FOOTER {
        return Err(ImageError::NoMetadata);
    }
    // The footer's length is the whole table's.
    let len = footer.data_len().ok_or(ImageError::Malformed)?;
    let start = rest.len().checked_sub(len).ok_or(ImageError::Malformed)?;
    rest.get(start..).ok_or(ImageError::Malformed)
}

/// The offset that the entry with this GUID holds. Walks the table from its end.
fn find(table: &[u8], guid: Guid) -> Result<Option<DescriptorOffset>, ImageError> {
    let mut rest = table;
    while !rest.is_empty() {
        let (before, entry) =
            GuidEntry::read_from_suffix(rest).map_err(|_| ImageError::Malformed)?;
        let len = entry.data_len().ok_or(ImageError::Malformed)?;
        let at = before.len().checked_sub(len).ok_or(ImageError::Malformed)?;
        let (before, data) = before.split_at_checked(at).ok_or(ImageError::Malformed)?;
        if entry.guid == guid {
            let offset = DescriptorOffset::read_from_bytes(data);
            return offset.map(Some).map_err(|_| ImageError::Malformed);
        }
        rest = before;
    }
    Ok(None)
}

/// The sections of a descriptor.
fn descriptor(
    tail: &[u8],
    offset: DescriptorOffset,
    signature: [u8; 4],
) -> Result<&[SectionEntry], ImageError> {
    let bytes = usize::try_from(offset.from_end.get())
        .ok()
        .and_then(|from_end| tail.len().checked_sub(from_end))
        .and_then(|at| tail.get(at..))
        .ok_or(ImageError::Malformed)?;
    let (header, rest) =
        DescriptorHeader::read_from_prefix(bytes).map_err(|_| ImageError::Malformed)?;
    let known = header.signature == signature
        && header.version.get() == DescriptorHeader::VERSION
        && header.is_length_of_count();
    if !known {
        return Err(ImageError::Malformed);
    }
    let count = usize::try_from(header.count.get()).map_err(|_| ImageError::Malformed)?;
    let sections = <[SectionEntry]>::ref_from_prefix_with_elems(rest, count);
    sections
        .map(|(sections, _)| sections)
        .map_err(|_| ImageError::Malformed)
}

fn parse_sev(sections: &[SectionEntry]) -> Result<GuestImage, ImageError> {
    let mut ranges = RangeList::new();
    let (mut secrets, mut cpuid, mut calling_area) = (None, None, None);
    for section in sections {
        let range = page_range(section)?;
        ranges.insert(range).map_err(|_| ImageError::Malformed)?;
        let single = match section.sev_type() {
            SevSectionType::SEC_MEM | SevSectionType::KERNEL_HASHES => continue,
            SevSectionType::SECRETS => &mut secrets,
            SevSectionType::CPUID => &mut cpuid,
            SevSectionType::SVSM_CAA => &mut calling_area,
            _ => return Err(ImageError::Malformed),
        };
        let one_page = range.len() == PageSize::Size4K.bytes();
        if !one_page || single.replace(range.start()).is_some() {
            return Err(ImageError::Malformed);
        }
    }
    ranges.join();
    Ok(GuestImage {
        sections: ranges,
        secrets: secrets.ok_or(ImageError::Malformed)?,
        cpuid: cpuid.ok_or(ImageError::Malformed)?,
        calling_area: calling_area.ok_or(ImageError::Malformed)?,
        parameters: None,
    })
}

/// The parameters' places; none when the descriptor has no parameter area.
fn parse_igvm(
    sections: &[SectionEntry],
    validated: &RangeList,
) -> Result<Option<Parameters>, ImageError> {
    let of = |wanted: IgvmSectionType| sections.iter().find(|s| s.igvm_type() == wanted);
    let Some(area) = of(IgvmSectionType::PARAMETER_AREA) else {
        return Ok(None);
    };
    let area = page_range(area)?;
    let inside = |wanted, least: usize| {
        let section = of(wanted).ok_or(ImageError::Malformed)?;
        let (offset, size) = (u64::from(section.base.get()), u64::from(section.size.get()));
        let start = area
            .start()
            .checked_add(offset)
            .ok_or(ImageError::Malformed)?;
        let range = GpaRange::new(start, size).ok_or(ImageError::Malformed)?;
        let fits = area.contains_range(range) && size >= least as u64;
        if fits {
            Ok(range)
        } else {
            Err(ImageError::Malformed)
        }
    };
    let parameters = Parameters {
        memory_map: inside(IgvmSectionType::MEMORY_MAP, size_of::<MemoryMapEntry>())?,
        vp_count: inside(IgvmSectionType::VP_COUNT, size_of::<VpCount>())?,
    };
    let apart = !parameters.memory_map.overlaps(parameters.vp_count);
    if apart && validated.contains(area) {
        Ok(Some(parameters))
    } else {
        Err(ImageError::Malformed)
    }
}

/// A section as whole pages, at least one.
fn page_range(section: &SectionEntry) -> Result<GpaRange, ImageError> {
    let start = Gpa::new(u64::from(section.base.get()));
    GpaRange::new(start, u64::from(section.size.get()))
        .filter(|range| !range.is_empty() && range.is_aligned(PageSize::Size4K))
        .ok_or(ImageError::Malformed)
}

#[cfg(test)]
mod tests;
