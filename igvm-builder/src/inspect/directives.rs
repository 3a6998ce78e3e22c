//! The directives, consecutive pages of one kind gathered.

use std::collections::BTreeMap;

use igvm::{IgvmDirectiveHeader, IgvmFile};
use igvm_defs::{IGVM_VHS_PARAMETER, IgvmPageDataType};
use serde::Serialize;

use super::save_area::VmsaState;
use crate::hex::Hex;
use crate::layout::PAGE_SIZE;

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

    /// Whether the directive is for a platform of `mask`.
    pub fn applies_to(&self, mask: u64) -> bool {
        self.mask.is_none_or(|own| own.0 & mask != 0)
    }
}

/// The directives of `file`, consecutive pages of one kind and part gathered;
/// `part_at` names whose memory an address is.
pub fn runs(file: &IgvmFile, part_at: &dyn Fn(u64) -> Option<&'static str>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut area_sizes = BTreeMap::new();
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
            state: Box::new(VmsaState::of(vmsa)),
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
        other => match parameter_of(other) {
            Some((name, place)) => What::Parameter {
                name,
                area: place.parameter_area_index,
                offset: Hex(place.byte_offset.into()),
            },
            None => What::Other { name: "unknown" },
        },
    }
}

/// The name and the place of the parameter that a directive is about.
pub fn parameter_of(
    directive: &IgvmDirectiveHeader,
) -> Option<(&'static str, &IGVM_VHS_PARAMETER)> {
    use IgvmDirectiveHeader as Directive;
    Some(match directive {
        Directive::MemoryMap(place) => ("MEMORY_MAP", place),
        Directive::VpCount(place) => ("VP_COUNT", place),
        Directive::EnvironmentInfo(place) => ("ENVIRONMENT_INFO", place),
        Directive::Srat(place) => ("SRAT", place),
        Directive::Madt(place) => ("MADT", place),
        Directive::Slit(place) => ("SLIT", place),
        Directive::Pptt(place) => ("PPTT", place),
        Directive::MmioRanges(place) => ("MMIO_RANGES", place),
        Directive::CommandLine(place) => ("COMMAND_LINE", place),
        Directive::DeviceTree(place) => ("DEVICE_TREE", place),
        _ => return None,
    })
}
