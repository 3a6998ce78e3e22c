use proptest::prelude::*;
use protocols::addr::PageSize;

use super::*;
use crate::apic_ids::MAX_VCPUS;

const MIB: u64 = 1 << 20;

/// Bytes kept for so many vCPUs, without the page map.
fn kept(vcpus: u32) -> u64 {
    let memory = FirmwareMemory::new(100, vcpus).unwrap();
    memory.whole.len() - memory.page_map.len()
}

#[test]
fn one_vcpu_takes_8_mib_and_64_take_12() {
    assert_eq!(kept(1), 8 * MIB);
    assert_eq!(kept(2), 10 * MIB);
    assert_eq!(kept(8), 10 * MIB);
    assert_eq!(kept(64), 12 * MIB);
    // Some 50 KiB for each beyond.
    assert!(kept(MAX_VCPUS as u32) <= 8 * MIB + MAX_VCPUS as u64 * 52 * 1024);
}

#[test]
fn the_largest_guest_s_firmware_ends_below_512_mib() {
    // The page map of 1 TiB with 512 vCPUs.
    let frames = (1u64 << 40) / 16384 / PAGE_4K + 64;
    let memory = FirmwareMemory::new(frames, MAX_VCPUS as u32).unwrap();
    assert!(memory.whole.end().get() <= 512 * MIB, "{}", memory.whole);
}

#[test]
fn what_no_address_can_hold_is_refused() {
    assert_eq!(FirmwareMemory::new(u64::MAX, 1), None);
    assert_eq!(FirmwareMemory::new(u64::MAX / PAGE_4K, 1), None);
}

proptest! {
    #[test]
    fn the_parts_follow_one_another_in_whole_pieces(frames in 1u64..1 << 20, vcpus in 0u32..600) {
        let memory = FirmwareMemory::new(frames, vcpus).unwrap();
        prop_assert_eq!(memory.page_map.start(), Gpa::new(PAGE_MAP_BASE));
        prop_assert_eq!(memory.page_map.end(), memory.aps.start());
        prop_assert_eq!(memory.aps.end(), memory.whole.end());
        prop_assert!(memory.page_map.len() >= frames * PAGE_4K);
        for part in [memory.whole, memory.page_map, memory.aps] {
            prop_assert!(part.is_aligned(PageSize::Size2M));
        }
        let aps = u64::from(vcpus.saturating_sub(1));
        prop_assert!(memory.aps.len() >= aps * PAGES_PER_AP * PAGE_4K);
    }
}
