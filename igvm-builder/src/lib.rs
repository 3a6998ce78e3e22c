//! Builds and inspects Rampart's IGVM images.
//!
//! An image is described by a small manifest ([`manifest`]). What it loads is
//! collected page by page in a [`launch::Launch`], which refuses pages that
//! overlap, and is written as an IGVM file in the order in which QEMU's loader
//! measures it ([`mod@file`]). [`inspect`] says what any IGVM file holds, [`mod@measure`]
//! which launch digest it has.
#![forbid(unsafe_code)]

pub mod build;
pub mod container;
pub mod cost;
pub mod diff;
pub mod elf;
pub mod file;
pub mod hex;
pub mod id_block;
pub mod inspect;
pub mod keys;
pub mod kvm;
pub mod launch;
pub mod layout;
pub mod lint;
pub mod manifest;
pub mod measure;
pub mod owners;
pub mod page_tables;
pub mod plain;
pub mod policy;
pub mod rampart;
pub mod sequence;
pub mod sign;
pub mod verify;
pub mod vmsa;
pub mod vmsa_fields;

#[cfg(test)]
mod testing;
