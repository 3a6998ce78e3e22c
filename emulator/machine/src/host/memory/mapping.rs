//! What the nested tables show of guest memory: made when the guest faults,
//! taken away when the RMP changes.

use protocols::addr::{Gpa, PageSize};
use protocols::snp::{Rights, Vmpl};
use snp_model::access;
use snp_model::fault::{AccessFault, NestedFault};
use snp_model::types::Spa;

use super::{Memory, encryption};
use crate::processor::npt::{Half, Permissions, SIZE_2M, SIZE_4K};
use crate::processors;

/// Bytes mapped around a small page that faulted.
const FAULT_AROUND: u64 = 64 * SIZE_4K;

impl Memory {
    /// Maps the page at `gpa` for a level, with what the RMP allows.
    ///
    /// `alias` maps a private page into the shared half: for walks and fetches
    /// that are private although their address has no C-bit.
    pub(crate) fn map(
        &mut self,
        gpa: u64,
        private: bool,
        alias: bool,
        vmpl: u8,
    ) -> Result<Rights, AccessFault> {
        let rights = self.map_one(gpa, private, alias, vmpl)?;
        let half = if private {
            Half::Private(vmpl)
        } else {
            Half::Shared
        };
        if !alias && self.npt.mapped_size(half, gpa) == Some(SIZE_4K) {
            let first = gpa & !(FAULT_AROUND - 1);
            for page in (first..first + FAULT_AROUND).step_by(SIZE_4K as usize) {
                if !self.watched.contains(&page) && self.npt.mapped_size(half, page).is_none() {
                    // A neighbour that cannot be mapped faults when it is used.
                    let _ = self.map_one(page, private, false, vmpl);
                }
            }
        }
        Ok(rights)
    }

    fn map_one(
        &mut self,
        gpa: u64,
        private: bool,
        alias: bool,
        vmpl: u8,
    ) -> Result<Rights, AccessFault> {
        let spa = self.spa(gpa).ok_or(AccessFault::Nested(NestedFault::RMP))?;
        let level = Vmpl::new(vmpl).unwrap_or(Vmpl::VMPL3);
        let mappable = access::rights_for_mapping(
            &self.rmp,
            self.asid,
            Spa(spa),
            Gpa::new(gpa),
            encryption(private),
            level,
        )?;
        if !mappable.rights.contains(Rights::READ) {
            // Nested tables cannot say "write or execute but not read".
            return Err(AccessFault::Nested(NestedFault::RMP | NestedFault::VMPL));
        }
        let large = mappable.size == PageSize::Size2M
            && !alias
            && self.moved.is_empty()
            && self.watched.is_empty()
            && self.spans_region(gpa, spa);
        let size = if large { SIZE_2M } else { SIZE_4K };
        let mask = !(size - 1);
        let execute = Rights::EXECUTE_USER | Rights::EXECUTE_SUPERVISOR;
        let permissions = Permissions {
            write: mappable.rights.contains(Rights::WRITE),
            // One bit for both kinds of execution; and shared memory is mapped
            // executable because a fetch there is caught as private anyway.
            execute: mappable.rights.intersects(execute),
        };
        let half = if private && !alias {
            Half::Private(vmpl)
        } else {
            Half::Shared
        };
        for _ in 0..2 {
            let (gpa, spa) = (gpa & mask, spa & mask);
            if self
                .npt
                .map(&mut self.frames, half, gpa, spa, size, permissions)
                .is_some()
            {
                return Ok(mappable.rights);
            }
            // Out of frames: start over with empty tables; faults refill them.
            processors::flush_others();
            if self.npt.reset(&mut self.frames).is_none() {
                break;
            }
        }
        Err(AccessFault::Nested(NestedFault::RMP))
    }

    /// Drops nested entries after an instruction changed the RMP entry.
    pub(crate) fn rmp_changed(&mut self, gpa: u64, size: PageSize) {
        self.drop_mappings(gpa & !(size.bytes() - 1), size.bytes());
    }

    /// Takes nested entries away, from the other processors' translations too.
    pub(super) fn drop_mappings(&mut self, gpa: u64, size: u64) {
        if self.npt.unmap(gpa, size) {
            processors::flush_others();
        }
    }
}
