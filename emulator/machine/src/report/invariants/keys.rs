//! Where the keys of VMPL0 must not be: in memory that the host or a lower level
//! can read. Those are VMPCKs and the keys that VMPL0 had derived.

use alloc::vec::Vec;
use core::fmt;

use protocols::addr::{PAGE_4K, PageSize};
use protocols::snp::Vmpl;
use protocols::snp::secrets::VMPCK_SIZE;
use snp_model::types::Spa;

use super::{Invariants, lower_rights};
use crate::host::memory::Memory;
use crate::mem::phys;
use crate::psp::keys::vmpcks;
use crate::report::console::println;

/// Words of a page; keys are looked for at multiples of a word.
const WORDS: usize = PAGE_4K as usize / 8;
const KEY_WORDS: usize = VMPCK_SIZE / 8;

/// What is looked through at the end, so that the end of a large guest does not
/// take as long as its boot.
const MOST_PAGES: usize = (4 << 30) / PAGE_4K as usize;

/// A key as words.
type Words = [u64; KEY_WORDS];

/// The keys that are looked for.
struct Keys {
    /// The VMPCKs, each with the number of its level.
    vmpcks: [Words; Vmpl::COUNT],
    /// Keys that VMPL0 had derived.
    derived: Vec<Words>,
}

/// Whose key was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Vmpck(usize),
    Derived,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vmpck(level) => write!(f, "VMPCK{level}"),
            Self::Derived => f.write_str("a derived key of VMPL0"),
        }
    }
}

fn words(key: [u8; VMPCK_SIZE]) -> Words {
    core::array::from_fn(|at| {
        key.get(8 * at..8 * at + 8)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u64::from_le_bytes)
    })
}

impl Keys {
    fn new(derived: &[[u8; VMPCK_SIZE]]) -> Self {
        Self {
            vmpcks: vmpcks().map(words),
            derived: derived.iter().copied().map(words).collect(),
        }
    }

    /// The key of a level below `above`, or derived, that the page holds.
    fn find(&self, spa: u64, above: u8) -> Option<Found> {
        let mut page = [0u64; WORDS];
        phys::read_words(spa, &mut page);
        let vmpcks = self.vmpcks.get(..usize::from(above))?;
        let vmpck = vmpcks.iter().position(|key| holds(&page, key));
        vmpck.map(Found::Vmpck).or_else(|| {
            let derived = self.derived.iter().any(|key| holds(&page, key));
            derived.then_some(Found::Derived)
        })
    }
}

/// Whether the key is in the page, at a multiple of a word.
fn holds(page: &[u64; WORDS], key: &Words) -> bool {
    let mut from = 0;
    while let Some(at) = page
        .get(from..)
        .and_then(|rest| rest.iter().position(|word| *word == key[0]))
    {
        from += at + 1;
        if page.get(from..from + KEY_WORDS - 1) == key.get(1..) {
            return true;
        }
    }
    false
}

impl Invariants {
    /// What a lower level can read holds no key of a level above it. At most
    /// `pages` pages are looked through, from the one with the system address
    /// `from` on; gives where to go on next, and at the end None.
    pub(super) fn check_guest_keys(
        &mut self,
        memory: &Memory,
        from: u64,
        pages: usize,
    ) -> Option<u64> {
        let level = self.lowest_level?;
        let keys = Keys::new(self.derived());
        let mut left = pages;
        let mut found = None;
        let mut next = None;
        'all: for (Spa(start), entry) in memory.assigned() {
            let end = start + entry.size().bytes();
            if end <= from || lower_rights(&entry).is_empty() {
                continue;
            }
            for spa in (start.max(from)..end).step_by(PAGE_4K as usize) {
                if left == 0 {
                    next = Some(spa);
                    break 'all;
                }
                left -= 1;
                if let Some(owner) = keys.find(spa, level) {
                    found = Some((owner, spa));
                    break 'all;
                }
            }
        }
        if let Some((owner, spa)) = found {
            self.violated(format_args!(
                "VMPL{level} can read {owner} at system address {spa:#x}"
            ));
        }
        next
    }

    /// At the end: nothing that a lower level can read, and no page of the
    /// firmware that is the host's, holds a key.
    pub(super) fn check_keys(&mut self, memory: &Memory) {
        // What lies beyond is left out.
        let _rest = self.check_guest_keys(memory, 0, MOST_PAGES);
        self.check_shared_keys(memory);
    }

    /// Says whether the firmware still has VMPCK0, for scenarios that make it wipe the
    /// key, and those that must not.
    pub(super) fn tell_of_key(&self, memory: &Memory) {
        if self.lowest_level.is_none() || self.own.is_empty() {
            return;
        }
        let keys = Keys::new(&[]);
        let own = self.own.iter();
        let pages = own.flat_map(|&(start, end)| (start..end).step_by(PAGE_4K as usize));
        let holders = pages
            .filter_map(|gpa| memory.spa(gpa))
            .filter(|&spa| keys.find(spa, 1).is_some());
        match holders.count() {
            0 => println!("VMPCK0 is nowhere in the firmware's memory"),
            pages => println!("VMPCK0 is in the firmware's memory (pages: {pages})"),
        }
    }

    fn check_shared_keys(&mut self, memory: &Memory) {
        let keys = Keys::new(self.derived());
        for (start, end) in self.own.clone() {
            for gpa in (start..end).step_by(PAGE_4K as usize) {
                let Some(spa) = memory.spa(gpa) else {
                    continue;
                };
                if memory.rmp_entry(spa).is_assigned() {
                    continue;
                }
                if let Some(owner) = keys.find(spa, Vmpl::COUNT as u8) {
                    self.violated(format_args!("{owner} is in the shared page at {gpa:#x}"));
                }
            }
        }
    }
}

const _: () = assert!(PageSize::Size4K.bytes() == PAGE_4K && VMPCK_SIZE.is_multiple_of(8));
