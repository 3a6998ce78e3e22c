//! Around PVALIDATE and RMPADJUST: the moments at which a page can be exchanged
//! under the firmware's hands.

use protocols::addr::PageSize;
use snp_scenario::Event;

use super::deeds_at;
use crate::machine::Machine;
use crate::processor::decode::Instruction;
use crate::processor::vmcb::save;
use crate::processor::walk;
use crate::report::invariants;

const PVALIDATE: [u8; 3] = [0x0f, 0x01, 0xff];
const RMPADJUST: [u8; 3] = [0x0f, 0x01, 0xfe];

/// The page that RAX names, for the running level.
fn operand(machine: &Machine) -> Option<u64> {
    let linear: u64 = machine.vcpu.vmcb.get(save::RAX);
    let memory = &machine.memory;
    let physical =
        walk::translate(&machine.vcpu.vmcb, linear, false, |gpa| memory.spa(gpa)).ok()?;
    Some(physical.gpa & !(PageSize::Size4K.bytes() - 1))
}

/// The guest is about to execute what QEMU calls an invalid opcode.
pub(crate) fn before(machine: &mut Machine) {
    if machine.scenario.is_empty() {
        return;
    }
    let Ok(instruction) = Instruction::fetch(&machine.vcpu, &machine.memory) else {
        return;
    };
    let Some(gpa) = operand(machine) else {
        return;
    };
    let vmpl = machine.vcpu.level;
    match instruction.repeat {
        0xf2 if instruction.is(&PVALIDATE) => deeds_at(machine, Event::Pvalidate { vmpl, gpa }),
        0xf3 if instruction.is(&RMPADJUST) => deeds_at(machine, Event::Rmpadjust { vmpl, gpa }),
        _ => {}
    }
}

/// The guest has executed it: no remapped page may be validated twice, not even
/// for a while.
pub(crate) fn after(machine: &mut Machine) {
    let Machine {
        scenario,
        memory,
        invariants,
        ..
    } = machine;
    for (&gpa, &aside) in &scenario.aside {
        let Some(now) = memory.spa(gpa) else {
            continue;
        };
        let mut pages = alloc::vec![now, aside];
        pages.extend(memory.home(gpa));
        pages.sort_unstable();
        pages.dedup();
        pages.retain(|&spa| invariants::is_validated_for(memory, spa, gpa));
        if pages.len() > 1 {
            invariants.double_validation(gpa);
        }
    }
}
