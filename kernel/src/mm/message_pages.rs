//! The pages of guest messages: shared with the host, reached by copy only.

use core::sync::atomic::{AtomicBool, Ordering};

use monitor::fatal::Fatal;
use monitor::guest_message::Page;
use monitor::platform::{CERTIFICATE_BYTES, MessageGpas, MessagePages};
use monitor::psc;
use protocols::addr::{Gpa, GpaPage, GpaRange, PageSize};
use protocols::boot::layout::{MESSAGE_PAGES, MESSAGE_PAGES_SIZE, SECRETS_PAGE};
use protocols::ghcb::{Ghcb, PscOperation, RampartReason};
use protocols::snp::{SecretsPage, VMPCK_SIZE, Vmpl};

use super::hand_off::launched_bytes;
use super::layout::{PAGE_4K, SHARED_BASE};
use super::raw;
use super::space::KernelSpace;
use crate::ghcb::Transport;

const REQUEST: u64 = MESSAGE_PAGES;
const RESPONSE: u64 = MESSAGE_PAGES + PAGE_4K;
const CERTIFICATES: u64 = MESSAGE_PAGES + 2 * PAGE_4K;
const _: () = assert!(2 * PAGE_4K + CERTIFICATE_BYTES as u64 == MESSAGE_PAGES_SIZE);

static SHARED: AtomicBool = AtomicBool::new(false);

/// The firmware's set of these pages. One value exists.
#[derive(Debug)]
pub(crate) struct Messages(());

impl Messages {
    /// Shares the pages with the host. The launch does not load them and nobody has validated them.
    ///
    /// # Errors
    /// [`Fatal`] when the host refuses; also on a second call.
    pub(crate) fn share(space: &mut KernelSpace, ghcb: &mut Ghcb) -> Result<Self, Fatal> {
        if SHARED.swap(true, Ordering::Relaxed) {
            return Err(Fatal::INTERNAL);
        }
        let pages = GpaRange::new(Gpa::new(MESSAGE_PAGES), MESSAGE_PAGES_SIZE)
            .ok_or(Fatal::INTERNAL)?
            .pages(PageSize::Size4K);
        psc::change(&mut Transport, ghcb, pages.clone(), PscOperation::SHARED)?;
        for page in pages.map(GpaPage::gpa) {
            space
                .map_shared_launched(SHARED_BASE + page.get(), page.get())
                .map_err(|_| Fatal::new(RampartReason::OutOfMemory))?;
        }
        Ok(Self(()))
    }
}

const fn at(gpa: u64) -> usize {
    (SHARED_BASE + gpa) as usize
}

fn read(gpa: u64, to: &mut [u8]) {
    let from = core::ptr::with_exposed_provenance(at(gpa));
    // SAFETY: `share` has mapped all of these pages, `to` is at most as long as those from `gpa` on,
    // and nothing refers to them.
    unsafe { raw::copy(to.as_mut_ptr(), from, to.len()) }
}

impl MessagePages for Messages {
    fn gpas(&self) -> MessageGpas {
        MessageGpas {
            request: Gpa::new(REQUEST),
            response: Gpa::new(RESPONSE),
            certificates: Gpa::new(CERTIFICATES),
        }
    }

    fn write_request(&mut self, from: &Page) {
        let to = core::ptr::with_exposed_provenance_mut(at(REQUEST));
        // SAFETY: as for `read`.
        unsafe { raw::copy(to, from.as_ptr(), from.len()) }
    }

    fn read_response(&mut self, to: &mut Page) {
        read(RESPONSE, to);
    }

    fn read_certificates(&mut self, to: &mut [u8; CERTIFICATE_BYTES]) {
        read(CERTIFICATES, to);
    }
}

/// Hands VMPL0's key to `take`, straight out of the secrets page: no copies of it are left on the
/// stack. In the page it is wiped afterwards, with the keys of all levels above the guest's.
///
/// # Errors
/// [`Fatal`] when the page is not there.
pub(crate) fn take_key<T>(
    space: &mut KernelSpace,
    guest: Vmpl,
    take: impl FnOnce(&[u8; VMPCK_SIZE]) -> T,
) -> Result<T, Fatal> {
    const KEYS: u64 = SECRETS_PAGE + core::mem::offset_of!(SecretsPage, vmpck) as u64;
    let missing = Fatal::new(RampartReason::SecretsPageMalformed);
    let key = GpaRange::new(Gpa::new(KEYS), VMPCK_SIZE as u64)
        .and_then(launched_bytes)
        .and_then(|bytes| bytes.as_array())
        .ok_or(missing)?;
    let taken = take(key);
    // Nobody else refers to the page: what reads it copies it.
    space
        .wipe_launched(KEYS, guest.index() * VMPCK_SIZE)
        .map_err(|_| missing)?;
    Ok(taken)
}
