//! Pages that are live, as the second VMSA sees them: its own VMSA, both calling areas, and the
//! first VMSA, which lies somewhere in the SVSM's range. None of them is ever touched here.

use protocols::addr::{GpaPage, PAGE_4K, PageSize};
use protocols::boot::layout::GUEST_CALLING_AREA;
use protocols::svsm::{CoreCall, PvalidateEntry, SvsmResult};

use crate::check::{Check, Outcome, check, refused, result, same, succeeds};
use crate::list::{rescind, submit, validate};
use crate::lives::{SECOND_AREA, SECOND_VMSA, apic_id, create_vcpu};
use crate::playground::{Area, is_ordinary, page_at};
use crate::svsm::{self, Transport, UNKNOWN_CALL};

pub(crate) const CHECKS: &[Check] = &[
    check("second VMSA/its calls are served", served),
    check("second VMSA/by the GHCB page too", served_by_page),
    check("second VMSA/validation of its page", validation_of_vmsa),
    check(
        "second VMSA/validation of 2 MiB around its page",
        validation_around_vmsa,
    ),
    check(
        "second VMSA/validation of its calling area",
        validation_of_area,
    ),
    check(
        "second VMSA/validation of the first calling area",
        validation_of_first_area,
    ),
    check("second VMSA/list in its page", list_in_vmsa),
    check(
        "second VMSA/list over another's call_pending",
        list_over_pending,
    ),
    check("second VMSA/calling area moved to its page", remap_to_vmsa),
    check(
        "second VMSA/calling area moved to the first",
        remap_to_first_area,
    ),
    check("second VMSA/created again", created_again),
    check(
        "second VMSA/created again with another calling area in use",
        areas_in_use,
    ),
    check("delete_vcpu/pages that are no VMSA", no_vmsa),
    check(
        "delete_vcpu/any page of the SVSM, the first VMSA among them",
        startup,
    ),
    check("delete_vcpu/calling areas", areas),
];

const SPARE: GpaPage = Area::WORK.page(0x22);

fn served() -> Outcome {
    let reply = svsm::call(UNKNOWN_CALL, [1, 2, 3, 4]);
    result("result", reply, SvsmResult::UNSUPPORTED_CALL)
}

fn served_by_page() -> Outcome {
    let reply = svsm::call_by(Transport::Page, UNKNOWN_CALL, [1, 2, 3, 4]);
    result("result", reply, SvsmResult::UNSUPPORTED_CALL)
}

fn is_refused(page: GpaPage) -> Outcome {
    for validate in [true, false] {
        let entry = PvalidateEntry::new(page, validate);
        for entry in [entry, entry.ignoring_cf()] {
            let (reply, next) = submit(&[entry]);
            result("result", reply, SvsmResult::INVALID_ADDRESS)?;
            same("next", next, 0u16)?;
        }
    }
    Ok(())
}

fn validation_of_vmsa() -> Outcome {
    is_refused(SECOND_VMSA)
}

fn validation_around_vmsa() -> Outcome {
    is_refused(Area::WORK.whole())
}

fn validation_of_area() -> Outcome {
    is_refused(SECOND_AREA)
}

fn validation_of_first_area() -> Outcome {
    is_refused(page_at(GUEST_CALLING_AREA, PageSize::Size4K))
}

fn list_in_vmsa() -> Outcome {
    for offset in [0, 8, 0x800] {
        let reply = svsm::core(CoreCall::PVALIDATE, SECOND_VMSA.gpa().get() + offset);
        result("result", reply, SvsmResult::INVALID_ADDRESS)?;
    }
    Ok(())
}

fn list_over_pending() -> Outcome {
    let reply = svsm::core(CoreCall::PVALIDATE, GUEST_CALLING_AREA);
    result("result", reply, SvsmResult::INVALID_ADDRESS)
}

fn remap_to(page: GpaPage) -> Outcome {
    let reply = svsm::core(CoreCall::REMAP_CA, page.gpa().get());
    result("result", reply, SvsmResult::INVALID_ADDRESS)?;
    served()
}

fn remap_to_vmsa() -> Outcome {
    remap_to(SECOND_VMSA)
}

fn remap_to_first_area() -> Outcome {
    remap_to(page_at(GUEST_CALLING_AREA, PageSize::Size4K))
}

fn create_is_refused(vmsa: GpaPage, area: GpaPage) -> Outcome {
    let reply = create_vcpu(vmsa.gpa().get(), area.gpa().get(), apic_id().into());
    refused("result", reply, SvsmResult::INVALID_ADDRESS)
}

fn created_again() -> Outcome {
    create_is_refused(SECOND_VMSA, SPARE)?;
    is_ordinary(SPARE)
}

fn areas_in_use() -> Outcome {
    let first = page_at(GUEST_CALLING_AREA, PageSize::Size4K);
    create_is_refused(SPARE, SECOND_VMSA)?;
    create_is_refused(SPARE, SECOND_AREA)?;
    create_is_refused(SPARE, first)?;
    create_is_refused(SECOND_AREA, SPARE)?;
    create_is_refused(first, SPARE)?;
    is_ordinary(SPARE)
}

fn delete_is_refused(gpa: u64) -> Outcome {
    let reply = svsm::core(CoreCall::DELETE_VCPU, gpa);
    result("result", reply, SvsmResult::INVALID_PARAMETER)
}

fn no_vmsa() -> Outcome {
    delete_is_refused(SPARE.gpa().get())?;
    delete_is_refused(SECOND_VMSA.gpa().get() + 8)?;
    delete_is_refused(Area::INVALID.page(0).gpa().get())?;
    delete_is_refused(0)?;
    delete_is_refused(u64::MAX)?;
    is_ordinary(SPARE)?;
    succeeds("rescission", rescind(SPARE))?;
    succeeds("validation", validate(SPARE))
}

/// Where in its range the SVSM keeps the first VMSA is not the guest's to know.
fn startup() -> Outcome {
    let svsm = svsm::described();
    let range = svsm.base..svsm.base + svsm.size;
    range
        .step_by(PAGE_4K as usize)
        .try_for_each(delete_is_refused)
}

fn areas() -> Outcome {
    delete_is_refused(SECOND_AREA.gpa().get())?;
    delete_is_refused(GUEST_CALLING_AREA)?;
    served()
}
