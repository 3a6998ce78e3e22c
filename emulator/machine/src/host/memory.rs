//! Where the host puts guest memory, in which state, and what the processor's
//! tables make of it.
//!
//! RAM lies at the same address for guest and system, so QEMU's devices can
//! reach it by DMA. Other guest memory (the firmware's ROM range, VMSAs of the
//! launch) is backed by frames of the machine.

mod mapping;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use protocols::addr::{Gpa, PageSize};
use protocols::snp::Vmpl;
use snp_model::access::{self, Access, AccessKind, Encryption};
use snp_model::entry::RmpEntry;
use snp_model::fault::{AccessFault, NestedFault};
use snp_model::host::{HostError, RmpUpdate, psmash, rmpupdate, unsmash};
use snp_model::instruction::Translation;
use snp_model::rmp::Rmp;
use snp_model::stale::StaleTranslations;
use snp_model::types::{Asid, Spa};

use crate::mem::heap::Frames;
use crate::mem::layout::DIRECT_MAP_SIZE;
use crate::mem::phys;
use crate::processor::npt::{Npt, SIZE_2M, SIZE_4K};

/// What the bytes of a page become when it changes between private and shared:
/// on silicon, the other key's ciphertext.
const CIPHERTEXT: u8 = 0xe7;

/// The one guest of the machine.
const GUEST: u32 = 1;

/// A stretch of guest memory outside RAM.
#[derive(Clone, Copy, Debug)]
struct Window {
    gpa: u64,
    len: u64,
    spa: u64,
}

/// Why a page-state change did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateError {
    /// No memory is at that address.
    NoMemory,
    /// The RMP refused.
    Rmp(HostError),
}

/// The half of the address space that an access is in, as the model names it.
fn encryption(private: bool) -> Encryption {
    if private {
        Encryption::Private
    } else {
        Encryption::Shared
    }
}

/// Guest memory.
pub(crate) struct Memory {
    ram: Vec<(u64, u64)>,
    windows: Vec<Window>,
    /// Pages that a scenario put elsewhere: page frame numbers.
    moved: BTreeMap<u64, u64>,
    /// The host assigns pages of 4 KiB only.
    small_pages: bool,
    /// Shared pages whose every access is to fault: they are mapped alone.
    watched: Vec<u64>,
    rmp: Rmp,
    /// What other processors' translations might still allow on silicon.
    pub(crate) translations: StaleTranslations,
    npt: Npt,
    frames: Frames,
    asid: Asid,
}

impl Memory {
    /// Guest memory with these RAM ranges `[start, end)`. None: no frames.
    pub(crate) fn new(ram: Vec<(u64, u64)>, mut frames: Frames) -> Option<Self> {
        let mut npt = Npt::default();
        npt.reset(&mut frames)?;
        Some(Self {
            ram,
            windows: Vec::new(),
            moved: BTreeMap::new(),
            small_pages: false,
            watched: Vec::new(),
            rmp: Rmp::new(DIRECT_MAP_SIZE),
            translations: StaleTranslations::default(),
            npt,
            frames,
            asid: Asid::new(GUEST)?,
        })
    }

    /// The RMP, for the secure processor and the RMP instructions.
    pub(crate) fn rmp(&mut self) -> &mut Rmp {
        &mut self.rmp
    }

    /// The RMP's entry of the system page.
    pub(crate) fn rmp_entry(&self, spa: u64) -> RmpEntry {
        self.rmp.entry(Spa(spa))
    }

    /// Every page of the RMP that is a guest's.
    pub(crate) fn assigned(&self) -> impl Iterator<Item = (Spa, RmpEntry)> + '_ {
        self.rmp.assigned()
    }

    /// The nested tables.
    pub(crate) fn npt(&self) -> &Npt {
        &self.npt
    }

    /// The guest's identifier.
    pub(crate) fn asid(&self) -> Asid {
        self.asid
    }

    /// RAM ranges `[start, end)` that the guest is told of.
    pub(crate) fn ram(&self) -> &[(u64, u64)] {
        &self.ram
    }

    /// Backs `[gpa, gpa + len)` with frames of the machine where it is not RAM.
    pub(crate) fn add_window(&mut self, gpa: u64, len: u64) -> Option<()> {
        let mut at = gpa;
        let end = gpa.checked_add(len)?;
        while at < end {
            if self.spa(at).is_some() {
                at += SIZE_4K;
                continue;
            }
            let start = at;
            while at < end && self.spa(at).is_none() {
                at += SIZE_4K;
            }
            let spa = self.frames.backing(at - start)?;
            self.windows.push(Window {
                gpa: start,
                len: at - start,
                spa,
            });
        }
        Some(())
    }

    /// Where the host put the guest physical address.
    pub(crate) fn spa(&self, gpa: u64) -> Option<u64> {
        if !self.moved.is_empty()
            && let Some(pfn) = self.moved.get(&(gpa / SIZE_4K))
        {
            return Some(pfn * SIZE_4K + gpa % SIZE_4K);
        }
        self.home(gpa)
    }

    /// Where an honest host put the guest physical address.
    pub(crate) fn home(&self, gpa: u64) -> Option<u64> {
        if self
            .ram
            .iter()
            .any(|&(start, end)| start <= gpa && gpa < end)
        {
            return Some(gpa);
        }
        self.windows
            .iter()
            .find(|window| window.gpa <= gpa && gpa - window.gpa < window.len)
            .map(|window| gpa - window.gpa + window.spa)
    }

    /// Puts a fresh system page behind `gpa`, as a hostile host would; the old
    /// page keeps its RMP entry and contents. Gives the old system address.
    pub(crate) fn move_page(&mut self, gpa: u64) -> Option<u64> {
        let old = self.spa(gpa)?;
        let fresh = self.frames.backing(SIZE_4K)?;
        self.put_page(gpa, fresh);
        Some(old)
    }

    /// Puts the system page `spa` behind `gpa`.
    pub(crate) fn put_page(&mut self, gpa: u64, spa: u64) {
        self.moved.insert(gpa / SIZE_4K, spa / SIZE_4K);
        self.drop_mappings(gpa & !(SIZE_4K - 1), SIZE_4K);
    }

    /// Whether from here on the host assigns pages of 4 KiB only.
    pub(crate) fn use_small_pages(&mut self, on: bool) {
        self.small_pages = on;
    }

    /// Makes every access to these shared pages fault, and to no others any more.
    pub(crate) fn watch(&mut self, pages: Vec<u64>) {
        for &page in &pages {
            self.drop_mappings(page, SIZE_4K);
        }
        self.watched = pages;
    }

    /// Checks an access of the processor at a level; gives the system address.
    pub(crate) fn check(
        &self,
        gpa: u64,
        private: bool,
        vmpl: u8,
        kind: AccessKind,
    ) -> Result<u64, AccessFault> {
        let spa = self.spa(gpa).ok_or(AccessFault::Nested(NestedFault::RMP))?;
        let vmpl = Vmpl::new(vmpl).unwrap_or(Vmpl::VMPL3);
        access::check(
            &self.rmp,
            self.asid,
            &Access {
                spa: Spa(spa),
                gpa: Gpa::new(gpa),
                encryption: encryption(private),
                vmpl,
                kind,
                mapping: PageSize::Size4K,
            },
        )?;
        Ok(spa)
    }

    /// The system address of memory that the host itself may read and write for
    /// the guest: all of `[gpa, gpa + len)` on one page, and that page shared.
    pub(crate) fn shared(&self, gpa: u64, len: u64) -> Option<u64> {
        let last = gpa.checked_add(len.checked_sub(1)?)?;
        if gpa / SIZE_4K != last / SIZE_4K {
            return None;
        }
        self.check(gpa, false, 0, AccessKind::Write).ok()
    }

    /// Copies shared memory, which may span pages, into `buffer`.
    pub(crate) fn read_shared(&self, gpa: u64, buffer: &mut [u8]) -> Option<()> {
        for (at, chunk) in page_parts(gpa, buffer.len()) {
            let spa = self.shared(gpa.checked_add(at as u64)?, chunk as u64)?;
            phys::read_bytes(spa, buffer.get_mut(at..at + chunk)?);
        }
        Some(())
    }

    /// Copies `bytes` into shared memory, which may span pages.
    pub(crate) fn write_shared(&self, gpa: u64, bytes: &[u8]) -> Option<()> {
        for (at, chunk) in page_parts(gpa, bytes.len()) {
            let spa = self.shared(gpa.checked_add(at as u64)?, chunk as u64)?;
            phys::write_bytes(spa, bytes.get(at..at + chunk)?);
        }
        Some(())
    }

    /// Whether every page of a private or shared mapping could be asked for here.
    pub(crate) fn is_memory(&self, gpa: u64) -> bool {
        self.spa(gpa).is_some()
    }

    /// Whether the 2 MiB around both addresses are one stretch of RAM or of a window.
    fn spans_region(&self, gpa: u64, spa: u64) -> bool {
        let offset = gpa & (SIZE_2M - 1);
        let last = (gpa | (SIZE_2M - 1)) & !(SIZE_4K - 1);
        let pages = (gpa - offset) / SIZE_4K..=last / SIZE_4K;
        let in_place = self.moved.range(pages).next().is_none();
        in_place
            && spa & (SIZE_2M - 1) == offset
            && self.spa(gpa - offset) == Some(spa - offset)
            && self.spa(last) == Some((spa | (SIZE_2M - 1)) & !(SIZE_4K - 1))
    }

    /// Makes a page private or shared, as a page-state change asks.
    pub(crate) fn set_state(
        &mut self,
        gpa: u64,
        size: PageSize,
        private: bool,
    ) -> Result<(), StateError> {
        let spa = self.spa(gpa).ok_or(StateError::NoMemory)?;
        let in_one = !self.small_pages && self.spans_region(gpa, spa);
        if size == PageSize::Size2M && !in_one {
            return self.set_state_in_parts(gpa, private);
        }
        let entry = self.rmp.entry(Spa(spa));
        let same_owner = if private {
            entry.asid() == Some(self.asid) && entry.gpa_of(Spa(spa)).get() == gpa
        } else {
            !entry.is_assigned()
        };
        let whole = size == PageSize::Size4K
            || entry.size() == PageSize::Size2M
            || (!private && self.rmp.assigned_in_region(Spa(spa)) == 0);
        if same_owner && whole {
            return Ok(());
        }
        match self.update(gpa, spa, size, private) {
            Err(HostError::Overlap) if size == PageSize::Size2M => {
                return self.set_state_in_parts(gpa, private);
            }
            Err(HostError::Overlap) => {
                psmash(&mut self.rmp, Spa(spa & !(SIZE_2M - 1))).map_err(StateError::Rmp)?;
                self.update(gpa, spa, size, private)
                    .map_err(StateError::Rmp)?;
            }
            other => other.map_err(StateError::Rmp)?,
        }
        self.drop_mappings(gpa, size.bytes());
        phys::fill(spa, size.bytes(), CIPHERTEXT);
        Ok(())
    }

    fn set_state_in_parts(&mut self, gpa: u64, private: bool) -> Result<(), StateError> {
        (gpa..gpa + SIZE_2M)
            .step_by(SIZE_4K as usize)
            .try_for_each(|page| self.set_state(page, PageSize::Size4K, private))
    }

    fn update(
        &mut self,
        gpa: u64,
        spa: u64,
        size: PageSize,
        private: bool,
    ) -> Result<(), HostError> {
        let update = if private {
            RmpUpdate::to_guest(self.asid, Gpa::new(gpa), size)
        } else {
            RmpUpdate::to_host(size)
        };
        rmpupdate(&mut self.rmp, Spa(spa), update)
    }

    /// Gives a page to the guest for a launch update.
    pub(crate) fn assign_for_launch(&mut self, gpa: u64, spa: u64) -> Result<(), HostError> {
        let update = RmpUpdate::to_launch(self.asid, Gpa::new(gpa));
        rmpupdate(&mut self.rmp, Spa(spa), update)
    }

    /// A frame of the machine for a VMSA of the launch.
    pub(crate) fn vmsa_frame(&mut self) -> Option<u64> {
        self.frames.backing(SIZE_4K)
    }

    /// Splits the 2 MiB page at `gpa`, as a host does on a size fault.
    pub(crate) fn split(&mut self, gpa: u64) -> Result<(), StateError> {
        let region = gpa & !(SIZE_2M - 1);
        let spa = self.spa(gpa).ok_or(StateError::NoMemory)? & !(SIZE_2M - 1);
        psmash(&mut self.rmp, Spa(spa)).map_err(StateError::Rmp)?;
        self.drop_mappings(region, SIZE_2M);
        Ok(())
    }

    /// Joins 512 pages. Whether that worked is the secure processor's to say.
    pub(crate) fn join(&mut self, gpa: u64) -> bool {
        let region = gpa & !(SIZE_2M - 1);
        let Some(spa) = self.spa(region) else {
            return false;
        };
        self.drop_mappings(region, SIZE_2M);
        unsmash(&mut self.rmp, Spa(spa)).is_ok()
    }

    /// The operand of an RMP instruction.
    pub(crate) fn translation(&self, gpa: u64) -> Option<Translation> {
        let spa = self.spa(gpa)?;
        Some(Translation {
            asid: self.asid,
            spa: Spa(spa),
            gpa: Gpa::new(gpa),
        })
    }
}

/// Cuts `len` bytes from `gpa` on at page boundaries: {offset, length}.
fn page_parts(gpa: u64, len: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let start = at;
        let in_page = SIZE_4K - (gpa.wrapping_add(start as u64) % SIZE_4K);
        at += (len - start).min(in_page as usize);
        (start < len).then_some((start, at - start))
    })
}
