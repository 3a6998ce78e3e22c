use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const GIB: u64 = 1 << 30;
const LIMIT: u64 = 1 << 48;

fn entry(start: u64, len: u64) -> MemoryMapEntry {
    MemoryMapEntry::new(start / PAGE_4K, len / PAGE_4K, MemoryMapType::MEMORY)
}

fn reserved(start: u64, len: u64) -> MemoryMapEntry {
    MemoryMapEntry::new(
        start / PAGE_4K,
        len / PAGE_4K,
        MemoryMapType::PLATFORM_RESERVED,
    )
}

fn range(start: u64, len: u64) -> GpaRange {
    GpaRange::new(Gpa::new(start), len).unwrap()
}

fn image() -> ImageRanges {
    ImageRanges {
        firmware: range(0x200_0000, 0xa0_0000),
        window: range(0xffc0_0000, 0x40_0000),
    }
}

fn guest_map(entries: &[MemoryMapEntry]) -> Result<GuestMemoryMap, MapError> {
    GuestMemoryMap::new(&parse_ram(entries, LIMIT)?, image())
}

#[test]
fn the_map_that_qemu_gives_is_accepted() {
    let map = guest_map(&[
        entry(0, 2 * GIB),
        entry(4 * GIB, 6 * GIB),
        reserved(0xfd_0000_0000, 3 * GIB),
    ])
    .unwrap();
    assert_eq!(map.total(), 8 * GIB - 0xa0_0000);
    let guest = map.for_guest().unwrap();
    assert_eq!(guest[0], entry(0, 0x200_0000));
    assert_eq!(guest[1], entry(0x2a0_0000, 2 * GIB - 0x2a0_0000));
    assert_eq!(guest[2], entry(4 * GIB, 6 * GIB));
    assert!(guest[3..].iter().all(MemoryMapEntry::is_end));
}

#[test]
fn neighbours_are_joined_and_order_does_not_matter() {
    let map = guest_map(&[
        entry(GIB, GIB),
        entry(0, 0x10_0000),
        entry(0x10_0000, GIB - 0x10_0000),
    ]);
    assert_eq!(map, guest_map(&[entry(0, 2 * GIB)]));
}

#[test]
fn the_list_ends_at_the_first_entry_without_pages() {
    let entries = [entry(0, GIB), MemoryMapEntry::default(), entry(0, GIB)];
    assert_eq!(parse_ram(&entries, LIMIT).unwrap().total(), GIB);
}

#[test]
fn threat_04_a_map_that_overlaps_itself_is_refused() {
    assert_eq!(
        parse_ram(&[entry(0, GIB), entry(GIB - PAGE_4K, GIB)], LIMIT),
        Err(MapError::Overlap)
    );
    assert_eq!(
        parse_ram(&[entry(0, GIB), reserved(0x1000, 0x1000)], LIMIT),
        Err(MapError::Overlap)
    );
    assert_eq!(
        parse_ram(&[reserved(0, GIB), entry(0, GIB)], LIMIT),
        Err(MapError::Overlap)
    );
}

#[test]
fn threat_04_a_map_that_wraps_or_reaches_too_high_is_refused() {
    for (first, pages) in [
        (u64::MAX, 1),
        (1, u64::MAX),
        (u64::MAX / PAGE_4K, 2),
        ((1 << 52) - 1, 1),
        (0, u64::MAX / PAGE_4K),
        (LIMIT / PAGE_4K, 1),
        (0, LIMIT / PAGE_4K + 1),
    ] {
        let entry = MemoryMapEntry::new(first, pages, MemoryMapType::MEMORY);
        assert_eq!(
            parse_ram(&[entry], LIMIT),
            Err(MapError::OutOfBounds),
            "{first:#x} {pages:#x}"
        );
    }
}

#[test]
fn threat_04_a_map_without_the_firmware_is_refused() {
    for entries in [
        [entry(0, 0x200_0000), entry(0x300_0000, GIB)],
        [entry(0, 0x210_0000), entry(0x2a0_0000, GIB)],
        [entry(0, 0x29f_f000), entry(GIB, GIB)],
    ] {
        assert_eq!(guest_map(&entries), Err(MapError::FirmwareOutside));
    }
    assert!(guest_map(&[entry(0, 0x220_0000), entry(0x220_0000, GIB)]).is_ok());
}

#[test]
fn threat_04_a_map_that_covers_the_image_is_refused() {
    assert_eq!(guest_map(&[entry(0, 4 * GIB)]), Err(MapError::CoversImage));
    assert_eq!(
        guest_map(&[entry(0, GIB), entry(0xffff_f000, PAGE_4K)]),
        Err(MapError::CoversImage)
    );
    let vmsa = entry(Vmsa::LAUNCH_GPA, PAGE_4K);
    assert_eq!(
        guest_map(&[entry(0, GIB), vmsa]),
        Err(MapError::CoversImage)
    );
}

#[test]
fn a_map_without_memory_is_refused() {
    assert_eq!(parse_ram(&[], LIMIT), Err(MapError::NoMemory));
    assert_eq!(
        parse_ram(&[reserved(0, GIB)], LIMIT),
        Err(MapError::NoMemory)
    );
}

#[test]
fn a_map_too_long_for_the_guest_firmware_is_refused() {
    let mut entries: Vec<_> = (1..8)
        .map(|n| entry(n * GIB, GIB / 2))
        .filter(|e| e.first_page.get() != 3 * GIB / PAGE_4K)
        .collect();
    entries.insert(0, entry(0, GIB / 2));
    // Seven ranges, and the firmware's hole makes eight of them.
    assert!(guest_map(&entries).unwrap().for_guest().is_ok());
    entries.push(entry(9 * GIB, GIB));
    assert_eq!(
        guest_map(&entries).unwrap().for_guest(),
        Err(MapError::TooFragmented)
    );
}

#[test]
fn guest_memory_may_span_entries_but_never_the_firmware() {
    let map = guest_map(&[entry(0, GIB), entry(GIB, GIB)]).unwrap();
    assert!(map.is_guest(range(GIB - 0x1000, 0x2000)));
    assert!(map.is_guest(range(0xffc0_0000, 0x40_0000)));
    assert!(!map.is_guest(range(0x1ff_f000, 0x2000)));
    assert!(!map.is_guest(range(0x200_0000, 1)));
    assert!(!map.is_guest(range(0x29f_ffff, 1)));
    assert!(!map.is_guest(range(2 * GIB - 1, 2)));
    assert!(!map.is_guest(range(0, 0)));
    // The C-bit makes an address that no entry holds.
    assert!(!map.is_guest(range(1 << 51 | 0x1000, 0x1000)));
}

#[test]
fn the_legacy_area_may_be_validated_even_when_no_entry_holds_it() {
    let map = guest_map(&[entry(0, 0xa_0000), entry(0x10_0000, GIB)]).unwrap();
    assert!(!map.is_guest(range(0xc_0000, 0x1000)));
    assert!(map.is_validatable(range(0xc_0000, 0x1000)));
    assert!(!map.is_validatable(range(0x9_f000, 0x2000)));
}

proptest! {
    #[test]
    fn any_map_is_refused_or_true(
        raw in prop::collection::vec((any::<u64>(), any::<u64>(), 0u16..3), 0..8),
        small in prop::collection::vec((0u64..0x6000, 1u64..0x4000, 0u16..3), 0..8),
        use_raw in any::<bool>(),
    ) {
        let source = if use_raw { raw } else { small };
        let entries: Vec<_> =
            source.iter().map(|(a, b, t)| MemoryMapEntry::new(*a, *b, MemoryMapType(*t))).collect();
        let Ok(ram) = parse_ram(&entries, LIMIT) else { return Ok(()) };
        let counted: Vec<_> = entries.iter().take_while(|e| !e.is_end()).collect();
        let sum: u64 = counted
            .iter()
            .filter(|e| e.kind() == MemoryMapType::MEMORY)
            .map(|e| e.pages.get() * PAGE_4K)
            .sum();
        prop_assert_eq!(ram.total(), sum);
        for pair in ram.as_slice().windows(2) {
            prop_assert!(pair[0].end() < pair[1].start());
        }
        if let Ok(map) = GuestMemoryMap::new(&ram, image()) {
            prop_assert!(!map.ram.overlaps(image().firmware));
            prop_assert!(!ram.overlaps(image().window));
            if let Ok(guest) = map.for_guest() {
                let told: u64 = guest.iter().map(|e| e.pages.get() * PAGE_4K).sum();
                prop_assert_eq!(told, map.total());
            }
        }
    }
}
