//! Exceptions. One that was expected goes on behind the instruction; any other ends the guest.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};

use super::boot::CODE64;
use crate::end;

/// Vector of #GP.
pub(crate) const GP: u8 = 13;
/// Vector of #VC.
pub(crate) const VC: u8 = 29;

const VECTORS: usize = 32;
/// Bytes from one stub to the next.
const STUB: u64 = 16;
/// A present 64-bit interrupt gate of privilege level 0.
const INTERRUPT_GATE: u64 = 0x8e;
/// Set in [`CAUGHT`] beside the exception.
const CAUGHT_VALID: u64 = 1 << 63;

/// An exception: vector and error code (0 where there is none).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    pub(crate) vector: u8,
    pub(crate) error_code: u32,
}

/// Where to go on after the next exception. 0: it is not expected.
pub(crate) static RESUME: AtomicU64 = AtomicU64::new(0);
static CAUGHT: AtomicU64 = AtomicU64::new(0);

/// The expected exception that came, if one did.
pub(crate) fn take_caught() -> Option<Exception> {
    let caught = CAUGHT.swap(0, Ordering::SeqCst);
    let exception = Exception {
        vector: (caught >> 32) as u8,
        error_code: caught as u32,
    };
    (caught & CAUGHT_VALID != 0).then_some(exception)
}

/// What the stubs have pushed, lowest address first, and the processor before them.
#[repr(C)]
struct Frame {
    registers: [u64; 15],
    vector: u64,
    error_code: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

// Vectors 8, 10 to 14, 17, 21, 29 and 30 come with an error code.
global_asm!(
    r#"
    .text
    .balign 16
exception_stubs:
    .set vector, 0
    .rept 32
    .balign 16
    .if ((0x60227d00 >> vector) & 1) == 0
    push 0
    .endif
    .byte 0x6a, vector // push
    jmp exception_entry
    .set vector, vector + 1
    .endr

exception_entry:
    push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    cld
    // The processor has aligned the stack, and 22 quadwords keep it so.
    mov rdi, rsp
    call {handler}
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rbp
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rbx
    pop rax
    add rsp, 16
    iretq
"#,
    handler = sym handle,
);

unsafe extern "C" {
    #[link_name = "exception_stubs"]
    static STUBS: [u8; VECTORS * STUB as usize];
    static boot_gdt: [u64; 4];
}

extern "C" fn handle(frame: &mut Frame) {
    let exception = Exception {
        vector: frame.vector as u8,
        error_code: frame.error_code as u32,
    };
    let resume = RESUME.swap(0, Ordering::SeqCst);
    if resume == 0 {
        end::unexpected(exception, frame.rip);
    }
    let caught = CAUGHT_VALID | u64::from(exception.vector) << 32;
    CAUGHT.store(caught | u64::from(exception.error_code), Ordering::SeqCst);
    frame.rip = resume;
}

/// The interrupt descriptor table: two quadwords a gate.
struct Idt(UnsafeCell<[[u64; 2]; VECTORS]>);

// SAFETY: there is one vCPU, and exceptions do not write the table.
unsafe impl Sync for Idt {}

static IDT: Idt = Idt(UnsafeCell::new([[0; 2]; VECTORS]));

/// Limit and base of a descriptor table, as the VMSA of another vCPU needs them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) limit: u16,
    pub(crate) base: u64,
}

/// The GDT.
pub(crate) fn gdt() -> Table {
    Table {
        limit: size_of::<[u64; 4]>() as u16 - 1,
        base: (&raw const boot_gdt).addr() as u64,
    }
}

/// The IDT.
pub(crate) fn idt() -> Table {
    let limit = size_of::<[[u64; 2]; VECTORS]>() as u16 - 1;
    Table {
        limit,
        base: IDT.0.get().addr() as u64,
    }
}

/// Fills the IDT and loads it.
pub(crate) fn init() {
    let stubs = (&raw const STUBS).addr() as u64;
    for (vector, place) in (0..VECTORS as u64).zip(0..VECTORS) {
        let entry = stubs + vector * STUB;
        let low = entry & 0xffff
            | u64::from(CODE64) << 16
            | INTERRUPT_GATE << 40
            | (entry >> 16 & 0xffff) << 48;
        // SAFETY: one vCPU, no exception before the table is loaded, and `place` is below VECTORS.
        unsafe { (*IDT.0.get())[place] = [low, entry >> 32] };
    }
    let table = idt();
    let mut pointer = [0; 10];
    pointer[..2].copy_from_slice(&table.limit.to_le_bytes());
    pointer[2..].copy_from_slice(&table.base.to_le_bytes());
    // SAFETY: the table is static and its gates lead to the stubs above.
    unsafe { asm!("lidt [{}]", in(reg) &raw const pointer, options(nostack, readonly)) };
}
