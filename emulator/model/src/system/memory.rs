//! The contents of system memory, page by page as they are first written.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use protocols::addr::{PAGE_4K, PageSize};

use crate::access::Encryption;
use crate::types::Spa;

/// Memory as the host sees it; zeros where nothing was written.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    pages: BTreeMap<Spa, Box<[u8]>>,
}

impl Memory {
    /// Reads inside one 4 KiB page.
    pub(super) fn read(&self, spa: Spa, encryption: Encryption, to: &mut [u8]) {
        let offset = spa.page_offset(PageSize::Size4K) as usize;
        let page = self.pages.get(&spa.page_base(PageSize::Size4K));
        for (i, byte) in to.iter_mut().enumerate() {
            let stored = page.and_then(|p| p.get(offset + i)).copied().unwrap_or(0);
            *byte = stored ^ mask(spa.0 + i as u64, encryption);
        }
    }

    /// Writes inside one 4 KiB page.
    pub(super) fn write(&mut self, spa: Spa, encryption: Encryption, from: &[u8]) {
        let offset = spa.page_offset(PageSize::Size4K) as usize;
        let page = self
            .pages
            .entry(spa.page_base(PageSize::Size4K))
            .or_insert_with(|| alloc::vec![0; PAGE_4K as usize].into_boxed_slice());
        for (i, (stored, byte)) in page.iter_mut().skip(offset).zip(from).enumerate() {
            *stored = byte ^ mask(spa.0 + i as u64, encryption);
        }
    }
}

/// The scrambler's byte at a system address: none for shared accesses.
fn mask(address: u64, encryption: Encryption) -> u8 {
    match encryption {
        Encryption::Shared => 0,
        Encryption::Private => {
            // The finaliser of SplitMix64, one word for eight bytes.
            let mut word = (address >> 3).wrapping_add(0x9e37_79b9_7f4a_7c15);
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^= word >> 31;
            (word >> (8 * (address & 7))) as u8
        }
    }
}
