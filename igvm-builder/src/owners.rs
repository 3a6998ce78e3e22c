//! Whose memory a page is: by Rampart's image header, or by the metadata of a firmware
//! that ends at 4 GiB.

use igvm::{IgvmDirectiveHeader as Directive, IgvmFile};
use monitor::guest_image::GuestImage;
use protocols::addr::Gpa;
use protocols::boot::ImageHeader;
use protocols::boot::layout::{self, GUEST_FIRMWARE_END, GUEST_FIRMWARE_MAX_SIZE};

use crate::inspect::image_header;
use crate::layout::PAGE_SIZE;

/// What a file says about its own memory.
pub struct Owners {
    header: Option<ImageHeader>,
    firmware: Option<(u64, GuestImage)>,
}

impl Owners {
    /// What `file` says.
    pub fn of(file: &IgvmFile) -> Self {
        let (start, rom) = rom(file);
        Self {
            header: image_header::find(file),
            firmware: GuestImage::parse(&rom).ok().map(|image| (start, image)),
        }
    }

    /// Whose the page at `gpa` is.
    pub fn name(&self, gpa: u64) -> Option<&'static str> {
        let in_rampart = |header| {
            image_header::part(header, gpa).or(match gpa {
                layout::CPUID_PAGE => Some("Rampart's CPUID page"),
                layout::SECRETS_PAGE => Some("Rampart's secrets page"),
                layout::MEMORY_MAP_PAGE => Some("Rampart's memory map"),
                layout::VP_COUNT_PAGE => Some("Rampart's processor count"),
                _ => None,
            })
        };
        let in_firmware = |(start, image): &(u64, GuestImage)| {
            let at = Gpa::new(gpa);
            let is_parameter = image.parameters.is_some_and(|parameters| {
                let pages = [parameters.memory_map, parameters.vp_count];
                pages.iter().any(|range| {
                    range.start().get() < gpa.saturating_add(PAGE_SIZE) && range.end().get() > gpa
                })
            });
            Some(match gpa {
                _ if (*start..GUEST_FIRMWARE_END).contains(&gpa) => "firmware",
                _ if at == image.secrets => "firmware's secrets page",
                _ if at == image.cpuid => "firmware's CPUID page",
                _ if at == image.calling_area => "firmware's calling area",
                _ if is_parameter => "firmware's parameters",
                _ if image
                    .sections
                    .iter()
                    .any(|range| (range.start().get()..range.end().get()).contains(&gpa)) =>
                {
                    "firmware's memory"
                }
                _ => return None,
            })
        };
        let rampart = self.header.as_ref().and_then(in_rampart);
        rampart.or_else(|| self.firmware.as_ref().and_then(in_firmware))
    }
}

/// The pages with data that end at 4 GiB without a gap: their first address and bytes.
fn rom(file: &IgvmFile) -> (u64, Vec<u8>) {
    let mut pages = std::collections::BTreeMap::new();
    for directive in file.directives() {
        let Directive::PageData { gpa, data, .. } = directive else {
            continue;
        };
        if (GUEST_FIRMWARE_END - GUEST_FIRMWARE_MAX_SIZE..GUEST_FIRMWARE_END).contains(gpa) {
            pages.insert(*gpa, data);
        }
    }
    let mut start = GUEST_FIRMWARE_END;
    let mut rom = Vec::new();
    for (gpa, data) in pages.iter().rev() {
        if start.checked_sub(PAGE_SIZE) != Some(*gpa) || data.len() > PAGE_SIZE as usize {
            break;
        }
        start = *gpa;
        rom.push(*data);
    }
    let pages = rom.into_iter().rev();
    let bytes = pages.flat_map(|data| {
        let zeros = PAGE_SIZE as usize - data.len();
        data.iter().copied().chain(std::iter::repeat_n(0, zeros))
    });
    (start, bytes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container;
    use crate::testing::*;

    #[test]
    fn a_firmware_alone_says_whose_its_memory_is() {
        let owners = Owners::of(&container::parse(&plain_image()).unwrap());
        for (gpa, name) in [
            (0x80_0000, Some("firmware's memory")),
            (0x80_9000, None),
            (0x80_D000, Some("firmware's secrets page")),
            (0x80_E000, Some("firmware's CPUID page")),
            (0x80_F000, Some("firmware's calling area")),
            (0x81_2000, Some("firmware's parameters")),
            (0xffff_f000, Some("firmware")),
            (0xffff_d000, None),
        ] {
            assert_eq!(owners.name(gpa), name, "{gpa:#x}");
        }
    }

    #[test]
    fn an_image_of_rampart_says_whose_its_memory_is() {
        let owners = Owners::of(&container::parse(&rampart_image()).unwrap());
        for (gpa, name) in [
            (layout::STAGE2_BASE, Some("stage2")),
            (layout::SECRETS_PAGE, Some("Rampart's secrets page")),
            (layout::MEMORY_MAP_PAGE, Some("Rampart's memory map")),
            (layout::PAYLOAD_BASE, Some("kernel, packed")),
            (0, None),
        ] {
            assert_eq!(owners.name(gpa), name, "{gpa:#x}");
        }
    }
}
