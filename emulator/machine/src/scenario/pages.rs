//! What a hostile host does to the guest's pages: everything that RMPUPDATE,
//! PSMASH and its own nested tables let it.

use protocols::addr::{Gpa, PageSize};
use snp_model::host::{RmpUpdate, rmpupdate};
use snp_model::types::Spa;

use crate::host::memory::Memory;
use crate::machine::Machine;

type Done = Result<(), &'static str>;

const NO_MEMORY: &str = "no memory is there";
const RMP: &str = "the RMP refuses";

/// Makes sure that a 2 MiB page around `gpa` is 512 of 4 KiB.
fn split(memory: &mut Memory, gpa: u64) -> Done {
    let spa = memory.spa(gpa).ok_or(NO_MEMORY)?;
    match memory.rmp().entry(Spa(spa)).size() {
        PageSize::Size4K => Ok(()),
        PageSize::Size2M => memory.split(gpa).map_err(|_| RMP),
    }
}

/// Gives the system page `spa` to the guest at `gpa`: not validated from then on.
fn assign(memory: &mut Memory, spa: u64, gpa: u64) -> Done {
    let update = RmpUpdate::to_guest(memory.asid(), Gpa::new(gpa), PageSize::Size4K);
    rmpupdate(memory.rmp(), Spa(spa), update).map_err(|_| RMP)
}

/// Puts a fresh page behind `gpa`, in the same hands as the old one, which keeps
/// its RMP entry and its contents. Gives the old one's system address.
fn put_fresh(memory: &mut Memory, gpa: u64) -> Result<u64, &'static str> {
    split(memory, gpa)?;
    let old = memory.spa(gpa).ok_or(NO_MEMORY)?;
    let private = memory.rmp().entry(Spa(old)).is_assigned();
    memory
        .move_page(gpa)
        .ok_or("the machine has no frame left")?;
    if private {
        let fresh = memory.spa(gpa).ok_or(NO_MEMORY)?;
        assign(memory, fresh, gpa)?;
    }
    Ok(old)
}

/// `remap`: a second system page behind a guest page.
pub(super) fn remap(machine: &mut Machine, gpa: u64) -> Done {
    let old = put_fresh(&mut machine.memory, gpa)?;
    machine.scenario.aside.insert(gpa, old);
    Ok(())
}

/// `swap`: the page that `remap` put aside comes back.
pub(super) fn swap(machine: &mut Machine, gpa: u64) -> Done {
    let aside = machine.scenario.aside.get(&gpa).copied();
    let aside = aside.ok_or("it was never remapped")?;
    let now = machine.memory.spa(gpa).ok_or(NO_MEMORY)?;
    machine.memory.put_page(gpa, aside);
    machine.scenario.aside.insert(gpa, now);
    Ok(())
}

/// `move`: the page behind `from` goes behind `to`, readable as it was: the key is
/// the guest's, whatever the address.
pub(super) fn relocate(machine: &mut Machine, from: u64, to: u64) -> Done {
    let memory = &mut machine.memory;
    split(memory, to)?;
    let replaced = memory.spa(to).ok_or(NO_MEMORY)?;
    let taken = put_fresh(memory, from)?;
    assign(memory, taken, to)?;
    memory.put_page(to, taken);
    machine.scenario.aside.insert(to, replaced);
    Ok(())
}

/// `unassign`: the page becomes the host's.
pub(super) fn unassign(machine: &mut Machine, gpa: u64) -> Done {
    let state = machine.memory.set_state(gpa, PageSize::Size4K, false);
    state.map_err(|_| RMP)
}

/// `smash`: a 2 MiB page becomes 512 of 4 KiB.
pub(super) fn smash(machine: &mut Machine, gpa: u64) -> Done {
    machine
        .memory
        .split(gpa)
        .map_err(|_| "no 2 MiB page is there")
}
