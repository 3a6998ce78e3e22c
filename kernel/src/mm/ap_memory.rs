//! The memory of the CPUs but the boot CPU, behind the page map: stacks above unmapped pages, a VMSA
//! page and a GHCB page for each, and the page tables for them. Reserved for as many as the host says
//! that there are, and brought up for those that are started.

use monitor::ap::{seal_vmsa, share};
use monitor::fatal::Fatal;
use monitor::sizing::{AP_EXCEPTION_PAGES, AP_NMI_PAGES, AP_STACK_PAGES, SLOT_PAGES, ap_pages};
use protocols::addr::{Gpa, GpaPage, GpaRange, PAGE_2M};
use protocols::ghcb::{Ghcb, RampartReason};
use protocols::snp::Vmsa;
use zerocopy::IntoBytes;

use super::ghcb_page::GhcbPage;
use super::layout::{AP_STACK_BASE, OWN_BASE, PAGE_4K, SHARED_BASE};
use super::own_pages::{OwnPages, bring_up};
use super::paging::{FrameSource, PagingError};
use super::raw;
use super::space::KernelSpace;
use crate::arch::descriptors::{IST_COUNT, Ist};
use crate::ghcb::Transport;

/// Address space of a CPU's stacks.
const SLOT: u64 = SLOT_PAGES * PAGE_4K;

/// What is reserved for the CPUs but the boot CPU, and not taken yet.
#[derive(Debug)]
pub(crate) struct ApPages {
    next: u64,
    /// End of what was brought up.
    up_to: u64,
    end: u64,
    touch: bool,
}

impl ApPages {
    /// The memory `[range)`, whose bounds are multiples of 2 MiB and which nothing else uses.
    /// `touch` says whether validated pages need a touch (threat 11).
    pub(crate) fn new(range: GpaRange, touch: bool) -> Self {
        Self {
            next: range.start().get(),
            up_to: range.start().get(),
            end: range.end().get(),
            touch,
        }
    }

    /// Brings up what so many CPUs need that have nothing yet, in one page-state change.
    ///
    /// # Errors
    /// [`Fatal`] when that is more than was reserved, or the host does not play along.
    pub(crate) fn bring_up(&mut self, space: &mut KernelSpace, cpus: u64) -> Result<(), Fatal> {
        let need = ap_pages(cpus)
            .checked_mul(PAGE_4K)
            .and_then(|bytes| self.next.checked_add(bytes))
            .and_then(|end| end.checked_next_multiple_of(PAGE_2M))
            .ok_or(Fatal::INTERNAL)?
            .clamp(self.up_to, self.end);
        let (start, end) = (Gpa::new(self.up_to), Gpa::new(need));
        let range = GpaRange::from_bounds(start, end).ok_or(Fatal::INTERNAL)?;
        bring_up(space, range, self.touch)?;
        self.up_to = need;
        Ok(())
    }
}

impl FrameSource for ApPages {
    fn take_zeroed(&mut self) -> Option<u64> {
        let frame = self.next;
        if frame >= self.up_to {
            return None;
        }
        self.next = frame.checked_add(PAGE_4K)?;
        Some(frame)
    }
}

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
    /// Memory for the CPU of that index, counted from 0, out of what was brought up, mapped; the
    /// GHCB page is not shared yet.
    ///
    /// # Errors
    /// [`Fatal`] when there is not enough of it.
    pub(crate) fn take(
        pages: &mut ApPages,
        space: &mut KernelSpace,
        index: u64,
    ) -> Result<Self, Fatal> {
        Self::map(pages, space, index).map_err(|_| Fatal::new(RampartReason::OutOfMemory))
    }

    fn map(pages: &mut ApPages, space: &mut KernelSpace, index: u64) -> Result<Self, PagingError> {
        let mut va = index
            .checked_mul(SLOT)
            .and_then(|offset| AP_STACK_BASE.checked_add(offset))
            .ok_or(PagingError::BadAddress)?;
        let mut stack = |pages: &mut ApPages, count: u64| -> Result<u64, PagingError> {
            // A page that stays unmapped.
            va += PAGE_4K;
            for _ in 0..count {
                let page = pages.take_zeroed().ok_or(PagingError::OutOfFrames)?;
                space.map_private(va, page, pages)?;
                va += PAGE_4K;
            }
            Ok(va)
        };
        let main = stack(pages, AP_STACK_PAGES)?;
        let mut interrupt_stacks = [stack(pages, AP_EXCEPTION_PAGES)?; IST_COUNT];
        if let Some(nmi) = interrupt_stacks.get_mut(Ist::Nmi as usize) {
            *nmi = stack(pages, AP_NMI_PAGES)?;
        }
        let mut take = || pages.take_zeroed().ok_or(PagingError::OutOfFrames);
        let (mut vmsa, mut ghcb) = (take()?, take()?);
        if vmsa.is_multiple_of(PAGE_2M) {
            (vmsa, ghcb) = (ghcb, vmsa);
        }
        space.map_shared(SHARED_BASE + ghcb, ghcb, pages)?;
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
