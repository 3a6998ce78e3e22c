//! stage2's exceptions: every one ends the machine with a code that names it.
//!
//! Loaded before anything else is looked at, so that a host that takes a page away or feeds
//! unvalidated memory (#VC with error code 0x404, threat 10) gets a termination and no triple
//! fault. There is no handler that returns.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::ptr::addr_of;

use crate::console::say;
use crate::termination;

global_asm!(
    r#"
    .altmacro
    .macro stage2_stub vector
    .balign 16
    .if (\vector == 8) || (\vector >= 10 && \vector <= 14) || (\vector == 17) || (\vector == 21) || (\vector == 29) || (\vector == 30)
    .else
    push 0
    .endif
    push \vector
    jmp stage2_exception
    .endm

    .text
    .balign 16
stage2_stubs:
    .set i, 0
    .rept 32
    stage2_stub %i
    .set i, i + 1
    .endr

stage2_exception:
    cld
    pop rdi
    pop rsi
    mov rdx, [rsp]
    and rsp, -16
    call {handler}
    ud2
    .noaltmacro
"#,
    handler = sym exception,
);

unsafe extern "C" {
    /// 32 entry stubs of 16 bytes each.
    safe static stage2_stubs: [[u8; 16]; 32];
}

/// An interrupt gate of 64-bit mode (APM volume 2, figure 4-24).
#[derive(Clone, Copy)]
#[repr(C)]
struct Gate {
    low: u64,
    high: u64,
}

impl Gate {
    /// A present 64-bit interrupt gate, ring 0, code selector 0x08, no IST.
    fn new(handler: u64) -> Self {
        const PRESENT_INTERRUPT_GATE: u64 = 0x8E00 << 32;
        const CODE_SELECTOR: u64 = 0x08 << 16;
        Self {
            low: (handler & 0xFFFF)
                | CODE_SELECTOR
                | PRESENT_INTERRUPT_GATE
                | ((handler >> 16 & 0xFFFF) << 48),
            high: handler >> 32,
        }
    }
}

/// The table, read by the processor.
#[repr(C, align(16))]
struct Idt(UnsafeCell<[Gate; 32]>);

// SAFETY: written once, by the only CPU that runs, before the processor is told of it.
unsafe impl Sync for Idt {}

static IDT: Idt = Idt(UnsafeCell::new([Gate { low: 0, high: 0 }; 32]));

#[repr(C, packed)]
struct TablePointer {
    limit: u16,
    base: u64,
}

/// Fills and loads the table.
pub(crate) fn load() {
    let first = addr_of!(stage2_stubs) as u64;
    let mut handler = first;
    let table = core::array::from_fn(|_| {
        let gate = Gate::new(handler);
        handler = handler.wrapping_add(16);
        gate
    });
    // SAFETY: nobody else runs, and the processor does not use the table yet.
    unsafe { IDT.0.get().write(table) };
    let pointer = TablePointer {
        limit: (size_of::<[Gate; 32]>() - 1) as u16,
        base: IDT.0.get() as u64,
    };
    // SAFETY: the table is static and filled; each gate leads to the stub of its vector.
    unsafe { asm!("lidt [{}]", in(reg) &raw const pointer, options(nostack, readonly)) };
}

/// Every exception ends here.
extern "C" fn exception(vector: u64, error_code: u64, rip: u64) -> ! {
    say(format_args!(
        "stage2: exception {vector}, error code {error_code:#x}, at {rip:#x}"
    ));
    termination::terminate(termination::for_exception(vector, error_code))
}
