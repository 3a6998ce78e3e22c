//! DELETE_VCPU of the second VMSA, which is left, by the third.

use protocols::addr::PageSize;
use protocols::boot::layout::GUEST_CALLING_AREA;
use protocols::svsm::{CoreCall, SvsmResult};

use crate::check::{Check, Outcome, check, result, succeeds};
use crate::list::{rescind, validate};
use crate::lives::{SECOND_AREA, SECOND_VMSA, THIRD_AREA, THIRD_VMSA};
use crate::playground::{is_ordinary, page_at};
use crate::svsm::{self, Reply};

pub(crate) const CHECKS: &[Check] = &[
    check(
        "delete_vcpu/as it should be: the page is ordinary memory",
        right,
    ),
    check("delete_vcpu/a second time", again),
    check(
        "delete_vcpu/the page can be taken back and validated",
        page_is_free,
    ),
    check("delete_vcpu/so can its calling area", area_is_free),
    check("delete_vcpu/those of the others cannot", others),
];

fn delete(gpa: u64) -> Reply {
    svsm::core(CoreCall::DELETE_VCPU, gpa)
}

fn right() -> Outcome {
    succeeds("result", delete(SECOND_VMSA.gpa().get()))?;
    is_ordinary(SECOND_VMSA)?;
    is_ordinary(SECOND_AREA)
}

fn again() -> Outcome {
    let reply = delete(SECOND_VMSA.gpa().get());
    result("result", reply, SvsmResult::INVALID_PARAMETER)?;
    is_ordinary(SECOND_VMSA)
}

fn page_is_free() -> Outcome {
    succeeds("rescission", rescind(SECOND_VMSA))?;
    succeeds("validation", validate(SECOND_VMSA))?;
    is_ordinary(SECOND_VMSA)
}

fn area_is_free() -> Outcome {
    succeeds("rescission", rescind(SECOND_AREA))?;
    succeeds("validation", validate(SECOND_AREA))?;
    is_ordinary(SECOND_AREA)
}

fn others() -> Outcome {
    let first = page_at(GUEST_CALLING_AREA, PageSize::Size4K);
    for page in [first, THIRD_VMSA, THIRD_AREA] {
        result("rescission", rescind(page), SvsmResult::INVALID_ADDRESS)?;
    }
    Ok(())
}
