//! Address ranges and the page size.

use std::fmt;

use serde::Serialize;

/// The size of a page that the launch loads, in bytes.
pub const PAGE_SIZE: u64 = 4096;

/// Where 32-bit addresses end; firmware images end here.
pub const FOUR_GIB: u64 = 1 << 32;

/// Where KVM puts a VMSA at launch; no other address is accepted by QEMU, since
/// the address enters the launch digest (snp-structures C.12).
pub const VMSA_GPA: u64 = 0xFFFF_FFFF_F000;

/// A range of addresses, the end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
