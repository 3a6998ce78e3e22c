//! Exception entry: a gate for each exception of the architecture and none else, so that an
//! injected interrupt ends the machine as a #NP (threat 29). Interrupts are off always.
//!
//! Every vector ends the machine but #VC, which the monitor may allow to be served, and NMI, which
//! says nothing to VMPL0 and is ignored.

use core::arch::global_asm;

use protocols::boot::layout::KERNEL_VMA;
use spin::Once;
use x86_64::VirtAddr;
use x86_64::structures::idt::InterruptDescriptorTable;

use super::descriptors::Ist;
use crate::exception::exception;

/// What an exception left on the stack; the general registers may be changed for the return.
#[repr(C)]
#[derive(Debug)]
#[allow(missing_docs, reason = "the registers' own names")]
pub(crate) struct Frame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    pub vector: u64,
    pub error_code: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

global_asm!(
    r#"
    .altmacro
    .macro exception_stub vector
    .balign 16
    .if (\vector == 8) || (\vector >= 10 && \vector <= 14) || (\vector == 17) || (\vector == 21) || (\vector == 29) || (\vector == 30)
    .else
    push 0
    .endif
    push \vector
    jmp exception_common
    .endm

    .text
    .balign 16
exception_stubs:
    .set i, 0
    .rept 32
    exception_stub %i
    .set i, i + 1
    .endr

exception_common:
    cld
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
    mov rdi, rsp
    mov rbp, rsp
    and rsp, -16
    call {handler}
    mov rsp, rbp
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
    .noaltmacro
"#,
    handler = sym dispatch,
);

unsafe extern "C" {
    /// 32 entry stubs of 16 bytes each.
    safe static exception_stubs: [[u8; 16]; 32];
}

/// Vector numbers (APM volume 2, table 8-1).
pub(crate) mod vector {
    /// Non-maskable interrupt.
    pub(crate) const NMI: u64 = 2;
    /// VMM communication exception.
    pub(crate) const VC: u64 = 29;
}

static IDT: Once<InterruptDescriptorTable> = Once::new();

/// Loads the interrupt descriptor table, which all CPUs share.
pub(crate) fn load() {
    let idt = IDT.call_once(|| {
        let mut idt = InterruptDescriptorTable::new();
        let stub = |vector: usize| {
            VirtAddr::from_ptr(
                core::ptr::addr_of!(exception_stubs)
                    .cast::<[u8; 16]>()
                    .wrapping_add(vector),
            )
        };
        // SAFETY: each address is the entry stub of exactly this vector: it knows whether the
        // processor pushes an error code, and returns by IRETQ. The IST indices are those that
        // `descriptors::load` filled.
        unsafe {
            idt.divide_error.set_handler_addr(stub(0));
            idt.debug.set_handler_addr(stub(1));
            idt.non_maskable_interrupt
                .set_handler_addr(stub(2))
                .set_stack_index(Ist::Nmi as u16);
            idt.breakpoint.set_handler_addr(stub(3));
            idt.overflow.set_handler_addr(stub(4));
            idt.bound_range_exceeded.set_handler_addr(stub(5));
            idt.invalid_opcode.set_handler_addr(stub(6));
            idt.device_not_available.set_handler_addr(stub(7));
            idt.double_fault
                .set_handler_addr(stub(8))
                .set_stack_index(Ist::DoubleFault as u16);
            idt.invalid_tss.set_handler_addr(stub(10));
            idt.segment_not_present.set_handler_addr(stub(11));
            idt.stack_segment_fault.set_handler_addr(stub(12));
            idt.general_protection_fault.set_handler_addr(stub(13));
            idt.page_fault.set_handler_addr(stub(14));
            idt.x87_floating_point.set_handler_addr(stub(16));
            idt.alignment_check.set_handler_addr(stub(17));
            idt.machine_check
                .set_handler_addr(stub(18))
                .set_stack_index(Ist::MachineCheck as u16);
            idt.simd_floating_point.set_handler_addr(stub(19));
            idt.virtualization.set_handler_addr(stub(20));
            idt.cp_protection_exception.set_handler_addr(stub(21));
            idt.hv_injection_exception
                .set_handler_addr(stub(28))
                .set_stack_index(Ist::Hv as u16);
            idt.vmm_communication_exception
                .set_handler_addr(stub(29))
                .set_stack_index(Ist::Vc as u16);
            idt.security_exception.set_handler_addr(stub(30));
        }
        idt
    });
    idt.load();
}

/// The one way from the stubs into Rust.
extern "C" fn dispatch(frame: &mut Frame) {
    if frame.vector != vector::NMI {
        exception(frame);
    }
}

unsafe extern "C" {
    /// First byte behind the kernel's instructions.
    safe static __text_end: u8;
}

/// The bytes of the kernel's own instruction at `rip`, or `None` when `rip` is not in its text.
pub(crate) fn instruction_at<const N: usize>(rip: u64) -> Option<[u8; N]> {
    let end = core::ptr::addr_of!(__text_end) as u64;
    if rip < KERNEL_VMA || rip.checked_add(N as u64)? > end {
        return None;
    }
    // SAFETY: the range lies in the kernel's text, which is mapped read-only for good.
    Some(unsafe { core::ptr::with_exposed_provenance::<[u8; N]>(rip as usize).read() })
}
