//! Entries of the list that name what cannot be validated or taken back.

use protocols::addr::{GpaPage, PAGE_2M, PAGE_4K, PageSize};
use protocols::svsm::{PvalidateEntry, SvsmResult};

use super::unusable;
use crate::check::{Check, Outcome, check, holds, result, same};
use crate::list::{self, submit};
use crate::playground::{Area, is_ordinary, page_at};
use crate::svsm;

pub(crate) const CHECKS: &[Check] = &[
    check(
        "pvalidate entry/validating unusable addresses",
        validate_unusable,
    ),
    check(
        "pvalidate entry/taking back unusable addresses",
        rescind_unusable,
    ),
    check(
        "pvalidate entry/carry flag ignored at unusable addresses",
        ignoring_unusable,
    ),
    check("pvalidate entry/2 MiB of the SVSM", large_of_svsm),
    check("pvalidate entry/2 MiB that is not aligned", misaligned),
    check("pvalidate entry/the calling area", calling_area),
    check(
        "pvalidate entry/2 MiB around the calling area",
        around_calling_area,
    ),
    check("pvalidate entry/the list's own page", own_page),
];

/// Entries whose low bits are these have to be refused at all unusable addresses.
fn are_refused(low_bits: u64) -> Outcome {
    for (what, gpa) in unusable::pages() {
        let (reply, next) = submit(&[PvalidateEntry(gpa | low_bits)]);
        result(what, reply, SvsmResult::INVALID_ADDRESS)?;
        same("next", next, 0u16)?;
    }
    Ok(())
}

const VALIDATE: u64 = 1 << 2;
const IGNORE_CF: u64 = 1 << 3;

fn validate_unusable() -> Outcome {
    are_refused(VALIDATE)
}

fn rescind_unusable() -> Outcome {
    are_refused(0)
}

fn ignoring_unusable() -> Outcome {
    are_refused(VALIDATE | IGNORE_CF)?;
    are_refused(IGNORE_CF)
}

/// Both actions on a page have to be refused.
fn is_refused(page: GpaPage) -> Outcome {
    for validate in [true, false] {
        let entry = PvalidateEntry::new(page, validate);
        for entry in [entry, entry.ignoring_cf()] {
            result("result", submit(&[entry]).0, SvsmResult::INVALID_ADDRESS)?;
        }
    }
    Ok(())
}

fn large_of_svsm() -> Outcome {
    let svsm = svsm::described();
    let last = (svsm.base + svsm.size - 1) / PAGE_2M * PAGE_2M;
    is_refused(page_at(svsm.base, PageSize::Size2M))?;
    is_refused(page_at(last, PageSize::Size2M))
}

fn misaligned() -> Outcome {
    let size = PageSize::Size2M.encoding();
    let entry = PvalidateEntry((Area::WORK.whole().gpa().get() + PAGE_4K) | VALIDATE | size);
    let (reply, next) = submit(&[entry]);
    result("result", reply, SvsmResult::INVALID_PARAMETER)?;
    same("next", next, 0u16)
}

fn calling_area() -> Outcome {
    is_refused(page_at(svsm::calling_area(), PageSize::Size4K))
}

fn around_calling_area() -> Outcome {
    is_refused(page_at(
        svsm::calling_area() / PAGE_2M * PAGE_2M,
        PageSize::Size2M,
    ))
}

/// The SVSM writes `next` there after the entry was done.
fn own_page() -> Outcome {
    let page = Area::WORK.page(3);
    let list = list::List(page.gpa().get());
    list.write_new(&[PvalidateEntry::new(page, false)]);
    holds("refused", !list.submit().result.is_success())?;
    is_ordinary(page)
}
