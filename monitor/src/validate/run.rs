//! Consecutive pages that are to be changed in the same way: what a guest's list is
//! made of, so that a region of the page map is looked up once for all of them.

use protocols::addr::{Gpa, GpaPage, GpaRange, PAGE_4K, PAGES_PER_2M, PageSize};
use protocols::svsm::ResultCode;

use crate::error::CallError;
use crate::page_map::{MapRefusal, PageMap, PageRecord};
use crate::pages::map_disagrees;
use crate::platform::MapStorage;

/// One page of any size, or several 4 KiB pages in a row within one 2 MiB region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    first: GpaPage,
    count: u16,
    ignore_cf: bool,
}

/// How far a change of pages has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Done {
    /// Pages that were done, counted over all runs. A 2 MiB page counts as one.
    pub pages: u16,
    /// Why the next one was not done.
    pub result: Result<(), CallError>,
}

impl Run {
    /// One page.
    #[must_use]
    pub fn one(page: GpaPage, ignore_cf: bool) -> Self {
        Run {
            first: page,
            count: 1,
            ignore_cf,
        }
    }

    /// How many 4 KiB pages there can be in a run that begins at `page`; 1 for a 2 MiB page.
    #[must_use]
    pub fn room(page: GpaPage) -> usize {
        match page.size() {
            PageSize::Size2M => 1,
            PageSize::Size4K => {
                let before = page.gpa().page_offset(PageSize::Size2M) / PAGE_4K;
                PAGES_PER_2M.saturating_sub(before) as usize
            }
        }
    }

    /// The same run with `count` pages, at least one and at most
    /// [`room`](Self::room) for its first.
    #[must_use]
    pub fn with_count(self, count: usize) -> Self {
        let count = count.clamp(1, Self::room(self.first));
        Run {
            // A region has 512 pages.
            count: count as u16,
            ..self
        }
    }

    /// How many pages it has.
    #[must_use]
    pub fn count(self) -> u16 {
        self.count
    }

    /// Its bytes; `None` when they reach the end of the 64-bit space.
    #[must_use]
    pub fn range(self) -> Option<GpaRange> {
        let bytes = self.first.bytes().saturating_mul(self.count.into());
        GpaRange::new(self.first.gpa(), bytes)
    }

    /// Its pages, in ascending order.
    pub fn pages(self) -> impl Iterator<Item = GpaPage> {
        let (start, bytes) = (self.first.gpa().get(), self.first.bytes());
        (0..u64::from(self.count)).map_while(move |index| {
            let offset = index.saturating_mul(bytes);
            GpaPage::new(Gpa::new(start.checked_add(offset)?), self.first.size())
        })
    }

    /// What is left of it without its first `count` pages.
    fn behind(self, count: u16) -> Option<Self> {
        let left = self.count.checked_sub(count).filter(|left| *left != 0)?;
        let first = self.pages().nth(count.into())?;
        Some(Run {
            first,
            count: left,
            ..self
        })
    }
}

/// The first `pages` pages of `runs`.
pub(super) fn up_to(
    runs: impl Iterator<Item = Run> + Clone,
    pages: u16,
) -> impl Iterator<Item = Run> + Clone {
    runs.scan(pages, |left, run| {
        let count = run.count.min(*left);
        *left = left.saturating_sub(count);
        (count != 0).then_some(Run { count, ..run })
    })
}

/// The pages of `runs` without the first `pages`.
pub(super) fn behind(runs: impl Iterator<Item = Run>, pages: u16) -> impl Iterator<Item = Run> {
    let mut skip = pages;
    runs.filter_map(move |run| {
        let here = run.count.min(skip);
        skip = skip.saturating_sub(here);
        run.behind(here)
    })
}

/// Does `work` with each page of `runs`, its record, and whether CF is ignored, up to
/// the first that fails.
pub(super) fn each<S: MapStorage>(
    map: &mut PageMap<S>,
    runs: impl Iterator<Item = Run>,
    mut work: impl FnMut(&mut dyn PageRecord, GpaPage, bool) -> Result<(), CallError>,
) -> Done {
    let mut pages = 0u16;
    for run in runs {
        let result = match run.first.size() {
            PageSize::Size2M => work(map, run.first, run.ignore_cf).map(|()| {
                pages = pages.saturating_add(1);
            }),
            PageSize::Size4K => map
                .with_small_pages(run.first, |record| {
                    run.pages().try_for_each(|page| {
                        work(record, page, run.ignore_cf)?;
                        pages = pages.saturating_add(1);
                        Ok(())
                    })
                })
                .unwrap_or_else(|refusal| Err(not_recorded(refusal))),
        };
        if result.is_err() {
            return Done { pages, result };
        }
    }
    Done {
        pages,
        result: Ok(()),
    }
}

/// The map has no record for the pages of a region.
fn not_recorded(refusal: MapRefusal) -> CallError {
    match refusal {
        MapRefusal::Outside => ResultCode::INVALID_ADDRESS.into(),
        MapRefusal::Reserved => ResultCode::BUSY.into(),
        other => map_disagrees(other).into(),
    }
}
