//! PVALIDATE: a list of pages to validate or to rescind. RCX = the list.

use protocols::addr::{Gpa, GpaPage, GpaRange, PAGE_4K, PAGES_PER_2M, PageSize};
use protocols::svsm::{PvalidateEntry, ResultCode};

use super::list::{List, MAX_ENTRIES};
use crate::error::CallError;
use crate::guest::Guest;
use crate::platform::{MapStorage, Platform};
use crate::shared::Shared;
use crate::svsm::address::page_at;
use crate::svsm::request::{Arguments, Next};
use crate::sync::Guard;
use crate::validate::{Done, Run, open, rescind, reserve, settle, validate};

// No list names all 4 KiB pages of a 2 MiB page, and a call that has returned has its pages done,
// so there is never a reason to take 4 KiB entries together into one PVALIDATE of 2 MiB.
const _: () = assert!(MAX_ENTRIES < PAGES_PER_2M as usize);

/// Header and entries are copied once, before anything is done (threat 43). What
/// is wrong with the list's form changes nothing; an entry that fails leaves the
/// earlier ones done and `next` at itself. Success leaves `next` = entries.
///
/// The list is served in groups of entries that ask for the same change, each with
/// one look at the guest's memory for the pages that follow one another. What comes
/// out is what one entry after the other would have come to.
///
/// While a 2 MiB page is validated the guest's state is not held: other vCPUs make their
/// calls meanwhile, and validate pages of their own.
#[inline(never)]
pub(super) fn call<P: Platform + ?Sized, S: MapStorage>(
    shared: &Shared<S>,
    platform: &mut P,
    arguments: &Arguments,
) -> Result<Next, CallError> {
    let mut storage = [PvalidateEntry(0); MAX_ENTRIES];
    let well_formed = |entry: &PvalidateEntry| entry.reserved() == 0 && entry.size().is_some();
    let mut guest = shared.lock();
    let list = List::copy(&guest, platform, arguments.rcx, &mut storage, well_formed)?;
    let mut done = 0u16;
    let mut result = Ok(());
    while let Some(rest @ [_, ..]) = list.entries.get(usize::from(done)..) {
        let group = match leading_group(&guest, list.page, rest) {
            Ok([entry]) if is_long(*entry) => {
                let alone;
                (guest, alone) = validate_alone(shared, guest, platform, *entry);
                alone
            }
            Ok(group) => change(&mut guest, platform, group),
            Err(code) => {
                result = Err(code.into());
                break;
            }
        };
        if let Err(CallError::Fatal(fatal)) = group.result {
            return Err(fatal.into());
        }
        done = done.saturating_add(group.pages);
        result = group.result;
        if result.is_err() {
            break;
        }
    }
    list.advance(&guest, platform, done)?;
    result.map(|()| Next::Enter)
}

/// The entries at the start of `entries` that ask for the same change, may ask for it,
/// and are in ascending order without overlap. There is at least one, and one that takes
/// long is alone.
///
/// # Errors
/// The result for the first entry, when that may not ask for it.
fn leading_group<'a, S: MapStorage>(
    guest: &Guest<S>,
    list: GpaRange,
    entries: &'a [PvalidateEntry],
) -> Result<&'a [PvalidateEntry], ResultCode> {
    let first = entries.first().ok_or(ResultCode::INVALID_PARAMETER)?;
    let allowed = |range: GpaRange| {
        guest.check_validatable(range)?;
        if range.overlaps(list) {
            return Err(ResultCode::INVALID_ADDRESS);
        }
        Ok(())
    };
    let mut end = Gpa::new(0);
    let mut len = 0usize;
    while let Some(rest @ [next, ..]) = entries.get(len..) {
        let alone = is_long(*first) || is_long(*next);
        if next.validate() != first.validate() || next.gpa() < end || len != 0 && alone {
            break;
        }
        let checked = leading_run(rest).and_then(|run| match run.range() {
            Some(range) if allowed(range).is_ok() => Ok((run, range)),
            _ => {
                let may = |page: &GpaPage| allowed(page.range()).is_ok();
                let run = run.with_count(run.pages().take_while(may).count());
                // Also when it is none of them: then the first says why.
                let range = run.range().ok_or(ResultCode::INVALID_ADDRESS)?;
                allowed(range).map(|()| (run, range))
            }
        });
        match checked {
            Ok((run, range)) => {
                end = range.end();
                len = len.saturating_add(run.count().into());
            }
            Err(code) if len == 0 => return Err(code),
            Err(_) => break,
        }
    }
    Ok(entries.get(..len).unwrap_or_default())
}

/// The pages of the first entry and of those behind it that go on where it ends.
fn leading_run(entries: &[PvalidateEntry]) -> Result<Run, ResultCode> {
    let invalid = ResultCode::INVALID_PARAMETER;
    let (first, others) = entries.split_first().ok_or(invalid)?;
    let page = page_at(first.gpa(), first.size().ok_or(invalid)?)?;
    let mut expected = first.0;
    let following = others
        .iter()
        .take(Run::room(page).saturating_sub(1))
        .take_while(|entry| {
            expected = expected.wrapping_add(PAGE_4K);
            entry.0 == expected
        })
        .count();
    Ok(Run::one(page, first.ignore_cf()).with_count(following.saturating_add(1)))
}

/// Whether the entry is served without holding the guest's state: 2 MiB are to be zeroed.
fn is_long(entry: PvalidateEntry) -> bool {
    entry.validate() && entry.size() == Some(PageSize::Size2M)
}

/// Does an entry that [`is_long`]. The guest's state is given back meanwhile.
fn validate_alone<'a, P: Platform + ?Sized, S: MapStorage>(
    shared: &'a Shared<S>,
    mut guest: Guard<'a, Guest<S>>,
    platform: &mut P,
    entry: PvalidateEntry,
) -> (Guard<'a, Guest<S>>, Done) {
    let ignore_cf = entry.ignore_cf();
    let page = page_at(entry.gpa(), PageSize::Size2M).map_err(CallError::Result);
    let policy = guest.policy;
    let reserved = page.and_then(|page| {
        let needed = reserve(&mut guest.pages, page, ignore_cf)?;
        Ok(needed.then_some(page))
    });
    let result = match reserved {
        Err(error) => Err(error),
        Ok(None) => Ok(()),
        Ok(Some(page)) => {
            drop(guest);
            let opened = open(platform, policy, page, ignore_cf);
            guest = shared.lock();
            settle(&mut guest.pages, page, opened)
        }
    };
    let pages = u16::from(result.is_ok());
    (guest, Done { pages, result })
}

/// Does a group of [`leading_group`].
fn change<P: Platform + ?Sized, S: MapStorage>(
    guest: &mut Guest<S>,
    platform: &mut P,
    group: &[PvalidateEntry],
) -> Done {
    let policy = guest.policy;
    let map = &mut guest.pages;
    let mut rest = group;
    // Each of the group's runs was made once, so none fails here.
    let runs = core::iter::from_fn(move || {
        let run = leading_run(rest).ok()?;
        rest = rest.get(usize::from(run.count())..)?;
        Some(run)
    });
    if group.first().is_some_and(|entry| entry.validate()) {
        validate(platform, map, policy, runs)
    } else {
        rescind(platform, map, policy, runs)
    }
}

#[cfg(test)]
mod tests;
