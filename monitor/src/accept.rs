//! Memory that the firmware itself validates during boot: its own, and that of
//! the guest firmware.
//!
//! The page-state change comes first ([`crate::psc`]). A size mismatch falls back
//! to 512 pages of 4 KiB, each of them checked; there is no other retry and no
//! page is skipped (threat 6).

use protocols::addr::{GpaPage, GpaRange, PageSize};
use protocols::ghcb::RampartReason;
use protocols::snp::{Rights, RmpResult};

use crate::fatal::Fatal;
use crate::page_map::{PageMap, PageState};
use crate::pages::{PagePolicy, map_disagrees, must_change, scrub, set_rights};
use crate::platform::{MapStorage, Platform, PvalidateOutcome, Rmp};

/// How a page that was to be validated came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// In its own size.
    Whole,
    /// A 2 MiB page as 512 of 4 KiB.
    InSmallPages,
}

/// Validates one page without the map and without touching it: for the firmware's
/// own memory, which is claimed once and never given back.
///
/// # Errors
/// [`Fatal`] when any part was validated before or cannot be.
pub fn claim<P: Rmp + ?Sized>(platform: &mut P, page: GpaPage) -> Result<Claimed, Fatal> {
    match platform.pvalidate(page, true) {
        PvalidateOutcome::Changed => Ok(Claimed::Whole),
        PvalidateOutcome::Unchanged => Err(Fatal::already_validated(page.gpa())),
        PvalidateOutcome::Fail(RmpResult::FAIL_SIZEMISMATCH) if page.size() == PageSize::Size2M => {
            page.split()
                .try_for_each(|small| must_change(platform, small, true))?;
            Ok(Claimed::InSmallPages)
        }
        PvalidateOutcome::Fail(code) => Err(Fatal::with_detail(
            RampartReason::PvalidateFailed,
            u64::from(code.0),
        )),
        PvalidateOutcome::Fault => Err(Fatal::page_lost(page.gpa())),
    }
}

/// Validates `range` in 2 MiB pages where it can, records it in the map, touches
/// and zeroes it. Nobody but VMPL0 has rights to it afterwards.
///
/// # Errors
/// [`Fatal`] when any page is valid already (threat 5), is not covered by the map,
/// or when the processor and the map disagree.
pub fn accept_range<P: Platform + ?Sized, S: MapStorage>(
    platform: &mut P,
    map: &mut PageMap<S>,
    policy: PagePolicy,
    range: GpaRange,
) -> Result<(), Fatal> {
    for page in range.pages(PageSize::Size2M) {
        if map.state(page) != Some(PageState::Invalid) {
            return Err(Fatal::already_validated(page.gpa()));
        }
        let size = match claim(platform, page)? {
            Claimed::Whole => page.size(),
            Claimed::InSmallPages => PageSize::Size4K,
        };
        map.adopt(page.range(), size).map_err(map_disagrees)?;
        scrub(platform, policy, page)?;
    }
    Ok(())
}

/// Grants the guest all rights to `range`, which [`accept_range`] has accepted.
///
/// # Errors
/// [`Fatal`] when the processor refuses.
pub fn grant_range<P: Rmp + ?Sized>(
    platform: &mut P,
    policy: PagePolicy,
    range: GpaRange,
) -> Result<(), Fatal> {
    range
        .pages(PageSize::Size2M)
        .try_for_each(|page| set_rights(platform, policy, page, Rights::all()))
}

#[cfg(test)]
mod tests;
