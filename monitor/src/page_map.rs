//! The validated-page map: the only authority on which guest addresses are
//! validated (threats 1, 2 and 5).
//!
//! PVALIDATE's carry flag cannot tell an address that was never validated from
//! one whose system page the host has exchanged, so VMPL0 keeps its own record:
//! one state for each 2 MiB region, and one bit for each 4 KiB page of a region
//! that is split. A region that is not split costs two bits.
//!
//! The map covers the guest's RAM, the first 2 MiB (legacy ROM window) and the
//! window below 4 GiB in which the guest firmware lies. Its memory is reserved
//! at boot (see [`Layout::frames`]), so a legal request cannot fail for want of
//! it, and a frame is touched only when something in it becomes valid.

mod deposits;
mod layout;
mod small_pages;

use protocols::addr::{GpaPage, GpaRange, PAGE_4K, PAGES_PER_2M, PageSize};

use deposits::Deposits;
pub use layout::Layout;
pub use small_pages::SmallPages;

use crate::platform::{MapFrame, MapStorage, MapStorageFault};

/// 64-bit words of the split bitmap of one region.
const WORDS_PER_REGION: usize = (PAGES_PER_2M / 64) as usize;
/// Regions whose split bitmaps fill one frame.
const LEAVES_PER_FRAME: u64 = 512 / WORDS_PER_REGION as u64;
/// Regions whose two-bit states fill one frame.
const STATES_PER_FRAME: u64 = 512 * STATES_PER_WORD;
/// Regions whose two-bit states fill one word.
const STATES_PER_WORD: u64 = 32;

/// What the map knows of a page in the size of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageState {
    /// No part of the page is validated.
    Invalid,
    /// The whole page is validated. A 4 KiB page may be part of a 2 MiB one.
    Valid,
    /// Only for 2 MiB pages: some or all of it is validated, in 4 KiB pages.
    Split,
    /// The 2 MiB page that it is, or is part of, is being validated. For everything else that counts
    /// as not validated.
    Reserved,
}

/// Why the map did not take a change. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapRefusal {
    /// The page is not in the memory that the map covers.
    Outside,
    /// The page, or a part of it, is validated already.
    AlreadyValid,
    /// The page is not validated.
    NotValid,
    /// A 2 MiB page that is validated in 4 KiB pages, to be taken as one.
    Split,
    /// Somebody else is validating the 2 MiB page.
    Reserved,
    /// The host did not give the map its memory.
    Storage(MapStorageFault),
}

impl From<MapStorageFault> for MapRefusal {
    fn from(fault: MapStorageFault) -> Self {
        MapRefusal::Storage(fault)
    }
}

/// Where it is recorded which pages are validated: the whole map, or a part of it.
pub trait PageRecord {
    /// As [`PageMap::state`].
    fn state(&self, page: GpaPage) -> Option<PageState>;

    /// As [`PageMap::mark_valid`].
    ///
    /// # Errors
    /// As there.
    fn mark_valid(&mut self, page: GpaPage) -> Result<(), MapRefusal>;

    /// As [`PageMap::mark_invalid`].
    ///
    /// # Errors
    /// As there.
    fn mark_invalid(&mut self, page: GpaPage) -> Result<(), MapRefusal>;
}

impl<S: MapStorage> PageRecord for PageMap<S> {
    fn state(&self, page: GpaPage) -> Option<PageState> {
        self.state(page)
    }

    fn mark_valid(&mut self, page: GpaPage) -> Result<(), MapRefusal> {
        self.mark_valid(page)
    }

    fn mark_invalid(&mut self, page: GpaPage) -> Result<(), MapRefusal> {
        self.mark_invalid(page)
    }
}

/// The state of a 2 MiB region as stored. Zero is the state of untouched memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Region {
    Empty,
    Large,
    Split,
    /// On the way from empty to large, see [`PageMap::reserve`].
    Reserved,
}

/// The validated-page map.
#[derive(Debug)]
pub struct PageMap<S> {
    layout: Layout,
    storage: S,
    deposits: Deposits,
}

impl<S: MapStorage> PageMap<S> {
    /// An empty map: nothing is validated. `storage` holds `layout.frames()`
    /// frames and none of them was written.
    pub fn new(layout: Layout, storage: S) -> Self {
        PageMap {
            layout,
            storage,
            deposits: Deposits::default(),
        }
    }

    /// The layout the map was made with.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What the map knows of `page`; `None` when it does not cover it.
    #[must_use]
    pub fn state(&self, page: GpaPage) -> Option<PageState> {
        let place = self.place(page)?;
        Some(match (self.region(place.region), page.size()) {
            (Region::Empty, _) => PageState::Invalid,
            (Region::Large, _) => PageState::Valid,
            (Region::Reserved, _) => PageState::Reserved,
            (Region::Split, PageSize::Size2M) => PageState::Split,
            (Region::Split, PageSize::Size4K) if self.bit(place) => PageState::Valid,
            (Region::Split, PageSize::Size4K) => PageState::Invalid,
        })
    }

    /// Whether every byte of `range` lies in validated pages that are not deposited.
    /// An empty range does not.
    #[must_use]
    pub fn is_valid(&self, range: GpaRange) -> bool {
        if range.is_empty() || self.covers_deposit(range) {
            return false;
        }
        let mut at = range.start().get() / PAGE_4K;
        let end = range.end().get().div_ceil(PAGE_4K);
        while at < end {
            let region = at / PAGES_PER_2M;
            let Some(index) = self.layout.index_of(region) else {
                return false;
            };
            match self.region(index) {
                Region::Empty | Region::Reserved => return false,
                Region::Large => at = region.saturating_add(1).saturating_mul(PAGES_PER_2M),
                Region::Split => {
                    if !self.bit(Place {
                        region: index,
                        page: at % PAGES_PER_2M,
                    }) {
                        return false;
                    }
                    at = at.saturating_add(1);
                }
            }
        }
        true
    }

    /// Records that `page` was validated in its size.
    ///
    /// # Errors
    /// [`MapRefusal::Outside`], or [`MapRefusal::AlreadyValid`] when any part of
    /// the page is validated.
    pub fn mark_valid(&mut self, page: GpaPage) -> Result<(), MapRefusal> {
        let place = self.place(page).ok_or(MapRefusal::Outside)?;
        match (self.region(place.region), page.size()) {
            (Region::Empty, PageSize::Size2M) => self.set_region(place.region, Region::Large),
            (Region::Empty, PageSize::Size4K) => {
                self.set_bit(place, true)?;
                self.set_region(place.region, Region::Split)
            }
            (Region::Split, PageSize::Size4K) if !self.bit(place) => self.set_bit(place, true),
            _ => Err(MapRefusal::AlreadyValid),
        }
    }

    /// Records that `page` is not validated any longer. A 4 KiB page of a region
    /// that was validated as 2 MiB splits the region.
    ///
    /// # Errors
    /// [`MapRefusal::Outside`]; [`MapRefusal::NotValid`]; [`MapRefusal::Split`]
    /// for a 2 MiB page that was validated in 4 KiB pages.
    pub fn mark_invalid(&mut self, page: GpaPage) -> Result<(), MapRefusal> {
        let place = self.place(page).ok_or(MapRefusal::Outside)?;
        match (self.region(place.region), page.size()) {
            (Region::Empty, _) => Err(MapRefusal::NotValid),
            (Region::Reserved, _) => Err(MapRefusal::Reserved),
            (Region::Large, PageSize::Size2M) => self.set_region(place.region, Region::Empty),
            (Region::Large, PageSize::Size4K) => {
                self.leaf_mut(place.region)?.fill(u64::MAX);
                self.set_bit(place, false)?;
                self.set_region(place.region, Region::Split)
            }
            (Region::Split, PageSize::Size2M) => Err(MapRefusal::Split),
            (Region::Split, PageSize::Size4K) => {
                if !self.bit(place) {
                    return Err(MapRefusal::NotValid);
                }
                self.set_bit(place, false)?;
                if self
                    .leaf(place.region)
                    .is_none_or(|leaf| leaf.iter().all(|word| *word == 0))
                {
                    self.set_region(place.region, Region::Empty)?;
                }
                Ok(())
            }
        }
    }

    /// Reserves a 2 MiB page of which nothing is validated, so that it can be validated while others
    /// use the map: nobody else changes the page or counts it as validated until
    /// [`settle`](Self::settle).
    ///
    /// # Errors
    /// [`MapRefusal::Outside`], also for a 4 KiB page; [`MapRefusal::AlreadyValid`];
    /// [`MapRefusal::Reserved`].
    pub fn reserve(&mut self, page: GpaPage) -> Result<(), MapRefusal> {
        let place = self.place(page).ok_or(MapRefusal::Outside)?;
        match (self.region(place.region), page.size()) {
            (_, PageSize::Size4K) => Err(MapRefusal::Outside),
            (Region::Empty, _) => self.set_region(place.region, Region::Reserved),
            (Region::Reserved, _) => Err(MapRefusal::Reserved),
            (Region::Large | Region::Split, _) => Err(MapRefusal::AlreadyValid),
        }
    }

    /// Records what has become of a reserved page: it is validated in its size, or not at all.
    ///
    /// # Errors
    /// [`MapRefusal::Outside`], and [`MapRefusal::NotValid`] for a page that was not reserved.
    pub fn settle(&mut self, page: GpaPage, valid: bool) -> Result<(), MapRefusal> {
        let place = self.place(page).ok_or(MapRefusal::Outside)?;
        if self.region(place.region) != Region::Reserved {
            return Err(MapRefusal::NotValid);
        }
        let region = if valid { Region::Large } else { Region::Empty };
        self.set_region(place.region, region)
    }

    /// Records a range that was validated before the map existed: by the launch
    /// or by stage2. 2 MiB pages where `size` says so and the alignment allows.
    ///
    /// # Errors
    /// As [`mark_valid`](Self::mark_valid); pages before the one refused stay
    /// recorded.
    pub fn adopt(&mut self, range: GpaRange, size: PageSize) -> Result<(), MapRefusal> {
        range.pages(size).try_for_each(|page| self.mark_valid(page))
    }

    fn place(&self, page: GpaPage) -> Option<Place> {
        let number = page.gpa().get() / PAGE_4K;
        Some(Place {
            region: self.layout.index_of(number / PAGES_PER_2M)?,
            page: number % PAGES_PER_2M,
        })
    }

    fn region(&self, index: u64) -> Region {
        let (frame, word, shift) = state_position(index);
        let bits = self
            .storage
            .frame(frame)
            .and_then(|frame| frame.get(word))
            .map_or(0, |w| w >> shift);
        match bits & 0b11 {
            1 => Region::Large,
            2 => Region::Split,
            3 => Region::Reserved,
            _ => Region::Empty,
        }
    }

    fn set_region(&mut self, index: u64, region: Region) -> Result<(), MapRefusal> {
        let (frame, word, shift) = state_position(index);
        let bits: u64 = match region {
            Region::Empty => 0,
            Region::Large => 1,
            Region::Split => 2,
            Region::Reserved => 3,
        };
        let word = self
            .storage
            .frame_mut(frame)?
            .get_mut(word)
            .ok_or(MapStorageFault)?;
        *word = (*word & !(0b11 << shift)) | (bits << shift);
        Ok(())
    }

    fn bit(&self, place: Place) -> bool {
        let Some(word) = self
            .leaf(place.region)
            .and_then(|leaf| leaf.get(place.word()))
        else {
            return false;
        };
        word & place.mask() != 0
    }

    fn set_bit(&mut self, place: Place, value: bool) -> Result<(), MapRefusal> {
        let word = self
            .leaf_mut(place.region)?
            .get_mut(place.word())
            .ok_or(MapStorageFault)?;
        if value {
            *word |= place.mask();
        } else {
            *word &= !place.mask();
        }
        Ok(())
    }

    fn leaf(&self, index: u64) -> Option<&[u64]> {
        let (frame, words) = self.leaf_position(index);
        self.storage.frame(frame)?.get(words)
    }

    fn leaf_mut(&mut self, index: u64) -> Result<&mut [u64], MapStorageFault> {
        let (frame, words) = self.leaf_position(index);
        let frame: &mut MapFrame = self.storage.frame_mut(frame)?;
        frame.get_mut(words).ok_or(MapStorageFault)
    }

    fn leaf_position(&self, index: u64) -> (u64, core::ops::Range<usize>) {
        let frame = self
            .layout
            .top_frames()
            .saturating_add(index / LEAVES_PER_FRAME);
        let start = ((index % LEAVES_PER_FRAME) as usize).saturating_mul(WORDS_PER_REGION);
        (frame, start..start.saturating_add(WORDS_PER_REGION))
    }
}

/// A 4 KiB page within the map: dense region index and page in the region.
#[derive(Clone, Copy)]
struct Place {
    region: u64,
    page: u64,
}

impl Place {
    fn word(self) -> usize {
        (self.page / 64) as usize
    }

    fn mask(self) -> u64 {
        1 << (self.page % 64)
    }
}

/// Frame, word and shift of the two-bit state of a region.
fn state_position(index: u64) -> (u64, usize, u32) {
    (
        index / STATES_PER_FRAME,
        (index % STATES_PER_FRAME / STATES_PER_WORD) as usize,
        ((index % STATES_PER_WORD) as u32) << 1,
    )
}

#[cfg(test)]
mod tests;
