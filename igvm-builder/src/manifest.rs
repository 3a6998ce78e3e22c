//! The manifest of an image: a small TOML file under `images/`.
//!
//! ```toml
//! policy = 0x30000                      # SNP guest policy
//! firmware = ".cache/guest/OVMF.fd"     # raw image or ELF
//! max-launch-pages = 560                # optional: the budget of the build
//! firmware-by-hash = true               # optional, with [svsm]: the host gives the firmware
//!
//! [budget]                              # optional: the same for parts of the image
//! kernel = 100
//!
//! [svsm]                                # absent: the firmware boots alone
//! guest-vmpl = 2
//! c-bit = 51
//! stage2 = "target/x86_64-unknown-none/release/stage2"
//! kernel = "target/x86_64-unknown-none/release/kernel"
//! vtpm = true                           # optional: offer a TPM
//! identity = "ephemeral"                # optional: or "persistent"
//! measure-parameters = 8                # optional: the PCR for the host's parameters
//! ```
//!
//! Paths are relative to the workspace root: the nearest folder above the
//! manifest whose `Cargo.toml` has a `[workspace]`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use protocols::boot::ImageFlags;
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
    #[error("cannot read the manifest")]
    Read(#[from] std::io::Error),
    /// It is not TOML, lacks a key or has one that does not exist.
    #[error(transparent)]
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
    /// The image has the firmware's hash alone, and the host gives the firmware.
    #[serde(default)]
    pub firmware_by_hash: bool,
    /// The most pages that the launch may load.
    pub max_launch_pages: Option<u64>,
    /// The most of them that a part may have, by its name: `stage2`, `kernel` (with the TPM),
    /// `firmware` (OVMF).
    #[serde(default)]
    pub budget: BTreeMap<String, u64>,
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
    /// Whether the guest is offered a TPM.
    #[serde(default)]
    pub vtpm: bool,
    /// Where the TPM's endorsement keys come from.
    #[serde(default)]
    pub identity: Identity,
    /// The PCR that the host's parameters are measured into, if they are.
    pub measure_parameters: Option<u8>,
}

/// How long the TPM's endorsement keys live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// As long as the virtual machine.
    #[default]
    Ephemeral,
    /// The same image with the same policy gets the same ones on the same chip.
    Persistent,
}

impl Svsm {
    /// The flags of the image header.
    #[must_use]
    pub fn flags(&self) -> ImageFlags {
        let mut flags = ImageFlags::empty();
        flags.set(ImageFlags::TPM, self.vtpm);
        let persistent = self.identity == Identity::Persistent;
        flags.set(ImageFlags::PERSISTENT_IDENTITY, persistent);
        let measured = self.measure_parameters.is_some();
        flags.set(ImageFlags::MEASURE_PARAMETERS, measured);
        flags
    }
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
        check(
            "firmware-by-hash",
            manifest.firmware_by_hash.into(),
            !manifest.firmware_by_hash || manifest.svsm.is_some(),
            "nobody would check the hash without [svsm]",
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
            let pcr = svsm.measure_parameters.unwrap_or(0).into();
            check(
                "svsm.measure-parameters",
                pcr,
                pcr < 16 && (svsm.vtpm || svsm.measure_parameters.is_none()),
                "must be a PCR from 0 to 15, with vtpm = true",
            )?;
            check(
                "svsm.identity",
                1,
                svsm.vtpm || svsm.identity == Identity::Ephemeral,
                "persistent needs vtpm = true",
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

#[cfg(test)]
mod tests {
    use super::*;

    const SVSM: &str = r#"
policy = 0x30000
firmware = "OVMF.fd"
[svsm]
guest-vmpl = 2
c-bit = 51
stage2 = "target/stage2"
kernel = "target/kernel"
"#;

    fn refused(from: &str, to: &str) -> String {
        assert!(SVSM.contains(from));
        Manifest::parse(&SVSM.replace(from, to))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_manifest_without_svsm_is_the_firmware_alone() {
        let manifest = Manifest::parse("policy = 0x30000\nfirmware = \"a\"").unwrap();
        assert_eq!((manifest.svsm, manifest.sev_features), (None, 1));
        assert_eq!(Manifest::parse(SVSM).unwrap().svsm.unwrap().guest_vmpl, 2);
    }

    #[test]
    fn unknown_keys_and_values_out_of_range_are_named() {
        assert!(refused("[svsm]", "polcy = 1\n[svsm]").contains("polcy"));
        assert!(refused("c-bit = 51", "c-bit = 51\ntpm = true").contains("tpm"));
        assert!(refused("stage2 =", "stage1 =").contains("stage1"));
        assert!(refused("policy = 0x30000", "policy = -1").contains("policy"));
        assert_eq!(
            refused("0x30000", "0x10000"),
            "policy = 0x10000: bit 17 must be set"
        );
        assert!(refused("guest-vmpl = 2", "guest-vmpl = 4").starts_with("svsm.guest-vmpl = 0x4"));
        assert!(refused("guest-vmpl = 2", "guest-vmpl = 0").contains("must be 1, 2 or 3"));
        assert!(refused("c-bit = 51", "c-bit = 12").starts_with("svsm.c-bit = 0xc"));
        let features = refused("[svsm]", "sev-features = 2\n[svsm]");
        assert_eq!(features, "sev-features = 0x2: bit 0 (SNP) must be set");
    }

    #[test]
    fn what_is_asked_of_the_tpm_becomes_flags() {
        let flags = |text: &str| {
            let manifest = Manifest::parse(&format!("{SVSM}{text}")).unwrap();
            manifest.svsm.unwrap().flags()
        };
        assert_eq!(flags(""), ImageFlags::empty());
        assert_eq!(flags("vtpm = true"), ImageFlags::TPM);
        let all = "vtpm = true\nidentity = \"persistent\"\nmeasure-parameters = 8";
        assert_eq!(flags(all), ImageFlags::all());
        let refused = |text: &str| {
            let error = Manifest::parse(&format!("{SVSM}{text}")).unwrap_err();
            error.to_string()
        };
        let alone = refused("measure-parameters = 8");
        assert!(alone.starts_with("svsm.measure-parameters"), "{alone}");
        let high = refused("vtpm = true\nmeasure-parameters = 16");
        assert!(high.starts_with("svsm.measure-parameters = 0x10"), "{high}");
        assert!(refused("identity = \"persistent\"").starts_with("svsm.identity"));
        assert!(refused("identity = \"mine\"").contains("mine"));
    }

    #[test]
    fn a_hash_needs_somebody_to_check_it() {
        let by_hash = SVSM.replace("[svsm]", "firmware-by-hash = true\n[svsm]");
        assert!(Manifest::parse(&by_hash).unwrap().firmware_by_hash);
        assert!(!Manifest::parse(SVSM).unwrap().firmware_by_hash);
        let alone = "policy = 0x30000\nfirmware = \"a\"\nfirmware-by-hash = true";
        let error = Manifest::parse(alone).unwrap_err().to_string();
        assert!(
            error.starts_with("firmware-by-hash = 0x1: nobody"),
            "{error}"
        );
    }

    #[test]
    fn paths_start_at_the_workspace_root() {
        let folder = tempfile::tempdir().unwrap();
        let images = folder.path().join("images");
        std::fs::create_dir(&images).unwrap();
        let path = images.join("x.toml");
        std::fs::write(&path, SVSM).unwrap();
        assert!(matches!(
            Manifest::load(&path),
            Err(ManifestError::NoWorkspace)
        ));
        std::fs::write(folder.path().join("Cargo.toml"), "[workspace]\n").unwrap();
        let manifest = Manifest::load(&path).unwrap();
        assert_eq!(manifest.firmware, folder.path().join("OVMF.fd"));
        assert_eq!(
            manifest.svsm.unwrap().kernel,
            folder.path().join("target/kernel")
        );
    }
}
