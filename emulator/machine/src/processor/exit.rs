//! What becomes of each #VMEXIT: an exit that the host sees, an exception in
//! the guest (#VC), or nothing that either notices.

use protocols::ghcb::ExitCode;

use super::cr::{self, Cr0Write};
use super::decode::Instruction;
use super::event::{self, Undeliverable};
use super::guest_memory::GuestFault;
use super::npf::{self, Resolution};
use super::rmp_instructions::{self, Executed};
use super::vcpu::Waiting;
use super::vmcb::{control, save};
use super::{intercepts, msr};
use crate::arch::exceptions;
use crate::host::vmgexit::{self, Ended, Next};
use crate::machine::Machine;
use crate::report::instructions;
use crate::scenario;

/// #VC error code for an access to a page that is not validated.
const VC_NOT_VALIDATED: u64 = 0x404;
/// Intercepted only while the guest is stepped through.
pub(crate) const EXIT_DB: u64 = 0x41;
pub(crate) const EXIT_UD: u64 = 0x46;
const EXIT_WRITE_CR0: u64 = 0x10;
/// VMEXIT_INVALID as QEMU reports it: the upper half is missing.
const EXIT_INVALID: u64 = 0xffff_ffff;

const VMGEXIT_OPCODE: [u8; 3] = [0x0f, 0x01, 0xd9];

const RFLAGS_IF: u64 = 1 << 9;

/// Why the guest stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stuck {
    Fault(npf::Fault),
    /// #VC could not be delivered.
    Undeliverable(Undeliverable, u64),
    /// #VC came while another event was being delivered.
    VcDuringDelivery(u64),
    /// The #VC handler raises #VC itself, without end: this page is not validated.
    VcInVc {
        gpa: u64,
    },
    /// The processor's own access failed: an instruction fetch, say.
    Access(GuestFault),
    /// Triple fault.
    Shutdown,
    /// A write of CR0 by an unknown instruction.
    Cr0,
    /// QEMU refuses the VMCB.
    Invalid,
    /// An exit that was never asked for.
    Unexpected(u64),
}

/// Serves the exit that `code` names.
pub(crate) fn serve(machine: &mut Machine, code: u64) -> Next {
    if instructions::stepped(machine, code) {
        return Next::Resume;
    }
    let vcpu = &mut machine.vcpu;
    machine.stats.exit(vcpu.level, vcpu.vmcb.rip(), code);
    vcpu.vmcb.set(control::EVENT_INJ, 0u64);
    intercepts::set_hlt(&mut vcpu.vmcb, true);
    if !matches!(ExitCode(code), ExitCode::NPF | ExitCode::NMI) {
        vcpu.unvalidated.end();
    }
    match ExitCode(code) {
        ExitCode::NPF => nested_page_fault(machine),
        ExitCode::VMMCALL => vmmcall(machine),
        ExitCode::MSR if msr::serve(vcpu) => Next::Resume,
        ExitCode::CPUID
        | ExitCode::MSR
        | ExitCode::IOIO
        | ExitCode::INVD
        | ExitCode::MONITOR
        | ExitCode::MWAIT
        | ExitCode::XSETBV => vc(machine, code),
        ExitCode::HLT => halt(machine),
        ExitCode::NMI => {
            if !machine.was_kicked {
                exceptions::take_nmi();
                event::inject_nmi(&mut machine.vcpu.vmcb);
            } else {
                event::reinject_interrupted(&mut machine.vcpu.vmcb);
            }
            Next::Resume
        }
        ExitCode::SHUTDOWN => stuck(Stuck::Shutdown),
        _ if code == EXIT_DB => {
            scenario::watch::stepped(machine);
            Next::Resume
        }
        _ if code == EXIT_UD => invalid_opcode(machine),
        _ if code == EXIT_WRITE_CR0 => match cr::write_cr0(vcpu, &machine.memory) {
            Ok(Cr0Write::Done) => Next::Resume,
            Ok(Cr0Write::Unknown) => stuck(Stuck::Cr0),
            Err(fault) => stuck(Stuck::Access(fault)),
        },
        _ if code as u32 == EXIT_INVALID as u32 => stuck(Stuck::Invalid),
        // SVM's own instructions: a guest without SVM gets #UD.
        ExitCode::VMRUN
        | ExitCode::VMLOAD
        | ExitCode::VMSAVE
        | ExitCode::STGI
        | ExitCode::CLGI
        | ExitCode::SKINIT
        | ExitCode::INVLPGA => {
            event::inject_ud(&mut vcpu.vmcb);
            Next::Resume
        }
        _ => stuck(Stuck::Unexpected(code)),
    }
}

fn stuck(reason: Stuck) -> Next {
    Next::End(Ended::Stuck(reason))
}

/// #VC in the running level.
fn vc(machine: &mut Machine, code: u64) -> Next {
    if event::was_delivering(&machine.vcpu.vmcb) {
        return stuck(Stuck::VcDuringDelivery(code));
    }
    match event::deliver_vc(&mut machine.vcpu, &machine.memory, code) {
        Ok(()) => Next::Resume,
        Err(reason) => stuck(Stuck::Undeliverable(reason, code)),
    }
}

fn nested_page_fault(machine: &mut Machine) -> Next {
    scenario::watch::faulted(machine);
    let Machine {
        vcpu,
        memory,
        stats,
        ..
    } = machine;
    match npf::resolve(vcpu, memory, stats) {
        Resolution::Retry => {
            event::reinject_interrupted(&mut vcpu.vmcb);
            Next::Resume
        }
        Resolution::Vc(VC_NOT_VALIDATED) => not_validated(machine),
        Resolution::Vc(code) => vc(machine, code),
        Resolution::Stuck(fault) => stuck(Stuck::Fault(fault)),
    }
}

/// #VC for an access to a page that is not validated. On silicon, a vCPU whose
/// handler needs that page raises it for ever.
fn not_validated(machine: &mut Machine) -> Next {
    let vcpu = &mut machine.vcpu;
    let (level, rip) = (vcpu.level, vcpu.vmcb.rip());
    if vcpu.unvalidated.is_endless(level, rip) {
        let gpa = npf::faulting_gpa(&vcpu.vmcb);
        return stuck(Stuck::VcInVc { gpa });
    }
    vc(machine, VC_NOT_VALIDATED)
}

fn vmmcall(machine: &mut Machine) -> Next {
    let instruction = match Instruction::fetch(&machine.vcpu, &machine.memory) {
        Ok(instruction) => instruction,
        Err(fault) => return stuck(Stuck::Access(fault)),
    };
    // With F2 or F3 it is VMGEXIT.
    if instruction.repeat == 0 || !instruction.is(&VMGEXIT_OPCODE) {
        return vc(machine, ExitCode::VMMCALL.0);
    }
    machine
        .vcpu
        .vmcb
        .advance(instruction.length(VMGEXIT_OPCODE.len()));
    vmgexit::serve(machine)
}

fn invalid_opcode(machine: &mut Machine) -> Next {
    scenario::instruction::before(machine);
    let Machine {
        vcpu,
        memory,
        stats,
        ..
    } = machine;
    let executed = rmp_instructions::execute(vcpu, memory, stats);
    scenario::instruction::after(machine);
    match executed {
        Ok(Executed::Resume) => Next::Resume,
        Ok(Executed::NotValidated) => vc(machine, VC_NOT_VALIDATED),
        Ok(Executed::Stuck { gpa }) => stuck(Stuck::Fault(npf::Fault::State { gpa })),
        Err(fault) => stuck(Stuck::Access(fault)),
    }
}

/// An idle guest sleeps in QEMU until an interrupt comes, which goes to it
/// directly. With interrupts off it waits for another level to be run.
fn halt(machine: &mut Machine) -> Next {
    let vmcb = &mut machine.vcpu.vmcb;
    if vmcb.get::<u64>(save::RFLAGS) & RFLAGS_IF == 0 {
        vmcb.advance(1);
        machine.vcpu.waiting = Some(Waiting::Halted);
        return Next::Resume;
    }
    intercepts::set_hlt(vmcb, false);
    Next::Resume
}
