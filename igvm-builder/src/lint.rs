//! Whether QEMU (10.1 or later) with KVM launches a file, and measures it as it is written.
//!
//! The rules are QEMU's loader's own (backends/igvm.c, target/i386/sev.c) and KVM's. What
//! the `igvm` library refuses is no rule here: QEMU reads files with the same library.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use igvm::{IgvmDirectiveHeader as Directive, IgvmInitializationHeader, IgvmPlatformHeader};
use igvm_defs::{IGVM_VHS_PARAMETER, IgvmPlatformType};
use protocols::snp::{GuestPolicy, Vmsa};
use serde::Serialize;

use crate::container::{Image, Place};
use crate::hex::Hex;
use crate::inspect::snp_mask;
use crate::kvm;
use crate::layout::PAGE_SIZE;
use crate::policy;
use crate::sequence::{self, SaveArea, Sequence};

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// What happens where it does not hold.
    pub weight: Weight,
    /// Why it is there.
    pub reason: &'static str,
}

/// What happens where a rule does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Some hosts do not launch the file, or the guest is weaker than it could be.
    Warning,
    /// The file is not launched, or is measured otherwise than it is written.
    Error,
}

/// A rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's name.
    pub rule: &'static str,
    /// What that means.
    pub weight: Weight,
    /// Where in the file, if it is about one directive.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub place: Option<Place>,
    /// What was found.
    pub found: String,
    /// Why the rule is there.
    pub reason: &'static str,
}

fn as_text<S: serde::Serializer>(place: &Option<Place>, serializer: S) -> Result<S::Ok, S::Error> {
    match place {
        Some(place) => serializer.collect_str(place),
        None => serializer.serialize_none(),
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = match self.weight {
            Weight::Error => "error",
            Weight::Warning => "warning",
        };
        write!(f, "{weight}: {}: ", self.rule)?;
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}; {}", self.found, self.reason)
    }
}

macro_rules! rules {
    ($($constant:ident $weight:ident $name:literal $reason:literal)*) => {
        $(const $constant: Rule = Rule { name: $name, weight: Weight::$weight, reason: $reason };)*
        /// All rules of this file.
        pub const RULES: &[Rule] = &[$($constant),*];
    };
}
rules! {
    SNP_PLATFORM Error "snp-platform"
        "QEMU starts an SNP guest only from a file with a part for SEV-SNP"
    HEADER_SET Error "header-set"
        "QEMU refuses a file with a header that it does not know, whatever platform it is for"
    NEW_HEADERS Warning "new-headers"
        "QEMU knows MADT since 11.0 and DEVICE_TREE since 11.1, and refuses the file before"
    VMSA_ADDRESS Error "vmsa-address"
        "KVM has every VMSA measured at 0xfffffffff000, and QEMU refuses another address"
    BOOT_PROCESSOR Error "boot-processor"
        "without a VMSA for processor 0 the guest starts at the reset vector"
    VMSA_ONCE Error "vmsa-once"
        "QEMU takes the last VMSA of a processor, other loaders measure each"
    VMSA_PROCESSOR Warning "vmsa-processor"
        "QEMU refuses the file where the guest has fewer vCPUs"
    VMSA_FIELDS Error "vmsa-fields"
        "QEMU and KVM refuse what KVM would not keep, since it would be measured otherwise"
    VMSA_KEPT Error "vmsa-kept"
        "KVM makes the VMSA that is measured, and gives the field another value"
    MEASURED_ORDER Error "measured-order"
        "QEMU gathers pages into runs and loads a parameter area at once, so before pages that \
         stand before it; the launch digest hangs on the order"
    MEMORY_MAP_OFFSET Error "memory-map-offset"
        "QEMU writes the memory map from the area's start, whatever the offset"
    MEMORY_MAP_FIRST Error "memory-map-first"
        "QEMU writes the memory map over parameters that stand before it"
    PARAMETER_FITS Error "parameter-fits"
        "QEMU writes the parameter without regard to the area's size"
    AREA_DATA Error "area-data"
        "QEMU does not take over the data of a parameter area"
    SMALL_PAGES Error "small-pages"
        "the `igvm` library has no data for pages of 2 MiB"
    PRIVATE_PAGES Error "private-pages"
        "QEMU loads a page that is marked shared as a private one, which is measured"
    LOADED_ONCE Error "loaded-once"
        "the secure processor refuses a page that it has already taken"
    STATED_POLICY Warning "stated-policy"
        "without a guest policy the host's counts"
    POLICY Error "policy"
        "the secure processor refuses the policy, or the policy defeats itself"
    KVM_POLICY Warning "kvm-policy"
        "KVM refuses a policy that forbids SMT; older kernels refuse single-socket and every newer \
         bit too"
    CLOSED_POLICY Warning "closed-policy"
        "with debugging the host reads the guest's memory; a migration agent can hand the guest on"
    ONE_ID_BLOCK Error "one-id-block"
        "QEMU refuses a second ID block"
}

/// The findings about a file, in its order.
pub fn lint(image: &Image) -> Vec<Finding> {
    let mut linter = Linter {
        image,
        mask: snp_mask(&image.file),
        findings: Vec::new(),
    };
    linter.headers();
    linter.policies();
    linter.parameters();
    linter.pages();
    if let Ok(sequence) = Sequence::of(image) {
        linter.save_areas(&sequence);
        linter.order(&sequence);
    }
    linter.id_blocks();
    linter.findings
}

struct Linter<'a> {
    image: &'a Image,
    mask: u64,
    findings: Vec<Finding>,
}

impl<'a> Linter<'a> {
    fn find(&mut self, rule: Rule, directive: impl Into<Option<usize>>, found: String) {
        let place = directive.into().map(|index| self.image.place(index));
        self.findings.push(Finding {
            rule: rule.name,
            weight: rule.weight,
            place,
            found,
            reason: rule.reason,
        });
    }

    /// The directives for SNP and for no special platform.
    fn directives(&self) -> impl Iterator<Item = (usize, &'a Directive)> + use<'a> {
        let mask = self.mask;
        let all = self.image.file.directives().iter().enumerate();
        all.filter(move |(_, directive)| {
            let own = directive.compatibility_mask();
            own.is_none_or(|own| u64::from(own) & mask != 0)
        })
    }

    fn headers(&mut self) {
        let file = &self.image.file;
        let is_snp = |platform: &IgvmPlatformHeader| {
            let IgvmPlatformHeader::SupportedPlatform(info) = platform;
            info.platform_type == IgvmPlatformType::SEV_SNP
        };
        if !file.platforms().iter().any(is_snp) {
            self.find(SNP_PLATFORM, None, "the file has none".into());
        }
        for header in file.initializations() {
            if !matches!(header, IgvmInitializationHeader::GuestPolicy { .. }) {
                let name = crate::inspect::headers::other(header).unwrap_or("a header");
                self.find(HEADER_SET, None, format!("{name} before the directives"));
            }
        }
        // Types are looked at before masks: all directives, not only SNP's.
        for (index, directive) in file.directives().iter().enumerate() {
            let name = self.image.place(index).name;
            match directive {
                Directive::PageData { .. }
                | Directive::SnpVpContext { .. }
                | Directive::X64NativeVpContext { .. }
                | Directive::X64VbsVpContext { .. }
                | Directive::ParameterArea { .. }
                | Directive::ParameterInsert(_)
                | Directive::MemoryMap(_)
                | Directive::VpCount(_)
                | Directive::EnvironmentInfo(_)
                | Directive::RequiredMemory { .. }
                | Directive::SnpIdBlock { .. } => {}
                Directive::Madt(_) | Directive::DeviceTree(_) => {
                    self.find(NEW_HEADERS, index, format!("{name} is a newer parameter"));
                }
                _ => self.find(HEADER_SET, index, format!("QEMU does not know {name}")),
            }
        }
    }

    fn policies(&mut self) {
        let Some(policy) = sequence::stated_policy(&self.image.file) else {
            self.find(STATED_POLICY, None, "the file states none".into());
            return;
        };
        for contradiction in policy::contradictions(policy) {
            let words = policy::Words(policy);
            self.find(POLICY, None, format!("policy {words}: {contradiction}"));
        }
        let flags = GuestPolicy::from_bits_retain(policy);
        if !flags.contains(GuestPolicy::SMT) {
            self.find(KVM_POLICY, None, "SMT is not allowed".into());
        }
        let old = GuestPolicy::SMT
            | GuestPolicy::MUST_BE_ONE
            | GuestPolicy::DEBUG
            | GuestPolicy::from_bits_retain(0xffff);
        let newer = policy::words(policy & !old.bits());
        if !newer.is_empty() {
            self.find(KVM_POLICY, None, format!("{} set", newer.join(", ")));
        }
        let open = policy::words(policy & (GuestPolicy::DEBUG | GuestPolicy::MIGRATE_MA).bits());
        if !open.is_empty() {
            self.find(
                CLOSED_POLICY,
                None,
                format!("{} allowed", open.join(" and ")),
            );
        }
    }

    fn parameters(&mut self) {
        let mut sizes = BTreeMap::new();
        let mut filled = BTreeSet::new();
        for (index, directive) in self.directives() {
            let place = match directive {
                Directive::ParameterArea {
                    number_of_bytes,
                    parameter_area_index,
                    initial_data,
                } => {
                    sizes.insert(*parameter_area_index, *number_of_bytes);
                    if !initial_data.is_empty() {
                        let bytes = initial_data.len();
                        self.find(AREA_DATA, index, format!("it has {bytes} bytes of data"));
                    }
                    continue;
                }
                Directive::MemoryMap(place) => {
                    if place.byte_offset != 0 {
                        let found = format!("its offset is {:#x}", place.byte_offset);
                        self.find(MEMORY_MAP_OFFSET, index, found);
                    }
                    if filled.contains(&place.parameter_area_index) {
                        let area = place.parameter_area_index;
                        let found = format!("area {area} has a parameter before it");
                        self.find(MEMORY_MAP_FIRST, index, found);
                    }
                    place
                }
                Directive::VpCount(place) | Directive::EnvironmentInfo(place) => {
                    self.fits(index, place, &sizes);
                    place
                }
                _ => continue,
            };
            filled.insert(place.parameter_area_index);
        }
    }

    fn fits(&mut self, index: usize, place: &IGVM_VHS_PARAMETER, sizes: &BTreeMap<u32, u64>) {
        let size = sizes.get(&place.parameter_area_index).copied().unwrap_or(0);
        if u64::from(place.byte_offset) + 4 > size {
            let offset = place.byte_offset;
            let found = format!("4 bytes at {offset:#x} do not fit the area's {size:#x}");
            self.find(PARAMETER_FITS, index, found);
        }
    }

    fn pages(&mut self) {
        let mut loaded = BTreeMap::new();
        let mut areas = BTreeMap::new();
        for (index, directive) in self.directives() {
            let (gpa, pages) = match directive {
                Directive::PageData { gpa, flags, .. } => {
                    if flags.is_2mb_page() {
                        self.find(SMALL_PAGES, index, format!("a page of 2 MiB at {gpa:#x}"));
                    }
                    if flags.shared() {
                        self.find(PRIVATE_PAGES, index, format!("a shared page at {gpa:#x}"));
                    }
                    (*gpa, 1)
                }
                Directive::ParameterArea {
                    number_of_bytes,
                    parameter_area_index,
                    ..
                } => {
                    areas.insert(*parameter_area_index, number_of_bytes.div_ceil(PAGE_SIZE));
                    continue;
                }
                Directive::ParameterInsert(insert) => {
                    let pages = areas.get(&insert.parameter_area_index).copied();
                    (insert.gpa, pages.unwrap_or(0))
                }
                _ => continue,
            };
            // Larger areas are refused elsewhere; here they cost time.
            for page in 0..pages.min(1 << 16) {
                let at = gpa.saturating_add(page * PAGE_SIZE);
                if let Some(first) = loaded.insert(at, index) {
                    let first = self.image.place(first);
                    self.find(
                        LOADED_ONCE,
                        index,
                        format!("{at:#x} is loaded by {first} too"),
                    );
                    break;
                }
            }
        }
    }

    fn save_areas(&mut self, sequence: &Sequence<'_>) {
        let areas = &sequence.save_areas;
        if !areas.iter().any(|area| area.processor == 0) {
            self.find(BOOT_PROCESSOR, None, "the file has none".into());
        }
        let mut processors = BTreeSet::new();
        for area in areas {
            if !processors.insert(area.processor) {
                let found = format!("a second VMSA for processor {}", area.processor);
                self.find(VMSA_ONCE, area.directive, found);
            }
            self.save_area(area);
        }
    }

    fn save_area(&mut self, area: &SaveArea<'_>) {
        if area.gpa != Vmsa::LAUNCH_GPA {
            let found = format!("its address is {}", Hex(area.gpa));
            self.find(VMSA_ADDRESS, area.directive, found);
        }
        if area.processor != 0 {
            let found = format!("a VMSA for processor {}", area.processor);
            self.find(VMSA_PROCESSOR, area.directive, found);
        }
        let result = kvm::take_over(&area.page());
        for refusal in &result.refusals {
            self.find(VMSA_FIELDS, area.directive, refusal.to_string());
        }
        for change in &result.changes {
            self.find(VMSA_KEPT, area.directive, change.to_string());
        }
    }

    fn order(&mut self, sequence: &Sequence<'_>) {
        let ordered = sequence.in_qemus_order();
        let mut pairs = sequence.steps.iter().zip(&ordered);
        if let Some((written, loaded)) = pairs.find(|(written, loaded)| written != loaded) {
            let found = format!(
                "{:#x} is loaded before {:#x} of {}",
                loaded.gpa,
                written.gpa,
                self.image.place(written.directive)
            );
            self.find(MEASURED_ORDER, loaded.directive, found);
        }
    }

    fn id_blocks(&mut self) {
        let blocks: Vec<_> = self
            .directives()
            .filter(|(_, directive)| matches!(directive, Directive::SnpIdBlock { .. }))
            .map(|(index, _)| index)
            .collect();
        for index in blocks.into_iter().skip(1) {
            self.find(ONE_ID_BLOCK, index, "another stands before it".into());
        }
    }
}

#[cfg(test)]
mod tests;
