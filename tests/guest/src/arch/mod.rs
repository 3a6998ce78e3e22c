//! Everything that is not plain Rust: the first instructions, the image's tables, exceptions,
//! instructions of SEV-SNP, and memory by address. All of the crate's `unsafe` is in here.

mod boot;
pub(crate) mod cpu;
pub(crate) mod exceptions;
pub(crate) mod layout;
pub(crate) mod memory;
pub(crate) mod percpu;
mod rom;

pub(crate) use boot::{CODE64, DATA};
