//! What the TPM needs of this processor ([`vtpm::Platform`]).

use alloc::vec::Vec;

use monitor::cpuid::CpuidTable;
use vtpm::{Change, Platform, PlatformError, Record};

use super::clock::{Clock, frequency};
use super::entropy::{Entropy, Source};
use super::records::Records;
use crate::arch::random::{rdrand, rdseed, time_stamp};

/// Tries of RDRAND, which hardly ever needs a second one.
const RDRAND_TRIES: u32 = 100;
/// Tries of RDSEED, whose numbers may be used up by other processors.
const RDSEED_TRIES: u32 = 10_000;

/// The processor's generator of random numbers, the better one of those that it has.
pub(super) enum Generator {
    /// RDSEED.
    Seed,
    /// RDRAND.
    Random,
}

impl Generator {
    /// By the CPUID page; `None` when there is none.
    fn of(cpuid: &CpuidTable) -> Option<Self> {
        /// EBX of leaf 7.
        const RDSEED: u32 = 1 << 18;
        /// ECX of leaf 1.
        const RDRAND: u32 = 1 << 30;
        if cpuid.cpuid(7, 0).ebx & RDSEED != 0 {
            Some(Self::Seed)
        } else if cpuid.cpuid(1, 0).ecx & RDRAND != 0 {
            Some(Self::Random)
        } else {
            None
        }
    }
}

impl Source for Generator {
    fn next(&mut self) -> Option<u64> {
        match self {
            Self::Seed => (0..RDSEED_TRIES).find_map(|_| {
                core::hint::spin_loop();
                // SAFETY: `of` has found it in the CPUID page.
                unsafe { rdseed() }
            }),
            // SAFETY: as above.
            Self::Random => (0..RDRAND_TRIES).find_map(|_| unsafe { rdrand() }),
        }
    }
}

/// This processor, for the TPM.
pub(super) struct Processor {
    entropy: Entropy<Generator>,
    clock: Clock,
    records: Records,
}

impl Processor {
    /// With `secrets` mixed into its random numbers.
    ///
    /// # Errors
    /// [`PlatformError`] when the processor has no random numbers.
    pub(super) fn new(cpuid: &CpuidTable, secrets: &[u8]) -> Result<Self, PlatformError> {
        let generator = Generator::of(cpuid).ok_or(PlatformError)?;
        let mut entropy = Entropy::new(generator)?;
        entropy.mix(secrets);
        Ok(Self {
            entropy,
            clock: Clock::new(frequency(cpuid), time_stamp()),
            records: Records::default(),
        })
    }
}

impl Platform for Processor {
    fn entropy(&mut self, out: &mut [u8]) -> Result<(), PlatformError> {
        self.entropy.fill(out)
    }

    fn now_ms(&mut self) -> u64 {
        self.clock.at(time_stamp())
    }

    fn nv_load(&mut self) -> Result<Vec<Record>, PlatformError> {
        Ok(self.records.load())
    }

    fn nv_commit(&mut self, changes: &[Change]) -> Result<(), PlatformError> {
        self.records.commit(changes);
        Ok(())
    }
}
