//! stage2's way to the host and to the two RMP instructions, as the monitor wants them.

use core::sync::atomic::{AtomicBool, Ordering};

use monitor::platform::{Host, PvalidateOutcome, Rmp, RmpadjustFail};
use protocols::addr::{Gpa, GpaPage, PageSize};
use protocols::boot::layout::{BOOT_GHCB, SHARED_ALIAS};
use protocols::ghcb::Ghcb;
use protocols::snp::{Rights, RmpResult, Vmpl};

use crate::ghcb_page::GhcbPage;
use crate::instructions;

/// Whether the boot GHCB page can be used, for an exception that has no [`Machine`] at hand.
static GHCB_IN_USE: AtomicBool = AtomicBool::new(false);

/// The boot CPU. One value exists; what it does is counted for the hand-off.
#[derive(Debug)]
pub(crate) struct Machine {
    ghcb: Option<GhcbPage>,
    /// Exits to the host.
    pub(crate) exits: u32,
    /// PVALIDATE instructions.
    pub(crate) pvalidates: u32,
}

impl Machine {
    /// The machine as the entry code leaves it: one exit made, no GHCB yet.
    pub(crate) const fn new() -> Self {
        Self {
            ghcb: None,
            exits: 1,
            pvalidates: 0,
        }
    }

    /// Takes the boot GHCB page into use, which the host has agreed to share and to register.
    pub(crate) fn use_ghcb(&mut self) {
        // SAFETY: the page at BOOT_GHCB is shared by now, nothing else uses it, and the measured
        // tables map it with C = 0 at the alias.
        self.ghcb = Some(unsafe { GhcbPage::new(BOOT_GHCB, BOOT_GHCB + SHARED_ALIAS) });
        GHCB_IN_USE.store(true, Ordering::Relaxed);
    }

    /// The machine for one last line before the end, if a GHCB page is in use. Whoever used it
    /// before has been interrupted for good.
    pub(crate) fn for_last_words() -> Option<Self> {
        let mut machine = Self::new();
        GHCB_IN_USE.swap(false, Ordering::Relaxed).then(|| {
            machine.use_ghcb();
            machine
        })
    }

    /// Whether a GHCB page is in use.
    pub(crate) const fn has_ghcb(&self) -> bool {
        self.ghcb.is_some()
    }
}

impl Host for Machine {
    fn msr_request(&mut self, request: u64) -> u64 {
        self.exits = self.exits.saturating_add(1);
        // SAFETY: the monitor makes requests of the MSR protocol.
        unsafe { instructions::msr_protocol(request) }
    }

    /// Without a page nothing is asked, and the untouched request is no valid answer.
    fn page_request(&mut self, ghcb: &mut Ghcb, buffer: usize) {
        match &mut self.ghcb {
            Some(page) => {
                self.exits = self.exits.saturating_add(1);
                page.exchange(ghcb, buffer);
            }
            None => ghcb.clear_valid(),
        }
    }

    fn ghcb_gpa(&self) -> Gpa {
        Gpa::new(BOOT_GHCB)
    }
}

impl Rmp for Machine {
    fn pvalidate(&mut self, page: GpaPage, validate: bool) -> PvalidateOutcome {
        self.pvalidates = self.pvalidates.saturating_add(1);
        let huge = page.size() == PageSize::Size2M;
        // SAFETY: stage2 validates the kernel area only, which is identity-mapped and which nothing
        // uses before it is validated and zeroed.
        let raw = unsafe { instructions::pvalidate(page.gpa().get(), huge, validate) };
        match (raw.eax, raw.unchanged) {
            (0, false) => PvalidateOutcome::Changed,
            (0, true) => PvalidateOutcome::Unchanged,
            (code, _) => PvalidateOutcome::Fail(RmpResult(code)),
        }
    }

    /// stage2 gives no rights away.
    fn rmpadjust(
        &mut self,
        _page: GpaPage,
        _target: Vmpl,
        _rights: Rights,
        _vmsa: bool,
    ) -> Result<(), RmpadjustFail> {
        Err(RmpadjustFail::Fault)
    }
}
