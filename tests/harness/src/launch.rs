//! A launch, as options for `scripts/launch`.

use crate::round::Round;
use crate::run::{Run, console_lines};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Longest time for a boot. Generous, because CI's machine does other things
/// meanwhile; a guest that hangs is ended and its registers are shown.
const TIMEOUT_SECONDS: u32 = 300;

/// The tree's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A launch that has not begun.
#[derive(Debug)]
pub struct Launch {
    arguments: Vec<OsString>,
    for_qemu: Vec<OsString>,
    append: Vec<String>,
    environment: Vec<(OsString, OsString)>,
    scenario: Option<String>,
    stats: bool,
    timeout: u32,
}

impl Launch {
    /// A launch with nothing but these options.
    pub fn bare<S: Into<OsString>>(arguments: impl IntoIterator<Item = S>) -> Self {
        Self {
            arguments: arguments.into_iter().map(Into::into).collect(),
            for_qemu: Vec::new(),
            append: Vec::new(),
            environment: Vec::new(),
            scenario: None,
            stats: false,
            timeout: TIMEOUT_SECONDS,
        }
    }

    /// Rampart with OVMF and Linux, on the emulated machine.
    pub fn rampart() -> Self {
        Self::bare(["--host", "emulated"])
    }

    /// The same by an image that has OVMF's hash: the host gives OVMF itself.
    pub fn rampart_by_hash() -> Self {
        Self::rampart().option("--image", root().join("target/images/rampart-byhash.igvm"))
    }

    /// OVMF and Linux as a plain SNP guest at VMPL0, on the emulated machine.
    pub fn without_svsm() -> Self {
        Self::bare(["--host", "emulated", "--no-svsm"])
    }

    /// Rampart with the bare-metal test guest, on the emulated machine.
    pub fn test_guest() -> Self {
        Self::image(&root().join("target/images/test-guest.igvm"))
    }

    /// The same in an image that has the test guest's hash: the host gives the guest itself.
    pub fn test_guest_by_hash() -> Self {
        Self::image(&root().join("target/images/test-guest-byhash.igvm"))
    }

    /// The test guest in its stress mode: so many random steps on each vCPU, from this seed.
    pub fn stress(seed: u64, steps: u32) -> Self {
        let order = format!("name=opt/rampart/test-guest,string=stress={seed}:{steps}");
        Self::test_guest().after_dashes(["-fw_cfg".to_owned(), order])
    }

    /// An image without Linux, on the emulated machine.
    pub fn image(path: &Path) -> Self {
        Self::bare(["--host", "emulated", "--kernel", "none"]).option("--image", path)
    }

    /// The same OVMF and Linux in plain QEMU, without SNP.
    pub fn plain() -> Self {
        Self::bare(["--plain"])
    }

    /// Adds an option with its value.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.arguments.push(name.into());
        self.arguments.push(value.into());
        self
    }

    /// Adds options for QEMU itself.
    #[must_use]
    pub fn after_dashes<S: Into<OsString>>(mut self, options: impl IntoIterator<Item = S>) -> Self {
        self.for_qemu.extend(options.into_iter().map(Into::into));
        self
    }

    /// Guest memory, such as `512M`.
    #[must_use]
    pub fn mem(self, size: &str) -> Self {
        self.option("--mem", size)
    }

    /// Virtual CPUs.
    #[must_use]
    pub fn smp(self, count: u32) -> Self {
        self.option("--smp", count.to_string())
    }

    /// A thread for each virtual CPU, for the test guest.
    #[must_use]
    pub fn parallel(mut self) -> Self {
        self.arguments.push("--parallel".into());
        self
    }

    /// Adds to Linux's command line.
    #[must_use]
    pub fn append(mut self, text: &str) -> Self {
        self.append.push(text.to_owned());
        self
    }

    /// Linux has the driver of the SVSM's TPM, and tpm2-tools.
    #[must_use]
    pub fn with_tpm_tools(self) -> Self {
        let initramfs = root().join(".cache/guest/initramfs-tpm.cpio.gz");
        self.option("--initrd", initramfs)
    }

    /// Linux states its facts and powers off.
    #[must_use]
    pub fn smoke(self) -> Self {
        self.append("rampart.mode=smoke")
    }

    /// Linux runs a shell command, states `guest: exit STATUS` and powers off.
    #[must_use]
    pub fn guest_command(self, command: &str) -> Self {
        self.append(&format!("rampart.mode=run rampart.cmd=\"{command}\""))
    }

    /// The emulated machine misbehaves as this text says.
    #[must_use]
    pub fn scenario(mut self, text: &str) -> Self {
        self.scenario = Some(text.to_owned());
        self
    }

    /// The emulated machine writes its counters.
    #[must_use]
    pub fn stats(mut self) -> Self {
        self.stats = true;
        self
    }

    /// The longest time, in seconds.
    #[must_use]
    pub fn timeout(mut self, seconds: u32) -> Self {
        self.timeout = seconds;
        self
    }

    /// Sets a variable of the launcher's environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Launches, and waits for the end.
    ///
    /// # Panics
    /// If the launcher itself cannot be started, or files cannot be written.
    pub fn run(self) -> Run {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let stats = scratch.path().join("stats.json");
        let output = self.output("launch", scratch.path());
        Run {
            outcome: output.status.code().into(),
            console: console_lines(&output.stdout),
            messages: String::from_utf8_lossy(&output.stderr).into_owned(),
            stats: std::fs::read(&stats)
                .ok()
                .and_then(|text| serde_json::from_slice(&text).ok()),
        }
    }

    /// The whole round of `scripts/attest`: launches Linux, takes its evidence, and lets
    /// `rampart-verify` judge it.
    ///
    /// # Panics
    /// If the script itself cannot be started, or files cannot be written.
    pub fn attest(self) -> Round {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let output = self
            .option("--out", folder.path())
            .output("attest", scratch.path());
        Round {
            folder,
            status: output.status.code(),
            output: console_lines(&output.stdout),
            messages: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs one of the scripts that take these options, with its files in the scratch folder.
    fn output(self, script: &str, scratch: &Path) -> Output {
        let mut command = Command::new(root().join("scripts").join(script));
        command
            .args(&self.arguments)
            .arg("--timeout")
            .arg(self.timeout.to_string());
        if !self.append.is_empty() {
            command.arg("--append").arg(self.append.join(" "));
        }
        if let Some(text) = &self.scenario {
            let file = scratch.join("scenario");
            std::fs::write(&file, text).expect("the scenario can be written");
            command.arg("--scenario").arg(file);
        }
        if self.stats {
            command.arg("--stats").arg(scratch.join("stats.json"));
        }
        if !self.for_qemu.is_empty() {
            command.arg("--").args(&self.for_qemu);
        }
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("scripts/{script} does not start: {error}"))
    }
}
