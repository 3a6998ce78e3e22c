//! State that no loss of power leaves.

use crate::crypto::rng::{Drbg, Random};
use crate::session::Session;
use crate::state::object::Transient;
use crate::wire::Handle;
use alloc::collections::BTreeMap;

/// What is lost whenever the TPM loses power.
pub struct Volatile {
    /// Whether Startup succeeded since _TPM_Init.
    pub started: bool,
    /// Whether the TPM found itself broken; only GetTestResult and
    /// GetCapability answer then.
    pub failure: bool,
    /// phEnable.
    pub ph_enable: bool,
    /// Whether _TPM_Hash_Start came before Startup (DRTM).
    pub drtm_before_startup: bool,
    /// Locality of Startup was 3.
    pub startup_locality_3: bool,
    /// The source of random numbers.
    pub rng: Drbg,
    /// Transient objects and sequences by handle.
    pub transient: BTreeMap<u32, Transient>,
    /// Loaded sessions by handle.
    pub sessions: BTreeMap<u32, Session>,
    /// The exclusive audit session, if there is one.
    pub exclusive_audit: Option<Handle>,
    /// Platform time, in milliseconds, from which on time is counted here.
    pub time_base: u64,
    /// Milliseconds since _TPM_Init at that time.
    pub time_offset: u64,
    /// And what is left of a millisecond, in parts of [`crate::clock::NOMINAL_RATE`].
    pub time_fraction: u32,
    /// Milliseconds to add to the time since `time_base` to get the clock.
    pub clock_base: u64,
    /// Changes when time was interrupted; timed policies notice.
    pub time_epoch: u32,
    /// Whether no larger clock was ever reported.
    pub clock_safe: bool,
    /// How much faster than the platform's time time and clock go, in parts of
    /// [`crate::clock::NOMINAL_RATE`].
    pub rate_change: i32,
    /// Time at which the last failed try was forgotten, in milliseconds.
    pub da_timer: u64,
    /// Time at which lockoutAuth was last disabled, in milliseconds.
    pub lockout_timer: u64,
    /// Hash sequence of _TPM_Hash_Start.
    pub drtm: Option<alloc::vec::Vec<crate::crypto::hash::Hasher>>,
}

impl Volatile {
    /// What power-on starts with.
    #[must_use]
    pub fn new(mut rng: Drbg, now: u64) -> Self {
        // Random, so that no session or ticket of an earlier power cycle meets its own epoch again.
        let mut epoch = [0; 4];
        rng.fill(&mut epoch);
        let time_epoch = u32::from_be_bytes(epoch);
        Volatile {
            started: false,
            failure: false,
            ph_enable: true,
            drtm_before_startup: false,
            startup_locality_3: false,
            rng,
            transient: BTreeMap::new(),
            sessions: BTreeMap::new(),
            exclusive_audit: None,
            time_base: now,
            time_offset: 0,
            time_fraction: 0,
            clock_base: 0,
            time_epoch,
            clock_safe: true,
            rate_change: 0,
            da_timer: 0,
            lockout_timer: 0,
            drtm: None,
        }
    }

    /// Milliseconds since _TPM_Init, at a time of the platform.
    #[must_use]
    pub fn time(&self, now: u64) -> u64 {
        self.exact_time(now).0
    }

    /// Milliseconds since _TPM_Init, and what is left of one, in parts of
    /// [`crate::clock::NOMINAL_RATE`].
    pub(crate) fn exact_time(&self, now: u64) -> (u64, u32) {
        let elapsed = now.saturating_sub(self.time_base);
        let (time, fraction) = crate::clock::at_rate(elapsed, self.rate_change, self.time_fraction);
        (self.time_offset.saturating_add(time), fraction)
    }
}
