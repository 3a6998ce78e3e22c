//! What belongs to one CPU, found through GS: its descriptors, its stacks, its GHCB page.

use core::arch::asm;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use spin::{Mutex, Once};
use x86_64::VirtAddr;
use x86_64::registers::model_specific::GsBase;

use super::descriptors::{Descriptors, IST_COUNT};
use super::stacks;
use crate::mm::ghcb_page::GhcbPage;

/// One CPU's own data. GS points at it: of the boot CPU from [`install`] on, of another from its
/// first instruction, because its VMSA says so.
#[repr(C)]
pub(crate) struct PerCpu {
    /// This value's own address, read as `gs:[0]`.
    this: AtomicU64,
    /// The CPU's GHCB page, once it is registered. The lock is none between CPUs: it is
    /// the guard against re-entry on this one (threat 20), so it is only ever tried.
    pub ghcb: Once<Mutex<GhcbPage>>,
    /// The page's address, readable while the page is in use; 0 before there is one.
    pub ghcb_gpa: AtomicU64,
    /// GDT and TSS.
    pub descriptors: Descriptors,
    /// How often it has used PVALIDATE.
    pub pvalidates: AtomicU32,
    /// Whether its entry code has run.
    pub started: AtomicBool,
    /// What a CPU other than the boot CPU was made with.
    pub ap: Option<Ap>,
}

/// A CPU that the firmware starts itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ap {
    /// The vCPU that its VMSA was made for.
    pub apic_id: u32,
    /// Its GHCB page, which it has to register.
    pub ghcb: u64,
    /// Tops of its interrupt stacks.
    pub interrupt_stacks: [u64; IST_COUNT],
}

static BOOT_CPU: PerCpu = PerCpu::new(None);

/// Whether a CPU other than the boot CPU may run.
static SEVERAL: AtomicBool = AtomicBool::new(false);

impl PerCpu {
    /// A CPU that has not started yet.
    pub(crate) const fn new(ap: Option<Ap>) -> Self {
        Self {
            this: AtomicU64::new(0),
            ghcb: Once::new(),
            ghcb_gpa: AtomicU64::new(0),
            descriptors: Descriptors::new(),
            pvalidates: AtomicU32::new(0),
            started: AtomicBool::new(false),
            ap,
        }
    }

    /// Makes the data what GS may point at, and returns the address for it.
    pub(crate) fn seal(&'static self) -> u64 {
        let address = ptr::from_ref(self).expose_provenance() as u64;
        self.this.store(address, Ordering::Relaxed);
        address
    }

    /// Tops of the stacks that the TSS names.
    pub(crate) fn interrupt_stacks(&self) -> [u64; IST_COUNT] {
        match &self.ap {
            Some(ap) => ap.interrupt_stacks,
            None => core::array::from_fn(stacks::ist_top),
        }
    }
}

/// Lets GS of the boot CPU point at its data. Comes before everything that asks for [`this`].
pub(crate) fn install() {
    GsBase::write(VirtAddr::new_truncate(BOOT_CPU.seal()));
}

/// From now on other CPUs may run.
pub(crate) fn others_may_run() {
    SEVERAL.store(true, Ordering::SeqCst);
}

/// Whether other CPUs may run.
pub(crate) fn several() -> bool {
    SEVERAL.load(Ordering::SeqCst)
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
    // SAFETY: `install` is the first thing that `kernel_main` does, and the VMSA of another CPU
    // is made with the address that `seal` returned; from then on GS points at a static `PerCpu`,
    // whose first field is its own address, and nothing writes GS again.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) address, options(nostack, preserves_flags, readonly));
        &*ptr::with_exposed_provenance(address)
    }
}
