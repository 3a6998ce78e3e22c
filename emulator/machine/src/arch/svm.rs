//! The SVM instructions: VMRUN with the guest's general registers around it.

use core::arch::{asm, global_asm};

/// The general registers that the VMCB does not hold.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Gprs {
    pub(crate) rbx: u64,
    pub(crate) rcx: u64,
    pub(crate) rdx: u64,
    pub(crate) rsi: u64,
    pub(crate) rdi: u64,
    pub(crate) rbp: u64,
    pub(crate) r8: u64,
    pub(crate) r9: u64,
    pub(crate) r10: u64,
    pub(crate) r11: u64,
    pub(crate) r12: u64,
    pub(crate) r13: u64,
    pub(crate) r14: u64,
    pub(crate) r15: u64,
}

// svm_run(vmcb physical address, *mut Gprs). GIF is clear when it returns and
// stays so: the machine never takes an interrupt, the guest does.
global_asm!(
    ".globl svm_run",
    "svm_run:",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "push rsi",
    "mov rax, rdi",
    "mov rbx, [rsi]",
    "mov rcx, [rsi + 0x08]",
    "mov rdx, [rsi + 0x10]",
    "mov rdi, [rsi + 0x20]",
    "mov rbp, [rsi + 0x28]",
    "mov r8,  [rsi + 0x30]",
    "mov r9,  [rsi + 0x38]",
    "mov r10, [rsi + 0x40]",
    "mov r11, [rsi + 0x48]",
    "mov r12, [rsi + 0x50]",
    "mov r13, [rsi + 0x58]",
    "mov r14, [rsi + 0x60]",
    "mov r15, [rsi + 0x68]",
    "mov rsi, [rsi + 0x18]",
    "vmrun rax",
    "xchg rsi, [rsp]",
    "mov [rsi], rbx",
    "mov [rsi + 0x08], rcx",
    "mov [rsi + 0x10], rdx",
    "mov [rsi + 0x20], rdi",
    "mov [rsi + 0x28], rbp",
    "mov [rsi + 0x30], r8",
    "mov [rsi + 0x38], r9",
    "mov [rsi + 0x40], r10",
    "mov [rsi + 0x48], r11",
    "mov [rsi + 0x50], r12",
    "mov [rsi + 0x58], r13",
    "mov [rsi + 0x60], r14",
    "mov [rsi + 0x68], r15",
    "pop rax",
    "mov [rsi + 0x18], rax",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "cld",
    "ret",
);

unsafe extern "sysv64" {
    fn svm_run(vmcb: u64, gprs: *mut Gprs);
}

/// Turns global interrupts off for good; the guest runs with them on.
pub(crate) fn disable_global_interrupts() {
    // SAFETY: CLGI only holds back interrupts; EFER.SVME is set at reset.
    unsafe { asm!("clgi", options(nostack, nomem)) };
}

/// Enters the guest and returns at its next #VMEXIT.
///
/// # Safety
/// `vmcb` is the physical address of a VMCB whose intercepts and nested page
/// tables keep the guest out of the machine's own memory and registers.
pub(crate) unsafe fn run(vmcb: u64, gprs: &mut Gprs) {
    // SAFETY: the caller's promise; the assembly keeps the callee-saved registers.
    unsafe { svm_run(vmcb, gprs) }
}

/// Stores FS, GS, TR, LDTR, KernelGSBase, STAR…, SYSENTER… into the VMCB.
///
/// # Safety
/// `vmcb` is the physical address of a VMCB that belongs to the machine.
pub(crate) unsafe fn vmsave(vmcb: u64) {
    // SAFETY: the caller's promise: only the VMCB's save area is written.
    unsafe { asm!("vmsave rax", in("rax") vmcb, options(nostack)) };
}

/// Loads what `vmsave` stores.
///
/// # Safety
/// As for `vmsave`. The machine does not use any of these registers itself.
pub(crate) unsafe fn vmload(vmcb: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("vmload rax", in("rax") vmcb, options(nostack)) };
}
