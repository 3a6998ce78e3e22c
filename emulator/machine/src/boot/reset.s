# From QEMU's reset to 64-bit code with five-level paging.
#
# The C-bit is guest physical address bit 51. Nested page tables have the
# format of the hypervisor's own paging mode, and four levels would drop the
# bits 51:48; so this hypervisor runs with CR4.LA57.

.set MACHINE_RESERVE, 0x4000000          # 64 MiB, mem::layout::RESERVE
.set TABLES_OFFSET,   0x3f00000          # the last MiB of it: page tables
.set DIRECT_MAP_PDPTS, 16                # 16 * 512 GiB, mem::layout::DIRECT_MAP_SIZE

.section .reset.vector, "ax"
.code16
.globl reset_vector
reset_vector:
    cli
    cld
    jmp reset16

.section .reset, "ax"
.code16
reset16:
    # CS base is 0xffff0000: the GDT pointer by its low 16 bits.
    lgdtl %cs:(reset_gdtr - 0xffff0000)
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $0x08, $reset32

.code32
reset32:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    # CMOS 0x34/0x35: RAM between 16 MiB and 4 GiB in units of 64 KiB.
    movb $0x35, %al
    outb %al, $0x70
    inb $0x71, %al
    movzbl %al, %ebx
    shll $8, %ebx
    movb $0x34, %al
    outb %al, $0x70
    inb $0x71, %al
    movb %al, %bl
    shll $16, %ebx
    addl $0x1000000, %ebx
    subl $MACHINE_RESERVE, %ebx          # ebx: physical base of the machine
    andl $0xffe00000, %ebx

    # The image: from ROM to its place, then its zeroed part.
    movl $ROM_BASE, %esi
    movl %ebx, %edi
    movl $image_loaded_size, %ecx
    rep movsb
    movl $image_size, %ecx
    subl $image_loaded_size, %ecx
    xorl %eax, %eax
    rep stosb

    # Page tables: PML5, PML4 low, PML4 high, PDPT image, PD image, PDPTs of the direct map.
    leal TABLES_OFFSET(%ebx), %ebp
    movl %ebp, %edi
    movl $((5 + DIRECT_MAP_PDPTS) * 1024), %ecx
    rep stosl
    leal 0x1003(%ebp), %eax
    movl %eax, 0x0(%ebp)                 # PML5[0]   -> PML4 low
    leal 0x2003(%ebp), %eax
    movl %eax, 0xff8(%ebp)               # PML5[511] -> PML4 high
    leal 0x5003(%ebp), %eax
    movl %eax, 0x1000(%ebp)              # PML4 low[0] -> first PDPT: identity, for the way into long mode
    leal 0x3003(%ebp), %eax
    movl %eax, 0x2ff8(%ebp)              # PML4 high[511] -> PDPT image
    leal 0x4003(%ebp), %eax
    movl %eax, 0x3ff0(%ebp)              # PDPT image[510] -> PD image
    movl %ebx, %eax
    orl $0x83, %eax
    leal 0x4000(%ebp), %edi
    movl $(MACHINE_RESERVE >> 21), %ecx
1:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    loop 1b
    leal 0x5003(%ebp), %eax              # PML4 high[256..] -> PDPTs of the direct map
    leal 0x2800(%ebp), %edi
    movl $DIRECT_MAP_PDPTS, %ecx
2:  movl %eax, (%edi)
    addl $0x1000, %eax
    addl $8, %edi
    loop 2b
    leal 0x5000(%ebp), %edi              # 1 GiB pages: bits 31:30 low, 63:32 high
    xorl %edx, %edx
    movl $0x83, %eax
    movl $(DIRECT_MAP_PDPTS * 512), %ecx
3:  movl %eax, (%edi)
    movl %edx, 4(%edi)
    addl $0x40000000, %eax
    adcl $0, %edx
    addl $8, %edi
    loop 3b

    movl %cr4, %eax
    orl $0x1620, %eax                    # PAE, OSFXSR, OSXMMEXCPT, LA57
    movl %eax, %cr4
    movl %ebp, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x1900, %eax                    # LME, NXE, SVME
    wrmsr
    movl %cr0, %eax
    andl $0x9fffffff, %eax               # CD and NW off
    orl $0x80010022, %eax                # PG, WP, NE, MP
    movl %eax, %cr0
    ljmpl $0x18, $reset64

.code64
reset64:
    xorl %eax, %eax
    movw %ax, %fs
    movw %ax, %gs
    movl %ebx, %edi                      # machine_entry(physical base)
    movabsq $machine_entry, %rax
    jmp *%rax

.balign 16
reset_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff             # 32-bit code
    .quad 0x00cf93000000ffff             # data
    .quad 0x00af9b000000ffff             # 64-bit code
reset_gdtr:
    .word reset_gdtr - reset_gdt - 1
    .long reset_gdt

.section .text.entry, "ax"
.code64
.globl machine_entry
machine_entry:
    leaq boot_stack_top(%rip), %rsp
    xorl %ebp, %ebp
    call machine_main
    ud2

.section .bss.stack, "aw", @nobits
.balign 4096
    .skip 0x40000
.globl boot_stack_top
boot_stack_top:
