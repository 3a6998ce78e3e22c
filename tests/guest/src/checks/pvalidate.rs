//! PVALIDATE of pages: what it does to their state and their content.

use protocols::addr::{GpaPage, PageSize};
use protocols::boot::layout::GUEST_FIRMWARE_END;
use protocols::ghcb::PscOperation;
use protocols::svsm::{CoreCall, PvalidateEntry, Request, SvsmResult};

use super::launch::raises_not_validated;
use crate::arch::memory;
use crate::check::{Check, Failure, Outcome, check, holds, result, same, succeeds};
use crate::host;
use crate::list::{self, List, rescind, submit, validate};
use crate::playground::{Area, holds_only, is_ordinary, make_private, page_at};
use crate::svsm::{self, Transport};

pub(crate) const CHECKS: &[Check] = &[
    check("pvalidate/4 KiB of fresh RAM reads as zero", small),
    check("pvalidate/2 MiB of fresh RAM reads as zero", large),
    check("pvalidate/validated twice", twice),
    check(
        "pvalidate/validated twice, carry flag ignored",
        twice_ignored,
    ),
    check("pvalidate/a page taken back raises #VC", taken_back),
    check("pvalidate/taken back twice", taken_back_twice),
    check(
        "pvalidate/taken back twice, carry flag ignored",
        taken_back_twice_ignored,
    ),
    check("pvalidate/validated again reads as zero", again),
    check(
        "pvalidate/shared and private again reads as zero",
        shared_and_back,
    ),
    check(
        "pvalidate/2 MiB over pages of 4 KiB is a size mismatch",
        mismatch,
    ),
    check("pvalidate/512 pages of 4 KiB in full lists", many),
    check("pvalidate/4 KiB out of 2 MiB", out_of_large),
    check(
        "pvalidate/2 MiB that lacks 4 KiB is a size mismatch",
        broken,
    ),
    check("pvalidate/a page of the ROM is validated already", rom),
    check("pvalidate/a page of the legacy window", legacy),
];

const MARK: u64 = 0x600d_600d_600d_600d;

fn small() -> Outcome {
    let page = Area::SMALL.page(1);
    make_private(page)?;
    succeeds("result", validate(page))?;
    holds_only("content", page, 0)?;
    is_ordinary(page)
}

fn large() -> Outcome {
    let page = Area::LARGE.whole();
    make_private(page)?;
    let (reply, next) = submit(&[PvalidateEntry::new(page, true)]);
    succeeds("result", reply)?;
    same("next", next, 1u16)?;
    holds_only("content", page, 0)?;
    is_ordinary(page)
}

/// A page that is validated and holds [`MARK`].
fn marked(index: u64) -> Result<GpaPage, Failure> {
    let page = Area::SMALL.page(index);
    make_private(page)?;
    succeeds("first validation", validate(page))?;
    memory::fill(page.gpa().get(), page.bytes(), MARK);
    Ok(page)
}

fn twice() -> Outcome {
    let page = marked(2)?;
    let (reply, next) = submit(&[PvalidateEntry::new(page, true)]);
    result("result", reply, SvsmResult::CORE_NO_CHANGE)?;
    same("next", next, 0u16)?;
    holds_only("content", page, MARK)
}

fn twice_ignored() -> Outcome {
    let page = marked(3)?;
    let (reply, next) = submit(&[PvalidateEntry::new(page, true).ignoring_cf()]);
    succeeds("result", reply)?;
    same("next", next, 1u16)?;
    holds_only("content", page, MARK)
}

fn taken_back() -> Outcome {
    let page = marked(4)?;
    succeeds("result", rescind(page))?;
    raises_not_validated(page.gpa().get())
}

fn taken_back_twice() -> Outcome {
    let page = marked(5)?;
    succeeds("first rescission", rescind(page))?;
    result("result", rescind(page), SvsmResult::CORE_NO_CHANGE)
}

fn taken_back_twice_ignored() -> Outcome {
    let page = marked(6)?;
    succeeds("first rescission", rescind(page))?;
    let (reply, next) = submit(&[PvalidateEntry::new(page, false).ignoring_cf()]);
    succeeds("result", reply)?;
    same("next", next, 1u16)
}

/// The host has not touched the page in between: it is the SVSM that has to clear it.
fn again() -> Outcome {
    let page = marked(7)?;
    succeeds("rescission", rescind(page))?;
    succeeds("result", validate(page))?;
    holds_only("content", page, 0)?;
    is_ordinary(page)
}

fn shared_and_back() -> Outcome {
    let page = marked(8)?;
    succeeds("rescission", rescind(page))?;
    holds("shared", host::change_page(page, PscOperation::SHARED))?;
    make_private(page)?;
    succeeds("result", validate(page))?;
    holds_only("content", page, 0)?;
    is_ordinary(page)
}

fn mismatch() -> Outcome {
    let area = Area::MIXED.whole();
    let private = host::change_pages(area.split(), PscOperation::PRIVATE);
    holds("page-state change", private)?;
    let (reply, next) = submit(&[PvalidateEntry::new(area, true)]);
    result("result", reply, SvsmResult::CORE_SIZEMISMATCH)?;
    same("next", next, 0u16)?;
    raises_not_validated(area.gpa().get())
}

/// What Linux and OVMF do after the size mismatch.
fn many() -> Outcome {
    let area = Area::MIXED.whole();
    same("result", list::change_all(area.split(), true).0, 0u64)?;
    holds_only("content", area, 0)
}

fn out_of_large() -> Outcome {
    let area = Area::BROKEN;
    make_private(area.whole())?;
    succeeds("validation of 2 MiB", validate(area.whole()))?;
    memory::fill(area.whole().gpa().get(), area.whole().bytes(), MARK);
    succeeds("result", rescind(area.page(7)))?;
    raises_not_validated(area.page(7).gpa().get())?;
    holds_only("the page before", area.page(6), MARK)?;
    holds_only("the page behind", area.page(8), MARK)
}

fn broken() -> Outcome {
    let area = Area::BROKEN;
    result(
        "rescission of 2 MiB",
        rescind(area.whole()),
        SvsmResult::CORE_SIZEMISMATCH,
    )?;
    result(
        "validation of 2 MiB",
        validate(area.whole()),
        SvsmResult::CORE_SIZEMISMATCH,
    )?;
    holds_only("the page before", area.page(6), MARK)?;
    succeeds("validation of the 4 KiB", validate(area.page(7)))?;
    holds_only("content", area.page(7), 0)?;
    holds_only("the page behind", area.page(8), MARK)
}

fn rom() -> Outcome {
    let page = page_at(
        GUEST_FIRMWARE_END - PageSize::Size4K.bytes(),
        PageSize::Size4K,
    );
    result("result", validate(page), SvsmResult::CORE_NO_CHANGE)
}

/// OVMF validates it with the rest of low memory. It is memory like any other then: zero.
fn legacy() -> Outcome {
    let page = page_at(0xa_0000, PageSize::Size4K);
    make_private(page)?;
    succeeds("result", validate(page))?;
    holds_only("content", page, 0)
}

/// Both actions, by either way to VMPL0.
pub(super) fn validate_and_rescind_by(transport: Transport) -> Outcome {
    let page = Area::SMALL.page(9);
    make_private(page)?;
    let list = List::in_calling_area();
    for action in [true, false] {
        list.write_new(&[PvalidateEntry::new(page, action)]);
        let request = Request::core(CoreCall::PVALIDATE);
        succeeds(
            "result",
            svsm::call_by(transport, request, [list.0, 0, 0, 0]),
        )?;
        same("next", list.next(), 1u16)?;
    }
    raises_not_validated(page.gpa().get())
}
