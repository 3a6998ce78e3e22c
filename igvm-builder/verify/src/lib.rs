//! Says claim by claim what the evidence of an SNP guest proves: its attestation
//! report with the certificates, the SVSM's services manifest, and a quote of the vTPM
//! with the event log. docs/verify.md explains the claims and the files.
//!
//! All evidence is hostile input: whatever the bytes are, there is a verdict and no panic.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(any(test, feature = "testing")),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod chain;
pub mod challenge;
pub mod claim;
pub mod demands;
pub mod evidence;
pub mod hex;
pub mod log;
pub mod manifest;
pub mod report;
pub mod roots;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tpm;

use serde::Serialize;

use claim::{Claim, Claims, Outcome};
use demands::{Demands, Scope};
use evidence::Evidence;

/// What the evidence comes to.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// What all claims come to.
    pub outcome: Outcome,
    /// Each claim, in the order of the proof.
    pub claims: Vec<Claim>,
    /// The event log in words.
    pub events: Vec<log::Named>,
}

/// Looks at the evidence as far as is demanded.
pub fn verify(evidence: &Evidence, demands: &Demands) -> Verdict {
    let mut claims = Claims::default();
    let report = report::read(evidence, &mut claims);
    let report = report.as_ref();
    let chain = chain::check(
        evidence,
        report,
        demands.allow_test_root,
        demands.now,
        &mut claims,
    );
    report::check(report, chain.as_ref(), evidence, demands, &mut claims);
    let mut events = Vec::new();
    if demands.scope >= Scope::Manifest {
        let vouched = manifest::check(evidence, report, demands.vmpl, &mut claims);
        if demands.scope == Scope::All {
            let pcrs = tpm::check(evidence, vouched.ek.as_ref(), &demands.pcrs, &mut claims);
            events = log::check(evidence, vouched.log, pcrs.as_ref(), &mut claims);
        }
    }
    Verdict {
        outcome: claims.outcome(),
        claims: claims.as_slice().to_vec(),
        events,
    }
}
