//! The guest's own page tables, walked in software: linear to guest physical.
//!
//! Walks are private accesses whatever the C-bit of CR3 and of the table
//! entries that are not the last (facts: forced encryption).

use super::npt::C_MASK;
use super::vmcb::{Vmcb, save};
use crate::mem::phys;

const CR0_PG: u64 = 1 << 31;
const CR0_WP: u64 = 1 << 16;
const EFER_LMA: u64 = 1 << 10;

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// A guest physical address without the C-bit, and what the C-bit said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Physical {
    pub(crate) gpa: u64,
    pub(crate) private: bool,
}

/// Why a walk ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WalkFault {
    /// #PF for the guest with this error code.
    Page(u32),
    /// A table lies where no memory is: the nested walk would fault.
    NoMemory(u64),
    /// Legacy 32-bit or PAE paging, which no SNP guest of this machine uses.
    UnsupportedMode,
}

/// Translates `linear` as the current mode of the guest does for a supervisor
/// access. `spa_of` is the host's placement of guest physical pages.
pub(crate) fn translate(
    vmcb: &Vmcb,
    linear: u64,
    write: bool,
    spa_of: impl Fn(u64) -> Option<u64>,
) -> Result<Physical, WalkFault> {
    let cr0: u64 = vmcb.get(save::CR0);
    if cr0 & CR0_PG == 0 {
        return Ok(Physical {
            gpa: linear & 0xffff_ffff,
            private: true,
        });
    }
    if vmcb.get::<u64>(save::EFER) & EFER_LMA == 0 {
        return Err(WalkFault::UnsupportedMode);
    }
    let fault = |code: u32| WalkFault::Page(code | if write { 2 } else { 0 });
    let mut table = vmcb.get::<u64>(save::CR3) & ADDRESS & !C_MASK;
    let mut writable = true;
    for shift in [39u32, 30, 21, 12] {
        let slot = table + ((linear >> shift) & 0x1ff) * 8;
        let address = spa_of(slot).ok_or(WalkFault::NoMemory(slot))?;
        let entry: u64 = phys::read(address);
        if entry & PRESENT == 0 {
            return Err(fault(0));
        }
        writable &= entry & WRITE != 0;
        let leaf = shift == 12 || (shift != 39 && entry & LARGE != 0);
        if !leaf {
            phys::set_bits(address, entry, ACCESSED);
            table = entry & ADDRESS & !C_MASK;
            continue;
        }
        if write && !writable && cr0 & CR0_WP != 0 {
            return Err(fault(1));
        }
        phys::set_bits(
            address,
            entry,
            if write { ACCESSED | DIRTY } else { ACCESSED },
        );
        let offset = linear & ((1 << shift) - 1);
        let base = entry & ADDRESS & !((1u64 << shift) - 1);
        return Ok(Physical {
            gpa: (base & !C_MASK) | offset,
            private: base & C_MASK != 0,
        });
    }
    Err(fault(0))
}
