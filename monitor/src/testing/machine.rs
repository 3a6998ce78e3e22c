//! The platform's traits on `snp_model`, with a record of every step and a place
//! where a hostile host can come in between.

use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use protocols::addr::{Gpa, GpaPage};
use protocols::ghcb::{ExitCode, Ghcb};
use protocols::snp::{Rights, RmpAttributes, RmpResult, Vmpl};
use snp_model::access::Encryption::Private;
use snp_model::instruction::Outcome;
use snp_model::system::System;
use snp_model::types::Asid;

use super::script::HostScript;
use crate::platform::{
    AccessFault, GuestMemory, Host, Log, PvalidateOutcome, Rmp, RmpadjustFail, VcpuControl,
};

/// One step, as the monitor asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Pvalidate(GpaPage, bool),
    Rmpadjust(GpaPage, Vmpl, Rights, bool),
    Read(Gpa, usize),
    Write(Gpa, usize),
    Zero(GpaPage),
    Evict(GpaPage),
    Exchange(Gpa),
    And(Gpa),
    Or(Gpa),
    Msr(u64),
    PageRequest(ExitCode),
    Flush,
}

type Intruder = Box<dyn FnMut(Event, &mut System) + Send>;

pub(crate) struct Machine {
    pub(crate) system: System,
    pub(crate) events: Vec<Event>,
    pub(crate) host: HostScript,
    /// How often a page was looked for.
    pub(crate) pages_found: usize,
    /// Lines of the log.
    pub(crate) log: Vec<std::string::String>,
    intruder: Option<Intruder>,
}

const GHCB: Gpa = Gpa::new(0x23f_f000);

impl Machine {
    /// 5 GiB, so that the window below 4 GiB is memory too.
    pub(crate) fn new() -> Self {
        Machine {
            system: System::new(5 << 30, Asid::new(1).unwrap()),
            events: Vec::new(),
            host: HostScript::honest(),
            pages_found: 0,
            log: Vec::new(),
            intruder: None,
        }
    }

    /// From now on `intruder` runs before every step, with the step to come.
    pub(crate) fn intrude(&mut self, intruder: impl FnMut(Event, &mut System) + Send + 'static) {
        self.intruder = Some(Box::new(intruder));
    }

    /// The events since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.events)
    }

    fn step(&mut self, event: Event) {
        self.events.push(event);
        if let Some(intruder) = &mut self.intruder {
            intruder(event, &mut self.system);
        }
    }

    pub(crate) fn byte(&mut self, gpa: Gpa) -> u8 {
        let mut byte = [0];
        self.system
            .read(Vmpl::VMPL0, Private, gpa, &mut byte)
            .unwrap();
        byte[0]
    }

    fn update(&mut self, gpa: Gpa, change: impl Fn(u8) -> u8) -> Result<u8, AccessFault> {
        let mut byte = [0];
        let fault = |_| AccessFault(gpa);
        self.system
            .read(Vmpl::VMPL0, Private, gpa, &mut byte)
            .map_err(fault)?;
        self.system
            .write(Vmpl::VMPL0, Private, gpa, &[change(byte[0])])
            .map_err(fault)?;
        Ok(byte[0])
    }
}

impl Rmp for Machine {
    fn pvalidate(&mut self, page: GpaPage, validate: bool) -> PvalidateOutcome {
        self.step(Event::Pvalidate(page, validate));
        match self
            .system
            .pvalidate(Vmpl::VMPL0, page.gpa(), page.size(), validate)
        {
            Outcome::Complete(done) if done.code != RmpResult::SUCCESS => {
                PvalidateOutcome::Fail(done.code)
            }
            Outcome::Complete(done) if done.carry => PvalidateOutcome::Unchanged,
            Outcome::Complete(_) => PvalidateOutcome::Changed,
            _ => PvalidateOutcome::Fault,
        }
    }

    fn rmpadjust(
        &mut self,
        page: GpaPage,
        target: Vmpl,
        rights: Rights,
        vmsa: bool,
    ) -> Result<(), RmpadjustFail> {
        self.step(Event::Rmpadjust(page, target, rights, vmsa));
        let attributes = RmpAttributes::new(target, rights, vmsa);
        match self
            .system
            .rmpadjust(Vmpl::VMPL0, page.gpa(), page.size(), attributes)
        {
            Outcome::Complete(RmpResult::SUCCESS) => Ok(()),
            Outcome::Complete(code) => Err(RmpadjustFail::Code(code)),
            _ => Err(RmpadjustFail::Fault),
        }
    }
}

impl GuestMemory for Machine {
    type Page = Gpa;

    fn page(&mut self, gpa: Gpa) -> Result<Gpa, AccessFault> {
        self.pages_found += 1;
        Ok(gpa)
    }

    fn load(&mut self, page: Gpa, offset: usize) -> Result<u64, AccessFault> {
        assert_eq!(offset % 8, 0);
        let mut bytes = [0; 8];
        self.read(at(page, offset), &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn store(&mut self, page: Gpa, offset: usize, value: u64) -> Result<(), AccessFault> {
        assert_eq!(offset % 8, 0);
        self.write(at(page, offset), &value.to_le_bytes())
    }

    fn read(&mut self, gpa: Gpa, to: &mut [u8]) -> Result<(), AccessFault> {
        self.step(Event::Read(gpa, to.len()));
        self.system
            .read(Vmpl::VMPL0, Private, gpa, to)
            .map_err(|_| AccessFault(gpa))
    }

    fn write(&mut self, gpa: Gpa, from: &[u8]) -> Result<(), AccessFault> {
        self.step(Event::Write(gpa, from.len()));
        self.system
            .write(Vmpl::VMPL0, Private, gpa, from)
            .map_err(|_| AccessFault(gpa))
    }

    fn zero(&mut self, page: GpaPage) -> Result<(), AccessFault> {
        self.step(Event::Zero(page));
        let zeros = vec![0; page.bytes() as usize];
        let result = self.system.write(Vmpl::VMPL0, Private, page.gpa(), &zeros);
        result.map_err(|_| AccessFault(page.gpa()))
    }

    fn exchange_byte(&mut self, page: Gpa, offset: usize, new: u8) -> Result<u8, AccessFault> {
        let gpa = at(page, offset);
        self.step(Event::Exchange(gpa));
        self.update(gpa, |_| new)
    }

    fn and_byte(&mut self, page: Gpa, offset: usize, mask: u8) -> Result<u8, AccessFault> {
        let gpa = at(page, offset);
        self.step(Event::And(gpa));
        self.update(gpa, |byte| byte & mask)
    }

    fn or_byte(&mut self, page: Gpa, offset: usize, mask: u8) -> Result<u8, AccessFault> {
        let gpa = at(page, offset);
        self.step(Event::Or(gpa));
        self.update(gpa, |byte| byte | mask)
    }

    fn evict(&mut self, page: GpaPage) -> Result<(), AccessFault> {
        self.step(Event::Evict(page));
        let mut byte = [0];
        for small in page.split() {
            let gpa = small.gpa();
            let read = self.system.read(Vmpl::VMPL0, Private, gpa, &mut byte);
            read.map_err(|_| AccessFault(gpa))?;
        }
        Ok(())
    }
}

fn at(page: Gpa, offset: usize) -> Gpa {
    page.checked_add(offset as u64).unwrap()
}

impl Host for Machine {
    fn msr_request(&mut self, request: u64) -> u64 {
        self.step(Event::Msr(request));
        self.host.msr(request)
    }

    fn page_request(&mut self, ghcb: &mut Ghcb, buffer: usize) {
        self.step(Event::PageRequest(ExitCode(ghcb.sw_exit_code)));
        assert!(buffer <= ghcb.shared_buffer.len());
        self.host.page(&mut self.system, ghcb);
    }

    fn ghcb_gpa(&self) -> Gpa {
        GHCB
    }
}

impl Log for Machine {
    fn log(&mut self, line: core::fmt::Arguments<'_>) {
        self.log.push(std::format!("{line}"));
    }
}

impl VcpuControl for Machine {
    fn flush_all_vcpus(&mut self) {
        self.step(Event::Flush);
    }
}
