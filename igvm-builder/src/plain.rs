//! An image that holds a guest firmware alone: plain SNP at VMPL0, no SVSM.

use thiserror::Error;

use crate::launch::{Content, Launch, LaunchError, Parameter, ParameterArea};
use crate::layout::{FOUR_GIB, PAGE_SIZE, Range};
use crate::ovmf::{Metadata, MetadataError, Section};
use crate::vmsa;

/// ASEV section types (OvmfPkg ResetVector, X64/OvmfSevMetadata).
mod sev {
    pub(super) const SEC_MEM: u32 = 1;
    pub(super) const SECRETS: u32 = 2;
    pub(super) const CPUID: u32 = 3;
    pub(super) const SVSM_CAA: u32 = 4;
    pub(super) const KERNEL_HASHES: u32 = 0x10;
}

/// IGVM section types (OvmfPkg ResetVector, X64/IgvmMetadata).
mod igvm {
    pub(super) const PARAMETER_AREA: u32 = 0x100;
    pub(super) const MEMORY_MAP: u32 = 0x101;
    pub(super) const VP_COUNT: u32 = 0x102;
    pub(super) const HOB_AREA: u32 = 0x200;
}

/// Why a firmware cannot be launched alone.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlainError {
    /// Its metadata cannot be read.
    #[error("firmware metadata: {0}")]
    Metadata(#[from] MetadataError),
    /// A section has a type that this tool does not know.
    #[error(
        "firmware metadata: the {descriptor} section at {base:#x} has the unknown type {kind:#x}"
    )]
    UnknownSection {
        /// ASEV or IGVM.
        descriptor: &'static str,
        /// The section's base.
        base: u64,
        /// Its type.
        kind: u32,
    },
    /// The image's size is not that of a ROM.
    #[error("firmware size {0:#x} is not a multiple of 4 KiB between 4 KiB and 16 MiB")]
    Size(usize),
    /// Parts of the launch contradict each other.
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

/// The addresses of a ROM of `size` bytes: it ends at 4 GiB.
pub fn rom_range(size: usize) -> Option<Range> {
    let size = size as u64;
    let fits = size != 0 && size.is_multiple_of(PAGE_SIZE) && size <= 16 << 20;
    fits.then(|| Range {
        start: FOUR_GIB - size,
        end: FOUR_GIB,
    })
}

/// Lays out `firmware` (a raw image) as QEMU launches it for SNP, with the
/// memory map and processor count in the firmware's own parameter area.
pub fn launch(firmware: &[u8], policy: u64, sev_features: u64) -> Result<Launch, PlainError> {
    let metadata = Metadata::parse(firmware)?;
    let rom = rom_range(firmware.len()).ok_or(PlainError::Size(firmware.len()))?;
    let mut launch = Launch::new(policy, vmsa::reset_vector(sev_features));
    // All pages of the ROM carry data: QEMU makes a memory region of each run
    // of pages of one kind, and a ROM in many small regions helps nobody.
    launch.add_data(rom.start, firmware, false, "firmware")?;
    if let Some(area) = parameter_area(&metadata.igvm)? {
        launch.add_parameter_area(area)?;
    }
    for section in &metadata.sev {
        add_section(&mut launch, section)?;
    }
    Ok(launch)
}

fn parameter_area(sections: &[Section]) -> Result<Option<ParameterArea>, PlainError> {
    let mut area = None;
    let mut parameters = Vec::new();
    for section in sections {
        let offset = section.range.start as u32;
        match section.kind {
            igvm::PARAMETER_AREA => area = Some(section.range),
            igvm::MEMORY_MAP => parameters.push((Parameter::MemoryMap, offset)),
            igvm::VP_COUNT => parameters.push((Parameter::VpCount, offset)),
            // Zero pages of a SEC_MEM section: no HOBs are offered.
            igvm::HOB_AREA => {}
            kind => {
                let base = section.range.start;
                return Err(PlainError::UnknownSection {
                    descriptor: "IGVM",
                    base,
                    kind,
                });
            }
        }
    }
    // QEMU writes the memory map without regard to its room, so what follows
    // it in the area is written after it.
    parameters.sort_by_key(|(_, offset)| *offset);
    Ok(area.map(|range| ParameterArea {
        gpa: range.start,
        size: range.size(),
        parameters,
        owner: "firmware parameters".into(),
    }))
}

fn add_section(launch: &mut Launch, section: &Section) -> Result<(), PlainError> {
    let Section { range, kind } = *section;
    match kind {
        // The parameter area lies inside a SEC_MEM section; it stays unmeasured.
        sev::SEC_MEM => {
            for gpa in (range.start..range.end).step_by(PAGE_SIZE as usize) {
                if launch
                    .parameter_areas()
                    .iter()
                    .all(|area| !area.covers(gpa))
                {
                    launch.add_page(gpa, Content::Zero, "firmware memory")?;
                }
            }
        }
        sev::SECRETS => launch.add_page(range.start, Content::Secrets, "secrets page")?,
        sev::CPUID => launch.add_page(range.start, Content::Cpuid, "CPUID page")?,
        sev::SVSM_CAA => launch.add_zeros(range, "calling area (unused)")?,
        sev::KERNEL_HASHES => launch.add_zeros(range, "kernel hashes (none)")?,
        kind => {
            let base = range.start;
            return Err(PlainError::UnknownSection {
                descriptor: "ASEV",
                base,
                kind,
            });
        }
    }
    Ok(())
}
