//! INVLPGB and TLBSYNC (APM volume 3): translations dropped on all processors.
//!
//! To QEMU they are invalid opcodes. QEMU drops every translation of a processor
//! when it leaves the guest, so the broadcast makes the others leave it, whatever
//! it names; and because that is over when INVLPGB is done, TLBSYNC has nothing
//! to wait for. The ledger of translations takes both at their word.

use super::decode::Instruction;
use super::event;
use super::vcpu::Vcpu;
use super::vmcb::save;
use crate::host::memory::Memory;
use crate::processors;

const INVLPGB: [u8; 3] = [0x0f, 0x01, 0xfe];
const TLBSYNC: [u8; 3] = [0x0f, 0x01, 0xff];

/// Executes the instruction if it is one of the two. False: it is another one.
pub(crate) fn execute(vcpu: &mut Vcpu, memory: &mut Memory, instruction: &Instruction) -> bool {
    let broadcast = instruction.is(&INVLPGB);
    if instruction.repeat != 0 || !(broadcast || instruction.is(&TLBSYNC)) {
        return false;
    }
    if vcpu.vmcb.cpl() != 0 {
        event::inject_gp(&mut vcpu.vmcb, 0);
        return true;
    }
    let by = processors::holder();
    if broadcast {
        memory.translations.invlpgb(by, vcpu.vmcb.get(save::RAX));
        processors::flush_others();
    } else {
        memory.translations.tlbsync(by);
    }
    vcpu.vmcb.advance(instruction.length(INVLPGB.len()));
    true
}
