//! A launch as an IGVM file.
//!
//! The order of the directives is part of the launch digest. QEMU gathers
//! contiguous pages and hands a run to the secure processor only when the next
//! run begins or the file ends, but inserts a parameter area at once: an insert
//! that stands after pages may be measured before them. Therefore all parameter
//! areas come first, then the required memory (not measured), then the pages by
//! address, then the VMSA, which is measured last in any case. So the order in
//! the file is the order of measurement for every loader.

use igvm::{
    IgvmDirectiveHeader, IgvmFile, IgvmInitializationHeader, IgvmPlatformHeader, IgvmRevision,
};
use igvm_defs::{
    IGVM_VHS_PARAMETER, IGVM_VHS_PARAMETER_INSERT, IGVM_VHS_SUPPORTED_PLATFORM, IgvmPageDataFlags,
    IgvmPageDataType, IgvmPlatformType,
};
use protocols::snp::Vmsa;
use thiserror::Error;

use crate::launch::{Content, Launch, Parameter};
use crate::layout::PAGE_SIZE;
use crate::vmsa;

/// The one platform's bit in the compatibility masks.
const SNP: u32 = 1;

/// Why a launch could not be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The `igvm` crate refuses the headers.
    #[error("the image is no valid IGVM file")]
    Invalid(#[from] igvm::Error),
    /// What was written reads back differently.
    #[error("the image does not read back as it was written ({0})")]
    RoundTrip(&'static str),
    /// A parameter's offset is too large for the directive.
    #[error("parameter area {area}: the offset {offset:#x} does not fit the directive's 32 bits")]
    ParameterOffset {
        /// The area's index.
        area: u32,
        /// The byte offset.
        offset: u64,
    },
    /// A range of required memory is too large for the directive.
    #[error("required memory at {gpa:#x}: {size:#x} bytes do not fit the directive's 32 bits")]
    RequiredMemory {
        /// The guest physical address.
        gpa: u64,
        /// The size in bytes.
        size: u64,
    },
}

/// The bytes of the IGVM file for `launch`, proven to parse back to the same
/// directives.
pub fn write(launch: &Launch) -> Result<Vec<u8>, WriteError> {
    let platform = IgvmPlatformHeader::SupportedPlatform(IGVM_VHS_SUPPORTED_PLATFORM {
        compatibility_mask: SNP,
        highest_vtl: 0,
        platform_type: IgvmPlatformType::SEV_SNP,
        platform_version: igvm_defs::IGVM_SEV_SNP_PLATFORM_VERSION,
        // Private and shared memory differ by the C-bit alone, not by address.
        shared_gpa_boundary: 0,
    });
    let policy = IgvmInitializationHeader::GuestPolicy {
        policy: launch.policy,
        compatibility_mask: SNP,
    };
    let file = IgvmFile::new(
        IgvmRevision::V1,
        vec![platform],
        vec![policy],
        directives(launch)?,
    )?;
    let mut bytes = Vec::new();
    file.serialize(&mut bytes)?;

    let again = IgvmFile::new_from_binary(&bytes, None)?;
    if again.platforms() != file.platforms() {
        return Err(WriteError::RoundTrip("platforms"));
    }
    if again.initializations() != file.initializations() {
        return Err(WriteError::RoundTrip("policy"));
    }
    if again.directives() != file.directives() {
        return Err(WriteError::RoundTrip("directives"));
    }
    Ok(bytes)
}

fn directives(launch: &Launch) -> Result<Vec<IgvmDirectiveHeader>, WriteError> {
    let mut directives = Vec::new();
    for (index, area) in (0u32..).zip(launch.parameter_areas()) {
        directives.push(IgvmDirectiveHeader::ParameterArea {
            number_of_bytes: area.size,
            parameter_area_index: index,
            initial_data: Vec::new(),
        });
        for (parameter, offset) in &area.parameters {
            let too_far = |_| WriteError::ParameterOffset {
                area: index,
                offset: *offset,
            };
            let place = IGVM_VHS_PARAMETER {
                parameter_area_index: index,
                byte_offset: (*offset).try_into().map_err(too_far)?,
            };
            directives.push(match parameter {
                Parameter::MemoryMap => IgvmDirectiveHeader::MemoryMap(place),
                Parameter::VpCount => IgvmDirectiveHeader::VpCount(place),
            });
        }
        directives.push(IgvmDirectiveHeader::ParameterInsert(
            IGVM_VHS_PARAMETER_INSERT {
                gpa: area.gpa,
                compatibility_mask: SNP,
                parameter_area_index: index,
            },
        ));
    }
    for range in launch.required_memory() {
        let too_large = |_| WriteError::RequiredMemory {
            gpa: range.start,
            size: range.size(),
        };
        directives.push(IgvmDirectiveHeader::RequiredMemory {
            gpa: range.start,
            compatibility_mask: SNP,
            number_of_bytes: range.size().try_into().map_err(too_large)?,
            vtl2_protectable: false,
        });
    }
    for (gpa, page) in launch.pages() {
        let (data_type, data) = match &page.content {
            Content::Data(data) => {
                let mut page = data.clone();
                page.resize(PAGE_SIZE as usize, 0);
                (IgvmPageDataType::NORMAL, page)
            }
            Content::Zero => (IgvmPageDataType::NORMAL, Vec::new()),
            Content::Secrets => (IgvmPageDataType::SECRETS, Vec::new()),
            Content::Cpuid => (IgvmPageDataType::CPUID_DATA, Vec::new()),
        };
        directives.push(IgvmDirectiveHeader::PageData {
            gpa: *gpa,
            compatibility_mask: SNP,
            flags: IgvmPageDataFlags::new(),
            data_type,
            data,
        });
    }
    directives.push(IgvmDirectiveHeader::SnpVpContext {
        gpa: Vmsa::LAUNCH_GPA,
        compatibility_mask: SNP,
        vp_index: 0,
        vmsa: vmsa::to_igvm(&launch.vmsa),
    });
    Ok(directives)
}
