//! What an exception at VMPL0 means: all but a #VC that fits its instruction end the machine.

use monitor::cpuid::CpuidTable;
use monitor::fatal::Fatal;
use monitor::vc;
use protocols::ghcb::termination::RampartReason;
use spin::Once;

use crate::arch::exceptions::{Frame, instruction_at, vector};
use crate::console::log;
use crate::fatal;

/// The CPUID page, once it has been checked: what a #VC for CPUID is answered from.
pub(crate) static CPUID: Once<CpuidTable> = Once::new();

/// Called from the entry stubs. Returns only for a #VC that was served.
pub(crate) fn exception(frame: &mut Frame) {
    if frame.vector != vector::VC {
        unexpected(frame);
    }
    match serve_vc(frame) {
        Ok(()) => {}
        // Where it happened is what a support engineer needs of it.
        Err(Fatal::Rampart(reason, 0)) => fatal::end(Fatal::with_detail(reason, frame.rip)),
        Err(fatal) => fatal::end(fatal),
    }
}

fn serve_vc(frame: &mut Frame) -> Result<(), Fatal> {
    // Before anything at RIP is read: those bytes may be the ones taken away (threat 10).
    vc::check_code(frame.error_code)?;
    let forged = Fatal::with_detail(RampartReason::ForgedVc, frame.error_code);
    let opcode = instruction_at(frame.rip).ok_or(forged)?;
    let table = CPUID.get().ok_or(forged)?;
    let (leaf, subleaf) = (frame.rax as u32, frame.rcx as u32);
    let served = vc::decide(table, frame.error_code, opcode, leaf, subleaf)?;
    frame.rax = served.registers.eax.into();
    frame.rbx = served.registers.ebx.into();
    frame.rcx = served.registers.ecx.into();
    frame.rdx = served.registers.edx.into();
    frame.rip = frame.rip.wrapping_add(served.length);
    Ok(())
}

fn unexpected(frame: &Frame) -> ! {
    if fatal::may_speak() {
        log!(
            "exception {} error {:#x} at {:#x}, stack {:#x}, address {:#x}",
            frame.vector,
            frame.error_code,
            frame.rip,
            frame.rsp,
            crate::arch::cpu::fault_address()
        );
    }
    fatal::end_silently(RampartReason::UnexpectedException)
}
