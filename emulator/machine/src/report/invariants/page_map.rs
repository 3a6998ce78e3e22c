//! The firmware's validated-page map, read from its memory and compared with the
//! RMP. The format is the monitor's own code, so what is checked here is that the
//! record is true, not how it is written.

use alloc::vec::Vec;

use monitor::memory::parse_ram;
use monitor::page_map::{Layout, PageMap, PageState};
use monitor::platform::{MapFrame, MapStorage, MapStorageFault};
use protocols::addr::{Gpa, GpaPage, GpaRange, PAGE_4K, PageSize};
use protocols::boot::ImageHeader;
use protocols::boot::layout::{IMAGE_HEADER_PAGE, PAGE_MAP_BASE};
use zerocopy::FromBytes;

use super::{Invariants, is_validated_for};
use crate::host::memory::Memory;
use crate::mem::phys;
use crate::psp::launch;

/// The map's frames, copied while no vCPU is in the firmware.
struct Copied(Vec<Option<MapFrame>>);

impl MapStorage for Copied {
    fn frame(&self, index: u64) -> Option<&MapFrame> {
        self.0.get(usize::try_from(index).ok()?)?.as_ref()
    }

    fn frame_mut(&mut self, _index: u64) -> Result<&mut MapFrame, MapStorageFault> {
        Err(MapStorageFault)
    }
}

impl Copied {
    /// A frame that the firmware has not validated is one that it never wrote.
    fn new(memory: &Memory, frames: u64) -> Self {
        Self(
            (0..frames)
                .map(|index| {
                    let spa = memory.spa(PAGE_MAP_BASE + index * PAGE_4K)?;
                    memory.rmp_entry(spa).is_validated().then(|| {
                        let mut frame: MapFrame = [0; _];
                        phys::read_words(spa, &mut frame);
                        frame
                    })
                })
                .collect(),
        )
    }
}

/// The layout that the firmware gives its map by the host's honest word.
pub(super) fn layout(memory: &Memory) -> Option<Layout> {
    let mut bytes = [0; size_of::<ImageHeader>()];
    phys::read_bytes(memory.spa(IMAGE_HEADER_PAGE)?, &mut bytes);
    let header = ImageHeader::read_from_bytes(&bytes).ok()?;
    header.check().ok()?;
    let window = GpaRange::new(
        Gpa::new(header.firmware_gpa),
        u64::from(header.firmware.unpacked),
    )?;
    let ram = parse_ram(&launch::memory_map(memory.ram()), u64::MAX).ok()?;
    Some(Layout::new(&ram, window))
}

impl Invariants {
    /// Every page of the guest that the RMP has as validated is in the map, and
    /// every page that the map has is validated. Only while no vCPU is in the
    /// firmware, which changes the one and then the other. A host that lies about
    /// memory, or takes a page away, makes them differ without the firmware's doing.
    pub(super) fn check_page_map(&mut self, layout: &Layout, memory: &Memory) {
        let map = PageMap::new(layout.clone(), Copied::new(memory, layout.frames()));
        self.check_validated_are_recorded(&map, memory);
        self.check_recorded_are_validated(&map, memory);
    }

    fn check_validated_are_recorded(&mut self, map: &PageMap<Copied>, memory: &Memory) {
        let wrong = memory
            .assigned()
            .filter(|(_, entry)| entry.is_validated())
            .map(|(_, entry)| (entry.gpa().get(), entry.size()))
            .filter(|&(gpa, _)| !self.is_own(gpa) && memory.is_memory(gpa))
            .find(|&(gpa, size)| {
                !(is_recorded(map, gpa, size)
                    || (gpa..gpa + size.bytes())
                        .step_by(PAGE_4K as usize)
                        .all(|part| is_recorded(map, part, PageSize::Size4K)))
            });
        if let Some((gpa, _)) = wrong {
            self.violated(format_args!(
                "the page at {gpa:#x} is validated and not in the page map"
            ));
        }
    }

    fn check_recorded_are_validated(&mut self, map: &PageMap<Copied>, memory: &Memory) {
        for &(start, end) in memory.ram() {
            let mut gpa = start;
            while gpa < end {
                let large = GpaPage::new_2m(Gpa::new(gpa)).and_then(|page| map.state(page));
                let entry = memory.spa(gpa).map(|spa| memory.rmp_entry(spa));
                let in_one = entry.is_some_and(|entry| {
                    entry.size() == PageSize::Size2M
                        && entry.is_validated()
                        && entry.gpa().get() == gpa
                });
                if large == Some(PageState::Invalid) || in_one {
                    gpa += PageSize::Size2M.bytes();
                    continue;
                }
                let validated = memory
                    .spa(gpa)
                    .is_some_and(|spa| is_validated_for(memory, spa, gpa));
                if !validated && is_recorded(map, gpa, PageSize::Size4K) {
                    self.violated(format_args!(
                        "the page at {gpa:#x} is in the page map and not validated"
                    ));
                    return;
                }
                gpa += PAGE_4K;
            }
        }
    }
}

fn is_recorded(map: &PageMap<Copied>, gpa: u64, size: PageSize) -> bool {
    let page = match size {
        PageSize::Size4K => GpaPage::new_4k(Gpa::new(gpa)),
        PageSize::Size2M => GpaPage::new_2m(Gpa::new(gpa)),
    };
    page.and_then(|page| map.state(page)) == Some(PageState::Valid)
}
