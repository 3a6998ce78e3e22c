//! What belongs to one CPU, found through GS: its GHCB page.

use core::arch::asm;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};

use spin::{Mutex, Once};
use x86_64::VirtAddr;
use x86_64::registers::model_specific::GsBase;

use crate::mm::ghcb_page::GhcbPage;

/// One CPU's own data. GS points at it from [`install`] on.
#[repr(C)]
pub(crate) struct PerCpu {
    /// This value's own address, read as `gs:[0]`.
    this: AtomicU64,
    /// The CPU's GHCB page, once the hand-off has named it. The lock is none between CPUs: it is
    /// the guard against re-entry on this one (threat 20), so it is only ever tried.
    pub ghcb: Once<Mutex<GhcbPage>>,
    /// The page's address, readable while the page is in use; 0 before there is one.
    pub ghcb_gpa: AtomicU64,
}

static BOOT_CPU: PerCpu = PerCpu {
    this: AtomicU64::new(0),
    ghcb: Once::new(),
    ghcb_gpa: AtomicU64::new(0),
};

/// Lets GS of the boot CPU point at its data. Comes before everything that asks for [`this`].
pub(crate) fn install() {
    let address = ptr::from_ref(&BOOT_CPU).expose_provenance() as u64;
    BOOT_CPU.this.store(address, Ordering::Relaxed);
    GsBase::write(VirtAddr::new_truncate(address));
}

/// Gives this CPU its GHCB page, which is shared and registered.
pub(crate) fn set_ghcb(page: GhcbPage) {
    let cpu = this();
    cpu.ghcb_gpa.store(page.gpa(), Ordering::Relaxed);
    cpu.ghcb.call_once(|| Mutex::new(page));
}

/// This CPU's data.
pub(crate) fn this() -> &'static PerCpu {
    let address: usize;
    // SAFETY: `install` is the first thing that `kernel_main` does; from then on GS points at a
    // static `PerCpu`, whose first field is its own address, and nothing writes GS again.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) address, options(nostack, preserves_flags, readonly));
        &*ptr::with_exposed_provenance(address)
    }
}
