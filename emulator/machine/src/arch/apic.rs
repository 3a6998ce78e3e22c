//! The local APIC of the processor under the machine, which the guest uses too:
//! in the mode that the guest put it in.

use super::msr;
use crate::mem::phys;

const APIC_BASE: u32 = 0x1b;
const X2APIC_ENABLED: u64 = 1 << 10;
const X2APIC_ICR: u32 = 0x830;

const MMIO: u64 = 0xfee0_0000;
const ICR_LOW: u64 = MMIO + 0x300;
const ICR_HIGH: u64 = MMIO + 0x310;

const NMI: u32 = 4 << 8;
const INIT: u32 = 5 << 8;
const STARTUP: u32 = 6 << 8;
const ASSERT: u32 = 1 << 14;
const ALL_BUT_SELF: u32 = 3 << 18;

/// Bits 10:8 of an interrupt command: how it is delivered.
const DELIVERY_MODE: u32 = 7 << 8;

/// Whether a command would reset or start a processor. The machine's processors
/// run the machine; a host refuses both for SNP guests, whose processors are
/// started from VMSAs.
pub(crate) fn is_init_or_startup(command: u32) -> bool {
    matches!(command & DELIVERY_MODE, INIT | STARTUP)
}

fn x2apic() -> bool {
    msr::try_read(APIC_BASE).is_some_and(|base| base & X2APIC_ENABLED != 0)
}

/// Sends an NMI to the processor of that APIC ID.
pub(crate) fn send_nmi(apic_id: u32) {
    if x2apic() {
        let command = u64::from(apic_id) << 32 | u64::from(NMI | ASSERT);
        // A known register in x2APIC mode: it cannot fail.
        let _sent = msr::try_write(X2APIC_ICR, command);
        return;
    }
    // The guest may have written the upper half already: it finds it again.
    let upper: u32 = phys::read(ICR_HIGH);
    phys::write(ICR_HIGH, apic_id << 24);
    phys::write(ICR_LOW, NMI | ASSERT);
    phys::write(ICR_HIGH, upper);
}

/// Sends INIT and start-up to all other processors, which then run at `page`
/// (a page number below 1 MiB). For the machine's own start, in xAPIC mode.
pub(crate) fn start_others(page: u8) {
    phys::write(ICR_LOW, ALL_BUT_SELF | ASSERT | INIT);
    phys::write(ICR_LOW, ALL_BUT_SELF | ASSERT | STARTUP | u32::from(page));
}
