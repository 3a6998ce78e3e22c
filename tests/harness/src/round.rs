//! A round of `scripts/attest`: a boot, its evidence, and what `rampart-verify` said.

use std::path::Path;
use tempfile::TempDir;

/// A finished round. Its evidence goes with it.
#[derive(Debug)]
pub struct Round {
    pub(crate) folder: TempDir,
    /// The exit status of `rampart-verify`; of the script, where there is no evidence.
    pub status: Option<i32>,
    /// The guest's console, and what `rampart-verify` said.
    pub output: Vec<String>,
    /// What the launcher said (standard error).
    pub messages: String,
}

impl Round {
    /// The folder with the evidence.
    pub fn evidence(&self) -> &Path {
        self.folder.path()
    }

    /// The whole round as text, for a test that fails.
    pub fn report(&self) -> String {
        format!(
            "\nstatus: {:?}\n--- output\n{}\n--- messages\n{}---\n",
            self.status,
            self.output.join("\n"),
            self.messages
        )
    }
}
