//! The tool as its users meet it: exit status and messages.

use std::path::Path;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_igvm-builder"))
        .args(arguments)
        .output()
        .unwrap()
}

fn error(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn help_names_every_command() {
    let output = run(&["--help"]);
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for command in ["build", "inspect", "measure", "flatten"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
    }
}

#[test]
fn a_bad_file_is_named_with_the_offset_of_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cut.igvm");
    std::fs::write(&file, b"IGVM\x01\0\0\0\x18\0\0\0").unwrap();
    let message = error(&["inspect", text(&file)]);
    assert!(message.contains("cut.igvm"), "{message}");
    assert!(
        message.contains("offset 0x14: the file is cut short"),
        "{message}"
    );
    let missing = folder.path().join("none");
    assert!(error(&["inspect", text(&missing)]).contains("cannot read"));
    assert!(error(&["build", text(&missing), "--out", "x"]).contains("none: cannot read"));
}

#[test]
fn flatten_refuses_what_is_no_elf_file_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("input"), folder.path().join("out.bin"));
    std::fs::write(&file, b"text").unwrap();
    let message = error(&[
        "flatten",
        text(&file),
        "--out",
        text(&out),
        "--end",
        "0x1_0000_0000",
    ]);
    assert!(message.contains("input"), "{message}");
    assert!(message.contains("not a readable ELF64 file"), "{message}");
    assert!(!out.exists());
}

#[test]
fn measure_asks_for_what_kvm_needs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.igvm");
    std::fs::write(&file, b"").unwrap();
    let wrong = |arguments: &[&str]| {
        let all: Vec<_> = ["measure", text(&file)]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        let output = run(&all);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(wrong(&["--vcpus", "2"]).contains("--check-kvm"));
    assert!(wrong(&["--check-kvm", "--vcpus", "0"]).contains("0 is not in 1..=4096"));
    let model = wrong(&["--check-kvm", "--cpu", "Pentium"]);
    assert!(model.contains("EPYC-Milan"), "{model}");
}
