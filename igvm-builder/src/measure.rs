//! The launch digest of an image, as the secure processor computes it when a host
//! loads the file: page by page in the file's order, the boot processor's VMSA last.

use std::collections::BTreeMap;

use igvm::{IgvmDirectiveHeader as Directive, IgvmFile, IgvmInitializationHeader};
use igvm_defs::IgvmPageDataType;
use protocols::addr::Gpa;
use protocols::snp::LaunchPageType;
use serde::Serialize;
use snp_model::launch::{Contents, LaunchDigest, LaunchPage, VMSA_GPA, extend};
use snp_model::types::Spa;
use thiserror::Error;
use zerocopy::IntoBytes;

use crate::container::{self, ContainerError};
use crate::hex::Hex;
use crate::inspect::snp_mask;
use crate::layout::PAGE_SIZE;

/// SMT allowed, and the bit that has to be one: the policy of a file without any.
const DEFAULT_POLICY: u64 = 0x3_0000;
/// The largest parameter area that is measured, in bytes.
const MAX_PARAMETER_AREA: u64 = 0x10_0000;

/// Why a file has no launch digest.
#[derive(Debug, Error)]
pub enum MeasureError {
    /// It is no IGVM file.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// A directive that a launch of 4 KiB pages of one processor does not have.
    #[error("directive {index}: {reason}")]
    Directive {
        /// Its place among the directives.
        index: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// No VMSA of the boot processor.
    #[error("no VMSA for the first processor")]
    NoVmsa,
}

/// What a verifier expects of a guest that was launched from an image: the
/// reference values that `rampart-verify` takes as `expected.json`.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Measurement {
    /// The image's file name.
    pub image: String,
    /// The launch digest in hexadecimal, for one VMSA.
    pub launch_digest: String,
    /// The guest policy.
    pub policy: Hex,
}

/// A launch digest in hexadecimal.
struct Hex96(LaunchDigest);

impl std::fmt::Display for Hex96 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Measures the SNP launch of an IGVM file.
///
/// # Errors
/// [`MeasureError`] for what is no file that the emulated machine would launch.
pub fn measure(image: &str, bytes: &[u8]) -> Result<Measurement, MeasureError> {
    let file = container::parse(bytes)?;
    Ok(Measurement {
        image: image.to_owned(),
        launch_digest: Hex96(digest(&file)?).to_string(),
        policy: Hex(policy(&file)),
    })
}

/// The last policy for SNP: the loader takes it so.
fn policy(file: &IgvmFile) -> u64 {
    let mask = snp_mask(file);
    let headers = file.initializations().iter();
    let mut policies = headers.filter_map(|header| match header {
        IgvmInitializationHeader::GuestPolicy {
            policy,
            compatibility_mask,
        } if u64::from(*compatibility_mask) & mask != 0 => Some(*policy),
        _ => None,
    });
    policies.next_back().unwrap_or(DEFAULT_POLICY)
}

fn digest(file: &IgvmFile) -> Result<LaunchDigest, MeasureError> {
    let mask = snp_mask(file);
    let mut digest = [0; 48];
    let mut areas = BTreeMap::new();
    let mut boot_processor = None;
    for (index, directive) in file.directives().iter().enumerate() {
        let for_snp = directive.compatibility_mask();
        if for_snp.is_some_and(|own| u64::from(own) & mask == 0) {
            continue;
        }
        let bad = |reason| MeasureError::Directive { index, reason };
        match directive {
            Directive::PageData {
                gpa,
                flags,
                data_type,
                data,
                ..
            } => {
                if flags.is_2mb_page() || flags.shared() {
                    return Err(bad("only private pages of 4 KiB are measured"));
                }
                let kind = match *data_type {
                    IgvmPageDataType::NORMAL if flags.unmeasured() => LaunchPageType::UNMEASURED,
                    IgvmPageDataType::NORMAL => LaunchPageType::NORMAL,
                    IgvmPageDataType::SECRETS => LaunchPageType::SECRETS,
                    IgvmPageDataType::CPUID_DATA => LaunchPageType::CPUID,
                    _ => return Err(bad("no such page in a launch")),
                };
                let contents = page(data).ok_or_else(|| bad("more than a page of data"))?;
                digest = add(&digest, *gpa, kind, &contents);
            }
            Directive::ParameterArea {
                number_of_bytes,
                parameter_area_index,
                ..
            } => {
                if *number_of_bytes > MAX_PARAMETER_AREA {
                    return Err(bad("the parameter area is larger than 1 MiB"));
                }
                areas.insert(*parameter_area_index, *number_of_bytes);
            }
            Directive::ParameterInsert(insert) => {
                let size = areas.remove(&insert.parameter_area_index);
                let size = size.ok_or_else(|| bad("no such parameter area"))?;
                for offset in (0..size).step_by(PAGE_SIZE as usize) {
                    let gpa = insert.gpa.checked_add(offset);
                    let gpa = gpa.ok_or_else(|| bad("the area wraps around"))?;
                    digest = add(&digest, gpa, LaunchPageType::UNMEASURED, &ZERO);
                }
            }
            Directive::SnpVpContext { vp_index, vmsa, .. } => {
                if *vp_index != 0 {
                    return Err(bad("a VMSA of another processor than the first"));
                }
                let vmsa = page(vmsa.as_bytes()).ok_or_else(|| bad("a VMSA beyond a page"))?;
                boot_processor = Some(vmsa);
            }
            _ => {}
        }
    }
    let vmsa = boot_processor.ok_or(MeasureError::NoVmsa)?;
    Ok(add(&digest, VMSA_GPA.get(), LaunchPageType::VMSA, &vmsa))
}

const ZERO: Contents = [0; PAGE_SIZE as usize];

fn page(data: &[u8]) -> Option<Contents> {
    let mut page = ZERO;
    page.get_mut(..data.len())?.copy_from_slice(data);
    Some(page)
}

fn add(before: &LaunchDigest, gpa: u64, kind: LaunchPageType, contents: &Contents) -> LaunchDigest {
    // Where the page lies in system memory is not measured.
    extend(
        before,
        &LaunchPage::new(Spa(0), Gpa::new(gpa), kind),
        contents,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{plain_image, rampart_image};

    fn of(bytes: &[u8]) -> Measurement {
        measure("x.igvm", bytes).unwrap()
    }

    #[test]
    fn another_image_has_another_digest() {
        let (plain, rampart) = (of(&plain_image()), of(&rampart_image()));
        assert_ne!(plain.launch_digest, rampart.launch_digest);
        assert_eq!(plain.launch_digest.len(), 96);
        assert_eq!(plain.policy.0, 0x3_0000);
        assert_eq!(of(&plain_image()), plain);
    }

    #[test]
    fn what_is_no_image_has_none() {
        assert!(matches!(
            measure("x", b"text"),
            Err(MeasureError::Container(_))
        ));
    }
}
