//! What the secure processor is given when a host launches a file: pages in order,
//! then the processors' save areas.

use std::collections::BTreeMap;

use igvm::snp_defs::SevVmsa;
use igvm::{IgvmDirectiveHeader as Directive, IgvmFile, IgvmInitializationHeader};
use igvm_defs::IgvmPageDataType;
use protocols::addr::Gpa;
use protocols::snp::{LaunchPageType, Vmsa};
use snp_model::launch::{LaunchDigest, LaunchPage, extend};
use snp_model::types::Spa;
use thiserror::Error;
use zerocopy::IntoBytes;

use crate::container::{Image, Place};
use crate::inspect::snp_mask;
use crate::layout::PAGE_SIZE;
use crate::vmsa_fields::VmsaPage;

/// The policy of a file without any: SMT allowed, and the bit that has to be one.
pub const DEFAULT_POLICY: u64 = 0x3_0000;
/// No launch has more pages: each costs the secure processor about a millisecond.
const MAX_PAGES: usize = 1 << 20;

/// Why a file cannot be launched page by page.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{place}: {reason}")]
pub struct SequenceError {
    /// The directive.
    pub place: Place,
    /// What is wrong.
    pub reason: &'static str,
}

/// One page that is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'a> {
    /// The directive's place among the directives.
    pub directive: usize,
    /// Where the guest sees the page.
    pub gpa: u64,
    /// What the secure processor makes of it.
    pub page_type: LaunchPageType,
    /// Its bytes as far as the file has them, at most a page; the rest is zero.
    pub contents: &'a [u8],
    /// What QEMU compares to gather pages into runs: mask, flags and type; none for
    /// what it loads at once.
    run: Option<(u32, u32, u16)>,
}

/// A processor's save area.
#[derive(Debug, Clone, PartialEq)]
pub struct SaveArea<'a> {
    /// The directive's place among the directives.
    pub directive: usize,
    /// The processor's index.
    pub processor: u16,
    /// The address in the file.
    pub gpa: u64,
    /// How many pages stand before it in the file.
    pub after: usize,
    /// The save area.
    pub vmsa: &'a SevVmsa,
}

/// The SNP launch of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence<'a> {
    /// The pages in the file's order.
    pub steps: Vec<Step<'a>>,
    /// The processors' save areas in the file's order.
    pub save_areas: Vec<SaveArea<'a>>,
}

impl SaveArea<'_> {
    /// The save area as it is measured.
    pub fn page(&self) -> VmsaPage {
        let mut page = [0; PAGE_SIZE as usize];
        let bytes = self.vmsa.as_bytes();
        page[..bytes.len()].copy_from_slice(bytes);
        page
    }
}

impl<'a> Sequence<'a> {
    /// The launch that the SNP directives of `image` describe.
    ///
    /// # Errors
    /// [`SequenceError`] for what the secure processor does not load.
    pub fn of(image: &'a Image) -> Result<Self, SequenceError> {
        let mask = snp_mask(&image.file);
        let mut steps: Vec<Step<'a>> = Vec::new();
        let mut save_areas = Vec::new();
        let mut areas = BTreeMap::new();
        for (index, directive) in image.file.directives().iter().enumerate() {
            let own = directive.compatibility_mask();
            if own.is_some_and(|own| u64::from(own) & mask == 0) {
                continue;
            }
            let bad = |reason| SequenceError {
                place: image.place(index),
                reason,
            };
            match directive {
                Directive::PageData {
                    gpa,
                    compatibility_mask,
                    flags,
                    data_type,
                    data,
                } => {
                    if flags.is_2mb_page() {
                        return Err(bad("pages of 2 MiB are not launched"));
                    }
                    // Shared memory is the host's: the secure processor never sees it.
                    if flags.shared() {
                        continue;
                    }
                    if data.len() > PAGE_SIZE as usize {
                        return Err(bad("more than a page of data"));
                    }
                    steps.push(Step {
                        directive: index,
                        gpa: *gpa,
                        page_type: page_type(*data_type, flags.unmeasured())
                            .ok_or_else(|| bad("no such type of page in a launch"))?,
                        contents: data,
                        run: Some((*compatibility_mask, flags.into_bits(), data_type.0)),
                    });
                }
                Directive::ParameterArea {
                    number_of_bytes,
                    parameter_area_index,
                    initial_data,
                } => {
                    areas.insert(*parameter_area_index, (*number_of_bytes, initial_data));
                }
                Directive::ParameterInsert(insert) => {
                    let area = areas.get(&insert.parameter_area_index);
                    let (size, data) = area.ok_or_else(|| bad("no such parameter area"))?;
                    let pages = usize::try_from(size.div_ceil(PAGE_SIZE)).unwrap_or(usize::MAX);
                    if steps.len().saturating_add(pages) > MAX_PAGES {
                        return Err(bad("more than 4 GiB of pages"));
                    }
                    for page in 0..pages {
                        let gpa = insert.gpa.checked_add(page as u64 * PAGE_SIZE);
                        steps.push(Step {
                            directive: index,
                            gpa: gpa.ok_or_else(|| bad("the area wraps around"))?,
                            page_type: LaunchPageType::UNMEASURED,
                            contents: data.chunks(PAGE_SIZE as usize).nth(page).unwrap_or(&[]),
                            run: None,
                        });
                    }
                }
                Directive::SnpVpContext {
                    gpa,
                    vp_index,
                    vmsa,
                    ..
                } => save_areas.push(SaveArea {
                    directive: index,
                    processor: *vp_index,
                    gpa: *gpa,
                    after: steps.len(),
                    vmsa,
                }),
                _ => {}
            }
            if steps.len() > MAX_PAGES {
                return Err(bad("more than 4 GiB of pages"));
            }
        }
        Ok(Self { steps, save_areas })
    }

    /// The pages in the order in which QEMU hands them to the secure processor: it
    /// gathers neighbouring pages of one kind and hands them on when the next run
    /// begins or the file ends, but a parameter area at once.
    pub fn in_qemus_order(&self) -> Vec<Step<'a>> {
        let mut ordered = Vec::with_capacity(self.steps.len());
        let mut run: Vec<Step<'a>> = Vec::new();
        for step in &self.steps {
            let Some(kind) = step.run else {
                ordered.push(*step);
                continue;
            };
            let continues = run.last().is_none_or(|last| {
                last.run == Some(kind)
                    && last.directive + 1 == step.directive
                    && last.gpa.checked_add(PAGE_SIZE) == Some(step.gpa)
                    && last.contents.is_empty() == step.contents.is_empty()
            });
            if !continues {
                ordered.append(&mut run);
            }
            run.push(*step);
        }
        ordered.append(&mut run);
        ordered
    }

    /// The launch digest by the file alone: pages in the file's order. A save area
    /// at the address where KVM has it is measured after all pages, as KVM does;
    /// one at another address where it stands.
    pub fn digest(&self) -> LaunchDigest {
        let in_place = |area: &&SaveArea<'_>| area.gpa != Vmsa::LAUNCH_GPA;
        let mut digest = Digest::new();
        let mut waiting = self.save_areas.iter().filter(in_place).peekable();
        for (number, step) in self.steps.iter().enumerate() {
            while let Some(area) = waiting.next_if(|area| area.after <= number) {
                digest.save_area(area.gpa, &area.page());
            }
            digest.step(step);
        }
        for area in waiting {
            digest.save_area(area.gpa, &area.page());
        }
        for area in &self.save_areas {
            if area.gpa == Vmsa::LAUNCH_GPA {
                digest.save_area(area.gpa, &area.page());
            }
        }
        digest.value()
    }
}

/// What the secure processor makes of a page of this type.
fn page_type(data_type: IgvmPageDataType, unmeasured: bool) -> Option<LaunchPageType> {
    Some(match data_type {
        IgvmPageDataType::NORMAL if unmeasured => LaunchPageType::UNMEASURED,
        IgvmPageDataType::NORMAL => LaunchPageType::NORMAL,
        IgvmPageDataType::SECRETS => LaunchPageType::SECRETS,
        IgvmPageDataType::CPUID_DATA | IgvmPageDataType::CPUID_XF => LaunchPageType::CPUID,
        _ => return None,
    })
}

/// The guest policy that counts: the last for SNP; [`DEFAULT_POLICY`] without any.
pub fn policy(file: &IgvmFile) -> u64 {
    stated_policy(file).unwrap_or(DEFAULT_POLICY)
}

/// The last guest policy for SNP that the file states.
pub fn stated_policy(file: &IgvmFile) -> Option<u64> {
    let mask = snp_mask(file);
    let headers = file.initializations().iter();
    let mut policies = headers.filter_map(|header| match header {
        IgvmInitializationHeader::GuestPolicy {
            policy,
            compatibility_mask,
        } if u64::from(*compatibility_mask) & mask != 0 => Some(*policy),
        _ => None,
    });
    policies.next_back()
}

/// A launch digest in the making.
#[derive(Debug, Clone)]
pub struct Digest(LaunchDigest);

impl Digest {
    /// The digest before the first page.
    pub fn new() -> Self {
        Self([0; 48])
    }

    /// Adds a page.
    pub fn step(&mut self, step: &Step<'_>) {
        let mut page = [0; PAGE_SIZE as usize];
        page[..step.contents.len()].copy_from_slice(step.contents);
        self.add(step.gpa, step.page_type, &page);
    }

    /// Adds a processor's save area.
    pub fn save_area(&mut self, gpa: u64, vmsa: &VmsaPage) {
        self.add(gpa, LaunchPageType::VMSA, vmsa);
    }

    /// The digest after what was added.
    pub fn value(&self) -> LaunchDigest {
        self.0
    }

    fn add(&mut self, gpa: u64, page_type: LaunchPageType, contents: &[u8; PAGE_SIZE as usize]) {
        // Where the page lies in system memory is not measured.
        let page = LaunchPage::new(Spa(0), Gpa::new(gpa), page_type);
        self.0 = extend(&self.0, &page, contents);
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}
