//! The run loop of each CPU: the guest's level, its exit, the request, the answer.
//!
//! A straight line: [`serve`] takes what the guest has asked and answers into its VMSA, [`run_vmpl`]
//! leaves to the guest. No scan; a lock that CPUs share, and a TLB flush, only where a request needs
//! it.

use core::convert::Infallible;

use monitor::fatal::Fatal;
use monitor::ghcb_client::run_vmpl;
use monitor::guest::Guest;
use monitor::services::Services;
use monitor::shared::{Server, Shared};
use monitor::svsm::request::{Next, is_waiting, serve};
use protocols::ghcb::RampartReason;
use protocols::snp::Vmpl;
use spin::Once;

use crate::arch::cpu;
use crate::mm::map_memory::MapMemory;
use crate::platform::KernelPlatform;

/// What all CPUs serve, and with what.
struct Service {
    /// The guest, and each vCPU's seat.
    shared: Shared<MapMemory>,
    /// Copied for each CPU.
    platform: KernelPlatform,
    /// The guest's level.
    level: Vmpl,
}

static SERVICE: Once<Service> = Once::new();

/// Hands the guest to all CPUs.
///
/// # Errors
/// [`Fatal`] when there is no memory for the CPUs' seats.
#[inline(never)]
pub(crate) fn share(
    platform: KernelPlatform,
    guest: Guest<MapMemory>,
    services: Services,
) -> Result<(), Fatal> {
    let level = guest.policy.guest;
    let shared =
        Shared::new(guest, services).map_err(|_| Fatal::new(RampartReason::OutOfMemory))?;
    SERVICE.call_once(|| Service {
        shared,
        platform,
        level,
    });
    Ok(())
}

/// Runs the guest on the CPU that has this APIC ID until it cannot go on.
pub(crate) fn run(apic_id: u32) -> Result<Infallible, Fatal> {
    let service = SERVICE.get().ok_or(Fatal::INTERNAL)?;
    let mut server = Server::new(&service.shared, apic_id).ok_or(Fatal::INTERNAL)?;
    let mut platform = service.platform.clone();
    loop {
        if serve(&mut server, &mut platform)? == Next::Park {
            if !service.shared.lock().vcpus.others_run(apic_id) {
                // Nobody is left who could make a VMSA runnable again.
                return Err(Fatal::new(RampartReason::GuestStopped));
            }
        } else {
            match run_vmpl(&mut platform, service.level) {
                // The guest makes a VMSA first and tells the host of it afterwards, and it may have
                // deleted this one a moment ago.
                Err(Fatal::Rampart(RampartReason::RunVmplFailed, _)) if !server.runs_startup() => {}
                ran => {
                    ran?;
                    continue;
                }
            }
        }
        // The host may have run a new VMSA since VMPL0 last looked, and left VMPL0 for it.
        if !is_waiting(&mut server, &mut platform)? {
            cpu::halt();
        }
    }
}
