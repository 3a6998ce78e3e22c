//! A GHCB page: memory shared with the host, reached by copy only. stage2 compiles this same file.
//!
//! Every byte crosses once in each direction, so that what is checked is what is used (threat 16).
//! The valid bitmap of the shared page is replaced by the request's before each exit, so that no
//! answer of an earlier exit counts again (threat 17).

use protocols::ghcb::{Ghcb, MSR_GHCB, SHARED_BUFFER_OFFSET, SHARED_BUFFER_SIZE};
use zerocopy::IntoBytes;

use super::raw;
use crate::instructions;

/// End of the save area, valid bitmap included.
const SAVE_AREA_END: usize = 0x400;
/// Protocol version and usage, with the reserved bytes before them.
const TAIL: core::ops::Range<usize> = 0xFF0..0x1000;

/// One 4 KiB page that the host sees and changes at will.
#[derive(Debug)]
pub(crate) struct GhcbPage {
    gpa: u64,
    va: u64,
}

impl GhcbPage {
    /// The page at `gpa`, mapped at `va`.
    ///
    /// # Safety
    /// The page must be shared with the host, registered as this CPU's GHCB, mapped writable with
    /// C = 0 at `va`, and hold nothing that Rust refers to. One value a page.
    pub(crate) const unsafe fn new(gpa: u64, va: u64) -> Self {
        Self { gpa, va }
    }

    /// Guest physical address of the page.
    pub(crate) const fn gpa(&self) -> u64 {
        self.gpa
    }

    /// Copies the request and the first `buffer` bytes of its shared buffer to the page, leaves,
    /// and copies the same parts back.
    pub(crate) fn exchange(&mut self, ghcb: &mut Ghcb, buffer: usize) {
        let buffer = SHARED_BUFFER_OFFSET..SHARED_BUFFER_OFFSET + buffer.min(SHARED_BUFFER_SIZE);
        let bytes = ghcb.as_mut_bytes();
        let parts = [0..SAVE_AREA_END, buffer, TAIL];
        for part in &parts {
            if let Some(from) = bytes.get(part.clone()) {
                // SAFETY: every part lies inside the 4 KiB that `new`'s contract says are mapped,
                // and nothing refers to them.
                unsafe { raw::copy(self.pointer(part.start), from.as_ptr(), from.len()) }
            }
        }
        // SAFETY: the page is registered and holds a request.
        unsafe {
            instructions::wrmsr(MSR_GHCB, self.gpa);
            instructions::vmgexit();
        }
        for part in parts {
            let start = part.start;
            if let Some(to) = bytes.get_mut(part) {
                // SAFETY: as above.
                unsafe { raw::copy(to.as_mut_ptr(), self.pointer(start), to.len()) }
            }
        }
    }

    fn pointer(&self, offset: usize) -> *mut u8 {
        core::ptr::with_exposed_provenance_mut((self.va as usize).wrapping_add(offset))
    }
}
