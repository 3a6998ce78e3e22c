//! The cryptography of a TPM 2.0, without `std`, without `unsafe` and without C:
//! see [`crypto`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
#[macro_use]
extern crate std;

pub mod crypto;
