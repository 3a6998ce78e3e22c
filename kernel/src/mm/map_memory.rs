//! The memory of the validated-page map: reserved behind the kernel area in proportion to the RAM,
//! brought up in pieces of 2 MiB when first written, so that boot costs the same for any RAM.

use alloc::vec::Vec;
use core::ptr;

use monitor::fatal::Fatal;
use monitor::platform::{MapFrame, MapStorage, MapStorageFault};
use protocols::addr::{Gpa, GpaRange, PAGE_2M, PAGE_4K, PAGES_PER_2M};

use super::layout::OWN_BASE;
use super::own_pages;
use super::space::KernelSpace;
use crate::console::log;

/// The map's memory: frames `0..512 * pieces.len()`.
#[derive(Debug)]
pub(crate) struct MapMemory {
    base: u64,
    /// Which pieces have been brought up.
    pieces: Vec<bool>,
    space: KernelSpace,
    touch: bool,
}

impl MapMemory {
    /// The memory `[range)`, whose bounds are multiples of 2 MiB and which nothing else uses.
    /// `touch` says whether validated pages need a touch (threat 11).
    ///
    /// # Errors
    /// When there is no memory for the list of pieces.
    pub(crate) fn new(
        range: GpaRange,
        space: KernelSpace,
        touch: bool,
    ) -> Result<Self, MapStorageFault> {
        let count = usize::try_from(range.len() / PAGE_2M).map_err(|_| MapStorageFault)?;
        let mut pieces = Vec::new();
        pieces
            .try_reserve_exact(count)
            .map_err(|_| MapStorageFault)?;
        pieces.resize(count, false);
        Ok(Self {
            base: range.start().get(),
            pieces,
            space,
            touch,
        })
    }

    /// The frame's address, if its piece has been brought up.
    fn address(&self, index: u64) -> Option<usize> {
        let piece = usize::try_from(index / PAGES_PER_2M).ok()?;
        if !*self.pieces.get(piece)? {
            return None;
        }
        // The piece exists, so the sum lies inside the reserved range.
        Some((OWN_BASE + self.base + index * PAGE_4K) as usize)
    }

    fn bring_up(&mut self, piece: usize) -> Result<(), Fatal> {
        let range = PAGE_2M
            .checked_mul(piece as u64)
            .and_then(|offset| Gpa::new(self.base).checked_add(offset))
            .and_then(|start| GpaRange::new(start, PAGE_2M))
            .ok_or(Fatal::INTERNAL)?;
        own_pages::bring_up(&mut self.space, range, self.touch)
    }
}

impl MapStorage for MapMemory {
    fn frame(&self, index: u64) -> Option<&MapFrame> {
        let address = self.address(index)?;
        // SAFETY: the frame is own, private, initialised memory that only this value hands out,
        // for as long as it is borrowed itself; 4 KiB aligned; any bits are a `MapFrame`.
        Some(unsafe { &*ptr::with_exposed_provenance::<MapFrame>(address) })
    }

    fn frame_mut(&mut self, index: u64) -> Result<&mut MapFrame, MapStorageFault> {
        let piece = usize::try_from(index / PAGES_PER_2M).map_err(|_| MapStorageFault)?;
        if !*self.pieces.get(piece).ok_or(MapStorageFault)? {
            self.bring_up(piece).map_err(|fatal| {
                log!("no memory for the page map: {fatal}");
                MapStorageFault
            })?;
            *self.pieces.get_mut(piece).ok_or(MapStorageFault)? = true;
        }
        let address = self.address(index).ok_or(MapStorageFault)?;
        // SAFETY: as in `frame`, and the borrow is exclusive.
        Ok(unsafe { &mut *ptr::with_exposed_provenance_mut::<MapFrame>(address) })
    }
}
