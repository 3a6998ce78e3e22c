//! The crate `vtpm` as the server's engine.

use anyhow::{Context, Result, anyhow};
use tracing::error;
use vtpm::limits::MAX_RESPONSE_SIZE;
use vtpm::{Progress, Tpm};

use crate::engine::Engine;
use crate::host::Host;

/// How much of a long command is done before the server looks whether it is
/// cancelled; a few milliseconds.
const SLICES: u32 = 4;

/// A TPM on a host.
pub struct HostTpm {
    tpm: Tpm<Host>,
}

/// The library's reason, in words.
fn reason(problem: vtpm::StateError) -> String {
    use vtpm::StateError;
    match problem {
        StateError::Absent => "the state holds no TPM".into(),
        StateError::Newer(version) => {
            format!("the state was made by a newer program: version {version}")
        }
        StateError::Damaged => "the state has been altered".into(),
        StateError::RolledBack => "the state is older than the TPM's last one".into(),
        StateError::Platform => "the state could not be read or written".into(),
    }
}

impl HostTpm {
    /// The TPM whose records the host has, or a new one if it has none.
    ///
    /// # Errors
    /// The records are not a TPM's; they are left as they are.
    pub fn new(host: Host) -> Result<Self> {
        let new = host.is_empty();
        let mut tpm = Tpm::new(host);
        if new {
            tpm.manufacture()
                .map_err(|problem| anyhow!(reason(problem)))
                .context("a new TPM cannot be made")?;
        }
        // Before anybody waits for it: a state that is no good is said now.
        let read = tpm.power_on();
        tpm.power_off();
        read.map_err(|problem| {
            let reason = reason(problem);
            match tpm.platform().refused(&reason) {
                Some(refused) => anyhow!(refused),
                None => anyhow!(reason),
            }
        })?;
        Ok(Self { tpm })
    }
}

impl Engine for HostTpm {
    fn init(&mut self) {
        if let Err(problem) = self.tpm.power_on() {
            error!("the TPM does not start: {}", reason(problem));
        }
    }

    fn power_off(&mut self) {
        self.tpm.power_off();
    }

    fn physical_presence(&mut self, asserted: bool) {
        self.tpm.platform().set_presence(asserted);
    }

    fn nv_available(&mut self, available: bool) {
        self.tpm.platform().set_nv_available(available);
    }

    fn hash_start(&mut self) {
        self.tpm.hash_start();
    }

    fn hash_data(&mut self, data: &[u8]) {
        self.tpm.hash_data(data);
    }

    fn hash_end(&mut self) {
        self.tpm.hash_end();
    }

    fn execute(&mut self, locality: u8, command: &[u8], cancelled: &dyn Fn() -> bool) -> Vec<u8> {
        let mut response = [0; MAX_RESPONSE_SIZE];
        let mut progress = self.tpm.begin(locality, command, &mut response);
        let length = loop {
            match progress {
                Progress::Done(length) => break length,
                Progress::More if cancelled() => break self.tpm.cancel(&mut response),
                Progress::More => progress = self.tpm.step(SLICES, &mut response),
            }
        };
        response.get(..length).unwrap_or_default().to_vec()
    }
}
