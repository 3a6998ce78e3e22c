//! Which regions the map covers, and where each has its place in its memory.

use protocols::addr::{Gpa, GpaRange, PAGE_2M};

use super::{LEAVES_PER_FRAME, STATES_PER_FRAME};
use crate::ranges::{MAX_RANGES, RangeList};

/// A run of regions in the map: `count` regions from region number `first`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    first: u64,
    count: u64,
    /// Number of the slot's first region in the dense order of the map.
    index: u64,
}

const NO_SLOT: Slot = Slot {
    first: 0,
    count: 0,
    index: 0,
};
/// The firmware window and the legacy region come on top of the RAM ranges.
const MAX_SLOTS: usize = MAX_RANGES + 2;

/// Which regions the map covers, and where each has its place in the memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    slots: [Slot; MAX_SLOTS],
    used: usize,
    regions: u64,
}

impl Layout {
    /// The layout for `ram` (sorted, without overlap) and the window of the guest
    /// firmware. Ranges are rounded out to 2 MiB; the region at 0 is always in.
    ///
    /// The window and the lowest memory come first in the order, so that what
    /// boot touches lies in the same few frames whatever the size of the RAM.
    #[must_use]
    pub fn new(ram: &RangeList, window: GpaRange) -> Self {
        let mut layout = Layout {
            slots: [NO_SLOT; MAX_SLOTS],
            used: 0,
            regions: 0,
        };
        layout.push(window);
        if let Some(legacy) = GpaRange::new(Gpa::new(0), PAGE_2M) {
            layout.push(legacy);
        }
        for range in ram.iter() {
            layout.push(range);
        }
        layout
    }

    /// Adds the part of `range`, rounded out, that no earlier slot covers.
    /// RAM ranges are sorted and never overlap the window, so the covered part
    /// can only be at the front: of the legacy region, or the last region of
    /// the range before it.
    fn push(&mut self, range: GpaRange) {
        if range.is_empty() {
            return;
        }
        let mut first = range.start().get() / PAGE_2M;
        let end = range.end().get().div_ceil(PAGE_2M);
        while first < end && self.index_of(first).is_some() {
            first = first.saturating_add(1);
        }
        let count = end.saturating_sub(first);
        if count == 0 {
            return;
        }
        if let Some(slot) = self.slots.get_mut(self.used) {
            *slot = Slot {
                first,
                count,
                index: self.regions,
            };
            self.used = self.used.saturating_add(1);
            self.regions = self.regions.saturating_add(count);
        }
    }

    /// Number of 2 MiB regions that the map covers.
    #[must_use]
    pub fn regions(&self) -> u64 {
        self.regions
    }

    /// Number of 4 KiB frames that the map may ever use: its top level (two bits
    /// a region) and two bits for each 4 KiB page.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.top_frames()
            .saturating_add(self.leaf_frames())
            .saturating_add(self.leaf_frames())
    }

    /// Frames of one bit for each 4 KiB page.
    pub(super) fn leaf_frames(&self) -> u64 {
        self.regions.div_ceil(LEAVES_PER_FRAME)
    }

    pub(super) fn top_frames(&self) -> u64 {
        self.regions.div_ceil(STATES_PER_FRAME)
    }

    /// The dense index of a region number, `None` when it is not covered.
    pub(super) fn index_of(&self, region: u64) -> Option<u64> {
        let slots = self.slots.get(..self.used)?;
        slots.iter().find_map(|slot| {
            let offset = region.checked_sub(slot.first)?;
            (offset < slot.count).then(|| slot.index.saturating_add(offset))
        })
    }

    /// The region number at a dense index: the inverse of `index_of`.
    pub(super) fn region_at(&self, index: u64) -> Option<u64> {
        let slots = self.slots.get(..self.used)?;
        slots.iter().find_map(|slot| {
            let offset = index.checked_sub(slot.index)?;
            (offset < slot.count).then(|| slot.first.saturating_add(offset))
        })
    }
}
