//! Proof that the mapping with the C-bit really is private.
//!
//! A read through the C = 0 alias can prove nothing under SEV-SNP: it is a nested page fault to the
//! host, which answers as it likes. What is private whatever the page tables say are instruction
//! fetches (AMD64 APM volume 2, 15.34.5). So a random number is written as data, through the
//! mapping that is to be proved, and fetched as an instruction from the same address. If the data
//! went to shared memory, the fetch finds other bytes, or a page that is not validated any more.
//! The host cannot have put the number there before, because it is random.

use core::arch::{asm, global_asm};
use core::ptr::addr_of_mut;

use monitor::fatal::Fatal;
use protocols::ghcb::RampartReason;

// `mov rax, imm64; ret`, in the image's writable memory: stage2 runs on one mapping of everything.
global_asm!(
    r#"
    .section .data.cbit_probe, "aw"
    .balign 16
cbit_probe:
    .byte 0x48, 0xB8
    .quad 0
    ret
    .text
"#
);

unsafe extern "C" {
    static mut cbit_probe: [u8; 11];
}

/// How often the random number generator is asked before it counts as broken.
const RDRAND_TRIES: u32 = 100;

/// Proves that what is written through stage2's mapping is what a fetch, always private, reads.
///
/// # Errors
/// [`Fatal`] when it is not, and when the processor has no random number to give.
pub(crate) fn prove() -> Result<(), Fatal> {
    let pattern = rdrand(RDRAND_TRIES).ok_or(Fatal::new(RampartReason::RandomUnavailable))?;
    let fetched: u64;
    // SAFETY: `cbit_probe` is code of ours that nobody else runs; its operand starts at byte 2.
    // The mapping is writable and executable. No serialising instruction is needed: a call to an
    // instruction that was modified at the same linear address executes the new bytes.
    unsafe {
        let probe = addr_of_mut!(cbit_probe).cast::<u8>();
        probe.wrapping_add(2).cast::<u64>().write_unaligned(pattern);
        asm!("call {probe}", probe = in(reg) probe, out("rax") fetched);
    }
    if fetched == pattern {
        Ok(())
    } else {
        Err(Fatal::new(RampartReason::CBitUnproven))
    }
}

/// A hardware random number, or `None` when the processor has none to give after `tries` tries.
fn rdrand(tries: u32) -> Option<u64> {
    for _ in 0..tries {
        let value: u64;
        let ok: u8;
        // SAFETY: RDRAND touches no memory; every SNP processor has it. (Where it is missing the
        // #UD ends in this firmware's exception handler.)
        unsafe {
            asm!("rdrand {v}", "setc {ok}", v = out(reg) value, ok = out(reg_byte) ok,
                 options(nostack));
        }
        if ok != 0 {
            return Some(value);
        }
    }
    None
}
