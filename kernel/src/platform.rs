//! The monitor's platform on this processor: its traits, done by instruction.
//!
//! Nothing is decided here. Guest pages are reached by the guest window only, the host by the
//! CPU's GHCB only.

use core::sync::atomic::Ordering;

use monitor::platform::{
    AccessFault, GuestMemory, Host, Log, PvalidateOutcome, Rmp, RmpadjustFail, VcpuControl,
};
use protocols::addr::{Gpa, GpaPage};
use protocols::ghcb::Ghcb;
use protocols::snp::{Rights, RmpAttributes, RmpResult, Vmpl};

use crate::arch::instructions::PvalidateRaw;
use crate::arch::{cpu, percpu};
use crate::console::print;
use crate::ghcb;
use crate::mm::window::GuestWindow;
use crate::mm::window_page::WindowPage;

/// This CPU's PVALIDATEs so far, for the log; of the boot CPU stage2's are among them.
pub(crate) fn pvalidates() -> u32 {
    percpu::this().pvalidates.load(Ordering::Relaxed)
}

/// Adds to the count of PVALIDATEs.
pub(crate) fn count_pvalidates(count: u32) {
    let so_far = pvalidates().wrapping_add(count);
    percpu::this().pvalidates.store(so_far, Ordering::Relaxed);
}

/// What the monitor makes of a PVALIDATE's registers.
pub(crate) fn outcome(raw: PvalidateRaw) -> PvalidateOutcome {
    count_pvalidates(1);
    match (raw.eax, raw.unchanged) {
        (0, false) => PvalidateOutcome::Changed,
        (0, true) => PvalidateOutcome::Unchanged,
        (code, _) => PvalidateOutcome::Fail(RmpResult(code)),
    }
}

/// A CPU as the monitor sees it. Each has a value of its own.
#[derive(Clone, Debug)]
pub(crate) struct KernelPlatform {
    window: GuestWindow,
}

impl KernelPlatform {
    pub(crate) fn new(window: GuestWindow) -> Self {
        Self { window }
    }
}

impl Rmp for KernelPlatform {
    fn pvalidate(&mut self, page: GpaPage, validate: bool) -> PvalidateOutcome {
        self.window
            .pvalidate(page, validate)
            .map_or(PvalidateOutcome::Fault, outcome)
    }

    fn rmpadjust(
        &mut self,
        page: GpaPage,
        target: Vmpl,
        rights: Rights,
        vmsa: bool,
    ) -> Result<(), RmpadjustFail> {
        let attributes = RmpAttributes::new(target, rights, vmsa);
        match self.window.rmpadjust(page, attributes.bits()) {
            Some(0) => Ok(()),
            Some(code) => Err(RmpadjustFail::Code(RmpResult(code))),
            None => Err(RmpadjustFail::Fault),
        }
    }
}

impl GuestMemory for KernelPlatform {
    type Page = WindowPage;

    fn page(&mut self, gpa: Gpa) -> Result<WindowPage, AccessFault> {
        self.window.page(gpa).ok_or(AccessFault(gpa))
    }

    fn load(&mut self, page: WindowPage, offset: usize) -> Result<u64, AccessFault> {
        page.load(offset).ok_or(page.fault())
    }

    fn store(&mut self, page: WindowPage, offset: usize, value: u64) -> Result<(), AccessFault> {
        page.store(offset, value).ok_or(page.fault())
    }

    fn read(&mut self, gpa: Gpa, to: &mut [u8]) -> Result<(), AccessFault> {
        self.window.read(gpa, to).ok_or(AccessFault(gpa))
    }

    fn write(&mut self, gpa: Gpa, from: &[u8]) -> Result<(), AccessFault> {
        self.window.write(gpa, from).ok_or(AccessFault(gpa))
    }

    fn zero(&mut self, page: GpaPage) -> Result<(), AccessFault> {
        self.window.zero(page).ok_or(AccessFault(page.gpa()))
    }

    fn exchange_byte(
        &mut self,
        page: WindowPage,
        offset: usize,
        new: u8,
    ) -> Result<u8, AccessFault> {
        page.exchange(offset, new).ok_or(page.fault())
    }

    fn and_byte(&mut self, page: WindowPage, offset: usize, mask: u8) -> Result<u8, AccessFault> {
        page.modify(offset, mask, 0).ok_or(page.fault())
    }

    fn or_byte(&mut self, page: WindowPage, offset: usize, mask: u8) -> Result<u8, AccessFault> {
        page.modify(offset, 0xFF, mask).ok_or(page.fault())
    }

    fn evict(&mut self, page: GpaPage) -> Result<(), AccessFault> {
        self.window.touch(page).ok_or(AccessFault(page.gpa()))
    }
}

impl Host for KernelPlatform {
    fn msr_request(&mut self, request: u64) -> u64 {
        ghcb::Transport.msr_request(request)
    }

    fn page_request(&mut self, ghcb: &mut Ghcb, buffer: usize) {
        ghcb::Transport.page_request(ghcb, buffer);
    }

    fn ghcb_gpa(&self) -> Gpa {
        ghcb::Transport.ghcb_gpa()
    }
}

impl Log for KernelPlatform {
    fn log(&mut self, line: core::fmt::Arguments<'_>) {
        print(line);
    }
}

impl VcpuControl for KernelPlatform {
    /// All levels of a vCPU are under one address space identifier, so a vCPU that is alone drops
    /// its translations itself. Those of several are dropped by INVLPGB, without the host's help:
    /// where the CPUID page has not got it, there is one vCPU ([`crate::aps`]).
    fn flush_all_vcpus(&mut self) {
        if percpu::several() {
            cpu::flush_every_cpu();
        } else {
            cpu::flush_all();
        }
    }
}
