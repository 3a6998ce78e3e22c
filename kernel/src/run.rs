//! The run loop: the guest's level, its exit, the request, the answer.
//!
//! A straight line: [`run_vmpl`] leaves to the guest, [`serve`] takes what it asks and answers into
//! its VMSA. No lock, no scan, no TLB flush but where a request needs it.

use core::convert::Infallible;

use monitor::fatal::Fatal;
use monitor::ghcb_client::run_vmpl;
use monitor::guest::Guest;
use monitor::svsm::request::{Next, serve};
use protocols::ghcb::RampartReason;

use crate::mm::map_memory::MapMemory;
use crate::platform::KernelPlatform;

/// Runs the guest on this vCPU until it cannot go on.
pub(crate) fn run(
    platform: &mut KernelPlatform,
    guest: &mut Guest<MapMemory>,
    apic_id: u32,
) -> Result<Infallible, Fatal> {
    loop {
        run_vmpl(platform, guest.policy.guest)?;
        match serve(guest, platform, apic_id)? {
            Next::Enter => {}
            // There is one vCPU, so nobody is left who could make its VMSA runnable again.
            Next::Park => return Err(Fatal::new(RampartReason::GuestStopped)),
        }
    }
}
