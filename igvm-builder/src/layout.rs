//! Address ranges and the page size.

use std::fmt;

use protocols::boot::layout::{GUEST_FIRMWARE_END, GUEST_FIRMWARE_MAX_SIZE};

/// The size of a page that the launch loads, in bytes.
pub const PAGE_SIZE: u64 = protocols::addr::PAGE_4K;

/// The addresses of a guest firmware of `size` bytes: it ends at 4 GiB. `None`
/// if it is no ROM of whole pages that fits there.
pub fn rom_range(size: usize) -> Option<Range> {
    let size = size as u64;
    let fits = size != 0 && size.is_multiple_of(PAGE_SIZE) && size <= GUEST_FIRMWARE_MAX_SIZE;
    fits.then(|| Range {
        start: GUEST_FIRMWARE_END - size,
        end: GUEST_FIRMWARE_END,
    })
}

/// A range of addresses, the end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first address.
    pub start: u64,
    /// The address after the last.
    pub end: u64,
}

impl Range {
    /// The range of `size` bytes at `start`, or `None` if it wraps around.
    pub fn sized(start: u64, size: u64) -> Option<Self> {
        Some(Self {
            start,
            end: start.checked_add(size)?,
        })
    }

    /// The size in bytes.
    pub fn size(&self) -> u64 {
        self.end - self.start
    }

    /// Whether `other` lies in this range altogether.
    pub fn contains(&self, other: &Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Whether there is an address in both ranges.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}..{:#010x}", self.start, self.end)
    }
}
