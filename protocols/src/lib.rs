//! Every wire format that Rampart shares with the processor, the hypervisor,
//! the guest and itself across its boot.
//!
//! Structures are zerocopy types with compile-time checks of size and offsets
//! and the section of the specification they come from. What the other side
//! sends as a number is an open-ended type: a newtype with constants, never an
//! enum that has no place for an unknown value.
//!
//! Nothing here decides and nothing here touches memory: `monitor` decides.
#![no_std]
#![forbid(unsafe_code)]

pub mod addr;
pub mod boot;
pub mod fw_cfg;
pub mod ghcb;
pub mod ovmf;
pub mod snp;
pub mod svsm;
