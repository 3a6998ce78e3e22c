//! What a finished launch left: its outcome, its console, its counters.

use crate::Outcome;
use serde_json::Value;

/// A finished launch.
#[derive(Debug)]
pub struct Run {
    /// How it ended.
    pub outcome: Outcome,
    /// The console: machine, firmware and guest, without terminal control sequences.
    pub console: Vec<String>,
    /// What launcher and QEMU said (standard error).
    pub messages: String,
    /// The emulated machine's counters, if they were asked for and written.
    pub stats: Option<Value>,
}

impl Run {
    /// The first console line that contains the text.
    pub fn line(&self, text: &str) -> Option<&str> {
        self.console
            .iter()
            .map(String::as_str)
            .find(|line| line.contains(text))
    }

    /// Everything that the guest's init said of one kind: what follows `guest: KIND `.
    pub fn facts<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.console.iter().filter_map(move |line| {
            let (first, rest) = line
                .strip_prefix("guest: ")
                .map(|fact| fact.split_once(' ').unwrap_or((fact, "")))?;
            (first == kind).then_some(rest)
        })
    }

    /// The first fact of a kind.
    pub fn fact(&self, kind: &str) -> Option<&str> {
        self.console.iter().find_map(|line| {
            let fact = line.strip_prefix("guest: ")?;
            let (first, rest) = fact.split_once(' ').unwrap_or((fact, ""));
            (first == kind).then_some(rest)
        })
    }

    /// A counter, by its place in the JSON text (such as `/exits/total`).
    ///
    /// # Panics
    /// If the machine wrote no counters, or not this one.
    pub fn counter(&self, pointer: &str) -> u64 {
        self.stats
            .as_ref()
            .and_then(|stats| stats.pointer(pointer))
            .and_then(Value::as_u64)
            .unwrap_or_else(|| panic!("no counter {pointer} in {:?}{}", self.stats, self.report()))
    }

    /// The whole run as text, for a test that fails.
    pub fn report(&self) -> String {
        format!(
            "\noutcome: {:?}\n--- console\n{}\n--- messages\n{}---\n",
            self.outcome,
            self.console.join("\n"),
            self.messages
        )
    }

    /// Fails with the whole run unless it ended like this.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn assert_outcome(&self, expected: Outcome) -> &Self {
        assert!(
            self.outcome == expected,
            "expected {expected:?}{}",
            self.report()
        );
        self
    }

    /// Fails with the whole run unless a console line contains the text.
    ///
    /// # Panics
    /// If none does.
    #[track_caller]
    pub fn assert_line(&self, text: &str) -> &Self {
        assert!(
            self.line(text).is_some(),
            "no console line with {text:?}{}",
            self.report()
        );
        self
    }

    /// Fails with the whole run unless the guest's first fact of the kind is this.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn assert_fact(&self, kind: &str, expected: &str) -> &Self {
        let found = self.fact(kind);
        assert!(
            found == Some(expected),
            "expected the fact {kind} {expected:?}, found {found:?}{}",
            self.report()
        );
        self
    }
}

/// Lines as a person reads them: without terminal control sequences, which the
/// firmware writes, and without carriage returns.
pub(crate) fn console_lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes)
        .lines()
        .map(without_control)
        .collect()
}

fn without_control(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            // ESC [ parameters LETTER, or ESC and one more character.
            '\u{1b}' => {
                if chars.next() == Some('[') {
                    chars.by_ref().find(char::is_ascii_alphabetic);
                }
            }
            c if c.is_control() && c != '\t' => {}
            c => out.push(c),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_with(console: &str) -> Run {
        Run {
            outcome: Outcome::PoweredOff,
            console: console_lines(console.as_bytes()),
            messages: String::new(),
            stats: serde_json::from_str(r#"{"a": {"b": 7}}"#).ok(),
        }
    }

    #[test]
    fn control_sequences_are_no_text() {
        let run = run_with("\u{1b}[2J\u{1b}[001;001H\u{1b}[=3hguest: vmpl 2\r\nguest: ready\r\n");
        assert_eq!(run.console, ["guest: vmpl 2", "guest: ready"]);
    }

    #[test]
    fn a_line_that_ends_in_an_escape_is_kept_to_there() {
        assert_eq!(run_with("text\u{1b}[12").console, ["text"]);
        assert_eq!(run_with("text\u{1b}").console, ["text"]);
    }

    #[test]
    fn facts_are_found_by_kind() {
        let run = run_with(
            "guest: device pci 0\nguest: device block vda\nguest: ready\nguest: devices 3\n",
        );
        assert_eq!(
            run.facts("device").collect::<Vec<_>>(),
            ["pci 0", "block vda"]
        );
        assert_eq!(run.fact("ready"), Some(""));
        assert_eq!(run.fact("vmpl"), None);
    }

    #[test]
    fn counters_are_found_by_place() {
        assert_eq!(run_with("").counter("/a/b"), 7);
    }

    #[test]
    #[should_panic(expected = "no counter /a/c")]
    fn a_missing_counter_fails() {
        run_with("").counter("/a/c");
    }
}
