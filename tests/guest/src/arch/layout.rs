//! Where the guest keeps what: all of it in the memory that the image's SEV descriptor names, at
//! the addresses that OVMF uses, and RAM for the checks.

use protocols::addr::{PAGE_2M, PAGE_4K};

use super::percpu::MAX_VCPUS;

/// Page tables: PML4, PDPT, PD, PT. The rest of the section is not used.
pub(crate) const PAGE_TABLES: u64 = 0x80_0000;
/// End of the page tables.
pub(crate) const PAGE_TABLES_END: u64 = PAGE_TABLES + 0x4000;
/// The GHCB page: shared, and the one page that is mapped without the C-bit.
pub(crate) const GHCB_PAGE: u64 = 0x80_9000;
/// The program with its data and stacks, as in the linker script.
pub(crate) const PROGRAM: u64 = 0x81_4000;
/// End of the program's memory.
pub(crate) const PROGRAM_END: u64 = 0x86_0000;
/// End of what the page tables map, from address 0.
pub(crate) const MAPPED_END: u64 = 0x4000_0000;

/// RAM for the checks, above Rampart's range in any guest of up to a TiB. Nothing of it is
/// validated at the start.
pub(crate) const PLAYGROUND: u64 = 0x0800_0000;
/// Its length: a 2 MiB area for each use.
pub(crate) const PLAYGROUND_SIZE: u64 = 6 * PAGE_2M;

/// Stacks of the other vCPUs, two for each, so that a new VMSA can start beside the old one.
pub(crate) const STACKS: u64 = 0x0a00_0000;
/// Bytes of one of them.
pub(crate) const STACK_SIZE: u64 = 0x8000;
/// End of the stacks.
pub(crate) const STACKS_END: u64 = STACKS + 2 * MAX_VCPUS as u64 * STACK_SIZE;
/// GHCB pages of the other vCPUs: 2 MiB of RAM that is shared from the start, mapped without the
/// C-bit.
pub(crate) const GHCBS: u64 = 0x0a40_0000;
/// Shared pages for guest messages, behind the GHCB pages.
pub(crate) const MESSAGES: u64 = GHCBS + PAGE_2M / 2;
/// RAM for what the vCPUs do together, as the playground is for what one does alone.
pub(crate) const COMMON: u64 = 0x0a60_0000;

const _: () = {
    assert!(PLAYGROUND + PLAYGROUND_SIZE <= STACKS);
    assert!(
        STACKS.is_multiple_of(PAGE_2M) && STACKS_END.is_multiple_of(PAGE_2M) && STACKS_END <= GHCBS
    );
    assert!(MAX_VCPUS as u64 * PAGE_4K <= PAGE_2M / 2 && GHCBS + PAGE_2M <= COMMON);
};
