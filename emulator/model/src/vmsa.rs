//! Entering and leaving a VMSA: the part of VMRUN that concerns the table.

use protocols::addr::PageSize;
use protocols::snp::EFER_SVME;

use crate::rmp::Rmp;
use crate::types::{Asid, Spa};

/// Why VMRUN does not enter a VMSA. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryRefused {
    /// Exit code −1, VMEXIT_INVALID: no VMSA of this guest, or EFER.SVME is clear.
    Invalid,
    /// Exit code −2, VMEXIT_BUSY: another vCPU is running from the page.
    Busy,
}

/// Enters the page at `spa` as a VMSA of the guest and marks it in use.
///
/// `efer` is EFER of the VMSA. Until [`leave`], no change of the page's entry
/// succeeds: RMPUPDATE and RMPADJUST end with FAIL_INUSE.
///
/// # Errors
/// [`EntryRefused::Invalid`] unless the page is a validated (?) 4 KiB page of this
/// guest with the VMSA bit; then [`EntryRefused::Busy`]; then
/// [`EntryRefused::Invalid`] when EFER.SVME is clear.
pub fn enter(rmp: &mut Rmp, asid: Asid, spa: Spa, efer: u64) -> Result<(), EntryRefused> {
    let entry = rmp.entry(spa);
    let is_vmsa = spa.is_aligned(PageSize::Size4K)
        && entry.asid() == Some(asid)
        && entry.size() == PageSize::Size4K
        && entry.is_vmsa()
        && entry.is_validated();
    if !is_vmsa {
        return Err(EntryRefused::Invalid);
    }
    if entry.is_in_use() {
        return Err(EntryRefused::Busy);
    }
    if efer & EFER_SVME == 0 {
        return Err(EntryRefused::Invalid);
    }
    rmp.modify(spa, |e| e.set_in_use(true));
    Ok(())
}

/// The exit: the page is no longer in use. Of a page that is not in use it changes
/// nothing.
pub fn leave(rmp: &mut Rmp, spa: Spa) {
    rmp.modify(spa, |e| e.set_in_use(false));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::RmpEntry;
    use crate::testing::*;

    #[test]
    fn a_vmsa_is_entered_once() {
        let mut rmp = vmsa_page();
        assert_eq!(enter(&mut rmp, guest(), SPA, EFER_SVME), Ok(()));
        assert!(rmp.entry(SPA).is_in_use());
        // Busy comes before EFER, which the running vCPU owns.
        assert_eq!(enter(&mut rmp, guest(), SPA, 0), Err(EntryRefused::Busy));
        leave(&mut rmp, SPA);
        assert_eq!(rmp.entry(SPA), vmsa_page().entry(SPA));
        assert_eq!(enter(&mut rmp, guest(), SPA, !0), Ok(()));
    }

    #[test]
    fn what_is_no_runnable_vmsa_is_not_entered() {
        let refused = Err(EntryRefused::Invalid);
        let mut rmp = vmsa_page();
        assert_eq!(enter(&mut rmp, guest(), SPA, !EFER_SVME), refused);
        assert_eq!(enter(&mut rmp, other(), SPA, EFER_SVME), refused);
        assert_eq!(enter(&mut rmp, guest(), Spa(SPA.0 + 8), EFER_SVME), refused);
        assert_eq!(enter(&mut rmp, guest(), Spa(0), EFER_SVME), refused);
        assert_eq!(
            enter(&mut validated(PageSize::Size4K), guest(), SPA, EFER_SVME),
            refused
        );
        let not: [fn(&mut RmpEntry); 2] = [|e| e.set_vmsa(false), |e| e.set_validated(false)];
        for change in not {
            let mut rmp = vmsa_page();
            rmp.modify(SPA, change);
            let before = rmp.entry(SPA);
            assert_eq!(enter(&mut rmp, guest(), SPA, EFER_SVME), refused);
            assert_eq!(rmp.entry(SPA), before);
        }
    }

    #[test]
    fn leaving_what_was_not_entered_changes_nothing() {
        let mut rmp = validated(PageSize::Size4K);
        leave(&mut rmp, SPA);
        leave(&mut rmp, Spa(0));
        assert_eq!(rmp.entry(SPA), validated(PageSize::Size4K).entry(SPA));
        assert_eq!(rmp.entry(Spa(0)), RmpEntry::UNASSIGNED);
    }
}
