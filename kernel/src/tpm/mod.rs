//! The TPM: the `vtpm` crate on this processor.

mod clock;
#[cfg(target_os = "none")]
mod device;
mod entropy;
mod event_log;
mod identity;
#[cfg(target_os = "none")]
mod platform;
mod records;

#[cfg(target_os = "none")]
pub(crate) use device::{Plan, make};
#[cfg(target_os = "none")]
pub(crate) use identity::endorsement_seed;
