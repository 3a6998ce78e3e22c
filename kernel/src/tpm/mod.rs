//! The TPM: the `vtpm` crate on this processor.

mod clock;
#[cfg(target_os = "none")]
mod device;
mod entropy;
#[cfg(target_os = "none")]
mod platform;
mod records;

#[cfg(target_os = "none")]
pub(crate) use device::{NoTpm, make};
