//! The kernel's first instructions: a stack of its own, then `boot.rs`; on another CPU, whose VMSA
//! has brought its stack, `aps.rs`.

use core::arch::global_asm;

use super::stacks::BOOT_STACK_TOP;

global_asm!(
    r#"
    .section .text.entry, "ax"
    .global kernel_entry
kernel_entry:
    cli
    cld
    mov rsp, qword ptr [rip + {stack_top}]
    xor ebp, ebp
    call {main}
    ud2

    .global ap_entry
ap_entry:
    cli
    cld
    xor ebp, ebp
    call {ap_main}
    ud2
    .text
"#,
    stack_top = sym BOOT_STACK_TOP,
    main = sym crate::boot::kernel_main,
    ap_main = sym crate::aps::ap_main,
);

unsafe extern "C" {
    #[link_name = "ap_entry"]
    safe static AP_ENTRY: u8;
}

/// Address of the first instruction of a CPU other than the boot CPU.
pub(crate) fn ap_entry() -> u64 {
    core::ptr::addr_of!(AP_ENTRY) as u64
}
