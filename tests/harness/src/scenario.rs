//! The files of tests/scenarios: how the emulated machine misbehaves, and what has
//! to come of it. docs/scenarios.md has their form.

use crate::{Launch, Outcome, Run};
use protocols::boot::layout;
use protocols::ghcb::termination::{RampartReason, Termination};
use std::path::{Path, PathBuf};

/// Guest memory of every scenario: their memory maps are made for it.
const MEMORY: &str = "512M";

/// What has to come of a scenario: the line `# expect:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// `goes on`: everything is as without the lies.
    GoesOn,
    /// `terminated NAME CODE`, or `terminated set N code N [mask N]`: VMPL0 ends
    /// the machine for this reason.
    Terminated(Termination, Option<u64>),
    /// `guest terminated set N code N`: the guest's level does.
    GuestTerminated(Termination),
    /// `guest fails TEXT`: one check of the test guest fails, with this text.
    GuestFails(String),
    /// `stuck`: the machine sees that the guest can never go on.
    Stuck,
    /// `violated`: the machine sees what must never be. For detectors.
    Violated,
}

/// Which image a scenario is for: the line `# image:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Image {
    /// Rampart with the test guest: without that line.
    TestGuest,
    /// `by-hash`: the same by its hash, so that the host gives it.
    ByHash,
    /// `linux`: Rampart with OVMF and Linux.
    Linux,
    /// `plain`: OVMF as a plain SNP guest, without Linux.
    Plain,
}

/// A scenario file.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file's name without its folder.
    pub name: String,
    /// What has to come of it.
    pub expectation: Expectation,
    text: String,
    image: Image,
    /// vCPUs: the line `# vcpus:`, or one.
    vcpus: u32,
    /// What has to stand in the console, `# shows:`, and what must not, `# lacks:`.
    shows: Vec<String>,
    lacks: Vec<String>,
}

/// The folder of the scenario files.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

impl Scenario {
    /// Every scenario file, by name.
    ///
    /// # Panics
    /// If one cannot be read, or its header is malformed.
    pub fn all() -> Vec<Self> {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder())
            .expect("tests/scenarios can be read")
            .map(|entry| entry.expect("tests/scenarios can be read").path())
            .collect();
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{name}: {e}"));
        let headers = |key: &str| -> Vec<&str> {
            let lines = text.lines();
            lines.filter_map(|line| line.strip_prefix(key)).collect()
        };
        let header = |key: &str| {
            let lines = headers(key);
            assert!(lines.len() < 2, "{name}: {key} twice");
            lines.first().copied()
        };
        let expectation = header("# expect: ")
            .and_then(Expectation::parse)
            .unwrap_or_else(|| panic!("{name}: no line \"# expect: \" that makes sense"));
        let image = match header("# image: ") {
            None => Image::TestGuest,
            Some("by-hash") => Image::ByHash,
            Some("linux") => Image::Linux,
            Some("plain") => Image::Plain,
            Some(other) => panic!("{name}: image {other:?}"),
        };
        let vcpus = header("# vcpus: ").map_or(1, |count| {
            count.parse().unwrap_or_else(|e| panic!("{name}: {e}"))
        });
        let owned = |lines: Vec<&str>| lines.into_iter().map(str::to_owned).collect();
        Self {
            expectation,
            image,
            vcpus,
            shows: owned(headers("# shows: ")),
            lacks: owned(headers("# lacks: ")),
            name: name.into_owned(),
            text,
        }
    }

    /// Launches it.
    pub fn run(&self) -> Run {
        let launch = match self.image {
            Image::TestGuest => Launch::test_guest().timeout(60),
            Image::ByHash => Launch::test_guest_by_hash().timeout(60),
            Image::Linux => Launch::rampart().smoke(),
            Image::Plain => Launch::without_svsm()
                .option("--kernel", "none")
                .timeout(60),
        };
        launch
            .mem(MEMORY)
            .smp(self.vcpus)
            .scenario(&self.text)
            .run()
    }

    /// What is wrong with a run of it, if anything is.
    pub fn verdict(&self, run: &Run) -> Option<String> {
        let wrong = |what: &str| Some(format!("{}: {what}{}", self.name, run.report()));
        let outcome = self.expectation.outcome();
        if run.outcome != outcome {
            return wrong(&format!("expected {outcome:?}"));
        }
        let checked = format!(
            "snp-machine: invariant: ok, firmware's own memory [{:#x}, ",
            layout::FIRMWARE_BASE
        );
        if self.expectation != Expectation::Violated && run.line(&checked).is_none() {
            return wrong("the invariants were not checked");
        }
        if let Some(text) = self.shows.iter().find(|text| run.line(text).is_none()) {
            return wrong(&format!("the console lacks {text:?}"));
        }
        if let Some(text) = self.lacks.iter().find(|text| run.line(text).is_some()) {
            return wrong(&format!("the console shows {text:?}"));
        }
        match &self.expectation {
            Expectation::GoesOn => {
                let last = match self.image {
                    Image::Linux => run.fact("ready").is_some(),
                    _ => run.line(" passed, 0 failed").is_some(),
                };
                (!last).then(|| wrong("the guest did not do all")).flatten()
            }
            Expectation::Terminated(termination, mask) => {
                if run.line(&machine_line(0, *termination)).is_none() {
                    return wrong(&format!("expected {termination}"));
                }
                let line = mask.map(|mask| format!("snp-machine: with the mask {mask:#x}"));
                match line {
                    Some(line) if run.line(&line).is_none() => wrong("another mask"),
                    _ => None,
                }
            }
            Expectation::GuestTerminated(termination) => run
                .line(&machine_line(2, *termination))
                .is_none()
                .then(|| wrong(&format!("expected {termination}")))
                .flatten(),
            Expectation::GuestFails(text) => {
                let failed = |line: &&String| line.starts_with("test-guest: FAIL ");
                let as_expected = |line: &String| line.contains(text.as_str());
                let mut failures = run.console.iter().filter(failed);
                let good = failures.next().is_some_and(as_expected) && failures.next().is_none();
                (!good).then(|| wrong("another check failed")).flatten()
            }
            Expectation::Stuck | Expectation::Violated => None,
        }
    }
}

/// How the machine explains a termination, up to the words.
fn machine_line(level: u8, termination: Termination) -> String {
    let Termination { set, code } = termination;
    format!("snp-machine: VMPL{level} terminated the guest: reason set {set} code {code:#x}: ")
}

impl Expectation {
    fn outcome(&self) -> Outcome {
        match self {
            Self::GoesOn => Outcome::PoweredOff,
            Self::Stuck => Outcome::Stuck,
            Self::Violated => Outcome::InvariantViolated,
            Self::Terminated(..) | Self::GuestTerminated(_) | Self::GuestFails(_) => {
                Outcome::Terminated
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("guest fails ") {
            return Some(Self::GuestFails(rest.to_owned()));
        }
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            ["goes", "on"] => Some(Self::GoesOn),
            ["stuck"] => Some(Self::Stuck),
            ["violated"] => Some(Self::Violated),
            ["terminated", "set", set, "code", code] => {
                Some(Self::Terminated(termination(set, code)?, None))
            }
            ["terminated", "set", set, "code", code, "mask", mask] => Some(Self::Terminated(
                termination(set, code)?,
                Some(number(mask)?),
            )),
            ["guest", "terminated", "set", set, "code", code] => {
                Some(Self::GuestTerminated(termination(set, code)?))
            }
            ["terminated", name, code] => {
                let code = u8::try_from(number(code)?).ok()?;
                let reason = RampartReason::from_code(code)?;
                (format!("{reason:?}") == name)
                    .then(|| Self::Terminated(reason.termination(), None))
            }
            _ => None,
        }
    }
}

fn termination(set: &str, code: &str) -> Option<Termination> {
    let set = u8::try_from(number(set)?).ok()?;
    let code = u8::try_from(number(code)?).ok()?;
    Some(Termination::new(set, code))
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_are_read() {
        let panic = RampartReason::Panic.termination();
        for (text, expected) in [
            ("goes on", Some(Expectation::GoesOn)),
            ("stuck", Some(Expectation::Stuck)),
            ("violated", Some(Expectation::Violated)),
            (
                "terminated Panic 0x01",
                Some(Expectation::Terminated(panic, None)),
            ),
            // The name and the number have to be one reason's.
            ("terminated Panic 0x02", None),
            ("terminated Nothing 0x01", None),
            (
                "terminated set 0 code 0x2 mask 0x20",
                Some(Expectation::Terminated(
                    Termination::SNP_UNSUPPORTED,
                    Some(0x20),
                )),
            ),
            (
                "guest terminated set 9 code 0x4",
                Some(Expectation::GuestTerminated(Termination::new(9, 4))),
            ),
            (
                "guest fails a check: got 0x1",
                Some(Expectation::GuestFails("a check: got 0x1".to_owned())),
            ),
            ("goes", None),
            ("", None),
        ] {
            assert_eq!(Expectation::parse(text), expected, "{text:?}");
        }
    }
}
