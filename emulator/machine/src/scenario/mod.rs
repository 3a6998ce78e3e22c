//! The host lies, because a scenario asks it to. docs/scenarios.md has the lies;
//! the crate `snp-scenario` reads them and counts; here they are told.
//!
//! The other roles know nothing of lies. They ask at a few places: at every
//! VMGEXIT ([`exit`]), at the entry of a level and at the launch ([`deeds_at`],
//! [`launch`]), around PVALIDATE and RMPADJUST ([`instruction`]), before VMRUN
//! ([`processor`]), at nested page faults ([`watch`]).

mod certificates;
pub(crate) mod exit;
pub(crate) mod instruction;
pub(crate) mod launch;
mod messages;
mod pages;
pub(crate) mod processor;
mod processors;
mod psc;
mod shared;
pub(crate) mod watch;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use protocols::ghcb::HvFeatures;
use snp_scenario::{Class, Due, Event, Lie, Script};

use crate::host::fw_cfg;
use crate::machine::Machine;
use crate::mem::phys;
use crate::report::console::println;
use crate::report::exit::{ExitStatus, end};

/// The scenario, as QEMU was given it.
const SCENARIO_FILE: &str = "opt/rampart/scenario";

/// A scenario under way.
#[derive(Default)]
pub(crate) struct Scenario {
    script: Script,
    /// Guest pages that were remapped: the system page that is not behind them now.
    aside: BTreeMap<u64, u64>,
    /// Deeds to VMPL0's processor that wait for its next entry.
    waiting: Vec<Due>,
    watch: watch::Watch,
    messages: messages::Messages,
    /// How often a level was entered after it asked for its termination.
    resumed: u32,
}

impl Scenario {
    /// Whether the host is honest.
    pub(crate) fn is_empty(&self) -> bool {
        self.script.is_empty()
    }

    /// Notes that a lie was told, and says so the first time.
    fn told(&mut self, due: Due) {
        if let Some(line) = self.script.told(due.index) {
            println!("scenario: line {}: {}", line.number, line.text);
        }
    }

    /// Whether every lie was told. Prints those that were not.
    pub(crate) fn all_told(&self) -> bool {
        let mut all = true;
        for (line, seen) in self.script.untold() {
            println!(
                "scenario: NOT APPLIED: line {}: {} (its point came {seen} times)",
                line.number, line.text
            );
            all = false;
        }
        all
    }
}

/// The scenario that QEMU was given, or the honest one.
pub(crate) fn load() -> Scenario {
    let Some(bytes) = fw_cfg::read_file(SCENARIO_FILE) else {
        return Scenario::default();
    };
    let Ok(text) = core::str::from_utf8(&bytes) else {
        refuse(format_args!("it is not UTF-8 text"))
    };
    match snp_scenario::parse(text) {
        Ok(lines) => Scenario {
            script: Script::new(lines),
            ..Scenario::default()
        },
        Err(error) => refuse(format_args!("{error}")),
    }
}

/// Ends the machine: the scenario makes no sense.
fn refuse(reason: core::fmt::Arguments<'_>) -> ! {
    println!("scenario refused: {reason}");
    end(ExitStatus::ScenarioRefused)
}

/// Does what is due at an event that asks the host nothing.
pub(crate) fn deeds_at(machine: &mut Machine, event: Event) {
    let _answers = deeds_and_answers(machine, event);
}

/// Does what is due at an event, and gives the lies that are answers to it.
fn deeds_and_answers(machine: &mut Machine, event: Event) -> Vec<Due> {
    if machine.scenario.is_empty() {
        return Vec::new();
    }
    let due = machine.scenario.script.due(event);
    let (deeds, answers): (Vec<_>, Vec<_>) = due.partition(|due| due.lie.class() == Class::Deed);
    for due in deeds {
        deed(machine, due);
    }
    answers
}

fn deed(machine: &mut Machine, due: Due) {
    let done = match due.lie {
        Lie::HvFeatures { set, clear } => {
            let bits = machine.host.features.bits() & !clear | set;
            machine.host.features = HvFeatures::from_bits_retain(bits);
            Ok(())
        }
        Lie::GhcbVersions { min, max } => {
            machine.host.ghcb_versions = (min, max);
            Ok(())
        }
        Lie::CBit(bit) => {
            machine.host.c_bit = bit;
            Ok(())
        }
        Lie::Force4k(on) => {
            machine.memory.use_small_pages(on);
            Ok(())
        }
        Lie::Remap(gpa) => pages::remap(machine, gpa),
        Lie::Swap(gpa) => pages::swap(machine, gpa),
        Lie::Move { from, to } => pages::relocate(machine, from, to),
        Lie::Unassign(gpa) => pages::unassign(machine, gpa),
        Lie::Smash(gpa) => pages::smash(machine, gpa),
        Lie::MessageRelease => messages::release(machine),
        Lie::GhcbPoke { offset, value } => poke(machine, offset, value),
        Lie::SharedPoke {
            page,
            offset,
            value,
        } => shared::poke(machine, page, offset, value),
        Lie::Inject { .. } | Lie::ForgeVc(_) => {
            // Told when it reaches the processor.
            machine.scenario.waiting.push(due);
            return;
        }
        // Of another class.
        _ => return,
    };
    match done {
        Ok(()) => machine.scenario.told(due),
        Err(reason) => {
            machine.scenario.told(due);
            refuse(format_args!("that cannot be done: {reason}"))
        }
    }
}

/// Writes to VMPL0's GHCB page in the middle of whatever it does.
fn poke(machine: &mut Machine, offset: u16, value: u64) -> Result<(), &'static str> {
    let [level0, ..] = machine.vcpu.levels;
    let page = level0
        .registered_ghcb
        .and_then(|gpa| machine.memory.shared(gpa, 0x1000))
        .ok_or("VMPL0 has no GHCB page")?;
    phys::write(page + u64::from(offset), value);
    Ok(())
}
