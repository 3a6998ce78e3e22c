//! The two ways out of VMPL0: the GHCB MSR protocol, and the GHCB page.

use core::sync::atomic::Ordering;

use super::instructions;
use super::percpu;
use protocols::ghcb::MSR_GHCB;

/// One exchange of the GHCB MSR protocol; afterwards the MSR names the CPU's GHCB page again.
///
/// A request whose low 12 bits are 0 would be a page address and no request; it is not sent, and
/// the answer is 0, which no request has as its answer.
pub(crate) fn msr_exchange(request: u64) -> u64 {
    if request & 0xFFF == 0 {
        return 0;
    }
    // SAFETY: a well-formed request; whatever the host answers, it can change no private memory
    // without the processor noticing, and Rust refers to no shared memory.
    // The GHCB MSR may hold the address of the registered GHCB page, or 0.
    unsafe {
        let answer = instructions::msr_protocol(request);
        instructions::wrmsr(MSR_GHCB, percpu::this().ghcb_gpa.load(Ordering::Relaxed));
        answer
    }
}

/// Asks for termination, by the MSR protocol and for ever: a host that enters the CPU again gets
/// the same request again (threat 25).
pub(crate) fn terminate(request: u64) -> ! {
    loop {
        // SAFETY: a termination request; nothing comes after it.
        let _ = unsafe { instructions::msr_protocol(request) };
    }
}
