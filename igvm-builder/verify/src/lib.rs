//! Says claim by claim what the evidence of an SNP guest proves: its attestation
//! report with the certificates, the SVSM's services manifest, and a quote of the vTPM
//! with the event log.
#![forbid(unsafe_code)]

pub mod challenge;
pub mod claim;
