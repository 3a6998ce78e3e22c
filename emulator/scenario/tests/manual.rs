//! The manual and the scenario files say nothing that the parser does not take.

use std::path::{Path, PathBuf};

use snp_scenario::parse;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The example of a row of the tables of lies: what its last column has in backticks.
fn example(row: &str) -> Option<&str> {
    let last = row.trim_end().strip_suffix('|')?.rsplit('|').next()?;
    last.trim().strip_prefix('`')?.strip_suffix('`')
}

#[test]
fn every_example_of_the_manual_is_a_scenario() {
    let manual = std::fs::read_to_string(root().join("docs/scenarios.md")).unwrap();
    let (_, after) = manual.split_once("## Lies").unwrap();
    let (lies, _) = after.split_once("## What must hold").unwrap();
    let rows: Vec<&str> = lies.lines().filter(|l| l.starts_with("| `")).collect();
    assert!(rows.len() > 30, "the tables are not where they were");
    for row in rows {
        let example = example(row).unwrap_or_else(|| panic!("no example in {row}"));
        let lines = parse(example).unwrap_or_else(|error| panic!("{example}: {error}"));
        assert_eq!(lines.len(), 1, "{example}");
        // The example is of the lie that its row is about.
        let lie = row.split('`').nth(1).unwrap();
        let first = lie.split(' ').next().unwrap();
        assert!(example.contains(first), "{example} shows no {first}");
    }
}

#[test]
fn every_scenario_file_is_read() {
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("tests/scenarios")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!lines.is_empty(), "{} lies about nothing", path.display());
        count += 1;
    }
    assert!(count > 0);
}
