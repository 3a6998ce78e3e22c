//! What is served beside the core protocol, for all vCPUs together.
//!
//! Each service has a lock of its own, taken after the caller's own seat. Whoever holds a service
//! may take the guest's state for as long as a copy needs; nobody who holds the guest's state waits
//! for a service. A long command keeps waiting who wants the same service, and nobody else.

use alloc::boxed::Box;
use alloc::vec::Vec;

use protocols::svsm::ProtocolId;

use crate::svsm::attestation::Attestation;
use crate::sync::Lock;

/// The services that this machine offers. Made at boot, never changed.
#[derive(Debug)]
pub struct Services {
    /// Protocol 1, if there is a way to the secure processor.
    pub attestation: Option<Lock<Attestation>>,
    /// Protocol 2, if there is a TPM and it may hold keys.
    pub tpm: Option<TpmService>,
}

/// A TPM, as the kernel gives it to the monitor.
pub trait TpmDevice: Send {
    /// Executes one command and returns how many bytes of `response` are the answer. The command is
    /// the caller's private copy of what the guest sent, of any content and any length.
    fn execute(&mut self, locality: u8, command: &[u8], response: &mut [u8; MAX_RESPONSE])
    -> usize;
}

/// Bytes of the longest response that fits into the guest's buffer.
pub const MAX_RESPONSE: usize = 4092;

/// The TPM behind protocol 2.
pub struct TpmService {
    /// The TPM. Held for as long as a command takes.
    pub device: Lock<Box<dyn TpmDevice>>,
    /// The service's manifest of version 0: TPMT_PUBLIC of the endorsement key.
    pub manifest: Vec<u8>,
}

impl core::fmt::Debug for TpmService {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("TpmService").finish_non_exhaustive()
    }
}

impl Services {
    /// No service but the core protocol.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            attestation: None,
            tpm: None,
        }
    }

    /// Whether the protocol is one of the services that are there.
    pub(crate) const fn offers(&self, protocol: ProtocolId) -> bool {
        match protocol {
            ProtocolId::ATTESTATION => self.attestation.is_some(),
            ProtocolId::VTPM => self.tpm.is_some(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
