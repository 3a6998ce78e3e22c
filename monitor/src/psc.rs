//! Page-state changes: asking the host to give pages to the guest or take them.
//!
//! What the host answers is only progress through a list. It is copied, checked
//! against what was asked, and loops are bounded; that a page really is private
//! is PVALIDATE's to say, never the host's (threat 7).

use protocols::addr::{Gpa, GpaPage};
use protocols::ghcb::{
    ExitCode, Ghcb, GhcbField, MsrRequest, MsrResponse, PSC_MAX_ENTRIES, PscEntry, PscHeader,
    PscOperation, PscResult, RampartReason,
};
use zerocopy::{FromBytes, IntoBytes};

use crate::fatal::Fatal;
use crate::ghcb_client;
use crate::platform::Host;

/// Exits without any progress in a row that a host may take before the virtual
/// machine ends: an honest one may be interrupted, and then goes on.
const MAX_IDLE_EXITS: u32 = 64;

/// Asks for the same change of all `pages`, as many in one exit as the GHCB holds.
///
/// # Errors
/// [`Fatal`] when the host reports an error, goes backwards, answers with another
/// list than it was given, or makes no progress; also when it refuses to take a
/// page back (threat 8).
pub fn change<H: Host + ?Sized>(
    host: &mut H,
    ghcb: &mut Ghcb,
    pages: impl Iterator<Item = GpaPage> + Clone,
    operation: PscOperation,
) -> Result<(), Fatal> {
    let mut rest = pages;
    loop {
        let batch = rest.clone().take(PSC_MAX_ENTRIES);
        let Some(last) = batch.clone().count().checked_sub(1) else {
            return Ok(());
        };
        change_batch(host, ghcb, batch, last, operation)?;
        // `nth` consumes that element too.
        rest.nth(last);
    }
}

/// Asks for the change of one 4 KiB page by the MSR protocol: needs no GHCB page.
///
/// # Errors
/// [`Fatal`] when the host refuses or gives another answer.
pub fn change_by_msr<H: Host + ?Sized>(
    host: &mut H,
    page: Gpa,
    operation: PscOperation,
) -> Result<(), Fatal> {
    let request = MsrRequest::PageStateChange {
        gfn: page.pfn(),
        operation,
    };
    match ghcb_client::msr(host, request) {
        MsrResponse::PageStateChange { error: 0 } => Ok(()),
        MsrResponse::PageStateChange { error } => Err(Fatal::with_detail(
            RampartReason::PageStateChangeRefused,
            u64::from(error),
        )),
        other => Err(ghcb_client::wrong_answer(other)),
    }
}

/// How far the host is: the next entry, and the next 4 KiB page within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Progress {
    entry: u16,
    page: u16,
}

fn change_batch<H: Host + ?Sized>(
    host: &mut H,
    ghcb: &mut Ghcb,
    batch: impl Iterator<Item = GpaPage> + Clone,
    last: usize,
    operation: PscOperation,
) -> Result<(), Fatal> {
    let last = u16::try_from(last).map_err(|_| Fatal::INTERNAL)?;
    let mut at = Progress::default();
    let mut idle = 0u32;
    while at.entry <= last {
        ghcb.begin(ExitCode::PAGE_STATE_CHANGE, 0, 0);
        let used = write_list(ghcb, batch.clone(), last, at, operation)?;
        ghcb.set(GhcbField::SCRATCH, ghcb_client::shared_buffer(host)?);
        let result = PscResult(ghcb_client::exchange(host, ghcb, used)?);
        if !result.is_success() {
            return Err(Fatal::with_detail(
                RampartReason::PageStateChangeRefused,
                result.0,
            ));
        }
        let next = read_progress(ghcb, last)?;
        if next < at {
            return Err(Fatal::with_detail(
                RampartReason::PageStateChangeNoProgress,
                next.entry.into(),
            ));
        }
        idle = if next == at {
            idle.saturating_add(1)
        } else {
            0
        };
        if idle > MAX_IDLE_EXITS {
            return Err(Fatal::with_detail(
                RampartReason::PageStateChangeNoProgress,
                next.entry.into(),
            ));
        }
        at = next;
    }
    Ok(())
}

/// Writes the list anew for every exit: what the host left in the buffer is never
/// sent back to it, but for its progress. Returns the bytes used.
fn write_list(
    ghcb: &mut Ghcb,
    batch: impl Iterator<Item = GpaPage>,
    last: u16,
    at: Progress,
    operation: PscOperation,
) -> Result<usize, Fatal> {
    let header = PscHeader {
        cur_entry: at.entry,
        end_entry: last,
        reserved: 0,
    };
    let (place, mut rest) = split(&mut ghcb.shared_buffer, size_of::<PscHeader>())?;
    place.copy_from_slice(header.as_bytes());
    let mut used = size_of::<PscHeader>();
    for (index, page) in batch.enumerate() {
        let entry = PscEntry::new(page, operation).ok_or(Fatal::INTERNAL)?;
        let done = if index == usize::from(at.entry) {
            at.page
        } else {
            0
        };
        let (place, after) = split(rest, size_of::<PscEntry>())?;
        place.copy_from_slice(entry.with_cur_page(done).as_bytes());
        rest = after;
        used = used.saturating_add(size_of::<PscEntry>());
    }
    Ok(used)
}

fn split(bytes: &mut [u8], at: usize) -> Result<(&mut [u8], &mut [u8]), Fatal> {
    bytes.split_at_mut_checked(at).ok_or(Fatal::INTERNAL)
}

/// The progress that the answer shows. The page counts in a 2 MiB entry only; a
/// host that finished an entry has moved on to the next.
fn read_progress(ghcb: &Ghcb, last: u16) -> Result<Progress, Fatal> {
    let wrong =
        |value: u16| Fatal::with_detail(RampartReason::PageStateChangeNoProgress, value.into());
    let (header, _) =
        PscHeader::read_from_prefix(&ghcb.shared_buffer).map_err(|_| Fatal::INTERNAL)?;
    let beyond = last.checked_add(1).ok_or(Fatal::INTERNAL)?;
    if header.end_entry != last || header.cur_entry > beyond {
        return Err(wrong(header.cur_entry));
    }
    let entry = header.cur_entry;
    if entry == beyond {
        return Ok(Progress { entry, page: 0 });
    }
    let raw = PscHeader::entry_offset(usize::from(entry))
        .and_then(|offset| ghcb.shared_buffer.get(offset..))
        .and_then(|bytes| PscEntry::read_from_prefix(bytes).ok())
        .map(|(raw, _)| raw)
        .ok_or(Fatal::INTERNAL)?;
    if raw.cur_page() > PAGES_PER_LARGE_ENTRY {
        return Err(wrong(raw.cur_page()));
    }
    Ok(Progress {
        entry,
        page: raw.cur_page(),
    })
}

const PAGES_PER_LARGE_ENTRY: u16 = 512;

#[cfg(test)]
mod tests;
