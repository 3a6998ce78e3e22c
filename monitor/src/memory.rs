//! The guest's memory as the firmware accepts it: RAM from the host's memory
//! map, the firmware's own range, and the window of the guest firmware.

use protocols::addr::{Gpa, GpaRange, PAGE_4K};
use protocols::boot::layout;
use protocols::boot::params::{MemoryMapEntry, MemoryMapType};
use protocols::snp::Vmsa;

use crate::ranges::{MapError, RangeList};

/// The legacy video and ROM area, which the guest firmware validates with the
/// rest of low memory.
pub(crate) const LEGACY_WINDOW: GpaRange = match GpaRange::new(Gpa::new(0xa_0000), 0x6_0000) {
    Some(range) => range,
    None => unreachable!(),
};

/// Where the parts of the image are, which no memory map may contradict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageRanges {
    /// The firmware's own range, the page map's memory included. Inside RAM.
    pub firmware: GpaRange,
    /// The window of the guest firmware below 4 GiB. The host's map does not call
    /// it RAM; the image brings it as required memory.
    pub window: GpaRange,
}

/// What is guest memory and what is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestMemoryMap {
    /// RAM without the firmware's range.
    ram: RangeList,
    window: GpaRange,
}

impl GuestMemoryMap {
    /// The guest's share of `ram`.
    ///
    /// # Errors
    /// [`MapError`] when the firmware is not inside RAM, or RAM covers a page
    /// that the image brings by itself.
    pub fn new(ram: &RangeList, image: ImageRanges) -> Result<Self, MapError> {
        if !ram.contains(image.firmware) {
            return Err(MapError::FirmwareOutside);
        }
        let launch_vmsa =
            GpaRange::new(Gpa::new(Vmsa::LAUNCH_GPA), PAGE_4K).ok_or(MapError::OutOfBounds)?;
        if ram.overlaps(image.window) || ram.overlaps(launch_vmsa) {
            return Err(MapError::CoversImage);
        }
        Ok(GuestMemoryMap {
            ram: ram.without(image.firmware)?,
            window: image.window,
        })
    }

    /// Whether all of `range` is the guest's memory: RAM that is not the
    /// firmware's, or the window of the guest firmware.
    #[must_use]
    pub fn is_guest(&self, range: GpaRange) -> bool {
        !range.is_empty() && (self.ram.contains(range) || self.window.contains_range(range))
    }

    /// Whether the guest may ask to validate `range`: its memory, or a part of
    /// the legacy area, which hosts do not always list.
    #[must_use]
    pub fn is_validatable(&self, range: GpaRange) -> bool {
        !range.is_empty() && (self.is_guest(range) || LEGACY_WINDOW.contains_range(range))
    }

    /// Bytes of RAM that the guest has.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.ram.total()
    }

    /// The window of the guest firmware.
    #[must_use]
    pub fn window(&self) -> GpaRange {
        self.window
    }

    /// The memory map that the guest firmware gets in its parameter area: RAM
    /// only, the firmware's range left out, unused entries zero.
    ///
    /// # Errors
    /// [`MapError::TooFragmented`] when that needs more entries than there are.
    pub fn for_guest(&self) -> Result<GuestMap, MapError> {
        let mut map = [MemoryMapEntry::default(); layout::GUEST_MEMORY_MAP_MAX_ENTRIES];
        let ranges = self.ram.as_slice();
        // A full area has no end mark, but its reader stops at the area's size.
        let places = map.get_mut(..ranges.len()).ok_or(MapError::TooFragmented)?;
        for (place, range) in places.iter_mut().zip(ranges) {
            let (first, count) = (range.start().pfn(), range.len() / PAGE_4K);
            *place = MemoryMapEntry::new(first, count, MemoryMapType::MEMORY);
        }
        Ok(map)
    }
}

/// The memory map as the guest firmware reads it.
pub type GuestMap = [MemoryMapEntry; layout::GUEST_MEMORY_MAP_MAX_ENTRIES];

/// Reads the RAM out of an IGVM memory map. The list ends at the first entry
/// without pages. Entries that are not memory count for overlaps only. `limit` is
/// one above the highest guest physical address.
///
/// # Errors
/// [`MapError`] for a map that wraps, overlaps itself, reaches above `limit`, or
/// holds no memory.
pub fn parse_ram(entries: &[MemoryMapEntry], limit: u64) -> Result<RangeList, MapError> {
    let mut all = RangeList::new();
    let mut ram = RangeList::new();
    for entry in entries.iter().take_while(|entry| !entry.is_end()) {
        let range = GpaRange::from_pages(entry.first_page.get(), entry.pages.get())
            .filter(|range| range.end().get() <= limit)
            .ok_or(MapError::OutOfBounds)?;
        all.insert(range)?;
        if entry.kind() == MemoryMapType::MEMORY {
            ram.insert(range)?;
        }
    }
    ram.join();
    if ram.as_slice().is_empty() {
        Err(MapError::NoMemory)
    } else {
        Ok(ram)
    }
}

#[cfg(test)]
mod tests;
