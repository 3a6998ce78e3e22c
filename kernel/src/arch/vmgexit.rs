//! The way out of VMPL0 by the GHCB MSR; the GHCB page is [`crate::mm::ghcb_page`].

use super::instructions;

/// One exchange of the GHCB MSR protocol. The MSR keeps the answer: whoever uses the GHCB page
/// writes its address first.
///
/// A request whose low 12 bits are 0 would be a page address and no request; it is not sent, and
/// the answer is 0, which no request has as its answer.
pub(crate) fn msr_exchange(request: u64) -> u64 {
    if request & 0xFFF == 0 {
        return 0;
    }
    // SAFETY: a well-formed request; whatever the host answers, it can change no private memory
    // without the processor noticing, and Rust refers to no shared memory.
    unsafe { instructions::msr_protocol(request) }
}

/// Asks for termination, by the MSR protocol and for ever: a host that enters the CPU again gets
/// the same request again (threat 25).
pub(crate) fn terminate(request: u64) -> ! {
    loop {
        // SAFETY: a termination request; nothing comes after it.
        let _ = unsafe { instructions::msr_protocol(request) };
    }
}
