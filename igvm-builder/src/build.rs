//! From a manifest to the bytes of an image.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::elf::{self, Executable};
use crate::file;
use crate::launch::{Content, Launch};
use crate::layout::{FOUR_GIB, PAGE_SIZE};
use crate::manifest::Manifest;
use crate::plain;

/// What the launch costs: every page is a call of the secure processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Pages whose contents are measured, zero pages and the VMSA included.
    pub measured: u64,
    /// Of these, pages of zeros.
    pub zero: u64,
    /// Pages that others fill: secrets, CPUID, parameter areas.
    pub unmeasured: u64,
}

impl Cost {
    /// All pages of the launch.
    pub fn total(&self) -> u64 {
        self.measured + self.unmeasured
    }

    fn of(launch: &Launch) -> Self {
        let count = |wanted: fn(&Content) -> bool| {
            launch
                .pages()
                .values()
                .filter(|page| wanted(&page.content))
                .count() as u64
        };
        let zero = count(|content| *content == Content::Zero);
        let data = count(|content| matches!(content, Content::Data(_)));
        let special = count(|content| matches!(content, Content::Secrets | Content::Cpuid));
        let parameters: u64 = launch
            .parameter_areas()
            .iter()
            .map(|area| area.size / PAGE_SIZE)
            .sum();
        Self {
            measured: data + zero + 1,
            zero,
            unmeasured: special + parameters,
        }
    }
}

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
    let launch = match &manifest.svsm {
        None => plain::launch(&firmware, manifest.policy, manifest.sev_features)
            .with_context(|| manifest.firmware.display().to_string())?,
        Some(_) => bail!("not yet"),
    };
    let cost = Cost::of(&launch);
    if let Some(limit) = manifest.max_launch_pages
        && cost.total() > limit
    {
        bail!(
            "{}: the launch has {} pages, max-launch-pages allows {limit}",
            path.display(),
            cost.total()
        );
    }
    Ok(Image {
        bytes: file::write(&launch).with_context(in_manifest)?,
        cost,
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
        .and_then(|executable| executable.flatten(FOUR_GIB, 0x10000))
        .with_context(|| format!("firmware: {}", path.display()))
}
