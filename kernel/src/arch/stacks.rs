//! The boot CPU's stacks, each above a guard page that [`crate::mm`] unmaps.

use core::ptr::addr_of;

/// Size of a page, guard pages included.
const PAGE: usize = 4096;

/// A stack of `N` bytes above its guard page.
#[repr(C, align(4096))]
struct Stack<const N: usize> {
    guard: [u8; PAGE],
    body: [u8; N],
}

impl<const N: usize> Stack<N> {
    const fn new() -> Self {
        Self {
            guard: [0; PAGE],
            body: [0; N],
        }
    }
}

/// The stack of everything that is not an exception.
static mut BOOT: Stack<0x10000> = Stack::new();
/// One stack for each vector that may arrive when the stack in use can't be trusted (threat 33).
static mut IST: [Stack<0x3000>; IST_COUNT] = [const { Stack::new() }; IST_COUNT];

/// How many interrupt-stack-table entries are used: #DF, NMI, #MC, #VC, #HV.
pub(crate) const IST_COUNT: usize = 5;

/// A pointer value that entry code loads as it is.
#[repr(transparent)]
pub(crate) struct StackTop(*const u8);

// SAFETY: the pointer is only ever loaded into RSP, once, by the entry code.
unsafe impl Sync for StackTop {}

/// Top of the boot stack.
pub(crate) static BOOT_STACK_TOP: StackTop = StackTop(
    addr_of!(BOOT)
        .cast::<u8>()
        .wrapping_add(size_of::<Stack<0x10000>>()),
);

/// Top of interrupt stack `index` (0-based).
pub(crate) fn ist_top(index: usize) -> u64 {
    let base = addr_of!(IST) as u64;
    base + ((index + 1) * size_of::<Stack<0x3000>>()) as u64
}

/// Addresses of the guard pages, for unmapping.
pub(crate) fn guard_pages() -> impl Iterator<Item = u64> {
    let ist = addr_of!(IST) as u64;
    core::iter::once(addr_of!(BOOT) as u64)
        .chain((0..IST_COUNT).map(move |i| ist + (i * size_of::<Stack<0x3000>>()) as u64))
}
