//! The kernel's first instructions: a stack of its own, then `boot.rs`.

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
    .text
"#,
    stack_top = sym BOOT_STACK_TOP,
    main = sym crate::boot::kernel_main,
);
