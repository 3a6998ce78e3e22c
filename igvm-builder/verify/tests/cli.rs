//! The program as its users meet it: exit status, words, JSON.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use rampart_verify::challenge::{Challenge, NONCE};
use rampart_verify::evidence::Evidence;
use rampart_verify::testing::{Maker, ak_attributes, ecdsa, evidence, rsa, signing};
use vtpm::crypto::ecc::Curve;
use vtpm::crypto::hash::HashAlg;
use vtpm::wire::{Marshal, Scheme, Sized2b};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rampart-verify"))
        .args(arguments)
        .output()
        .unwrap()
}

fn judge(folder: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut arguments = vec![
        "--evidence",
        folder.to_str().unwrap(),
        "--at",
        "2026-11-22T12:00:00Z",
    ];
    arguments.extend(more);
    let output = run(&arguments);
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn the_exit_status_is_the_verdict() {
    let folder = tempfile::tempdir().unwrap();
    evidence(1).write(folder.path()).unwrap();
    let (status, text) = judge(folder.path(), &["--allow-test-root"]);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("VERIFIED: all"), "{text}");
    assert!(text.contains("No PCR values were demanded"), "{text}");
    let (status, text) = judge(folder.path(), &[]);
    assert_eq!(status, Some(1));
    assert!(text.contains("REFUTED   chain.root"), "{text}");
    std::fs::remove_file(folder.path().join("quote.bin")).unwrap();
    let (status, text) = judge(folder.path(), &["--allow-test-root"]);
    assert_eq!(status, Some(3));
    assert!(text.contains("INCOMPLETE: nothing is refuted"), "{text}");
    let output = run(&["--evidence", "/nowhere"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(run(&[]).status.code(), Some(2));
    assert_eq!(run(&["--min-tcb", "x=1"]).status.code(), Some(2));
}

#[test]
fn the_verdict_is_json_as_well() {
    let folder = tempfile::tempdir().unwrap();
    evidence(1).write(folder.path()).unwrap();
    let (_, text) = judge(folder.path(), &["--allow-test-root", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["outcome"], "verified");
    assert_eq!(json["claims"][0]["id"], "report.format");
    assert_eq!(json["claims"][0]["status"], "proven");
    assert_eq!(json["events"][0]["pcr"], 0);
}

#[test]
fn demands_come_by_name() {
    let folder = tempfile::tempdir().unwrap();
    evidence(1).write(folder.path()).unwrap();
    let with = |more: &[&str]| judge(folder.path(), &[&["--allow-test-root"], more].concat());
    assert_eq!(with(&["--min-tcb", "snp=1,microcode=1"]).0, Some(0));
    let (status, text) = with(&["--min-tcb", "snp=2"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("SNP is 1, demanded is 2"), "{text}");
    assert_eq!(with(&["--require-policy", "single-socket"]).0, Some(1));
    assert_eq!(with(&["--forbid-policy", "smt"]).0, Some(1));
    assert_eq!(with(&["--forbid-platform", "smt"]).0, Some(1));
    assert_eq!(with(&["--require-platform", "alias-check"]).0, Some(0));
    assert_eq!(with(&["--expect-digest", &"5a".repeat(48)]).0, Some(0));
    assert_eq!(with(&["--expect-digest", &"5b".repeat(48)]).0, Some(1));
    assert_eq!(with(&["--expect-digest", "any"]).0, Some(3));
    assert_eq!(
        with(&["--expect-digest", "any", "--scope", "report"]).0,
        Some(0)
    );
    let expected = folder.path().join("expected.json");
    assert_eq!(
        with(&["--expect-digest", expected.to_str().unwrap()]).0,
        Some(0)
    );
    let pcr = format!("sha256:0={}", "00".repeat(32));
    assert_eq!(with(&["--pcr", &pcr]).0, Some(1));
    let pcr = format!("sha256:16={}", "00".repeat(32));
    let (status, text) = with(&["--pcr", &pcr]);
    assert_eq!(status, Some(0), "{text}");
    assert!(!text.contains("No PCR values were demanded"), "{text}");
}

#[test]
fn a_challenge_is_one_that_the_tpm_opens() {
    let folder = tempfile::tempdir().unwrap();
    let maker = Maker::new(5);
    let (ek, ak) = (folder.path().join("ek.pub"), folder.path().join("ak.pub"));
    std::fs::write(&ek, Sized2b(maker.ek.clone()).to_bytes()).unwrap();
    std::fs::write(&ak, Sized2b(maker.ak.clone()).to_bytes()).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (ek, ak, out) = (text(&ek), text(&ak), text(folder.path()));
    let output = run(&["challenge", "--ek", &ek, "--ak", &ak, "--out", &out]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let made = Evidence::read(folder.path()).unwrap();
    // Whatever it was before.
    for _ in 0..2 {
        let path = folder.path().join("credential.secret");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        made.write(folder.path()).unwrap();
    }
    assert_eq!(made.nonce.unwrap().len(), NONCE);
    let secret = made.credential_secret.unwrap().try_into().unwrap();
    let challenge = Challenge::new(&secret, &maker.ek, &maker.ak).unwrap();
    assert_eq!(made.credential_blob.unwrap(), challenge.blob);
    // An AK is nothing that a credential is made for.
    let wrong = run(&["challenge", "--ek", &ak, "--ak", &ak, "--out", &out]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn no_challenge_is_made_for_a_weak_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut sha1 = signing(ecdsa(Curve::P256, HashAlg::Sha256), ak_attributes());
    sha1.name_alg = Some(HashAlg::Sha1);
    let short = signing(rsa(1024, Scheme::RsaSsa(HashAlg::Sha256)), ak_attributes());
    for (template, why) in [
        (sha1, "Name is of no hash"),
        (short, "fewer than 2048 bits"),
    ] {
        let maker = Maker::with_ak(5, &template);
        std::fs::write(path("ek.pub"), Sized2b(maker.ek.clone()).to_bytes()).unwrap();
        std::fs::write(path("ak.pub"), Sized2b(maker.ak.clone()).to_bytes()).unwrap();
        let (ek, ak, out) = (path("ek.pub"), path("ak.pub"), path("out"));
        let output = run(&["challenge", "--ek", &ek, "--ak", &ak, "--out", &out]);
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(why), "{text}");
        assert!(!Path::new(&out).exists());
    }
}

#[test]
fn help_says_what_the_status_means() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for word in [
        "Exit status:",
        "--allow-test-root",
        "--min-tcb",
        "challenge",
    ] {
        assert!(help.contains(word), "{help}");
    }
}
