//! A TPM behind a pointer. [`Tpm`] is compiled for each platform, with the settings of the crate that
//! has the platform; this one is compiled once, with this crate's, which for firmware are small.

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

/// What a firmware needs of a TPM.
pub trait AnyTpm: Send {
    /// [`Tpm::equip`].
    ///
    /// # Errors
    /// As that.
    fn equip(
        &mut self,
        banks: &[HashAlg],
        seed: Option<&[u8; SEED_SIZE]>,
    ) -> Result<Public, ProvisionError>;

    /// [`Tpm::startup`].
    ///
    /// # Errors
    /// As that.
    fn startup(&mut self) -> Result<(), ProvisionError>;

    /// [`Tpm::extend`].
    ///
    /// # Errors
    /// As that.
    fn extend(&mut self, pcr: u8, digests: &[(HashAlg, &[u8])]) -> Result<(), ProvisionError>;

    /// [`Tpm::execute`].
    fn execute(
        &mut self,
        locality: u8,
        command: &[u8],
        response: &mut [u8; MAX_RESPONSE_SIZE],
    ) -> usize;
}

/// A [`Tpm`] on any platform, without power.
#[must_use]
pub fn boxed(platform: Box<dyn Platform + Send>) -> Box<dyn AnyTpm> {
    Box::new(Tpm::new(Pointer(platform)))
}

impl AnyTpm for Tpm<Pointer> {
    fn equip(
        &mut self,
        banks: &[HashAlg],
        seed: Option<&[u8; SEED_SIZE]>,
    ) -> Result<Public, ProvisionError> {
        Tpm::equip(self, banks, seed)
    }

    fn startup(&mut self) -> Result<(), ProvisionError> {
        Tpm::startup(self)
    }

    fn extend(&mut self, pcr: u8, digests: &[(HashAlg, &[u8])]) -> Result<(), ProvisionError> {
        Tpm::extend(self, pcr, digests)
    }

    fn execute(
        &mut self,
        locality: u8,
        command: &[u8],
        response: &mut [u8; MAX_RESPONSE_SIZE],
    ) -> usize {
        Tpm::execute(self, locality, command, response)
    }
}
