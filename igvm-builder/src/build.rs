//! From a manifest to the bytes of an image.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use monitor::guest_image::GuestImage;
use protocols::boot::layout::GUEST_FIRMWARE_END;
use protocols::snp::SevFeatures;

use crate::cost::Cost;
use crate::elf::{self, Executable};
use crate::file;
use crate::inspect::inspect;
use crate::manifest::Manifest;
use crate::plain;
use crate::rampart::{self, Parts};

/// An image ready to be written to a file.
#[derive(Debug)]
pub struct Image {
    /// The IGVM file.
    pub bytes: Vec<u8>,
    /// The pages of its launch.
    pub cost: Cost,
    /// Of them, those that each part brings.
    pub parts: BTreeMap<String, u64>,
    /// The guest firmware, if the host has to give it.
    pub firmware: Option<Vec<u8>>,
    /// What the image will not do, though it can be built.
    pub warnings: Vec<String>,
}

/// Builds the image that the manifest at `path` describes.
pub fn build(path: &Path) -> Result<Image> {
    let in_manifest = || path.display().to_string();
    let manifest = Manifest::load(path).with_context(in_manifest)?;
    let firmware = read_firmware(&manifest.firmware).with_context(in_manifest)?;
    let sev_features = SevFeatures::from_bits_retain(manifest.sev_features);
    let launch = match &manifest.svsm {
        None => plain::launch(&firmware, manifest.policy, sev_features)
            .with_context(|| manifest.firmware.display().to_string())?,
        Some(svsm) => rampart::launch(&Parts {
            stage2: &read("svsm.stage2", &svsm.stage2).with_context(in_manifest)?,
            kernel: &read("svsm.kernel", &svsm.kernel).with_context(in_manifest)?,
            firmware: &firmware,
            firmware_by_hash: manifest.firmware_by_hash,
            policy: manifest.policy,
            sev_features,
            guest_vmpl: svsm.guest_vmpl,
            c_bit: svsm.c_bit,
            flags: svsm.flags(),
            parameters_pcr: svsm.measure_parameters.unwrap_or(0),
        })
        .with_context(in_manifest)?,
    };
    let bytes = file::write(&launch).with_context(in_manifest)?;
    let cost = inspect(&bytes).with_context(in_manifest)?.launch_pages;
    if let Some(limit) = manifest.max_launch_pages
        && cost.total() > limit
    {
        let total = cost.total();
        bail!(
            "{}: {total} launch pages, max-launch-pages allows {limit}",
            path.display()
        );
    }
    let parts: BTreeMap<String, u64> = (launch.pages_by_owner().into_iter())
        .map(|(part, pages)| (part.to_owned(), pages))
        .collect();
    for (part, limit) in &manifest.budget {
        let pages = parts.get(part).with_context(|| {
            let known: Vec<_> = parts.keys().map(String::as_str).collect();
            let known = known.join(", ");
            format!("{}: budget.{part}: there are {known}", path.display())
        })?;
        if pages > limit {
            bail!(
                "{}: {pages} launch pages of {part}, budget.{part} allows {limit}",
                path.display()
            );
        }
    }
    let mut warnings = Vec::new();
    if let Err(error) = GuestImage::parse(&firmware) {
        // An image for a test of just that; the plain launch has refused it.
        let (path, reason) = (manifest.firmware.display(), plain::reason(error));
        warnings.push(format!(
            "{path}: Rampart will refuse this firmware: {reason}"
        ));
    }
    Ok(Image {
        bytes,
        cost,
        parts,
        firmware: manifest.firmware_by_hash.then_some(firmware),
        warnings,
    })
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{key}: cannot read {}", path.display()))
}

/// The guest firmware as a raw image that ends at 4 GiB.
fn read_firmware(path: &Path) -> Result<Vec<u8>> {
    let bytes = read("firmware", path)?;
    if !elf::is_elf(&bytes) {
        return Ok(bytes);
    }
    Executable::parse(&bytes)
        .and_then(|executable| executable.flatten(GUEST_FIRMWARE_END, 0x10000))
        .with_context(|| format!("firmware: {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ElfFile, OVMF_IGVM, OVMF_SEV, firmware};
    use protocols::boot::layout::STAGE2_BASE;
    use std::path::PathBuf;

    /// A workspace with a manifest and all that it names.
    struct Workspace(tempfile::TempDir);

    impl Workspace {
        fn new() -> Self {
            let workspace = Self(tempfile::tempdir().unwrap());
            workspace.write("Cargo.toml", b"[workspace]\n");
            workspace.write("OVMF.fd", &firmware(0x2000, &OVMF_SEV, &OVMF_IGVM));
            workspace.write(
                "stage2",
                &ElfFile::single(STAGE2_BASE, vec![0x90; 0x100]).build(),
            );
            workspace.write(
                "kernel",
                &ElfFile::single(0x1820_0000, vec![0x42; 0x3000]).build(),
            );
            workspace
        }

        fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
            let path = self.0.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        }

        fn build(&self, manifest: &str) -> Result<Image> {
            build(&self.write("image.toml", manifest.as_bytes()))
        }

        fn error(&self, manifest: &str) -> String {
            format!("{:#}", self.build(manifest).unwrap_err())
        }
    }

    const PLAIN: &str = "policy = 0x30000\nfirmware = 'OVMF.fd'\n";
    const SVSM: &str = "policy = 0x30000\nfirmware = 'OVMF.fd'\n[svsm]\nguest-vmpl = 2\n\
                        c-bit = 51\nstage2 = 'stage2'\nkernel = 'kernel'\n";

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        let (here, there) = (Workspace::new(), Workspace::new());
        for manifest in [PLAIN, SVSM] {
            let first = here.build(manifest).unwrap();
            assert_eq!(first.bytes, there.build(manifest).unwrap().bytes);
            assert_eq!(first.warnings, [] as [&str; 0]);
        }
    }

    #[test]
    fn the_page_budget_is_enforced() {
        let workspace = Workspace::new();
        let pages = workspace.build(SVSM).unwrap().cost.total();
        let with_limit =
            |limit| SVSM.replace("[svsm]", &format!("max-launch-pages = {limit}\n[svsm]"));
        assert!(workspace.build(&with_limit(pages)).is_ok());
        let error = workspace.error(&with_limit(pages - 1));
        let expected = format!(
            "{pages} launch pages, max-launch-pages allows {}",
            pages - 1
        );
        assert!(
            error.contains("image.toml") && error.contains(&expected),
            "{error}"
        );
    }

    #[test]
    fn a_part_has_a_budget_of_its_own() {
        let workspace = Workspace::new();
        let parts = workspace.build(SVSM).unwrap().parts;
        assert_eq!(parts["kernel"], 1);
        let budget = |text: &str| SVSM.replace("[svsm]", &format!("[budget]\n{text}\n[svsm]"));
        assert!(workspace.build(&budget("kernel = 1\nstage2 = 1")).is_ok());
        let error = workspace.error(&budget("kernel = 0"));
        let expected = "image.toml: 1 launch pages of kernel, budget.kernel allows 0";
        assert!(error.contains(expected), "{error}");
        // A name that is misspelt would be a budget that nothing keeps.
        let error = workspace.error(&budget("kernal = 9"));
        assert!(error.contains("budget.kernal: there are"), "{error}");
    }

    #[test]
    fn errors_name_the_manifest_the_key_and_the_file() {
        let workspace = Workspace::new();
        let missing = workspace.error(&SVSM.replace("'kernel'", "'no-kernel'"));
        for part in ["image.toml", "svsm.kernel", "no-kernel"] {
            assert!(missing.contains(part), "{missing}");
        }
        workspace.write("stage2", b"not an ELF file");
        let bad = workspace.error(SVSM);
        assert!(
            bad.contains("image.toml: stage2: not a readable ELF64 file"),
            "{bad}"
        );
        workspace.write("OVMF.fd", &[0xff; 0x1000]);
        let bad = workspace.error(PLAIN);
        assert!(
            bad.contains("OVMF.fd: firmware metadata: the image has no SNP"),
            "{bad}"
        );
    }

    #[test]
    fn an_elf_firmware_is_flattened_to_end_at_4_gib() {
        let workspace = Workspace::new();
        let image = firmware(0x2000, &OVMF_SEV, &OVMF_IGVM);
        workspace.write("OVMF.fd", &ElfFile::single(0xFFFF_E000, image).build());
        let built = workspace.build(SVSM).unwrap();
        let report = inspect(&built.bytes).unwrap();
        assert_eq!(report.image_header.unwrap().firmware.unpacked, 0x1_0000);
        assert_eq!(built.warnings, [] as [&str; 0]);
    }

    #[test]
    fn firmware_that_rampart_will_refuse_is_built_with_a_warning() {
        let workspace = Workspace::new();
        workspace.write("OVMF.fd", &[0xff; 0x1000]);
        let image = workspace.build(SVSM).unwrap();
        assert_eq!(image.warnings.len(), 1);
        assert!(
            image.warnings[0].contains("no SNP metadata"),
            "{:?}",
            image.warnings
        );
    }
}
