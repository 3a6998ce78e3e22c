//! The guest-hypervisor communication block: MSR protocol and page protocol
//! (AMD publication 56421).

pub mod exit;
pub mod features;
pub mod ioio;
pub mod msr;
pub mod page;
pub mod psc;
pub mod termination;

pub use exit::*;
pub use features::*;
pub use ioio::*;
pub use msr::*;
pub use page::*;
pub use psc::*;
pub use termination::*;
