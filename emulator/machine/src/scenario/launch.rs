//! Lies of the launch: what the host tells the guest in unmeasured pages, and a
//! VMSA that is not the image's.

use protocols::boot::{MemoryMapEntry, MemoryMapType};
use protocols::snp::{CpuidEntry, CpuidPage, CpuidRegisters};
use snp_scenario::{Due, Lie, Register};

use super::{Scenario, refuse};
use crate::psp::launch::Told;

/// Alters what the host tells the guest at launch.
pub(crate) fn lie(scenario: &mut Scenario, told: &mut Told) {
    let due: alloc::vec::Vec<Due> = scenario.script.at_launch().collect();
    for due in due {
        match due.lie {
            Lie::SevFeatures(mask) => told.sev_features |= mask,
            Lie::Cpuid {
                leaf,
                subleaf,
                register,
                value,
            } => {
                if set_cpuid(&mut told.cpuid, leaf, subleaf, register, value).is_none() {
                    refuse(format_args!("the CPUID page is full"));
                }
            }
            Lie::CpuidCount(count) => told.cpuid.count = count,
            Lie::MemoryMapClear => told.memory_map.clear(),
            Lie::MemoryMapAdd {
                first_page,
                pages,
                kind,
            } => told
                .memory_map
                .push(MemoryMapEntry::new(first_page, pages, MemoryMapType(kind))),
            Lie::VpCount(count) => told.vp_count = count,
            Lie::Policy { set, clear } => {
                told.policy_set |= set;
                told.policy_clear |= clear;
            }
            // Of another class.
            _ => continue,
        }
        scenario.told(due);
    }
}

/// Sets one register of the page's entry for a leaf, which is made if need be.
fn set_cpuid(
    page: &mut CpuidPage,
    leaf: u32,
    subleaf: u32,
    register: Register,
    value: u32,
) -> Option<()> {
    let used = page.count as usize;
    let known = page
        .functions
        .iter()
        .take(used)
        .position(|entry| entry.eax_in == leaf && entry.ecx_in == subleaf);
    let entry = page.functions.get_mut(known.unwrap_or(used))?;
    if known.is_none() {
        *entry = CpuidEntry::new(leaf, subleaf, CpuidRegisters::default());
        page.count += 1;
    }
    match register {
        Register::Eax => entry.eax = value,
        Register::Ebx => entry.ebx = value,
        Register::Ecx => entry.ecx = value,
        Register::Edx => entry.edx = value,
    }
    Some(())
}
