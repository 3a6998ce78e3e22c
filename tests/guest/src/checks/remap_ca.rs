//! REMAP_CA.

use protocols::addr::GpaPage;
use protocols::boot::layout::GUEST_CALLING_AREA;
use protocols::svsm::{CA_CALL_PENDING, CoreCall, SvsmResult};

use super::unusable;
use crate::arch::memory;
use crate::check::{Check, Outcome, check, result, same, succeeds};
use crate::list::{rescind, validate};
use crate::playground::{Area, is_ordinary};
use crate::svsm::{self, Reply, Transport, UNKNOWN_CALL};

pub(crate) const CHECKS: &[Check] = &[
    check("remap_ca/to the area in use", to_the_same),
    check("remap_ca/to another page and back", there_and_back),
    check("remap_ca/the old area is not served", old_area),
    check("remap_ca/the old area is an ordinary page", old_is_ordinary),
    check("remap_ca/to an address that is not a page's", misaligned),
    check("remap_ca/to unusable addresses", unusable_addresses),
    check("remap_ca/to a page that is not validated", not_validated),
];

const OTHER: GpaPage = Area::WORK.page(4);

fn remap(gpa: u64) -> Reply {
    svsm::core(CoreCall::REMAP_CA, gpa)
}

/// Remaps, and uses the new area if the SVSM does.
fn move_to(gpa: u64) -> Outcome {
    succeeds("result", remap(gpa))?;
    svsm::use_calling_area(gpa);
    Ok(())
}

/// Calls through the area in use are served.
fn is_served() -> Outcome {
    result(
        "a call in the area in use",
        svsm::call(UNKNOWN_CALL, [0; 4]),
        SvsmResult::UNSUPPORTED_CALL,
    )
}

fn to_the_same() -> Outcome {
    succeeds("result", remap(svsm::calling_area()))?;
    is_served()
}

fn there_and_back() -> Outcome {
    let other = OTHER.gpa().get();
    memory::fill(other, OTHER.bytes(), u64::MAX);
    move_to(other)?;
    same("call_pending of the new area", pending_of(other), 0u8)?;
    is_served()?;
    move_to(GUEST_CALLING_AREA)?;
    same(
        "call_pending of the first area",
        pending_of(GUEST_CALLING_AREA),
        0u8,
    )?;
    is_served()
}

fn pending_of(area: u64) -> u8 {
    memory::read(area + CA_CALL_PENDING as u64)
}

fn old_area() -> Outcome {
    move_to(OTHER.gpa().get())?;
    svsm::use_calling_area(GUEST_CALLING_AREA);
    let reply = svsm::exit(Transport::Msr, 1, UNKNOWN_CALL.rax(), [0; 4]);
    svsm::use_calling_area(OTHER.gpa().get());
    same("RAX", reply.result.0, UNKNOWN_CALL.rax())?;
    same("call_pending of the old area", reply.pending, 1u8)?;
    move_to(GUEST_CALLING_AREA)
}

fn old_is_ordinary() -> Outcome {
    move_to(OTHER.gpa().get())?;
    move_to(GUEST_CALLING_AREA)?;
    is_ordinary(OTHER)?;
    succeeds("rescission", rescind(OTHER))?;
    succeeds("validation", validate(OTHER))?;
    is_ordinary(OTHER)
}

fn misaligned() -> Outcome {
    for offset in [1, 8, 0x800] {
        result(
            "result",
            remap(OTHER.gpa().get() + offset),
            SvsmResult::INVALID_PARAMETER,
        )?;
        result(
            "in use",
            remap(svsm::calling_area() + offset),
            SvsmResult::INVALID_PARAMETER,
        )?;
    }
    is_served()
}

fn unusable_addresses() -> Outcome {
    unusable::are_refused(remap)?;
    is_served()
}

fn not_validated() -> Outcome {
    let reply = remap(Area::INVALID.page(1).gpa().get());
    result("result", reply, SvsmResult::INVALID_ADDRESS)?;
    is_served()
}
