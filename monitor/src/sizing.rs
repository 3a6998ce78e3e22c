//! How much memory the firmware keeps, and where: the fixed part, the validated-page
//! map in proportion to the RAM, and what each vCPU but the first needs.
//!
//! All of it is reserved at boot, from the host's word on RAM and vCPUs, so that
//! nothing a guest asks for later can fail for want of memory.

use protocols::addr::{Gpa, GpaRange, PAGE_2M, PAGE_4K};
use protocols::boot::layout::{FIRMWARE_BASE, PAGE_MAP_BASE};

/// Pages of an AP's stack of everything that is not an exception: a request, or the
/// end with its line in the log.
pub const AP_STACK_PAGES: u64 = 6;
/// Pages of an AP's stack of #VC. The vectors that never return share it.
pub const AP_EXCEPTION_PAGES: u64 = 3;
/// Pages of an AP's stack of NMI, which may interrupt #VC and does nothing.
pub const AP_NMI_PAGES: u64 = 1;
/// Pages of an AP: its stacks, its VMSA and its GHCB page.
pub const PAGES_PER_AP: u64 = AP_STACK_PAGES + AP_EXCEPTION_PAGES + AP_NMI_PAGES + 2;
/// Pages of address space that an AP's stacks take, the unmapped ones among them.
pub const SLOT_PAGES: u64 = 16;
const _: () = assert!(PAGES_PER_AP - 2 + 3 <= SLOT_PAGES);

/// Pages that a page table maps.
const PAGES_PER_TABLE: u64 = 512;
/// Tables of the two levels above, for stacks and for GHCB pages.
const UPPER_TABLES: u64 = 4;

/// The firmware's memory as the guest is told of it, and its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirmwareMemory {
    /// All of it, from [`FIRMWARE_BASE`].
    pub whole: GpaRange,
    /// The memory of the page map, from [`PAGE_MAP_BASE`]. Multiples of 2 MiB.
    pub page_map: GpaRange,
    /// The memory of the vCPUs but the first, behind it. Multiples of 2 MiB.
    pub aps: GpaRange,
}

impl FirmwareMemory {
    /// What a page map of `frames` frames and `vcpus` vCPUs need; `None` when that is
    /// more than there are addresses.
    #[must_use]
    pub fn new(frames: u64, vcpus: u32) -> Option<Self> {
        let map = whole_pieces(Gpa::new(PAGE_MAP_BASE), frames)?;
        let aps = whole_pieces(map.end(), ap_pages(vcpus.saturating_sub(1).into()))?;
        Some(FirmwareMemory {
            whole: GpaRange::from_bounds(Gpa::new(FIRMWARE_BASE), aps.end())?,
            page_map: map,
            aps,
        })
    }
}

/// Pages for so many APs, the page tables that map them included.
#[must_use]
pub fn ap_pages(aps: u64) -> u64 {
    if aps == 0 {
        return 0;
    }
    let own = aps.saturating_mul(PAGES_PER_AP);
    let stacks = aps.saturating_mul(SLOT_PAGES).div_ceil(PAGES_PER_TABLE);
    // The GHCB pages lie among the others, so any table may be needed a second time; one
    // more because the tables themselves are among them too.
    let shared = own.div_ceil(PAGES_PER_TABLE).saturating_add(1);
    own.saturating_add(stacks)
        .saturating_add(shared)
        .saturating_add(UPPER_TABLES)
}

/// `pages` pages of 4 KiB at `start`, rounded up to 2 MiB.
fn whole_pieces(start: Gpa, pages: u64) -> Option<GpaRange> {
    let bytes = pages
        .checked_mul(PAGE_4K)?
        .checked_next_multiple_of(PAGE_2M)?;
    GpaRange::new(start, bytes)
}

#[cfg(test)]
mod tests;
