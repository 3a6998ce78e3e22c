//! From the reset vector to [`crate::guest_main`]: 16-bit code in the ROM, 32-bit code that copies the
//! program to RAM, paging with the C-bit, 64-bit mode.
//!
//! Everything before paging is private, as are page walks and fetches at any time. The C-bit is
//! read from the CPUID page by plain loads: the CPUID instruction would raise #VC, and there is no
//! handler yet.

use core::arch::global_asm;

use protocols::boot::layout::GUEST_CPUID_PAGE;
use protocols::ghcb::MSR_GHCB;
use protocols::snp::{CPUID_MAX_ENTRIES, CpuidEntry, LEAF_MEMORY_ENCRYPTION};

use super::layout::{GHCB_PAGE, GHCBS, PAGE_TABLES};
use super::percpu::INDEXES;
use crate::end::Reason;

/// Selector of the 64-bit code segment in the program's GDT.
pub(crate) const CODE64: u16 = 0x08;
/// Selector of the data segment.
pub(crate) const DATA: u16 = 0x10;
const CODE32: u16 = 0x18;
/// Offset of EBX in a CPUID entry, and of the first entry in the page.
const ENTRY_EBX: usize = core::mem::offset_of!(CpuidEntry, ebx);
const FIRST_ENTRY: usize = core::mem::offset_of!(protocols::snp::CpuidPage, functions);

// The bits of the page tables: present, writable, 2 MiB.
const TABLE: u32 = 3;
const LARGE: u32 = 0x83;

// The last page of the image. The vector's jump and the far jump are written out: in 16-bit code
// the assembler's choice of operand sizes is not worth trusting.
global_asm!(
    r#"
    .section .rom.vector, "ax"
    .code16
    jmp reset16
    .balign 16, 0x90

    .section .rom.boot, "ax"
    .global reset16
reset16:
    cli
    cld
    // lgdt cs:[rom_gdt_pointer] with a 32-bit base; CS starts 4 KiB before this page's offset.
    .byte 0x2e, 0x66, 0x0f, 0x01, 0x16
    .word rom_gdt_pointer - reset16 + 0xf000
    mov eax, cr0
    or eax, 1
    mov cr0, eax
    // jmp far CODE32:start32
    .byte 0x66, 0xea
    .long start32
    .word {code32}

    .code32
start32:
    mov eax, {data}
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov esi, offset __program_load
    mov edi, offset __program_start
    mov ecx, offset __program_end
    sub ecx, edi
    shr ecx, 2
    rep movsd
    mov eax, offset boot32
    jmp eax

    .balign 8
rom_gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF // 0x08: 64-bit code, already marked accessed
    .quad 0x00CF93000000FFFF // 0x10: data, already marked accessed
    .quad 0x00CF9B000000FFFF // 0x18: 32-bit code, already marked accessed
rom_gdt_end:
rom_gdt_pointer:
    .word rom_gdt_end - rom_gdt - 1
    .long rom_gdt
    .code64
    .text
"#,
    code32 = const CODE32,
    data = const DATA,
);

global_asm!(
    r#"
    .section .text.boot32, "ax"
    .code32
boot32:
    // The ROM is not mapped once paging is on.
    lgdt [boot_gdt_pointer]

    // EBX = C-bit - 32, from leaf 0x8000001F of the CPUID page.
    mov ecx, [{cpuid}]
    cmp ecx, {max_entries}
    ja 9f
    mov esi, {cpuid} + {first_entry}
1:  test ecx, ecx
    jz 9f
    cmp dword ptr [esi], {leaf}
    je 2f
    add esi, {entry_size}
    dec ecx
    jmp 1b
2:  mov ebx, [esi + {entry_ebx}]
    and ebx, 0x3f
    sub ebx, 32
    jb 9f
    // EDX = the high half of every private entry.
    xor edx, edx
    bts edx, ebx

    // PML4, PDPT, a PD for the first GiB, a PT for the 2 MiB with the GHCB. The launch zeroed them.
    mov edi, {tables}
    mov dword ptr [edi], {tables} + 0x1000 + {table}
    mov [edi + 4], edx
    mov dword ptr [edi + 0x1000], {tables} + 0x2000 + {table}
    mov [edi + 0x1004], edx
    xor ecx, ecx
3:  mov eax, ecx
    shl eax, 21
    or eax, {large}
    mov [edi + ecx * 8 + 0x2000], eax
    mov [edi + ecx * 8 + 0x2004], edx
    mov eax, ecx
    shl eax, 12
    add eax, {tables} + {table}
    mov [edi + ecx * 8 + 0x3000], eax
    mov [edi + ecx * 8 + 0x3004], edx
    inc ecx
    cmp ecx, 512
    jb 3b
    mov dword ptr [edi + 0x2000 + ({tables} >> 21) * 8], {tables} + 0x3000 + {table}
    mov dword ptr [edi + 0x3004 + (({ghcb} - {tables}) >> 12) * 8], 0
    // Those of the other vCPUs.
    mov dword ptr [edi + 0x2004 + ({ghcbs} >> 21) * 8], 0
    // A stack that overflows is a fault, not a riddle.
    mov eax, offset __stack_guard_1 - {tables}
    shr eax, 12
    mov dword ptr [edi + eax * 8 + 0x3000], 0
    mov eax, offset __stack_guard_2 - {tables}
    shr eax, 12
    mov dword ptr [edi + eax * 8 + 0x3000], 0

    mov cr3, edi
    mov eax, cr4
    or eax, 0x20 // PAE
    mov cr4, eax
    mov ecx, 0xC0000080 // EFER
    rdmsr
    or eax, 0x100 // LME
    wrmsr
    mov eax, cr0
    and eax, 0x9FFFFFFF // caches on
    or eax, 0x80010020 // PG, WP, NE
    mov cr0, eax
    // jmp far CODE64:boot64
    .byte 0xea
    .long boot64
    .word {code64}

    // No C-bit, no console: the GHCB MSR is all there is.
9:  mov eax, {no_c_bit}
    xor edx, edx
    mov ecx, {msr}
    wrmsr
    rep vmmcall
    jmp 9b

    .code64
boot64:
    lea rsp, [rip + __stack_top_1]
    xor ebp, ebp
    // Which vCPU this is.
    lea rax, [rip + {indexes}]
    mov rdx, rax
    shr rdx, 32
    mov ecx, 0xC0000101 // GS.base
    wrmsr
    call {main}
    ud2

    .balign 8
    .global boot_gdt
boot_gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF
    .quad 0x00CF93000000FFFF
    .quad 0x00CF9B000000FFFF
boot_gdt_end:
boot_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .long boot_gdt
    .text
"#,
    cpuid = const GUEST_CPUID_PAGE,
    max_entries = const CPUID_MAX_ENTRIES,
    first_entry = const FIRST_ENTRY,
    leaf = const LEAF_MEMORY_ENCRYPTION,
    entry_size = const size_of::<CpuidEntry>(),
    entry_ebx = const ENTRY_EBX,
    tables = const PAGE_TABLES,
    table = const TABLE,
    large = const LARGE,
    ghcb = const GHCB_PAGE,
    ghcbs = const GHCBS,
    indexes = sym INDEXES,
    code64 = const CODE64,
    no_c_bit = const Reason::NoCBit.termination().msr().0,
    msr = const MSR_GHCB,
    main = sym crate::guest_main,
);
