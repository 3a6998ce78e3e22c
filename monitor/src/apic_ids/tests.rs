use proptest::prelude::*;
use protocols::ghcb::Response;
use snp_model::system::System;
use std::vec::Vec;

use super::*;
use crate::testing::Machine;

fn list(count: u32, ids: &[u32]) -> Vec<u8> {
    let mut bytes = count.to_le_bytes().to_vec();
    bytes.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
    bytes.resize(LIST_BYTES, 0);
    bytes
}

fn refused(detail: u64) -> Result<Vec<u32>, Fatal> {
    Err(malformed(detail))
}

#[test]
fn the_boot_processor_comes_first_and_the_others_in_order() {
    assert_eq!(parse(&list(1, &[7]), 7, 1), Ok(std::vec![7]));
    assert_eq!(
        parse(&list(4, &[9, 3, 0x1_0000, 0]), 3, 8),
        Ok(std::vec![3, 0, 9, 0x1_0000])
    );
}

#[test]
fn the_longest_list_is_taken() {
    let ids: Vec<u32> = (0..512).collect();
    assert_eq!(parse(&list(512, &ids), 0, 512), Ok(ids));
}

#[test]
fn threat_47_a_list_of_no_or_too_many_vcpus_is_refused() {
    let ids: Vec<u32> = (0..512).collect();
    assert_eq!(parse(&list(0, &ids), 0, 8), refused(0));
    assert_eq!(parse(&list(9, &ids), 0, 8), refused(9));
    assert_eq!(parse(&list(513, &ids), 0, 1000), refused(513));
    assert_eq!(
        parse(&list(u32::MAX, &ids), 0, u32::MAX),
        refused(u32::MAX.into())
    );
    assert_eq!(parse(&[], 0, 8), refused(0));
    assert_eq!(parse(&list(4, &ids)[..12], 0, 8), refused(4));
}

#[test]
fn threat_47_a_duplicate_and_a_missing_boot_processor_are_refused() {
    assert_eq!(parse(&list(3, &[0, 5, 5]), 0, 8), refused(5));
    assert_eq!(parse(&list(3, &[0, 0, 5]), 0, 8), refused(0));
    assert_eq!(parse(&list(3, &[1, 2, 3]), 0, 8), refused(0));
}

#[test]
fn threat_47_an_id_that_is_none_is_refused() {
    let all = u32::MAX;
    assert_eq!(parse(&list(3, &[0, all, 5]), 0, 8), refused(all.into()));
    assert_eq!(parse(&list(1, &[all]), all, 8), refused(all.into()));
    // Beyond the list's end nothing counts.
    assert_eq!(parse(&list(2, &[0, 5, all]), 0, 8), Ok(std::vec![0, 5]));
    let largest = all - 1;
    assert_eq!(
        parse(&list(2, &[largest, 0]), 0, 8),
        Ok(std::vec![0, largest])
    );
}

#[test]
fn threat_47_fewer_vcpus_than_the_host_said_are_taken() {
    assert_eq!(parse(&list(2, &[4, 0]), 0, 512), Ok(std::vec![0, 4]));
    assert_eq!(parse(&list(1, &[0]), 0, 512), Ok(std::vec![0]));
}

#[test]
fn the_host_is_asked_once_with_a_page_of_its_own() {
    let mut machine = Machine::new();
    machine.host.on_page(|_: &mut System, ghcb: &mut Ghcb| {
        assert_eq!(ghcb.exit_code(), Some(ExitCode::GET_APIC_IDS));
        assert_eq!(ghcb.get(GhcbField::EXIT_INFO1), Some(0x5000));
        assert_eq!(ghcb.get(GhcbField::RAX), Some(1));
        ghcb.clear_valid();
        ghcb.respond(Response::NO_ACTION, 0);
        ghcb.set(GhcbField::RAX, 1);
    });
    let mut ghcb = Ghcb::zeroed();
    assert_eq!(ask(&mut machine, &mut ghcb, Gpa::new(0x5000)), Ok(()));
}

#[test]
fn threat_47_a_host_that_wants_more_pages_or_says_nothing_is_refused() {
    for (pages, reason) in [
        (Some(2), RampartReason::ApicIdListMalformed),
        (Some(0), RampartReason::ApicIdListMalformed),
        (None, RampartReason::BadGhcbAnswer),
    ] {
        let mut machine = Machine::new();
        machine
            .host
            .on_page(move |_: &mut System, ghcb: &mut Ghcb| {
                ghcb.clear_valid();
                ghcb.respond(Response::NO_ACTION, 0);
                if let Some(pages) = pages {
                    ghcb.set(GhcbField::RAX, pages);
                }
            });
        let mut ghcb = Ghcb::zeroed();
        let asked = ask(&mut machine, &mut ghcb, Gpa::new(0x5000));
        assert!(
            matches!(asked, Err(Fatal::Rampart(found, _)) if found == reason),
            "{pages:?}: {asked:?}"
        );
    }
}

proptest! {
    #[test]
    fn whatever_the_list_is_its_ids_are_distinct_and_bounded(
        bytes in prop::collection::vec(any::<u8>(), 0..LIST_BYTES),
        few in 0u32..6, boot: u32, vp_count: u32,
    ) {
        let mut bytes = bytes;
        if let Some(count) = bytes.get_mut(..4) {
            count.copy_from_slice(&few.to_le_bytes());
        }
        if let Ok(ids) = parse(&bytes, boot, vp_count) {
            prop_assert_eq!(ids[0], boot);
            prop_assert!(ids.len() <= vp_count as usize && ids.len() <= MAX_VCPUS);
            let mut sorted = ids.clone();
            sorted.sort_unstable();
            sorted.dedup();
            prop_assert_eq!(sorted.len(), ids.len());
            prop_assert!(!ids.contains(&u32::MAX));
        }
    }
}
