//! Lies about the guest's processors: which there are, and which VMSA each runs.

use protocols::ghcb::GhcbField;
use snp_scenario::{ApCreationLie, MAX_APIC_IDS};

use crate::host::ghcb::GhcbView;
use crate::host::levels::{self, Creation};
use crate::machine::Machine;
use crate::mem::phys;

const PAGE: u64 = 0x1000;

/// Answers the question for the list of APIC IDs with another one.
pub(super) fn list(
    machine: &Machine,
    page: &GhcbView,
    count: u32,
    ids: &[u32; MAX_APIC_IDS],
) -> Option<()> {
    let gpa = page.get(GhcbField::EXIT_INFO1)?;
    let pages = page.get(GhcbField::RAX)?;
    let to = machine.memory.shared(gpa, PAGE)?;
    page.begin_answer();
    if pages != 0 {
        phys::fill(to, PAGE, 0);
        phys::write(to, count);
        for (slot, id) in (1u64..).zip(ids) {
            phys::write(to + slot * 4, *id);
        }
    }
    page.set(GhcbField::RAX, 1);
    Some(())
}

/// Answers AP creation with success, whatever is made of it. None: it was no
/// request to run a VMSA, or the lie names a vCPU that is not there.
pub(super) fn create(machine: &mut Machine, page: &GhcbView, lie: ApCreationLie) -> Option<()> {
    let asked = Creation::read(page).filter(Creation::is_create)?;
    let on = |apic_id| Creation { apic_id, ..asked };
    match lie {
        ApCreationLie::Never => {}
        ApCreationLie::On(apic_id) => levels::carry_out(machine, on(apic_id))?,
        ApCreationLie::Twice(apic_id) => {
            levels::carry_out(machine, on(apic_id))?;
            levels::carry_out(machine, asked)?;
        }
        ApCreationLie::At(level) => {
            let vmpl = level.into();
            levels::carry_out(machine, Creation { vmpl, ..asked })?;
        }
    }
    page.begin_answer();
    Some(())
}
