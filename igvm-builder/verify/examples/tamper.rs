//! Tampers with evidence of the emulated machine in every way of the list, and says what
//! is refuted then:
//!
//! `cargo run -p rampart-verify --features testing --example tamper -- target/attest`
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use rampart_verify::claim::{Outcome, Status};
use rampart_verify::evidence::Evidence;
use rampart_verify::testing::{TAMPERED, demands};
use rampart_verify::verify;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("tamper: name the folder with the evidence");
        return ExitCode::from(2);
    };
    let evidence = match Evidence::read(&folder) {
        Ok(evidence) => evidence,
        Err((path, error)) => {
            eprintln!("tamper: {}: {error}", path.display());
            return ExitCode::from(2);
        }
    };
    if verify(&evidence, &demands()).outcome != Outcome::Verified {
        eprintln!("tamper: the evidence is not verified as it is");
        return ExitCode::FAILURE;
    }
    let mut status = ExitCode::SUCCESS;
    for tampered in TAMPERED {
        let verdict = tampered.verdict(&evidence, &demands());
        println!("{}", tampered.name);
        let told = match tampered.unproven {
            None => Status::Refuted,
            Some(_) => Status::Unproven,
        };
        for claim in verdict.claims.iter().filter(|claim| claim.status == told) {
            println!("    {}: {}", claim.id.name(), claim.why);
        }
        if let Some(complaint) = tampered.complaint(&verdict) {
            println!("    WRONG: {complaint}");
            status = ExitCode::FAILURE;
        }
    }
    status
}
