//! The kernel's address space after the hand-off: stage2's tables, taken over and extended.

use protocols::addr::{Gpa, GpaPage, GpaRange};

use super::layout::{OWN_BASE, PAGE_2M, PAGE_4K, SHARED_BASE};
use super::paging::{Access, FrameSource, PageTables, PagingError, Sharing, Size};
use super::window::GuestWindow;
use super::{heap, raw};
use crate::arch::{cpu, guard_pages};

/// Frames kept for page tables: enough for windows of tens of TiB and map memory of a TiB of RAM.
/// The tables of other CPUs' stacks come out of those CPUs' memory.
const TABLE_FRAMES: u64 = 96;

/// Free frames at the start of the memory that stage2 left over.
#[derive(Debug)]
struct Frames {
    next: u64,
    end: u64,
}

impl FrameSource for Frames {
    fn take_zeroed(&mut self) -> Option<u64> {
        let frame = self.next;
        if frame >= self.end {
            return None;
        }
        self.next = frame.checked_add(PAGE_4K)?;
        // SAFETY: the frame is own memory, mapped at OWN_BASE, and was handed to nobody yet.
        unsafe {
            raw::zero(
                core::ptr::with_exposed_provenance_mut((OWN_BASE + frame) as usize),
                PAGE_4K as usize,
            );
        }
        Some(frame)
    }
}

/// The page tables in use, and the frames to extend them with. One value exists.
#[derive(Debug)]
pub(crate) struct KernelSpace {
    tables: PageTables,
    frames: Frames,
}

impl KernelSpace {
    /// Takes over the tables that stage2 built and gives the heap its memory: `free` without the
    /// frames for tables. Drops stage2's identity mapping and the guard pages of the stacks.
    ///
    /// # Errors
    /// [`PagingError::OutOfFrames`] when `free` is too small.
    ///
    /// # Safety
    /// Called once, with the root of the current tables, which stage2 built, and with `free` as its
    /// hand-off says: 4 KiB aligned own memory, mapped at [`OWN_BASE`], used by nothing. `c_bit` is the C-bit's mask.
    pub(crate) unsafe fn take_over(
        root: u64,
        free: GpaRange,
        c_bit: u64,
    ) -> Result<Self, PagingError> {
        let start = free.start().get();
        let heap_start = start
            .checked_add(TABLE_FRAMES * PAGE_4K)
            .ok_or(PagingError::OutOfFrames)?;
        let heap_size = free
            .end()
            .get()
            .checked_sub(heap_start)
            .ok_or(PagingError::OutOfFrames)?;
        // SAFETY: these are the current tables; stage2 put them into own memory, which is mapped
        // at OWN_BASE, and stage2 is gone.
        let mut tables = unsafe { PageTables::new(root, OWN_BASE, c_bit) };
        tables.drop_slot(0);
        for guard in guard_pages() {
            tables.unmap(guard, Size::Page4K)?;
        }
        cpu::flush_all();
        // SAFETY: the rest of `free` is own memory that nothing uses.
        unsafe { heap::init(OWN_BASE + heap_start, heap_size) };
        Ok(Self {
            tables,
            frames: Frames {
                next: start,
                end: heap_start,
            },
        })
    }

    /// Maps the guest window; see [`GuestWindow`].
    ///
    /// # Errors
    /// [`PagingError`].
    pub(crate) fn map_guest(
        &mut self,
        top: u64,
        hole: GpaRange,
    ) -> Result<GuestWindow, PagingError> {
        GuestWindow::map(top, hole, &mut self.tables, &mut self.frames)
    }

    /// A zeroed frame of own memory that the guest window shows too, for a VMSA of VMPL0's making.
    ///
    /// # Errors
    /// [`PagingError`].
    pub(crate) fn vmsa_frame(&mut self, window: &mut GuestWindow) -> Result<GpaPage, PagingError> {
        // Frames come from the kernel area behind its image, so only the first of a 2 MiB piece
        // could be aligned to that; a VMSA there is an erratum of some parts (threat 41).
        loop {
            let gpa = self.frames.take_zeroed().ok_or(PagingError::OutOfFrames)?;
            let page = GpaPage::new_4k(Gpa::new(gpa)).ok_or(PagingError::BadAddress)?;
            if !gpa.is_multiple_of(PAGE_2M) {
                window.show_frame(page, &mut self.tables, &mut self.frames)?;
                return Ok(page);
            }
        }
    }

    /// Maps a page of own memory a second time, as a stack, with tables from `frames`.
    ///
    /// # Errors
    /// [`PagingError`].
    pub(super) fn map_private(
        &mut self,
        va: u64,
        gpa: u64,
        frames: &mut dyn FrameSource,
    ) -> Result<(), PagingError> {
        let (access, sharing) = (Access::Write, Sharing::Private);
        self.tables
            .map(va, gpa, Size::Page4K, access, sharing, frames)
    }

    /// Maps a page that is or will be shared with the host, with tables from `frames`.
    ///
    /// # Errors
    /// [`PagingError`].
    pub(super) fn map_shared(
        &mut self,
        va: u64,
        gpa: u64,
        frames: &mut dyn FrameSource,
    ) -> Result<(), PagingError> {
        let (access, sharing) = (Access::Write, Sharing::Shared);
        self.tables
            .map(va, gpa, Size::Page4K, access, sharing, frames)
    }

    /// Maps a page of the launch area that is shared with the host, and not only seen as private
    /// memory.
    ///
    /// # Errors
    /// [`PagingError`].
    pub(super) fn map_shared_launched(&mut self, va: u64, gpa: u64) -> Result<(), PagingError> {
        let (access, sharing) = (Access::Write, Sharing::Shared);
        self.tables
            .map(va, gpa, Size::Page4K, access, sharing, &mut self.frames)
    }

    /// Writes zeros over `len` bytes from `gpa` on, in a page that the launch has loaded and that
    /// nobody can write but for this moment. Both are multiples of 8.
    ///
    /// # Errors
    /// [`PagingError`], also when the bytes are not in one page.
    pub(super) fn wipe_launched(&mut self, gpa: u64, len: usize) -> Result<(), PagingError> {
        let offset = gpa % PAGE_4K;
        let whole = (len as u64)
            .checked_add(offset)
            .is_some_and(|end| end <= PAGE_4K);
        if !whole || !gpa.is_multiple_of(8) || !len.is_multiple_of(8) {
            return Err(PagingError::BadAddress);
        }
        let page = gpa - offset;
        // Beside the page's pages that are shared for good, where the tables are there.
        let (va, access, sharing) = (SHARED_BASE + page, Access::Write, Sharing::Private);
        self.tables
            .map(va, page, Size::Page4K, access, sharing, &mut self.frames)?;
        let to = core::ptr::with_exposed_provenance_mut((va + offset) as usize);
        // SAFETY: the page is the launch's and mapped writable there now; those who
        // read it copy it or are done with it.
        unsafe { raw::zero(to, len) };
        self.tables.unmap(va, Size::Page4K)?;
        cpu::flush_all();
        Ok(())
    }

    /// Maps 2 MiB of own memory that is not validated yet; its address is [`OWN_BASE`] + `gpa`.
    ///
    /// # Errors
    /// [`PagingError`].
    pub(super) fn map_own_piece(&mut self, gpa: u64) -> Result<u64, PagingError> {
        let va = OWN_BASE.checked_add(gpa).ok_or(PagingError::BadAddress)?;
        self.tables.map(
            va,
            gpa,
            Size::Page2M,
            Access::Write,
            Sharing::Private,
            &mut self.frames,
        )?;
        Ok(va)
    }
}
