//! The first instructions of the image.
//!
//! The VMSA of the launch starts them in 64-bit mode on measured page tables that carry the C-bit
//! of the image's manifest. Tables cannot be mended by code that runs on them: in 64-bit mode a
//! data access needs a correct C-bit before any table could be written. So the host is asked for
//! its C-bit first, in registers alone, and the machine ends when it is another one than the
//! tables have (threat 12; a host that lies here is caught by [`crate::cbit`]).

use core::arch::global_asm;

use protocols::boot::layout::C_BIT;

use crate::termination;

global_asm!(
    r#"
    .section .text.entry, "ax"
    .global stage2_entry
stage2_entry:
    cli
    cld
    // SEV_INFO: GHCB MSR request 0x002, answered by 0x001.
    mov ecx, 0xC0010130
    mov eax, 0x002
    xor edx, edx
    wrmsr
    rep vmmcall
    rdmsr
    mov ebx, eax
    and ebx, 0xFFF
    cmp ebx, 0x001
    jne 2f
    mov ebx, eax
    shr ebx, 24
    cmp ebx, {cbit}
    jne 3f

    // Data may be touched from here on.
    lea rsp, [rip + __stack_top]
    xor ebp, ebp
    lgdt [rip + stage2_gdt_pointer]
    mov eax, 0x10
    mov ds, eax
    mov es, eax
    mov ss, eax
    push 0x08
    lea rax, [rip + 4f]
    push rax
    retfq
4:  call {main}
    ud2

2:  mov eax, {bad_answer}
    jmp 5f
3:  mov eax, {bad_cbit}
    // Termination, asked for until the host obeys (threat 25).
5:  mov ebx, eax
6:  mov eax, ebx
    xor edx, edx
    mov ecx, 0xC0010130
    wrmsr
    rep vmmcall
    jmp 6b

    .section .rodata.gdt, "a"
    .balign 8
stage2_gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF // 0x08: 64-bit code, already marked accessed
    .quad 0x00CF93000000FFFF // 0x10: data, already marked accessed
stage2_gdt_pointer:
    .word 3 * 8 - 1
    .quad stage2_gdt
    .text
"#,
    cbit = const C_BIT,
    bad_answer = const termination::SEV_INFO_ANSWER,
    bad_cbit = const termination::C_BIT_MISMATCH,
    main = sym crate::start::stage2_main,
);
