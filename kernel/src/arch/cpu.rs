//! Control registers: read-only means read-only for the kernel too, and interrupts stay off.

use core::arch::asm;

use x86_64::registers::control::{Cr0, Cr0Flags, Cr2, Cr3, Cr4, Cr4Flags};

use super::instructions;

/// Makes write protection hold in ring 0, which W^X rests on.
pub(crate) fn enforce_write_protection() {
    // SAFETY: setting WP only takes rights away, and the kernel writes to no read-only mapping.
    unsafe { Cr0::update(|flags| flags.insert(Cr0Flags::WRITE_PROTECT)) }
}

/// Drops all translations of this CPU at every VMPL: the levels share one address space
/// identifier, and a lower level may use global pages, which only a change of CR4.PGE drops.
pub(crate) fn flush_all() {
    // SAFETY: the kernel maps nothing global, so the bit has no other meaning to it.
    unsafe {
        Cr4::update(|flags| flags.toggle(Cr4Flags::PAGE_GLOBAL));
        Cr4::update(|flags| flags.toggle(Cr4Flags::PAGE_GLOBAL));
    }
}

/// Drops all translations at every VMPL of every CPU: INVLPGB for the whole address space
/// identifier, global pages included, then TLBSYNC to wait for it.
///
/// The CPUID page must offer them.
pub(crate) fn flush_every_cpu() {
    // SAFETY: translations are dropped and nothing else; they are read again from tables that
    // are whole.
    unsafe { instructions::invlpgb_all() }
}

/// Sleeps until the host runs this level again. With interrupts off nothing else wakes it but an
/// NMI, which says nothing either.
pub(crate) fn halt() {
    // SAFETY: HLT leaves to the host and changes nothing. Memory may have changed after it.
    unsafe { asm!("hlt", options(nostack)) }
}

/// CR3 as it is.
pub(crate) fn page_tables() -> u64 {
    let (root, flags) = Cr3::read_raw();
    root.start_address().as_u64() | u64::from(flags)
}

/// The address of the last page fault.
pub(crate) fn fault_address() -> u64 {
    Cr2::read_raw()
}
