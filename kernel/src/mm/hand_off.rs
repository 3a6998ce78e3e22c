//! Taking over from stage2: the hand-off is copied once and checked, then everything that it
//! names is taken into use, and stage2's mapping is gone.

use core::sync::atomic::{AtomicBool, Ordering};

use monitor::fatal::Fatal;
use protocols::addr::GpaRange;
use protocols::boot::HandOff;
use protocols::boot::layout::{BOOT_GHCB, C_BIT, KERNEL_AREA, LAUNCH_AREA};
use protocols::ghcb::termination::RampartReason;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::ghcb_page::GhcbPage;
use super::layout::{OWN_BASE, PAGE_4K, SHARED_BASE};
use super::raw;
use super::space::KernelSpace;
use crate::arch::percpu;

static RECEIVED: AtomicBool = AtomicBool::new(false);

/// Copies and checks the hand-off at virtual address `address`, takes over the page tables, the
/// free memory and the boot CPU's GHCB page.
///
/// # Errors
/// [`Fatal`] with `HandOffMalformed`; also on a second call.
pub(crate) fn receive(address: u64) -> Result<(HandOff, KernelSpace), Fatal> {
    let malformed = Fatal::new(RampartReason::HandOffMalformed);
    let inside = address
        .checked_sub(OWN_BASE)
        .and_then(|gpa| GpaRange::new(protocols::addr::Gpa::new(gpa), PAGE_4K))
        .is_some_and(|range| KERNEL_AREA.contains_range(range));
    if !inside || !address.is_multiple_of(PAGE_4K) || RECEIVED.swap(true, Ordering::Relaxed) {
        return Err(malformed);
    }
    let mut hand_off = HandOff::new_zeroed();
    let from = core::ptr::with_exposed_provenance(address as usize);
    let to = hand_off.as_mut_bytes();
    // SAFETY: the address is a page of the kernel area, which stage2 has mapped; `to` is local.
    unsafe { raw::copy(to.as_mut_ptr(), from, to.len()) };

    if hand_off.check().is_err() || hand_off.c_bit != C_BIT || hand_off.boot_ghcb != BOOT_GHCB {
        return Err(malformed);
    }
    let free = hand_off.free.range().ok_or(malformed)?;
    // SAFETY: stage2 shared and registered this page and mapped it there; `RECEIVED` makes this
    // the only value for it.
    percpu::set_ghcb(unsafe { GhcbPage::new(BOOT_GHCB, SHARED_BASE + BOOT_GHCB) });
    // SAFETY: `RECEIVED` makes this the first call; `free` was checked to be unused own memory.
    let space = unsafe { KernelSpace::take_over(hand_off.page_table_root, free, 1 << C_BIT) }
        .map_err(|_| Fatal::new(RampartReason::OutOfMemory))?;
    Ok((hand_off, space))
}

/// A page of the launch area, copied; pages there are read-only.
///
/// `None` outside the launch area. A page that the launch did not load is a #VC, which ends the
/// machine.
pub(crate) fn launched<T: FromBytes>(gpa: u64) -> Option<T> {
    T::read_from_bytes(launched_bytes(GpaRange::new(
        protocols::addr::Gpa::new(gpa),
        size_of::<T>() as u64,
    )?)?)
    .ok()
}

/// Bytes of the launch area, which nobody writes but `take_key`, once. `None` outside of it.
pub(crate) fn launched_bytes(range: GpaRange) -> Option<&'static [u8]> {
    if !LAUNCH_AREA.contains_range(range) {
        return None;
    }
    let start = core::ptr::with_exposed_provenance((OWN_BASE + range.start().get()) as usize);
    // SAFETY: stage2 has mapped the launch area read-only and private for good: a host that takes a
    // page away causes a #VC and no other value. VMPL0 itself writes there once, to wipe its keys in
    // the secrets page (`take_key`), when the reference to them has been used for the last time; every
    // other reader of that page copies it (`launched`). The pages that are shared for messages and
    // transfers lie behind all payloads (`ImageHeader::check`), where no caller's range reaches.
    Some(unsafe { core::slice::from_raw_parts(start, range.len() as usize) })
}
