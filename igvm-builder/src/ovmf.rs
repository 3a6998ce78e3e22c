//! OVMF's SEV and IGVM metadata: which low pages the firmware expects to find
//! loaded. The table of GUIDs at the end of the image leads there.

use thiserror::Error;

use crate::layout::Range;

/// GUID table footer 96b582de-1fb2-45f7-baea-a366c55a082d, as stored.
const FOOTER: [u8; 16] = [
    0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d,
];
/// SEV metadata dc886566-984a-4798-a75e-5585a7bf67cc, as stored.
const SEV_METADATA: [u8; 16] = [
    0x66, 0x65, 0x88, 0xdc, 0x4a, 0x98, 0x98, 0x47, 0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc,
];
/// IGVM metadata 784fa70e-3176-4677-8a20-04b68699e374, as stored.
const IGVM_METADATA: [u8; 16] = [
    0x0e, 0xa7, 0x4f, 0x78, 0x76, 0x31, 0x77, 0x46, 0x8a, 0x20, 0x04, 0xb6, 0x86, 0x99, 0xe3, 0x74,
];

/// The footer's GUID ends this many bytes before the image's end.
const FOOTER_END: usize = 0x20;
/// A table entry's length (u16) and GUID.
const ENTRY_TAIL: usize = 18;

/// Why an image's metadata cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MetadataError {
    /// There is no GUID table: not an OVMF image.
    #[error("no OVMF GUID table at the end of the image")]
    NoTable,
    /// An entry's length is wrong.
    #[error("the GUID table's entry before offset {0:#x} has a wrong length")]
    BadEntry(usize),
    /// The image does not support SEV-SNP.
    #[error("the image has no SNP metadata (GUID dc886566-984a-4798-a75e-5585a7bf67cc)")]
    NoSevMetadata,
    /// A descriptor lies outside the image or is malformed.
    #[error("{name} descriptor: {reason}")]
    Descriptor {
        /// ASEV or IGVM.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// A section of a descriptor: base, size and type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// The addresses (or, in an IGVM descriptor, offsets in the area).
    pub range: Range,
    /// The section's type, numbered by its descriptor.
    pub kind: u32,
}

/// Both descriptors of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The "ASEV" sections.
    pub sev: Vec<Section>,
    /// The "IGVM" sections; empty if the image has none.
    pub igvm: Vec<Section>,
}

impl Metadata {
    /// Finds and reads the descriptors of `image`.
    pub fn parse(image: &[u8]) -> Result<Self, MetadataError> {
        let table = table(image)?;
        let sev = entry(table, &SEV_METADATA)?.ok_or(MetadataError::NoSevMetadata)?;
        let sev = descriptor(image, sev, *b"ASEV", "ASEV")?;
        let igvm = match entry(table, &IGVM_METADATA)? {
            Some(data) => descriptor(image, data, *b"IGVM", "IGVM")?,
            None => Vec::new(),
        };
        Ok(Self { sev, igvm })
    }
}

/// The table's entries, without the footer.
fn table(image: &[u8]) -> Result<&[u8], MetadataError> {
    let end = image
        .len()
        .checked_sub(FOOTER_END)
        .ok_or(MetadataError::NoTable)?;
    let (rest, guid) = image[..end]
        .split_last_chunk::<16>()
        .ok_or(MetadataError::NoTable)?;
    if *guid != FOOTER {
        return Err(MetadataError::NoTable);
    }
    let (entries, length) = rest.split_last_chunk::<2>().ok_or(MetadataError::NoTable)?;
    let size = usize::from(u16::from_le_bytes(*length))
        .checked_sub(ENTRY_TAIL)
        .filter(|size| *size <= entries.len())
        .ok_or(MetadataError::BadEntry(end))?;
    Ok(&entries[entries.len() - size..])
}

/// The data of the entry with `guid`, walking down from the table's end.
fn entry<'a>(mut table: &'a [u8], guid: &[u8; 16]) -> Result<Option<&'a [u8]>, MetadataError> {
    while !table.is_empty() {
        let bad = MetadataError::BadEntry(table.len());
        let Some((rest, found)) = table.split_last_chunk::<16>() else {
            return Err(bad);
        };
        let Some((data, length)) = rest.split_last_chunk::<2>() else {
            return Err(bad);
        };
        let size = usize::from(u16::from_le_bytes(*length)).checked_sub(ENTRY_TAIL);
        let Some(start) = size.and_then(|size| data.len().checked_sub(size)) else {
            return Err(bad);
        };
        if found == guid {
            return Ok(Some(&data[start..]));
        }
        table = &table[..start];
    }
    Ok(None)
}

/// Reads the descriptor whose distance from the image's end `entry` holds.
fn descriptor(
    image: &[u8],
    entry: &[u8],
    signature: [u8; 4],
    name: &'static str,
) -> Result<Vec<Section>, MetadataError> {
    let bad = |reason: String| MetadataError::Descriptor { name, reason };
    let from_end = word(entry, 0).ok_or_else(|| bad("its offset is cut short".into()))?;
    let start = image.len().checked_sub(from_end as usize).ok_or_else(|| {
        bad(format!(
            "{from_end:#x} bytes before the end is outside the image"
        ))
    })?;
    let bytes = &image[start..];
    if !bytes.starts_with(&signature) {
        return Err(bad(format!("no signature at image offset {start:#x}")));
    }
    let header = |index| word(bytes, index).ok_or_else(|| bad("header is cut short".into()));
    let (length, version, count) = (header(1)?, header(2)?, header(3)?);
    if version != 1 {
        return Err(bad(format!("version {version} is unknown")));
    }
    let needed = count.checked_mul(12).and_then(|size| size.checked_add(16));
    if needed.is_none_or(|needed| needed > length || needed as usize > bytes.len()) {
        return Err(bad(format!(
            "{count} sections do not fit its {length} bytes"
        )));
    }
    (0..count as usize)
        .map(|index| {
            let field = |field| word(bytes, 4 + 3 * index + field);
            let (Some(base), Some(size), Some(kind)) = (field(0), field(1), field(2)) else {
                return Err(bad(format!("section {index} is cut short")));
            };
            let range = Range {
                start: base.into(),
                end: u64::from(base) + u64::from(size),
            };
            Ok(Section { range, kind })
        })
        .collect()
}

fn word(bytes: &[u8], index: usize) -> Option<u32> {
    bytes
        .get(4 * index..)?
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{OVMF_IGVM, OVMF_SEV, firmware};

    const SIZE: usize = 0x2000;

    fn image() -> Vec<u8> {
        firmware(SIZE, &OVMF_SEV, &OVMF_IGVM)
    }

    #[test]
    fn both_descriptors_are_found() {
        let metadata = Metadata::parse(&image()).unwrap();
        assert_eq!(metadata.sev.len(), 7);
        assert_eq!(
            metadata.sev[1],
            Section {
                range: Range {
                    start: 0x80_A000,
                    end: 0x80_D000
                },
                kind: 1
            }
        );
        assert_eq!(metadata.igvm[2].range.start, 0xC0);
    }

    #[test]
    fn an_image_without_metadata_is_named_as_such() {
        assert_eq!(
            Metadata::parse(&[0xff; 0x1000]),
            Err(MetadataError::NoTable)
        );
        assert_eq!(Metadata::parse(&[]), Err(MetadataError::NoTable));
        let mut other_guid = image();
        // The last byte of the SEV metadata's GUID, the entry before the last.
        other_guid[SIZE - 0x20 - 18 - 22 - 1] ^= 1;
        assert_eq!(
            Metadata::parse(&other_guid),
            Err(MetadataError::NoSevMetadata)
        );
    }

    #[test]
    fn wrong_lengths_are_errors() {
        let table_length = SIZE - 0x20 - 18;
        let first_entry_length = table_length - 18;
        for (position, value) in [
            (table_length, 17u16),
            (table_length, u16::MAX),
            (first_entry_length, 17),
            (first_entry_length, u16::MAX),
        ] {
            let mut bad = image();
            bad[position..position + 2].copy_from_slice(&value.to_le_bytes());
            assert!(
                matches!(Metadata::parse(&bad), Err(MetadataError::BadEntry(_))),
                "{position:#x} {value}"
            );
        }
    }

    #[test]
    fn descriptors_must_lie_in_the_image() {
        let reason = |change: fn(&mut Vec<u8>)| {
            let mut bad = image();
            change(&mut bad);
            Metadata::parse(&bad).unwrap_err().to_string()
        };
        let offset = reason(|image| image[SIZE - 0x20 - 18 - 44..][..4].fill(0xff));
        assert_eq!(
            offset,
            "ASEV descriptor: 0xffffffff bytes before the end is outside the image"
        );
        let signature = reason(|image| image[SIZE - 0x800] = b'X');
        assert_eq!(
            signature,
            "ASEV descriptor: no signature at image offset 0x1800"
        );
        let version = reason(|image| image[SIZE - 0x800 + 8] = 2);
        assert_eq!(version, "ASEV descriptor: version 2 is unknown");
        let count = reason(|image| image[SIZE - 0x800 + 12..][..4].fill(0xff));
        assert_eq!(
            count,
            "ASEV descriptor: 4294967295 sections do not fit its 100 bytes"
        );
    }

    #[test]
    fn any_changed_byte_of_the_tables_is_no_panic() {
        for position in (SIZE - 0x800..SIZE - 0x780).chain(SIZE - 0x80..SIZE) {
            for value in [0, 1, 0x11, 0x7f, 0x80, 0xff] {
                let mut changed = image();
                changed[position] = value;
                let _ = Metadata::parse(&changed);
            }
        }
    }
}
