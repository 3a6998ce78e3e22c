//! What an action sees: the state, the platform, and how the command came.

use crate::command::CommandSpec;
use crate::command::sessions::UsedSession;
use crate::crypto::rng::{Drbg, Random};
use crate::crypto::rsa::PrivateKey;
use crate::job::Job;
use crate::platform::Platform;
use crate::rc::{Rc, Result};
use crate::state::State;
use crate::wire::{Handle, Tpm2bName};
use alloc::vec::Vec;

/// One command on its way through the TPM.
pub struct Context<'a> {
    /// The TPM's state.
    pub state: &'a mut State,
    /// The machine.
    pub platform: &'a mut dyn Platform,
    /// The command's description.
    pub spec: &'static CommandSpec,
    /// Locality of the command.
    pub locality: u8,
    /// Its handles.
    pub handles: &'a [Handle],
    /// Names of its handles, as they were before the action.
    pub names: &'a [Tpm2bName],
    /// Its sessions.
    pub sessions: &'a mut [UsedSession],
    /// The command's parameters, decrypted.
    pub parameters: &'a [u8],
    /// A long operation that the action waits for.
    pub(crate) job: &'a mut Option<Job>,
}

impl Context<'_> {
    /// Random bytes from the TPM's generator.
    pub fn random(&mut self, out: &mut [u8]) {
        self.state.volatile.rng.fill(out);
    }

    /// `len` random bytes.
    pub fn random_bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = alloc::vec![0; len];
        self.random(&mut bytes);
        bytes
    }

    /// The TPM's generator, for functions that want one.
    pub fn rng(&mut self) -> &mut Drbg {
        &mut self.state.volatile.rng
    }

    /// The platform's time in milliseconds.
    pub fn platform_time(&mut self) -> u64 {
        self.platform.now_ms()
    }

    /// Milliseconds since _TPM_Init.
    pub fn time(&mut self) -> u64 {
        self.state.volatile.time(self.platform.now_ms())
    }

    /// TPM_RC_NV_UNAVAILABLE when NV cannot be written now. Actions whose
    /// command has the `nv` flag need not ask.
    pub fn need_nv(&mut self) -> Result<()> {
        if self.platform.nv_available() {
            Ok(())
        } else {
            Err(Rc::NV_UNAVAILABLE)
        }
    }

    /// Makes an RSA key, in slices that the caller of the TPM gives: until it
    /// is made, this returns [`Rc::MORE_WORK`], which the action passes on;
    /// then the action is run again from its start, with the same parameters,
    /// and gets the key and what is left of the random stream. So an action
    /// must change nothing before it has the key.
    ///
    /// `rng` is the random stream: [`Drbg::derive`] for primary objects. The
    /// stream of the first call counts.
    pub fn rsa_key(
        &mut self,
        bits: u16,
        exponent: u32,
        rng: impl FnOnce(&mut Self) -> Drbg,
    ) -> Result<(PrivateKey, Drbg)> {
        match self.job.take() {
            None => {
                let rng = rng(self);
                *self.job = Some(Job::rsa(bits, exponent, rng)?);
                Err(Rc::MORE_WORK)
            }
            Some(job) => match job.finished() {
                Ok(done) => Ok(done),
                Err(job) => {
                    *self.job = Some(job);
                    Err(Rc::MORE_WORK)
                }
            },
        }
    }

    /// A generator for one operation, seeded from the TPM's own.
    pub fn fork_rng(&mut self) -> Drbg {
        let mut seed = zeroize::Zeroizing::new([0u8; 48]);
        self.random(&mut *seed);
        Drbg::new(&*seed, b"rampart vtpm operation")
    }

    /// The sessions that authorized a handle forget it, because the action
    /// takes its entity away: the response is authenticated without the auth
    /// value.
    pub fn detach_sessions(&mut self, h: Handle) {
        for s in self.sessions.iter_mut() {
            if s.associated == Some(h) {
                s.associated = None;
            }
        }
    }

    /// The session that authorizes handle `index` (from 0), if it is not a
    /// password.
    #[must_use]
    pub fn auth_session(&self, index: usize) -> Option<&UsedSession> {
        self.sessions.get(index).filter(|s| s.handle != Handle::PW)
    }
}
