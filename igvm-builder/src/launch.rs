//! What a launch loads, page by page, before it is written as directives.

use std::borrow::Cow;
use std::collections::BTreeMap;

use protocols::snp::Vmsa;
use thiserror::Error;

use crate::layout::{PAGE_SIZE, Range};

/// Who put something into the launch; errors and reports name it.
pub type Owner = Cow<'static, str>;

/// Why something cannot be part of the launch.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LaunchError {
    /// Two parts claim the same page.
    #[error("{gpa:#x}: the page belongs to both {first} and {second}")]
    Overlap {
        /// The page's guest physical address.
        gpa: u64,
        /// Who claimed it first.
        first: Owner,
        /// Who claims it now.
        second: Owner,
    },
    /// An address or size is not a multiple of the page size.
    #[error("{owner}: {gpa:#x} with {size:#x} bytes is not made of whole 4 KiB pages")]
    Unaligned {
        /// Whose it is.
        owner: Owner,
        /// The guest physical address.
        gpa: u64,
        /// The size in bytes.
        size: u64,
    },
    /// A part reaches past the end of the address space.
    #[error("{owner}: {gpa:#x} with {size:#x} bytes wraps around")]
    Wraps {
        /// Whose it is.
        owner: Owner,
        /// The guest physical address.
        gpa: u64,
        /// The size in bytes.
        size: u64,
    },
}

/// What one page holds when the guest starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// These bytes, measured; at most a page, the rest is zero.
    Data(Vec<u8>),
    /// Zeros, measured, without bytes in the file.
    Zero,
    /// The secrets page, filled by the secure processor.
    Secrets,
    /// The CPUID page, filled by the host and checked by the secure processor.
    Cpuid,
}

/// One page of the launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What it holds.
    pub content: Content,
    /// Who put it there.
    pub owner: Owner,
}

/// A value that the host writes into a parameter area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    /// The guest's memory map, entries of 24 bytes.
    MemoryMap,
    /// The number of virtual processors, a u32.
    VpCount,
}

/// Unmeasured memory that the host fills with parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterArea {
    /// Where it is inserted.
    pub gpa: u64,
    /// Its size in bytes, whole pages.
    pub size: u64,
    /// The parameters and their byte offsets in the area.
    pub parameters: Vec<(Parameter, u64)>,
    /// Who asked for it.
    pub owner: Owner,
}

impl ParameterArea {
    /// Whether the area's pages include the one at `gpa`.
    pub fn covers(&self, gpa: u64) -> bool {
        self.gpa <= gpa && gpa - self.gpa < self.size
    }
}

/// All that is loaded before the guest's first instruction.
pub struct Launch {
    /// The guest policy (SNP firmware ABI, LAUNCH_START).
    pub policy: u64,
    /// The boot processor's state.
    pub vmsa: Vmsa,
    pages: BTreeMap<u64, Page>,
    areas: Vec<ParameterArea>,
    required: Vec<Range>,
}

impl Launch {
    /// A launch of nothing but the boot processor.
    pub fn new(policy: u64, vmsa: Vmsa) -> Self {
        Self {
            policy,
            vmsa,
            pages: BTreeMap::new(),
            areas: Vec::new(),
            required: Vec::new(),
        }
    }

    /// How many pages each owner has.
    pub fn pages_by_owner(&self) -> BTreeMap<&str, u64> {
        let mut counts = BTreeMap::new();
        for page in self.pages.values() {
            *counts.entry(&*page.owner).or_default() += 1;
        }
        counts
    }

    /// Adds one page.
    pub fn add_page(
        &mut self,
        gpa: u64,
        content: Content,
        owner: impl Into<Owner>,
    ) -> Result<(), LaunchError> {
        let owner = owner.into();
        whole_pages(gpa, PAGE_SIZE, &owner)?;
        self.claim(gpa, &owner)?;
        self.pages.insert(gpa, Page { content, owner });
        Ok(())
    }

    /// Adds `bytes` as measured pages, the last one padded with zeros. Pages
    /// that are zero altogether are loaded too, with bytes in the file or, if
    /// `zero_without_data`, without.
    pub fn add_data(
        &mut self,
        gpa: u64,
        bytes: &[u8],
        zero_without_data: bool,
        owner: impl Into<Owner>,
    ) -> Result<(), LaunchError> {
        let owner = owner.into();
        whole_pages(
            gpa,
            (bytes.len() as u64).next_multiple_of(PAGE_SIZE),
            &owner,
        )?;
        for (index, page) in bytes.chunks(PAGE_SIZE as usize).enumerate() {
            let zero = zero_without_data && page.iter().all(|byte| *byte == 0);
            let content = if zero {
                Content::Zero
            } else {
                Content::Data(page.to_vec())
            };
            self.add_page(gpa + index as u64 * PAGE_SIZE, content, owner.clone())?;
        }
        Ok(())
    }

    /// Adds measured zero pages.
    pub fn add_zeros(&mut self, range: Range, owner: impl Into<Owner>) -> Result<(), LaunchError> {
        let owner = owner.into();
        whole_pages(range.start, range.size(), &owner)?;
        for gpa in (range.start..range.end).step_by(PAGE_SIZE as usize) {
            self.add_page(gpa, Content::Zero, owner.clone())?;
        }
        Ok(())
    }

    /// Adds memory that the host fills with parameters.
    pub fn add_parameter_area(&mut self, area: ParameterArea) -> Result<(), LaunchError> {
        let range = whole_pages(area.gpa, area.size, &area.owner)?;
        for gpa in (range.start..range.end).step_by(PAGE_SIZE as usize) {
            self.claim(gpa, &area.owner)?;
        }
        self.areas.push(area);
        Ok(())
    }

    /// Asks for private memory in all of `range` that no page is loaded to, so
    /// that the guest finds memory there even where the host has no RAM.
    pub fn require_rest_of(
        &mut self,
        range: Range,
        owner: impl Into<Owner>,
    ) -> Result<(), LaunchError> {
        whole_pages(range.start, range.size(), &owner.into())?;
        let mut start = None;
        for gpa in (range.start..range.end).step_by(PAGE_SIZE as usize) {
            if self.owner_of(gpa).is_none() {
                start.get_or_insert(gpa);
            } else if let Some(start) = start.take() {
                self.required.push(Range { start, end: gpa });
            }
        }
        if let Some(start) = start {
            self.required.push(Range {
                start,
                end: range.end,
            });
        }
        Ok(())
    }

    /// The pages that carry data or a page type, by address.
    pub fn pages(&self) -> &BTreeMap<u64, Page> {
        &self.pages
    }

    /// The parameter areas; the place in the list is the index in the file.
    pub fn parameter_areas(&self) -> &[ParameterArea] {
        &self.areas
    }

    /// Memory that the guest needs without anything being loaded there.
    pub fn required_memory(&self) -> &[Range] {
        &self.required
    }

    /// Who has the page at `gpa`.
    pub fn owner_of(&self, gpa: u64) -> Option<&Owner> {
        let area = || self.areas.iter().find(|area| area.covers(gpa));
        self.pages
            .get(&gpa)
            .map(|page| &page.owner)
            .or_else(|| area().map(|area| &area.owner))
    }

    fn claim(&self, gpa: u64, owner: &Owner) -> Result<(), LaunchError> {
        match self.owner_of(gpa) {
            None => Ok(()),
            Some(first) => Err(LaunchError::Overlap {
                gpa,
                first: first.clone(),
                second: owner.clone(),
            }),
        }
    }
}

fn whole_pages(gpa: u64, size: u64, owner: &Owner) -> Result<Range, LaunchError> {
    if !gpa.is_multiple_of(PAGE_SIZE) || !size.is_multiple_of(PAGE_SIZE) {
        return Err(LaunchError::Unaligned {
            owner: owner.clone(),
            gpa,
            size,
        });
    }
    Range::sized(gpa, size).ok_or_else(|| LaunchError::Wraps {
        owner: owner.clone(),
        gpa,
        size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmsa;
    use protocols::snp::SevFeatures;

    fn empty() -> Launch {
        Launch::new(0x30000, vmsa::reset_vector(SevFeatures::SNP))
    }

    fn area(gpa: u64, size: u64) -> ParameterArea {
        ParameterArea {
            gpa,
            size,
            parameters: vec![],
            owner: "area".into(),
        }
    }

    #[test]
    fn a_page_has_one_owner() {
        let mut launch = empty();
        launch.add_data(0x1000, &[1; 0x1001], true, "data").unwrap();
        launch.add_parameter_area(area(0x4000, 0x2000)).unwrap();
        let both = |first: &'static str, second: &'static str, gpa| {
            Err(LaunchError::Overlap {
                gpa,
                first: first.into(),
                second: second.into(),
            })
        };
        assert_eq!(
            launch.add_page(0x2000, Content::Cpuid, "x"),
            both("data", "x", 0x2000)
        );
        assert_eq!(
            launch.add_page(0x5000, Content::Zero, "x"),
            both("area", "x", 0x5000)
        );
        assert_eq!(
            launch.add_parameter_area(area(0x3000, 0x2000)),
            both("area", "area", 0x4000)
        );
        let below = Range {
            start: 0,
            end: 0x2000,
        };
        assert_eq!(launch.add_zeros(below, "x"), both("data", "x", 0x1000));
        launch.add_page(0x3000, Content::Secrets, "x").unwrap();
    }

    #[test]
    fn only_whole_pages_inside_the_address_space_are_taken() {
        let mut launch = empty();
        let unaligned = launch.add_page(0x1800, Content::Zero, "x");
        assert!(matches!(
            unaligned,
            Err(LaunchError::Unaligned { gpa: 0x1800, .. })
        ));
        let unaligned = launch.add_parameter_area(area(0x1000, 0x10));
        assert!(matches!(
            unaligned,
            Err(LaunchError::Unaligned { size: 0x10, .. })
        ));
        let wraps = launch.add_data(!0xFFF, &[1; 0x1001], false, "x");
        assert!(matches!(wraps, Err(LaunchError::Wraps { .. })));
    }

    #[test]
    fn required_memory_is_what_is_left() {
        let mut launch = empty();
        launch.add_page(0x2000, Content::Zero, "x").unwrap();
        launch.add_parameter_area(area(0x4000, 0x1000)).unwrap();
        launch
            .require_rest_of(
                Range {
                    start: 0x1000,
                    end: 0x7000,
                },
                "x",
            )
            .unwrap();
        let ranges = [(0x1000, 0x2000), (0x3000, 0x4000), (0x5000, 0x7000)]
            .map(|(start, end)| Range { start, end });
        assert_eq!(launch.required_memory(), ranges);
    }

    #[test]
    fn zero_pages_carry_data_only_where_asked() {
        let mut launch = empty();
        launch.add_data(0x1000, &[0; 0x1000], true, "x").unwrap();
        launch.add_data(0x2000, &[0; 0x1000], false, "x").unwrap();
        assert_eq!(launch.pages()[&0x1000].content, Content::Zero);
        assert_eq!(
            launch.pages()[&0x2000].content,
            Content::Data(vec![0; 0x1000])
        );
    }
}
