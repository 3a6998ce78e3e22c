//! What documents claim, compared with the tree: docs/threat-model.md names the
//! tests that there are, docs/tcb.md the crates that VMPL0 is made of,
//! docs/termination-codes.md the reasons that nothing raises.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use protocols::ghcb::termination::RampartReason;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every Rust source below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder)
        .expect("a folder of the tree")
        .flatten()
    {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The two-digit numbers that follow `prefix` in a text.
fn numbers(text: &str, prefix: &str) -> BTreeSet<u32> {
    text.match_indices(prefix)
        .filter_map(|(at, _)| {
            text.get(at + prefix.len()..at + prefix.len() + 2)?
                .parse()
                .ok()
        })
        .collect()
}

/// Threats with unit tests named after them.
fn with_unit_tests() -> BTreeSet<u32> {
    let mut files = Vec::new();
    for folder in [
        "protocols",
        "monitor",
        "kernel",
        "stage2",
        "emulator",
        "igvm-builder/verify",
    ] {
        sources(&root().join(folder), &mut files);
    }
    files
        .iter()
        .flat_map(|file| {
            let text = fs::read_to_string(file).expect("a source file");
            let names = text
                .lines()
                .filter(|line| line.trim_start().starts_with("fn threat_"));
            names
                .flat_map(|name| numbers(name, "threat_"))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Threats with scenarios named after them.
fn with_scenarios() -> BTreeSet<u32> {
    fs::read_dir(root().join("tests/scenarios"))
        .expect("tests/scenarios")
        .flatten()
        .flat_map(|file| numbers(&file.file_name().to_string_lossy(), "threat-"))
        .collect()
}

/// Threats whose row in the document names that kind of test.
fn documented(kind: &str) -> BTreeSet<u32> {
    let text = fs::read_to_string(root().join("docs/threat-model.md")).expect("the document");
    text.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let number = cells.get(1)?.parse().ok()?;
            let shown_by = cells.get(cells.len().checked_sub(2)?)?;
            shown_by
                .split(", ")
                .any(|word| word == kind)
                .then_some(number)
        })
        .collect()
}

#[test]
fn the_threat_model_names_the_unit_tests_that_there_are() {
    assert_eq!(documented("unit"), with_unit_tests());
}

#[test]
fn the_threat_model_names_the_scenarios_that_there_are() {
    assert_eq!(documented("scenarios"), with_scenarios());
}

#[test]
fn every_reason_is_raised_or_said_not_to_be() {
    let mut files = Vec::new();
    for folder in ["monitor/src", "kernel/src", "stage2/src"] {
        sources(&root().join(folder), &mut files);
    }
    let code: String = files
        .iter()
        .filter(|file| !file.ends_with("tests.rs"))
        .map(|file| fs::read_to_string(file).expect("a source file"))
        .map(|text| {
            text.split("#[cfg(test)]")
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    let never: BTreeSet<String> = (0..=u8::MAX)
        .filter_map(RampartReason::from_code)
        .map(|reason| format!("{reason:?}"))
        .filter(|name| !mentions(&code, &format!("RampartReason::{name}")))
        .collect();
    let text = fs::read_to_string(root().join("docs/termination-codes.md")).expect("the document");
    let listed: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("- ")?.split_once(": "))
        .map(|(name, _)| name.to_owned())
        .collect();
    assert_eq!(listed, never);
}

/// Whether the word stands in the text, and not as the beginning of a longer one.
fn mentions(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let next = text
            .get(at + word.len()..)
            .and_then(|rest| rest.chars().next());
        !next.is_some_and(char::is_alphanumeric)
    })
}

/// Crates that stage2, the kernel and the TPM are built from, but for the
/// project's own.
fn trusted_crates() -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args([
            "tree",
            "--locked",
            "--offline",
            "--prefix",
            "none",
            "--edges",
            "normal",
        ])
        .args([
            "--target",
            "x86_64-unknown-none",
            "-p",
            "kernel",
            "-p",
            "stage2",
            "-p",
            "vtpm",
        ])
        .output()
        .expect("cargo tree");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| !line.is_empty() && !line.contains('/'))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

#[test]
fn the_list_of_trusted_code_names_every_crate_and_no_other() {
    let text = fs::read_to_string(root().join("docs/tcb.md")).expect("the document");
    let listed: BTreeSet<String> = text
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| {
            cell.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(listed, trusted_crates());
}
