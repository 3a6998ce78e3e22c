//! A TPM 2.0 (TCG TPM 2.0 Library specification, PC Client platform) in Rust,
//! without `std`, without `unsafe` and without C.
//!
//! [`Tpm`] is the whole of it: a [`Platform`] gives it entropy, a clock and
//! storage, and [`Tpm::execute`] answers commands. One command after another
//! goes straight through [`command::dispatch`]; what a command does stands in
//! its chapter of [`chapters`]; the wire format in [`wire`]; primitives in
//! [`crypto`]. Comments cite the specification by part and section.
#![no_std]
#![forbid(unsafe_code)]
// Nothing that a command says may end in a panic.
#![cfg_attr(
    not(any(test, feature = "sample")),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

extern crate alloc;
#[cfg(any(test, feature = "sample"))]
#[macro_use]
extern crate std;

pub mod crypto;
#[macro_use]
pub mod wire;
pub mod clock;
#[macro_use]
pub mod command;
mod audit;
mod boxed;
pub mod chapters;
pub mod context;
mod crypto_test;
pub mod da;
pub mod der;
mod drtm;
mod entity;
mod job;

pub mod limits;
mod manufacture;
pub mod nv;
pub mod object;
pub mod platform;
pub mod provision;
pub mod rc;
pub mod session;
pub mod state;
pub mod ticket;
mod tpm;

#[cfg(any(test, feature = "sample"))]
pub mod testing;

pub use boxed::{AnyTpm, boxed};
pub use platform::{Change, Platform, PlatformError, Record};
pub use rc::Rc;
pub use state::StateError;
pub use tpm::{Progress, Tpm};
