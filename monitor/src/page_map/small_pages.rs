//! The 4 KiB pages of one region, looked up once for all of them.

use protocols::addr::{GpaPage, PAGE_4K, PAGES_PER_2M, PageSize};

use super::{MapRefusal, PageMap, PageRecord, PageState, Region, WORDS_PER_REGION};
use crate::platform::{MapStorage, MapStorageFault};

/// The record of one region's 4 KiB pages, for as long as
/// [`PageMap::with_small_pages`] lends it.
#[derive(Debug)]
pub struct SmallPages<'a> {
    /// Number of the region.
    region: u64,
    words: &'a mut [u64; WORDS_PER_REGION],
}

impl SmallPages<'_> {
    /// Word and bit of a 4 KiB page of this region.
    fn place(&self, page: GpaPage) -> Option<(usize, u64)> {
        let number = page.gpa().get() / PAGE_4K;
        let here = page.size() == PageSize::Size4K && number / PAGES_PER_2M == self.region;
        let bit = number % PAGES_PER_2M;
        here.then_some(((bit / 64) as usize, 1 << (bit % 64)))
    }

    /// Sets the page's bit if it is not `valid` yet.
    fn change(
        &mut self,
        page: GpaPage,
        valid: bool,
        refusal: MapRefusal,
    ) -> Result<(), MapRefusal> {
        let (word, bit) = self.place(page).ok_or(MapRefusal::Outside)?;
        let word = self.words.get_mut(word).ok_or(MapRefusal::Outside)?;
        if (*word & bit != 0) == valid {
            return Err(refusal);
        }
        *word ^= bit;
        Ok(())
    }
}

impl PageRecord for SmallPages<'_> {
    #[inline]
    fn state(&self, page: GpaPage) -> Option<PageState> {
        let (word, bit) = self.place(page)?;
        Some(if self.words.get(word)? & bit != 0 {
            PageState::Valid
        } else {
            PageState::Invalid
        })
    }

    #[inline]
    fn mark_valid(&mut self, page: GpaPage) -> Result<(), MapRefusal> {
        self.change(page, true, MapRefusal::AlreadyValid)
    }

    #[inline]
    fn mark_invalid(&mut self, page: GpaPage) -> Result<(), MapRefusal> {
        self.change(page, false, MapRefusal::NotValid)
    }
}

impl<S: MapStorage> PageMap<S> {
    /// Lends the record of the 4 KiB pages in the region of `page` to `work`. What
    /// `work` marks is in the map when it returns, whatever it returns.
    ///
    /// # Errors
    /// [`MapRefusal::Outside`], [`MapRefusal::Reserved`] or [`MapRefusal::Storage`]; `work` is not
    /// called then.
    pub fn with_small_pages<R>(
        &mut self,
        page: GpaPage,
        work: impl FnOnce(&mut SmallPages<'_>) -> R,
    ) -> Result<R, MapRefusal> {
        let place = self.place(page).ok_or(MapRefusal::Outside)?;
        let before = self.region(place.region);
        if before == Region::Reserved {
            return Err(MapRefusal::Reserved);
        }
        let words = self
            .leaf_mut(place.region)?
            .first_chunk_mut()
            .ok_or(MapStorageFault)?;
        if before == Region::Large {
            *words = [u64::MAX; WORDS_PER_REGION];
        }
        let mut pages = SmallPages {
            region: page.gpa().get() / PAGE_4K / PAGES_PER_2M,
            words,
        };
        let result = work(&mut pages);
        let words = pages.words;
        let after = if before == Region::Large && *words == [u64::MAX; WORDS_PER_REGION] {
            // Only a split region has bits: they are zero when it is empty next.
            *words = [0; WORDS_PER_REGION];
            Region::Large
        } else if *words == [0; WORDS_PER_REGION] {
            Region::Empty
        } else {
            Region::Split
        };
        if after != before {
            self.set_region(place.region, after)?;
        }
        Ok(result)
    }
}
