//! The machine's heap and its frames for page tables and backing pages.
//!
//! The reserve, from its base: image and stack, heap, frames, page tables.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

use linked_list_allocator::Heap;
use spin::Mutex;

use super::layout::{IMAGE_VMA, TABLES_OFFSET};
use super::phys;

const HEAP_OFFSET: u64 = 0x40_0000;
const FRAMES_OFFSET: u64 = 0x200_0000;
const FRAME: u64 = 0x1000;

struct MachineHeap(Mutex<Heap>);

#[global_allocator]
static HEAP: MachineHeap = MachineHeap(Mutex::new(Heap::empty()));

// SAFETY: the inner allocator hands out disjoint blocks of memory that nothing
// else uses; one lock orders its calls.
unsafe impl GlobalAlloc for MachineHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0
            .lock()
            .allocate_first_fit(layout)
            .map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let Some(pointer) = NonNull::new(pointer) {
            // SAFETY: the caller hands back what `alloc` gave for this layout.
            unsafe { self.0.lock().deallocate(pointer, layout) }
        }
    }
}

/// Gives the heap its memory. To be called once, before the first allocation.
pub(crate) fn init() {
    let start = (IMAGE_VMA + HEAP_OFFSET) as *mut u8;
    // SAFETY: this part of the reserve is mapped, is used for nothing else, and
    // this is the one call.
    unsafe {
        HEAP.0
            .lock()
            .init(start, (FRAMES_OFFSET - HEAP_OFFSET) as usize)
    }
}

/// Physical frames out of the reserve: backing pages from one end, page-table
/// frames, which can all be given back at once, from the other.
pub(crate) struct Frames {
    low: u64,
    high: u64,
    top: u64,
}

impl Frames {
    /// All frames of the reserve.
    pub(crate) fn new() -> Self {
        let base = phys::machine_base();
        let top = base + TABLES_OFFSET;
        Self {
            low: base + FRAMES_OFFSET,
            high: top,
            top,
        }
    }

    /// `len` contiguous bytes, zeroed, aligned to 2 MiB if at least as long. Never given back.
    pub(crate) fn backing(&mut self, len: u64) -> Option<u64> {
        let align = if len >= 0x20_0000 { 0x20_0000 } else { FRAME };
        let start = self.low.next_multiple_of(align);
        let end = start.checked_add(len.next_multiple_of(FRAME))?;
        if end > self.high {
            return None;
        }
        self.low = end;
        phys::fill(start, end - start, 0);
        Some(start)
    }

    /// One zeroed frame for a page table, or none: then `reset_tables` is due.
    pub(crate) fn table(&mut self) -> Option<u64> {
        let frame = self.high.checked_sub(FRAME)?;
        if frame < self.low {
            return None;
        }
        self.high = frame;
        phys::fill(frame, FRAME, 0);
        Some(frame)
    }

    /// Takes every page-table frame back.
    pub(crate) fn reset_tables(&mut self) {
        self.high = self.top;
    }
}
