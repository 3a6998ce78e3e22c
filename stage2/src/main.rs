//! stage2: the first code of a Rampart image.
//!
//! It runs from the measured VMSA on measured page tables, at the address it is linked at, with
//! nothing but its own pages, the CPUID page and the image header to trust. It proves the C-bit,
//! checks the CPUID page, comes to terms with the hypervisor, validates the kernel's memory,
//! unpacks the kernel and jumps. `start.rs` reads in that order.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

#[cfg_attr(
    not(target_os = "none"),
    allow(dead_code, reason = "built for its tests")
)]
mod elf;
#[path = "../../kernel/src/mm/layout.rs"]
#[allow(dead_code, reason = "the kernel's file; stage2 needs a part of it")]
mod layout;
#[path = "../../kernel/src/mm/paging.rs"]
#[allow(dead_code, reason = "the kernel's file; stage2 needs a part of it")]
mod paging;

#[cfg(target_os = "none")]
mod cbit;
#[cfg(target_os = "none")]
mod console;
#[cfg(target_os = "none")]
mod entry;
#[cfg(target_os = "none")]
mod exceptions;
#[cfg(target_os = "none")]
#[path = "../../kernel/src/mm/ghcb_page.rs"]
#[allow(dead_code, reason = "the kernel's file; stage2 needs a part of it")]
mod ghcb_page;
#[cfg(target_os = "none")]
mod host;
#[cfg(target_os = "none")]
#[path = "../../kernel/src/arch/instructions.rs"]
#[allow(dead_code, reason = "the kernel's file; stage2 needs a part of it")]
mod instructions;
#[path = "../../kernel/src/line.rs"]
#[allow(dead_code, reason = "the kernel's file; stage2 needs a part of it")]
mod line;
#[cfg(target_os = "none")]
mod load;
#[cfg(target_os = "none")]
mod memory;
#[cfg(target_os = "none")]
#[path = "../../kernel/src/mm/raw.rs"]
#[allow(dead_code, reason = "the kernel's file; stage2 needs a part of it")]
mod raw;
#[cfg(target_os = "none")]
mod start;
#[cfg(target_os = "none")]
mod termination;

/// The host builds this crate for its unit tests only.
#[cfg(not(target_os = "none"))]
fn main() {}
