//! Rampart's VMPL0 kernel: the mechanisms and the boot. The monitor decides, the kernel does.
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
#![cfg_attr(
    not(target_os = "none"),
    allow(dead_code, reason = "the host builds the tests only")
)]

extern crate alloc;

#[cfg(target_os = "none")]
mod aps;
#[cfg(target_os = "none")]
mod arch;
#[cfg(target_os = "none")]
mod attestation;
#[cfg(target_os = "none")]
mod boot;
#[cfg(target_os = "none")]
mod console;
#[cfg(target_os = "none")]
mod exception;
#[cfg(target_os = "none")]
mod fatal;
#[cfg(target_os = "none")]
mod ghcb;
#[cfg(target_os = "none")]
mod guest;
mod line;
mod mm;
#[cfg(target_os = "none")]
mod platform;
#[cfg(target_os = "none")]
mod run;
#[cfg(target_os = "none")]
mod services;
mod tpm;
mod unpack;

#[cfg(target_os = "none")]
use arch::instructions;
/// For what the tests build of `mm`; none of it is executed there.
#[cfg(not(target_os = "none"))]
#[path = "arch/instructions.rs"]
mod instructions;

/// The host builds this crate for its unit tests only.
#[cfg(not(target_os = "none"))]
fn main() {}
