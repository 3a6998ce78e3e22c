//! The firmware's own pages as the monitor works on them. They are not in the guest window.

use monitor::platform::{PvalidateOutcome, Rmp, RmpadjustFail};
use protocols::addr::{GpaPage, PageSize};
use protocols::snp::{Rights, RmpAttributes, RmpResult, Vmpl};

use super::layout::OWN_BASE;
use crate::arch::instructions;
use crate::platform::outcome;

/// Pages that are mapped at [`OWN_BASE`] and that nothing uses: those of the page map before it has
/// them, and those of another CPU before it starts.
pub(super) struct OwnPages;

impl Rmp for OwnPages {
    fn pvalidate(&mut self, page: GpaPage, validate: bool) -> PvalidateOutcome {
        let va = OWN_BASE.wrapping_add(page.gpa().get());
        let huge = page.size() == PageSize::Size2M;
        // SAFETY: only `map_memory` and `ap_memory` have a value of this type; they name mapped
        // pages of their own that nothing refers to.
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
