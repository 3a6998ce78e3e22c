//! A 4 KiB page of guest memory that was found in the window: what each request of a vCPU touches is
//! reached without looking it up again.

use monitor::platform::AccessFault;
use protocols::addr::Gpa;

use super::layout::{PAGE_4K, WINDOW_BASE};
use super::raw;

/// The page's place in the window. By copy and by atomic operation only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowPage(usize);

impl WindowPage {
    /// The page at `base`.
    ///
    /// # Safety
    /// The window must show it, for ever, and no Rust reference may point into it.
    pub(super) unsafe fn new(base: *mut u8) -> Self {
        Self(base.expose_provenance())
    }

    /// What to say when `offset` was wrong.
    pub(crate) fn fault(self) -> AccessFault {
        AccessFault(Gpa::new((self.0 as u64).wrapping_sub(WINDOW_BASE)))
    }

    /// Reads the quadword at `offset`, once. `None` for an offset that is no multiple of 8 or
    /// outside the page.
    #[inline]
    pub(crate) fn load(self, offset: usize) -> Option<u64> {
        // SAFETY: aligned, and in a page that `new`'s contract says is mapped.
        self.quadword(offset).map(|at| unsafe { raw::load(at) })
    }

    /// Writes the quadword at `offset`, once. `None` as for [`load`](Self::load).
    #[inline]
    pub(crate) fn store(self, offset: usize, value: u64) -> Option<()> {
        let at = self.quadword(offset)?;
        // SAFETY: as in `load`.
        unsafe { raw::store(at, value) };
        Some(())
    }

    /// Atomic exchange of one byte. `None` for an offset outside the page.
    #[inline]
    pub(crate) fn exchange(self, offset: usize, new: u8) -> Option<u8> {
        // SAFETY: in a page that `new`'s contract says is mapped.
        self.byte(offset)
            .map(|at| unsafe { raw::exchange(at, new) })
    }

    /// Atomically makes the byte (byte AND `keep`) OR `set`; returns what was there. `None` for an
    /// offset outside the page.
    #[inline]
    pub(crate) fn modify(self, offset: usize, keep: u8, set: u8) -> Option<u8> {
        // SAFETY: as in `exchange`.
        self.byte(offset)
            .map(|at| unsafe { raw::modify(at, keep, set) })
    }

    #[inline]
    fn quadword(self, offset: usize) -> Option<*mut u64> {
        let at = self.byte(offset)?.cast();
        offset.is_multiple_of(8).then_some(at)
    }

    #[inline]
    fn byte(self, offset: usize) -> Option<*mut u8> {
        if offset as u64 >= PAGE_4K {
            return None;
        }
        Some(core::ptr::with_exposed_provenance_mut(
            self.0.wrapping_add(offset),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(4096))]
    struct Page([u64; 512]);

    #[test]
    fn accesses_stay_inside_the_page_and_are_aligned() {
        let mut memory = Page([0; 512]);
        // SAFETY: the memory outlives the page, and is looked at through it only.
        let page = unsafe { WindowPage::new((&raw mut memory).cast()) };
        assert_eq!(page.store(0xff8, 0x1122_3344_5566_7788), Some(()));
        assert_eq!(page.load(0xff8), Some(0x1122_3344_5566_7788));
        assert_eq!(page.exchange(0xfff, 0x99), Some(0x11));
        assert_eq!(page.modify(0xffe, 0xf0, 0x01), Some(0x22));
        assert_eq!(page.load(0xff8), Some(0x9921_3344_5566_7788));
        for offset in [1, 4, 0xff9, 0x1000, 0x1008, usize::MAX - 7] {
            assert_eq!(page.load(offset), None, "{offset:#x}");
            assert_eq!(page.store(offset, 0), None, "{offset:#x}");
        }
        for offset in [0x1000, usize::MAX] {
            assert_eq!(page.exchange(offset, 0), None, "{offset:#x}");
            assert_eq!(page.modify(offset, 0, 0), None, "{offset:#x}");
        }
    }
}
