//! The heap: one region of the kernel area. What VMPL0 allocates for itself may fail with an error.
//! The TPM allocates without asking, so it is made only where there is room for the most that it can
//! use ([`free`]).

use alloc::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use linked_list_allocator::Heap;
use spin::Mutex;

struct LockedHeap(Mutex<Heap>);

#[global_allocator]
static HEAP: LockedHeap = LockedHeap(Mutex::new(Heap::empty()));

// SAFETY: `Heap` hands out disjoint, aligned blocks of the region that `init` gave it and takes
// back only what it gave; the lock serialises it. No exception handler allocates, so none re-enters.
unsafe impl GlobalAlloc for LockedHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0
            .lock()
            .allocate_first_fit(layout)
            .map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the caller gives back a block of this allocator with its own layout.
            unsafe { self.0.lock().deallocate(block, layout) }
        }
    }
}

/// Bytes that are free now.
pub(crate) fn free() -> usize {
    HEAP.0.lock().free()
}

/// Gives the heap its memory.
///
/// # Safety
/// `[base, base + size)` must be mapped writable, used by nothing else from now on for ever; called
/// once.
pub(super) unsafe fn init(base: u64, size: u64) {
    let start = ptr::with_exposed_provenance_mut(base as usize);
    // SAFETY: the caller vouches for the region.
    unsafe { HEAP.0.lock().init(start, size as usize) }
}
