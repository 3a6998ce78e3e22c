//! The nested page tables as a map from guest to system pages.

use alloc::collections::{BTreeMap, BTreeSet};

use protocols::addr::{Gpa, PAGE_2M, PageSize};

use crate::types::Spa;

/// Where guest pages are in system memory. What the host has not said is one to
/// one, up to the end of memory, in mappings of 2 MiB.
#[derive(Clone, Debug)]
pub struct NestedMap {
    identity: u64,
    /// By 4 KiB page; `None` is a hole.
    small: BTreeMap<Gpa, Option<Spa>>,
    /// By 2 MiB page; `None` is a hole.
    large: BTreeMap<Gpa, Option<Spa>>,
    /// Regions of 2 MiB that are mapped in 4 KiB.
    split: BTreeSet<Gpa>,
}

impl NestedMap {
    /// One to one for the addresses below `size`.
    pub(super) fn identity(size: u64) -> NestedMap {
        NestedMap {
            identity: size,
            small: BTreeMap::new(),
            large: BTreeMap::new(),
            split: BTreeSet::new(),
        }
    }

    /// The system address of a guest address and the size of its mapping.
    pub(super) fn lookup(&self, gpa: Gpa) -> Option<(Spa, PageSize)> {
        if let Some(page) = self.small.get(&gpa.page_base(PageSize::Size4K)) {
            let spa = Spa(page.as_ref()?.0 | gpa.page_offset(PageSize::Size4K));
            return Some((spa, PageSize::Size4K));
        }
        let region = gpa.page_base(PageSize::Size2M);
        let base = match self.large.get(&region) {
            Some(page) => (*page)?,
            None if gpa.get() < self.identity => Spa(region.get()),
            None => return None,
        };
        let spa = Spa(base.0 | gpa.page_offset(PageSize::Size2M));
        let is_tail = region
            .checked_add(PAGE_2M)
            .is_none_or(|end| end.get() > self.identity);
        let is_small =
            self.split.contains(&region) || (is_tail && !self.large.contains_key(&region));
        Some((
            spa,
            if is_small {
                PageSize::Size4K
            } else {
                PageSize::Size2M
            },
        ))
    }

    /// Maps a page, or makes a hole. Both addresses count from the start of their
    /// page.
    pub(super) fn set(&mut self, gpa: Gpa, size: PageSize, spa: Option<Spa>) {
        let (gpa, spa) = (gpa.page_base(size), spa.map(|s| s.page_base(size)));
        match size {
            PageSize::Size4K => {
                self.small.insert(gpa, spa);
                self.split.insert(gpa.page_base(PageSize::Size2M));
            }
            PageSize::Size2M => {
                self.small
                    .retain(|small, _| small.page_base(PageSize::Size2M) != gpa);
                self.split.remove(&gpa);
                self.large.insert(gpa, spa);
            }
        }
    }

    /// Maps a region in 4 KiB. Whether it was not already.
    pub(super) fn split(&mut self, gpa: Gpa) -> bool {
        self.split.insert(gpa.page_base(PageSize::Size2M))
    }
}
