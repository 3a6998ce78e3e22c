//! Control registers: read-only means read-only for the kernel too, and interrupts stay off.

use x86_64::registers::control::{Cr0, Cr0Flags, Cr2, Cr4, Cr4Flags};

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

/// The address of the last page fault.
pub(crate) fn fault_address() -> u64 {
    Cr2::read_raw()
}
