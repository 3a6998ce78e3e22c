//! The machine's own GDT and IDT. An exception in the machine is a bug of the
//! machine: it is printed and QEMU ends.

use core::arch::{asm, global_asm};
use core::mem::size_of;

use crate::report::console::println;
use crate::report::exit::{self, ExitStatus};

const VECTORS: usize = 32;
const CODE_SELECTOR: u16 = 0x18;

// Each stub pushes a uniform frame {vector, error code} and goes to one handler.
global_asm!(
    ".balign 16",
    ".globl exception_stubs",
    "exception_stubs:",
    ".set i, 0",
    ".rept 32",
    // Refused if the stub before is longer than its 16 bytes.
    ".org exception_stubs + 16 * i",
    // GIF is set for nothing but this, so an NMI comes from the loop below and ends it.
    ".if i == 2",
    "lea rax, [rip + nmi_taken]",
    "mov [rsp], rax",
    "iretq",
    ".else",
    ".if !((i == 8) || ((i >= 10) && (i <= 14)) || (i == 17) || (i == 21) || (i == 29) || (i == 30))",
    "push 0",
    ".endif",
    ".byte 0x6a, i", // push i
    "jmp exception_common",
    ".endif",
    ".set i, i + 1",
    ".endr",
    "exception_common:",
    // A #GP of the two MSR instructions is an answer, not a bug: those leaf
    // functions do not mind rax.
    "lea rax, [rip + msr_read_instruction]",
    "cmp rax, [rsp + 16]",
    "je 2f",
    "lea rax, [rip + msr_write_instruction]",
    "cmp rax, [rsp + 16]",
    "jne 3f",
    "2:",
    "lea rax, [rip + msr_fault]",
    "mov [rsp + 16], rax",
    "add rsp, 16",
    "iretq",
    "3:",
    "mov rdi, rsp",
    "and rsp, -16",
    "call machine_exception",
    "ud2",
    // With GIF set QEMU may do something else first, and not look again before the next branch.
    ".globl machine_take_nmi",
    "machine_take_nmi:",
    "stgi",
    "2:",
    "pause",
    "jmp 2b",
    "nmi_taken:",
    "clgi",
    "ret",
);

unsafe extern "C" {
    static exception_stubs: u8;
}

unsafe extern "sysv64" {
    fn machine_take_nmi();
}

#[repr(C)]
struct Frame {
    vector: u64,
    error_code: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Gate {
    offset_low: u16,
    selector: u16,
    ist: u8,
    attributes: u8,
    offset_mid: u16,
    offset_high: u32,
    reserved: u32,
}

#[repr(C, packed)]
struct Pointer {
    limit: u16,
    base: u64,
}

static GDT: [u64; 4] = [
    0,
    0x00cf_9b00_0000_ffff,
    0x00cf_9300_0000_ffff,
    0x00af_9b00_0000_ffff,
];

static IDT: spin::Once<[Gate; VECTORS]> = spin::Once::new();

/// Loads the machine's descriptor tables on this processor.
pub(crate) fn load() {
    let idt = IDT.call_once(|| {
        core::array::from_fn(|vector| {
            let target = (&raw const exception_stubs) as u64 + vector as u64 * 16;
            Gate {
                offset_low: target as u16,
                selector: CODE_SELECTOR,
                ist: 0,
                attributes: 0x8e,
                offset_mid: (target >> 16) as u16,
                offset_high: (target >> 32) as u32,
                reserved: 0,
            }
        })
    });
    let gdtr = Pointer {
        limit: size_of::<[u64; 4]>() as u16 - 1,
        base: GDT.as_ptr() as u64,
    };
    let idtr = Pointer {
        limit: (VECTORS * size_of::<Gate>()) as u16 - 1,
        base: idt.as_ptr() as u64,
    };
    // SAFETY: both tables are static and valid; the selectors in use (0x18 and
    // 0x10) mean the same in the new GDT as in the one of the reset code.
    unsafe {
        asm!("lgdt [{}]", in(reg) &gdtr, options(nostack, readonly));
        asm!("lidt [{}]", in(reg) &idtr, options(nostack, readonly));
    }
}

#[unsafe(no_mangle)]
extern "sysv64" fn machine_exception(frame: &Frame) -> ! {
    let cr2: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, cr2", out(reg) cr2, options(nomem, nostack)) };
    println!(
        "internal error: exception {} (error code {:#x}) at {:#x}, cr2 {:#x}, rsp {:#x}, cs {:#x}, rflags {:#x}",
        frame.vector, frame.error_code, frame.rip, cr2, frame.rsp, frame.cs, frame.rflags
    );
    exit::end(ExitStatus::Internal)
}

/// Takes the NMI that made the guest exit: #VMEXIT leaves it pending. Waits for ever if there is
/// none.
pub(crate) fn take_nmi() {
    // SAFETY: RFLAGS.IF is clear, so the handler of vector 2 is all that can run while GIF is set.
    // It changes rax only, and goes on where the function leaves its loop.
    unsafe { machine_take_nmi() };
}
