//! What an IGVM file holds, as data: printed in words (`Display`) or written as
//! JSON.

pub mod directives;
pub mod headers;
pub mod image_header;
pub mod map;
pub mod save_area;
pub mod svg;
mod words;

use igvm::{IgvmFile, IgvmPlatformHeader};
use igvm_defs::IgvmPlatformType;
use serde::Serialize;

use self::directives::Run;
use self::headers::{Platform, Policy};
use self::image_header::HeaderReport;
use self::map::Region;
use crate::container::{self, ContainerError};
use crate::cost::Cost;
use crate::hex::Hex;
use crate::owners::Owners;

/// An IGVM file's contents.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The size of the file in bytes.
    pub bytes: usize,
    /// Format version of the fixed header.
    pub format_version: u32,
    /// CRC32 over the headers, as stored and verified.
    pub checksum: Hex,
    /// The platforms the file can be launched on.
    pub platforms: Vec<Platform>,
    /// Guest policies.
    pub policies: Vec<Policy>,
    /// Initialization headers of other kinds, by name.
    pub other_initialization: Vec<&'static str>,
    /// The directives in file order, runs of like pages as one.
    pub directives: Vec<Run>,
    /// The pages of an SNP launch.
    pub launch_pages: Cost,
    /// Guest memory after an SNP launch, by address.
    pub map: Vec<Region>,
    /// Rampart's image header, if the file has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_header: Option<HeaderReport>,
}

/// Reads `bytes` and describes them.
pub fn inspect(bytes: &[u8]) -> Result<Report, ContainerError> {
    let file = container::parse(bytes)?;
    // `parse` has seen the whole fixed header.
    let word = |offset: usize| {
        bytes[offset..]
            .first_chunk()
            .map_or(0, |chunk| u32::from_le_bytes(*chunk))
    };
    let headers = || file.initializations().iter();
    let snp = snp_mask(&file);
    let header = image_header::find(&file);
    let part_at = |gpa| image_header::part(header.as_ref()?, gpa);
    let runs = directives::runs(&file, &part_at);
    let owners = Owners::of(&file);
    Ok(Report {
        bytes: bytes.len(),
        format_version: word(4),
        checksum: Hex(word(20).into()),
        platforms: file.platforms().iter().map(Platform::of).collect(),
        policies: headers().filter_map(Policy::of).collect(),
        other_initialization: headers().filter_map(headers::other).collect(),
        launch_pages: Cost::of_runs(runs.iter().filter(|run| run.applies_to(snp))),
        directives: runs,
        map: map::map(&file, &owners),
        image_header: header.as_ref().map(HeaderReport::of),
    })
}

/// The mask of the SNP platform, or of all platforms if there is none.
pub(crate) fn snp_mask(file: &IgvmFile) -> u64 {
    let snp = file
        .platforms()
        .iter()
        .find_map(|IgvmPlatformHeader::SupportedPlatform(info)| {
            (info.platform_type == IgvmPlatformType::SEV_SNP).then_some(info.compatibility_mask)
        });
    snp.map_or(u64::MAX, u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{plain_image, rampart_image};

    #[test]
    fn plain_image_in_words() {
        insta::assert_snapshot!(inspect(&plain_image()).unwrap());
    }

    #[test]
    fn rampart_image_in_words() {
        insta::assert_snapshot!(inspect(&rampart_image()).unwrap());
    }

    #[test]
    fn rampart_image_as_json() {
        let report = inspect(&rampart_image()).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap());
    }

    #[test]
    fn pages_are_counted_as_the_secure_processor_sees_them() {
        let report = inspect(&plain_image()).unwrap();
        // SEC memory without the parameter page, calling area, hashes; ROM; VMSA.
        let zero = 9 + 3 + (4 - 1) + 1 + 1;
        assert_eq!(
            report.launch_pages,
            Cost {
                measured: zero + 2 + 1,
                zero,
                unmeasured: 3
            }
        );
    }
}
