//! The one place where stage2 makes slices and frames out of addresses.

use core::alloc::{GlobalAlloc, Layout};

use protocols::addr::{Gpa, GpaRange, PAGE_4K};
use protocols::boot::layout::{KERNEL_AREA, LAUNCH_AREA};

use crate::paging::FrameSource;
use crate::raw;

/// Bytes of the launch area, which the launch loaded and nobody changes. `None` outside of it.
pub(crate) fn launched(range: GpaRange) -> Option<&'static [u8]> {
    if !LAUNCH_AREA.contains_range(range) {
        return None;
    }
    let start = core::ptr::with_exposed_provenance(range.start().get() as usize);
    // SAFETY: the launch area is identity-mapped and private; a page that the launch did not load
    // is a #VC, which ends the machine. stage2 writes to its own image only, which no caller reads.
    Some(unsafe { core::slice::from_raw_parts(start, range.len() as usize) })
}

/// The kernel area, once it is validated and zeroed. What is taken from it is taken once.
#[derive(Debug)]
pub(crate) struct KernelArea {
    left: GpaRange,
}

impl KernelArea {
    /// The whole area, zeroed.
    ///
    /// # Safety
    /// The area must be validated; called once.
    pub(crate) unsafe fn new_zeroed() -> Self {
        let start = core::ptr::with_exposed_provenance_mut(KERNEL_AREA.start().get() as usize);
        // SAFETY: the area is identity-mapped and, the caller says, validated and unused.
        unsafe { raw::zero(start, KERNEL_AREA.len() as usize) };
        Self { left: KERNEL_AREA }
    }

    /// First byte that is not taken from the front.
    pub(crate) const fn front(&self) -> Gpa {
        self.left.start()
    }

    /// Takes `len` bytes, rounded up to pages, from the start of what is left.
    pub(crate) fn take_front(&mut self, len: u64) -> Option<(u64, &'static mut [u8])> {
        let len = len.checked_next_multiple_of(PAGE_4K)?;
        let (start, end) = (self.left.start(), self.left.end());
        let rest = GpaRange::from_bounds(start.checked_add(len)?, end)?;
        self.left = rest;
        let pointer = core::ptr::with_exposed_provenance_mut(start.get() as usize);
        // SAFETY: the bytes are identity-mapped, private, validated, and were never taken before.
        let bytes = unsafe { core::slice::from_raw_parts_mut(pointer, len as usize) };
        Some((start.get(), bytes))
    }

    /// Takes the last `len` bytes, rounded up to pages, of what is left.
    pub(crate) fn take_back(&mut self, len: u64) -> Option<&'static mut [u8]> {
        let len = len.checked_next_multiple_of(PAGE_4K)?;
        let start = Gpa::new(self.left.end().get().checked_sub(len)?);
        let rest = GpaRange::from_bounds(self.left.start(), start)?;
        self.left = rest;
        let pointer = core::ptr::with_exposed_provenance_mut(start.get() as usize);
        // SAFETY: as in `take_front`.
        Some(unsafe { core::slice::from_raw_parts_mut(pointer, len as usize) })
    }
}

/// Frames for the kernel's page tables, all of them zero.
#[derive(Debug)]
pub(crate) struct Frames {
    next: u64,
    end: u64,
}

impl Frames {
    /// The frames in `[start, start + count)`.
    pub(crate) const fn new(start: u64, count: u64) -> Self {
        Self {
            next: start,
            end: start + count * PAGE_4K,
        }
    }
}

impl FrameSource for Frames {
    fn take_zeroed(&mut self) -> Option<u64> {
        let frame = self.next;
        if frame >= self.end {
            return None;
        }
        self.next = frame + PAGE_4K;
        Some(frame)
    }
}

/// Reads the first and last byte of each page of the kernel area (threat 11).
pub(crate) fn touch_kernel_area() {
    let range = KERNEL_AREA;
    for page in (range.start().get()..range.end().get()).step_by(PAGE_4K as usize) {
        // SAFETY: the kernel area is identity-mapped and validated.
        unsafe {
            raw::touch(core::ptr::with_exposed_provenance(page as usize));
            raw::touch(core::ptr::with_exposed_provenance(
                (page + PAGE_4K - 1) as usize,
            ));
        }
    }
}

/// The allocator of a program that allocates nothing: the monitor can, for the kernel.
struct NoHeap;

#[global_allocator]
static NO_HEAP: NoHeap = NoHeap;

// SAFETY: no block is ever handed out.
unsafe impl GlobalAlloc for NoHeap {
    unsafe fn alloc(&self, _layout: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}
}
