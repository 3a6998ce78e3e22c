//! Every decision of Rampart's VMPL0, as a crate that runs on the host too.
//!
//! The monitor decides and the kernel does: whatever needs an instruction or a
//! mapping is behind the traits of [`platform`]. What the host and the guest say
//! is untrusted here; it is copied once, checked, and answered with an error
//! type or with a [`fatal::Fatal`] that ends the virtual machine, never with a
//! panic.
#![no_std]
#![forbid(unsafe_code)]
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod accept;
pub mod ap;
pub mod apic_ids;
#[cfg(all(test, feature = "loom"))]
mod concurrency;
pub mod cpuid;
pub mod error;
pub mod fatal;
pub mod fw_cfg;
pub mod ghcb_client;
pub mod guest;
pub mod guest_image;
pub mod guest_message;
pub mod hashed_firmware;
pub mod keys;
pub mod launch;
pub mod memory;
pub mod negotiate;
pub mod page_map;
pub mod pages;
pub mod platform;
pub mod psc;
pub mod ranges;
pub mod services;
pub mod shared;
pub mod sizing;
pub mod svsm;
pub mod sync;
#[cfg(test)]
mod testing;
pub mod validate;
pub mod vc;
pub mod vcpu;
mod vmsa_page;
