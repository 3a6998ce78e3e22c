//! The SVSM protocols (AMD publication 58019).

pub mod attestation;
pub mod ca;
pub mod call;
pub mod memory;
pub mod pvalidate;
pub mod result;
pub mod vtpm;

pub use attestation::*;
pub use ca::*;
pub use call::*;
pub use memory::*;
pub use pvalidate::*;
pub use result::*;
pub use vtpm::*;
