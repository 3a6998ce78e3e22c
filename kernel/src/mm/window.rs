//! The guest window: all guest physical memory but the firmware's own range, private (C = 1) and
//! never executable. Only copies go through it, no reference ever comes out of it.
//!
//! Linear, so that a request costs no mapping and no TLB flush. 1 GiB pages keep its tables
//! independent of the size of the RAM but for one PDPT per 512 GiB.

use protocols::addr::{Gpa, GpaPage, GpaRange, PageSize};

use super::layout::{PAGE_1G, PAGE_2M, PAGE_4K, WINDOW_BASE, WINDOW_SIZE};
use super::paging::{Access, FrameSource, PageTables, PagingError, Sharing, Size};
use super::raw;
use super::window_page::WindowPage;
use crate::instructions::{self, PvalidateRaw};

/// The window, once it is mapped. The only way to guest memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GuestWindow {
    /// One above the highest address that is mapped.
    top: u64,
    /// Left out of the window: the firmware's range.
    hole: Bounds,
    /// The one page in the hole that is shown: the VMSA that VMPL0 makes for the guest's start.
    frame: Bounds,
}

/// First address, and the one behind the last: what every access is compared with.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    start: u64,
    end: u64,
}

impl Bounds {
    fn of(range: GpaRange) -> Self {
        Self {
            start: range.start().get(),
            end: range.end().get(),
        }
    }

    const fn contain(self, start: u64, end: u64) -> bool {
        self.start <= start && end <= self.end
    }
}

impl GuestWindow {
    /// Maps guest memory up to `top` (rounded up to 1 GiB) without `hole`, whose bounds are
    /// multiples of 2 MiB.
    ///
    /// # Errors
    /// [`PagingError::BadAddress`] for a `top` above [`WINDOW_SIZE`], and out of frames.
    pub(super) fn map(
        top: u64,
        hole: GpaRange,
        tables: &mut PageTables,
        frames: &mut dyn FrameSource,
    ) -> Result<Self, PagingError> {
        let top = top
            .checked_next_multiple_of(PAGE_1G)
            .ok_or(PagingError::BadAddress)?;
        if top > WINDOW_SIZE {
            return Err(PagingError::BadAddress);
        }
        for base in (0..top).step_by(PAGE_1G as usize) {
            if !intersects(hole, base, PAGE_1G) {
                map_one(base, Size::Page1G, tables, frames)?;
                continue;
            }
            for base in (base..base + PAGE_1G).step_by(PAGE_2M as usize) {
                if !intersects(hole, base, PAGE_2M) {
                    map_one(base, Size::Page2M, tables, frames)?;
                }
            }
        }
        Ok(Self {
            top,
            hole: Bounds::of(hole),
            frame: Bounds::of(GpaRange::default()),
        })
    }

    /// The window's address of `[gpa, gpa + len)`, `None` when any of it is not mapped.
    #[inline(always)]
    fn pointer(&self, gpa: Gpa, len: usize) -> Option<*mut u8> {
        let start = gpa.get();
        let end = start.checked_add(len as u64)?;
        let beside = end <= self.hole.start || start >= self.hole.end;
        if end > self.top || !(beside || self.frame.contain(start, end)) {
            return None;
        }
        // Below `top`, so the sum stays in the window.
        Some(core::ptr::with_exposed_provenance_mut(
            WINDOW_BASE.wrapping_add(start) as usize,
        ))
    }

    /// Shows one page of the hole.
    ///
    /// # Errors
    /// [`PagingError`]; also for a second one.
    pub(super) fn show_frame(
        &mut self,
        page: GpaPage,
        tables: &mut PageTables,
        frames: &mut dyn FrameSource,
    ) -> Result<(), PagingError> {
        let new = Bounds::of(page.range());
        if self.frame.end != 0 || !self.hole.contain(new.start, new.end) {
            return Err(PagingError::Occupied);
        }
        map_one(page.gpa().get(), Size::Page4K, tables, frames)?;
        self.frame = new;
        Ok(())
    }

    /// A 4 KiB page for accesses that need no further check; `None` outside the window.
    #[must_use]
    pub(crate) fn page(&self, gpa: Gpa) -> Option<WindowPage> {
        let page = GpaPage::new_4k(gpa)?;
        let base = self.pointer(gpa, page.bytes() as usize)?;
        // SAFETY: the page is mapped, and the window never gives up what it has mapped.
        Some(unsafe { WindowPage::new(base) })
    }

    /// Copies `to.len()` bytes out of guest memory, each byte read once; `None` outside the window.
    #[must_use]
    pub(crate) fn read(&self, gpa: Gpa, to: &mut [u8]) -> Option<()> {
        let from = self.pointer(gpa, to.len())?;
        // SAFETY: the range is mapped by the window, which no Rust reference points into; `to` is
        // the caller's own.
        unsafe { raw::copy(to.as_mut_ptr(), from, to.len()) };
        Some(())
    }

    /// Copies `from` to guest memory, each byte written once; `None` outside the window.
    #[must_use]
    pub(crate) fn write(&self, gpa: Gpa, from: &[u8]) -> Option<()> {
        let to = self.pointer(gpa, from.len())?;
        // SAFETY: as in `read`.
        unsafe { raw::copy(to, from.as_ptr(), from.len()) };
        Some(())
    }

    /// Fills a page with zeros; `None` outside the window.
    #[must_use]
    pub(crate) fn zero(&self, page: GpaPage) -> Option<()> {
        let len = page.bytes() as usize;
        let to = self.pointer(page.gpa(), len)?;
        // SAFETY: as in `read`; a page is a multiple of 8 bytes.
        unsafe { raw::zero(to, len) };
        Some(())
    }

    /// Reads the first and the last byte of each 4 KiB of the page (CVE-2025-38560).
    #[must_use]
    pub(crate) fn touch(&self, page: GpaPage) -> Option<()> {
        let len = page.bytes() as usize;
        let base = self.pointer(page.gpa(), len)?;
        for offset in (0..len).step_by(PAGE_4K as usize) {
            // SAFETY: as in `read`; both bytes are inside the page.
            unsafe {
                raw::touch(base.wrapping_add(offset));
                raw::touch(base.wrapping_add(offset + PAGE_4K as usize - 1));
            }
        }
        Some(())
    }

    /// PVALIDATE of a page of guest memory; `None` outside the window.
    pub(crate) fn pvalidate(&self, page: GpaPage, validate: bool) -> Option<PvalidateRaw> {
        let va = self.pointer(page.gpa(), page.bytes() as usize)? as u64;
        let huge = page.size() == PageSize::Size2M;
        // SAFETY: the page is guest memory: nothing that Rust holds lies in the window, and its
        // contents are read by copy only.
        Some(unsafe { instructions::pvalidate(va, huge, validate) })
    }

    /// RMPADJUST of a page of guest memory; `None` outside the window.
    pub(crate) fn rmpadjust(&self, page: GpaPage, rdx: u64) -> Option<u32> {
        let va = self.pointer(page.gpa(), page.bytes() as usize)? as u64;
        let huge = page.size() == PageSize::Size2M;
        // SAFETY: as in `pvalidate`: of the firmware's own memory only the frame of a guest's VMSA is
        // in the window, and Rust holds nothing in it.
        Some(unsafe { instructions::rmpadjust(va, huge, rdx) })
    }
}

fn intersects(hole: GpaRange, base: u64, len: u64) -> bool {
    GpaRange::new(Gpa::new(base), len).is_none_or(|range| range.overlaps(hole))
}

fn map_one(
    base: u64,
    size: Size,
    tables: &mut PageTables,
    frames: &mut dyn FrameSource,
) -> Result<(), PagingError> {
    tables.map(
        WINDOW_BASE + base,
        base,
        size,
        Access::Write,
        Sharing::Private,
        frames,
    )
}

#[cfg(test)]
mod tests {
    use super::super::paging::tests::{C, Pool, tables, walk};
    use super::*;

    const FIRMWARE: u64 = 0x1800_0000;
    const FIRMWARE_END: u64 = 0x18A0_0000;

    fn window(pool: &mut Pool) -> (GuestWindow, PageTables) {
        let mut tables = tables(pool);
        let hole = GpaRange::from_bounds(Gpa::new(FIRMWARE), Gpa::new(FIRMWARE_END)).unwrap();
        let top = 3 * PAGE_1G + 5;
        (
            GuestWindow::map(top, hole, &mut tables, pool).unwrap(),
            tables,
        )
    }

    fn mapped(pool: &Pool, gpa: u64) -> Option<u64> {
        let (entry, shift) = walk(pool, WINDOW_BASE + gpa)?;
        assert_ne!(entry & C, 0, "a window is private");
        assert_ne!(entry >> 63, 0, "a window is not executable");
        let base = entry & 0x0007_FFFF_FFFF_F000 & !((1 << shift) - 1);
        Some(base | gpa & ((1 << shift) - 1))
    }

    #[test]
    fn everything_but_the_firmware_is_shown_at_its_place() {
        let mut pool = Pool::new(8);
        let _ = window(&mut pool);
        for gpa in [
            0,
            0x1234,
            FIRMWARE - 1,
            FIRMWARE_END,
            PAGE_1G,
            4 * PAGE_1G - 1,
        ] {
            assert_eq!(mapped(&pool, gpa), Some(gpa), "{gpa:#x}");
        }
        for gpa in [FIRMWARE, FIRMWARE + PAGE_2M, FIRMWARE_END - 1, 4 * PAGE_1G] {
            assert_eq!(mapped(&pool, gpa), None, "{gpa:#x}");
        }
    }

    #[test]
    fn an_access_that_touches_the_firmware_or_the_end_is_refused() {
        let mut pool = Pool::new(8);
        let (window, _) = window(&mut pool);
        let shown = |gpa, len| window.pointer(Gpa::new(gpa), len).is_some();
        assert!(shown(FIRMWARE - 8, 8));
        assert!(!shown(FIRMWARE - 8, 9));
        assert!(!shown(FIRMWARE + 0x5000, 1));
        assert!(!shown(FIRMWARE_END - 1, 1));
        assert!(shown(FIRMWARE_END, 4096));
        assert!(shown(4 * PAGE_1G - 1, 1));
        assert!(!shown(4 * PAGE_1G - 1, 2));
        assert!(!shown(u64::MAX, 1));
        assert!(!shown(u64::MAX - 1, 4));
    }

    #[test]
    fn one_frame_of_the_firmware_can_be_shown() {
        let mut pool = Pool::new(8);
        let (mut window, mut tables) = window(&mut pool);
        let page = |gpa| GpaPage::new_4k(Gpa::new(gpa)).unwrap();
        let outside = window.show_frame(page(FIRMWARE_END), &mut tables, &mut pool);
        assert_eq!(outside, Err(PagingError::Occupied));
        let frame = FIRMWARE + 0x5000;
        window
            .show_frame(page(frame), &mut tables, &mut pool)
            .unwrap();
        assert_eq!(mapped(&pool, frame), Some(frame));
        assert!(window.pointer(Gpa::new(frame), 4096).is_some());
        assert!(window.pointer(Gpa::new(frame), 4097).is_none());
        assert!(window.pointer(Gpa::new(frame - 1), 2).is_none());
        let second = window.show_frame(page(frame + PAGE_4K), &mut tables, &mut pool);
        assert_eq!(second, Err(PagingError::Occupied));
    }
}
