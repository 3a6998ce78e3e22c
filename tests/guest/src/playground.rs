//! RAM that the checks may do with as they like. Each area is 2 MiB and starts not validated, and
//! as the host left it.

use protocols::addr::{Gpa, GpaPage, PAGE_2M, PAGE_4K, PageSize};
use protocols::ghcb::PscOperation;

use crate::arch::layout::{PLAYGROUND, PLAYGROUND_SIZE};
use crate::arch::memory;
use crate::check::{Outcome, holds, same, succeeds};
use crate::{host, list};

/// 2 MiB of the playground.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Area(u64);

impl Area {
    /// Pages made private one by one.
    pub(crate) const SMALL: Self = Self(0);
    /// Validated as one page of 2 MiB.
    pub(crate) const LARGE: Self = Self(1);
    /// Made private and validated in pages of 4 KiB.
    pub(crate) const MIXED: Self = Self(2);
    /// Validated as one page before the checks begin: lists, calling areas, VMSAs.
    pub(crate) const WORK: Self = Self(3);
    /// Validated as one page and taken back in part.
    pub(crate) const BROKEN: Self = Self(4);
    /// Private and never validated.
    pub(crate) const INVALID: Self = Self(5);

    /// The whole area.
    pub(crate) const fn whole(self) -> GpaPage {
        page_at(self.start(), PageSize::Size2M)
    }

    /// One of its 512 pages.
    pub(crate) const fn page(self, index: u64) -> GpaPage {
        page_at(self.start() + index * PAGE_4K, PageSize::Size4K)
    }

    const fn start(self) -> u64 {
        PLAYGROUND + self.0 * PAGE_2M
    }
}

const _: () = assert!(Area::INVALID.start() + PAGE_2M == PLAYGROUND + PLAYGROUND_SIZE);

/// A page at an address that is known to be right.
pub(crate) const fn page_at(gpa: u64, size: PageSize) -> GpaPage {
    match GpaPage::new(Gpa::new(gpa), size) {
        Some(page) => page,
        None => panic!("the address is not aligned"),
    }
}

/// Opens the areas that every group of checks uses.
pub(crate) fn open() -> Outcome {
    let pages = [Area::WORK.whole(), Area::INVALID.whole()];
    let private = host::change_pages(pages.into_iter(), PscOperation::PRIVATE);
    holds("page-state change of the work area", private)?;
    succeeds(
        "validation of the work area",
        list::validate(Area::WORK.whole()),
    )
}

/// Makes a page private, so that it can be validated.
pub(crate) fn make_private(page: GpaPage) -> Outcome {
    let done = match page.size() {
        PageSize::Size4K => host::change_page(page, PscOperation::PRIVATE),
        PageSize::Size2M => host::change_pages(core::iter::once(page), PscOperation::PRIVATE),
    };
    holds("page-state change", done)
}

/// Every quadword of the page has to be this.
pub(crate) fn holds_only(what: &'static str, page: GpaPage, value: u64) -> Outcome {
    match memory::find_other(page.gpa().get(), page.bytes(), value) {
        Some(found) => same(what, found, value),
        None => Ok(()),
    }
}

/// Writes and reads the whole page: it has to be ordinary memory.
pub(crate) fn is_ordinary(page: GpaPage) -> Outcome {
    for value in [0x5a5a_a5a5_0ff0_1ee1, 0] {
        memory::fill(page.gpa().get(), page.bytes(), value);
        holds_only("what was written", page, value)?;
    }
    Ok(())
}
