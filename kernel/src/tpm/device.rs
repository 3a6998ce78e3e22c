//! The TPM as the monitor has it: made at boot, run on the service stack.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use monitor::cpuid::CpuidTable;
use monitor::services::{TpmDevice, TpmService};
use protocols::svsm::VTPM_MAX_RESPONSE;
use vtpm::AnyTpm;
use vtpm::limits::{MAX_RESPONSE_SIZE, SEED_SIZE};
use vtpm::provision::ProvisionError;
use vtpm::wire::Marshal;

use super::event_log::{BANKS, EventLog};
use super::platform::Processor;
use crate::arch::service_stack::ServiceStack;
use crate::mm::heap;

/// TPM_RC_FAILURE in a response of its own.
const FAILURE: [u8; 10] = [0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x01];

/// Bytes of heap that a TPM wants free: several times the most that its own limits let a guest fill,
/// so that what it allocates is there whatever the guest does, and however the heap is cut up.
const ROOM: usize = 0x18_0000;

/// Why there is no TPM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoTpm {
    /// The processor has no random numbers.
    Entropy,
    /// There is no room in the heap.
    Memory,
    /// A step of its making failed.
    Making,
}

impl fmt::Display for NoTpm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Entropy => "the processor has no random numbers",
            Self::Memory => "the heap is too small",
            Self::Making => "it could not be made",
        })
    }
}

/// A TPM and the stack that it runs on.
struct Device {
    tpm: Box<dyn AnyTpm>,
    stack: ServiceStack,
    response: Box<[u8; MAX_RESPONSE_SIZE]>,
}

/// What the TPM is to be.
pub(crate) struct Plan<'a> {
    /// Mixed into its random numbers.
    pub(crate) secrets: &'a [u8],
    /// What its endorsement keys come of; without one of random numbers.
    pub(crate) seed: Option<&'a [u8; SEED_SIZE]>,
    /// A PCR, and what is measured into it, each with a name. The TPM is started then.
    pub(crate) measured: Option<(u8, &'a [Parameter<'a>])>,
}

/// A parameter of the host's, and its name in the log.
pub(crate) type Parameter<'a> = (&'a [u8; 16], &'a [u8]);

/// Makes the TPM with its keys.
///
/// # Errors
/// [`NoTpm`].
pub(crate) fn make(cpuid: &CpuidTable, plan: &Plan<'_>) -> Result<TpmService, NoTpm> {
    if heap::free() < ROOM {
        return Err(NoTpm::Memory);
    }
    let processor = Processor::new(cpuid, plan.secrets).map_err(|_| NoTpm::Entropy)?;
    let mut stack = ServiceStack::take().ok_or(NoTpm::Making)?;
    let mut tpm = vtpm::boxed(Box::new(processor));
    let mut made = None;
    stack.run(&mut || made = equip(&mut *tpm, plan).ok());
    let (endorsement_key, event_log) = made.ok_or(NoTpm::Making)?;
    let device = Device {
        tpm,
        stack,
        response: Box::new([0; MAX_RESPONSE_SIZE]),
    };
    Ok(TpmService::new(
        Box::new(device),
        endorsement_key,
        event_log,
    ))
}

/// The endorsement key's public area, and the log of what was measured.
fn equip(
    tpm: &mut dyn AnyTpm,
    plan: &Plan<'_>,
) -> Result<(Vec<u8>, Option<Vec<u8>>), ProvisionError> {
    let endorsement_key = tpm.equip(&BANKS, plan.seed)?.to_bytes();
    let Some((pcr, parameters)) = plan.measured else {
        return Ok((endorsement_key, None));
    };
    // What is measured before Startup is gone with it, so the guest finds the TPM started.
    tpm.startup()?;
    let mut log = EventLog::new(pcr);
    for (name, bytes) in parameters {
        let [first, second] = log.add(name, bytes);
        let [sha256, sha384] = BANKS;
        tpm.extend(pcr, &[(sha256, &first), (sha384, &second)])?;
    }
    Ok((endorsement_key, Some(log.into_bytes())))
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
