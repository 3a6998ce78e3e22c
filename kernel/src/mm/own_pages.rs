//! The firmware's own pages as the monitor works on them. They are not in the guest window.

use core::ptr;

use monitor::accept::claim;
use monitor::fatal::Fatal;
use monitor::platform::{PvalidateOutcome, Rmp, RmpadjustFail};
use monitor::psc;
use protocols::addr::{GpaPage, GpaRange, PAGE_2M, PAGE_4K, PageSize};
use protocols::ghcb::{Ghcb, PscOperation, RampartReason};
use protocols::snp::{Rights, RmpAttributes, RmpResult, Vmpl};

use super::layout::OWN_BASE;
use super::raw;
use super::space::KernelSpace;
use crate::arch::instructions;
use crate::ghcb::Transport;
use crate::platform::outcome;

/// Brings up own memory that nothing has used yet: page-state change, PVALIDATE, touch, zero. The
/// bounds of `range` are multiples of 2 MiB; it is mapped at [`OWN_BASE`] afterwards. `touch` says
/// whether validated pages need a touch (threat 11).
///
/// # Errors
/// [`Fatal`] when host or processor do not play along, and for want of page tables.
pub(super) fn bring_up(space: &mut KernelSpace, range: GpaRange, touch: bool) -> Result<(), Fatal> {
    let pages = range.pages(PageSize::Size2M);
    let mut ghcb = Ghcb::zeroed();
    psc::change(
        &mut Transport,
        &mut ghcb,
        pages.clone(),
        PscOperation::PRIVATE,
    )?;
    for page in pages {
        let va = space
            .map_own_piece(page.gpa().get())
            .map_err(|_| Fatal::new(RampartReason::OutOfMemory))?;
        let _ = claim(&mut OwnPages, page)?;
        let base: *mut u8 = ptr::with_exposed_provenance_mut(va as usize);
        // SAFETY: the piece is mapped, private and validated, and no reference to it exists yet.
        unsafe {
            if touch {
                for at in (0..PAGE_2M as usize).step_by(PAGE_4K as usize) {
                    raw::touch(base.wrapping_add(at));
                    raw::touch(base.wrapping_add(at + PAGE_4K as usize - 1));
                }
            }
            raw::zero(base, PAGE_2M as usize);
        }
    }
    Ok(())
}

/// Pages that are mapped at [`OWN_BASE`] and that nothing uses: those of the page map before it has
/// them, and those of another CPU before it starts.
pub(super) struct OwnPages;

impl Rmp for OwnPages {
    fn pvalidate(&mut self, page: GpaPage, validate: bool) -> PvalidateOutcome {
        let va = OWN_BASE.wrapping_add(page.gpa().get());
        let huge = page.size() == PageSize::Size2M;
        // SAFETY: only this file and `ap_memory` have a value of this type; they name mapped pages of
        // their own that nothing refers to.
        outcome(unsafe { instructions::pvalidate(va, huge, validate) })
    }

    /// No lower level ever gets a right to the firmware's own pages.
    fn rmpadjust(
        &mut self,
        page: GpaPage,
        target: Vmpl,
        rights: Rights,
        vmsa: bool,
    ) -> Result<(), RmpadjustFail> {
        if !rights.is_empty() {
            return Err(RmpadjustFail::Fault);
        }
        let va = OWN_BASE.wrapping_add(page.gpa().get());
        let huge = page.size() == PageSize::Size2M;
        let attributes = RmpAttributes::new(target, rights, vmsa);
        // SAFETY: as above; a right is only ever taken away.
        match unsafe { instructions::rmpadjust(va, huge, attributes.bits()) } {
            0 => Ok(()),
            code => Err(RmpadjustFail::Code(RmpResult(code))),
        }
    }
}
