//! The form of the list, and where in it a call begins and stops.

use protocols::addr::{GpaPage, PAGE_4K};
use protocols::svsm::{CoreCall, PvalidateEntry, PvalidateHeader, SvsmResult};

use super::launch::raises_not_validated;
use super::unusable;
use crate::arch::memory;
use crate::check::{Check, Failure, Outcome, check, holds, result, same, succeeds};
use crate::list::{List, submit};
use crate::playground::{Area, is_ordinary, make_private};
use crate::svsm;

pub(crate) const CHECKS: &[Check] = &[
    check("pvalidate list/in the last bytes of a page", last_bytes),
    check("pvalidate list/a full page of 511 entries", full_page),
    check("pvalidate list/past the end of its page", past_the_end),
    check("pvalidate list/no entries", empty),
    check("pvalidate list/next is entries, or beyond", next_beyond),
    check("pvalidate list/begins at next", begins_at_next),
    check(
        "pvalidate list/reserved bits of the header",
        reserved_header,
    ),
    check(
        "pvalidate list/reserved bits of a later entry change nothing",
        reserved_entry,
    ),
    check("pvalidate list/page sizes that do not exist", unknown_size),
    check("pvalidate list/stops at the entry that fails", stops),
    check("pvalidate list/goes on from next", goes_on),
    check("pvalidate list/misaligned", misaligned),
    check("pvalidate list/at unusable addresses", unusable_addresses),
    check(
        "pvalidate list/in a page that is not validated",
        not_validated,
    ),
    check("pvalidate list/over call_pending", over_pending),
];

/// A page that is private and not validated. Index 0x20 and up of [`Area::SMALL`].
fn fresh(index: u64) -> Result<GpaPage, Failure> {
    let page = Area::SMALL.page(0x20 + index);
    make_private(page)?;
    Ok(page)
}

fn validating(page: GpaPage) -> PvalidateEntry {
    PvalidateEntry::new(page, true)
}

/// The page for lists outside the calling area.
fn list_page() -> u64 {
    Area::WORK.page(2).gpa().get()
}

/// A list that has to be refused as a whole, and whose `next` has to stay.
fn is_refused(list: List, next: u16) -> Outcome {
    result("result", list.submit(), SvsmResult::INVALID_PARAMETER)?;
    same("next", list.next(), next)
}

fn last_bytes() -> Outcome {
    let page = fresh(0)?;
    let list = List(list_page() + PAGE_4K - 16);
    list.write_new(&[validating(page)]);
    succeeds("result", list.submit())?;
    same("next", list.next(), 1u16)?;
    is_ordinary(page)
}

fn full_page() -> Outcome {
    const ENTRIES: usize = 511;
    let list = List(list_page());
    let entry = validating(Area::WORK.page(1)).ignoring_cf();
    list.write_new(&[entry; ENTRIES]);
    succeeds("result", list.submit())?;
    same("next", list.next(), ENTRIES as u16)
}

fn past_the_end() -> Outcome {
    let entry = validating(fresh(1)?);
    let whole = List(list_page());
    whole.write(PvalidateHeader::new(512), &[entry]);
    is_refused(whole, 0)?;
    whole.write(PvalidateHeader::new(u16::MAX), &[entry]);
    is_refused(whole, 0)?;
    let header_only = List(list_page() + PAGE_4K - 8);
    header_only.write_new(&[entry]);
    is_refused(header_only, 0)?;
    let last = List(list_page() + PAGE_4K - 16);
    last.write_new(&[entry, entry]);
    is_refused(last, 0)?;
    raises_not_validated(entry.gpa().get())
}

fn empty() -> Outcome {
    let list = List::in_calling_area();
    list.write(PvalidateHeader::new(0), &[validating(fresh(2)?)]);
    is_refused(list, 0)
}

fn next_beyond() -> Outcome {
    let entry = validating(fresh(3)?);
    let list = List::in_calling_area();
    for next in [1, 2, u16::MAX] {
        list.write(
            PvalidateHeader {
                entries: 1,
                next,
                reserved: 0,
            },
            &[entry],
        );
        is_refused(list, next)?;
    }
    raises_not_validated(entry.gpa().get())
}

fn begins_at_next() -> Outcome {
    let (first, second) = (fresh(4)?, fresh(5)?);
    let list = List::in_calling_area();
    let header = PvalidateHeader {
        entries: 2,
        next: 1,
        reserved: 0,
    };
    list.write(header, &[validating(first), validating(second)]);
    succeeds("result", list.submit())?;
    same("next", list.next(), 2u16)?;
    raises_not_validated(first.gpa().get())?;
    is_ordinary(second)
}

fn reserved_header() -> Outcome {
    let entry = validating(fresh(6)?);
    let list = List::in_calling_area();
    for reserved in [1, 1 << 31] {
        list.write(
            PvalidateHeader {
                entries: 1,
                next: 0,
                reserved,
            },
            &[entry],
        );
        is_refused(list, 0)?;
    }
    raises_not_validated(entry.gpa().get())
}

fn reserved_entry() -> Outcome {
    let (first, second) = (fresh(7)?, fresh(8)?);
    let list = List::in_calling_area();
    for bit in 4..12 {
        let wrong = PvalidateEntry(validating(second).0 | 1 << bit);
        list.write_new(&[validating(first), wrong]);
        is_refused(list, 0)?;
        raises_not_validated(first.gpa().get())?;
    }
    Ok(())
}

fn unknown_size() -> Outcome {
    let page = fresh(9)?;
    for size in [2, 3] {
        let list = List::in_calling_area();
        list.write_new(&[PvalidateEntry(validating(page).0 | size)]);
        is_refused(list, 0)?;
    }
    raises_not_validated(page.gpa().get())
}

fn stops() -> Outcome {
    let pages = [fresh(10)?, fresh(11)?, fresh(12)?, fresh(13)?];
    let [first, second, third, fourth] = pages;
    succeeds("validation of the third", submit(&[validating(third)]).0)?;
    let (reply, next) = submit(&pages.map(validating));
    result("result", reply, SvsmResult::CORE_NO_CHANGE)?;
    same("next", next, 2u16)?;
    is_ordinary(first)?;
    is_ordinary(second)?;
    raises_not_validated(fourth.gpa().get())
}

/// Linux does so after a size mismatch: it steps over the entry and makes the call again.
fn goes_on() -> Outcome {
    let (third, fourth) = (Area::SMALL.page(0x20 + 12), Area::SMALL.page(0x20 + 13));
    let list = List::in_calling_area();
    let done = PvalidateEntry(0xfff);
    let header = PvalidateHeader {
        entries: 4,
        next: 3,
        reserved: 0,
    };
    list.write(header, &[done, done, validating(third), validating(fourth)]);
    succeeds("result", list.submit())?;
    same("next", list.next(), 4u16)?;
    is_ordinary(fourth)
}

fn misaligned() -> Outcome {
    let entry = validating(fresh(14)?);
    for offset in [1, 2, 4] {
        let list = List(list_page() + offset);
        list.write_new(&[entry]);
        is_refused(list, 0)?;
    }
    raises_not_validated(entry.gpa().get())
}

fn unusable_addresses() -> Outcome {
    unusable::are_refused(|gpa| svsm::core(CoreCall::PVALIDATE, gpa))
}

fn not_validated() -> Outcome {
    let list = Area::INVALID.page(0).gpa().get();
    let reply = svsm::core(CoreCall::PVALIDATE, list);
    result("result", reply, SvsmResult::INVALID_ADDRESS)
}

/// The first byte of the header would be call_pending, which the SVSM has just cleared: whatever
/// it makes of that, it must not change a page.
fn over_pending() -> Outcome {
    let page = fresh(15)?;
    let area = svsm::calling_area();
    memory::write(area + 8, &validating(page));
    let reply = svsm::core(CoreCall::PVALIDATE, area);
    holds("refused", !reply.result.is_success())?;
    raises_not_validated(page.gpa().get())
}
