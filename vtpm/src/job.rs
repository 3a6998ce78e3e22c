//! Long operations that run in slices between which the caller does other work.

use crate::crypto::rng::Drbg;
use crate::crypto::rsa::{KeyGen, PrivateKey};
use crate::rc::{Rc, Result};
use alloc::boxed::Box;

/// The making of an RSA key.
pub(crate) struct Job {
    keygen: Box<KeyGen>,
    rng: Drbg,
    key: Option<Box<PrivateKey>>,
}

impl Job {
    /// Begins to make a key; TPM_RC_RANGE for an exponent that cannot be.
    pub(crate) fn rsa(bits: u16, exponent: u32, rng: Drbg) -> Result<Job> {
        let keygen = KeyGen::new(bits, exponent).map_err(|_| Rc::RANGE)?;
        Ok(Job {
            keygen: Box::new(keygen),
            rng,
            key: None,
        })
    }

    /// Works for `slices` slices of a millisecond or two; true when done.
    pub(crate) fn step(&mut self, slices: u32) -> Result<bool> {
        if self.key.is_none() {
            self.key = self
                .keygen
                .step(&mut self.rng, slices)
                .map_err(|_| Rc::FAILURE)?
                .map(Box::new);
        }
        Ok(self.key.is_some())
    }

    /// The key and the rest of the random stream, or the job again when it
    /// is not done.
    pub(crate) fn finished(self) -> core::result::Result<(PrivateKey, Drbg), Job> {
        let Job { keygen, rng, key } = self;
        match key {
            Some(key) => Ok((*key, rng)),
            None => Err(Job {
                keygen,
                rng,
                key: None,
            }),
        }
    }
}
