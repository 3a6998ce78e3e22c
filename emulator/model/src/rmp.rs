//! The reverse map table: one entry for every page of system memory.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use protocols::addr::{PAGE_2M, PAGE_4K, PAGES_PER_2M, PageSize};

use crate::entry::RmpEntry;
use crate::types::Spa;

/// 4 KiB pages in a region of 2 MiB.
const PAGES: usize = PAGES_PER_2M as usize;
/// 2 MiB regions in one block of the directory: 1 GiB.
const REGIONS_PER_BLOCK: usize = 512;
const BLOCK: u64 = PAGE_2M * REGIONS_PER_BLOCK as u64;

/// The reverse map table of a machine.
///
/// Three levels, each made only when it is needed: a directory of 8 bytes for a
/// GiB of system memory, a block of 512 regions for a GiB in which some page is
/// assigned, a leaf of 512 entries for a region of 2 MiB that is split. A region
/// that is one 2 MiB page, or that belongs to the host altogether, has no leaf.
/// A look-up is at most three steps whatever the size of the memory.
#[derive(Clone, Debug)]
pub struct Rmp {
    size: u64,
    blocks: Vec<Option<Box<[Region]>>>,
    leaves: usize,
}

#[derive(Clone, Debug)]
enum Region {
    /// All of it is in one state: one 2 MiB page of a guest, or 512 pages of the
    /// host.
    Whole(RmpEntry),
    /// At least one 4 KiB page is assigned.
    Split(Leaf),
}

#[derive(Clone, Debug)]
struct Leaf {
    entries: Box<[RmpEntry]>,
    assigned: usize,
}

impl Rmp {
    /// A table for system memory of `size` bytes from address 0, all of it the
    /// host's. A part of 4 KiB at the end is left out.
    pub fn new(size: u64) -> Rmp {
        let blocks = usize::try_from(size.div_ceil(BLOCK)).unwrap_or(usize::MAX);
        Rmp {
            size: size & !(PAGE_4K - 1),
            blocks: vec![None; blocks],
            leaves: 0,
        }
    }

    /// The bytes of system memory that the table covers.
    pub fn memory_size(&self) -> u64 {
        self.size
    }

    /// Whether the table covers the page of that size at this address.
    pub fn covers(&self, spa: Spa, size: PageSize) -> bool {
        spa.page_base(size)
            .0
            .checked_add(size.bytes())
            .is_some_and(|end| end <= self.size)
    }

    /// The entry that describes the 4 KiB page at this address. Memory that the
    /// table does not cover (devices) is the host's.
    pub fn entry(&self, spa: Spa) -> RmpEntry {
        match self.region(spa) {
            Some(Region::Whole(entry)) => *entry,
            Some(Region::Split(leaf)) => leaf
                .entries
                .get(leaf_index(spa))
                .copied()
                .unwrap_or(RmpEntry::UNASSIGNED),
            None => RmpEntry::UNASSIGNED,
        }
    }

    /// How many 4 KiB pages of the 2 MiB region at this address are assigned (the
    /// sub-page count of the region's entry).
    pub fn assigned_in_region(&self, spa: Spa) -> usize {
        match self.region(spa) {
            Some(Region::Whole(entry)) if entry.is_assigned() => PAGES,
            Some(Region::Split(leaf)) => leaf.assigned,
            _ => 0,
        }
    }

    /// The regions of 2 MiB that are kept as 512 entries of their own.
    pub fn split_regions(&self) -> usize {
        self.leaves
    }

    /// Every assigned page, in the order of addresses, a 2 MiB page once.
    pub fn assigned(&self) -> impl Iterator<Item = (Spa, RmpEntry)> + '_ {
        self.blocks.iter().zip(0u64..).flat_map(|(block, b)| {
            let regions = block.as_deref().unwrap_or(&[]);
            regions.iter().zip(0u64..).flat_map(move |(region, r)| {
                let base = b * BLOCK + r * PAGE_2M;
                region
                    .entries()
                    .iter()
                    .zip(0u64..)
                    .filter(|(entry, _)| entry.is_assigned())
                    .map(move |(entry, i)| (Spa(base + i * PAGE_4K), *entry))
            })
        })
    }

    /// Writes the entry of one 4 KiB page. The page must not be part of a 2 MiB
    /// page of a guest.
    pub(crate) fn set_4k(&mut self, spa: Spa, new: RmpEntry) {
        if !new.is_assigned() && self.leaf(spa).is_none() {
            return;
        }
        let Some(region) = self.region_mut(spa) else {
            return;
        };
        let before = region.is_split();
        if let Region::Whole(old) = region {
            *region = Region::Split(Leaf::of(old));
        }
        if let Region::Split(leaf) = region {
            if let Some(entry) = leaf.entries.get_mut(leaf_index(spa)) {
                leaf.assigned -= usize::from(entry.is_assigned());
                leaf.assigned += usize::from(new.is_assigned());
                *entry = new;
            }
            if leaf.assigned == 0 {
                *region = Region::Whole(RmpEntry::UNASSIGNED);
            }
        }
        let after = region.is_split();
        self.count_leaf(before, after);
    }

    /// Makes the region one page of 2 MiB, or the host's when `new` is unassigned.
    pub(crate) fn set_2m(&mut self, spa: Spa, new: RmpEntry) {
        if !new.is_assigned() && self.region(spa).is_none() {
            return;
        }
        let Some(region) = self.region_mut(spa) else {
            return;
        };
        let before = region.is_split();
        *region = Region::Whole(new);
        self.count_leaf(before, false);
    }

    /// Splits a 2 MiB page into 512 of 4 KiB in the same state.
    pub(crate) fn split(&mut self, spa: Spa) {
        let Some(region) = self.region_mut(spa) else {
            return;
        };
        if let Region::Whole(entry) = region
            && entry.is_assigned()
        {
            *region = Region::Split(Leaf::of(entry));
            self.count_leaf(false, true);
        }
    }

    /// The 512 entries of a split region.
    pub(crate) fn leaf(&self, spa: Spa) -> Option<&[RmpEntry]> {
        match self.region(spa) {
            Some(Region::Split(leaf)) => Some(&leaf.entries),
            _ => None,
        }
    }

    /// Changes the entry of an assigned page in place. The change must leave it
    /// assigned and of the same size.
    pub(crate) fn modify(&mut self, spa: Spa, change: impl FnOnce(&mut RmpEntry)) {
        let entry = match self.region_mut(spa) {
            Some(Region::Whole(entry)) => Some(entry),
            Some(Region::Split(leaf)) => leaf.entries.get_mut(leaf_index(spa)),
            None => None,
        };
        if let Some(entry) = entry
            && entry.is_assigned()
        {
            change(entry);
            debug_assert!(entry.is_assigned());
        }
    }

    fn region(&self, spa: Spa) -> Option<&Region> {
        let block = self.blocks.get(block_index(spa)?)?.as_deref()?;
        block.get(region_index(spa))
    }

    /// The region at this address, made if need be; `None` beyond the memory.
    fn region_mut(&mut self, spa: Spa) -> Option<&mut Region> {
        let block = self
            .blocks
            .get_mut(block_index(spa)?)?
            .get_or_insert_with(|| {
                vec![Region::Whole(RmpEntry::UNASSIGNED); REGIONS_PER_BLOCK].into_boxed_slice()
            });
        block.get_mut(region_index(spa))
    }

    fn count_leaf(&mut self, before: bool, after: bool) {
        self.leaves = (self.leaves + usize::from(after)).saturating_sub(usize::from(before));
    }
}

impl Region {
    fn is_split(&self) -> bool {
        matches!(self, Region::Split(_))
    }

    fn entries(&self) -> &[RmpEntry] {
        match self {
            Region::Whole(entry) => core::slice::from_ref(entry),
            Region::Split(leaf) => &leaf.entries,
        }
    }
}

impl Leaf {
    fn of(whole: &RmpEntry) -> Leaf {
        if whole.is_assigned() {
            let entries = (0..PAGES_PER_2M).map(|i| whole.part(i)).collect();
            Leaf {
                entries,
                assigned: PAGES,
            }
        } else {
            let entries = vec![RmpEntry::UNASSIGNED; PAGES].into_boxed_slice();
            Leaf {
                entries,
                assigned: 0,
            }
        }
    }
}

fn block_index(spa: Spa) -> Option<usize> {
    usize::try_from(spa.0 / BLOCK).ok()
}

fn region_index(spa: Spa) -> usize {
    (spa.0 / PAGE_2M) as usize % REGIONS_PER_BLOCK
}

fn leaf_index(spa: Spa) -> usize {
    (spa.0 / PAGE_4K) as usize % PAGES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Asid;
    use protocols::addr::Gpa;

    fn page(gpa: u64, size: PageSize) -> RmpEntry {
        RmpEntry::assigned(Asid::new(1).unwrap(), Gpa::new(gpa), size, false)
    }

    #[test]
    fn a_tebibyte_needs_no_memory_up_front() {
        let rmp = Rmp::new(1 << 40);
        assert_eq!(rmp.blocks.len(), 1024);
        assert!(rmp.blocks.iter().all(Option::is_none));
        assert_eq!(rmp.entry(Spa(1 << 39)), RmpEntry::UNASSIGNED);
        // Nor does memory that was never a guest's when it is made the host's.
        let mut rmp = rmp;
        rmp.set_4k(Spa(1 << 39), RmpEntry::UNASSIGNED);
        rmp.set_2m(Spa(1 << 39), RmpEntry::UNASSIGNED);
        assert!(rmp.blocks.iter().all(Option::is_none));
    }

    #[test]
    fn a_page_of_2m_needs_no_leaf() {
        let mut rmp = Rmp::new(1 << 36);
        rmp.set_2m(Spa(PAGE_2M), page(7 * PAGE_2M, PageSize::Size2M));
        assert_eq!(rmp.split_regions(), 0);
        let entry = rmp.entry(Spa(PAGE_2M + 0x5123));
        assert_eq!(entry.size(), PageSize::Size2M);
        assert_eq!(entry.gpa(), Gpa::new(7 * PAGE_2M));
        assert_eq!(
            entry.gpa_of(Spa(PAGE_2M + 0x5123)),
            Gpa::new(7 * PAGE_2M + 0x5123)
        );
        assert_eq!(rmp.assigned_in_region(Spa(PAGE_2M + 1)), 512);
        assert!(!rmp.entry(Spa(2 * PAGE_2M)).is_assigned());
    }

    #[test]
    fn a_split_region_is_counted_and_goes_when_it_is_empty() {
        let mut rmp = Rmp::new(1 << 30);
        rmp.set_4k(Spa(0x3000), page(0x9000, PageSize::Size4K));
        rmp.set_4k(Spa(0x5000), page(0xa000, PageSize::Size4K));
        rmp.set_4k(Spa(0x5000), page(0xb000, PageSize::Size4K));
        assert_eq!(
            (rmp.split_regions(), rmp.assigned_in_region(Spa(0))),
            (1, 2)
        );
        assert_eq!(
            rmp.assigned()
                .map(|(spa, e)| (spa.0, e.gpa().get()))
                .collect::<Vec<_>>(),
            [(0x3000, 0x9000), (0x5000, 0xb000)]
        );
        rmp.set_4k(Spa(0x3000), RmpEntry::UNASSIGNED);
        rmp.set_4k(Spa(0x5000), RmpEntry::UNASSIGNED);
        assert_eq!(
            (rmp.split_regions(), rmp.assigned_in_region(Spa(0))),
            (0, 0)
        );
    }

    #[test]
    fn splitting_keeps_state_and_counts_addresses_up() {
        let mut rmp = Rmp::new(1 << 30);
        rmp.set_2m(Spa(0), page(3 * PAGE_2M, PageSize::Size2M));
        rmp.modify(Spa(0x1000), |e| e.set_validated(true));
        rmp.split(Spa(0x7000));
        for i in 0..512u64 {
            let entry = rmp.entry(Spa(i * PAGE_4K));
            assert_eq!(entry.gpa(), Gpa::new(3 * PAGE_2M + i * PAGE_4K));
            assert_eq!(entry.size(), PageSize::Size4K);
            assert!(entry.is_validated());
        }
        assert_eq!(rmp.assigned().count(), 512);
    }

    #[test]
    fn memory_ends_where_it_ends() {
        let mut rmp = Rmp::new(PAGE_2M + 0x3fff);
        assert_eq!(rmp.memory_size(), PAGE_2M + 0x3000);
        assert!(rmp.covers(Spa(PAGE_2M + 0x2fff), PageSize::Size4K));
        assert!(!rmp.covers(Spa(PAGE_2M + 0x3000), PageSize::Size4K));
        assert!(!rmp.covers(Spa(PAGE_2M), PageSize::Size2M));
        assert!(!rmp.covers(Spa(u64::MAX), PageSize::Size4K));
        rmp.set_4k(Spa(1 << 50), page(0, PageSize::Size4K));
        assert_eq!(rmp.assigned().count(), 0);
        assert_eq!(rmp.entry(Spa(u64::MAX)), RmpEntry::UNASSIGNED);
    }
}
