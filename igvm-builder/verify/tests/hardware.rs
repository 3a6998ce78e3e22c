//! Evidence of real processors (tests/data/README.md), beside the verdict of another
//! project's crate.

use der::DateTime;
use proptest::prelude::*;
use rampart_verify::claim::{Id, Outcome, Status};
use rampart_verify::demands::{Demands, Digest, Scope};
use rampart_verify::evidence::Evidence;
use rampart_verify::{Verdict, hex, verify};
use sev::certs::snp::{Certificate, Chain, Verifiable, builtin, ca};
use sev::firmware::guest::AttestationReport;
use sev::parser::ByteParser;

const MILAN: &[u8] = include_bytes!("data/vcek_milan.der");
const TURIN: &[u8] = include_bytes!("data/vcek_turin.der");

fn report() -> Vec<u8> {
    hex::parse(include_str!("data/report_milan.hex")).unwrap()
}

fn demands() -> Demands {
    Demands {
        scope: Scope::Report,
        now: DateTime::new(2026, 11, 22, 12, 0, 0).ok(),
        digest: Digest::Any,
        ..Demands::default()
    }
}

fn milan(report: Vec<u8>, vcek: &[u8]) -> Verdict {
    let evidence = Evidence {
        report: Some(report),
        vcek: Some(vcek.to_vec()),
        ..Evidence::default()
    };
    verify(&evidence, &demands())
}

fn status(verdict: &Verdict, id: Id) -> Status {
    verdict
        .claims
        .iter()
        .find(|claim| claim.id == id)
        .unwrap()
        .status
}

/// Whether `sev` takes the report for one that this VCEK signed.
fn second_opinion(report: &[u8], vcek: &[u8]) -> bool {
    let chain = || -> std::io::Result<Chain> {
        Ok(Chain {
            ca: ca::Chain {
                ark: builtin::milan::ark()?,
                ask: builtin::milan::ask()?,
            },
            vek: Certificate::from_der(vcek)?,
        })
    };
    let read = || AttestationReport::from_bytes(report);
    match (chain(), read()) {
        (Ok(chain), Ok(report)) => (&chain, &report).verify().is_ok(),
        _ => false,
    }
}

#[test]
fn a_report_of_a_milan_processor_is_verified() {
    let verdict = milan(report(), MILAN);
    assert_eq!(verdict.outcome, Outcome::Verified, "{:#?}", verdict.claims);
    let why = |id| {
        &verdict
            .claims
            .iter()
            .find(|claim| claim.id == id)
            .unwrap()
            .why
    };
    assert_eq!(why(Id::ChainRoot), "it is AMD's root key for Milan");
    assert_eq!(
        why(Id::ChainKey),
        "the VCEK is of chip d49554ec717f4e5b…, and for boot loader 3, TEE 0, SNP 8, microcode 115"
    );
    assert!(second_opinion(&report(), MILAN));
}

#[test]
fn a_turin_processor_s_certificate_leads_to_amd_s_root() {
    let evidence = Evidence {
        vcek: Some(TURIN.to_vec()),
        ..Evidence::default()
    };
    let verdict = verify(&evidence, &demands());
    for id in [
        Id::ChainFormat,
        Id::ChainRoot,
        Id::ChainSignatures,
        Id::ChainValidity,
    ] {
        assert_eq!(status(&verdict, id), Status::Proven, "{}", id.name());
    }
    let swapped = milan(report(), TURIN);
    assert_eq!(status(&swapped, Id::ChainSignatures), Status::Proven);
    assert_eq!(status(&swapped, Id::ChainKey), Status::Refuted);
    assert_eq!(status(&swapped, Id::ReportSignature), Status::Refuted);
    assert!(!second_opinion(&report(), TURIN));
}

#[test]
fn a_chain_is_held_to_its_time() {
    let evidence = Evidence {
        report: Some(report()),
        vcek: Some(MILAN.to_vec()),
        ..Evidence::default()
    };
    let late = Demands {
        now: DateTime::new(2030, 4, 3, 19, 23, 44).ok(),
        ..demands()
    };
    assert_eq!(
        status(&verify(&evidence, &late), Id::ChainValidity),
        Status::Refuted
    );
}

#[test]
fn the_built_in_authorities_are_those_of_the_other_crate() {
    let theirs = [
        ("milan", builtin::milan::ASK, builtin::milan::ARK),
        ("genoa", builtin::genoa::ASK, builtin::genoa::ARK),
        ("turin", builtin::turin::ASK, builtin::turin::ARK),
    ];
    for (name, ask, ark) in theirs {
        let path = format!("{}/roots/{name}.pem", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(std::fs::read(path).unwrap(), [ask, ark].concat(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    // `sev` overlooks some: it verifies what it writes again of the fields that it knows.
    #[test]
    fn one_bit_of_the_report_is_noticed(place in 0usize..0x4a0, bit in 0u8..8) {
        let mut changed = report();
        changed[place] ^= 1 << bit;
        prop_assert_ne!(milan(changed, MILAN).outcome, Outcome::Verified);
    }

    #[test]
    fn one_bit_of_the_certificate_is_noticed(place in 0..MILAN.len(), bit in 0u8..8) {
        let mut changed = MILAN.to_vec();
        changed[place] ^= 1 << bit;
        prop_assert_ne!(milan(report(), &changed).outcome, Outcome::Verified);
    }
}
