//! The kernel's virtual address space. stage2 compiles this same file, because it builds the
//! tables that the kernel starts on.
//!
//! ```text
//! STAGE2_BASE             stage2's image, read and execute: only for the jump, dropped by the kernel
//! 0xFFFF_8000_0000_0000   guest window: guest physical memory without the firmware's range
//! 0xFFFF_E000_0000_0000   own memory: the firmware's range without the kernel's image
//! 0xFFFF_E800_0000_0000   stacks of the CPUs but the first, each above a page that is not mapped
//! 0xFFFF_F000_0000_0000   shared memory: GHCB pages, and nothing else
//! KERNEL_VMA              the kernel's image, where it is linked
//! ```
//! In the windows, own memory and shared memory, a virtual address is the base plus the guest physical address.

/// Base of the guest window.
pub(crate) const WINDOW_BASE: u64 = 0xFFFF_8000_0000_0000;
/// How many bytes of guest physical memory the guest window can show: 64 TiB.
pub(crate) const WINDOW_SIZE: u64 = 1 << 46;
/// Base of the firmware's own memory.
pub(crate) const OWN_BASE: u64 = 0xFFFF_E000_0000_0000;
/// Base of the stacks of the CPUs but the first.
pub(crate) const AP_STACK_BASE: u64 = 0xFFFF_E800_0000_0000;
/// Base of memory shared with the host.
pub(crate) const SHARED_BASE: u64 = 0xFFFF_F000_0000_0000;

/// Bytes in a page.
pub(crate) const PAGE_4K: u64 = 0x1000;
/// Bytes in a large page.
pub(crate) const PAGE_2M: u64 = 0x20_0000;
/// Bytes in a huge page.
pub(crate) const PAGE_1G: u64 = 0x4000_0000;
