//! Certificates of endorsement keys, as OpenSSL sees them.

use std::fs;
use std::path::Path;
use std::process::Command;

use vtpm::Tpm;
use vtpm::limits::MAX_RESPONSE_SIZE;
use vtpm::provision::{
    Authority, EndorsementKey, LocalAuthority, certify, create_primary, created,
};
use vtpm::wire::Handle;
use vtpm_server::host::Host;

/// What openssl says, if it is content.
fn openssl(words: &[&str], folder: &Path) -> Result<String, String> {
    let output = Command::new("openssl")
        .args(words)
        .current_dir(folder)
        .output()
        .expect("openssl is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(text + &String::from_utf8_lossy(&output.stderr))
    }
}

fn started() -> Tpm<Host> {
    let mut tpm = Tpm::new(Host::in_memory());
    tpm.manufacture().expect("a new TPM");
    tpm.power_on().expect("its state");
    let startup = [0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0];
    execute(&mut tpm, &startup);
    tpm
}

fn execute(tpm: &mut Tpm<Host>, command: &[u8]) -> Vec<u8> {
    let mut response = [0; MAX_RESPONSE_SIZE];
    let length = tpm.execute(0, command, &mut response);
    response[..length].to_vec()
}

/// Writes a certificate as PEM.
fn keep(folder: &Path, name: &str, der: &[u8]) {
    let raw = format!("{name}.der");
    fs::write(folder.join(&raw), der).expect("a file");
    let pem = format!("{name}.pem");
    openssl(
        &["x509", "-inform", "der", "-in", &raw, "-out", &pem],
        folder,
    )
    .expect("a certificate");
}

#[test]
fn openssl_reads_and_verifies_every_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut tpm = started();
    let mut authority = LocalAuthority::new(&[1; 32], "Authority of a test", "20260101000000Z");
    keep(
        folder,
        "ca",
        &authority.certificate().expect("a certificate"),
    );
    for key in EndorsementKey::ALL {
        let response = execute(
            &mut tpm,
            &create_primary(Handle::ENDORSEMENT, &key.template()),
        );
        let (handle, public) = created(&response).expect("a key");
        let mut flush = vec![0x80, 1, 0, 0, 0, 14, 0, 0, 1, 0x65];
        flush.extend(handle.0.to_be_bytes());
        execute(&mut tpm, &flush);
        keep(
            folder,
            "ek",
            &certify(&mut authority, &public).expect("a certificate"),
        );
        let verified = openssl(
            &["verify", "-x509_strict", "-CAfile", "ca.pem", "ek.pem"],
            folder,
        );
        assert!(
            verified.as_deref().is_ok_and(|t| t.contains("OK")),
            "{key:?}: {verified:?}"
        );
        let text =
            openssl(&["x509", "-in", "ek.pem", "-noout", "-text"], folder).expect("its text");
        for part in [
            "2.23.133.8.1",
            "id:524D5054",
            "CA:FALSE",
            "Not After : Dec 31 23:59:59 9999 GMT",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
    // Another authority's signature does not verify.
    let mut other = LocalAuthority::new(&[2; 32], "Authority of a test", "20260101000000Z");
    assert_ne!(other.key_id(), authority.key_id());
    keep(
        folder,
        "other",
        &other.certificate().expect("a certificate"),
    );
    assert!(openssl(&["verify", "-CAfile", "other.pem", "ek.pem"], folder).is_err());
}
