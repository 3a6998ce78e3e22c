//! Page-state changes: the host's side of the GHCB's list.

use protocols::addr::PageSize;
use protocols::ghcb::{
    GhcbField, MalformedReason, PSC_MAX_ENTRIES, PscEntry, PscOperation, PscResult,
};

use super::ghcb::GhcbView;
use super::memory::{Memory, StateError};
use crate::mem::phys;
use crate::report::stats::Stats;

/// Length of the list's header and of an entry.
pub(crate) const HEADER: u64 = 8;
pub(crate) const ENTRY: u64 = 8;

/// Performs one entry.
pub(crate) fn change(
    memory: &mut Memory,
    stats: &mut Stats,
    entry: PscEntry,
) -> Result<(), StateError> {
    let (gpa, size) = (entry.gpa().get(), entry.size());
    stats.page_state_entry(size);
    match entry.operation() {
        PscOperation::PRIVATE => memory.set_state(gpa, size, true),
        PscOperation::SHARED => memory.set_state(gpa, size, false),
        PscOperation::PSMASH => memory.split(gpa),
        // Joining is a wish: whether it happened shows at the next PVALIDATE.
        PscOperation::UNSMASH => {
            let _joined = memory.join(gpa);
            Ok(())
        }
        _ => Err(StateError::NoMemory),
    }
}

/// Serves the page-state-change exit.
pub(crate) fn serve(memory: &mut Memory, stats: &mut Stats, ghcb: &GhcbView) {
    let scratch = ghcb.get(GhcbField::SCRATCH);
    ghcb.begin_answer();
    let Some(scratch) = scratch else {
        ghcb.malformed(MalformedReason::MISSING_INPUT);
        return;
    };
    let Some(header) = ghcb.scratch_in_page(scratch, HEADER) else {
        ghcb.malformed(MalformedReason::INVALID_SCRATCH);
        return;
    };
    let (first, last): (u16, u16) = (phys::read(header), phys::read(header + 2));
    if usize::from(last) >= PSC_MAX_ENTRIES {
        ghcb.respond(
            protocols::ghcb::Response::NO_ACTION,
            PscResult::INVALID_HEADER.0,
        );
        return;
    }
    let result = entries(memory, stats, header, first, last);
    ghcb.respond(protocols::ghcb::Response::NO_ACTION, result.0);
}

/// Performs the entries `first..=last` of the list at system address `header`.
pub(crate) fn entries(
    memory: &mut Memory,
    stats: &mut Stats,
    header: u64,
    first: u16,
    last: u16,
) -> PscResult {
    for index in first..=last {
        let entry = PscEntry(phys::read(header + HEADER + u64::from(index) * ENTRY));
        let aligned = entry.gpa().is_aligned(entry.size());
        let valid = matches!(
            entry.operation(),
            PscOperation::PRIVATE
                | PscOperation::SHARED
                | PscOperation::PSMASH
                | PscOperation::UNSMASH
        );
        if !aligned || !valid || (entry.size() == PageSize::Size2M && entry.cur_page() > 512) {
            return PscResult::INVALID_ENTRY;
        }
        if change(memory, stats, entry).is_err() {
            return PscResult::GENERIC;
        }
        phys::write(header, index + 1);
    }
    PscResult::SUCCESS
}
