//! Lies in pages that the guest shares with the host, beside those of GHCBs and messages: what a
//! device has put there is wrong, or changes while the guest looks at it.

use snp_scenario::{Due, SharedLie};

use super::watch::{self, Kind, Until};
use crate::machine::Machine;
use crate::mem::phys;

const PAGE: u64 = 0x1000;

/// Writes to a page in the middle of whatever the guest does.
pub(super) fn poke(
    machine: &mut Machine,
    page: u64,
    offset: u16,
    value: u64,
) -> Result<(), &'static str> {
    let spa = machine.memory.shared(page, PAGE);
    phys::write(
        spa.ok_or("the page is not shared")? + u64::from(offset),
        value,
    );
    Ok(())
}

/// Spoils what an exit has brought. None: not told yet.
pub(super) fn spoil(machine: &mut Machine, due: Due, lie: SharedLie) -> Option<()> {
    let (SharedLie::Set { page, .. } | SharedLie::Rewrite { page, .. } | SharedLie::Watch(page)) =
        lie;
    let spa = machine.memory.shared(page, PAGE)?;
    let kind = match lie {
        SharedLie::Set { offset, value, .. } => {
            phys::write(spa + u64::from(offset), value);
            return Some(());
        }
        // Told when the guest has read.
        SharedLie::Rewrite { offset, value, .. } => Kind::flip(offset, value),
        SharedLie::Watch(_) => Kind::count(),
    };
    watch::add(machine, page, spa, Until::Exit, due, kind);
    None
}
