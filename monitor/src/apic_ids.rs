//! Which vCPUs the virtual machine has: the host's list of APIC IDs (AMD
//! publication 56421, exit 0x80000017). All of it is the host's word (threat 47).

use alloc::vec::Vec;

use protocols::addr::Gpa;
use protocols::ghcb::{ExitCode, Ghcb, GhcbField, RampartReason};

use crate::fatal::Fatal;
use crate::ghcb_client::{answered, exchange};
use crate::platform::Host;

/// The most vCPUs that a virtual machine may have here.
pub const MAX_VCPUS: usize = 512;

/// Bytes of the longest list: the count, and an ID for each vCPU.
pub const LIST_BYTES: usize = (MAX_VCPUS + 1) * ID_BYTES;

/// Every processor, to x2APIC, and so no one's ID (APM volume 2, section 16.9).
const BROADCAST: u32 = u32::MAX;

const ID_BYTES: usize = size_of::<u32>();
/// Pages that the list gets: [`LIST_BYTES`] fit in one.
const PAGES: u64 = 1;
const _: () = assert!(LIST_BYTES <= 4096);

/// Lets the host write its list to a page that is shared with it.
///
/// # Errors
/// [`Fatal`] when the host answers wrongly, or says that one page is too small.
pub fn ask<H: Host + ?Sized>(host: &mut H, ghcb: &mut Ghcb, page: Gpa) -> Result<(), Fatal> {
    ghcb.begin(ExitCode::GET_APIC_IDS, page.get(), 0);
    ghcb.set(GhcbField::RAX, PAGES);
    exchange(host, ghcb, 0)?;
    // Pages that the list takes: with more than were given, nothing was written.
    match answered(ghcb, GhcbField::RAX)? {
        PAGES => Ok(()),
        pages => Err(malformed(pages)),
    }
}

/// The APIC IDs in a copy of the list, the boot processor's first.
///
/// # Errors
/// [`Fatal`] with ApicIdListMalformed for a list that is empty, longer than `vp_count`
/// or [`MAX_VCPUS`], has an ID twice or one that is none, or has not the boot
/// processor's. A shorter list is taken: so many vCPUs are used.
pub fn parse(list: &[u8], boot: u32, vp_count: u32) -> Result<Vec<u32>, Fatal> {
    let mut words = list
        .chunks_exact(ID_BYTES)
        .filter_map(|bytes| <[u8; ID_BYTES]>::try_from(bytes).ok())
        .map(u32::from_le_bytes);
    let said = words.next().ok_or(malformed(0))?;
    let count = usize::try_from(said).map_err(|_| malformed(said.into()))?;
    if said > vp_count || count > MAX_VCPUS {
        return Err(malformed(said.into()));
    }
    let mut ids = Vec::new();
    ids.try_reserve_exact(count)
        .map_err(|_| Fatal::new(RampartReason::OutOfMemory))?;
    ids.extend(words.take(count));
    if ids.len() != count {
        return Err(malformed(said.into()));
    }
    ids.sort_unstable();
    if let Some([twice, _]) = ids.array_windows().find(|[a, b]| a == b) {
        return Err(malformed(u64::from(*twice)));
    }
    if ids.last() == Some(&BROADCAST) {
        return Err(malformed(BROADCAST.into()));
    }
    match ids.binary_search(&boot) {
        Ok(at) => {
            if let Some(up_to_boot) = ids.get_mut(..=at) {
                up_to_boot.rotate_right(1);
            }
            Ok(ids)
        }
        Err(_) => Err(malformed(u64::from(boot))),
    }
}

fn malformed(detail: u64) -> Fatal {
    Fatal::with_detail(RampartReason::ApicIdListMalformed, detail)
}

#[cfg(test)]
mod tests;
