//! Where the keys of VMPL0 must not be: in memory that the host or a lower level
//! can read.

use alloc::vec::Vec;

use protocols::addr::PageSize;
use protocols::snp::secrets::VMPCK_SIZE;
use snp_model::types::Spa;

use super::{Invariants, lower_rights};
use crate::host::memory::Memory;
use crate::mem::phys;
use crate::psp::keys::vmpcks;

const PAGE: u64 = 0x1000;
/// Keys are looked for at multiples of this.
const STEP: usize = 8;

/// The level whose key the page holds.
fn key_in(spa: u64, keys: &[[u8; VMPCK_SIZE]]) -> Option<usize> {
    let mut page = [0; PAGE as usize];
    phys::read_bytes(spa, &mut page);
    page.windows(VMPCK_SIZE)
        .step_by(STEP)
        .find_map(|bytes| keys.iter().position(|key| key == bytes))
}

impl Invariants {
    /// At the first instruction of a lower level: what it can read holds no key of
    /// a level above it.
    pub(super) fn check_guest_keys(&mut self, memory: &mut Memory, level: u8) {
        let keys = vmpcks();
        let above = keys.get(..usize::from(level)).unwrap_or_default();
        let readable: Vec<_> = memory
            .rmp()
            .assigned()
            .filter(|(_, entry)| !lower_rights(entry).is_empty())
            .map(|(spa, entry)| (spa, entry.size()))
            .collect();
        for (Spa(start), size) in readable {
            for spa in (start..start + size.bytes()).step_by(PAGE as usize) {
                if let Some(owner) = key_in(spa, above) {
                    self.violated(format_args!(
                        "VMPL{level} can read VMPCK{owner} at system address {spa:#x}"
                    ));
                }
            }
        }
    }

    /// At the end: no page of the firmware that is the host's holds any key.
    pub(super) fn check_shared_keys(&mut self, memory: &mut Memory) {
        let keys = vmpcks();
        for (start, end) in self.own.clone() {
            for gpa in (start..end).step_by(PAGE as usize) {
                let Some(spa) = memory.spa(gpa) else {
                    continue;
                };
                if memory.rmp().entry(Spa(spa)).is_assigned() {
                    continue;
                }
                if let Some(owner) = key_in(spa, &keys) {
                    self.violated(format_args!(
                        "VMPCK{owner} is in the shared page at {gpa:#x}"
                    ));
                }
            }
        }
    }
}

const _: () = assert!(PageSize::Size4K.bytes() == PAGE);
