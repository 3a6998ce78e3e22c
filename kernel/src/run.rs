//! The run loop of each CPU: the guest's level, its exit, the request, the answer.
//!
//! A straight line: [`serve`] takes what the guest has asked and answers into its VMSA, [`run_vmpl`]
//! leaves to the guest. No scan, and no TLB flush but where a request needs it.

use core::convert::Infallible;

use monitor::fatal::Fatal;
use monitor::ghcb_client::run_vmpl;
use monitor::guest::Guest;
use monitor::svsm::request::{Next, serve};
use protocols::ghcb::RampartReason;
use protocols::snp::Vmpl;
use spin::{Mutex, Once};

use crate::arch::{cpu, percpu};
use crate::mm::map_memory::MapMemory;
use crate::platform::KernelPlatform;

/// What all CPUs serve.
struct Shared {
    /// A request is served with this lock held, from the look at the caller's VMSA to its answer.
    guest: Mutex<Guest<MapMemory>>,
    /// Copied for each CPU.
    platform: KernelPlatform,
    /// The guest's level.
    level: Vmpl,
}

static SHARED: Once<Shared> = Once::new();

/// Hands the guest to all CPUs.
#[inline(never)]
pub(crate) fn share(platform: KernelPlatform, guest: Guest<MapMemory>) {
    SHARED.call_once(|| Shared {
        level: guest.policy.guest,
        guest: Mutex::new(guest),
        platform,
    });
}

/// Runs the guest on the CPU that has this APIC ID until it cannot go on.
pub(crate) fn run(apic_id: u32) -> Result<Infallible, Fatal> {
    let shared = SHARED.get().ok_or(Fatal::INTERNAL)?;
    let mut platform = shared.platform.clone();
    let is_boot_cpu = percpu::this().ap.is_none();
    loop {
        if serve_one(shared, &mut platform, apic_id)? == Next::Park {
            cpu::halt();
            continue;
        }
        match run_vmpl(&mut platform, shared.level) {
            // The guest makes a VMSA first and tells the host of it afterwards. Whoever comes here
            // in between was called without need.
            Err(Fatal::Rampart(RampartReason::RunVmplFailed, _)) if !is_boot_cpu => cpu::halt(),
            ran => ran?,
        }
    }
}

/// Serves what the guest asks on this CPU, if it asks.
fn serve_one(shared: &Shared, platform: &mut KernelPlatform, apic_id: u32) -> Result<Next, Fatal> {
    let mut guest = shared.guest.lock();
    let next = serve(&mut guest, platform, apic_id)?;
    if next == Next::Park && !guest.vcpus.others_run(apic_id) {
        // Nobody is left who could make a VMSA runnable again.
        return Err(Fatal::new(RampartReason::GuestStopped));
    }
    Ok(next)
}
