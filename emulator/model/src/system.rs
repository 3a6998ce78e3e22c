//! A whole machine for tests on the host: memory, nested page tables in the hands
//! of a host that may be hostile, and a guest that does what VMPL0 or another level
//! would do. Every rule comes from the other modules.
//!
//! The guest's side is here: accesses and instructions by guest address, as if the
//! guest's page tables mapped everything one to one. The host's side is in
//! [`System`]'s methods of `host`: mapping, RMPUPDATE, page-state changes, launch.
//!
//! Memory is kept as the host would see it. A private access is passed through a
//! scrambler that depends on the system address and undoes itself, so that
//! * what the guest wrote in private, the host reads as noise, and the reverse: a
//!   page that was just validated does not hold zeros;
//! * noise that is copied to another page does not turn into the guest's text
//!   there, while noise put back where it was does.
//!
//! It stands for encryption in these respects and is none.

mod host;
mod memory;
mod nested;

pub use host::{HostWriteFault, PageState};
pub use nested::NestedMap;

use protocols::addr::{Gpa, PAGE_4K, PageSize};
use protocols::snp::{RmpAttributes, RmpResult, Vmpl};

use crate::access::{Access, AccessKind, Encryption, check};
use crate::fault::{AccessFault, NestedFault};
use crate::instruction::{Caller, Outcome, Translation};
use crate::pvalidate::{Pvalidate, PvalidateDone};
use crate::rmp::Rmp;
use crate::rmpadjust::Rmpadjust;
use crate::rmpquery::{Rmpquery, RmpqueryDone};
use crate::types::{Asid, Spa};
use memory::Memory;

/// What was done, for tests of how much is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// PVALIDATE of 4 KiB, retries after a size fault not counted.
    pub pvalidate_4k: u64,
    /// PVALIDATE of 2 MiB.
    pub pvalidate_2m: u64,
    /// RMPADJUST of 4 KiB, retries after a size fault not counted.
    pub rmpadjust_4k: u64,
    /// RMPADJUST of 2 MiB.
    pub rmpadjust_2m: u64,
    /// RMPADJUST that made a VMSA of a page at a 2 MiB boundary, where an erratum
    /// makes some parts fault without reason.
    pub vmsa_at_2m_boundary: u64,
    /// RMPQUERY.
    pub rmpquery: u64,
    /// Size faults that the host has mended.
    pub size_faults: u64,
    /// RMPUPDATE that succeeded.
    pub rmpupdate: u64,
    /// PSMASH that succeeded.
    pub psmash: u64,
}

/// A machine with one guest.
#[derive(Clone, Debug)]
pub struct System {
    rmp: Rmp,
    memory: Memory,
    nested: NestedMap,
    guest: Asid,
    counters: Counters,
    mends_size_faults: bool,
}

impl System {
    /// A machine with `memory_size` bytes of memory, all of it the host's and mapped
    /// one to one for the guest `asid`, in 2 MiB where the memory allows it.
    ///
    /// The host mends size faults as KVM does, until
    /// [`leave_size_faults`](Self::leave_size_faults).
    pub fn new(memory_size: u64, guest: Asid) -> System {
        System {
            rmp: Rmp::new(memory_size),
            memory: Memory::default(),
            nested: NestedMap::identity(memory_size),
            guest,
            counters: Counters::default(),
            mends_size_faults: true,
        }
    }

    /// The reverse map table.
    pub fn rmp(&self) -> &Rmp {
        &self.rmp
    }

    /// The guest.
    pub fn guest(&self) -> Asid {
        self.guest
    }

    /// What was done so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// From now on the host leaves size faults to the guest: they are returned as
    /// they are.
    pub fn leave_size_faults(&mut self) {
        self.mends_size_faults = false;
    }

    /// The guest reads at one level. The range may cross pages.
    ///
    /// # Errors
    /// The fault of the first page that has one; the pages before it have been read.
    pub fn read(
        &mut self,
        vmpl: Vmpl,
        encryption: Encryption,
        gpa: Gpa,
        to: &mut [u8],
    ) -> Result<(), AccessFault> {
        let mut at = gpa.get();
        let mut rest = to;
        while !rest.is_empty() {
            let (part, behind) = rest.split_at_mut(left_in_page(at, rest.len()));
            let spa = self.reach(vmpl, encryption, AccessKind::Read, Gpa::new(at))?;
            self.memory.read(spa, encryption, part);
            at = at.wrapping_add(part.len() as u64);
            rest = behind;
        }
        Ok(())
    }

    /// The guest writes at one level. The range may cross pages.
    ///
    /// # Errors
    /// The fault of the first page that has one; the pages before it have been
    /// written.
    pub fn write(
        &mut self,
        vmpl: Vmpl,
        encryption: Encryption,
        gpa: Gpa,
        from: &[u8],
    ) -> Result<(), AccessFault> {
        let mut at = gpa.get();
        let mut rest = from;
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(left_in_page(at, rest.len()));
            let spa = self.reach(vmpl, encryption, AccessKind::Write, Gpa::new(at))?;
            self.memory.write(spa, encryption, part);
            at = at.wrapping_add(part.len() as u64);
            rest = behind;
        }
        Ok(())
    }

    /// Whether the guest could make this access, and if so to which system address:
    /// for kinds that move no data, too.
    ///
    /// # Errors
    /// The fault.
    pub fn reach(
        &mut self,
        vmpl: Vmpl,
        encryption: Encryption,
        kind: AccessKind,
        gpa: Gpa,
    ) -> Result<Spa, AccessFault> {
        loop {
            let (spa, mapping) = self.nested.lookup(gpa).ok_or(NestedFault::NOT_PRESENT)?;
            let access = Access {
                spa,
                gpa,
                encryption,
                vmpl,
                kind,
                mapping,
            };
            match check(&self.rmp, self.guest, &access) {
                Ok(()) => return Ok(spa),
                Err(AccessFault::Nested(fault)) if self.mend(fault, spa, gpa) => {}
                Err(fault) => return Err(fault),
            }
        }
    }

    /// PVALIDATE by a kernel at that level, of a page by its guest address.
    pub fn pvalidate(
        &mut self,
        vmpl: Vmpl,
        gpa: Gpa,
        size: PageSize,
        validate: bool,
    ) -> Outcome<PvalidateDone> {
        match size {
            PageSize::Size4K => self.counters.pvalidate_4k += 1,
            PageSize::Size2M => self.counters.pvalidate_2m += 1,
        }
        let (caller, ecx) = (Caller::kernel(vmpl), size.encoding() as u32);
        match Pvalidate::decode(caller, gpa.get(), ecx, u32::from(validate)) {
            Ok(op) => self.execute(gpa, |rmp, at| op.execute(rmp, at)),
            Err(end) => end,
        }
    }

    /// RMPADJUST by a kernel at that level, of a page by its guest address.
    pub fn rmpadjust(
        &mut self,
        vmpl: Vmpl,
        gpa: Gpa,
        size: PageSize,
        attributes: RmpAttributes,
    ) -> Outcome<RmpResult> {
        match size {
            PageSize::Size4K => self.counters.rmpadjust_4k += 1,
            PageSize::Size2M => self.counters.rmpadjust_2m += 1,
        }
        let op = Rmpadjust::decode(
            Caller::kernel(vmpl),
            gpa.get(),
            size.encoding(),
            attributes.bits(),
        );
        let outcome = match op {
            Ok(op) => self.execute(gpa, |rmp, at| op.execute(rmp, at)),
            Err(end) => end,
        };
        if outcome == Outcome::Complete(RmpResult::SUCCESS)
            && attributes.vmsa()
            && gpa.is_aligned(PageSize::Size2M)
        {
            self.counters.vmsa_at_2m_boundary += 1;
        }
        outcome
    }

    /// RMPQUERY by a kernel at that level, of a page by its guest address.
    pub fn rmpquery(&mut self, vmpl: Vmpl, gpa: Gpa, target: Vmpl) -> Outcome<RmpqueryDone> {
        self.counters.rmpquery += 1;
        match Rmpquery::decode(Caller::kernel(vmpl), gpa.get(), u64::from(target.get())) {
            Ok(op) => self.execute(gpa, |rmp, at| op.execute(rmp, at)),
            Err(end) => end,
        }
    }

    /// Executes an instruction on the page behind a guest address, again after each
    /// size fault that the host mends.
    fn execute<T>(
        &mut self,
        gpa: Gpa,
        mut op: impl FnMut(&mut Rmp, Translation) -> Outcome<T>,
    ) -> Outcome<T> {
        loop {
            let Some((spa, _)) = self.nested.lookup(gpa) else {
                return Outcome::Nested(NestedFault::NOT_PRESENT);
            };
            let at = Translation {
                asid: self.guest,
                spa,
                gpa,
            };
            match op(&mut self.rmp, at) {
                Outcome::Nested(fault) if self.mend(fault, spa, gpa) => {}
                end => return end,
            }
        }
    }

    /// What KVM does about a size fault: PSMASH when the page is of 2 MiB, smaller
    /// nested mappings when it is not, or when a shared access goes through a large
    /// mapping that holds private pages too. Whether the guest may try again.
    fn mend(&mut self, fault: NestedFault, spa: Spa, gpa: Gpa) -> bool {
        let entry = self.rmp.entry(spa);
        let shared_beside_private = fault == NestedFault::RMP && !entry.is_assigned();
        if !self.mends_size_faults || !(fault.contains(NestedFault::SIZE) || shared_beside_private)
        {
            return false;
        }
        let mended = match entry.size() {
            PageSize::Size2M => self.psmash(spa.page_base(PageSize::Size2M)).is_ok(),
            PageSize::Size4K => self.nested.split(gpa),
        };
        self.counters.size_faults += u64::from(mended);
        mended
    }
}

/// How many of `wanted` bytes lie in the page of the first.
fn left_in_page(at: u64, wanted: usize) -> usize {
    let left = PAGE_4K - at % PAGE_4K;
    wanted.min(left as usize)
}

#[cfg(test)]
mod tests;
