//! Events that a hostile host injects into VMPL0.

use snp_scenario::Lie;

use crate::machine::Machine;
use crate::processor::event;
use crate::processor::exit::Stuck;

/// Before VMRUN: injects what waits for VMPL0. Some: VMPL0 cannot take it.
pub(crate) fn before_entry(machine: &mut Machine) -> Option<Stuck> {
    if machine.vcpu.level != 0 {
        return None;
    }
    let due = *machine.scenario.waiting.first()?;
    let stuck = match due.lie {
        Lie::Inject { vector, error } => {
            event::inject_from_host(&mut machine.vcpu.vmcb, vector, error)?;
            None
        }
        Lie::ForgeVc(code) => event::deliver_vc(&mut machine.vcpu, &machine.memory, code)
            .err()
            .map(|reason| Stuck::Undeliverable(reason, code)),
        _ => None,
    };
    machine.scenario.waiting.remove(0);
    machine.scenario.told(due);
    stuck
}
