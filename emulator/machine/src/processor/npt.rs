//! Nested page tables: a view of the RMP for each VMPL.
//!
//! Five levels, because the C-bit is physical address bit 51 and selects the
//! PML5 entry: 0 is the shared half of the address space, 8 the private one.
//! Each level of privilege has its own private half; the shared half is one for
//! all. While the guest's paging is off every access is private, so each level
//! has a second root in which the C = 0 half is the private one too.
//!
//! Entries are made when the guest faults on them and taken away when the RMP
//! changes; the RMP stays the only truth.

use crate::mem::heap::Frames;
use crate::mem::phys;

/// The C-bit of this machine.
pub(crate) const C_BIT: u32 = 51;
pub(crate) const C_MASK: u64 = 1 << C_BIT;

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
/// Every nested access is a user access.
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const TABLE: u64 = PRESENT | WRITE | USER;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

const PML5_SHARED: u64 = 0;
const PML5_PRIVATE: u64 = 1 << (C_BIT - 48);

pub(crate) const SIZE_4K: u64 = 0x1000;
pub(crate) const SIZE_2M: u64 = 0x20_0000;

/// What an entry lets the guest do beyond reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Permissions {
    pub(crate) write: bool,
    pub(crate) execute: bool,
}

/// Which half of a level's address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Shared,
    /// The private half as this VMPL sees it.
    Private(u8),
}

#[derive(Clone, Copy, Default)]
struct Level {
    paged: u64,
    unpaged: u64,
    private_pml4: u64,
}

/// The roots of all levels.
#[derive(Default)]
pub(crate) struct Npt {
    levels: [Level; 4],
    shared_pml4: u64,
}

impl Npt {
    /// Makes empty tables, giving all table frames back first.
    pub(crate) fn reset(&mut self, frames: &mut Frames) -> Option<()> {
        frames.reset_tables();
        self.shared_pml4 = frames.table()?;
        for level in &mut self.levels {
            level.private_pml4 = frames.table()?;
            level.paged = frames.table()?;
            level.unpaged = frames.table()?;
            phys::write(level.paged + PML5_SHARED * 8, self.shared_pml4 | TABLE);
            phys::write(level.paged + PML5_PRIVATE * 8, level.private_pml4 | TABLE);
            phys::write(level.unpaged + PML5_SHARED * 8, level.private_pml4 | TABLE);
            phys::write(level.unpaged + PML5_PRIVATE * 8, level.private_pml4 | TABLE);
        }
        Some(())
    }

    /// The nested CR3 for a level whose paging is on or off.
    pub(crate) fn root(&self, vmpl: u8, paged: bool) -> u64 {
        let level = &self.levels[usize::from(vmpl & 3)];
        if paged { level.paged } else { level.unpaged }
    }

    fn pml4(&self, half: Half) -> u64 {
        match half {
            Half::Shared => self.shared_pml4,
            Half::Private(vmpl) => self.levels[usize::from(vmpl & 3)].private_pml4,
        }
    }

    /// Maps a page of 4 KiB or 2 MiB. None: no frame for a table is left.
    pub(crate) fn map(
        &mut self,
        frames: &mut Frames,
        half: Half,
        gpa: u64,
        spa: u64,
        size: u64,
        permissions: Permissions,
    ) -> Option<()> {
        let mut table = self.pml4(half);
        let lowest = if size == SIZE_2M { 21 } else { 12 };
        for shift in [39, 30, 21] {
            if shift == lowest {
                break;
            }
            let slot = slot(table, gpa, shift);
            let entry: u64 = phys::read(slot);
            table = if entry & PRESENT == 0 || (shift == 21 && entry & LARGE != 0) {
                let frame = frames.table()?;
                phys::write(slot, frame | TABLE);
                frame
            } else {
                entry & ADDRESS
            };
        }
        let mut entry = spa | PRESENT | USER;
        if permissions.write {
            entry |= WRITE;
        }
        if !permissions.execute {
            entry |= NO_EXECUTE;
        }
        if size == SIZE_2M {
            entry |= LARGE;
        }
        phys::write(slot(table, gpa, lowest), entry);
        Some(())
    }

    /// The size of the entry that maps `gpa`, if one does.
    pub(crate) fn mapped_size(&self, half: Half, gpa: u64) -> Option<u64> {
        let mut table = self.pml4(half);
        for shift in [39, 30, 21, 12] {
            let entry: u64 = phys::read(slot(table, gpa, shift));
            if entry & PRESENT == 0 {
                return None;
            }
            if shift == 21 && entry & LARGE != 0 {
                return Some(SIZE_2M);
            }
            table = entry & ADDRESS;
        }
        Some(SIZE_4K)
    }

    /// Takes away whatever maps `[gpa, gpa + size)` in every half of every
    /// level; a 2 MiB entry goes as a whole. True if there was anything, so
    /// that processors in the guest may have it in their translations.
    #[must_use = "other processors keep translations until they leave the guest"]
    pub(crate) fn unmap(&mut self, gpa: u64, size: u64) -> bool {
        let mut any = self.unmap_half(Half::Shared, gpa, size);
        for vmpl in 0..4 {
            any |= self.unmap_half(Half::Private(vmpl), gpa, size);
        }
        any
    }

    fn unmap_half(&mut self, half: Half, gpa: u64, size: u64) -> bool {
        let mut table = self.pml4(half);
        for shift in [39, 30] {
            let entry: u64 = phys::read(slot(table, gpa, shift));
            if entry & PRESENT == 0 {
                return false;
            }
            table = entry & ADDRESS;
        }
        let directory_slot = slot(table, gpa, 21);
        let entry: u64 = phys::read(directory_slot);
        if entry & PRESENT == 0 {
            return false;
        }
        if entry & LARGE != 0 {
            phys::write(directory_slot, 0u64);
        } else if size >= SIZE_2M {
            // The table stays for the next use.
            phys::fill(entry & ADDRESS, SIZE_4K, 0);
        } else {
            let page = slot(entry & ADDRESS, gpa, 12);
            let was: u64 = phys::read(page);
            phys::write(page, 0u64);
            return was & PRESENT != 0;
        }
        true
    }
}

fn slot(table: u64, gpa: u64, shift: u32) -> u64 {
    table + ((gpa >> shift) & 0x1ff) * 8
}
