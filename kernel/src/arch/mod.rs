//! The processor: entry, descriptors, exceptions, its instructions, and what belongs to one CPU.
//!
//! All `unsafe` of the kernel is here and in [`crate::mm`].

pub(crate) mod cpu;
pub(crate) mod descriptors;
mod entry;
pub(crate) mod exceptions;
pub(crate) mod instructions;
pub(crate) mod percpu;
pub(crate) mod random;
pub(crate) mod service_stack;
mod stacks;
pub(crate) mod vmgexit;

pub(crate) use entry::ap_entry;
pub(crate) use stacks::guard_pages;
