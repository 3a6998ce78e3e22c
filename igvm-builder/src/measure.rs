//! The launch digest of an image: by the file alone, and as QEMU with KVM has the
//! secure processor compute it.

use std::fmt;

use protocols::snp::{SevFeatures, Vmsa};
use serde::Serialize;
use thiserror::Error;
use zerocopy::FromBytes;

use crate::container::{ContainerError, Image};
use crate::hex::{self, Hex};
use crate::kvm::{self, Change, Refusal};
use crate::sequence::{self, Digest, Sequence, SequenceError};

/// Why a file has no launch digest.
#[derive(Debug, Error)]
pub enum MeasureError {
    /// It is no IGVM file.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// A directive that a launch of 4 KiB pages does not have.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// No VMSA of the boot processor.
    #[error("no VMSA (SNP VP_CONTEXT directive) for the first processor")]
    NoVmsa,
    /// A launch with several vCPUs whose registers at reset are not known.
    #[error("{0} vCPUs have no VMSA in the file: their signature (--cpu) enters the digest")]
    NoSignature(u32),
    /// The file has save areas for vCPUs that the launch does not have.
    #[error("the file has a VMSA for vCPU {0}, which a launch with that many vCPUs does not have")]
    NoSuchProcessor(u16),
}

/// What a verifier expects of a guest that was launched from an image: the
/// reference values that `rampart-verify` takes as `expected.json`.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Measurement {
    /// The image's file name.
    pub image: String,
    /// The launch digest in hexadecimal.
    pub launch_digest: String,
    /// The guest policy.
    pub policy: Hex,
    /// How many pages are loaded, VMSAs among them.
    pub launch_pages: usize,
    /// How many VMSAs are measured.
    pub save_areas: usize,
    /// The same launch by QEMU with KVM, where that was asked for; the values above
    /// are then that launch's, if it takes place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kvm: Option<KvmLaunch>,
}

/// The launch of an image by QEMU with KVM.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct KvmLaunch {
    /// How many vCPUs: KVM measures a VMSA of each.
    pub vcpus: u32,
    /// The launch digest by the file alone.
    pub file_launch_digest: String,
    /// Whether QEMU loads pages in another order than the file has.
    pub reordered: bool,
    /// Where KVM's VMSAs differ from the file's.
    pub changes: Vec<ProcessorFinding<Change>>,
    /// Why QEMU or KVM refuses the launch; it then has no digest.
    pub refusals: Vec<ProcessorFinding<Refusal>>,
}

/// Something about one processor's VMSA.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ProcessorFinding<T> {
    /// The processor's index.
    pub processor: u16,
    /// What.
    #[serde(flatten)]
    pub what: T,
}

impl<T: fmt::Display> fmt::Display for ProcessorFinding<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VMSA of processor {}: {}", self.processor, self.what)
    }
}

/// A host of QEMU and KVM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvmHost {
    /// The guest's vCPUs.
    pub vcpus: u32,
    /// CPUID 1 EAX of the processor model, where it counts: in RDX of each vCPU
    /// without a VMSA in the file.
    pub signature: Option<u32>,
}

/// Measures the SNP launch of an IGVM file by the file alone: its save areas and no
/// others. At KVM's address they are measured after all pages.
///
/// # Errors
/// [`MeasureError`] for what is no file that can be launched.
pub fn measure(name: &str, bytes: &[u8]) -> Result<Measurement, MeasureError> {
    let image = Image::parse(bytes)?;
    let sequence = Sequence::of(&image)?;
    features_of(&sequence)?;
    Ok(Measurement {
        image: name.to_owned(),
        launch_digest: hex::digits(&sequence.digest()),
        policy: Hex(sequence::policy(&image.file)),
        launch_pages: sequence.steps.len() + sequence.save_areas.len(),
        save_areas: sequence.save_areas.len(),
        kvm: None,
    })
}

/// Measures the launch of an IGVM file by QEMU with KVM: pages in QEMU's order, then
/// the VMSA that KVM makes for every vCPU.
///
/// # Errors
/// [`MeasureError`].
pub fn measure_with_kvm(
    name: &str,
    bytes: &[u8],
    host: KvmHost,
) -> Result<Measurement, MeasureError> {
    let image = Image::parse(bytes)?;
    let sequence = Sequence::of(&image)?;
    let features = features_of(&sequence)?;
    let mut digest = Digest::new();
    let steps = sequence.in_qemus_order();
    for step in &steps {
        digest.step(step);
    }
    let (mut changes, mut refusals) = (Vec::new(), Vec::new());
    let mut measured = 0;
    let highest = sequence.save_areas.iter().map(|area| area.processor).max();
    if let Some(highest) = highest.filter(|highest| u32::from(*highest) >= host.vcpus) {
        return Err(MeasureError::NoSuchProcessor(highest));
    }
    for processor in 0..u16::try_from(host.vcpus).unwrap_or(u16::MAX) {
        // QEMU takes the last that the file has for a processor.
        let mut own = sequence.save_areas.iter().rev();
        let page = match own.find(|area| area.processor == processor) {
            Some(area) => {
                let result = kvm::take_over(&area.page());
                let of = |what| ProcessorFinding { processor, what };
                changes.extend(result.changes.into_iter().map(of));
                let of = |what| ProcessorFinding { processor, what };
                refusals.extend(result.refusals.into_iter().map(of));
                if area.gpa != Vmsa::LAUNCH_GPA {
                    refusals.push(ProcessorFinding {
                        processor,
                        what: Refusal {
                            field: "its address".into(),
                            file: Hex(area.gpa).to_string(),
                            reason: "QEMU refuses a VMSA elsewhere than at 0xfffffffff000",
                        },
                    });
                }
                result.page
            }
            None => {
                let without = host.vcpus - measured;
                let signature = host.signature.ok_or(MeasureError::NoSignature(without))?;
                kvm::reset(features, signature)
            }
        };
        digest.save_area(Vmsa::LAUNCH_GPA, &page);
        measured += 1;
    }
    Ok(Measurement {
        image: name.to_owned(),
        launch_digest: hex::digits(&digest.value()),
        policy: Hex(sequence::policy(&image.file)),
        launch_pages: steps.len() + measured as usize,
        save_areas: measured as usize,
        kvm: Some(KvmLaunch {
            vcpus: host.vcpus,
            file_launch_digest: hex::digits(&sequence.digest()),
            reordered: steps != sequence.steps,
            changes,
            refusals,
        }),
    })
}

/// SEV_FEATURES of the boot processor's VMSA; KVM gives every vCPU the same.
fn features_of(sequence: &Sequence<'_>) -> Result<SevFeatures, MeasureError> {
    let mut areas = sequence.save_areas.iter().rev();
    let area = areas.find(|area| area.processor == 0);
    let page = area.ok_or(MeasureError::NoVmsa)?.page();
    let features = Vmsa::read_from_prefix(&page).map_or(0, |(vmsa, _)| vmsa.sev_features);
    Ok(SevFeatures::from_bits_retain(features) | SevFeatures::SNP)
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vmsas = match self.save_areas {
            1 => "1 VMSA".into(),
            count => format!("{count} VMSAs"),
        };
        let Some(kvm) = &self.kvm else {
            return writeln!(
                f,
                "{}: launch digest {}, policy {}, {} launch pages with {vmsas}",
                self.image, self.launch_digest, self.policy, self.launch_pages
            );
        };
        if kvm.refusals.is_empty() {
            let same = match self.launch_digest == kvm.file_launch_digest {
                true => "as the file has it",
                false => "another than by the file alone",
            };
            writeln!(
                f,
                "{}: launch digest with KVM and {vmsas} {} ({same}), policy {}",
                self.image, self.launch_digest, self.policy
            )?;
        } else {
            writeln!(f, "{}: QEMU with KVM does not launch this file", self.image)?;
        }
        for refusal in &kvm.refusals {
            writeln!(f, "  refused: {refusal}")?;
        }
        for change in &kvm.changes {
            writeln!(f, "  changed: {change}")?;
        }
        if kvm.reordered {
            writeln!(
                f,
                "  reordered: QEMU loads a parameter area before pages that stand before it"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
