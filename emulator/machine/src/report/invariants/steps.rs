//! The invariants in the middle of a run: after each N VMGEXITs, for runs that
//! make a lot of requests.

use alloc::boxed::Box;
use core::fmt;

use monitor::page_map::Layout;
use protocols::boot::layout::PAGE_MAP_BASE;

use super::page_map;
use crate::machine::Machine;

/// Pages that are looked through for keys at one check: each check takes up where
/// the one before it ended.
const KEY_PAGES: usize = 64;

/// When to look, and how often that was.
pub(crate) struct Steps {
    every: u64,
    since: u64,
    checks: u64,
    /// Where the search for keys goes on: a system address.
    keys_from: u64,
    /// The page map's layout, of a firmware with one.
    layout: Option<Box<Layout>>,
    /// The page map waits for a moment at which nobody changes it.
    map_due: bool,
    map_checks: u64,
}

impl Steps {
    pub(super) fn new(every: u64) -> Self {
        Self {
            every,
            since: 0,
            checks: 0,
            keys_from: 0,
            layout: None,
            map_due: false,
            map_checks: 0,
        }
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} times at VMGEXITs, {} times into the page map",
            self.checks, self.map_checks
        )
    }
}

/// Learns the firmware's page map, after the launch.
pub(crate) fn prepare(machine: &mut Machine) {
    let has_map = machine.invariants.is_own(PAGE_MAP_BASE - 1);
    if let Some(steps) = &mut machine.invariants.steps
        && has_map
    {
        steps.layout = page_map::layout(&machine.memory).map(Box::new);
    }
}

/// A VMGEXIT was served: looks, if it is time.
pub(crate) fn after_vmgexit(machine: &mut Machine) {
    let quiet = machine.nobody_is_at_vmpl0();
    let Machine {
        invariants, memory, ..
    } = machine;
    let Some(mut steps) = invariants.steps.take() else {
        return;
    };
    steps.since += 1;
    if steps.since >= steps.every {
        steps.since = 0;
        steps.checks += 1;
        steps.map_due = steps.layout.is_some();
        invariants.check_rmp(memory);
        steps.keys_from = invariants
            .check_guest_keys(memory, steps.keys_from, KEY_PAGES)
            .unwrap_or_default();
    }
    if steps.map_due
        && quiet
        && let Some(layout) = &steps.layout
    {
        steps.map_due = false;
        steps.map_checks += 1;
        invariants.check_page_map(layout, memory);
    }
    invariants.steps = Some(steps);
}
