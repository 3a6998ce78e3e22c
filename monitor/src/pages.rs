//! What every change of a page's validation or rights is made of.

use protocols::addr::{GpaPage, PageSize};
use protocols::ghcb::RampartReason;
use protocols::snp::{Rights, RmpResult, Vmpl};

use crate::fatal::Fatal;
use crate::page_map::MapRefusal;
use crate::platform::{GuestMemory, PvalidateOutcome, Rmp, RmpadjustFail};

/// What the decisions about pages depend on besides the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PagePolicy {
    /// The level of the guest; it and the levels between it and VMPL0 get rights.
    pub guest: Vmpl,
    /// Whether validated pages have to be touched
    /// ([`needs_eviction`](crate::cpuid::CpuidTable::needs_eviction)).
    pub evict: bool,
}

impl PagePolicy {
    /// The levels that own a validated guest page: VMPL1 up to the guest's.
    pub(crate) fn levels(self) -> impl Iterator<Item = Vmpl> {
        let own = Vmpl::ALL.get(1..=self.guest.index());
        own.unwrap_or_default().iter().copied()
    }
}

/// Every level but the firmware's own.
pub(crate) fn lower_levels() -> impl Iterator<Item = Vmpl> {
    Vmpl::ALL.into_iter().filter(|level| *level != Vmpl::VMPL0)
}

/// Touches a page that was just validated, then zeroes it, so that nothing of
/// its earlier owner reaches the guest (threats 3, 11 and 53).
///
/// There is no exception, not for the legacy window either: the host could put
/// any of the firmware's own pages there. PVALIDATE has succeeded, so a page is
/// behind the address.
pub(crate) fn scrub<P: GuestMemory + ?Sized>(
    platform: &mut P,
    policy: PagePolicy,
    page: GpaPage,
) -> Result<(), Fatal> {
    if policy.evict {
        platform.evict(page)?;
    }
    platform.zero(page)?;
    Ok(())
}

/// Gives every level of the guest exactly `rights`, in 4 KiB pages if the host
/// has split the page since.
pub(crate) fn set_rights<P: Rmp + ?Sized>(
    platform: &mut P,
    policy: PagePolicy,
    page: GpaPage,
    rights: Rights,
) -> Result<(), Fatal> {
    policy.levels().try_for_each(|level| {
        adjust_or_split(platform, page, level, rights).map_err(|fail| adjust_failed(page, fail))
    })
}

/// Takes every right to `page` from every level below VMPL0, those that the guest
/// may have granted to others among them. The caller flushes.
pub(crate) fn take_rights<P: Rmp + ?Sized>(
    platform: &mut P,
    page: GpaPage,
) -> Result<(), RmpadjustFail> {
    lower_levels().try_for_each(|level| adjust_or_split(platform, page, level, Rights::empty()))
}

fn adjust_or_split<P: Rmp + ?Sized>(
    platform: &mut P,
    page: GpaPage,
    level: Vmpl,
    rights: Rights,
) -> Result<(), RmpadjustFail> {
    match platform.rmpadjust(page, level, rights, false) {
        Err(RmpadjustFail::Code(RmpResult::FAIL_SIZEMISMATCH))
            if page.size() == PageSize::Size2M =>
        {
            page.split()
                .try_for_each(|small| platform.rmpadjust(small, level, rights, false))
        }
        result => result,
    }
}

/// PVALIDATE that has to change the validated bit.
pub(crate) fn must_change<P: Rmp + ?Sized>(
    platform: &mut P,
    page: GpaPage,
    validate: bool,
) -> Result<(), Fatal> {
    match platform.pvalidate(page, validate) {
        PvalidateOutcome::Changed => Ok(()),
        PvalidateOutcome::Unchanged => Err(Fatal::already_validated(page.gpa())),
        PvalidateOutcome::Fail(code) => Err(Fatal::with_detail(
            RampartReason::PvalidateFailed,
            u64::from(code.0),
        )),
        PvalidateOutcome::Fault => Err(Fatal::page_lost(page.gpa())),
    }
}

/// An RMPADJUST that has no reason to fail did.
pub(crate) fn adjust_failed(page: GpaPage, fail: RmpadjustFail) -> Fatal {
    match fail {
        RmpadjustFail::Code(code) => {
            Fatal::with_detail(RampartReason::RmpadjustFailed, u64::from(code.0))
        }
        RmpadjustFail::Fault => Fatal::page_lost(page.gpa()),
    }
}

/// The map was asked first, so a refusal now is its storage, or a fault of ours.
pub(crate) fn map_disagrees(refusal: MapRefusal) -> Fatal {
    match refusal {
        MapRefusal::Storage(_) => Fatal::new(RampartReason::PageMapMemory),
        _ => Fatal::INTERNAL,
    }
}
