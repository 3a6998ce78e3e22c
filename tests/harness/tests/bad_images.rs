//! Images that nobody should launch: each is refused with a reason, and at once.

use std::path::{Path, PathBuf};
use std::process::Command;

use boot_tests::{Igvm, Launch, Outcome};

/// Launches the bytes as an image, which must be refused for this reason.
#[track_caller]
fn refused(bytes: &[u8], reason: &str) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("the image can be written");
    let run = Launch::image(file.path()).timeout(60).run();
    run.assert_outcome(Outcome::ImageRefused)
        .assert_line(reason);
}

#[test]
fn a_file_that_is_no_image() {
    refused(&[b'x'; 4096], "it is not an IGVM file");
    refused(&[0; 4096], "it is not an IGVM file");
}

#[test]
fn an_image_cut_short_anywhere() {
    let image = Igvm::rampart();
    let size = image.bytes().len();
    for length in [
        0,
        1,
        23,
        24,
        100,
        image.headers_end() - 1,
        image.headers_end(),
        size / 2,
        size - 1,
    ] {
        refused(&image.bytes()[..length], "image refused: ");
    }
}

#[test]
fn a_wrong_checksum() {
    let mut image = Igvm::rampart();
    image.flip_bit_in_headers();
    refused(image.bytes(), "checksum");
}

#[test]
fn two_pages_at_one_address() {
    let mut image = Igvm::rampart();
    image.put_second_page_on_first();
    image.fix_checksum();
    refused(image.bytes(), "overlap");
}

/// Builds an image of Rampart with this guest firmware.
fn with_firmware(firmware: &[u8], folder: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let release = root.join("target/x86_64-unknown-none/release");
    let (manifest, image) = (folder.join("image.toml"), folder.join("image.igvm"));
    let path = folder.join("firmware.fd");
    std::fs::write(&path, firmware).expect("the firmware can be written");
    let text = format!(
        "policy = 0x30000\nfirmware = {path:?}\n[svsm]\nguest-vmpl = 2\nc-bit = 51\nstage2 = {:?}\nkernel = {:?}\n",
        release.join("stage2"),
        release.join("kernel"),
    );
    std::fs::write(&manifest, text).expect("the manifest can be written");
    // The builder looks for a workspace around the manifest.
    std::fs::write(folder.join("Cargo.toml"), "[workspace]\n").expect("a workspace");
    let status = Command::new(env!("CARGO"))
        .current_dir(&root)
        .args([
            "run",
            "--locked",
            "--quiet",
            "-p",
            "igvm-builder",
            "--",
            "build",
        ])
        .arg(&manifest)
        .arg("--out")
        .arg(&image)
        .status()
        .expect("igvm-builder runs");
    assert!(status.success(), "igvm-builder refused the firmware");
    image
}

#[test]
fn a_firmware_without_sev_metadata() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let image = with_firmware(&[0; 0x1_0000], folder.path());
    let run = Launch::image(&image).timeout(60).run();
    run.assert_outcome(Outcome::Terminated)
        .assert_line("reason set 8 code 0x54: the guest firmware has no SEV metadata");
}
