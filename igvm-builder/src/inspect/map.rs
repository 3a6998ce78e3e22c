//! Guest memory as the launch leaves it: who put what there, and what is measured.

use std::collections::BTreeMap;
use std::fmt;

use igvm::{IgvmDirectiveHeader as Directive, IgvmFile};
use igvm_defs::IgvmPageDataType;
use serde::Serialize;

use super::snp_mask;
use crate::hex::Hex;
use crate::layout::PAGE_SIZE;
use crate::owners::Owners;

/// Neighbouring pages of one kind and one owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Region {
    /// The first address.
    pub gpa: Hex,
    /// The address after the last.
    pub end: Hex,
    /// What is there.
    pub kind: Kind,
    /// Whether the launch digest covers it.
    pub measured: Measured,
    /// Whose it is, as far as the file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<&'static str>,
}

/// What is in memory, and who put it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Bytes of the file.
    Data,
    /// Zeros, loaded.
    Zeros,
    /// The secure processor's secrets.
    Secrets,
    /// CPUID values: the host's, checked by the secure processor.
    Cpuid,
    /// The host's parameters.
    Parameters,
    /// Private memory that nobody loads; not validated.
    Required,
    /// The host's: not private.
    Shared,
    /// A processor's save area.
    Vmsa,
}

/// What the launch digest covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measured {
    /// Contents, address and type.
    Contents,
    /// Address and type.
    Address,
    /// Nothing.
    Nothing,
}

impl Kind {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Data => "from the file",
            Self::Zeros => "zeros",
            Self::Secrets => "by the secure processor",
            Self::Cpuid => "by the host, checked",
            Self::Parameters => "by the host",
            Self::Required => "nothing loaded",
            Self::Shared => "shared with the host",
            Self::Vmsa => "save area",
        }
    }
}

impl Measured {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Contents => "measured",
            Self::Address => "address measured",
            Self::Nothing => "not measured",
        }
    }
}

impl Region {
    /// Its size in pages.
    pub fn pages(&self) -> u64 {
        (self.end.0 - self.gpa.0) / PAGE_SIZE
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            gpa,
            end,
            kind,
            measured,
            owner,
        } = self;
        let (start, end, pages) = (gpa.0, end.0, self.pages());
        let (kind, measured) = (kind.words(), measured.words());
        write!(
            f,
            "{start:#014x}..{end:#014x} {pages:>7}  {kind:<26}{measured:<18}{}",
            owner.unwrap_or("")
        )
    }
}

/// The regions of an SNP launch, by address. Where directives overlap, the last counts.
pub fn map(file: &IgvmFile, owners: &Owners) -> Vec<Region> {
    let mask = snp_mask(file);
    let mut places: BTreeMap<u64, (u64, Kind, Measured)> = BTreeMap::new();
    let mut areas = BTreeMap::new();
    for directive in file.directives() {
        let own = directive.compatibility_mask();
        if own.is_some_and(|own| u64::from(own) & mask == 0) {
            continue;
        }
        let (gpa, size, kind, measured) = match directive {
            Directive::PageData {
                gpa,
                flags,
                data_type,
                data,
                ..
            } => {
                let (kind, measured) = match *data_type {
                    _ if flags.shared() => (Kind::Shared, Measured::Nothing),
                    IgvmPageDataType::SECRETS => (Kind::Secrets, Measured::Address),
                    IgvmPageDataType::CPUID_DATA | IgvmPageDataType::CPUID_XF => {
                        (Kind::Cpuid, Measured::Address)
                    }
                    _ => {
                        let zero = data.iter().all(|byte| *byte == 0);
                        let measured = match flags.unmeasured() {
                            true => Measured::Address,
                            false => Measured::Contents,
                        };
                        (if zero { Kind::Zeros } else { Kind::Data }, measured)
                    }
                };
                let size = if flags.is_2mb_page() {
                    0x20_0000
                } else {
                    PAGE_SIZE
                };
                (*gpa, size, kind, measured)
            }
            Directive::ParameterArea {
                number_of_bytes,
                parameter_area_index,
                ..
            } => {
                areas.insert(*parameter_area_index, *number_of_bytes);
                continue;
            }
            Directive::ParameterInsert(insert) => {
                let size = areas.get(&insert.parameter_area_index).copied();
                let size = size.unwrap_or(PAGE_SIZE);
                (insert.gpa, size, Kind::Parameters, Measured::Address)
            }
            Directive::RequiredMemory {
                gpa,
                number_of_bytes,
                ..
            } => (
                *gpa,
                (*number_of_bytes).into(),
                Kind::Required,
                Measured::Nothing,
            ),
            Directive::SnpVpContext { gpa, .. } => {
                (*gpa, PAGE_SIZE, Kind::Vmsa, Measured::Contents)
            }
            _ => continue,
        };
        places.insert(gpa, (gpa.saturating_add(size), kind, measured));
    }
    joined(places, owners)
}

/// Neighbours of one kind and owner as one region. What begins inside something else
/// covers it; after its end the other goes on.
fn joined(places: BTreeMap<u64, (u64, Kind, Measured)>, owners: &Owners) -> Vec<Region> {
    let ends = places.values().map(|(end, ..)| *end);
    let mut borders: Vec<u64> = places.keys().copied().chain(ends).collect();
    borders.sort_unstable();
    borders.dedup();
    let mut regions: Vec<Region> = Vec::new();
    // What has begun and may not have ended, the latest beginning last.
    let mut open: Vec<&(u64, Kind, Measured)> = Vec::new();
    for (gpa, end) in borders.iter().zip(borders.iter().skip(1)) {
        open.extend(places.get(gpa));
        while open.pop_if(|(ends, ..)| *ends <= *gpa).is_some() {}
        let Some((_, kind, measured)) = open.last() else {
            continue;
        };
        let owner = owners.name(*gpa);
        match regions.last_mut() {
            Some(last)
                if last.end.0 == *gpa
                    && (last.kind, last.measured, last.owner) == (*kind, *measured, owner) =>
            {
                last.end.0 = *end;
            }
            _ => regions.push(Region {
                gpa: Hex(*gpa),
                end: Hex(*end),
                kind: *kind,
                measured: *measured,
                owner,
            }),
        }
    }
    regions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container;
    use crate::testing::*;
    use proptest::prelude::*;

    #[test]
    fn a_page_inside_required_memory_leaves_the_rest() {
        let required = Directive::RequiredMemory {
            gpa: 0x1000,
            compatibility_mask: 1,
            number_of_bytes: 0x4000,
            vtl2_protectable: false,
        };
        let loaded = page(0x2000, IgvmPageDataType::NORMAL, vec![1]);
        let file = igvm_file(0x3_0000, vec![required, loaded, boot_processor()]);
        let file = container::parse(&file).unwrap();
        let regions = map(&file, &Owners::of(&file));
        let short: Vec<_> = regions
            .iter()
            .map(|region| (region.gpa.0, region.pages(), region.kind))
            .collect();
        assert_eq!(
            short,
            [
                (0x1000, 1, Kind::Required),
                (0x2000, 1, Kind::Data),
                (0x3000, 2, Kind::Required),
                (0xffff_ffff_f000, 1, Kind::Vmsa),
            ]
        );
    }

    #[test]
    fn what_begins_in_a_page_inside_another_region_covers_both() {
        let kinds = [
            (0x1000, (0x9000, Kind::Required, Measured::Nothing)),
            (0x2000, (0x5000, Kind::Parameters, Measured::Address)),
            (0x3000, (0x4000, Kind::Data, Measured::Contents)),
        ];
        let file = container::parse(&plain_image()).unwrap();
        let regions = joined(kinds.into_iter().collect(), &Owners::of(&file));
        let short: Vec<_> = regions
            .iter()
            .map(|region| (region.gpa.0, region.kind))
            .collect();
        assert_eq!(
            short,
            [
                (0x1000, Kind::Required),
                (0x2000, Kind::Parameters),
                (0x3000, Kind::Data),
                (0x4000, Kind::Parameters),
                (0x5000, Kind::Required),
            ]
        );
        assert_eq!(regions.last().map(Region::pages), Some(4));
    }

    proptest! {
        /// Regions stand in order, do not overlap, and have every page of the launch.
        #[test]
        fn the_map_has_all_pages(file in any_image()) {
            let report = super::super::inspect(&file).unwrap();
            let mut end = 0;
            for region in &report.map {
                prop_assert!(region.gpa.0 >= end && region.end.0 > region.gpa.0);
                end = region.end.0;
            }
            let loaded = report.map.iter().filter(|region| region.measured != Measured::Nothing);
            prop_assert_eq!(loaded.map(Region::pages).sum::<u64>(), report.launch_pages.total());
        }
    }
}
