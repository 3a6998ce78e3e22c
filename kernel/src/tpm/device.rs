//! The TPM as the monitor has it: made at boot, run on the service stack.

use alloc::boxed::Box;

use monitor::cpuid::CpuidTable;
use monitor::services::{TpmDevice, TpmService};
use protocols::svsm::VTPM_MAX_RESPONSE;
use vtpm::BoxedTpm;
use vtpm::crypto::hash::HashAlg;
use vtpm::limits::{MAX_RESPONSE_SIZE, SEED_SIZE};
use vtpm::wire::Marshal;

use super::platform::Processor;
use crate::arch::service_stack::ServiceStack;

/// The banks of PCRs: the guest's firmware and Linux measure into each that there is.
const BANKS: [HashAlg; 2] = [HashAlg::Sha256, HashAlg::Sha384];

/// TPM_RC_FAILURE in a response of its own.
const FAILURE: [u8; 10] = [0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x01];

/// Why there is no TPM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoTpm {
    /// The processor has no random numbers.
    Entropy,
    /// A step of its making failed.
    Making,
}

/// A TPM and the stack that it runs on.
struct Device {
    tpm: BoxedTpm,
    stack: ServiceStack,
    response: Box<[u8; MAX_RESPONSE_SIZE]>,
}

/// Makes the TPM with its keys. `secrets` are mixed into its random numbers; with `seed` the
/// endorsement keys come of it, otherwise of random numbers.
///
/// # Errors
/// [`NoTpm`].
pub(crate) fn make(
    cpuid: &CpuidTable,
    secrets: &[u8],
    seed: Option<&[u8; SEED_SIZE]>,
) -> Result<TpmService, NoTpm> {
    let processor = Processor::new(cpuid, secrets).map_err(|_| NoTpm::Entropy)?;
    let mut stack = ServiceStack::take().ok_or(NoTpm::Making)?;
    let mut tpm = BoxedTpm::new(Box::new(processor));
    let mut made = None;
    stack.run(&mut || made = tpm.equip(&BANKS, seed).ok());
    let endorsement_key = made.ok_or(NoTpm::Making)?;
    let device = Device {
        tpm,
        stack,
        response: Box::new([0; MAX_RESPONSE_SIZE]),
    };
    Ok(TpmService::new(
        Box::new(device),
        endorsement_key.to_bytes(),
    ))
}

impl TpmDevice for Device {
    fn execute(
        &mut self,
        locality: u8,
        command: &[u8],
        response: &mut [u8; VTPM_MAX_RESPONSE],
    ) -> usize {
        let Self {
            tpm,
            stack,
            response: answer,
        } = self;
        let mut len = 0;
        stack.run(&mut || len = tpm.execute(locality, command, answer));
        let answer: &[u8] = match answer.get(..len) {
            Some(answer) if answer.len() <= response.len() => answer,
            // The TPM's largest answers are half of that.
            _ => &FAILURE,
        };
        for (to, from) in response.iter_mut().zip(answer) {
            *to = *from;
        }
        answer.len()
    }
}
