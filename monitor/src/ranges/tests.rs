use std::vec::Vec;

use proptest::prelude::*;

use super::*;

fn range(start: u64, len: u64) -> GpaRange {
    GpaRange::new(Gpa::new(start), len).unwrap()
}

#[test]
fn the_list_has_an_end() {
    let mut list = RangeList::new();
    for n in 0..MAX_RANGES as u64 {
        list.insert(range(n * 4, 2)).unwrap();
    }
    let before = list.clone();
    assert_eq!(list.insert(range(4000, 2)), Err(MapError::TooManyEntries));
    assert_eq!(list, before);
    assert_eq!(list.without(range(1, 0)), Ok(before));
}

proptest! {
    #[test]
    fn the_list_agrees_with_a_set_of_bytes(
        inserts in prop::collection::vec((0u64..200, 0u64..20), 0..40),
        hole in (0u64..220, 0u64..60),
        probe in (0u64..240, 0u64..20),
    ) {
        let mut list = RangeList::new();
        let mut bytes = [false; 300];
        for (start, len) in inserts {
            let taken = (start..start + len).any(|b| bytes[b as usize]);
            let result = list.insert(range(start, len));
            prop_assert_eq!(result, if taken { Err(MapError::Overlap) } else { Ok(()) });
            if !taken {
                (start..start + len).for_each(|b| bytes[b as usize] = true);
            }
        }
        list.join();
        let holds = |list: &RangeList, b: u64| list.contains(range(b, 1));
        let probe_all = probe.1 > 0 && (probe.0..probe.0 + probe.1).all(|b| bytes[b as usize]);
        prop_assert_eq!(list.contains(range(probe.0, probe.1)), probe_all);
        let probe_any = (probe.0..probe.0 + probe.1).any(|b| bytes[b as usize]);
        prop_assert_eq!(list.overlaps(range(probe.0, probe.1)), probe_any);
        let cut = list.without(range(hole.0, hole.1)).unwrap();
        for b in 0..300u64 {
            prop_assert_eq!(holds(&list, b), bytes[b as usize]);
            let in_hole = hole.0 <= b && b < hole.0 + hole.1;
            prop_assert_eq!(holds(&cut, b), bytes[b as usize] && !in_hole);
        }
        let ends: Vec<_> = cut.iter().map(|r| (r.start(), r.end())).collect();
        prop_assert!(ends.windows(2).all(|w| w[0].1 <= w[1].0));
    }
}
