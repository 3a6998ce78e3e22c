//! The tool as its users meet it: exit status and messages.

mod common;

use std::path::{Path, PathBuf};
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
    for command in [
        "build", "inspect", "measure", "sign", "verify", "diff", "flatten",
    ] {
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

/// A small image: the firmware of tests/data alone.
fn image(folder: &Path) -> PathBuf {
    let path = folder.join("image.igvm");
    std::fs::write(
        &path,
        common::firmware_alone(common::boot_processor("EPYC-v4", 1)),
    )
    .unwrap();
    path
}

fn data(name: &str) -> String {
    format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn good(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_signed_verifies_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = image(folder.path());
    let signed = folder.path().join("signed.igvm");
    let (id, author) = (data("id-key.pem"), data("author-key.pem"));
    let (id_public, author_public) = (data("id-key.pub.pem"), data("author-key.pub.pem"));
    let said = good(&[
        "sign",
        text(&file),
        "--id-key",
        &id,
        "--author-key",
        &author,
        "--out",
        text(&signed),
        "--image-id",
        "an image",
        "--policy",
        "smt,aes-256-xts",
        "--min-abi",
        "1.55",
    ]);
    assert!(
        said.contains("SMT, AES-256-XTS only; firmware ABI at least 1.55"),
        "{said}"
    );
    let verify = [
        "verify",
        text(&signed),
        "--id-key",
        &id_public,
        "--author-key",
        &author_public,
    ];
    let said = good(&verify);
    assert!(said.contains("ID key 67423f5e"), "{said}");
    assert!(said.contains("good, 0 errors"), "{said}");
    // The same again in JSON.
    let json = good(&["verify", "--json", text(&signed)]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["good"], true);
    assert_eq!(
        json["id_block"]["image_id"],
        "616e20696d6167650000000000000000"
    );
    // An unsigned file, and one signed by somebody else.
    error(&["verify", "--signed", text(&file)]);
    error(&["verify", text(&signed), "--id-key", &author_public]);
    // A page that was changed.
    let mut bytes = std::fs::read(&signed).unwrap();
    let last = bytes.len() - 0x1000 - 1;
    bytes[last] ^= 1;
    std::fs::write(&signed, bytes).unwrap();
    let output = run(&verify);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("error: id-block-digest: directive"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_id_block_beside_the_file_is_what_qemu_takes() {
    let folder = tempfile::tempdir().unwrap();
    let file = image(folder.path());
    let prefix = folder.path().join("beside");
    let id = data("id-key.pem");
    good(&[
        "sign",
        text(&file),
        "--id-key",
        &id,
        "--beside",
        text(&prefix),
    ]);
    let (block, auth) = (
        prefix.with_extension("id-block"),
        prefix.with_extension("id-auth"),
    );
    let said = good(&[
        "verify",
        text(&file),
        "--id-block",
        text(&block),
        "--id-auth",
        text(&auth),
        "--id-key",
        &data("id-key.pub.pem"),
    ]);
    assert!(said.contains("no author key"), "{said}");
    let message = error(&[
        "verify",
        text(&file),
        "--id-block",
        text(&auth),
        "--id-auth",
        text(&block),
    ]);
    assert!(message.contains("not 96 bytes"), "{message}");
    let beside = [
        "sign",
        text(&file),
        "--id-key",
        &id,
        "--beside",
        text(&prefix),
        "--policy",
        "smt,debug",
    ];
    assert!(error(&beside).contains("cannot have 0xb0000"));
}

#[test]
fn keys_and_names_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = image(folder.path());
    let out = folder.path().join("out.igvm");
    let sign = |key: &str, more: &[&str]| {
        let first = ["sign", text(&file), "--out", text(&out), "--id-key", key];
        let all: Vec<_> = first.iter().chain(more).copied().collect();
        let output = run(&all);
        assert!(!output.status.success());
        assert!(!out.exists());
        String::from_utf8(output.stderr).unwrap()
    };
    let public = sign(&data("id-key.pub.pem"), &[]);
    assert!(
        public.contains("id-key.pub.pem: no private P-384 key"),
        "{public}"
    );
    let id = data("id-key.pem");
    assert!(sign(&id, &["--author-key", &id]).contains("certifies nothing"));
    assert!(sign(&id, &["--policy", "smt,swap"]).contains("\"swap\" is no policy bit"));
    let policy = sign(&id, &["--policy", "smt,debug,ciphertext-hiding"]);
    assert!(
        policy.contains("SMT, debugging, ciphertext hiding only"),
        "{policy}"
    );
    assert!(policy.contains("with debug the host reads"), "{policy}");
    assert!(sign(&id, &["--family-id", "more than sixteen"]).contains("32 hexadecimal"));
    assert!(sign(&id, &["--min-abi", "1.300"]).contains("no ABI version"));
}

#[test]
fn diff_says_by_its_status_whether_the_digest_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = image(folder.path());
    let other = folder.path().join("other.igvm");
    let bytes = common::firmware_alone(common::boot_processor("EPYC-Milan", 1));
    std::fs::write(&other, bytes).unwrap();
    assert!(good(&["diff", text(&file), text(&file)]).contains("the launch digest is the same"));
    let output = run(&["diff", text(&file), text(&other)]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    let field = "VMSA of processor 0: rdx: 0x800f12 in the first, 0xa00f11 in the second";
    assert!(said.contains(field), "{said}");
    let json = run(&["diff", "--json", text(&file), text(&other)]).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["save_areas"][0]["fields"][0]["field"], "rdx");
    std::fs::write(&other, b"text").unwrap();
    let output = run(&["diff", text(&file), text(&other)]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("other.igvm: fixed header, offset 0x0"),
        "{message}"
    );
}

#[test]
fn inspect_draws_the_map() {
    let folder = tempfile::tempdir().unwrap();
    let (file, picture) = (image(folder.path()), folder.path().join("map.svg"));
    let said = good(&["inspect", text(&file), "--svg", text(&picture)]);
    assert!(said.contains("by the secure processor "), "{said}");
    let picture = std::fs::read_to_string(picture).unwrap();
    assert!(
        picture.starts_with("<svg ") && picture.contains("0xffffd000"),
        "{picture}"
    );
}
