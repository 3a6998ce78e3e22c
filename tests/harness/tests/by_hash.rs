//! Images that have only the hash of their guest firmware: the host gives the firmware by fw_cfg, and
//! Rampart takes it if it is the one.

use std::path::{Path, PathBuf};

use boot_tests::{Launch, Outcome};
use protocols::ghcb::RampartReason;

#[test]
fn linux_boots_with_a_firmware_that_the_host_gives() {
    let run = Launch::rampart_by_hash().smoke().run();
    run.assert_outcome(Outcome::PoweredOff)
        .assert_line("guest firmware from the host: 4096 KiB with the image's hash")
        .assert_fact("vmpl", "2")
        .assert_fact("ready", "")
        .assert_line("guest: device platform tpm-svsm");
}

/// The firmware that belongs to the test guest's image.
fn firmware() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/images/test-guest-byhash.firmware");
    std::fs::read(path).expect("the build makes it")
}

/// Launches with another firmware, which must be refused for this reason.
#[track_caller]
fn refused(firmware: &Path, reason: RampartReason) -> String {
    let run = Launch::test_guest_by_hash()
        .option("--firmware", firmware)
        .timeout(60)
        .run();
    let code = reason.code();
    run.assert_outcome(Outcome::Terminated)
        .assert_line(&format!(
            "VMPL0 terminated the guest: reason set 8 code {code:#x}: {reason}"
        ));
    assert!(run.line("starting it").is_none(), "{}", run.report());
    run.messages
}

#[test]
fn every_other_firmware_is_refused_for_what_it_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |bytes: &[u8]| -> PathBuf {
        let path = folder.path().join("firmware");
        std::fs::write(&path, bytes).expect("the firmware can be written");
        path
    };
    let good = firmware();
    let mut other = good.clone();
    let middle = other.len() / 2;
    other[middle] ^= 0x10;
    let said = refused(&file(&other), RampartReason::FirmwareHashMismatch);
    assert!(
        said.contains("is not the firmware that the image wants"),
        "{said}"
    );
    refused(&file(&good[1..]), RampartReason::FirmwareSizeMismatch);
    let mut longer = good;
    longer.push(0);
    let said = refused(&file(&longer), RampartReason::FirmwareSizeMismatch);
    assert!(said.contains("wants a firmware of"), "{said}");
    refused(Path::new("none"), RampartReason::FirmwareMissing);
}
