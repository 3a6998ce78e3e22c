//! The mechanisms of one vCPU: each step is taken with the machine held, and is looked at.

use std::sync::Arc;

use loom::sync::Mutex;
use protocols::addr::{Gpa, GpaPage, GpaRange, PAGE_4K};
use protocols::ghcb::Ghcb;
use protocols::snp::{Rights, Vmpl};
use protocols::svsm::CA_CALL_PENDING;

use super::{Arena, LOWER};
use crate::platform::{
    AccessFault, GuestMemory, Host, Log, PvalidateOutcome, Rmp, RmpadjustFail, VcpuControl,
};

pub(super) struct Hands(pub(super) Arc<Mutex<Arena>>);

impl Hands {
    fn step<T>(&self, step: impl FnOnce(&mut Arena) -> T) -> T {
        let mut arena = self.0.lock().unwrap();
        let result = step(&mut arena);
        arena.check();
        result
    }

    /// The same of a calling area.
    fn at_calling_area<T>(&self, area: Gpa, step: impl FnOnce(&mut Arena) -> T) -> T {
        self.step(|arena| {
            let entry = arena.entry(area.get());
            let ordinary = entry.is_validated() && !entry.is_vmsa();
            assert!(ordinary, "{area} is no calling area");
            step(arena)
        })
    }

    /// VMPL0 is at a VMSA by its handle, which it keeps: the page has to be one still.
    fn at_vmsa<T>(&self, vmsa: Gpa, step: impl FnOnce(&mut Arena) -> T) -> T {
        self.step(|arena| {
            assert!(arena.entry(vmsa.get()).is_vmsa(), "{vmsa} is no VMSA");
            step(arena)
        })
    }
}

impl Rmp for Hands {
    fn pvalidate(&mut self, page: GpaPage, validate: bool) -> PvalidateOutcome {
        self.step(|arena| {
            for entry in arena.entries(page.range()) {
                assert!(!entry.is_vmsa(), "PVALIDATE of a VMSA at {}", page.gpa());
                let nobody = LOWER.iter().all(|l| entry.rights(*l).is_empty());
                assert!(nobody, "PVALIDATE under the guest's eyes at {}", page.gpa());
            }
            arena.machine.pvalidate(page, validate)
        })
    }

    fn rmpadjust(
        &mut self,
        page: GpaPage,
        target: Vmpl,
        rights: Rights,
        vmsa: bool,
    ) -> Result<(), RmpadjustFail> {
        self.step(|arena| arena.machine.rmpadjust(page, target, rights, vmsa))
    }
}

impl GuestMemory for Hands {
    type Page = Gpa;

    fn page(&mut self, gpa: Gpa) -> Result<Gpa, AccessFault> {
        Ok(gpa)
    }

    fn load(&mut self, page: Gpa, offset: usize) -> Result<u64, AccessFault> {
        if offset == CA_CALL_PENDING {
            return self.at_calling_area(page, |arena| arena.machine.load(page, offset));
        }
        self.at_vmsa(page, |arena| arena.machine.load(page, offset))
    }

    fn store(&mut self, page: Gpa, offset: usize, value: u64) -> Result<(), AccessFault> {
        self.at_vmsa(page, |arena| arena.machine.store(page, offset, value))
    }

    fn and_byte(&mut self, page: Gpa, offset: usize, mask: u8) -> Result<u8, AccessFault> {
        self.at_vmsa(page, |arena| arena.machine.and_byte(page, offset, mask))
    }

    fn or_byte(&mut self, page: Gpa, offset: usize, mask: u8) -> Result<u8, AccessFault> {
        self.at_vmsa(page, |arena| arena.machine.or_byte(page, offset, mask))
    }

    fn exchange_byte(&mut self, page: Gpa, offset: usize, new: u8) -> Result<u8, AccessFault> {
        self.at_calling_area(page, |arena| arena.machine.exchange_byte(page, offset, new))
    }

    fn read(&mut self, gpa: Gpa, to: &mut [u8]) -> Result<(), AccessFault> {
        self.step(|arena| arena.machine.read(gpa, to))
    }

    fn write(&mut self, gpa: Gpa, from: &[u8]) -> Result<(), AccessFault> {
        self.step(|arena| {
            for entry in arena.entries(GpaRange::new(gpa, from.len() as u64).unwrap()) {
                let ordinary = entry.rights(Vmpl::VMPL2) == Rights::all() && !entry.is_vmsa();
                assert!(ordinary, "a result is written to {gpa}");
            }
            arena.machine.write(gpa, from)
        })
    }

    /// Page by page, and of a large page the ends only: each is a step of its own.
    fn zero(&mut self, page: GpaPage) -> Result<(), AccessFault> {
        let ends = [page.gpa().get(), page.range().end().get() - PAGE_4K];
        for gpa in ends {
            self.step(|arena| {
                let entry = arena.entry(gpa);
                let nobody = LOWER.iter().all(|l| entry.rights(*l).is_empty());
                let flushed = !arena.cached.contains(&gpa);
                assert!(
                    nobody && flushed,
                    "{gpa:#x} is zeroed, and not VMPL0's alone"
                );
                arena.machine.write(Gpa::new(gpa), &[0; 8])
            })?;
        }
        Ok(())
    }

    fn evict(&mut self, _page: GpaPage) -> Result<(), AccessFault> {
        Ok(())
    }
}

impl Host for Hands {
    fn msr_request(&mut self, _request: u64) -> u64 {
        unreachable!("no request needs the host")
    }

    /// Guest messages only.
    fn page_request(&mut self, ghcb: &mut Ghcb, buffer: usize) {
        self.step(|arena| arena.machine.page_request(ghcb, buffer));
    }

    fn ghcb_gpa(&self) -> Gpa {
        unreachable!("no request needs the host")
    }
}

impl Log for Hands {
    fn log(&mut self, line: core::fmt::Arguments<'_>) {
        self.step(|arena| arena.machine.log(line));
    }
}

impl VcpuControl for Hands {
    fn flush_all_vcpus(&mut self) {
        self.step(|arena| arena.cached.clear());
    }
}
