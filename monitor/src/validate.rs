//! Validating guest pages and taking them back: the order of steps, and what a
//! failure leaves behind (nothing).
//!
//! * Validate → touch (CVE-2025-38560) → zero → grant the guest's level and every
//!   more privileged one below VMPL0; page by page.
//! * Rescind: revoke → flush every vCPU → PVALIDATE(0); each step for all pages of
//!   a list before the next one, so that a list costs one flush.
//!
//! A 2 MiB page is validated while others use the page map, because zeroing it takes by far the
//! longest of all: `reserve`, then `open`, then `settle`.
//!
//! The page map decides first; PVALIDATE's carry flag is checked as well. Where
//! the two disagree the host has exchanged a page, and the request fails even
//! when the guest asked to ignore the flag (threats 1 and 2).

mod run;

use protocols::addr::{GpaPage, PageSize};
use protocols::snp::{Rights, RmpResult};
use protocols::svsm::ResultCode;

pub use run::{Done, Run};

use crate::error::CallError;
use crate::fatal::Fatal;
use crate::page_map::{PageMap, PageRecord, PageState};
use crate::pages::{PagePolicy, map_disagrees, must_change, scrub, set_rights};
use crate::platform::{MapStorage, Platform, PvalidateOutcome, RmpadjustFail};

/// Validates the pages of `runs` for the guest and grants them, in their order, up
/// to the first that fails.
///
/// Where a run ignores CF, a page that the map already has as valid is a success,
/// and nothing is done to it.
///
/// Errors are the result for the guest; the page that failed and those behind it
/// are then exactly as they were. [`CallError::Fatal`] when the host made that
/// impossible.
pub fn validate<P: Platform + ?Sized, S: MapStorage>(
    platform: &mut P,
    map: &mut PageMap<S>,
    policy: PagePolicy,
    runs: impl Iterator<Item = Run>,
) -> Done {
    run::each(map, runs, |record, page, ignore_cf| {
        validate_page(platform, record, policy, page, ignore_cf)
    })
}

/// Takes the pages of `runs` back from the guest, up to the first that fails. The
/// page-state change is the guest's own. The runs are in ascending order, and no
/// page is in two of them.
///
/// Where a run ignores CF, a page that the map has as invalid is a success.
///
/// Errors are as those of [`validate`].
pub fn rescind<P: Platform + ?Sized, S: MapStorage>(
    platform: &mut P,
    map: &mut PageMap<S>,
    policy: PagePolicy,
    runs: impl Iterator<Item = Run> + Clone,
) -> Done {
    let mut flush = false;
    let revoked = run::each(map, runs.clone(), |record, page, ignore_cf| {
        flush |= revoke_page(platform, record, policy, page, ignore_cf)?;
        Ok(())
    });
    if let Err(CallError::Fatal(_)) = revoked.result {
        return revoked;
    }
    if flush {
        platform.flush_all_vcpus();
    }
    let ready = run::up_to(runs, revoked.pages);
    let rescinded = run::each(map, ready.clone(), |record, page, _| {
        invalidate_page(platform, record, page)
    });
    match rescinded.result {
        Ok(()) => revoked,
        Err(CallError::Fatal(_)) => rescinded,
        Err(CallError::Result(_)) => {
            let left = run::behind(ready, rescinded.pages);
            match give_back(platform, map, policy, left) {
                Ok(()) => rescinded,
                Err(end) => Done {
                    result: Err(end),
                    ..rescinded
                },
            }
        }
    }
}

fn validate_page<P: Platform + ?Sized, R: PageRecord + ?Sized>(
    platform: &mut P,
    record: &mut R,
    policy: PagePolicy,
    page: GpaPage,
    ignore_cf: bool,
) -> Result<(), CallError> {
    if is_to_be_validated(record, page, ignore_cf)? {
        open(platform, policy, page, ignore_cf)?;
        record.mark_valid(page).map_err(map_disagrees)?;
    }
    Ok(())
}

/// Reserves a 2 MiB page for [`open`]. `false` when there is nothing to be done.
///
/// # Errors
/// The result for the guest; nothing has changed.
pub(crate) fn reserve<S: MapStorage>(
    map: &mut PageMap<S>,
    page: GpaPage,
    ignore_cf: bool,
) -> Result<bool, CallError> {
    let needed = is_to_be_validated(map, page, ignore_cf)?;
    if needed {
        map.reserve(page).map_err(map_disagrees)?;
    }
    Ok(needed)
}

/// Records what has become of a page of [`reserve`], and returns it.
///
/// # Errors
/// As [`open`].
pub(crate) fn settle<S: MapStorage>(
    map: &mut PageMap<S>,
    page: GpaPage,
    opened: Result<(), CallError>,
) -> Result<(), CallError> {
    map.settle(page, opened.is_ok()).map_err(map_disagrees)?;
    opened
}

/// Whether the page has to be validated: it may be so already, and the caller not mind.
fn is_to_be_validated<R: PageRecord + ?Sized>(
    record: &R,
    page: GpaPage,
    ignore_cf: bool,
) -> Result<bool, CallError> {
    match record
        .state(page)
        .ok_or(CallError::Result(ResultCode::INVALID_ADDRESS))?
    {
        PageState::Invalid => Ok(true),
        PageState::Valid if ignore_cf => Ok(false),
        PageState::Valid => Err(CallError::Result(ResultCode::CORE_NO_CHANGE)),
        PageState::Split => Err(CallError::Result(ResultCode::CORE_SIZEMISMATCH)),
        PageState::Reserved => Err(CallError::Result(ResultCode::BUSY)),
    }
}

/// Validates a page that the map has as invalid, and that nobody else changes, and grants it.
///
/// # Errors
/// The result for the guest; the page is then as it was. [`CallError::Fatal`] when the host made
/// that impossible.
pub(crate) fn open<P: Platform + ?Sized>(
    platform: &mut P,
    policy: PagePolicy,
    page: GpaPage,
    ignore_cf: bool,
) -> Result<(), CallError> {
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
    scrub(platform, policy, page)?;
    let granted = policy
        .levels()
        .try_for_each(|level| platform.rmpadjust(page, level, Rights::all(), false));
    match granted {
        Ok(()) => Ok(()),
        Err(RmpadjustFail::Fault) => Err(Fatal::page_lost(page.gpa()).into()),
        Err(RmpadjustFail::Code(code)) => {
            close(platform, policy, page)?;
            Err(CallError::Result(ResultCode::from_rmp(code)))
        }
    }
}

/// Takes the guest's rights to a page away, if it is validated. Returns whether it is.
fn revoke_page<P: Platform + ?Sized, R: PageRecord + ?Sized>(
    platform: &mut P,
    record: &R,
    policy: PagePolicy,
    page: GpaPage,
    ignore_cf: bool,
) -> Result<bool, CallError> {
    match record
        .state(page)
        .ok_or(CallError::Result(ResultCode::INVALID_ADDRESS))?
    {
        PageState::Valid => {}
        PageState::Invalid if ignore_cf => return Ok(false),
        PageState::Invalid => return Err(CallError::Result(ResultCode::CORE_NO_CHANGE)),
        PageState::Split => return Err(CallError::Result(ResultCode::CORE_SIZEMISMATCH)),
        PageState::Reserved => return Err(CallError::Result(ResultCode::BUSY)),
    }
    let revoked = policy
        .levels()
        .try_for_each(|level| platform.rmpadjust(page, level, Rights::empty(), false));
    match revoked {
        Ok(()) => Ok(true),
        Err(RmpadjustFail::Fault) => Err(Fatal::page_lost(page.gpa()).into()),
        Err(RmpadjustFail::Code(code)) => {
            set_rights(platform, policy, page, Rights::all())?;
            Err(CallError::Result(ResultCode::from_rmp(code)))
        }
    }
}

/// Makes a page invalid that [`revoke_page`] has seen to, unless it is already.
fn invalidate_page<P: Platform + ?Sized, R: PageRecord + ?Sized>(
    platform: &mut P,
    record: &mut R,
    page: GpaPage,
) -> Result<(), CallError> {
    if record.state(page) != Some(PageState::Valid) {
        return Ok(());
    }
    match platform.pvalidate(page, false) {
        PvalidateOutcome::Changed => Ok(record.mark_invalid(page).map_err(map_disagrees)?),
        PvalidateOutcome::Fail(code) => Err(CallError::Result(ResultCode::from_rmp(code))),
        // It was valid when the rights were revoked, an instruction ago: the host
        // has put another page there, and the old one may still be validated.
        PvalidateOutcome::Unchanged | PvalidateOutcome::Fault => {
            Err(Fatal::page_lost(page.gpa()).into())
        }
    }
}

/// Gives the guest its rights to pages that were revoked and are not rescinded.
fn give_back<P: Platform + ?Sized, S: MapStorage>(
    platform: &mut P,
    map: &mut PageMap<S>,
    policy: PagePolicy,
    runs: impl Iterator<Item = Run>,
) -> Result<(), CallError> {
    run::each(map, runs, |record, page, _| {
        if record.state(page) == Some(PageState::Valid) {
            set_rights(platform, policy, page, Rights::all())?;
        }
        Ok(())
    })
    .result
}

/// Makes a page invalid again whose rights could not be granted.
fn close<P: Platform + ?Sized>(
    platform: &mut P,
    policy: PagePolicy,
    page: GpaPage,
) -> Result<(), Fatal> {
    set_rights(platform, policy, page, Rights::empty())?;
    platform.flush_all_vcpus();
    match platform.pvalidate(page, false) {
        PvalidateOutcome::Changed => Ok(()),
        PvalidateOutcome::Fail(RmpResult::FAIL_SIZEMISMATCH) if page.size() == PageSize::Size2M => {
            page.split()
                .try_for_each(|small| must_change(platform, small, false))
        }
        _ => Err(Fatal::page_lost(page.gpa())),
    }
}

#[cfg(test)]
mod tests;
