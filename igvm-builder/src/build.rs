//! From a manifest to the bytes of an image.

use std::path::Path;

use anyhow::{Context, Result, bail};
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
pub struct Image {
    /// The IGVM file.
    pub bytes: Vec<u8>,
    /// The pages of its launch.
    pub cost: Cost,
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
            policy: manifest.policy,
            sev_features,
            guest_vmpl: svsm.guest_vmpl,
            c_bit: svsm.c_bit,
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
    Ok(Image { bytes, cost })
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
