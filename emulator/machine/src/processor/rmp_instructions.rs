//! PVALIDATE, RMPADJUST and RMPQUERY. To QEMU they are invalid opcodes, so
//! they arrive as #UD exits; the model has their meaning.

use protocols::addr::PageSize;
use protocols::snp::Vmpl;
use snp_model::fault::NestedFault;
use snp_model::instruction::{Caller, Outcome, Translation};
use snp_model::pvalidate::Pvalidate;
use snp_model::rmp::Rmp;
use snp_model::rmpadjust::Rmpadjust;
use snp_model::rmpquery::Rmpquery;

use super::decode::Instruction;
use super::guest_memory::GuestFault;
use super::vcpu::Vcpu;
use super::vmcb::save;
use super::walk::{self, WalkFault};
use super::{event, tlb_instructions};
use crate::host::memory::Memory;
use crate::processors;
use crate::report::stats::Stats;

/// Prefix and three opcode bytes.
const OPCODE_LENGTH: usize = 3;

const CF: u64 = 1;
const PF: u64 = 1 << 2;
const AF: u64 = 1 << 4;
const ZF: u64 = 1 << 6;
const SF: u64 = 1 << 7;
const OF: u64 = 1 << 11;

/// How the instruction at the guest's RIP ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Executed {
    /// Done, or an event is pending for the guest.
    Resume,
    /// #VC 0x404: the page is not validated.
    NotValidated,
    /// The operand names no memory, or no host could mend the fault.
    Stuck { gpa: u64 },
}

/// Executes what raised #UD.
pub(crate) fn execute(
    vcpu: &mut Vcpu,
    memory: &mut Memory,
    stats: &mut Stats,
) -> Result<Executed, GuestFault> {
    let instruction = Instruction::fetch(vcpu, memory)?;
    let length = instruction.length(OPCODE_LENGTH);
    let caller = Caller {
        cpl: vcpu.vmcb.cpl(),
        vmpl: Vmpl::new(vcpu.level).unwrap_or(Vmpl::VMPL3),
        snp: vcpu.current().sev_features & 1 != 0,
    };
    let executed = match instruction.repeat {
        0xf2 if instruction.is(&[0x0f, 0x01, 0xff]) => {
            pvalidate(vcpu, memory, stats, caller, length)
        }
        0xf3 if instruction.is(&[0x0f, 0x01, 0xfe]) => {
            rmpadjust(vcpu, memory, stats, caller, length)
        }
        0xf3 if instruction.is(&[0x0f, 0x01, 0xfd]) => rmpquery(vcpu, memory, caller, length),
        _ if tlb_instructions::execute(vcpu, memory, &instruction) => Ok(()),
        _ => {
            event::inject_ud(&mut vcpu.vmcb);
            Ok(())
        }
    };
    Ok(executed.err().unwrap_or(Executed::Resume))
}

/// An instruction whose operands the model accepted.
struct Accepted<T, F: Fn(&mut Rmp, Translation) -> Outcome<T>> {
    linear: u64,
    size: PageSize,
    execute: F,
}

fn pvalidate(
    vcpu: &mut Vcpu,
    memory: &mut Memory,
    stats: &mut Stats,
    caller: Caller,
    length: u64,
) -> Result<(), Executed> {
    let rax: u64 = vcpu.vmcb.get(save::RAX);
    let (ecx, edx) = (vcpu.gprs.rcx as u32, vcpu.gprs.rdx as u32);
    let decoded = Pvalidate::decode(caller, rax, ecx, edx).map(|operation| {
        stats.pvalidate(vcpu.level, operation.size());
        Accepted {
            linear: operation.address(),
            size: operation.size(),
            execute: move |rmp: &mut Rmp, at| operation.execute(rmp, at),
        }
    });
    let done = execute_on_page(vcpu, memory, decoded)?;
    complete(vcpu, done.code.0, done.carry, length);
    Ok(())
}

fn rmpadjust(
    vcpu: &mut Vcpu,
    memory: &mut Memory,
    stats: &mut Stats,
    caller: Caller,
    length: u64,
) -> Result<(), Executed> {
    let rax: u64 = vcpu.vmcb.get(save::RAX);
    let decoded = Rmpadjust::decode(caller, rax, vcpu.gprs.rcx, vcpu.gprs.rdx).map(|operation| {
        stats.rmpadjust(vcpu.level, operation.size());
        Accepted {
            linear: operation.address(),
            size: operation.size(),
            execute: move |rmp: &mut Rmp, at| operation.execute(rmp, at),
        }
    });
    let code = execute_on_page(vcpu, memory, decoded)?;
    complete(vcpu, code.0, false, length);
    Ok(())
}

fn rmpquery(
    vcpu: &mut Vcpu,
    memory: &mut Memory,
    caller: Caller,
    length: u64,
) -> Result<(), Executed> {
    let rax: u64 = vcpu.vmcb.get(save::RAX);
    let decoded = Rmpquery::decode(caller, rax, vcpu.gprs.rdx).map(|operation| Accepted {
        linear: operation.address(),
        size: PageSize::Size4K,
        execute: move |rmp: &mut Rmp, at| operation.execute(rmp, at),
    });
    let done = execute_on_page(vcpu, memory, decoded)?;
    if let Some(found) = done.found {
        vcpu.gprs.rcx = found.rcx();
        vcpu.gprs.rdx = found.rdx();
    }
    complete(vcpu, done.code.0, false, length);
    Ok(())
}

fn complete(vcpu: &mut Vcpu, eax: u32, carry: bool, length: u64) {
    let flags: u64 = vcpu.vmcb.get(save::RFLAGS);
    let mut flags = flags & !(CF | PF | AF | ZF | SF | OF);
    flags |= if carry { CF } else { 0 };
    flags |= if eax == 0 { ZF } else { 0 };
    flags |= if (eax as u8).count_ones().is_multiple_of(2) {
        PF
    } else {
        0
    };
    vcpu.vmcb.set(save::RFLAGS, flags);
    vcpu.vmcb.set(save::RAX, u64::from(eax));
    vcpu.vmcb.advance(length);
}

/// An outcome that was known before any page was looked at.
fn without_page<T>(vcpu: &mut Vcpu, outcome: Outcome<T>) -> Result<T, Executed> {
    match outcome {
        Outcome::Complete(done) => Ok(done),
        Outcome::InvalidOpcode => {
            event::inject_ud(&mut vcpu.vmcb);
            Err(Executed::Resume)
        }
        Outcome::GeneralProtection => {
            event::inject_gp(&mut vcpu.vmcb, 0);
            Err(Executed::Resume)
        }
        Outcome::NotValidated => Err(Executed::NotValidated),
        Outcome::Nested(_) => Err(Executed::Stuck {
            gpa: vcpu.vmcb.get(save::RAX),
        }),
    }
}

/// Ends as the operands alone decide, or translates the address and executes,
/// mending nested faults as a host does: a page in the other state is made
/// private, a 2 MiB page is split. Gives what the instruction leaves in the
/// registers.
fn execute_on_page<T, F: Fn(&mut Rmp, Translation) -> Outcome<T>>(
    vcpu: &mut Vcpu,
    memory: &mut Memory,
    decoded: Result<Accepted<T, F>, Outcome<T>>,
) -> Result<T, Executed> {
    let Accepted {
        linear,
        size,
        execute,
    } = match decoded {
        Ok(accepted) => accepted,
        Err(outcome) => return without_page(vcpu, outcome),
    };
    let gpa = match walk::translate(&vcpu.vmcb, linear, false, |gpa| memory.spa(gpa)) {
        Ok(physical) => physical.gpa,
        Err(WalkFault::Page(code)) => {
            event::inject_pf(&mut vcpu.vmcb, linear, code);
            return Err(Executed::Resume);
        }
        Err(WalkFault::NoMemory(gpa)) => return Err(Executed::Stuck { gpa }),
        Err(WalkFault::UnsupportedMode) => return Err(Executed::Stuck { gpa: linear }),
    };
    // One mend for the state, one for the size, then the answer stands.
    for _ in 0..3 {
        let Some(at) = memory.translation(gpa) else {
            break;
        };
        let before = memory.rmp_entry(at.spa.0);
        match execute(memory.rmp(), at) {
            Outcome::Nested(fault) if fault.contains(NestedFault::SIZE) => {
                if memory.split(gpa).is_err() {
                    break;
                }
            }
            Outcome::Nested(_) => {
                let page = gpa & !(size.bytes() - 1);
                if memory.set_state(page, size, true).is_err() {
                    break;
                }
            }
            outcome => {
                let done = without_page(vcpu, outcome)?;
                let after = memory.rmp_entry(at.spa.0);
                memory
                    .translations
                    .changed(processors::holder(), &before, &after);
                memory.rmp_changed(gpa, size);
                return Ok(done);
            }
        }
    }
    Err(Executed::Stuck { gpa })
}
