//! The TPM's clock: milliseconds out of the time stamp counter.
//!
//! Without Secure TSC the host chooses how fast the counter runs and where it stands, so the TPM's
//! time is the host's word; docs/vtpm.md says so. What is promised is that it never goes back.

use monitor::cpuid::CpuidTable;

/// Leaf of the counter's ratio to a crystal: EBX / EAX times ECX Hz.
const LEAF_CRYSTAL: u32 = 0x15;
/// Leaf of hypervisors that say how fast the counter runs: EAX in kHz.
const LEAF_HYPERVISOR_TIMING: u32 = 0x4000_0010;
/// Where nobody says how fast the counter runs: no processor with SEV-SNP has a faster one, so the
/// TPM's time runs slow rather than ahead, and guesses at an authorization are forgiven late rather
/// than early.
const ASSUMED_HZ: u64 = 4_500_000_000;
/// Frequencies that a counter can have.
const PLAUSIBLE_HZ: core::ops::RangeInclusive<u64> = 100_000_000..=10_000_000_000;

/// How fast the counter runs, in Hz.
pub(crate) fn frequency(cpuid: &CpuidTable) -> u64 {
    let crystal = cpuid.cpuid(LEAF_CRYSTAL, 0);
    let by_crystal = u64::from(crystal.ecx)
        .saturating_mul(u64::from(crystal.ebx))
        .checked_div(u64::from(crystal.eax));
    let timing = cpuid.cpuid(LEAF_HYPERVISOR_TIMING, 0);
    let said = u64::from(timing.eax).saturating_mul(1000);
    by_crystal
        .into_iter()
        .chain([said])
        .find(|hz| PLAUSIBLE_HZ.contains(hz))
        .unwrap_or(ASSUMED_HZ)
}

/// Milliseconds since the clock was made.
#[derive(Debug)]
pub(crate) struct Clock {
    hz: u64,
    begin: u64,
    latest: u64,
}

impl Clock {
    /// A clock that stands at 0 when the counter is at `now`.
    pub(crate) fn new(hz: u64, now: u64) -> Self {
        Self {
            hz,
            begin: now,
            latest: 0,
        }
    }

    /// The time when the counter is at `now`; never less than the time before. CPUs' counters differ,
    /// and a host may set them.
    pub(crate) fn at(&mut self, now: u64) -> u64 {
        let ticks = u128::from(now.saturating_sub(self.begin));
        let ms = ticks
            .saturating_mul(1000)
            .checked_div(u128::from(self.hz))
            .and_then(|ms| u64::try_from(ms).ok())
            .unwrap_or(u64::MAX);
        self.latest = self.latest.max(ms);
        self.latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_counts_milliseconds_and_never_goes_back() {
        let mut clock = Clock::new(2_000_000_000, 5_000_000_000);
        assert_eq!(clock.at(5_000_000_000), 0);
        assert_eq!(clock.at(5_003_999_999), 1);
        assert_eq!(clock.at(7_000_000_000), 1000);
        assert_eq!(clock.at(6_000_000_000), 1000);
        assert_eq!(clock.at(0), 1000);
        assert_eq!(clock.at(7_002_000_000), 1001);
    }

    #[test]
    fn the_whole_counter_is_no_overflow() {
        assert_eq!(Clock::new(1000, 0).at(u64::MAX), u64::MAX);
        assert_eq!(Clock::new(0, 0).at(1), u64::MAX);
    }
}
