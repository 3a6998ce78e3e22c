//! What a launch costs: the secure processor spends about a millisecond on
//! every page.

use serde::Serialize;

use crate::inspect::directives::{PageKind, Run, What};
use crate::layout::PAGE_SIZE;

/// The pages of a launch.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Pages whose contents enter the launch digest, VMSAs included.
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

    /// Counts the pages of directives.
    pub fn of_runs<'a>(runs: impl Iterator<Item = &'a Run>) -> Self {
        let mut cost = Self::default();
        for run in runs {
            match &run.what {
                What::Pages {
                    content,
                    measured: true,
                    ..
                } => {
                    cost.measured += run.count as u64;
                    if *content == PageKind::Zero {
                        cost.zero += run.count as u64;
                    }
                }
                What::Pages {
                    measured: false, ..
                } => cost.unmeasured += run.count as u64,
                What::ParameterInsert { gpa, end, .. } => {
                    cost.unmeasured += (end.0 - gpa.0) / PAGE_SIZE;
                }
                What::Vmsa { .. } => cost.measured += 1,
                _ => {}
            }
        }
        cost
    }
}
