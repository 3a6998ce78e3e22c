//! The pages that a guest firmware comes through which is not in the image: shared with the host,
//! reached by copy only.

use core::sync::atomic::{AtomicBool, Ordering};

use monitor::fatal::Fatal;
use monitor::platform::TransferPages;
use monitor::psc;
use protocols::addr::{Gpa, GpaPage, GpaRange, PageSize};
use protocols::boot::layout::{TRANSFER_PAGES, TRANSFER_PAGES_SIZE};
use protocols::ghcb::{Ghcb, PscOperation, RampartReason};

use super::layout::SHARED_BASE;
use super::raw;
use super::space::KernelSpace;
use crate::ghcb::Transport;

const LEN: usize = TRANSFER_PAGES_SIZE as usize;

static SHARED: AtomicBool = AtomicBool::new(false);

/// The firmware's set of these pages. One value exists. They stay with the host: nothing uses them
/// afterwards, and taking them back would cost an exit.
#[derive(Debug)]
pub(crate) struct Transfer(());

impl Transfer {
    /// Shares the pages with the host. The launch does not load them, by the measured header's
    /// check, and nobody has validated them.
    ///
    /// # Errors
    /// [`Fatal`] when the host refuses; also on a second call.
    #[inline(never)]
    pub(crate) fn share(space: &mut KernelSpace, ghcb: &mut Ghcb) -> Result<Self, Fatal> {
        if SHARED.swap(true, Ordering::Relaxed) {
            return Err(Fatal::INTERNAL);
        }
        let pages = GpaRange::new(Gpa::new(TRANSFER_PAGES), TRANSFER_PAGES_SIZE)
            .ok_or(Fatal::INTERNAL)?
            .pages(PageSize::Size4K);
        psc::change(&mut Transport, ghcb, pages.clone(), PscOperation::SHARED)?;
        for page in pages.map(GpaPage::gpa) {
            space
                .map_shared_launched(SHARED_BASE + page.get(), page.get())
                .map_err(|_| Fatal::new(RampartReason::OutOfMemory))?;
        }
        Ok(Self(()))
    }
}

/// Address of the byte at `offset`, and how many of `len` bytes there are from it on.
fn at(offset: usize, len: usize) -> (usize, usize) {
    let offset = offset.min(LEN);
    (
        (SHARED_BASE + TRANSFER_PAGES) as usize + offset,
        len.min(LEN - offset),
    )
}

impl TransferPages for Transfer {
    fn gpa(&self) -> Gpa {
        Gpa::new(TRANSFER_PAGES)
    }

    fn size(&self) -> usize {
        LEN
    }

    fn write(&mut self, offset: usize, from: &[u8]) {
        let (to, len) = at(offset, from.len());
        // SAFETY: `share` has mapped all of these pages, `len` ends in them and in `from`, and
        // nothing refers to them.
        unsafe {
            raw::copy(
                core::ptr::with_exposed_provenance_mut(to),
                from.as_ptr(),
                len,
            )
        }
    }

    fn read(&mut self, offset: usize, to: &mut [u8]) {
        let (from, len) = at(offset, to.len());
        // SAFETY: as for `write`.
        unsafe {
            raw::copy(
                to.as_mut_ptr(),
                core::ptr::with_exposed_provenance(from),
                len,
            )
        }
    }
}
