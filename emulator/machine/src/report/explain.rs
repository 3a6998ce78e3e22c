//! Why a guest ended, in words: what it did last, at which level.

use protocols::ghcb::termination::{self, Termination};

use super::console::println;
use crate::host::vmgexit::Ended;
use crate::machine::Machine;
use crate::processor::decode::Instruction;
use crate::processor::exit::Stuck;
use crate::processor::npf::Fault;
use crate::processor::vmcb::{control, save};
use crate::report::stats::Reason;

/// Prints the end of the guest.
pub(crate) fn explain(machine: &Machine, ended: Ended) {
    let level = machine.vcpu.level;
    match ended {
        Ended::Terminated { set, code, mask } => {
            let words = termination::describe(Termination { set, code });
            println!("VMPL{level} terminated the guest: reason set {set} code {code:#x}: {words}");
            if let Some(mask) = mask.filter(|&mask| mask != 0) {
                println!("with the mask {mask:#x}");
            }
        }
        Ended::Reset => {
            println!("VMPL{level} asked for a reset");
            println!(
                "no host can reset an SNP guest: its registers are sealed in its VMSAs, and what \
                 the secure processor measured has changed since. It takes a new launch"
            );
        }
        Ended::UnknownMsrRequest(value) => {
            println!("VMPL{level} made the unknown GHCB MSR request {value:#x}");
        }
        Ended::NobodyRuns => println!(
            "every vCPU waits for another one ({:?})",
            machine.vcpu.waiting
        ),
        Ended::GhcbNotShared(gpa) => {
            println!("VMPL{level} exited with a GHCB at {gpa:#x}, which is not shared memory");
        }
        Ended::InvariantViolated => println!("ended at VMPL{level} by the machine:"),
        Ended::Stuck(stuck) => explain_stuck(level, stuck),
    }
    if !matches!(ended, Ended::Reset) {
        registers(machine);
    }
}

fn explain_stuck(level: u8, stuck: Stuck) {
    match stuck {
        Stuck::Fault(Fault::NoMemory { gpa }) => {
            println!("VMPL{level} is stuck: a private access to {gpa:#x}, where no memory is");
        }
        Stuck::Fault(Fault::Right { gpa, kind }) => {
            println!(
                "VMPL{level} is stuck: it has no right to {kind:?} at {gpa:#x} (NPF, VMPL bit)"
            );
        }
        Stuck::Fault(Fault::State { gpa }) => {
            println!("VMPL{level} is stuck: the page at {gpa:#x} cannot be changed as it needs");
        }
        Stuck::Undeliverable(why, code) => {
            println!(
                "VMPL{level} is stuck: #VC {} cannot be delivered ({why:?})",
                Reason(code)
            );
        }
        Stuck::VcDuringDelivery(code) => {
            println!(
                "VMPL{level} is stuck: #VC {} while an event was delivered",
                Reason(code)
            );
        }
        Stuck::VcInVc { gpa } => {
            println!(
                "VMPL{level} is stuck: its #VC handler needs the page at {gpa:#x}, which is not \
                 validated, and raises #VC without end"
            );
        }
        Stuck::Access(fault) => {
            println!("VMPL{level} is stuck: the processor's own access failed ({fault:x?})");
        }
        Stuck::Shutdown => println!("VMPL{level} is stuck: triple fault"),
        Stuck::Cr0 => println!("VMPL{level} is stuck: CR0 written by an unknown instruction"),
        Stuck::Invalid => println!("VMPL{level} is stuck: its state is invalid (VMEXIT_INVALID)"),
        Stuck::Unexpected(code) => {
            println!("VMPL{level} is stuck: unexpected exit {}", Reason(code));
        }
    }
}

fn registers(machine: &Machine) {
    let vcpu = &machine.vcpu;
    let get = |offset| vcpu.vmcb.get::<u64>(offset);
    let cs = vcpu.vmcb.segment(save::CS);
    println!(
        "cs {:#x} rip {:#x} rsp {:#x} rflags {:#x} cr0 {:#x} cr2 {:#x} cr3 {:#x} cr4 {:#x} efer {:#x}",
        cs.selector,
        get(save::RIP),
        get(save::RSP),
        get(save::RFLAGS),
        get(save::CR0),
        get(save::CR2),
        get(save::CR3),
        get(save::CR4),
        get(save::EFER)
    );
    println!(
        "rax {:#x} rbx {:#x} rcx {:#x} rdx {:#x} rsi {:#x} rdi {:#x}",
        get(save::RAX),
        vcpu.gprs.rbx,
        vcpu.gprs.rcx,
        vcpu.gprs.rdx,
        vcpu.gprs.rsi,
        vcpu.gprs.rdi
    );
    println!(
        "exit {} info1 {:#x} info2 {:#x} event {:#x}",
        Reason(get(control::EXIT_CODE)),
        get(control::EXIT_INFO1),
        get(control::EXIT_INFO2),
        get(control::EXIT_INT_INFO)
    );
    if let Ok(instruction) = Instruction::fetch(vcpu, &machine.memory) {
        println!("instruction bytes {:02x?}", instruction.raw());
    }
}
