//! Which validated pages the guest has given to the firmware: one more bit for each
//! 4 KiB page, in memory of its own that is touched only where a page was given.

use protocols::addr::{Gpa, GpaPage, GpaRange, PAGE_4K, PAGES_PER_2M};

use super::{MapRefusal, PageMap, Place};
use crate::platform::{MapStorage, MapStorageFault};

/// How many pages were given, and where the first can be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deposits {
    /// 4 KiB pages.
    count: u64,
    /// Dense index of a region; none before it has a page.
    first: u64,
}

impl<S: MapStorage> PageMap<S> {
    /// How many 4 KiB pages the guest has deposited.
    #[must_use]
    pub fn deposited(&self) -> u64 {
        self.deposits.count
    }

    /// Whether any page that `range` touches is deposited.
    #[must_use]
    pub fn covers_deposit(&self, range: GpaRange) -> bool {
        // As it always is with the guests that there are.
        if self.deposits.count == 0 || range.is_empty() {
            return false;
        }
        let mut at = range.start().get() / PAGE_4K;
        let end = range.end().get().div_ceil(PAGE_4K);
        while at < end {
            let region = at / PAGES_PER_2M;
            let next = region.saturating_add(1).saturating_mul(PAGES_PER_2M);
            if let Some(words) = self.layout.index_of(region).and_then(|i| self.given(i)) {
                let mut pages = at..end.min(next);
                let given = |page: u64| {
                    let place = Place {
                        region,
                        page: page % PAGES_PER_2M,
                    };
                    words
                        .get(place.word())
                        .is_some_and(|w| w & place.mask() != 0)
                };
                if pages.any(given) {
                    return true;
                }
            }
            at = next;
        }
        false
    }

    /// Records that a validated page is the firmware's now.
    ///
    /// # Errors
    /// [`MapRefusal::Outside`]; [`MapRefusal::NotValid`] when a part of it is not
    /// validated or was deposited before; [`MapRefusal::Storage`].
    pub fn deposit(&mut self, page: GpaPage) -> Result<(), MapRefusal> {
        let place = self.place(page).ok_or(MapRefusal::Outside)?;
        if !self.is_valid(page.range()) {
            return Err(MapRefusal::NotValid);
        }
        let words = self.given_mut(place.region)?;
        let mut count = 0u64;
        for small in page.split() {
            let place = Place {
                region: place.region,
                page: small.gpa().pfn() % PAGES_PER_2M,
            };
            *words.get_mut(place.word()).ok_or(MapStorageFault)? |= place.mask();
            count = count.saturating_add(1);
        }
        let before = self.deposits;
        self.deposits = Deposits {
            count: before.count.saturating_add(count),
            first: if before.count == 0 {
                place.region
            } else {
                before.first.min(place.region)
            },
        };
        Ok(())
    }

    /// Takes a 4 KiB page out of the deposits; `None` when there is none. It is an
    /// ordinary validated page of the guest's then.
    ///
    /// # Errors
    /// [`MapRefusal::Storage`].
    pub fn withdraw(&mut self) -> Result<Option<GpaPage>, MapRefusal> {
        while self.deposits.count != 0 && self.deposits.first < self.layout.regions() {
            let index = self.deposits.first;
            let found = self.given(index).and_then(|words| {
                let word = words.iter().position(|word| *word != 0)?;
                let bit = words.get(word)?.trailing_zeros();
                Some((word, bit))
            });
            let Some((word, bit)) = found else {
                self.deposits.first = index.saturating_add(1);
                continue;
            };
            let page = (word as u64).saturating_mul(64).saturating_add(bit.into());
            let page = self
                .layout
                .region_at(index)
                .and_then(|region| region.checked_mul(PAGES_PER_2M)?.checked_add(page))
                .and_then(Gpa::from_pfn)
                .and_then(GpaPage::new_4k)
                .ok_or(MapRefusal::Outside)?;
            let words = self.given_mut(index)?;
            *words.get_mut(word).ok_or(MapStorageFault)? &= !(1 << bit);
            self.deposits.count = self.deposits.count.saturating_sub(1);
            return Ok(Some(page));
        }
        Ok(None)
    }

    /// The bits of a region by its dense index, if any was ever set nearby.
    fn given(&self, index: u64) -> Option<&[u64]> {
        let (frame, words) = self.given_position(index);
        self.storage.frame(frame)?.get(words)
    }

    fn given_mut(&mut self, index: u64) -> Result<&mut [u64], MapStorageFault> {
        let (frame, words) = self.given_position(index);
        let frame = self.storage.frame_mut(frame)?;
        frame.get_mut(words).ok_or(MapStorageFault)
    }

    /// Behind the bits that say what is validated.
    fn given_position(&self, index: u64) -> (u64, core::ops::Range<usize>) {
        let (frame, words) = self.leaf_position(index);
        (frame.saturating_add(self.layout.leaf_frames()), words)
    }
}

#[cfg(test)]
mod tests;
