//! Builds and inspects Rampart's IGVM images.
//!
//! An image is described by a small manifest ([`manifest`]). What it loads is
//! collected page by page in a [`launch::Launch`], which refuses pages that
//! overlap, and is written as an IGVM file in the order in which QEMU's loader
//! measures it ([`file`]). [`inspect`] says in words what any IGVM file holds.
#![forbid(unsafe_code)]

pub mod elf;
pub mod layout;

#[cfg(test)]
mod testing;
