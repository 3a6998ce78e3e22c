//! From the outside: what unmodified Linux on Rampart hands out is verified, and evidence that
//! is not genuine is found out for what it is.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use boot_tests::{Launch, Round};
use rampart_verify::claim::{Id, Outcome, Status};
use rampart_verify::evidence::Evidence;
use rampart_verify::testing::{TAMPERED, demands};
use rampart_verify::{Verdict, verify};

/// The exit statuses of `rampart-verify`.
const VERIFIED: i32 = 0;
const REFUTED: i32 = 1;

/// One boot for all that only looks at its evidence.
fn round() -> &'static Round {
    static ROUND: OnceLock<Round> = OnceLock::new();
    ROUND.get_or_init(|| Launch::rampart().attest())
}

fn read(round: &Round) -> Evidence {
    Evidence::read(round.evidence())
        .unwrap_or_else(|(path, error)| panic!("{}: {error}{}", path.display(), round.report()))
}

/// The claims of one status, with the reasons.
fn claims(verdict: &Verdict, status: Status) -> (Vec<Id>, String) {
    let found = || verdict.claims.iter().filter(|claim| claim.status == status);
    let words = found().map(|claim| format!("{}: {}\n", claim.id.name(), claim.why));
    (found().map(|claim| claim.id).collect(), words.collect())
}

#[test]
fn a_guest_on_rampart_is_verified() {
    let round = round();
    assert_eq!(round.status, Some(VERIFIED), "{}", round.report());
    let evidence = read(round);
    for name in [
        "report.bin",
        "certs.bin",
        "manifest.bin",
        "nonce.bin",
        "quote.bin",
        "quote.sig",
        "eventlog.bin",
    ] {
        let file = evidence.clone().file(name).and_then(Option::take);
        assert!(file.is_some_and(|bytes| !bytes.is_empty()), "{name}");
    }
    let verdict = verify(&evidence, &demands());
    for status in [Status::Refuted, Status::Unproven] {
        assert_eq!(claims(&verdict, status).1, "");
    }
    assert_eq!(verdict.outcome, Outcome::Verified);
    // The firmware's boot, Linux's start, and both of its own measurements.
    for pcr in [0, 1, 4, 5, 7, 9] {
        assert!(
            verdict.events.iter().any(|event| event.pcr == pcr),
            "no event of PCR {pcr}{}",
            round.report()
        );
    }
}

#[test]
fn every_way_to_tamper_with_the_evidence_is_found_out() {
    let genuine = read(round());
    let mut wrong = String::new();
    for tampered in TAMPERED {
        let verdict = tampered.verdict(&genuine, &demands());
        if let Some(complaint) = tampered.complaint(&verdict) {
            let (_, words) = claims(&verdict, Status::Refuted);
            wrong += &format!("{complaint}\n{words}");
        }
    }
    assert!(TAMPERED.len() >= 20);
    assert_eq!(wrong, "");
}

/// Evidence of another boot of the same image: each part alone, in place of this round's.
#[test]
fn what_another_boot_handed_out_does_not_pass_for_this_one_s() {
    let (here, there) = (read(round()), read(&Launch::rampart().attest()));
    assert_eq!(verify(&there, &demands()).outcome, Outcome::Verified);
    assert_ne!(here.ek, there.ek, "a new identity with each boot");
    for name in [
        "nonce.bin",
        "report.bin",
        "manifest.bin",
        "ek.pub",
        "ak.pub",
        "credential.answer",
        "quote.bin",
        "quote.sig",
    ] {
        let (mut mixed, mut other) = (here.clone(), there.clone());
        *mixed.file(name).expect("a file") = other.file(name).expect("a file").take();
        let verdict = verify(&mixed, &demands());
        assert_eq!(verdict.outcome, Outcome::Refuted, "{name}");
    }
}

/// The guest asks for a report with its own key, and has it say what the firmware's would.
#[test]
fn a_report_of_the_guest_s_own_level_does_not_pass_for_the_firmware_s() {
    let round = Launch::rampart().append("rampart.report=own").attest();
    assert_eq!(round.status, Some(REFUTED), "{}", round.report());
    let verdict = verify(&read(&round), &demands());
    let (refuted, words) = claims(&verdict, Status::Refuted);
    assert_eq!(refuted, [Id::ReportVmpl], "{words}");
}

/// images/rampart.toml with an identity that stays, and with the host's parameters in PCR 8.
fn image_with_a_lasting_identity() -> tempfile::TempDir {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("images/rampart.toml")).expect("a manifest");
    let mut manifest: toml::Table = text.parse().expect("a manifest");
    let svsm = manifest["svsm"].as_table_mut().expect("its table");
    svsm.insert("identity".to_owned(), "persistent".into());
    svsm.insert("measure-parameters".to_owned(), 8.into());
    // In the tree, where the manifest's paths begin.
    let folder = tempfile::tempdir_in(root.join("target")).expect("a temporary folder");
    let path = folder.path().join("lasting.toml");
    std::fs::write(&path, manifest.to_string()).expect("it can be written");
    let built = Command::new(root.join("target/debug/igvm-builder"))
        .current_dir(&root)
        .arg("build")
        .arg(&path)
        .arg("--out")
        .arg(folder.path().join("lasting.igvm"))
        .status();
    assert!(built.expect("scripts/build tools makes it").success());
    folder
}

#[test]
fn a_lasting_identity_survives_a_boot_and_the_host_s_parameters_are_measured() {
    let image = image_with_a_lasting_identity();
    let boot = || {
        let round = Launch::rampart()
            .option("--image", image.path().join("lasting.igvm"))
            .attest();
        assert_eq!(round.status, Some(VERIFIED), "{}", round.report());
        read(&round)
    };
    let (first, second) = (boot(), boot());
    assert!(first.ek.is_some());
    assert_eq!(first.ek, second.ek, "the endorsement key stays");
    let usual = read(round());
    assert_ne!(first.ek, usual.ek, "and is that of this image alone");
    let events = verify(&first, &demands()).events;
    assert!(events.iter().any(|event| event.pcr == 8));
}
