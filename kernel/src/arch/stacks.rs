//! The boot CPU's stacks and the one of services, each above a guard page that [`crate::mm`] unmaps. Those of the other
//! CPUs are made when they are needed ([`crate::mm::ap_memory`]).

use core::ptr::addr_of;

use super::descriptors::IST_COUNT;

/// Size of a page, guard pages included.
const PAGE: usize = 4096;

/// Bytes of the boot stack. The boot's deepest way takes 60 KiB: memory maps are held by value.
const BOOT_SIZE: usize = 0x1_8000;
/// Bytes of the service stack. The TPM takes 33 KiB at the most (docs/vtpm-bench.md).
const SERVICE_SIZE: usize = 0x1_0000;
/// Bytes of an exception's stack.
const IST_SIZE: usize = 0x3000;

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
static mut BOOT: Stack<BOOT_SIZE> = Stack::new();
/// The stack of services, see [`super::service_stack`].
static mut SERVICE: Stack<SERVICE_SIZE> = Stack::new();
/// One stack for each vector that may arrive when the stack in use can't be trusted (threat 33).
static mut IST: [Stack<IST_SIZE>; IST_COUNT] = [const { Stack::new() }; IST_COUNT];

/// A pointer value that entry code loads as it is.
#[repr(transparent)]
pub(crate) struct StackTop(*const u8);

// SAFETY: the pointer is only ever loaded into RSP, once, by the entry code.
unsafe impl Sync for StackTop {}

/// Top of the boot stack.
pub(crate) static BOOT_STACK_TOP: StackTop = StackTop(
    addr_of!(BOOT)
        .cast::<u8>()
        .wrapping_add(size_of::<Stack<BOOT_SIZE>>()),
);

/// Top of interrupt stack `index` (0-based).
pub(crate) fn ist_top(index: usize) -> u64 {
    let base = addr_of!(IST) as u64;
    base + ((index + 1) * size_of::<Stack<IST_SIZE>>()) as u64
}

/// Top of the service stack.
pub(super) fn service_top() -> u64 {
    addr_of!(SERVICE) as u64 + size_of::<Stack<SERVICE_SIZE>>() as u64
}

/// Addresses of the guard pages, for unmapping.
pub(crate) fn guard_pages() -> impl Iterator<Item = u64> {
    let ist = addr_of!(IST) as u64;
    [addr_of!(BOOT) as u64, addr_of!(SERVICE) as u64]
        .into_iter()
        .chain((0..IST_COUNT).map(move |i| ist + (i * size_of::<Stack<IST_SIZE>>()) as u64))
}
