//! Checked range algebra over the memory map that the host gives (threats 4, 14).
//!
//! The IGVM memory map is unmeasured input. It is copied, then read once, and
//! every answer about "is this guest memory" comes from the lists made here.

use protocols::addr::{Gpa, GpaRange};

/// Most entries that one page of the IGVM memory map can hold (24 bytes each).
pub const MAX_RANGES: usize = 170;

const EMPTY: GpaRange = match GpaRange::new(Gpa::new(0), 0) {
    Some(range) => range,
    None => unreachable!(),
};

/// Why a memory map is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// More entries than a page can hold.
    TooManyEntries,
    /// An entry wraps around or reaches above the guest's physical limit.
    OutOfBounds,
    /// Two entries cover the same page.
    Overlap,
    /// There is no RAM at all.
    NoMemory,
    /// The firmware's range is not inside RAM.
    FirmwareOutside,
    /// RAM is named where the image has pages of its own: the guest firmware's
    /// window or the launch VMSA.
    CoversImage,
    /// The guest's map, with Rampart's range left out, has more entries than the
    /// guest firmware can take.
    TooFragmented,
}

/// Ranges in ascending order, without overlap, none empty, neighbours joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeList {
    ranges: [GpaRange; MAX_RANGES],
    used: usize,
}

impl Default for RangeList {
    fn default() -> Self {
        Self::new()
    }
}

impl RangeList {
    /// No range.
    #[must_use]
    pub const fn new() -> Self {
        RangeList {
            ranges: [EMPTY; MAX_RANGES],
            used: 0,
        }
    }

    /// The ranges in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = GpaRange> + '_ {
        self.as_slice().iter().copied()
    }

    /// The ranges in ascending order.
    #[must_use]
    pub fn as_slice(&self) -> &[GpaRange] {
        self.ranges.get(..self.used).unwrap_or(&[])
    }

    /// Number of bytes in all ranges.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.iter()
            .fold(0, |sum: u64, range| sum.saturating_add(range.len()))
    }

    /// Whether one range holds all of `range`. An empty range is in none.
    #[must_use]
    pub fn contains(&self, range: GpaRange) -> bool {
        // The ranges are sorted and joined, so only the last one that starts at
        // or below `range` can hold it.
        let after = self
            .as_slice()
            .partition_point(|r| r.start() <= range.start());
        let candidate = after
            .checked_sub(1)
            .and_then(|index| self.as_slice().get(index));
        !range.is_empty() && candidate.is_some_and(|r| r.contains_range(range))
    }

    /// Whether any range shares a byte with `range`.
    #[must_use]
    pub fn overlaps(&self, range: GpaRange) -> bool {
        self.iter().any(|r| r.overlaps(range))
    }

    /// Adds a range in its place.
    ///
    /// # Errors
    /// [`MapError::Overlap`] with one that is there, [`MapError::TooManyEntries`].
    pub fn insert(&mut self, range: GpaRange) -> Result<(), MapError> {
        if range.is_empty() {
            return Ok(());
        }
        if self.overlaps(range) {
            return Err(MapError::Overlap);
        }
        let at = self
            .as_slice()
            .partition_point(|r| r.start() < range.start());
        let end = self.used.checked_add(1).filter(|end| *end <= MAX_RANGES);
        let tail = end
            .and_then(|end| self.ranges.get_mut(at..end))
            .ok_or(MapError::TooManyEntries)?;
        tail.rotate_right(1);
        if let Some(place) = tail.first_mut() {
            *place = range;
        }
        self.used = self.used.saturating_add(1);
        Ok(())
    }

    /// Joins neighbours that touch.
    pub(crate) fn join(&mut self) {
        let mut joined = RangeList::new();
        for range in self.iter() {
            let last = joined
                .used
                .checked_sub(1)
                .and_then(|last| joined.ranges.get_mut(last));
            match last {
                Some(last) if last.end() == range.start() => {
                    *last = GpaRange::from_bounds(last.start(), range.end()).unwrap_or(*last);
                }
                _ => joined.push(range),
            }
        }
        *self = joined;
    }

    /// The list without `hole`.
    ///
    /// # Errors
    /// [`MapError::TooManyEntries`] when the cut makes one range too many.
    pub fn without(&self, hole: GpaRange) -> Result<RangeList, MapError> {
        let mut rest = RangeList::new();
        for range in self.iter() {
            let (before, behind) = range.without(hole);
            for piece in [before, behind].into_iter().flatten() {
                rest.insert(piece)?;
            }
        }
        Ok(rest)
    }

    fn push(&mut self, range: GpaRange) {
        if let Some(place) = self.ranges.get_mut(self.used) {
            *place = range;
            self.used = self.used.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests;
