//! An image that holds a guest firmware alone: plain SNP at VMPL0, no SVSM.

use monitor::guest_image::{GuestImage, ImageError, Parameters};
use protocols::snp::SevFeatures;
use thiserror::Error;

use crate::launch::{Content, Launch, LaunchError, Parameter, ParameterArea};
use crate::layout::{PAGE_SIZE, rom_range};
use crate::vmsa;

/// The most memory that a firmware's sections may name; OVMF's are 200 KiB.
const MAX_SECTIONS: u64 = 16 << 20;

/// Why a firmware cannot be launched alone.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlainError {
    /// Its metadata cannot be used.
    #[error("firmware metadata: {}", reason(*.0))]
    Metadata(ImageError),
    /// Its sections name more memory than a firmware needs before it runs.
    #[error("firmware metadata: its sections have {0:#x} bytes, more than {MAX_SECTIONS:#x}")]
    Sections(u64),
    /// The image's size is not that of a ROM.
    #[error("firmware: {0:#x} bytes are no ROM: whole 4 KiB pages, at most 16 MiB")]
    Size(usize),
    /// Parts of the launch contradict each other.
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

/// What is wrong with an image, in words.
pub fn reason(error: ImageError) -> &'static str {
    match error {
        ImageError::NoMetadata => {
            "the image has no SNP metadata (no GUID table below its last 32 bytes, or no entry \
             dc886566-984a-4798-a75e-5585a7bf67cc in it)"
        }
        ImageError::Malformed => {
            "a table goes past its bounds, has an unknown version or type, or names ranges that \
             are misaligned, overlap or are missing"
        }
    }
}

/// Lays out `firmware` (a raw image) as QEMU launches it for SNP, with the
/// memory map and processor count in the firmware's own parameter area.
pub fn launch(
    firmware: &[u8],
    policy: u64,
    sev_features: SevFeatures,
) -> Result<Launch, PlainError> {
    let rom = rom_range(firmware.len()).ok_or(PlainError::Size(firmware.len()))?;
    let image = GuestImage::parse(firmware).map_err(PlainError::Metadata)?;
    if image.sections.total() > MAX_SECTIONS {
        return Err(PlainError::Sections(image.sections.total()));
    }
    let mut launch = Launch::new(policy, vmsa::reset_vector(sev_features));
    // All pages of the ROM carry data: QEMU makes a memory region of each run
    // of pages of one kind, and a ROM in many small regions helps nobody.
    launch.add_data(rom.start, firmware, false, "firmware")?;
    if let Some(parameters) = image.parameters {
        launch.add_parameter_area(parameter_area(&parameters))?;
    }
    for range in image.sections.iter() {
        for gpa in (range.start().get()..range.end().get()).step_by(PAGE_SIZE as usize) {
            // The parameter area lies inside a section; it stays unmeasured.
            if launch.parameter_areas().iter().any(|area| area.covers(gpa)) {
                continue;
            }
            let content = match gpa {
                _ if gpa == image.secrets.get() => Content::Secrets,
                _ if gpa == image.cpuid.get() => Content::Cpuid,
                // The calling area is unused without an SVSM, and there are no
                // kernel hashes: both are zero.
                _ => Content::Zero,
            };
            launch.add_page(gpa, content, "firmware memory")?;
        }
    }
    Ok(launch)
}

/// The pages that hold both parameters.
fn parameter_area(parameters: &Parameters) -> ParameterArea {
    let Parameters {
        memory_map,
        vp_count,
    } = parameters;
    let (map, count) = (memory_map.start().get(), vp_count.start().get());
    let start = map.min(count) / PAGE_SIZE * PAGE_SIZE;
    let end = memory_map
        .end()
        .get()
        .max(vp_count.end().get())
        .next_multiple_of(PAGE_SIZE);
    // Written in this order: QEMU fills the area with the memory map without
    // regard to the room it has, so the count comes after it.
    let parameters = vec![
        (Parameter::MemoryMap, map - start),
        (Parameter::VpCount, count - start),
    ];
    ParameterArea {
        gpa: start,
        size: end - start,
        parameters,
        owner: "parameter area".into(),
    }
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
        assert_eq!(content(0x81_0000), Some(&Content::Zero));
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
    fn firmware_with_an_empty_igvm_descriptor_gets_no_parameters() {
        let launch = plain(&OVMF_SEV, &[]).unwrap();
        assert!(launch.parameter_areas().is_empty());
        assert_eq!(launch.pages()[&0x81_2000].content, Content::Zero);
    }

    #[test]
    fn bad_metadata_is_refused() {
        let malformed = |sev: &[[u32; 3]]| plain(sev, &[]).err().unwrap();
        let mut unknown_type = OVMF_SEV;
        unknown_type[0][2] = 9;
        assert_eq!(
            malformed(&unknown_type),
            PlainError::Metadata(ImageError::Malformed)
        );
        let mut overlap = OVMF_SEV;
        overlap[1][0] -= 0x2000;
        assert_eq!(
            malformed(&overlap),
            PlainError::Metadata(ImageError::Malformed)
        );
        let none = launch(&[0xff; 0x2000], 0x30000, SevFeatures::SNP)
            .err()
            .unwrap();
        assert_eq!(none, PlainError::Metadata(ImageError::NoMetadata));
        assert!(none.to_string().contains("no SNP metadata"));
    }

    #[test]
    fn sections_without_measure_are_refused() {
        let mut huge = OVMF_SEV;
        huge[0] = [0x1000_0000, 0x1000_0000, 1];
        let huge = plain(&huge, &[]).err().unwrap().to_string();
        assert!(huge.contains("more than 0x1000000"), "{huge}");
    }

    #[test]
    fn memory_over_the_rom_and_odd_sizes_are_refused() {
        let mut in_rom = OVMF_SEV;
        in_rom[0] = [0xFFFF_F000, 0x1000, 1];
        let in_rom = plain(&in_rom, &[]).err().unwrap().to_string();
        assert_eq!(
            in_rom,
            "0xfffff000: the page belongs to both firmware and firmware memory"
        );
        for size in [0, 0x1001] {
            let odd = launch(&vec![0xff; size], 0x30000, SevFeatures::SNP).err();
            assert_eq!(odd, Some(PlainError::Size(size)));
        }
    }

    #[test]
    fn any_changed_byte_of_the_tables_is_no_panic() {
        let image = firmware(0x2000, &OVMF_SEV, &OVMF_IGVM);
        for position in (0x1800..0x1880).chain(0x1C00..0x1C50).chain(0x1F80..0x2000) {
            for value in [0, 1, 0x11, 0x7f, 0x80, 0xff] {
                let mut changed = image.clone();
                changed[position] = value;
                let _ = launch(&changed, 0x30000, SevFeatures::SNP);
            }
        }
    }
}
