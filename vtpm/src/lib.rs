//! tmp
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(test)]
#[macro_use]
extern crate std;
pub mod crypto;
