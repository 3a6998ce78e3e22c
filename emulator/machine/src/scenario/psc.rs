//! Page-state changes that are answered wrongly.

use protocols::ghcb::msr::{MsrRequest, MsrResponse};
use protocols::ghcb::{
    Ghcb, GhcbField, PSC_MAX_ENTRIES, PscEntry, PscOperation, PscResult, Response,
};
use snp_scenario::PscLie;

use crate::host::ghcb::GhcbView;
use crate::host::page_state::{self, ENTRY, HEADER};
use crate::machine::Machine;
use crate::mem::phys;

const _: () = assert!(size_of::<Ghcb>() == 4096);

fn opposite(operation: PscOperation) -> PscOperation {
    match operation {
        PscOperation::PRIVATE => PscOperation::SHARED,
        PscOperation::SHARED => PscOperation::PRIVATE,
        other => other,
    }
}

fn change_to_opposite(machine: &mut Machine, entry: PscEntry) -> Option<()> {
    let page = entry.page()?;
    let turned = PscEntry::new(page, opposite(entry.operation()))?;
    page_state::change(&mut machine.memory, &mut machine.stats, turned).ok()
}

/// Answers a request of the MSR protocol. None: this lie does not fit it.
pub(super) fn by_msr(machine: &mut Machine, request: MsrRequest, lie: PscLie) -> Option<()> {
    let MsrRequest::PageStateChange { gfn, operation } = request else {
        return None;
    };
    let error = match lie {
        PscLie::Pretend => 0,
        PscLie::Error(code) => code as u32,
        PscLie::Opposite => {
            let entry = protocols::addr::Gpa::from_pfn(gfn)
                .and_then(protocols::addr::GpaPage::new_4k)
                .and_then(|page| PscEntry::new(page, operation))?;
            change_to_opposite(machine, entry)?;
            0
        }
        PscLie::Partial(_) | PscLie::Backwards | PscLie::Overshoot => return None,
    };
    machine.vcpu.current().ghcb_msr = MsrResponse::PageStateChange { error }.encode().0;
    Some(())
}

/// Answers a request of the page protocol. None: this lie does not fit it, so the
/// honest host is asked.
pub(super) fn by_page(machine: &mut Machine, ghcb: &GhcbView, lie: PscLie) -> Option<()> {
    let header = ghcb
        .get(GhcbField::SCRATCH)
        .and_then(|scratch| ghcb.scratch_in_page(scratch, HEADER))?;
    let (first, last): (u16, u16) = (phys::read(header), phys::read(header + 2));
    if usize::from(last) >= PSC_MAX_ENTRIES || first > last {
        return None;
    }
    let mut result = PscResult::SUCCESS;
    match lie {
        PscLie::Pretend => phys::write(header, last + 1),
        PscLie::Partial(count) => {
            // One more would be all of it, which is no lie.
            let stop = first.saturating_add(count);
            if stop > last {
                return None;
            }
            if let Some(until) = stop.checked_sub(1).filter(|_| count != 0) {
                let (memory, stats) = (&mut machine.memory, &mut machine.stats);
                result = page_state::entries(memory, stats, header, first, until);
            }
        }
        PscLie::Backwards => phys::write(header, first.checked_sub(1)?),
        PscLie::Overshoot => phys::write(header, last + 2),
        PscLie::Error(code) => result = PscResult(code),
        PscLie::Opposite => {
            for index in first..=last {
                let entry = PscEntry(phys::read(header + HEADER + u64::from(index) * ENTRY));
                change_to_opposite(machine, entry)?;
            }
            phys::write(header, last + 1);
        }
    }
    ghcb.begin_answer();
    ghcb.respond(Response::NO_ACTION, result.0);
    Some(())
}
