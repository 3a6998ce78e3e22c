//! The manifest of an image: a small TOML file under `images/`.
//!
//! ```toml
//! policy = 0x30000                      # SNP guest policy
//! firmware = ".cache/guest/OVMF.fd"     # raw image or ELF
//! max-launch-pages = 560                # optional: the budget of the build
//!
//! [svsm]                                # absent: the firmware boots alone
//! guest-vmpl = 2
//! c-bit = 51
//! stage2 = "target/x86_64-unknown-none/release/stage2"
//! kernel = "target/x86_64-unknown-none/release/kernel"
//! ```
//!
//! Paths are relative to the workspace root: the nearest folder above the
//! manifest whose `Cargo.toml` has a `[workspace]`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

/// SNP policy bit 17 is reserved and must be one.
const POLICY_RESERVED_ONE: u64 = 1 << 17;
/// SEV_FEATURES bit 0: SNP is active.
const FEATURE_SNP: u64 = 1;

/// Why a manifest is refused.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("cannot read the manifest: {0}")]
    Read(#[from] std::io::Error),
    /// It is not TOML, lacks a key or has one that does not exist.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// A value is out of its range.
    #[error("{key} = {value:#x}: {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: u64,
        /// What it must be.
        reason: &'static str,
    },
    /// No workspace root above the manifest.
    #[error("no folder above the manifest has a Cargo.toml with [workspace]")]
    NoWorkspace,
}

/// What an image is made of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// The SNP guest policy.
    pub policy: u64,
    /// SEV_FEATURES of the boot processor's VMSA; by default SNP alone.
    #[serde(default = "snp_alone")]
    pub sev_features: u64,
    /// The guest firmware: a raw image or an ELF file that ends at 4 GiB.
    pub firmware: PathBuf,
    /// The most pages that the launch may load.
    pub max_launch_pages: Option<u64>,
    /// Rampart itself; without it the firmware boots alone at VMPL0.
    pub svsm: Option<Svsm>,
}

/// The part of the manifest that describes Rampart.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Svsm {
    /// The VMPL of the guest firmware and the guest, 1 to 3.
    pub guest_vmpl: u8,
    /// The position of the C-bit in page table entries.
    pub c_bit: u8,
    /// The stage2 ELF file.
    pub stage2: PathBuf,
    /// The kernel ELF file.
    pub kernel: PathBuf,
}

fn snp_alone() -> u64 {
    FEATURE_SNP
}

impl Manifest {
    /// Reads and checks the manifest's text.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        let check = |key, value: u64, good: bool, reason| match good {
            true => Ok(()),
            false => Err(ManifestError::Value { key, value, reason }),
        };
        let (policy, features) = (manifest.policy, manifest.sev_features);
        check(
            "policy",
            policy,
            policy & POLICY_RESERVED_ONE != 0,
            "bit 17 must be set",
        )?;
        check(
            "sev-features",
            features,
            features & FEATURE_SNP != 0,
            "bit 0 (SNP) must be set",
        )?;
        if let Some(svsm) = &manifest.svsm {
            let (vmpl, c_bit) = (svsm.guest_vmpl.into(), svsm.c_bit.into());
            check(
                "svsm.guest-vmpl",
                vmpl,
                (1..=3).contains(&vmpl),
                "must be 1, 2 or 3",
            )?;
            check(
                "svsm.c-bit",
                c_bit,
                (32..=51).contains(&c_bit),
                "must be 32 to 51",
            )?;
        }
        Ok(manifest)
    }

    /// Reads the manifest at `path` and makes its paths absolute or relative
    /// to the current folder.
    pub fn load(path: &Path) -> Result<Self, ManifestError> {
        let mut manifest = Self::parse(&std::fs::read_to_string(path)?)?;
        let root = workspace_root(path)?;
        manifest.firmware = root.join(&manifest.firmware);
        if let Some(svsm) = &mut manifest.svsm {
            svsm.stage2 = root.join(&svsm.stage2);
            svsm.kernel = root.join(&svsm.kernel);
        }
        Ok(manifest)
    }
}

fn workspace_root(manifest: &Path) -> Result<PathBuf, ManifestError> {
    let manifest = std::path::absolute(manifest)?;
    manifest
        .ancestors()
        .skip(1)
        .find(|folder| {
            std::fs::read_to_string(folder.join("Cargo.toml"))
                .is_ok_and(|text| text.lines().any(|line| line.trim() == "[workspace]"))
        })
        .map(Path::to_path_buf)
        .ok_or(ManifestError::NoWorkspace)
}
