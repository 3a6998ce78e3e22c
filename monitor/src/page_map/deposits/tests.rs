use std::collections::BTreeSet;
use std::vec::Vec;

use proptest::prelude::*;
use protocols::addr::PageSize;

use super::*;
use crate::page_map::{Layout, PageState};
use crate::ranges::RangeList;
use crate::testing::FrameStore;

const WINDOW: u64 = 0xffc0_0000;

/// Two ranges of RAM with a hole between them, all of it validated in small pages but
/// the region at 4 MiB, which is one page.
fn map() -> PageMap<FrameStore> {
    let range = |start, len| GpaRange::new(Gpa::new(start), len).unwrap();
    let mut ram = RangeList::new();
    let ranges = [range(0, 0x80_0000), range(0x100_0000, 0x40_0000)];
    ranges.iter().for_each(|range| ram.insert(*range).unwrap());
    let layout = Layout::new(&ram, range(WINDOW, 0x20_0000));
    let frames = FrameStore::new(layout.frames());
    let mut map = PageMap::new(layout, frames);
    map.adopt(range(0, 0x40_0000), PageSize::Size4K).unwrap();
    map.adopt(range(0x40_0000, 0x20_0000), PageSize::Size2M)
        .unwrap();
    map.adopt(range(0x100_0000, 0x40_0000), PageSize::Size4K)
        .unwrap();
    map
}

fn page(pfn: u64, large: bool) -> GpaPage {
    if large {
        GpaPage::new_2m(Gpa::new(pfn / 512 * 0x20_0000)).unwrap()
    } else {
        GpaPage::new_4k(Gpa::new(pfn * PAGE_4K)).unwrap()
    }
}

fn pfn() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..0x14,
        0x1f8u64..0x208,
        0x3f8u64..0x620,
        0x1000u64..0x1010
    ]
}

proptest! {
    #[test]
    fn deposits_are_what_a_set_would_be(
        steps in prop::collection::vec((0u8..4, pfn(), any::<bool>()), 1..60),
    ) {
        let mut map = map();
        let mut set = BTreeSet::new();
        for (kind, pfn, large) in steps {
            if kind == 0 {
                let taken = map.withdraw().unwrap().map(|page| page.gpa().pfn());
                // The window comes first in the order of the map, and has none.
                prop_assert_eq!(taken, set.pop_first());
            } else {
                let page = page(pfn, large);
                let parts: Vec<_> = page.split().map(|small| small.gpa().pfn()).collect();
                let valid = |pfn: &u64| (0..0x600).contains(pfn) || (0x1000..0x1400).contains(pfn);
                let may = parts.iter().all(|pfn| valid(pfn) && !set.contains(pfn));
                prop_assert_eq!(map.deposit(page).is_ok(), may);
                if may {
                    set.extend(parts);
                }
            }
            prop_assert_eq!(map.deposited(), set.len() as u64);
            for pfn in [0, 1, 0x1ff, 0x200, 0x400, 0x5ff, 0x600, 0x1000, pfn] {
                let small = page(pfn, false);
                prop_assert_eq!(map.covers_deposit(small.range()), set.contains(&pfn));
                let row = GpaRange::from_pages(pfn, 0x11).unwrap();
                let any = set.range(pfn..pfn + 0x11).next().is_some();
                prop_assert_eq!(map.covers_deposit(row), any);
                prop_assert!(!(any && map.is_valid(row)));
            }
        }
    }
}

#[test]
fn without_deposits_no_memory_of_theirs_is_touched() {
    let mut map = map();
    let before = map.storage.touched();
    assert_eq!(map.withdraw(), Ok(None));
    assert!(!map.covers_deposit(page(1, false).range()));
    assert_eq!(map.deposit(page(0x600, false)), Err(MapRefusal::NotValid));
    assert_eq!(map.deposit(page(0xffff, false)), Err(MapRefusal::Outside));
    assert_eq!(map.storage.touched(), before);
    map.deposit(page(1, false)).unwrap();
    assert_eq!(map.storage.touched().len(), before.len() + 1);
    assert_eq!(map.state(page(1, false)), Some(PageState::Valid));
}
