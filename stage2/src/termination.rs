//! How stage2 ends the machine: by the GHCB MSR, which works from the first instruction on.

use protocols::ghcb::RampartReason;

use crate::console::say;
use crate::instructions;

/// What the entry code puts into EAX when the host's answer to SEV_INFO is none.
pub(crate) const SEV_INFO_ANSWER: u32 = msr_value(RampartReason::BadMsrAnswer);
/// What the entry code puts into EAX when the host's C-bit is not the one of the page tables.
pub(crate) const C_BIT_MISMATCH: u32 = msr_value(RampartReason::CBitMismatch);

const fn msr_value(reason: RampartReason) -> u32 {
    // A termination request has nothing in its upper half.
    reason.termination().msr().0 as u32
}

const VC: u64 = 29;
const NOT_VALIDATED: u64 = 0x404;

/// The reason for an exception in stage2: it expects none.
pub(crate) const fn for_exception(vector: u64, error_code: u64) -> RampartReason {
    match (vector, error_code) {
        (VC, NOT_VALIDATED) => RampartReason::UnvalidatedAccess,
        _ => RampartReason::UnexpectedException,
    }
}

/// Ends the machine from an exception: nothing of Rust's state is relied on. Asks for ever: a host that enters the CPU again gets the same request
/// (threat 25). Interrupts are off.
pub(crate) fn terminate(reason: RampartReason) -> ! {
    loop {
        // SAFETY: a termination request; nothing comes after it.
        let _ = unsafe { instructions::msr_protocol(reason.termination().msr().0) };
    }
}

/// Every panic is a bug of ours: input never causes one.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    if let Some(at) = info.location() {
        say(format_args!("stage2: panic at {}:{}", at.file(), at.line()));
    }
    terminate(RampartReason::Panic)
}
