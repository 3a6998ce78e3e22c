//! The processor: what silicon does with an SNP guest.

pub(crate) mod cr;
pub(crate) mod decode;
pub(crate) mod event;
pub(crate) mod exit;
pub(crate) mod guest_memory;
pub(crate) mod intercepts;
pub(crate) mod msr;
pub(crate) mod npf;
pub(crate) mod npt;
pub(crate) mod park;
pub(crate) mod rmp_instructions;
pub(crate) mod tlb_instructions;
pub(crate) mod vcpu;
pub(crate) mod vmcb;
pub(crate) mod vmsa;
pub(crate) mod walk;
