//! Model-specific registers of the processor under the machine.

use core::arch::global_asm;

pub(crate) const VM_HSAVE_PA: u32 = 0xc001_0117;

// Leaf functions whose one MSR instruction may raise #GP: the exception stub
// then goes on at msr_fault, which returns 1 (arch/exceptions.rs).
global_asm!(
    ".globl msr_read_instruction, msr_write_instruction, msr_fault",
    "msr_try_read:", // (msr, *mut u64) -> failed
    "mov ecx, edi",
    "msr_read_instruction:",
    "rdmsr",
    "shl rdx, 32",
    "mov eax, eax",
    "or rax, rdx",
    "mov [rsi], rax",
    "xor eax, eax",
    "ret",
    "msr_try_write:", // (msr, value) -> failed
    "mov ecx, edi",
    "mov eax, esi",
    "mov rdx, rsi",
    "shr rdx, 32",
    "msr_write_instruction:",
    "wrmsr",
    "xor eax, eax",
    "ret",
    "msr_fault:",
    "mov eax, 1",
    "ret",
);

unsafe extern "sysv64" {
    fn msr_try_read(msr: u32, value: *mut u64) -> u32;
    fn msr_try_write(msr: u32, value: u64) -> u32;
}

/// Reads an MSR; none where the processor raises #GP.
pub(crate) fn try_read(msr: u32) -> Option<u64> {
    let mut value = 0;
    // SAFETY: reads a register into a local; a #GP is turned into the result.
    let failed = unsafe { msr_try_read(msr, &mut value) };
    (failed == 0).then_some(value)
}

/// Writes an MSR that does not change how the machine itself runs: the APIC's,
/// MTRRs, VM_HSAVE_PA. False where the processor raises #GP.
pub(crate) fn try_write(msr: u32, value: u64) -> bool {
    // SAFETY: `host::msr` lets only such registers through; a #GP is turned
    // into the result.
    unsafe { msr_try_write(msr, value) == 0 }
}
