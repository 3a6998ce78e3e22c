//! The guest-hypervisor communication block: MSR protocol and page protocol
//! (AMD publication 56421).

pub mod ap;
pub mod exit;
pub mod features;
pub mod field;
pub mod ioio;
pub mod msr;
pub mod page;
pub mod psc;
pub mod response;
pub mod termination;

pub use ap::*;
pub use exit::*;
pub use features::*;
pub use field::*;
pub use ioio::*;
pub use msr::*;
pub use page::*;
pub use psc::*;
pub use response::*;
pub use termination::*;
