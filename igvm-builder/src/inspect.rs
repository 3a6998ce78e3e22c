//! What an IGVM file holds, as data: printed in words by [`crate::words`] or
//! written as JSON.

use igvm::snp_defs::SevVmsa;
use igvm::{IgvmDirectiveHeader, IgvmFile, IgvmInitializationHeader, IgvmPlatformHeader};
use igvm_defs::{IGVM_VHS_PARAMETER, IgvmPageDataType, IgvmPlatformType};
use protocols::snp::SevFeatures;
use serde::Serialize;

use crate::container::{self, ContainerError};
use crate::cost::Cost;
use crate::hex::Hex;
use crate::image_header::{self, HeaderReport};
use crate::layout::PAGE_SIZE;

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
    /// Rampart's image header, if the file has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_header: Option<HeaderReport>,
}

/// A platform header.
#[derive(Debug, Serialize)]
pub struct Platform {
    /// The platform's name.
    pub name: String,
    /// Its bit in compatibility masks.
    pub mask: Hex,
    /// Its version.
    pub version: u16,
    /// The highest VTL (0 without VTLs).
    pub highest_vtl: u8,
    /// The address from which memory is shared, 0 if none.
    pub shared_gpa_boundary: Hex,
}

/// A guest policy header.
#[derive(Debug, Serialize)]
pub struct Policy {
    /// The platforms it is for.
    pub mask: Hex,
    /// The raw policy.
    pub value: Hex,
    /// The bits that are set, by name (SNP).
    pub allows: Vec<&'static str>,
    /// The least ABI version, major and minor (SNP).
    pub minimum_abi: (u8, u8),
}

/// One directive, or consecutive pages of one kind.
#[derive(Debug, Serialize)]
pub struct Run {
    /// The first directive's place among the directives.
    pub index: usize,
    /// How many directives.
    pub count: usize,
    /// The platforms they are for; absent where the directive has no mask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<Hex>,
    /// Whose memory it is, in a Rampart image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<&'static str>,
    /// What they do.
    #[serde(flatten)]
    pub what: What,
}

/// What a directive does.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "directive", rename_all = "kebab-case")]
pub enum What {
    /// Load pages.
    Pages {
        /// The first page's address.
        gpa: Hex,
        /// The address after the last page.
        end: Hex,
        /// What they hold.
        content: PageKind,
        /// Whether the contents enter the launch digest.
        measured: bool,
    },
    /// Set memory aside for parameters.
    ParameterArea {
        /// The area's index.
        area: u32,
        /// Its size in bytes.
        size: Hex,
        /// Whether the file brings contents.
        has_data: bool,
    },
    /// Have the host write a parameter into an area.
    Parameter {
        /// The parameter's name.
        name: &'static str,
        /// The area's index.
        area: u32,
        /// The byte offset in the area.
        offset: Hex,
    },
    /// Load a parameter area as unmeasured pages.
    ParameterInsert {
        /// The area's index.
        area: u32,
        /// Where.
        gpa: Hex,
        /// The address after it.
        end: Hex,
    },
    /// Have private memory without loading anything.
    RequiredMemory {
        /// The first address.
        gpa: Hex,
        /// The address after it.
        end: Hex,
    },
    /// A processor's SNP save area.
    Vmsa {
        /// The processor's index.
        processor: u16,
        /// Where it is measured.
        gpa: Hex,
        /// Its main fields.
        #[serde(flatten)]
        state: Box<VmsaState>,
    },
    /// An SNP ID block.
    SnpIdBlock {
        /// The launch digest it expects.
        launch_digest: String,
        /// The guest's security version.
        guest_svn: u32,
        /// Whether an author key signs the ID key.
        author_key: bool,
    },
    /// A directive that is not SNP's.
    Other {
        /// Its name.
        name: &'static str,
    },
}

/// What a loaded page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageKind {
    /// Bytes of the file.
    Data,
    /// Zeros.
    Zero,
    /// The secrets page.
    Secrets,
    /// The CPUID page.
    Cpuid,
}

/// The fields of a VMSA that say where and how a processor starts.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the manual's own")]
pub struct VmsaState {
    pub vmpl: u8,
    pub mode: &'static str,
    pub cs_selector: Hex,
    pub cs_base: Hex,
    pub rip: Hex,
    pub rsp: Hex,
    pub rflags: Hex,
    pub cr0: Hex,
    pub cr3: Hex,
    pub cr4: Hex,
    pub efer: Hex,
    pub sev_features: Hex,
    pub sev_feature_names: Vec<&'static str>,
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
    let snp = snp_mask(&file);
    let header = image_header::find(&file);
    let runs = runs(&file, &|gpa| {
        header.as_ref().and_then(|it| image_header::part(it, gpa))
    });
    Ok(Report {
        bytes: bytes.len(),
        format_version: word(4),
        checksum: Hex(word(20).into()),
        platforms: file.platforms().iter().map(platform).collect(),
        policies: file.initializations().iter().filter_map(policy).collect(),
        other_initialization: file
            .initializations()
            .iter()
            .filter_map(other_header)
            .collect(),
        launch_pages: Cost::of_runs(runs.iter().filter(|run| run.applies_to(snp))),
        directives: runs,
        image_header: header.as_ref().map(image_header::report),
    })
}

impl Run {
    /// Takes in `next` if it continues this run of pages.
    fn extend(&mut self, next: &What) -> bool {
        match (&mut self.what, next) {
            (
                What::Pages {
                    end,
                    content,
                    measured,
                    ..
                },
                What::Pages {
                    gpa,
                    end: next_end,
                    content: next_content,
                    measured: next_measured,
                },
            ) if *end == *gpa && content == next_content && measured == next_measured => {
                *end = *next_end;
                self.count += 1;
                true
            }
            _ => false,
        }
    }

    fn applies_to(&self, mask: u64) -> bool {
        self.mask.is_none_or(|own| own.0 & mask != 0)
    }
}

/// The mask of the SNP platform, or of all platforms if there is none.
fn snp_mask(file: &IgvmFile) -> u64 {
    let snp = file
        .platforms()
        .iter()
        .find_map(|IgvmPlatformHeader::SupportedPlatform(info)| {
            (info.platform_type == IgvmPlatformType::SEV_SNP).then_some(info.compatibility_mask)
        });
    snp.map_or(u64::MAX, u64::from)
}

fn platform(header: &IgvmPlatformHeader) -> Platform {
    let IgvmPlatformHeader::SupportedPlatform(info) = header;
    let name = match info.platform_type {
        IgvmPlatformType::NATIVE => "native",
        IgvmPlatformType::VSM_ISOLATION => "VSM",
        IgvmPlatformType::SEV_SNP => "SEV-SNP",
        IgvmPlatformType::TDX => "TDX",
        other => return unknown_platform(info, format!("type {}", other.0)),
    };
    unknown_platform(info, name.into())
}

fn unknown_platform(info: &igvm_defs::IGVM_VHS_SUPPORTED_PLATFORM, name: String) -> Platform {
    Platform {
        name,
        mask: Hex(info.compatibility_mask.into()),
        version: info.platform_version,
        highest_vtl: info.highest_vtl,
        shared_gpa_boundary: Hex(info.shared_gpa_boundary),
    }
}

/// SNP policy bits above the ABI version (SNP firmware ABI, guest policy).
const POLICY_BITS: [(u32, &str); 8] = [
    (16, "SMT"),
    (18, "migration agent"),
    (19, "debugging"),
    (20, "single socket only"),
    (21, "CXL"),
    (22, "AES-256-XTS only"),
    (23, "RAPL off only"),
    (24, "ciphertext hiding only"),
];

fn policy(header: &IgvmInitializationHeader) -> Option<Policy> {
    let IgvmInitializationHeader::GuestPolicy {
        policy,
        compatibility_mask,
    } = header
    else {
        return None;
    };
    let set = |bit: u32| policy & 1 << bit != 0;
    Some(Policy {
        mask: Hex((*compatibility_mask).into()),
        value: Hex(*policy),
        allows: POLICY_BITS
            .iter()
            .filter(|(bit, _)| set(*bit))
            .map(|(_, name)| *name)
            .collect(),
        minimum_abi: ((policy >> 8) as u8, *policy as u8),
    })
}

fn other_header(header: &IgvmInitializationHeader) -> Option<&'static str> {
    match header {
        IgvmInitializationHeader::GuestPolicy { .. } => None,
        IgvmInitializationHeader::CcaPolicy { .. } => Some("CCA_POLICY"),
        IgvmInitializationHeader::RelocatableRegion { .. } => Some("RELOCATABLE_REGION"),
        IgvmInitializationHeader::PageTableRelocationRegion { .. } => Some("PAGE_TABLE_RELOCATION"),
    }
}

/// The directives, consecutive pages of one kind and part gathered.
fn runs(file: &IgvmFile, part_at: &dyn Fn(u64) -> Option<&'static str>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut area_sizes = std::collections::BTreeMap::new();
    for (index, directive) in file.directives().iter().enumerate() {
        if let IgvmDirectiveHeader::ParameterArea {
            parameter_area_index,
            number_of_bytes,
            ..
        } = directive
        {
            area_sizes.insert(*parameter_area_index, *number_of_bytes);
        }
        let mask = directive.compatibility_mask().map(|mask| Hex(mask.into()));
        let what = describe(directive, &|area| {
            area_sizes.get(&area).copied().unwrap_or(0)
        });
        let part = what.gpa().and_then(part_at);
        let continued = match runs.last_mut() {
            Some(last) => last.mask == mask && last.part == part && last.extend(&what),
            None => false,
        };
        if !continued {
            runs.push(Run {
                index,
                count: 1,
                mask,
                part,
                what,
            });
        }
    }
    runs
}

impl What {
    /// The first address of the memory it is about.
    fn gpa(&self) -> Option<u64> {
        match self {
            Self::Pages { gpa, .. } | Self::RequiredMemory { gpa, .. } => Some(gpa.0),
            _ => None,
        }
    }
}

fn describe(directive: &IgvmDirectiveHeader, area_size: &dyn Fn(u32) -> u64) -> What {
    use IgvmDirectiveHeader as Directive;
    match directive {
        Directive::PageData {
            gpa,
            flags,
            data_type,
            data,
            ..
        } => {
            let content = match *data_type {
                IgvmPageDataType::SECRETS => PageKind::Secrets,
                IgvmPageDataType::CPUID_DATA | IgvmPageDataType::CPUID_XF => PageKind::Cpuid,
                _ if data.iter().all(|byte| *byte == 0) => PageKind::Zero,
                _ => PageKind::Data,
            };
            let special = matches!(content, PageKind::Secrets | PageKind::Cpuid);
            What::Pages {
                gpa: Hex(*gpa),
                end: Hex(gpa.saturating_add(PAGE_SIZE)),
                content,
                measured: !special && !flags.unmeasured() && !flags.shared(),
            }
        }
        Directive::ParameterArea {
            number_of_bytes,
            parameter_area_index,
            initial_data,
        } => What::ParameterArea {
            area: *parameter_area_index,
            size: Hex(*number_of_bytes),
            has_data: !initial_data.is_empty(),
        },
        Directive::ParameterInsert(insert) => What::ParameterInsert {
            area: insert.parameter_area_index,
            gpa: Hex(insert.gpa),
            end: Hex(insert
                .gpa
                .saturating_add(area_size(insert.parameter_area_index))),
        },
        Directive::RequiredMemory {
            gpa,
            number_of_bytes,
            ..
        } => What::RequiredMemory {
            gpa: Hex(*gpa),
            end: Hex(gpa.saturating_add((*number_of_bytes).into())),
        },
        Directive::SnpVpContext {
            gpa,
            vp_index,
            vmsa,
            ..
        } => What::Vmsa {
            processor: *vp_index,
            gpa: Hex(*gpa),
            state: Box::new(vmsa_state(vmsa)),
        },
        Directive::SnpIdBlock {
            ld,
            guest_svn,
            author_key_enabled,
            ..
        } => What::SnpIdBlock {
            launch_digest: ld.iter().map(|byte| format!("{byte:02x}")).collect(),
            guest_svn: *guest_svn,
            author_key: *author_key_enabled != 0,
        },
        Directive::MemoryMap(place) => parameter("MEMORY_MAP", place),
        Directive::VpCount(place) => parameter("VP_COUNT", place),
        Directive::EnvironmentInfo(place) => parameter("ENVIRONMENT_INFO", place),
        Directive::Srat(place) => parameter("SRAT", place),
        Directive::Madt(place) => parameter("MADT", place),
        Directive::Slit(place) => parameter("SLIT", place),
        Directive::Pptt(place) => parameter("PPTT", place),
        Directive::MmioRanges(place) => parameter("MMIO_RANGES", place),
        Directive::CommandLine(place) => parameter("COMMAND_LINE", place),
        Directive::DeviceTree(place) => parameter("DEVICE_TREE", place),
        Directive::X64NativeVpContext { .. } => What::Other {
            name: "native VP_CONTEXT",
        },
        Directive::X64VbsVpContext { .. } | Directive::AArch64VbsVpContext { .. } => What::Other {
            name: "VSM VP_CONTEXT",
        },
        Directive::AArch64CcaVpContext { .. } => What::Other {
            name: "CCA VP_CONTEXT",
        },
        Directive::ErrorRange { .. } => What::Other {
            name: "ERROR_RANGE",
        },
        Directive::VbsMeasurement { .. } => What::Other {
            name: "VBS_MEASUREMENT",
        },
    }
}

fn parameter(name: &'static str, place: &IGVM_VHS_PARAMETER) -> What {
    What::Parameter {
        name,
        area: place.parameter_area_index,
        offset: Hex(place.byte_offset.into()),
    }
}

fn vmsa_state(vmsa: &SevVmsa) -> VmsaState {
    const CR0_PE: u64 = 1;
    const EFER_LMA: u64 = 1 << 10;
    const ATTRIBUTE_L: u16 = 1 << 9;
    let features = vmsa.sev_features.into_bits();
    VmsaState {
        vmpl: vmsa.vmpl,
        mode: match () {
            () if vmsa.cr0 & CR0_PE == 0 => "real mode",
            () if vmsa.efer & EFER_LMA == 0 => "protected mode",
            () if vmsa.cs.attrib & ATTRIBUTE_L == 0 => "compatibility mode",
            () => "64-bit mode",
        },
        cs_selector: Hex(vmsa.cs.selector.into()),
        cs_base: Hex(vmsa.cs.base),
        rip: Hex(vmsa.rip),
        rsp: Hex(vmsa.rsp),
        rflags: Hex(vmsa.rflags),
        cr0: Hex(vmsa.cr0),
        cr3: Hex(vmsa.cr3),
        cr4: Hex(vmsa.cr4),
        efer: Hex(vmsa.efer),
        sev_features: Hex(features),
        sev_feature_names: SevFeatures::from_bits_retain(features)
            .iter_names()
            .map(|(name, _)| name)
            .collect(),
    }
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
