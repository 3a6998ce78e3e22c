//! SEV-SNP: what the processor and the secure processor define.

pub mod certificates;
pub mod cpuid;
pub mod guest_message;
pub mod guest_request;
pub mod id_block;
pub mod launch;
pub mod report;
pub mod rmp;
pub mod secrets;
pub mod sev_status;
pub mod tcb;
pub mod vmsa;

pub use certificates::*;
pub use cpuid::*;
pub use guest_message::*;
pub use guest_request::*;
pub use id_block::*;
pub use launch::*;
pub use report::*;
pub use rmp::*;
pub use secrets::*;
pub use sev_status::*;
pub use tcb::*;
pub use vmsa::*;
