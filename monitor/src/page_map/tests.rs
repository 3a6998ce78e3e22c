//! The map against a naive model: one boolean for each 4 KiB page, and the size
//! in which each was validated.

use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use proptest::prelude::*;
use protocols::addr::{Gpa, GpaPage, GpaRange, PAGE_2M, PAGE_4K, PageSize};

use super::*;
use crate::ranges::RangeList;
use crate::testing::FrameStore;

const GIB: u64 = 1 << 30;
const WINDOW: u64 = 0xffc0_0000;

fn range(start: u64, len: u64) -> GpaRange {
    GpaRange::new(Gpa::new(start), len).unwrap()
}

fn ram(ranges: &[(u64, u64)]) -> RangeList {
    let mut list = RangeList::new();
    for (start, len) in ranges {
        list.insert(range(*start, *len)).unwrap();
    }
    list
}

fn map_of(ranges: &[(u64, u64)]) -> PageMap<FrameStore> {
    let layout = Layout::new(&ram(ranges), range(WINDOW, 0x40_0000));
    let frames = layout.frames();
    PageMap::new(layout, FrameStore::new(frames))
}

fn small(gpa: u64) -> GpaPage {
    GpaPage::new_4k(Gpa::new(gpa)).unwrap()
}

fn large(gpa: u64) -> GpaPage {
    GpaPage::new_2m(Gpa::new(gpa)).unwrap()
}

#[test]
fn the_map_costs_at_most_a_16384th_of_ram_and_its_top_level() {
    for ram_bytes in [512 << 20, 2 * GIB, 64 * GIB, 1024 * GIB] {
        let layout = Layout::new(&ram(&[(0, ram_bytes)]), range(4096 * GIB, 0x40_0000));
        let top = layout.regions().div_ceil(STATES_PER_FRAME) * PAGE_4K;
        // Two frames more than the fraction: the last of each kind may be used in part.
        assert!(layout.frames() * PAGE_4K <= ram_bytes / 16384 + top + 2 * PAGE_4K);
    }
}

#[test]
fn boot_touches_the_same_frames_whatever_the_size_of_ram() {
    let touched = |ram_ranges: &[(u64, u64)]| {
        let mut map = map_of(ram_ranges);
        map.adopt(range(WINDOW, 0x40_0000), PageSize::Size2M)
            .unwrap();
        map.adopt(range(0x80_0000, 0x3_0000), PageSize::Size4K)
            .unwrap();
        map.storage.touched()
    };
    let little = touched(&[(0, 512 << 20)]);
    assert_eq!(little.len(), 2);
    assert_eq!(touched(&[(0, 2 * GIB)]).len(), 2);
    let much = touched(&[(0, 3 * GIB), (4 * GIB, 1021 * GIB)]);
    assert_eq!(much.len(), 2);
    // All within the first 2 MiB of the map's memory.
    assert!(much.iter().all(|frame| *frame < 512));
}

#[test]
fn asking_touches_no_memory() {
    let map = map_of(&[(0, GIB)]);
    assert_eq!(map.state(small(0x1000)), Some(PageState::Invalid));
    assert!(!map.is_valid(range(0, GIB)));
    assert!(map.storage.touched().is_empty());
}

#[test]
fn what_is_not_covered_is_refused() {
    let mut map = map_of(&[(0, GIB)]);
    assert_eq!(map.state(small(GIB)), None);
    assert_eq!(map.mark_valid(large(GIB)), Err(MapRefusal::Outside));
    assert_eq!(map.mark_invalid(small(2 * GIB)), Err(MapRefusal::Outside));
    assert!(!map.is_valid(range(GIB - PAGE_4K, 2 * PAGE_4K)));
}

#[test]
fn the_legacy_region_is_covered_even_when_ram_begins_above_it() {
    let mut map = map_of(&[(0x10_0000, GIB)]);
    map.mark_valid(small(0xc_0000)).unwrap();
    map.mark_valid(small(0x10_0000)).unwrap();
    assert_eq!(map.state(small(0xc_0000)), Some(PageState::Valid));
}

#[test]
fn ranges_that_share_a_region_share_its_state() {
    let mut map = map_of(&[(0, 0x30_0000), (0x38_0000, 0x100_0000)]);
    map.mark_valid(large(0x20_0000)).unwrap();
    assert_eq!(map.state(small(0x3f_f000)), Some(PageState::Valid));
    assert_eq!(
        map.mark_valid(small(0x3f_f000)),
        Err(MapRefusal::AlreadyValid)
    );
}

#[test]
fn a_large_page_is_split_when_a_part_goes() {
    let mut map = map_of(&[(0, GIB)]);
    map.mark_valid(large(PAGE_2M)).unwrap();
    map.mark_invalid(small(PAGE_2M + 5 * PAGE_4K)).unwrap();
    assert_eq!(map.state(large(PAGE_2M)), Some(PageState::Split));
    assert_eq!(
        map.state(small(PAGE_2M + 5 * PAGE_4K)),
        Some(PageState::Invalid)
    );
    assert_eq!(
        map.state(small(PAGE_2M + 6 * PAGE_4K)),
        Some(PageState::Valid)
    );
    assert_eq!(map.mark_invalid(large(PAGE_2M)), Err(MapRefusal::Split));
    assert_eq!(
        map.mark_valid(large(PAGE_2M)),
        Err(MapRefusal::AlreadyValid)
    );
}

#[test]
fn a_region_that_has_lost_all_parts_can_be_one_page_again() {
    let mut map = map_of(&[(0, GIB)]);
    map.mark_valid(small(0x1000)).unwrap();
    map.mark_invalid(small(0x1000)).unwrap();
    map.mark_valid(large(0)).unwrap();
    assert_eq!(map.state(small(0)), Some(PageState::Valid));
    map.mark_invalid(large(0)).unwrap();
    assert_eq!(map.state(small(0x1000)), Some(PageState::Invalid));
}

#[test]
fn a_reserved_page_counts_as_not_validated_until_it_is_settled() {
    let mut map = map_of(&[(0, GIB)]);
    let (page, part, other) = (large(PAGE_2M), small(PAGE_2M + PAGE_4K), large(2 * PAGE_2M));
    for valid in [false, true] {
        assert_eq!(map.settle(page, valid), Err(MapRefusal::NotValid));
        assert_eq!(map.reserve(part), Err(MapRefusal::Outside));
        assert_eq!(map.reserve(page), Ok(()));
        for page in [page, part] {
            assert_eq!(map.state(page), Some(PageState::Reserved));
            assert!(!map.is_valid(page.range()));
            assert_eq!(map.mark_valid(page), Err(MapRefusal::AlreadyValid));
            assert_eq!(map.mark_invalid(page), Err(MapRefusal::Reserved));
        }
        assert_eq!(map.reserve(page), Err(MapRefusal::Reserved));
        let lent = map.with_small_pages(part, |_| ());
        assert_eq!(lent, Err(MapRefusal::Reserved));
        assert_eq!(map.state(other), Some(PageState::Invalid), "its neighbour");
        assert_eq!(map.settle(page, valid), Ok(()));
        assert_eq!(map.is_valid(page.range()), valid);
    }
    assert_eq!(map.reserve(page), Err(MapRefusal::AlreadyValid));
    map.mark_invalid(part).unwrap();
    assert_eq!(map.reserve(page), Err(MapRefusal::AlreadyValid), "split");
}

#[test]
fn an_unbacked_map_says_so() {
    let layout = Layout::new(&ram(&[(0, GIB)]), range(WINDOW, 0x40_0000));
    let mut map = PageMap::new(layout, FrameStore::new(0));
    assert_eq!(
        map.mark_valid(small(0)),
        Err(MapRefusal::Storage(MapStorageFault))
    );
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Valid(u64, PageSize),
    Invalid(u64, PageSize),
}

fn step() -> impl Strategy<Value = Step> {
    // Three regions at the start, three at the end and some outside: dense
    // enough that steps meet each other.
    let number = prop_oneof![0u64..1536, 4096u64 - 1024..4096 + 512];
    let size = prop_oneof![4 => Just(PageSize::Size4K), 1 => Just(PageSize::Size2M)];
    (any::<bool>(), number, size).prop_map(|(valid, number, size)| {
        let number = if size == PageSize::Size2M {
            number / 512 * 512
        } else {
            number % 7 + number / 512 * 512
        };
        if valid {
            Step::Valid(number, size)
        } else {
            Step::Invalid(number, size)
        }
    })
}

proptest! {
    #[test]
    fn the_map_agrees_with_a_naive_model(steps in prop::collection::vec(step(), 1..300)) {
        let end = 4096 * PAGE_4K;
        let mut map = map_of(&[(0, end)]);
        let mut valid = BTreeSet::new();
        let mut large_regions = BTreeMap::new();
        for step in steps {
            let (number, size, to_valid) = match step {
                Step::Valid(number, size) => (number, size, true),
                Step::Invalid(number, size) => (number, size, false),
            };
            let page = GpaPage::new(Gpa::new(number * PAGE_4K), size).unwrap();
            let parts: Vec<u64> = page.split().map(|p| p.gpa().pfn()).collect();
            let inside = page.range().end().get() <= end;
            let region = number / 512;
            let is_large = *large_regions.get(&region).unwrap_or(&false);
            let expected = if !inside {
                Err(MapRefusal::Outside)
            } else if to_valid {
                if parts.iter().any(|p| valid.contains(p)) { Err(MapRefusal::AlreadyValid) } else { Ok(()) }
            } else if parts.iter().all(|p| !valid.contains(p)) {
                Err(MapRefusal::NotValid)
            } else if size == PageSize::Size2M && !is_large {
                Err(MapRefusal::Split)
            } else {
                Ok(())
            };
            let result = if to_valid { map.mark_valid(page) } else { map.mark_invalid(page) };
            prop_assert_eq!(result, expected);
            if result.is_ok() {
                for part in &parts {
                    if to_valid { valid.insert(*part); } else { valid.remove(part); }
                }
                large_regions.insert(region, to_valid && size == PageSize::Size2M);
            }
            for part in parts.iter().take(9) {
                let here = small(part * PAGE_4K);
                if inside {
                    let state = if valid.contains(part) { PageState::Valid } else { PageState::Invalid };
                    prop_assert_eq!(map.state(here), Some(state));
                    prop_assert_eq!(map.is_valid(here.range()), valid.contains(part));
                }
            }
        }
        for number in 0..4096 {
            let here = small(number * PAGE_4K);
            prop_assert_eq!(map.is_valid(here.range()), valid.contains(&number));
        }
    }

    #[test]
    fn a_range_is_valid_when_all_its_pages_are(
        pages in prop::collection::btree_set(0u64..1024, 0..1024),
        large_first in any::<bool>(), start in 0u64..1100, len in 0u64..300,
    ) {
        let mut map = map_of(&[(0, 0x40_0000)]);
        if large_first {
            map.mark_valid(large(0)).unwrap();
        }
        for number in &pages {
            let _ = map.mark_valid(small(number * PAGE_4K));
        }
        let valid = |n: u64| n < 1024 && ((large_first && n < 512) || pages.contains(&n));
        let expected = len > 0 && (start..start + len).all(valid);
        prop_assert_eq!(map.is_valid(range(start * PAGE_4K, len * PAGE_4K)), expected);
    }
}
