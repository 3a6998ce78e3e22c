//! The memory of a CPU other than the boot CPU: stacks above unmapped pages, a VMSA page and a GHCB
//! page, all from the heap in one piece, so that it grows with the number of CPUs.

use monitor::ap::{seal_vmsa, share};
use monitor::fatal::Fatal;
use protocols::addr::{Gpa, GpaPage, PAGE_2M};
use protocols::ghcb::Ghcb;
use protocols::snp::Vmsa;
use zerocopy::IntoBytes;

use super::ghcb_page::GhcbPage;
use super::layout::{AP_STACK_BASE, OWN_BASE, PAGE_4K, SHARED_BASE};
use super::own_pages::OwnPages;
use super::paging::PagingError;
use super::space::KernelSpace;
use super::{heap, raw};
use crate::arch::descriptors::{IST_COUNT, Ist};
use crate::ghcb::Transport;

/// Pages of the stack of everything that is not an exception: a request, or the end with its line
/// in the log.
const STACK_PAGES: u64 = 8;
/// Pages of the stack of #VC. The vectors that never return share it.
const EXCEPTION_PAGES: u64 = 3;
/// Pages of the stack of NMI, which may interrupt #VC and does nothing.
const NMI_PAGES: u64 = 1;
/// Address space of a CPU's stacks.
const SLOT: u64 = 16 * PAGE_4K;
const _: () = assert!((STACK_PAGES + EXCEPTION_PAGES + NMI_PAGES + 3) * PAGE_4K <= SLOT);

/// A CPU's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApMemory {
    /// Top of the stack.
    pub stack: u64,
    /// Tops of the interrupt stacks.
    pub interrupt_stacks: [u64; IST_COUNT],
    /// The VMSA's page. Not a multiple of 2 MiB (threat 41).
    pub vmsa: GpaPage,
    /// The GHCB's page.
    pub ghcb: GpaPage,
}

impl ApMemory {
    /// Memory for the CPU of that index, counted from 0, mapped; the GHCB page is not shared yet.
    ///
    /// # Errors
    /// [`PagingError`], out of frames among them.
    pub(crate) fn take(space: &mut KernelSpace, index: u64) -> Result<Self, PagingError> {
        let pages = STACK_PAGES + EXCEPTION_PAGES + NMI_PAGES + 2;
        let base = heap::take_pages(pages as usize).ok_or(PagingError::OutOfFrames)?;
        let mut next = base;
        let mut va = index
            .checked_mul(SLOT)
            .and_then(|offset| AP_STACK_BASE.checked_add(offset))
            .ok_or(PagingError::BadAddress)?;
        let mut stack = |pages: u64| -> Result<u64, PagingError> {
            // A page that stays unmapped.
            va += PAGE_4K;
            for _ in 0..pages {
                space.map_private(va, next)?;
                (va, next) = (va + PAGE_4K, next + PAGE_4K);
            }
            Ok(va)
        };
        let main = stack(STACK_PAGES)?;
        let mut interrupt_stacks = [stack(EXCEPTION_PAGES)?; IST_COUNT];
        if let Some(nmi) = interrupt_stacks.get_mut(Ist::Nmi as usize) {
            *nmi = stack(NMI_PAGES)?;
        }
        let (mut vmsa, mut ghcb) = (next, next + PAGE_4K);
        if vmsa.is_multiple_of(PAGE_2M) {
            (vmsa, ghcb) = (ghcb, vmsa);
        }
        space.map_shared(SHARED_BASE + ghcb, ghcb)?;
        let page = |gpa| GpaPage::new_4k(Gpa::new(gpa)).ok_or(PagingError::BadAddress);
        Ok(Self {
            stack: main,
            interrupt_stacks,
            vmsa: page(vmsa)?,
            ghcb: page(ghcb)?,
        })
    }

    /// Writes the VMSA and makes the page one.
    ///
    /// # Errors
    /// [`Fatal`] when the processor refuses.
    pub(crate) fn make_vmsa(&self, vmsa: &Vmsa) -> Result<(), Fatal> {
        let to = (OWN_BASE + self.vmsa.gpa().get()) as usize;
        let from = vmsa.as_bytes();
        // SAFETY: the page was taken for this, is mapped at OWN_BASE, and nothing refers to it.
        unsafe {
            raw::copy(
                core::ptr::with_exposed_provenance_mut(to),
                from.as_ptr(),
                from.len(),
            );
        }
        seal_vmsa(&mut OwnPages, self.vmsa)
    }
}

/// Shares GHCB pages with the host. Their private mapping is not used any more.
///
/// # Errors
/// [`Fatal`] when processor or host refuse.
pub(crate) fn share_ghcbs(
    ghcb: &mut Ghcb,
    pages: impl Iterator<Item = GpaPage> + Clone,
) -> Result<(), Fatal> {
    share(&mut OwnPages, &mut Transport, ghcb, pages)
}

/// Copies the first bytes out of a page of [`share_ghcbs`].
pub(crate) fn read_shared(page: GpaPage, to: &mut [u8]) {
    let len = to.len().min(PAGE_4K as usize);
    let from = (SHARED_BASE + page.gpa().get()) as usize;
    // SAFETY: `ApMemory::take` has mapped the page; nothing refers to it; `to` is the caller's.
    unsafe {
        raw::copy(
            to.as_mut_ptr(),
            core::ptr::with_exposed_provenance(from),
            len,
        )
    }
}

/// This CPU's GHCB page, which it has registered.
///
/// # Safety
/// Called once for a page that was shared and that this CPU has registered.
pub(crate) unsafe fn registered(gpa: u64) -> GhcbPage {
    // SAFETY: the caller vouches for it; `ApMemory::take` has mapped the page there.
    unsafe { GhcbPage::new(gpa, SHARED_BASE + gpa) }
}
