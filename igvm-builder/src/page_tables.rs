//! The measured page tables on which stage2 starts.
//!
//! A data access in 64-bit mode needs a right C-bit before any table could be
//! mended, so the tables carry the C-bit of the manifest from the start; stage2
//! checks it with registers alone before its first access.

use crate::layout::{PAGE_SIZE, Range};

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;

const ENTRIES: usize = 512;
const LARGE_PAGE: u64 = 2 << 20;

/// How much physical memory each of the two mappings reaches, in bytes.
pub const MAPPED: u64 = ENTRIES as u64 * LARGE_PAGE;

/// The tables as they lie in memory from `base` on: PML4, PDPT, the page
/// directory of the private mapping and that of the shared one.
///
/// Private memory is mapped at its own address below 1 GiB (C-bit set); the
/// same memory seen as shared (C-bit clear) follows at 1 GiB. Code runs only in
/// the 2 MiB pages that touch `code`. Accessed and dirty bits are set, so that
/// the processor never writes to the tables.
pub fn build(base: u64, c_bit: u8, code: Range) -> Vec<u8> {
    let c_bit = 1u64 << c_bit;
    let table = |index: u64| (base + index * PAGE_SIZE) | c_bit | PRESENT | WRITABLE | ACCESSED;
    let page = PRESENT | WRITABLE | ACCESSED | DIRTY | LARGE;

    let mut pml4 = [0; ENTRIES];
    pml4[0] = table(1);
    let mut pdpt = [0; ENTRIES];
    pdpt[0] = table(2);
    pdpt[1] = table(3);
    let (mut private, mut shared) = ([0; ENTRIES], [0; ENTRIES]);
    for index in 0..ENTRIES {
        let start = index as u64 * LARGE_PAGE;
        let range = Range {
            start,
            end: start + LARGE_PAGE,
        };
        let execute = if range.overlaps(&code) { 0 } else { NO_EXECUTE };
        private[index] = start | c_bit | page | execute;
        shared[index] = start | page | NO_EXECUTE;
    }
    [pml4, pdpt, private, shared]
        .iter()
        .flatten()
        .flat_map(|entry| entry.to_le_bytes())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0x1801_0000;
    const C_BIT: u64 = 1 << 51;
    const ADDRESS: u64 = 0x0007_FFFF_FFFF_F000;

    /// Walks the tables like the processor: the leaf entry and the physical
    /// address of `virtual_address`.
    fn walk(tables: &[u8], virtual_address: u64) -> Option<(u64, u64)> {
        let mut table = BASE;
        for level in [3u32, 2, 1] {
            let index = (virtual_address >> (12 + 9 * level)) & 0x1FF;
            let offset = (table - BASE + index * 8) as usize;
            let entry = u64::from_le_bytes(tables[offset..offset + 8].try_into().unwrap());
            if entry & PRESENT == 0 {
                return None;
            }
            if level == 1 {
                assert_ne!(entry & LARGE, 0);
                return Some((
                    entry,
                    (entry & ADDRESS) | (virtual_address & (LARGE_PAGE - 1)),
                ));
            }
            assert_ne!(entry & C_BIT, 0, "tables are private");
            table = entry & ADDRESS;
        }
        None
    }

    #[test]
    fn private_and_shared_mappings_reach_the_same_memory() {
        let tables = build(
            BASE,
            51,
            Range {
                start: 0x1800_0000,
                end: 0x1801_0000,
            },
        );
        assert_eq!(tables.len(), 4 * PAGE_SIZE as usize);
        for address in [0, 0x1234, 0x1800_0000, 0x183F_F123, MAPPED - 1] {
            let (private, target) = walk(&tables, address).unwrap();
            assert_eq!((private & C_BIT, target), (C_BIT, address));
            let (shared, target) = walk(&tables, address + MAPPED).unwrap();
            assert_eq!((shared & C_BIT, target), (0, address));
            assert_ne!(
                shared & NO_EXECUTE,
                0,
                "nothing is executed from shared memory"
            );
        }
        assert_eq!(walk(&tables, 2 * MAPPED), None);
        assert_eq!(walk(&tables, 1 << 39), None);
    }

    #[test]
    fn only_the_code_is_executable() {
        let code = Range {
            start: 0x1800_0000,
            end: 0x1801_0000,
        };
        let tables = build(BASE, 51, code);
        for address in (0..MAPPED).step_by(LARGE_PAGE as usize) {
            let executable = walk(&tables, address).unwrap().0 & NO_EXECUTE == 0;
            assert_eq!(executable, address == 0x1800_0000, "{address:#x}");
        }
    }

    #[test]
    fn the_c_bit_is_where_the_manifest_says() {
        let tables = build(BASE, 47, Range { start: 0, end: 1 });
        let entry = u64::from_le_bytes(tables[0x2000..0x2008].try_into().unwrap());
        assert_eq!(entry & (C_BIT | 1 << 47), 1 << 47);
    }
}
