//! The SVSM protocols (AMD publication 58019): from the guest's exit to the answer.

pub mod address;
pub mod attestation;
pub mod core_protocol;
pub mod request;
pub mod vtpm;

#[cfg(test)]
mod many_vcpus;
#[cfg(test)]
mod several_vcpus;
#[cfg(test)]
mod tests;
