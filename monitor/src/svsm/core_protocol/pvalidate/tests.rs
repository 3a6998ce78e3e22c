use std::vec::Vec;

use protocols::addr::{PAGE_2M, PageSize};
use protocols::snp::{Rights, Vmpl};
use protocols::svsm::{CoreCall, PvalidateHeader};
use snp_model::types::Spa;
use zerocopy::IntoBytes;

use super::*;
use crate::page_map::PageState;
use crate::testing::{Event, World, page, page_2m};

const P: u64 = World::PENDING;
const LIST: u64 = World::SMALL + 0x6000;

fn valid(page: GpaPage) -> PvalidateEntry {
    PvalidateEntry::new(page, true)
}

fn invalid(page: GpaPage) -> PvalidateEntry {
    PvalidateEntry::new(page, false)
}

#[test]
fn a_list_is_done_and_next_is_at_its_end() {
    let mut world = World::new();
    let small = page(World::SMALL + 0x7000);
    let list = [
        valid(page_2m(P)),
        invalid(small),
        valid(small),
        invalid(page_2m(World::LARGE)),
    ];
    assert_eq!(world.pvalidate(&list), (ResultCode::SUCCESS, 4));
    assert!(world.writable(Vmpl::VMPL2, P));
    assert!(world.writable(Vmpl::VMPL1, P + PAGE_2M - 1));
    assert!(!world.readable(Vmpl::VMPL3, P));
    assert!(!world.readable(Vmpl::VMPL2, World::LARGE));
    assert_eq!(
        world.shared.lock().pages.state(page_2m(World::LARGE)),
        Some(PageState::Invalid)
    );
}

#[test]
fn a_full_list_in_the_calling_area_s_buffer() {
    let mut world = World::new();
    let base = World::PENDING;
    world.machine.system.psmash(Spa(base)).unwrap();
    let list: Vec<_> = page_2m(base).split().take(510).map(valid).collect();
    assert_eq!(world.pvalidate(&list), (ResultCode::SUCCESS, 510));
    assert!(world.readable(Vmpl::VMPL2, base + 509 * 0x1000));
    assert!(!world.readable(Vmpl::VMPL2, base + 510 * 0x1000));
}

#[test]
fn a_list_begins_at_next() {
    let mut world = World::new();
    let list = [valid(page_2m(P)), valid(page_2m(P + PAGE_2M))];
    let mut header = PvalidateHeader::new(2);
    header.next = 1;
    world.poke(LIST, header.as_bytes());
    world.poke(LIST + 8, list.as_bytes());
    assert_eq!(
        world.core(CoreCall::PVALIDATE, LIST, 0, 0),
        ResultCode::SUCCESS
    );
    assert_eq!(world.peek(LIST + 2), [2, 0]);
    assert_eq!(
        world.shared.lock().pages.state(page_2m(P)),
        Some(PageState::Invalid)
    );
    assert_eq!(
        world.shared.lock().pages.state(page_2m(P + PAGE_2M)),
        Some(PageState::Valid)
    );
}

#[test]
fn a_page_that_another_vcpu_is_validating_is_busy() {
    let (reserved, other) = (page_2m(P + PAGE_2M), page_2m(P));
    for busy in [
        valid(reserved),
        invalid(reserved),
        valid(page(P + PAGE_2M)),
        invalid(page(P + PAGE_2M + PAGE_4K)),
    ] {
        let mut world = World::new();
        world.shared.lock().pages.reserve(reserved).unwrap();
        let done = world.pvalidate(&[valid(other), busy]);
        assert_eq!(done, (ResultCode::BUSY, 1));
        let guest = world.shared.lock();
        assert_eq!(guest.pages.state(other), Some(PageState::Valid));
        assert_eq!(guest.pages.state(reserved), Some(PageState::Reserved));
        // For all else it is a page that is not validated.
        let refused = Err(ResultCode::INVALID_ADDRESS);
        assert_eq!(guest.check_page(P + PAGE_2M + PAGE_4K), refused);
    }
}

#[test]
fn an_entry_that_fails_leaves_the_earlier_ones_done_and_next_at_it() {
    let mut world = World::new();
    world.machine.system.psmash(Spa(P + PAGE_2M)).unwrap();
    let list = [
        valid(page_2m(P)),
        valid(page_2m(P + PAGE_2M)),
        valid(page_2m(P + 2 * PAGE_2M)),
    ];
    assert_eq!(world.pvalidate(&list), (ResultCode::CORE_SIZEMISMATCH, 1));
    assert_eq!(
        world.shared.lock().pages.state(page_2m(P)),
        Some(PageState::Valid)
    );
    assert_eq!(
        world.shared.lock().pages.state(page_2m(P + 2 * PAGE_2M)),
        Some(PageState::Invalid)
    );
    // As Linux does it: next + 1 and again, the failed range later in small pages.
    let mut header = PvalidateHeader::new(3);
    header.next = 2;
    let area = World::CALLING_AREA;
    world.poke(area + 8, header.as_bytes());
    assert_eq!(
        world.core(CoreCall::PVALIDATE, area + 8, 0, 0),
        ResultCode::SUCCESS
    );
    assert_eq!(world.peek(area + 10), [3, 0]);
    assert_eq!(
        world.shared.lock().pages.state(page_2m(P + 2 * PAGE_2M)),
        Some(PageState::Valid)
    );
    let small: Vec<_> = page_2m(P + PAGE_2M).split().take(500).map(valid).collect();
    assert_eq!(world.pvalidate(&small), (ResultCode::SUCCESS, 500));
}

#[test]
fn each_fault_of_an_entry_has_its_result() {
    let mut world = World::new();
    let (old, new) = (page(World::SMALL + 0x8000), page_2m(P));
    for (entry, expected) in [
        (valid(old), ResultCode::CORE_NO_CHANGE),
        (valid(old).ignoring_cf(), ResultCode::SUCCESS),
        (invalid(new), ResultCode::CORE_NO_CHANGE),
        (invalid(new).ignoring_cf(), ResultCode::SUCCESS),
        (valid(page_2m(World::SMALL)), ResultCode::INVALID_ADDRESS),
        (
            valid(page(World::CALLING_AREA)),
            ResultCode::INVALID_ADDRESS,
        ),
        (
            invalid(page(World::CALLING_AREA)),
            ResultCode::INVALID_ADDRESS,
        ),
        (invalid(page(World::FIRMWARE)), ResultCode::INVALID_ADDRESS),
        (valid(page_2m(World::FIRMWARE)), ResultCode::INVALID_ADDRESS),
        (invalid(page(World::VMSA)), ResultCode::INVALID_ADDRESS),
        (valid(page(World::RAM)), ResultCode::INVALID_ADDRESS),
        (PvalidateEntry(P | 1 << 51 | 5), ResultCode::INVALID_ADDRESS),
        (
            PvalidateEntry(0xffff_ffff_ffff_f004),
            ResultCode::INVALID_ADDRESS,
        ),
        (
            PvalidateEntry((P + 0x1000) | 5),
            ResultCode::INVALID_PARAMETER,
        ),
        (PvalidateEntry(!0xfff | 5), ResultCode::INVALID_PARAMETER),
    ] {
        let before = world.shared.lock().pages.state(old);
        let (result, next) = world.pvalidate(&[entry]);
        assert_eq!(result, expected, "{entry:?}");
        assert_eq!(next, u16::from(expected == ResultCode::SUCCESS));
        assert_eq!(world.shared.lock().pages.state(old), before);
        assert_eq!(
            world.shared.lock().pages.state(new),
            Some(PageState::Invalid)
        );
    }
}

/// Makes the call with raw header words; the list holds one good entry.
fn raw(world: &mut World, gpa: u64, entries: u16, next: u16, reserved: u32) -> ResultCode {
    let header = PvalidateHeader {
        entries,
        next,
        reserved,
    };
    if gpa < World::FIRMWARE && gpa % 0x1000 <= 0xff0 {
        world.poke(gpa, header.as_bytes());
        world.poke(gpa + 8, valid(page_2m(P)).as_bytes());
    }
    world.machine.take_events();
    world.core(CoreCall::PVALIDATE, gpa, 0, 0)
}

#[test]
fn threat_43_a_list_of_wrong_form_changes_nothing() {
    for (gpa, entries, next, reserved) in [
        (LIST, 0, 0, 0),
        (LIST, 1, 1, 0),
        (LIST, 1, u16::MAX, 0),
        (LIST, 1, 0, 1),
        (LIST, 1, 0, 0x8000_0000),
        (LIST, 512, 0, 0),
        (LIST, u16::MAX, 0, 0),
        (LIST + 8, 511, 0, 0),
        (LIST + 0xff0, 2, 0, 0),
        (LIST + 0xff8, 1, 0, 0),
        (LIST + 4, 1, 0, 0),
        (LIST + 1, 1, 0, 0),
    ] {
        let mut world = World::new();
        let result = raw(&mut world, gpa, entries, next, reserved);
        assert_eq!(
            result,
            ResultCode::INVALID_PARAMETER,
            "{gpa:#x} {entries} {next} {reserved:#x}"
        );
        let changed = |event: &Event| matches!(event, Event::Pvalidate(..) | Event::Rmpadjust(..));
        assert!(!world.machine.take_events().iter().any(changed));
        if gpa.is_multiple_of(8) && gpa % 0x1000 <= 0xff0 {
            assert_eq!(world.peek(gpa + 2), next.to_le_bytes(), "next is untouched");
        }
    }
}

#[test]
fn reserved_bits_in_any_entry_change_nothing() {
    for bad in [1 << 4, 1 << 11, 0xff0, 2, 3] {
        let mut world = World::new();
        let entries = [valid(page_2m(P)), PvalidateEntry((P + PAGE_2M) | 4 | bad)];
        assert_eq!(
            world.pvalidate(&entries),
            (ResultCode::INVALID_PARAMETER, 0)
        );
        assert_eq!(
            world.shared.lock().pages.state(page_2m(P)),
            Some(PageState::Invalid)
        );
    }
}

#[test]
fn a_list_that_may_not_be_read_is_an_invalid_address() {
    for gpa in [
        World::FIRMWARE,
        World::VMSA,
        P,
        World::RAM,
        World::CALLING_AREA,
        1 << 51 | LIST,
    ] {
        let mut world = World::new();
        assert_eq!(
            world.core(CoreCall::PVALIDATE, gpa, 0, 0),
            ResultCode::INVALID_ADDRESS
        );
    }
}

#[test]
fn a_list_that_names_its_own_page_stops_there() {
    let mut world = World::new();
    let list = [
        valid(page_2m(P)),
        invalid(page(LIST)),
        valid(page_2m(P + PAGE_2M)),
    ];
    assert_eq!(
        world.pvalidate_at(LIST, &list),
        (ResultCode::INVALID_ADDRESS, 1)
    );
    assert!(world.shared.lock().pages.is_valid(page(LIST).range()));
    // A 2 MiB entry over it as well.
    let list = [invalid(page_2m(World::LARGE))];
    let inside = World::LARGE + 0x3000;
    assert_eq!(
        world.pvalidate_at(inside, &list),
        (ResultCode::INVALID_ADDRESS, 0)
    );
}

#[test]
fn threat_16_threat_43_the_list_is_copied_once() {
    let mut world = World::new();
    // The guest changes the list as soon as it was read.
    let mut reads = 0;
    world.machine.intrude(move |event, system| {
        if let Event::Read(gpa, _) = event
            && (LIST..LIST + 0x1000).contains(&gpa.get())
        {
            reads += 1;
            assert!(reads <= 2, "header and entries, each once");
        }
        if matches!(event, Event::Pvalidate(..)) {
            let evil = PvalidateEntry::new(page_2m(World::FIRMWARE), false);
            let encryption = snp_model::access::Encryption::Private;
            let at = Gpa::new(LIST + 8);
            system
                .write(Vmpl::VMPL2, encryption, at, [evil; 2].as_bytes())
                .unwrap();
            system
                .write(Vmpl::VMPL2, encryption, Gpa::new(LIST), &[0xff; 4])
                .unwrap();
        }
    });
    let list = [valid(page_2m(P)), valid(page_2m(P + PAGE_2M))];
    assert_eq!(world.pvalidate_at(LIST, &list), (ResultCode::SUCCESS, 2));
    assert_eq!(
        world.shared.lock().pages.state(page_2m(World::FIRMWARE)),
        Some(PageState::Valid)
    );
    assert_eq!(
        world.shared.lock().pages.state(page_2m(P + PAGE_2M)),
        Some(PageState::Valid)
    );
}

#[test]
fn the_legacy_window_is_accepted() {
    let mut world = World::new();
    let list: Vec<_> = (0xa0..0x100).map(|n| page(n << 12)).collect();
    for page in &list {
        world.private(*page);
    }
    let entries: Vec<_> = list.iter().map(|page| valid(*page)).collect();
    assert_eq!(world.pvalidate(&entries), (ResultCode::SUCCESS, 96));
    assert!(world.readable(Vmpl::VMPL2, 0xf_ffff));
}

mod lists;
