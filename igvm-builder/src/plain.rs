//! An image that holds a guest firmware alone: plain SNP at VMPL0, no SVSM.

use protocols::snp::SevFeatures;
use thiserror::Error;

use crate::launch::{Content, Launch, LaunchError, Parameter, ParameterArea};
use crate::layout::{PAGE_SIZE, rom_range};
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

/// Lays out `firmware` (a raw image) as QEMU launches it for SNP, with the
/// memory map and processor count in the firmware's own parameter area.
pub fn launch(
    firmware: &[u8],
    policy: u64,
    sev_features: SevFeatures,
) -> Result<Launch, PlainError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{OVMF_IGVM, OVMF_SEV, firmware};

    fn plain(sev: &[[u32; 3]], igvm: &[[u32; 3]]) -> Result<Launch, PlainError> {
        launch(&firmware(0x2000, sev, igvm), 0x30000, SevFeatures::SNP)
    }

    #[test]
    fn sections_become_pages_of_their_kind() {
        let launch = plain(&OVMF_SEV, &OVMF_IGVM).unwrap();
        let content = |gpa: u64| launch.pages().get(&gpa).map(|page| &page.content);
        assert_eq!(content(0x80_8000), Some(&Content::Zero));
        assert_eq!(
            content(0x80_9000),
            None,
            "SEC makes its GHCB page shared: not loaded"
        );
        assert_eq!(content(0x80_D000), Some(&Content::Secrets));
        assert_eq!(content(0x80_E000), Some(&Content::Cpuid));
        assert_eq!(content(0x80_F000), Some(&Content::Zero));
        assert_eq!(
            content(0x81_2000),
            None,
            "the parameter area is not measured"
        );
        assert_eq!(content(0x81_3000), Some(&Content::Zero));
        assert!(matches!(content(0xFFFF_E000), Some(Content::Data(_))));
        let [area] = launch.parameter_areas() else {
            panic!("one area")
        };
        assert_eq!((area.gpa, area.size), (0x81_2000, 0x1000));
        assert_eq!(
            area.parameters,
            [(Parameter::MemoryMap, 0), (Parameter::VpCount, 0xC0)]
        );
    }

    #[test]
    fn firmware_without_igvm_sections_gets_no_parameters() {
        let launch = plain(&OVMF_SEV, &[]).unwrap();
        assert!(launch.parameter_areas().is_empty());
        assert_eq!(launch.pages()[&0x81_2000].content, Content::Zero);
    }

    #[test]
    fn unknown_and_overlapping_sections_are_refused_with_their_address() {
        let unknown = plain(&[[0x80_0000, 0x1000, 9]], &[])
            .err()
            .unwrap()
            .to_string();
        assert!(
            unknown.contains("ASEV section at 0x800000 has the unknown type 0x9"),
            "{unknown}"
        );
        let twice = plain(&[[0x80_0000, 0x2000, 1], [0x80_1000, 0x1000, 2]], &[]);
        let twice = twice.err().unwrap().to_string();
        assert_eq!(
            twice,
            "0x801000: the page of secrets page is already firmware memory's"
        );
        let in_rom = plain(&[[0xFFFF_F000, 0x1000, 1]], &[])
            .err()
            .unwrap()
            .to_string();
        assert!(in_rom.contains("0xfffff000"), "{in_rom}");
        let unaligned = plain(&[[0x80_0800, 0x1000, 4]], &[])
            .err()
            .unwrap()
            .to_string();
        assert!(unaligned.contains("0x800800"), "{unaligned}");
    }
}
