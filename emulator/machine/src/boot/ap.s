# From the start-up IPI to 64-bit code, for every processor but the first.
#
# The code between ap_start and ap_end is copied to AP_BASE, below 1 MiB, where
# no guest runs yet; processors::start fills in the words at its end.

.set AP_BASE, 0x8000                     # processors::TRAMPOLINE

.section .text.ap, "ax"
.code16
.globl ap_start
ap_start:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl AP_BASE + ap_gdtr - ap_start
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $0x08, $(AP_BASE + ap32 - ap_start)

.code32
ap32:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl %cr4, %eax
    orl $0x1620, %eax                    # as in reset.s
    movl %eax, %cr4
    movl AP_BASE + ap_tables - ap_start, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x1900, %eax
    wrmsr
    movl %cr0, %eax
    andl $0x9fffffff, %eax
    orl $0x80010022, %eax
    movl %eax, %cr0
    ljmpl $0x18, $(AP_BASE + ap64 - ap_start)

.code64
ap64:
    xorl %eax, %eax
    movw %ax, %fs
    movw %ax, %gs
    movl $1, %edi
    movl $(AP_BASE + ap_arrived - ap_start), %eax
    lock xaddl %edi, (%rax)
    incl %edi                            # ap_main(index): 1 for the first to arrive
    movl $(AP_BASE + ap_stacks - ap_start), %eax
    movq (%rax), %rsp
    movl %edi, %eax
    imulq $0x10000, %rax                  # processors::STACK
    addq %rax, %rsp
    xorl %ebp, %ebp
    movl $(AP_BASE + ap_main - ap_start), %eax
    call *(%rax)
    ud2

.balign 16
ap_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00af9b000000ffff
ap_gdtr:
    .word ap_gdtr - ap_gdt - 1
    .long AP_BASE + ap_gdt - ap_start
.balign 8
.globl ap_words
ap_words:
ap_arrived:
    .quad 0
ap_tables:
    .quad 0
ap_stacks:
    .quad 0
ap_main:
    .quad 0
.globl ap_end
ap_end:
