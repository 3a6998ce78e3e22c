//! What is served beside the core protocol: made at boot, before the guest runs.

use monitor::cpuid::CpuidTable;
use monitor::services::{Services, TpmService};
use monitor::sync::Lock;

use crate::attestation::OpenAttestation;
use crate::console::log;
use crate::tpm::{self, NoTpm};

/// The services of this machine.
#[inline(never)]
pub(crate) fn make(cpuid: &CpuidTable, attestation: OpenAttestation) -> Services {
    Services {
        // Why no keys are held was said when it was found.
        tpm: attestation.may_hold_keys.then(|| make_tpm(cpuid)).flatten(),
        attestation: Some(Lock::new(attestation.service)),
    }
}

/// The TPM, if there can be one; the log says why not.
fn make_tpm(cpuid: &CpuidTable) -> Option<TpmService> {
    match tpm::make(cpuid, &[], None) {
        Ok(service) => {
            log!("TPM with a new identity, endorsement key made");
            Some(service)
        }
        Err(NoTpm::Entropy) => {
            log!("no TPM: the processor has no random numbers");
            None
        }
        Err(NoTpm::Making) => {
            log!("no TPM: it could not be made");
            None
        }
    }
}
