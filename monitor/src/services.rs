//! What is served beside the core protocol, for all vCPUs together.
//!
//! Each service has a lock of its own, taken after the caller's own seat. Whoever holds a service
//! may take the guest's state for as long as a copy needs; nobody who holds the guest's state waits
//! for a service. A long command keeps waiting who wants the same service, and nobody else.

use alloc::boxed::Box;
use alloc::vec::Vec;

use protocols::svsm::{ProtocolId, VTPM_MAX_COMMAND, VTPM_MAX_RESPONSE};

use crate::svsm::attestation::Attestation;
use crate::sync::{Guard, Lock};

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
    /// a private copy of what the guest sent, of any content and any length.
    fn execute(
        &mut self,
        locality: u8,
        command: &[u8],
        response: &mut [u8; VTPM_MAX_RESPONSE],
    ) -> usize;
}

/// The TPM behind protocol 2.
pub struct TpmService {
    tpm: Lock<Tpm>,
    /// The service's manifest of version 0: TPMT_PUBLIC of the endorsement key.
    pub manifest: Vec<u8>,
    /// The firmware's own event log, if it has measured anything.
    pub event_log: Option<Vec<u8>>,
}

/// What the lock guards: the TPM, and the copies of command and response, which no CPU's stack has
/// room for.
pub(crate) struct Tpm {
    pub(crate) device: Box<dyn TpmDevice>,
    pub(crate) command: Box<[u8; VTPM_MAX_COMMAND]>,
    pub(crate) response: Box<[u8; VTPM_MAX_RESPONSE]>,
}

impl TpmService {
    /// The service of `device`, whose endorsement key `manifest` is. Made at boot.
    #[must_use]
    pub fn new(device: Box<dyn TpmDevice>, manifest: Vec<u8>, event_log: Option<Vec<u8>>) -> Self {
        let tpm = Tpm {
            device,
            command: Box::new([0; VTPM_MAX_COMMAND]),
            response: Box::new([0; VTPM_MAX_RESPONSE]),
        };
        Self {
            tpm: Lock::new(tpm),
            manifest,
            event_log,
        }
    }

    /// The TPM, for as long as a command takes. Whoever waits here holds its own seat only.
    pub(crate) fn lock(&self) -> Guard<'_, Tpm> {
        self.tpm.lock()
    }
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
