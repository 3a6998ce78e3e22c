//! Memory-mapped I/O for the guest: QEMU's devices at the same addresses.

use protocols::ghcb::{GhcbField, MalformedReason};

use super::ghcb::GhcbView;
use super::memory::Memory;
use crate::arch::apic;
use crate::mem::layout::DIRECT_MAP_SIZE;
use crate::mem::phys;

/// The lower half of the APIC's interrupt command register.
const APIC_ICR: u64 = 0xfee0_0300;

/// Serves an MMIO read (`write` false) or write.
pub(crate) fn serve(memory: &Memory, ghcb: &GhcbView, write: bool) {
    let (gpa, len) = (
        ghcb.get(GhcbField::EXIT_INFO1),
        ghcb.get(GhcbField::EXIT_INFO2),
    );
    let scratch = ghcb.get(GhcbField::SCRATCH);
    ghcb.begin_answer();
    let (Some(gpa), Some(len), Some(scratch)) = (gpa, len, scratch) else {
        ghcb.malformed(MalformedReason::MISSING_INPUT);
        return;
    };
    if !matches!(len, 1 | 2 | 4 | 8) || !is_device(memory, gpa, len) {
        ghcb.malformed(MalformedReason::INVALID_INPUT);
        return;
    }
    let Some(buffer) = ghcb.scratch_in_page(scratch, len) else {
        ghcb.malformed(MalformedReason::INVALID_SCRATCH);
        return;
    };
    // Refused for an SNP guest: nothing happens.
    if write && gpa == APIC_ICR && apic::is_init_or_startup(phys::read(buffer)) {
        return;
    }
    let (from, to) = if write { (buffer, gpa) } else { (gpa, buffer) };
    match len {
        1 => phys::write(to, phys::read::<u8>(from)),
        2 => phys::write(to, phys::read::<u16>(from)),
        4 => phys::write(to, phys::read::<u32>(from)),
        _ => phys::write(to, phys::read::<u64>(from)),
    }
}

/// Memory is not a device, and least of all the machine's own.
fn is_device(memory: &Memory, gpa: u64, len: u64) -> bool {
    let end = gpa.saturating_add(len);
    end <= DIRECT_MAP_SIZE
        && !phys::is_machine(gpa, len)
        && !memory.is_memory(gpa)
        && !memory.is_memory(end - 1)
}
