//! A guest that wants to start again: there is no reset of an SNP guest, and the end says so.

use boot_tests::{Launch, Outcome, resetting_application};

/// The end of a guest that asked for a reset at this level.
fn assert_reset(launch: Launch, vmpl: u8) {
    let run = launch.run();
    run.assert_outcome(Outcome::Reset)
        .assert_line(&format!("snp-machine: VMPL{vmpl} asked for a reset"))
        .assert_line("It takes a new launch");
    assert!(
        run.messages.contains("asked for a reset"),
        "{}",
        run.report()
    );
}

/// Linux's `reboot`: by ACPI's reset register, as the firmware's tables say.
#[test]
fn linux_reboots_under_rampart() {
    assert_reset(Launch::rampart().guest_command("reboot -f"), 2);
}

#[test]
fn linux_reboots_as_a_plain_snp_guest() {
    assert_reset(Launch::without_svsm().guest_command("reboot -f"), 0);
}

/// OVMF's own reset service, called by a UEFI application in the kernel's place.
fn firmware_resets(launch: Launch, vmpl: u8) {
    let application = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(application.path(), resetting_application()).expect("the file can be written");
    assert_reset(
        launch
            .option("--kernel", application.path())
            .option("--initrd", "none"),
        vmpl,
    );
}

#[test]
fn ovmf_resets_under_rampart() {
    firmware_resets(Launch::rampart(), 2);
}

#[test]
fn ovmf_resets_as_a_plain_snp_guest() {
    firmware_resets(Launch::without_svsm(), 0);
}
