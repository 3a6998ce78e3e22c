//! Validating guest pages and taking them back: the order of steps, and what a
//! failure leaves behind (nothing).
//!
//! * Validate → touch (CVE-2025-38560) → zero → grant the guest's level and every
//!   more privileged one below VMPL0.
//! * Rescind: revoke → flush every vCPU → PVALIDATE(0).
//!
//! The page map decides first; PVALIDATE's carry flag is checked as well. Where
//! the two disagree the host has exchanged a page, and the request fails even
//! when the guest asked to ignore the flag (threats 1 and 2).

use protocols::addr::{GpaPage, PageSize};
use protocols::snp::{Rights, RmpResult};
use protocols::svsm::ResultCode;

use crate::error::CallError;
use crate::fatal::Fatal;
use crate::page_map::{PageMap, PageState};
use crate::pages::{PagePolicy, map_disagrees, must_change, scrub, set_rights};
use crate::platform::{MapStorage, Platform, PvalidateOutcome, RmpadjustFail};

/// Validates `page` for the guest and grants it.
///
/// With `ignore_cf` a page that the map already has as valid is a success, and
/// nothing is done to it.
///
/// # Errors
/// The result for the guest; the page is then exactly as it was. [`CallError::Fatal`]
/// when the host made that impossible.
pub fn validate<P: Platform + ?Sized, S: MapStorage>(
    platform: &mut P,
    map: &mut PageMap<S>,
    policy: PagePolicy,
    page: GpaPage,
    ignore_cf: bool,
) -> Result<(), CallError> {
    match map
        .state(page)
        .ok_or(CallError::Result(ResultCode::INVALID_ADDRESS))?
    {
        PageState::Invalid => {}
        PageState::Valid if ignore_cf => return Ok(()),
        PageState::Valid => return Err(CallError::Result(ResultCode::CORE_NO_CHANGE)),
        PageState::Split => return Err(CallError::Result(ResultCode::CORE_SIZEMISMATCH)),
    }
    match platform.pvalidate(page, true) {
        PvalidateOutcome::Changed => {}
        // The processor says valid, the map does not: not of our making.
        PvalidateOutcome::Unchanged if ignore_cf => {
            return Err(CallError::Result(ResultCode::CORE_UNEXPECTED));
        }
        PvalidateOutcome::Unchanged => return Err(CallError::Result(ResultCode::CORE_NO_CHANGE)),
        PvalidateOutcome::Fail(code) => return Err(CallError::Result(ResultCode::from_rmp(code))),
        PvalidateOutcome::Fault => return Err(Fatal::page_lost(page.gpa()).into()),
    }
    map.mark_valid(page).map_err(map_disagrees)?;
    scrub(platform, policy, page)?;
    let granted = policy
        .levels()
        .try_for_each(|level| platform.rmpadjust(page, level, Rights::all(), false));
    match granted {
        Ok(()) => Ok(()),
        Err(RmpadjustFail::Fault) => Err(Fatal::page_lost(page.gpa()).into()),
        Err(RmpadjustFail::Code(code)) => {
            undo_validate(platform, map, policy, page)?;
            Err(CallError::Result(ResultCode::from_rmp(code)))
        }
    }
}

/// Takes `page` back from the guest. The page-state change is the guest's own.
///
/// With `ignore_cf` a page that the map has as invalid is a success.
///
/// # Errors
/// As [`validate`].
pub fn rescind<P: Platform + ?Sized, S: MapStorage>(
    platform: &mut P,
    map: &mut PageMap<S>,
    policy: PagePolicy,
    page: GpaPage,
    ignore_cf: bool,
) -> Result<(), CallError> {
    match map
        .state(page)
        .ok_or(CallError::Result(ResultCode::INVALID_ADDRESS))?
    {
        PageState::Valid => {}
        PageState::Invalid if ignore_cf => return Ok(()),
        PageState::Invalid => return Err(CallError::Result(ResultCode::CORE_NO_CHANGE)),
        PageState::Split => return Err(CallError::Result(ResultCode::CORE_SIZEMISMATCH)),
    }
    let revoked = policy
        .levels()
        .try_for_each(|level| platform.rmpadjust(page, level, Rights::empty(), false));
    match revoked {
        Ok(()) => {}
        Err(RmpadjustFail::Fault) => return Err(Fatal::page_lost(page.gpa()).into()),
        Err(RmpadjustFail::Code(code)) => {
            set_rights(platform, policy, page, Rights::all())?;
            return Err(CallError::Result(ResultCode::from_rmp(code)));
        }
    }
    platform.flush_all_vcpus();
    match platform.pvalidate(page, false) {
        PvalidateOutcome::Changed => Ok(map.mark_invalid(page).map_err(map_disagrees)?),
        PvalidateOutcome::Fail(code) => {
            set_rights(platform, policy, page, Rights::all())?;
            Err(CallError::Result(ResultCode::from_rmp(code)))
        }
        // It was valid when the rights were revoked, an instruction ago: the host
        // has put another page there, and the old one may still be validated.
        PvalidateOutcome::Unchanged | PvalidateOutcome::Fault => {
            Err(Fatal::page_lost(page.gpa()).into())
        }
    }
}

/// Makes a page invalid again whose rights could not be granted.
fn undo_validate<P: Platform + ?Sized, S: MapStorage>(
    platform: &mut P,
    map: &mut PageMap<S>,
    policy: PagePolicy,
    page: GpaPage,
) -> Result<(), Fatal> {
    set_rights(platform, policy, page, Rights::empty())?;
    platform.flush_all_vcpus();
    match platform.pvalidate(page, false) {
        PvalidateOutcome::Changed => {}
        PvalidateOutcome::Fail(RmpResult::FAIL_SIZEMISMATCH) if page.size() == PageSize::Size2M => {
            for small in page.split() {
                must_change(platform, small, false)?;
            }
        }
        _ => return Err(Fatal::page_lost(page.gpa())),
    }
    map.mark_invalid(page).map_err(map_disagrees)
}

#[cfg(test)]
mod tests;
