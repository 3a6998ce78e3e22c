//! SEV-SNP: what the processor and the secure processor define.

pub mod cpuid;
pub mod launch;
pub mod rmp;
pub mod secrets;
pub mod sev_status;
pub mod vmsa;

pub use cpuid::*;
pub use launch::*;
pub use rmp::*;
pub use secrets::*;
pub use sev_status::*;
pub use vmsa::*;
