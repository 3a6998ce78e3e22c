//! A TPM whose platform is behind a pointer. [`Tpm`] is compiled for each platform, with the settings
//! of the crate that has the platform; this one is compiled once, with this crate's.

use crate::crypto::hash::HashAlg;
use crate::limits::{MAX_RESPONSE_SIZE, SEED_SIZE};
use crate::platform::{Change, Platform, PlatformError, Record};
use crate::provision::ProvisionError;
use crate::tpm::Tpm;
use crate::wire::Public;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// The platform's pointer.
struct Pointer(Box<dyn Platform + Send>);

impl Platform for Pointer {
    fn entropy(&mut self, out: &mut [u8]) -> Result<(), PlatformError> {
        self.0.entropy(out)
    }
    fn now_ms(&mut self) -> u64 {
        self.0.now_ms()
    }
    fn nv_load(&mut self) -> Result<Vec<Record>, PlatformError> {
        self.0.nv_load()
    }
    fn nv_commit(&mut self, changes: &[Change]) -> Result<(), PlatformError> {
        self.0.nv_commit(changes)
    }
    fn nv_available(&mut self) -> bool {
        self.0.nv_available()
    }
    fn physical_presence(&mut self) -> bool {
        self.0.physical_presence()
    }
}

/// A [`Tpm`] on any platform.
pub struct BoxedTpm(Tpm<Pointer>);

impl BoxedTpm {
    /// A TPM without power.
    #[must_use]
    pub fn new(platform: Box<dyn Platform + Send>) -> Self {
        BoxedTpm(Tpm::new(Pointer(platform)))
    }

    /// [`Tpm::equip`].
    ///
    /// # Errors
    /// As that.
    pub fn equip(
        &mut self,
        banks: &[HashAlg],
        seed: Option<&[u8; SEED_SIZE]>,
    ) -> Result<Public, ProvisionError> {
        self.0.equip(banks, seed)
    }

    /// [`Tpm::startup`].
    ///
    /// # Errors
    /// As that.
    pub fn startup(&mut self) -> Result<(), ProvisionError> {
        self.0.startup()
    }

    /// [`Tpm::extend`].
    ///
    /// # Errors
    /// As that.
    pub fn extend(&mut self, pcr: u8, digests: &[(HashAlg, &[u8])]) -> Result<(), ProvisionError> {
        self.0.extend(pcr, digests)
    }

    /// [`Tpm::execute`].
    pub fn execute(
        &mut self,
        locality: u8,
        command: &[u8],
        response: &mut [u8; MAX_RESPONSE_SIZE],
    ) -> usize {
        self.0.execute(locality, command, response)
    }
}
