//! A line that is missing in Linux (seen in 7.3), on request.
//!
//! A CPU that goes offline marks its GHCB as used, asks for the AP reset hold with
//! it and never returns from there: under SNP it comes online again by AP creation,
//! with a new VMSA. Nobody takes the mark away. The first time online, Linux goes
//! on with the backup of the GHCB; the second time both are "in use" and it
//! panics, with an SVSM and without one. No real host could mend that. The
//! emulated machine can, and so its tests show that the rest works again and again.

use crate::machine::Machine;
use crate::mem::phys;
use crate::processor::vcpu::Waiting;
use crate::report::console::println;

/// The mark's offset from the GHCB: behind it and its backup, a page each.
const GHCB_ACTIVE: u64 = 0x2000;

/// The vCPU that is being served gets a new VMSA at this level.
pub(super) fn start_over(machine: &mut Machine, level: u8) {
    if !machine.host.releases_ghcbs || machine.vcpu.waiting != Some(Waiting::ResetHold) {
        return;
    }
    let held = machine
        .vcpu
        .levels
        .get(usize::from(level))
        .map(|state| state.ghcb_msr)
        .filter(|ghcb| ghcb % 0x1000 == 0);
    let mark = held.and_then(|ghcb| machine.memory.spa(ghcb.checked_add(GHCB_ACTIVE)?));
    if let Some(spa) = mark
        && machine.memory.rmp_entry(spa).is_validated()
        && phys::read::<u8>(spa) == 1
    {
        println!("a GHCB that Linux holds is released in its place");
        phys::write(spa, 0u8);
    }
}
