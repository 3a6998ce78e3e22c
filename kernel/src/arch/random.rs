//! Random numbers and the time stamp counter, read by instruction. Nothing is decided here.
//!
//! Of RDSEED and RDRAND only the 64-bit forms are used: the narrower RDSEED of some parts answers 0
//! and says that it succeeded (AMD-SB-7055).

use core::arch::asm;

/// RDSEED: a number straight from the processor's entropy source, `None` while it has none.
///
/// # Safety
/// The CPUID page must offer it; otherwise it is #UD.
pub(crate) unsafe fn rdseed() -> Option<u64> {
    let value: u64;
    let ok: u8;
    // SAFETY: the caller vouches for the instruction, which touches no memory.
    unsafe {
        asm!("rdseed {v}", "setc {ok}", v = out(reg) value, ok = out(reg_byte) ok,
             options(nomem, nostack));
    }
    (ok != 0).then_some(value)
}

/// RDRAND: a number of the processor's generator, `None` while it has none.
///
/// # Safety
/// As [`rdseed`].
pub(crate) unsafe fn rdrand() -> Option<u64> {
    let value: u64;
    let ok: u8;
    // SAFETY: the caller vouches for the instruction, which touches no memory.
    unsafe {
        asm!("rdrand {v}", "setc {ok}", v = out(reg) value, ok = out(reg_byte) ok,
             options(nomem, nostack));
    }
    (ok != 0).then_some(value)
}

/// The time stamp counter. Without Secure TSC the host chooses its offset and its speed.
pub(crate) fn time_stamp() -> u64 {
    // SAFETY: RDTSC exists on every x86-64 processor and touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}
