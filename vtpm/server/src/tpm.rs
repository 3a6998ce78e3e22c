//! The crate `vtpm` as the server's engine.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use tracing::error;
use vtpm::limits::MAX_RESPONSE_SIZE;
use vtpm::provision::{EndorsementKey, LocalAuthority};
use vtpm::{Platform, Progress, Tpm};

use crate::engine::Engine;
use crate::host::Host;

/// How much of a long command is done before the server looks whether it is
/// cancelled; a few milliseconds.
const SLICES: u32 = 4;

/// Startup(CLEAR).
const STARTUP: [u8; 12] = [0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0];
/// Shutdown(CLEAR).
const SHUTDOWN: [u8; 12] = [0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x45, 0, 0];

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

/// Endorsement keys, their certificates, and the certificate of the authority
/// that signed them.
fn provision(tpm: &mut Tpm<Host>, certificate: &Path) -> Result<()> {
    let mut seed = [0; 32];
    tpm.platform()
        .entropy(&mut seed)
        .map_err(|_| anyhow!("no entropy"))?;
    let mut authority = LocalAuthority::new(&seed, "Rampart local EK authority", &today()?);
    let own = authority
        .certificate()
        .context("the authority's certificate")?;
    std::fs::write(certificate, own).with_context(|| certificate.display().to_string())?;
    tpm.power_on().map_err(|problem| anyhow!(reason(problem)))?;
    let mut response = [0; MAX_RESPONSE_SIZE];
    tpm.execute(0, &STARTUP, &mut response);
    tpm.provision(&mut authority, &EndorsementKey::ALL)
        .map_err(|problem| anyhow!("{problem:?}"))?;
    tpm.execute(0, &SHUTDOWN, &mut response);
    Ok(())
}

/// Today's beginning as certificates write it: `20260131000000Z`.
fn today() -> Result<String> {
    let days = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 86400;
    // Years begin in March here, so that leap days come last.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    Ok(format!("{year:04}{month:02}{day:02}000000Z"))
}

impl HostTpm {
    /// The TPM whose records the host has, or a new one if it has none. A new
    /// one is provisioned if there is a place for the authority's certificate.
    ///
    /// # Errors
    /// The records are not a TPM's; they are left as they are. Or the new TPM
    /// could not be provisioned.
    pub fn new(host: Host, authority: Option<&Path>) -> Result<Self> {
        let new = host.is_empty();
        let mut tpm = Tpm::new(host);
        if new {
            tpm.manufacture()
                .map_err(|problem| anyhow!(reason(problem)))
                .context("a new TPM cannot be made")?;
            if let Some(certificate) = authority {
                provision(&mut tpm, certificate).context("the new TPM cannot be provisioned")?;
            }
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
